"""Patch geometry: windows in a scene, the 2 km cells under them, and which windows may be drawn.

A patch's AMSR2 and ERA5 values stay on the 2 km grid until they are on the device; what is needed
for that is here, for patches and whole scenes alike, so that a patch cut from an upsampled scene
equals the upsampled patch bit for bit. Cell (i, j) covers pixels 25i..25i+24, 25j..25j+24; whether
its value belongs to its centre pixel 25i + 12 or its corner pixel 25i is the store's `grid_anchor`.

Positions are kept as whole numbers of half pixels: the mean of an even number of pixels lies
between two of them, and integers make the same weights everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from autoice_bench.datasets.variables import PIXELS_PER_CELL, GridAnchor
from autoice_bench.errors import PatchError

Alignment = Literal["exact", "starter-kit"]

_ANCHOR_PIXEL: Final[dict[GridAnchor, int]] = {"centre": PIXELS_PER_CELL // 2, "corner": 0}
_BLOCK_LINES: Final = 64
"""Lines of origins whose windows are counted together: their sums stay in the cache."""


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


def count_origins(n_pixels: int, patch_size: int) -> int:
    """Number of places for a patch along an axis; one, padded, where the scene is smaller."""
    return max(n_pixels - patch_size, 0) + 1


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

    The same operations in the same order as on the device (`baselines.features`).

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


def count_required(patch_size: int, *, max_masked: float | None = None,
                   min_valid: float | None = None) -> int:  # fmt: skip
    """Valid pixels that a patch must have, from one of the two published rules.

    Args:
        patch_size: pixels along a side.
        max_masked: largest share of masked pixels (the ASPP study's rule, 0.3).
        min_valid: share that the valid pixels must exceed (its sibling's rule, 0.3).

    Raises:
        PatchError: not exactly one share, or a share outside 0..1.
    """
    if (max_masked is None) == (min_valid is None):
        raise PatchError("a patch rule is either max_masked or min_valid; expected one of them")
    share = max_masked if max_masked is not None else min_valid
    assert share is not None
    if not 0 <= share <= 1:
        name = "min_valid" if max_masked is None else "max_masked"
        raise PatchError(f"{name} {share}: expected a share in 0..1")
    n_pixels = patch_size**2
    exact = Fraction(str(share)) * n_pixels
    if max_masked is not None:
        return n_pixels - int(exact)
    return int(exact) + 1


@dataclass(frozen=True, eq=False)
class EligibleWindows:
    """The origins of a scene's windows that may be drawn, as runs along its lines.

    Attributes:
        line: (runs,) int32, line of a run's origins.
        first_sample: (runs,) int32, sample of its first origin.
        end: (runs,) int64, number of origins up to and including the run.
    """

    line: NDArray[np.int32]
    first_sample: NDArray[np.int32]
    end: NDArray[np.int64]

    def __len__(self) -> int:
        return int(self.end[-1]) if self.end.size else 0

    def __getitem__(self, index: int) -> tuple[int, int]:
        """Line and sample of an origin, counted along lines.

        Raises:
            IndexError: there are not as many.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"origin {index} of {len(self)}")
        run = int(np.searchsorted(self.end, index, side="right"))
        before = int(self.end[run - 1]) if run else 0
        return int(self.line[run]), int(self.first_sample[run]) + index - before

    def shifted(self, line: int, sample: int) -> EligibleWindows:
        """The same windows, counted from a pixel before: their part began at `line`, `sample`."""
        return EligibleWindows(
            self.line + np.int32(line), self.first_sample + np.int32(sample), self.end
        )


NO_WINDOWS: Final = EligibleWindows(
    np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.int64)
)


def find_eligible(valid: NDArray[Any], patch_size: int, min_valid_pixels: int) -> EligibleWindows:
    """Find every window with enough valid pixels, exactly.

    Args:
        valid: (lines, samples) bool, or uint8 of 0 and 1: pixels with a valid SIC.
        patch_size: pixels along a side of the window.
        min_valid_pixels: valid pixels that a window must have.

    Returns:
        The origins of the windows; a scene smaller than the patch has one along that axis, and its
        padding counts as masked.
    """
    n_samples = count_origins(valid.shape[1], patch_size)
    lines, firsts, lengths = [], [], []
    for first_line, sums in _window_sums(valid.view(np.uint8), patch_size):
        inside = np.zeros((len(sums), n_samples + 2), bool)
        np.greater_equal(sums, min_valid_pixels, out=inside[:, 1:-1])
        # Every line begins and ends outside, so its changes are starts and stops in turn.
        changes = np.flatnonzero(inside[:, 1:] != inside[:, :-1])
        line, start = np.divmod(changes[::2], n_samples + 1)
        lines.append((first_line + line).astype(np.int32))
        firsts.append(start.astype(np.int32))
        lengths.append(changes[1::2] - changes[::2])
    return EligibleWindows(
        np.concatenate(lines), np.concatenate(firsts), np.cumsum(np.concatenate(lengths))
    )


def _window_sums(
    valid: NDArray[np.uint8], patch_size: int
) -> Iterator[tuple[int, NDArray[np.int32]]]:
    """Blocks of (lines of origins, samples of origins) int32 sums, with their first line."""
    height, width = valid.shape
    n_lines, n_samples = count_origins(height, patch_size), count_origins(width, patch_size)
    columns = valid[:patch_size].sum(axis=0, dtype=np.int32)
    along = np.zeros((_BLOCK_LINES, width + 1), np.int32)
    for first in range(0, n_lines, _BLOCK_LINES):
        size = min(_BLOCK_LINES, n_lines - first)
        # Column sums of a window one line further down: one line enters, one leaves.
        block = np.empty((size, width), np.int32)
        block[0] = columns
        np.subtract(
            valid[first + patch_size : first + patch_size + size - 1],
            valid[first : first + size - 1],
            out=block[1:],
            dtype=np.int32,
        )
        np.cumsum(block, axis=0, out=block)
        if first + size < n_lines:
            last = first + size - 1
            columns = block[-1] + valid[last + patch_size] - valid[last]
        np.cumsum(block, axis=1, out=along[:size, 1:])
        right = min(patch_size, width)
        yield first, along[:size, right : right + n_samples] - along[:size, :n_samples]
