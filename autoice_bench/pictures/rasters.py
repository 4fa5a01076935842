"""Arrays of a scene made small enough to show, and where they lie. Pure functions.

A full-size scene has six times the pixels of a panel along each side. SAR is averaged over blocks,
which also calms speckle; classes are never mixed: a block shows the pixel in its middle.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from autoice_bench.datasets.patches.geometry import Window, cells_under
from autoice_bench.errors import PictureError
from autoice_bench.formats.variables import PIXELS_PER_CELL, SAR_NODATA

MOST_PIXELS: Final = 1000
"""Most pixels of an array along a side of a panel; panels have about 700."""

_PERCENTILES: Final = (1.0, 99.0)
_SMALLEST_SPAN: Final = 1e-3

Extent = tuple[float, float, float, float]
"""Left, right, bottom and top edge in pixels of the scene, line numbers growing downwards."""


def fit_window(window: Window | None, shape: tuple[int, int]) -> Window:
    """The window to show; the whole scene if none is given.

    Raises:
        PictureError: the window is empty or does not lie in the scene.
    """
    lines, samples = shape
    if window is None:
        return Window(0, 0, lines, samples)
    if min(window.lines, window.samples) < 1:
        raise PictureError(f"window of {window.lines} x {window.samples} pixels; it must hold some")
    if (
        min(window.line, window.sample) < 0
        or window.line + window.lines > lines
        or window.sample + window.samples > samples
    ):
        raise PictureError(
            f"window of {window.lines} x {window.samples} pixels from line {window.line}, sample "
            f"{window.sample} does not lie in the scene's {lines} x {samples}"
        )
    return window


def choose_step(window: Window) -> int:
    """Pixels along the side of a block, so that at most `MOST_PIXELS` blocks are shown."""
    return -(-max(window.lines, window.samples) // MOST_PIXELS)


def cut(values: NDArray[Any], window: Window) -> NDArray[Any]:
    """The window of an array whose last two axes are lines and samples; a view."""
    lines = slice(window.line, window.line + window.lines)
    samples = slice(window.sample, window.sample + window.samples)
    return values[..., lines, samples]


def pick(values: NDArray[Any], step: int) -> NDArray[Any]:
    """The pixel in the middle of each block of `step` x `step`; the last ones may be cut short.

    Args:
        values: (..., lines, samples).
        step: side of a block.

    Returns:
        (..., ceil(lines / step), ceil(samples / step)), a copy.
    """
    lines, samples = (
        np.minimum(np.arange(0, size, step) + step // 2, size - 1) for size in values.shape[-2:]
    )
    return values[..., lines[:, np.newaxis], samples]


def find_valid(sar: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
    """Pixels with SAR: those where any channel is not 0; 0 in one of them is a legal value.

    Args:
        sar: (channels, lines, samples), as stored.

    Returns:
        (lines, samples).
    """
    if sar.dtype == np.float16:
        # On the bits, the sign left out: numpy compares float16 ten times slower.
        bits = np.bitwise_or.reduce(sar.view(np.uint16), axis=0)
        return np.asarray(bits & np.uint16(0x7FFF), np.bool_)
    return np.asarray((sar != SAR_NODATA).any(axis=0), np.bool_)


def block_mean(values: NDArray[Any], valid: NDArray[np.bool_], step: int) -> NDArray[np.float32]:
    """Mean over the valid pixels of each block of `step` x `step`.

    Args:
        values: (lines, samples); 0 where not valid.
        valid: (lines, samples) pixels that count.
        step: side of a block; the last blocks may be cut short.

    Returns:
        (ceil(lines / step), ceil(samples / step)) float32, NaN in blocks without a valid pixel.
    """
    sums, counts = _block_sum(values, step), _block_sum(valid, step)
    means = np.full(sums.shape, np.nan, np.float32)
    return np.divide(sums, counts, out=means, where=counts > 0)


def _block_sum(values: NDArray[Any], step: int) -> NDArray[np.float32]:
    lines, samples = values.shape
    sums = np.empty((-(-lines // step), samples), np.float32)
    for at, row in enumerate(sums):  # a few lines at a time stay in the cache
        values[at * step : (at + 1) * step].astype(np.float32).sum(axis=0, out=row)
    return np.asarray(np.add.reduceat(sums, np.arange(0, samples, step), axis=1), np.float32)


def stretch_limits(values: NDArray[np.floating[Any]]) -> tuple[float, float]:
    """Ends of the colour scale: the 1st and 99th percentile of the finite values.

    Values that are all alike get a scale of 1 around them, no value at all (0, 1).
    """
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0, 1.0
    low, high = (float(limit) for limit in np.percentile(finite, _PERCENTILES))
    if high - low < _SMALLEST_SPAN:
        return (low + high - 1) / 2, (low + high + 1) / 2
    return low, high


def block_extent(window: Window, step: int, shape: tuple[int, ...]) -> Extent:
    """Where an array of `shape` blocks lies; the last blocks may reach beyond the window."""
    lines, samples = shape[-2:]
    return (
        window.sample - 0.5,
        window.sample + samples * step - 0.5,
        window.line + lines * step - 0.5,
        window.line - 0.5,
    )


def cover_cells(window: Window, shape: tuple[int, ...]) -> Window:
    """The 2 km cells that a window touches, clamped to those that exist.

    Args:
        window: pixels.
        shape: (..., lines, samples) of the 2 km grid.
    """
    (top, bottom), (left, right) = (
        cells_under(start, extent, size)
        for start, extent, size in zip(
            (window.line, window.sample), (window.lines, window.samples), shape[-2:], strict=True
        )
    )
    return Window(top, left, bottom - top, right - left)


def cell_extent(cells: Window) -> Extent:
    """Where a window of 2 km cells lies."""
    return (
        cells.sample * PIXELS_PER_CELL - 0.5,
        (cells.sample + cells.samples) * PIXELS_PER_CELL - 0.5,
        (cells.line + cells.lines) * PIXELS_PER_CELL - 0.5,
        cells.line * PIXELS_PER_CELL - 0.5,
    )


def flipped_axes(flip: object) -> tuple[bool, bool]:
    """Whether lines and samples are reversed for display, from the source's attribute `flip`.

    `flip` is an axis for `numpy.flip`, or a list of them. Anything else reverses nothing.
    """
    axes = flip if isinstance(flip, list | tuple) else [flip]
    whole = {axis % 2 for axis in axes if type(axis) is int and -2 <= axis < 2}
    return 0 in whole, 1 in whole


def compute_north(
    latitude: NDArray[np.float64],
    tie_line: NDArray[np.float64],
    tie_sample: NDArray[np.float64],
    window: Window,
) -> tuple[float, float] | None:
    """Direction of north in the middle of a window: a unit vector (along lines, along samples).

    North is where latitude grows fastest. None where the tie points do not tell.
    """
    middle = (window.line + window.lines / 2, window.sample + window.samples / 2)
    slopes: list[float] = []
    nearest = tuple(
        int(np.abs(positions - at).argmin())
        for positions, at in zip((tie_line, tie_sample), middle, strict=True)
    )
    for axis, positions in enumerate((tie_line, tie_sample)):
        at = nearest[axis]
        before, after = max(at - 1, 0), min(at + 1, positions.size - 1)
        distance = positions[after] - positions[before]
        along = np.take(latitude, nearest[1 - axis], axis=1 - axis)
        slope = (along[after] - along[before]) / distance if distance > 0 else 0.0
        slopes.append(float(slope))
    length = math.hypot(*slopes)
    return None if length == 0 else (slopes[0] / length, slopes[1] / length)
