"""A scene in memory that is read like a scene of a store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autoice_bench.datasets.readers.pixels import TiePoints
from autoice_bench.errors import PatchError
from autoice_bench.formats.store_layout import ARRAYS_BY_NAME


@dataclass(frozen=True, eq=False)
class MemoryScene:
    """One scene in memory, at 80 m or downscaled; reads like a `SceneReader`. Safe in threads.

    Attributes:
        shape: lines and samples, in its own pixels.
        n_cells: lines and samples of its 2 km grid.
        arrays: (..., lines, samples) by name: those of `store_layout.PIXEL_ARRAYS` in its own
            pixels, those of `CELL_ARRAYS` on the 2 km grid, as far as the scene has them and they
            are wanted.
        points: tie points, at positions in 80 m pixels; None unless wanted.
    """

    shape: tuple[int, int]
    n_cells: tuple[int, int]
    arrays: Mapping[str, NDArray[Any]]
    points: TiePoints | None = None

    def __contains__(self, name: str) -> bool:
        return name in self.arrays

    def dtype(self, name: str) -> np.dtype[Any]:
        """Dtype of an array."""
        return self.arrays[name].dtype

    def tie_points(self) -> TiePoints:
        """Latitude and longitude, at positions in 80 m pixels."""
        if self.points is None:
            raise PatchError("positions were not read; ask for the array 'positions'")
        return self.points

    def valid_counts(self) -> None:
        """Not known: a chart in memory can be looked at whole."""

    def read_pixels(self, name: str, line: int, sample: int, out: NDArray[Any]) -> None:
        """Fill (..., lines, samples) from a window; beyond the scene with nodata or 255."""
        values = self.arrays[name]
        # Where the window meets the scene, in pixels of either.
        ends = (line + out.shape[-2], sample + out.shape[-1])
        lines, samples = (
            slice(min(max(start, 0), size), min(max(end, 0), size))
            for start, end, size in zip((line, sample), ends, self.shape, strict=True)
        )
        window = values[..., lines, samples]
        if window.shape != out.shape:
            out[...] = ARRAYS_BY_NAME[name].padding
            top, left = lines.start - line, samples.start - sample
            out = out[..., top : top + window.shape[-2], left : left + window.shape[-1]]
        out[...] = window

    def read_cells(
        self,
        name: str,
        lines: NDArray[np.int64],
        samples: NDArray[np.int64],
        out: NDArray[np.float32],
    ) -> None:
        """Fill (channels, lines, samples) from cells, given by clamped, rising indices."""
        values = self.arrays[name]
        window = values[:, lines[0] : lines[-1] + 1, samples[0] : samples[-1] + 1]
        if window.shape == out.shape:  # no cell twice: a plain copy, several times as fast
            out[...] = window
        else:
            out[...] = values.take(lines, axis=1).take(samples, axis=2)
