"""Whole numbers kept as floats: which they are, and how others are shown."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

TOLERANCE: Final = 1e-6
"""How far a float may be from the whole number it means, relative to numbers above 1.

Classes that were packed, or multiplied and divided on the way, are off by a few roundings of
float32, 1e-7 each.
"""


def round_to_whole(values: NDArray[np.floating]) -> tuple[NDArray[np.floating], NDArray[np.bool_]]:
    """The nearest whole numbers, and where they are what the values mean.

    Args:
        values: floats, any shape.

    Returns:
        Same shape and dtype; bool, False for infinities and NaN.
    """
    nearest = np.rint(values)
    with np.errstate(invalid="ignore"):
        distance = np.abs(values - nearest)
        is_whole = distance <= TOLERANCE * np.maximum(1, np.abs(nearest))
    return nearest, is_whole & np.isfinite(values)


def shown(value: Any) -> str:
    """A number with as many digits as tell it from its neighbours: ``2.9999998``, not ``3``."""
    if not np.isfinite(value):
        return str(float(value))
    return np.format_float_positional(value, trim="-") if abs(value) < 1e7 else f"{value:.9g}"
