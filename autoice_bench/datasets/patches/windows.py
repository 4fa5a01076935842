"""Reads planned patches and whole scenes into buffers that the caller owns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from autoice_bench.datasets.patches.geometry import Geometry, Window, cell_indices, count_cells
from autoice_bench.datasets.patches.plan import PatchPlan
from autoice_bench.datasets.readers.pixels import SceneCollection, ScenePixels, TiePoints
from autoice_bench.datasets.store.downscaling import DOWNSCALED_ARRAYS
from autoice_bench.errors import PatchError
from autoice_bench.formats.store_layout import (
    ARRAYS_BY_NAME,
    CELL_ARRAYS,
    CHARTS_ARRAY,
    DISTANCE_ARRAY,
    LATITUDE_ARRAY,
    LONGITUDE_ARRAY,
    SAR_ARRAY,
    TIE_ARRAYS,
    TIE_LINE_ARRAY,
    TIE_SAMPLE_ARRAY,
)
from autoice_bench.scene_id import parse_scene_id

POSITIONS: Final = "positions"
"""Asks for latitude and longitude at the tie points: the arrays of ``TIE_ARRAYS``."""
ARRAYS: Final = (*DOWNSCALED_ARRAYS, *CELL_ARRAYS, POSITIONS)
"""What a dataset can deliver, at full resolution and downscaled."""
DEFAULT_ARRAYS: Final = frozenset({SAR_ARRAY.name, CHARTS_ARRAY.name, *CELL_ARRAYS})

_SCALARS: Final = ("line", "sample", "scene_lines", "scene_samples", "month", "index")

Buffers = Mapping[str, NDArray[Any]]
"""Arrays by name, each with one leading dimension: patches of a batch."""


@dataclass(frozen=True)
class Field:
    """Shape and dtype of one array of one patch."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


@dataclass(frozen=True)
class SceneWindows:
    """Reads windows with everything a network or a loss may want of them.

    Attributes:
        scenes: where the pixels come from.
        geometry: how they lie.
        arrays: which of `ARRAYS` to read.
    """

    scenes: SceneCollection
    geometry: Geometry
    arrays: frozenset[str]

    def __post_init__(self) -> None:
        unknown = sorted(self.arrays - set(ARRAYS))
        if unknown:
            raise PatchError(f"no array {unknown[0]!r}; a scene has {', '.join(ARRAYS)}")

    def fields(
        self, scene_id: str, size: tuple[int, int], tie_shape: tuple[int, int] | None = None
    ) -> dict[str, Field]:
        """Arrays of one window.

        Args:
            scene_id: a scene; all of a store have the same dtypes, but for `distance_map`.
            size: lines and samples of the window.
            tie_shape: tie points along lines and samples, at least the scene's own.
        """
        scene = self.scenes.scene(scene_id)
        step = self.geometry.step
        fields = {name: Field((), np.dtype(np.int64)) for name in _SCALARS}
        for name in ARRAYS:
            if name not in self.arrays:
                continue
            if name == POSITIONS:
                lines, samples = tie_shape or scene.tie_points().latitude.shape
                shapes = ((lines, samples), (lines, samples), (lines,), (samples,))
                for tie_name, shape in zip(TIE_ARRAYS, shapes, strict=True):
                    fields[tie_name] = Field(shape, np.dtype(np.float32))
                continue
            array = ARRAYS_BY_NAME[name]
            channels = (len(array.channels),) if array.channels else ()
            if name in CELL_ARRAYS:
                cells = (count_cells(size[0], step), count_cells(size[1], step))
                fields[name] = Field((*channels, *cells), np.dtype(array.dtypes[0]))
            elif array.required or name in scene:
                fields[name] = Field((*channels, *size), scene.dtype(name))
        return fields

    def read_window(self, scene_id: str, window: Window, index: int = 0) -> dict[str, NDArray[Any]]:
        """One window in fresh arrays, with a leading dimension of one; no charts if it has none."""
        fields = self.fields(scene_id, (window.lines, window.samples))
        arrays = allocate(fields, 1)
        self.read(scene_id, window, index, arrays)
        return arrays

    def read_scene(self, scene_id: str, index: int = 0) -> dict[str, NDArray[Any]]:
        """A whole scene as one window."""
        return self.read_window(scene_id, Window(0, 0, *self.scenes.scene(scene_id).shape), index)

    def read(self, scene_id: str, window: Window, index: int, out: Buffers, at: int = 0) -> None:
        """Read one window.

        Args:
            scene_id: its scene.
            window: where it lies, in pixels of the scenes' resolution.
            index: its number, passed on.
            out: arrays of `fields`, with a leading dimension.
            at: position along that dimension.
        """
        scene = self.scenes.scene(scene_id)
        start = (window.line * self.geometry.step, window.sample * self.geometry.step)
        month = parse_scene_id(scene_id).acquisition_time.month - 1
        scalars = (*start, *scene.shape, month, index)
        for name, value in zip(_SCALARS, scalars, strict=True):
            out[name][at] = value
        for name in self.arrays:
            if name not in out and name != POSITIONS:
                continue  # charts of a scene without labels
            if name == POSITIONS:
                _fill_tie_points(scene.tie_points(), out, at)
            elif name in CELL_ARRAYS:
                lines, samples = (
                    cell_indices(first, size, n_cells, self.geometry)
                    for first, size, n_cells in zip(
                        start, (window.lines, window.samples), scene.n_cells, strict=True
                    )
                )
                scene.read_cells(name, lines, samples, out[name][at])
            else:
                _read_pixels(scene, name, window, out[name][at])


def _read_pixels(scene: ScenePixels, name: str, window: Window, out: NDArray[Any]) -> None:
    """Fill (..., lines, samples), of the scene's dtype or of one that holds its values."""
    stored = scene.dtype(name)
    values = out if stored == out.dtype else np.empty(out.shape, stored)
    scene.read_pixels(name, window.line, window.sample, values)
    if values is not out:
        out[...] = values


def _fill_tie_points(points: TiePoints, out: Buffers, at: int) -> None:
    """Copy tie points; where there are fewer than room, positions go on at infinity."""
    lines, samples = points.latitude.shape
    for array, degrees in ((LATITUDE_ARRAY, points.latitude), (LONGITUDE_ARRAY, points.longitude)):
        room = out[array.name][at]
        room[:lines, :samples] = degrees
        room[lines:, :samples] = degrees[-1]
        room[:, samples:] = room[:, samples - 1 : samples]
    for array, positions in ((TIE_LINE_ARRAY, points.line), (TIE_SAMPLE_ARRAY, points.sample)):
        out[array.name][at, : positions.size] = positions
        out[array.name][at, positions.size :] = np.inf


@dataclass(frozen=True)
class PatchReader:
    """Reads the patches of a plan.

    Attributes:
        windows: reads them.
        plan: decides them.
        patch_size: pixels along a side.
        skipped: scenes that have no eligible window.
    """

    windows: SceneWindows
    plan: PatchPlan
    patch_size: int
    skipped: tuple[str, ...] = ()
    fields: Mapping[str, Field] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        scene_ids = [scene_id for scene_id, _ in self.plan.scenes]
        tie_shape = None
        if POSITIONS in self.windows.arrays:
            shapes = [
                self.windows.scenes.scene(scene_id).tie_points().latitude.shape
                for scene_id in scene_ids
            ]
            tie_shape = (max(shape[0] for shape in shapes), max(shape[1] for shape in shapes))
        size = (self.patch_size, self.patch_size)
        fields = self.windows.fields(scene_ids[0], size, tie_shape)
        if DISTANCE_ARRAY.name in fields:
            # Zones that are not whole numbers are float32; a batch may hold scenes of both kinds.
            scenes = (self.windows.scenes.scene(scene_id) for scene_id in scene_ids)
            dtype = np.result_type(*{scene.dtype(DISTANCE_ARRAY.name) for scene in scenes})
            fields[DISTANCE_ARRAY.name] = Field(fields[DISTANCE_ARRAY.name].shape, dtype)
        object.__setattr__(self, "fields", fields)

    def __len__(self) -> int:
        return len(self.plan)

    def read(self, epoch: int, index: int, out: Buffers, at: int = 0) -> str:
        """Read the patch at `index` of `epoch` into position `at` of the buffers.

        Returns:
            Its scene's id.
        """
        patch = self.plan.draw(epoch, index)
        window = Window(patch.line, patch.sample, self.patch_size, self.patch_size)
        self.windows.read(patch.scene_id, window, index, out, at)
        return patch.scene_id

    def read_batch(self, epoch: int, indices: Iterable[int], out: Buffers) -> list[str]:
        """Read patches into the first positions of the buffers; returns their scenes' ids."""
        return [self.read(epoch, index, out, at) for at, index in enumerate(indices)]


def allocate(fields: Mapping[str, Field], n: int) -> dict[str, NDArray[Any]]:
    """Uninitialised buffers for `n` patches."""
    return {name: np.empty((n, *field.shape), field.dtype) for name, field in fields.items()}
