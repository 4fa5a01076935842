"""Tiles: how a scene too large for one forward pass is cut, and how the pieces are put together.

Pure geometry. Origins and sizes are multiples of 32, so that a network that halves its maps up to
five times sees every tile on the grid it sees the whole scene on. Next to a cut, the outer quarter
of the overlap counts nothing, for there a network has met the tile's edge instead of the scene; the
middle half passes smoothly from one tile to the next. A network that sees at most a quarter of the
overlap to either side therefore predicts from tiles what it predicts from the whole scene.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from autoice_bench.datasets.patches.geometry import Window
from autoice_bench.errors import BaselineError

MULTIPLE: Final = 32
"""Tiles start at multiples of this, and inputs are padded to multiples of it."""


@dataclass(frozen=True)
class Tiling:
    """How scenes are cut.

    Attributes:
        size: pixels along a side of a tile.
        overlap: pixels that neighbouring tiles share at least.

    Raises:
        BaselineError: sizes that do not fit the grid of 32 pixels or each other.
    """

    size: int
    overlap: int

    def __post_init__(self) -> None:
        if self.size < MULTIPLE or self.size % MULTIPLE:
            raise BaselineError(
                f"tile {self.size}: expected a multiple of {MULTIPLE} pixels, such as 768"
            )
        if self.overlap % MULTIPLE or not 0 <= self.overlap < self.size:
            raise BaselineError(
                f"overlap {self.overlap} of tiles of {self.size}: expected a multiple of "
                f"{MULTIPLE} from 0 to {self.size - MULTIPLE}"
            )


def pad_size(n_pixels: int) -> int:
    """The next multiple of 32."""
    return -(-n_pixels // MULTIPLE) * MULTIPLE


def find_starts(n_pixels: int, tiling: Tiling) -> tuple[int, ...]:
    """First pixels of the tiles along one axis.

    The last tile ends where the padded axis ends, so it may overlap its neighbour by more.

    Args:
        n_pixels: pixels along the axis.
        tiling: how to cut.

    Returns:
        Increasing multiples of 32; one, 0, where a tile holds the whole axis.
    """
    last = max(pad_size(n_pixels) - tiling.size, 0)
    return (*range(0, last, tiling.size - tiling.overlap), last)


def find_tiles(lines: int, samples: int, tiling: Tiling) -> Iterator[tuple[Window, ...]]:
    """Rows of tiles that cover a scene, from its first line to its last.

    Args:
        lines, samples: pixels of the scene.
        tiling: how to cut.

    Yields:
        The tiles of one row. All have the same size: that of the tiling or, along an axis that one
        tile holds, of the padded scene.
    """
    height, width = (min(tiling.size, pad_size(size)) for size in (lines, samples))
    for line in find_starts(lines, tiling):
        yield tuple(Window(line, sample, height, width) for sample in find_starts(samples, tiling))


def blending_weights(n_pixels: int, tiling: Tiling) -> tuple[NDArray[np.float32], ...]:
    """Weight of every pixel of every tile along one axis; a tile's is the product of both axes'.

    Args:
        n_pixels: pixels along the axis.
        tiling: how to cut.

    Returns:
        One (tile pixels,) float32 per tile of `find_starts`. Over the tiles that hold it, a pixel's
        weights sum to 1.
    """
    padded = pad_size(n_pixels)
    size = min(tiling.size, padded)
    starts = find_starts(n_pixels, tiling)
    rising = _rising_weights(size, tiling.overlap)
    weights = [np.ones(size) for _ in starts]
    for left, right in pairwise(range(len(starts))):
        weights[left] *= rising[::-1]
        weights[right] *= rising
    total = np.zeros(padded)
    for start, weight in zip(starts, weights, strict=True):
        total[start : start + size] += weight
    return tuple(
        (weight / total[start : start + size]).astype(np.float32)
        for start, weight in zip(starts, weights, strict=True)
    )


def _rising_weights(size: int, overlap: int) -> NDArray[np.float64]:
    """0 in the first quarter of the overlap, then half a cosine wave up to 1 in the next half."""
    position = (np.arange(size) + 0.5 - overlap / 4) / max(overlap / 2, 1e-9)
    return np.asarray(np.sin(np.clip(position, 0, 1) * np.pi / 2) ** 2)
