"""A scene in memory that is read like one of a store, for predicting without one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from autoice_bench.charts import FILL_VALUE
from autoice_bench.datasets.scenes import SceneArrays
from autoice_bench.datasets.window_reader import TiePoints
from autoice_bench.errors import SceneError

_FILLS = {"sar": 0, "distance_map": 0, "charts": FILL_VALUE}


class ArrayScene:
    """Windows of a scene's arrays, with the values that a store would keep.

    Args:
        arrays: the scene, in the store's dtypes.
    """

    def __init__(self, arrays: SceneArrays) -> None:
        self.scene_id = arrays.scene_id
        self._pixels: dict[str, NDArray[Any]] = {
            "sar": arrays.sar,
            "distance_map": arrays.distance_map,
        }
        if arrays.charts is not None:
            self._pixels["charts"] = arrays.charts
        self._cells: dict[str, NDArray[np.float32]] = {"amsr2": arrays.amsr2, "era5": arrays.era5}
        self._tie_points = TiePoints(
            arrays.latitude, arrays.longitude, arrays.tie_line, arrays.tie_sample
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Lines and samples."""
        _, lines, samples = self._pixels["sar"].shape
        return lines, samples

    @property
    def n_cells(self) -> tuple[int, int]:
        """Lines and samples of the 2 km grid."""
        _, lines, samples = self._cells["amsr2"].shape
        return lines, samples

    def __contains__(self, name: str) -> bool:
        return name in self._pixels or name in self._cells

    def dtype(self, name: str) -> np.dtype[Any]:
        return {**self._pixels, **self._cells}[name].dtype

    def tie_points(self) -> TiePoints:
        return self._tie_points

    def valid_counts(self) -> None:
        return None

    def read_pixels(self, name: str, line: int, sample: int, out: NDArray[Any]) -> None:
        """Fill (..., lines, samples) from a window; beyond the scene with nodata or 255."""
        out[...] = _FILLS[name]
        pixels = self._pixels[name]
        lines, samples = (
            slice(max(start, 0), min(start + extent, size))
            for start, extent, size in zip((line, sample), out.shape[-2:], self.shape, strict=True)
        )
        window = pixels[..., lines, samples]
        if window.size:
            top, left = lines.start - line, samples.start - sample
            out[..., top : top + window.shape[-2], left : left + window.shape[-1]] = window

    def read_cells(
        self,
        name: str,
        lines: NDArray[np.int64],
        samples: NDArray[np.int64],
        out: NDArray[np.float32],
    ) -> None:
        """Fill (channels, lines, samples) from cells."""
        out[...] = self._cells[name][:, lines[:, None], samples]


class ArrayScenes:
    """Scenes in memory by id."""

    def __init__(self, *scenes: ArrayScene) -> None:
        self._scenes = {scene.scene_id: scene for scene in scenes}

    def scene(self, scene_id: str) -> ArrayScene:
        """A scene.

        Raises:
            SceneError: it is not among them.
        """
        if scene_id not in self._scenes:
            raise SceneError(f"scene {scene_id}: not among the {len(self._scenes)} in memory")
        return self._scenes[scene_id]
