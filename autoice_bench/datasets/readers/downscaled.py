"""Downscaled scenes in memory: read once, from the store's overviews or from full resolution.

At 800 m the whole training set takes a few GB. Overviews made by `prepare --overviews 10` are read
as they are; otherwise each scene is read in strips and downscaled, with the same values.
"""

from __future__ import annotations

import math
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from autoice_bench.datasets.readers.available_memory import available_bytes
from autoice_bench.datasets.readers.memory import MemoryScene
from autoice_bench.datasets.readers.scene import SceneReader, open_scene_reader
from autoice_bench.datasets.store.downscaling import (
    DOWNSCALED_ARRAYS,
    Downscaling,
    downscale_array,
)
from autoice_bench.datasets.store.overviews import overview_path, overviews_from_attributes
from autoice_bench.datasets.store.root import Store
from autoice_bench.errors import PatchError
from autoice_bench.formats.store_layout import CELL_ARRAYS, INNER_CHUNK
from autoice_bench.wording import format_count, format_size

_STRIP_LINES: Final = 1024
_KEPT_SCENES: Final = 2


class DownscaledScenes:
    """Scenes of a store, all of them in memory.

    Args:
        store: an open store.
        scene_ids: which scenes.
        how: ratio and method.
        arrays: what to read: `sar`, `charts`, `distance_map`, `amsr2`, `era5`, `positions`.
        progress: called with (scenes done, scenes in all).

    Attributes:
        n_bytes: memory that the scenes take.

    Raises:
        PatchError: they would take more memory than there is.
        StoreError: a scene is missing or damaged.
    """

    def __init__(
        self,
        store: Store,
        scene_ids: Sequence[str],
        how: Downscaling,
        arrays: Iterable[str],
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        arrays = frozenset(arrays)
        ids = tuple(dict.fromkeys(scene_ids))
        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as executor:
            readers = list(executor.map(lambda scene_id: open_scene_reader(store, scene_id), ids))
            self.n_bytes = sum(estimate_bytes(reader, how, arrays) for reader in readers)
            _require_memory(self.n_bytes, len(ids), how)
            self._scenes: dict[str, MemoryScene] = {}
            loaded = executor.map(lambda reader: read_downscaled(reader, how, arrays), readers)
            try:
                for scene_id, scene in zip(ids, loaded, strict=True):
                    self._scenes[scene_id] = scene
                    if progress is not None:
                        progress(len(self._scenes), len(ids))
            except BaseException:
                executor.shutdown(cancel_futures=True)
                raise

    def scene(self, scene_id: str) -> MemoryScene:
        """A scene, by its id."""
        return self._scenes[scene_id]


class DownscaledOnDemand:
    """Scenes of a store, read when asked for; the last ones are kept.

    Args:
        store: an open store.
        how: ratio and method.
        arrays: what to read, as for `DownscaledScenes`.
    """

    def __init__(self, store: Store, how: Downscaling, arrays: Iterable[str]) -> None:
        self._store = store
        self._how = how
        self._arrays = frozenset(arrays)
        self._kept: OrderedDict[str, MemoryScene] = OrderedDict()
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type[DownscaledOnDemand], tuple[Any, ...]]:
        return DownscaledOnDemand, (self._store, self._how, self._arrays)

    def scene(self, scene_id: str) -> MemoryScene:
        """Read a scene, or give one that was read just before.

        Raises:
            StoreError: it is missing or damaged.
        """
        with self._lock:
            if scene_id in self._kept:
                self._kept.move_to_end(scene_id)
                return self._kept[scene_id]
        scene = read_downscaled(open_scene_reader(self._store, scene_id), self._how, self._arrays)
        with self._lock:
            self._kept[scene_id] = scene
            while len(self._kept) > _KEPT_SCENES:
                self._kept.popitem(last=False)
        return scene


def read_downscaled(scene: SceneReader, how: Downscaling, arrays: Iterable[str]) -> MemoryScene:
    """Read a scene, from its overview where it has the one asked for.

    Args:
        scene: at full resolution.
        how: ratio and method.
        arrays: what to read; `charts` are left out where the scene has none.

    Raises:
        StoreError: the scene is damaged.
    """
    wanted = frozenset(arrays)
    has_overview = how in overviews_from_attributes(scene.attributes)
    read: dict[str, NDArray[Any]] = {}
    for name in (*DOWNSCALED_ARRAYS, *CELL_ARRAYS):
        if name not in wanted or name not in scene:
            continue
        if name in CELL_ARRAYS:
            read[name] = scene.read_whole(name)
        elif has_overview:
            read[name] = scene.read_whole(overview_path(how.ratio, name))
        else:
            read[name] = _downscale_in_strips(scene, name, how)
    return MemoryScene(
        shape=_downscaled_shape(scene, how),
        n_cells=scene.n_cells,
        arrays=read,
        points=scene.tie_points() if "positions" in wanted else None,
    )


def _downscale_in_strips(scene: SceneReader, name: str, how: Downscaling) -> NDArray[Any]:
    array = scene.array(name)
    lines, samples = scene.shape
    leading = array.shape[:-2]
    values = np.empty((*leading, *_downscaled_shape(scene, how)), array.dtype)
    n_lines = _strip_lines(how.ratio)
    memory = np.empty((*leading, min(n_lines, lines), samples), array.dtype)
    for first in range(0, lines, n_lines):
        strip = memory[..., : min(n_lines, lines - first), :]
        array.read(first, 0, strip)
        part = downscale_array(name, strip, how)
        at = first // how.ratio
        values[..., at : at + part.shape[-2], :] = part
    return values


def _strip_lines(ratio: int) -> int:
    """Lines to read at once: whole blocks, and whole chunks where these are not too many lines."""
    # Strips of whole inner chunks decode none of them twice.
    both = math.lcm(ratio, INNER_CHUNK)
    return both if both <= _STRIP_LINES else ratio * max(1, _STRIP_LINES // ratio)


def _downscaled_shape(scene: SceneReader, how: Downscaling) -> tuple[int, int]:
    lines, samples = scene.shape
    return how.size(lines), how.size(samples)


def estimate_bytes(scene: SceneReader, how: Downscaling, arrays: Iterable[str]) -> int:
    """Memory that a scene's arrays will take, exactly but for its tie points."""
    n_bytes = 0
    for name in arrays:
        if name in (*DOWNSCALED_ARRAYS, *CELL_ARRAYS) and name in scene:
            array = scene.array(name)
            grid = scene.n_cells if name in CELL_ARRAYS else _downscaled_shape(scene, how)
            n_bytes += math.prod((*array.shape[:-2], *grid)) * array.dtype.itemsize
    return n_bytes


def _require_memory(n_bytes: int, n_scenes: int, how: Downscaling) -> None:
    available = available_bytes()
    if available is not None and n_bytes > available:
        raise PatchError(
            f"{format_count(n_scenes, 'scene')} downscaled by {how.ratio} take "
            f"{format_size(n_bytes)} of memory, {format_size(available)} are available; use a "
            "larger downscale, fewer scenes or arrays, or a machine with more memory"
        )
