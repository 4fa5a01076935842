"""What a predicted chart of another shape than the truth seems to be."""

from __future__ import annotations

from typing import Final

from autoice_bench.formats.variables import PIXEL_SPACING_M, PIXELS_PER_CELL
from autoice_bench.wording import format_count

_COARSER: Final = (2, 5, 10, PIXELS_PER_CELL)
"""80 m pixels along a side of a pixel of the grids that people predict on; 10 are 800 m."""
_FINER: Final = 2
"""Pixels of the raw scene along a side of an 80 m pixel."""


def describe_shape(found: tuple[int, ...], expected: tuple[int, ...]) -> str:
    """What a chart of another shape seems to be, and what to do; nothing where it tells nothing.

    Args:
        found: the prediction's shape.
        expected: (lines, samples) of the truth.

    Returns:
        The end of a message, or an empty text.
    """
    if found == expected[::-1]:
        return ": it seems transposed; write (lines, samples)"
    if len(found) > 2 and tuple(size for size in found if size > 1) == expected:
        return ": write it without the axes of length 1"
    if len(found) != 2:
        return f": it has {format_count(len(found), 'dimension')}; write (lines, samples)"
    for ratio in _COARSER:
        if all(
            ours in (size // ratio, -(-size // ratio))
            for ours, size in zip(found, expected, strict=True)
        ):
            return (
                f": it seems to be at {ratio * PIXEL_SPACING_M} m; repeat each pixel {ratio} times "
                f"along both axes to bring it to {PIXEL_SPACING_M} m"
            )
    if all(ours // _FINER == size for ours, size in zip(found, expected, strict=True)):
        return f": it seems to be at {PIXEL_SPACING_M // _FINER} m; take every second pixel"
    return ""
