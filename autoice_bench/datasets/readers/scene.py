"""Windows of a scene: what patches, inference and ``read_window`` read from a store.

A scene is opened from one read of its ``zarr.json``, which holds the metadata of all its arrays; an
array's file is opened at its first window (``readers.arrays``).
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autoice_bench.datasets.readers.arrays import ArrayReader, open_array, read_array
from autoice_bench.datasets.readers.pixels import TiePoints
from autoice_bench.datasets.store.root import Store, open_store
from autoice_bench.errors import StoreError
from autoice_bench.formats.scene_document import SceneDocument, read_scene_document
from autoice_bench.formats.store_layout import (
    AMSR2_ARRAY,
    SAR_ARRAY,
    TIE_ARRAYS,
    VALID_COUNTS_ARRAY,
)


class SceneReader:
    """Reads windows of one scene. Safe in threads and after a fork; can be pickled.

    Attributes:
        scene_id: such as ``20180607T184326_dmi``.
        attributes: the scene's attributes (docs/store.md).
        sha256: of its ``zarr.json``, which holds the digests of its other files.
        shape: lines and samples of the scene, in pixels.
        n_cells: lines and samples of its 2 km grid.
    """

    def __init__(self, path: Path, scene_id: str, document: SceneDocument) -> None:
        self.scene_id = scene_id
        self.attributes = document.attributes
        self.sha256 = hashlib.sha256(document.content).hexdigest()
        self._path = path
        self._metadata = document.metadata
        self._arrays: dict[str, ArrayReader] = {}
        self._tie_points: TiePoints | None = None
        self.shape = self._grid_of(SAR_ARRAY.name)
        self.n_cells = self._grid_of(AMSR2_ARRAY.name)

    def _grid_of(self, name: str) -> tuple[int, int]:
        _, lines, samples = self._metadata[name]["shape"]
        return int(lines), int(samples)

    def __contains__(self, name: str) -> bool:
        return name in self._metadata

    def array(self, name: str) -> ArrayReader:
        """The reader of one array.

        Raises:
            StoreError: the scene does not have it.
        """
        array = self._arrays.get(name)
        if array is None:
            metadata, label = self._describe(name)
            array = self._arrays[name] = open_array(self._path / name, metadata, label)
        return array

    def dims(self, name: str) -> tuple[str, ...]:
        """Names of an array's dimensions."""
        return tuple(self._describe(name)[0]["dimension_names"])

    def channels(self, name: str) -> tuple[str, ...]:
        """Names of an array's channels, in the order in which they are stored."""
        return tuple(self._describe(name)[0]["attributes"]["channels"])

    def read_pixels(self, name: str, line: int, sample: int, out: NDArray[Any]) -> None:
        """Read a window of an array of pixels, such as ``sar`` or ``charts``.

        Args:
            name: the array.
            line, sample: first pixel of the window; may be outside the scene.
            out: filled; dtype and leading dimensions of the array. Pixels outside the scene become
                the array's fill value: 0, in charts and ice types 255.

        Raises:
            StoreError: the scene has no such array, or its file is missing or damaged.
        """
        array = self.array(name)
        in_lines, in_samples = (
            slice(min(max(-start, 0), extent), min(max(size - start, 0), extent))
            for start, extent, size in zip((line, sample), out.shape[-2:], self.shape, strict=True)
        )
        window = out[..., in_lines, in_samples]
        if window.shape != out.shape:
            out[...] = self._metadata[name]["fill_value"]
        if window.size:
            array.read(line + in_lines.start, sample + in_samples.start, window)

    def read_cells(
        self,
        name: str,
        line_indices: NDArray[np.int64],
        sample_indices: NDArray[np.int64],
        out: NDArray[Any],
    ) -> None:
        """Read a window of ``amsr2`` or ``era5``, its edge cells repeated beyond the grid.

        Args:
            name: the array.
            line_indices, sample_indices: cells, each the one before plus 1, but clamped to the grid
                at both ends.
            out: filled; (channels, line indices, sample indices), the array's dtype.

        Raises:
            StoreError: the scene has no such array, or its file is missing or damaged.
        """
        array = self.array(name)
        top, left = int(line_indices[0]), int(sample_indices[0])
        lines, samples = int(line_indices[-1]) - top + 1, int(sample_indices[-1]) - left + 1
        if out.shape[-2:] == (lines, samples):
            array.read(top, left, out)
            return
        window = np.empty((*out.shape[:-2], lines, samples), out.dtype)
        array.read(top, left, window)
        out[...] = window.take(line_indices - top, -2).take(sample_indices - left, -1)

    def read_whole(self, name: str) -> NDArray[Any]:
        """Read a whole array, such as ``valid_counts``.

        Raises:
            StoreError: the scene has no such array, or its file is missing or damaged.
        """
        metadata, label = self._describe(name)
        return read_array(self._path / name, metadata, label)

    def dtype(self, name: str) -> np.dtype[Any]:
        """Dtype of an array.

        Raises:
            StoreError: the scene does not have it.
        """
        return self.array(name).dtype

    def valid_counts(self) -> tuple[NDArray[Any], int] | None:
        """Valid SIC pixels per chunk, and the pixels along a chunk's side; None without charts.

        Raises:
            StoreError: the file is missing or damaged.
        """
        name = VALID_COUNTS_ARRAY.name
        if name not in self:
            return None
        metadata, _ = self._describe(name)
        return self.read_whole(name), int(metadata["attributes"]["chunk_pixels"])

    def tie_points(self) -> TiePoints:
        """Latitudes, longitudes and their positions; read once and kept.

        Raises:
            StoreError: a file is missing or damaged.
        """
        if self._tie_points is None:
            self._tie_points = TiePoints(*map(self.read_whole, TIE_ARRAYS))
        return self._tie_points

    def _describe(self, name: str) -> tuple[dict[str, Any], str]:
        """Metadata of an array, and what errors call it."""
        label = f"scene {self.scene_id}: array {name}"
        if name not in self._metadata:
            raise StoreError(
                f"{label} does not exist in {self._path}; there are: "
                f"{', '.join(sorted(self._metadata))}"
            )
        return self._metadata[name], label


def open_scene_reader(store: Store | Path | str, scene_id: str) -> SceneReader:
    """Open a scene for reading windows.

    Args:
        store: an open store or its path; a path must lead to a complete store.
        scene_id: such as ``20180607T184326_dmi``.

    Raises:
        StoreError: no such store or scene, or the scene's metadata are damaged.
    """
    store = store if isinstance(store, Store) else open_store(store, require_complete=True)
    path = store.scene_path(scene_id)
    try:
        return SceneReader(path, scene_id, read_scene_document(path))
    except (FileNotFoundError, NotADirectoryError):
        raise StoreError(
            f"store {store.path}: no scene {scene_id} among its {len(store.scene_ids())} scenes"
        ) from None


class StoreScenes:
    """The scenes of a store, opened at the first use of each; can be handed to other processes."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._readers: dict[str, SceneReader] = {}

    def scene(self, scene_id: str) -> SceneReader:
        """Open a scene, or give the one already open.

        Raises:
            StoreError: the store has no such scene, or it is damaged.
        """
        reader = self._readers.get(scene_id)
        if reader is None:
            reader = self._readers[scene_id] = open_scene_reader(self._store, scene_id)
        return reader
