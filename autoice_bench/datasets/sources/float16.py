"""Rounding to float16 that keeps 0 for nodata."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

_SMALLEST_FLOAT16: Final = np.float16(2.0**-24)
_SMALLEST_NORMAL_EXPONENT: Final = -14
_FLOAT16_FRACTION_BITS: Final = 10


def round_to_float16(
    values: NDArray[np.floating],
    out: NDArray[np.floating],
    largest: float = np.inf,
    known_error: float = 0.0,
) -> float:
    """Round to the nearest float16, but never a non-zero value to 0, since 0 is nodata.

    The error is measured by converting back, which costs more than rounding, so it is skipped where
    it cannot exceed what is known: half a unit in the last place of the largest value.

    Args:
        values: floating, finite; what float16 cannot hold must be refused by the caller.
        out: float16, same shape; receives the rounded values.
        largest: largest magnitude in ``values``, where known.
        known_error: largest error of other values of the same scene.

    Returns:
        Largest absolute rounding error, of ``values`` or ``known_error``; NaN or infinity where
        ``values`` are not in range.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        out[...] = values
        magnitude = out.view(np.uint16) & np.uint16(0x7FFF)
        if np.count_nonzero(magnitude) != np.count_nonzero(values != 0):
            vanished = (magnitude == 0) & (values != 0)
            out[vanished] = np.copysign(_SMALLEST_FLOAT16, values[vanished])
        elif _half_unit(largest) <= known_error:
            return known_error
        error = out.astype(values.dtype)
        error -= values
        return float(np.max([error.max(), -error.min(), known_error]))


def _half_unit(value: float) -> float:
    """Half a unit in the last place of a float16 as large as ``value``: its rounding error."""
    if not math.isfinite(value):
        return math.inf
    exponent = max(math.frexp(value)[1] - 1, _SMALLEST_NORMAL_EXPONENT)
    return math.ldexp(1.0, exponent - _FLOAT16_FRACTION_BITS - 1)
