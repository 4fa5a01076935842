"""What every reader of a scene offers: windows of pixels and of 2 km cells, tie points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from autoice_bench.errors import PatchError
from autoice_bench.formats.store_layout import CHARTS_ARRAY


class ScenePixels(Protocol):
    """One scene to read windows from, at 80 m or downscaled."""

    @property
    def shape(self) -> tuple[int, int]:
        """Lines and samples, in its own pixels."""

    @property
    def n_cells(self) -> tuple[int, int]:
        """Lines and samples of the 2 km grid."""

    def __contains__(self, name: str) -> bool:
        """Whether the scene has an array."""

    def dtype(self, name: str) -> np.dtype[Any]:
        """Dtype of an array."""

    def tie_points(self) -> TiePoints:
        """Latitude and longitude, at positions in 80 m pixels."""

    def valid_counts(self) -> tuple[NDArray[Any], int] | None:
        """Valid SIC pixels per chunk, and the pixels along a chunk's side; None if not known."""

    def read_pixels(self, name: str, line: int, sample: int, out: NDArray[Any]) -> None:
        """Fill (..., lines, samples) from a window; beyond the scene with nodata or 255."""

    def read_cells(
        self,
        name: str,
        lines: NDArray[np.int64],
        samples: NDArray[np.int64],
        out: NDArray[np.float32],
    ) -> None:
        """Fill (channels, lines, samples) from cells, given by clamped, rising indices."""


class SceneCollection(Protocol):
    """Scenes by id."""

    def scene(self, scene_id: str) -> ScenePixels:
        """Open a scene, or give the one already open."""


def require_charts(scenes: SceneCollection, scene_ids: Sequence[str]) -> None:
    """Refuse scenes without labels.

    Raises:
        PatchError: a scene has none.
    """
    for scene_id in scene_ids:
        if CHARTS_ARRAY.name not in scenes.scene(scene_id):
            raise PatchError(
                f"scene {scene_id}: has no labels, so no patch can be drawn from it to train on"
            )


@dataclass(frozen=True)
class TiePoints:
    """Where a scene lies.

    Attributes:
        latitude, longitude: (tie_lines, tie_samples) float64, degrees.
        line, sample: (tie_lines,) and (tie_samples,) float64, positions in pixels.
    """

    latitude: NDArray[np.float64]
    longitude: NDArray[np.float64]
    line: NDArray[np.float64]
    sample: NDArray[np.float64]
