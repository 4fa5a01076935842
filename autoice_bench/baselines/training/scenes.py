"""Validation scenes: whole, padded, read one ahead, kept in memory where they fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Protocol

import torch
from torch import Tensor

from autoice_bench.baselines.inference.tiles import pad_size
from autoice_bench.datasets.patches.geometry import Window
from autoice_bench.datasets.patches.windows import SceneWindows

KEPT_BYTES: Final = 1 << 30
"""Validation scenes are kept in memory up to this size: all of them where they are downscaled."""


class Scenes(Protocol):
    """Whole scenes as batches of one, such as ``PaddedScenes`` or a ``SceneDataset``."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Mapping[str, Any]: ...


class PaddedScenes:
    """Whole scenes of a store, padded with nodata to the size that prediction pads them to.

    Args:
        windows: reads the scenes.
        scene_ids: which.
    """

    def __init__(self, windows: SceneWindows, scene_ids: Sequence[str]) -> None:
        self._windows = windows
        self._scene_ids = tuple(scene_ids)

    def __len__(self) -> int:
        return len(self._scene_ids)

    def __getitem__(self, index: int) -> dict[str, Any]:
        scene_id = self._scene_ids[index]
        lines, samples = self._windows.scenes.scene(scene_id).shape
        window = Window(0, 0, pad_size(lines), pad_size(samples))
        arrays = self._windows.read_window(scene_id, window, index)
        tensors = {name: torch.from_numpy(values) for name, values in arrays.items()}
        return {**tensors, "scene_id": [scene_id]}


class ValidationScenes:
    """Reads scenes one ahead of their use, and keeps the first of them in memory.

    Args:
        scenes: the scenes of this process.
        kept_bytes: most memory for what is kept from one validation to the next.
    """

    def __init__(self, scenes: Scenes, kept_bytes: int = KEPT_BYTES) -> None:
        self._scenes = scenes
        self._free_bytes = kept_bytes
        self._kept: dict[int, Mapping[str, Any]] = {}

    def __len__(self) -> int:
        return len(self._scenes)

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        # One ahead and no more: a scene at 80 m with its channels is several hundred megabytes.
        with ThreadPoolExecutor(1) as reader:
            ahead = reader.submit(self._read, 0) if len(self) else None
            for following in range(1, len(self) + 1):
                assert ahead is not None
                scene = ahead.result()
                ahead = reader.submit(self._read, following) if following < len(self) else None
                yield scene

    def _read(self, index: int) -> Mapping[str, Any]:
        if index in self._kept:
            return self._kept[index]
        scene = self._scenes[index]
        n_bytes = sum(value.nbytes for value in scene.values() if isinstance(value, Tensor))
        if n_bytes <= self._free_bytes:
            self._free_bytes -= n_bytes
            self._kept[index] = scene
        return scene


def share_scenes(scene_ids: Sequence[str], rank: int, world_size: int) -> tuple[str, ...]:
    """The scenes that one of ``world_size`` processes validates on."""
    return tuple(scene_ids[rank::world_size])
