"""Patch geometry: windows in a scene, and the 2 km cells under them. Pure arithmetic.

A patch's AMSR2 and ERA5 values stay on the 2 km grid until they are on the device; what is needed
for that is here, for patches and whole scenes alike, so that a patch cut from an upsampled scene
equals the upsampled patch bit for bit. Cell (i, j) covers pixels 25i..25i+24, 25j..25j+24; whether
its value belongs to its centre pixel 25i + 12 or its corner pixel 25i is the store's `grid_anchor`.

Positions are kept as whole numbers of half pixels: the mean of an even number of pixels lies
between two of them, and integers make the same weights everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from autoice_bench.formats.variables import PIXELS_PER_CELL, GridAnchor

Alignment = Literal["exact", "starter-kit"]

_ANCHOR_PIXEL: Final[dict[GridAnchor, int]] = {"centre": PIXELS_PER_CELL // 2, "corner": 0}


@dataclass(frozen=True)
class Window:
    """A rectangle of pixels; it may reach beyond the end of a scene that is smaller.

    Attributes:
        line, sample: its first pixel.
        lines, samples: its size.
    """

    line: int
    sample: int
    lines: int
    samples: int


@dataclass(frozen=True)
class Geometry:
    """How the pixels of a window lie on the scene's 80 m pixels and 2 km cells.

    Attributes:
        step: 80 m pixels from one pixel of the window to the next; 10 after downscaling by 10.
        centred: a pixel stands for the mean of its `step` pixels and lies in their middle, not on
            the first one.
        anchor: the pixel of a cell that its value belongs to.
        alignment: `starter-kit` takes a window's first pixel for the first pixel of its cell, as
            the challenge's starter kit does in training: its 2 km values are shifted by up to 24
            pixels. It exists to measure what that costs.
    """

    step: int = 1
    centred: bool = False
    anchor: GridAnchor = "centre"
    alignment: Alignment = "exact"

    @property
    def anchor_pixel(self) -> int:
        """Pixel of a cell, counted from its first, that its value belongs to."""
        return _ANCHOR_PIXEL[self.anchor]

    @property
    def offset_half_pixels(self) -> int:
        """Where a pixel of the window lies, in half 80 m pixels from the first of its `step`."""
        return self.step - 1 if self.centred else 0

    def aligned_start(self, start: int) -> int:
        """First 80 m pixel of a window, as the 2 km variables see it."""
        if self.alignment == "starter-kit":
            return start // PIXELS_PER_CELL * PIXELS_PER_CELL
        return start


def count_cells(size: int, step: int = 1) -> int:
    """Number of 2 km cells along an axis that always suffice to cover a window.

    Args:
        size: pixels of the window.
        step: 80 m pixels per pixel.
    """
    return -(-size * step // PIXELS_PER_CELL) + 2


def first_cell(start: int, geometry: Geometry) -> int:
    """First cell of a window's fixed-shape 2 km window; -1 is the clamped cell before the first.

    Args:
        start: first 80 m pixel of the window.
        geometry: how its pixels lie.
    """
    return (geometry.aligned_start(start) - geometry.anchor_pixel) // PIXELS_PER_CELL


def cell_indices(start: int, size: int, n_cells: int, geometry: Geometry) -> NDArray[np.int64]:
    """Cells of a window along one axis, clamped to those that exist.

    Args:
        start: first 80 m pixel of the window.
        size: pixels of the window.
        n_cells: cells of the scene along the axis.
        geometry: how the window's pixels lie.

    Returns:
        (count_cells(size, step),) int64, in 0..n_cells - 1.
    """
    cells = first_cell(start, geometry) + np.arange(count_cells(size, geometry.step))
    return np.clip(cells, 0, n_cells - 1)


def cells_under(start: int, extent: int, n_cells: int, margin: int = 0) -> tuple[int, int]:
    """Cells that pixels touch along one axis; the last one stands in where the grid has ended.

    Args:
        start: first 80 m pixel.
        extent: 80 m pixels.
        n_cells: cells of the scene along the axis.
        margin: cells more on each side, where the grid has them.

    Returns:
        The first cell, and the last + 1.
    """
    first = start // PIXELS_PER_CELL - margin
    last = (start + extent - 1) // PIXELS_PER_CELL + margin
    return min(max(first, 0), n_cells - 1), min(last, n_cells - 1) + 1


def linear_weights(
    start: int, size: int, geometry: Geometry
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Where each pixel lies between the anchors of two neighbouring cells of its 2 km window.

    Returns:
        (size,) int64 index `k` of the lower cell in the window, and (size,) float32 weight `w`; the
        value is `v[k] + w * (v[k + 1] - v[k])`.
    """
    half = _half_pixels(start, size, geometry) - 2 * geometry.anchor_pixel
    cell, phase = np.divmod(half, 2 * PIXELS_PER_CELL)
    weight = phase.astype(np.float32) / np.float32(2 * PIXELS_PER_CELL)
    return cell - first_cell(start, geometry), weight


def nearest_cells(start: int, size: int, geometry: Geometry) -> NDArray[np.int64]:
    """Index, in the 2 km window, of the cell that each pixel lies in.

    Returns:
        (size,) int64.
    """
    cell = _half_pixels(start, size, geometry) // (2 * PIXELS_PER_CELL)
    return np.asarray(cell - first_cell(start, geometry))


def _half_pixels(start: int, size: int, geometry: Geometry) -> NDArray[np.int64]:
    """(size,) positions of a window's pixels, in half 80 m pixels from the scene's first."""
    first = 2 * geometry.aligned_start(start) + geometry.offset_half_pixels
    return first + 2 * geometry.step * np.arange(size, dtype=np.int64)


def upsample(
    cells: NDArray[np.float32],
    window: Window,
    geometry: Geometry,
    method: Literal["nearest", "linear"] = "nearest",
) -> NDArray[np.float32]:
    """Bring the 2 km window of a patch to its pixels.

    The same operations in the same order as on the device (`baselines.inputs.features`).

    Args:
        cells: (..., cell lines, cell samples) values at `cell_indices`.
        window: the patch; `line` and `sample` in 80 m pixels, its size in its own.
        geometry: how its pixels lie.
        method: the cell a pixel lies in, or linear between anchors.

    Returns:
        (..., lines, samples) float32.
    """
    if method == "nearest":
        lines = nearest_cells(window.line, window.lines, geometry)
        samples = nearest_cells(window.sample, window.samples, geometry)
        return np.asarray(cells[..., lines[:, None], samples])
    lower, weight = linear_weights(window.line, window.lines, geometry)
    low, high = cells[..., lower, :], cells[..., lower + 1, :]
    rows = low + weight[:, None] * (high - low)
    lower, weight = linear_weights(window.sample, window.samples, geometry)
    low, high = rows[..., lower], rows[..., lower + 1]
    return np.asarray(low + weight * (high - low))
