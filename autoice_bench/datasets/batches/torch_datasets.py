"""Datasets for torch: patches to train on, whole scenes to predict.

Source: a store (docs/store.md).
Features: SAR as stored, AMSR2 and ERA5 as the 2 km window that covers the patch, charts as uint8,
    distance zones, tie points; docs/patches.md lists shapes and dtypes. `baselines.inputs.features`
    makes network inputs of them, on the device.
Classes: 11 SIC, 6 SOD and 7 FLOE classes; 255 is unlabelled.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence, Sized
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset, Sampler

from autoice_bench.datasets.batches.reader import BatchReader, Mode, batch_indices
from autoice_bench.datasets.patches.geometry import Alignment, Geometry, Window
from autoice_bench.datasets.patches.opening import open_patches, open_windows, resolve_scenes
from autoice_bench.datasets.patches.windows import DEFAULT_ARRAYS, allocate
from autoice_bench.datasets.store.downscaling import DownscaleMethod
from autoice_bench.datasets.store.root import Store
from autoice_bench.errors import PatchError
from autoice_bench.wording import first_line, format_count

Batch = dict[str, Any]
"""Tensors by name with a leading batch dimension, and `scene_id`, a list of str."""


class PatchDataset(Dataset[Batch]):
    """The patches of an epoch, decided by (seed, epoch, index) however they are read.

    Works with an ordinary `torch.utils.data.DataLoader`; `PatchLoader` is faster. A DataLoader's
    workers do not see `set_epoch`: give it `PatchSampler`, whose indices carry the epoch.

    Args:
        store: a complete store, or its path.
        split: name of a split of the store, or its JSON file.
        subset: `train`, `val` or `test`.
        scene_ids: scenes, in place of split and subset.
        patch_size: pixels along a side.
        seed: decides, with epoch and index, every patch.
        patches_per_scene: patches of each scene in an epoch (the ASPP study's 20); or
        patches_per_epoch: patches in an epoch, each of a scene drawn uniformly.
        max_masked: largest share of pixels without a valid SIC (the study's rule, 0.3); or
        min_valid: share that valid pixels must exceed (its sibling's rule); or
        min_valid_pixels: least number of valid pixels.
        arrays: what to read: `sar`, `charts`, `distance_map`, `amsr2`, `era5`, `positions`.
        alignment: `starter-kit` shifts the 2 km window as the challenge's starter kit does.
        downscale: whole ratio of a pixel to 80 m; above 1 the scenes are kept in memory.
        downscale_method: `nearest`, every n-th pixel, or `area`, means.
        progress: called with (scenes done, scenes in all) while eligible windows are found, or
            while downscaled scenes are read.

    Attributes:
        geometry: how the patches' pixels lie; assembling features needs it.
        skipped: scenes without an eligible window.

    Raises:
        PatchError: options that contradict each other, a scene without labels, or no eligible
            window in any scene, or no such subset.
        SplitError: no such split.
        StoreError: the store is missing, unfinished or damaged.
    """

    def __init__(
        self,
        store: Store | Path | str,
        split: str | Path = "official",
        subset: str = "train",
        *,
        scene_ids: Sequence[str] | None = None,
        patch_size: int = 768,
        seed: int = 0,
        patches_per_scene: int | None = None,
        patches_per_epoch: int | None = None,
        max_masked: float | None = None,
        min_valid: float | None = None,
        min_valid_pixels: int | None = None,
        arrays: frozenset[str] | set[str] = DEFAULT_ARRAYS,
        alignment: Alignment = "exact",
        downscale: int = 1,
        downscale_method: DownscaleMethod = "nearest",
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self.reader = open_patches(
            store,
            resolve_scenes(store, split, subset) if scene_ids is None else scene_ids,
            patch_size=patch_size,
            seed=seed,
            patches_per_scene=patches_per_scene,
            patches_per_epoch=patches_per_epoch,
            max_masked=max_masked,
            min_valid=min_valid,
            min_valid_pixels=min_valid_pixels,
            arrays=frozenset(arrays),
            alignment=alignment,
            downscale=downscale,
            downscale_method=downscale_method,
            progress=progress,
        )
        self._epoch = 0
        chosen = f"{split}, {subset}" if scene_ids is None else "chosen scenes"
        self._origin = f"{os.fspath(store)} ({chosen})"

    def __repr__(self) -> str:
        reader = self.reader
        arrays = ", ".join(sorted(reader.windows.arrays))
        return (
            f"<PatchDataset: {format_count(len(self), 'patch', 'patches')} an epoch of "
            f"{reader.patch_size} x {reader.patch_size} pixels from "
            f"{format_count(len(reader.plan.scenes), 'scene')} of {self._origin}; {arrays}>"
        )

    @property
    def geometry(self) -> Geometry:
        return self.reader.windows.geometry

    @property
    def skipped(self) -> tuple[str, ...]:
        return self.reader.skipped

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that index 0 begins."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self.reader)

    def __iter__(self) -> Iterator[Batch]:
        """The patches of one epoch; indices alone have no end."""
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> Batch:
        """Read a patch; an index beyond the epoch's end goes on in the next one."""
        if index < 0:
            raise IndexError(f"patch {index}; expected 0 or more")
        epochs, index = divmod(index, len(self))
        arrays = allocate(self.reader.fields, 1)
        scene_id = self.reader.read(self._epoch + epochs, index, arrays)
        return {
            **{name: torch.from_numpy(values)[0] for name, values in arrays.items()},
            "scene_id": scene_id,
        }


class PatchSampler(Sampler[int]):
    """Indices of one epoch for a DataLoader, each rank its own; may begin at any step.

    Args:
        dataset: the patches.
        epoch: from 0; each epoch needs its own sampler, or `set_epoch`.
        batch_size: patches per batch and rank, so that ranks and steps cut as `PatchLoader` does.
        start_step: batches to pass over.
        rank, world_size: this process among those that share the epoch.
    """

    def __init__(
        self,
        dataset: Sized,
        epoch: int = 0,
        *,
        batch_size: int = 1,
        start_step: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self._n_patches = len(dataset)
        self._epoch = epoch
        self._batch_size = batch_size
        self._start_step = start_step
        self._rank, self._world_size = rank, world_size
        self._n_steps = self._n_patches // (batch_size * world_size)

    def set_epoch(self, epoch: int, start_step: int = 0) -> None:
        """Choose the epoch to give next."""
        self._epoch, self._start_step = epoch, start_step

    def __len__(self) -> int:
        return max(self._n_steps - self._start_step, 0) * self._batch_size

    def __iter__(self) -> Iterator[int]:
        begin = self._epoch * self._n_patches
        for step in range(self._start_step, self._n_steps):
            indices = batch_indices(step, self._batch_size, self._rank, self._world_size)
            yield from (begin + index for index in indices)


class PatchLoader:
    """Batches of a `PatchDataset`, read ahead into buffers that are used again.

    On a CUDA device the buffers are pinned, copied asynchronously, and not used again before their
    copy is done. Elsewhere the tensors are views of the buffers: a batch is valid until the
    batch after the next is asked for.

    Args:
        dataset: the patches.
        batch_size: patches per batch and rank.
        workers: reading processes (or threads); 0 reads in this one.
        device: where the tensors go.
        mode: `process` or `thread`; by default threads where the scenes are in memory.
        rank, world_size: this process among those that share the epochs.

    Raises:
        PatchError: an epoch does not fill one batch, the batches do not fit in memory, the device
            cannot be used, or an argument is out of its range.
    """

    def __init__(
        self,
        dataset: PatchDataset,
        batch_size: int,
        *,
        workers: int = 2,
        device: torch.device | str = "cpu",
        mode: Mode | None = None,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self._device = _require_device(device)
        self._batches = BatchReader(
            dataset.reader,
            batch_size,
            workers=workers,
            mode=mode or ("thread" if dataset.geometry.step > 1 else "process"),
            rank=rank,
            world_size=world_size,
        )
        self._how = f"{format_count(workers, 'worker')}, {self._device}"
        self._batch_size = batch_size
        self._next_epoch = 0
        self._copied: dict[int, Any] = {}
        self._pinned = self._device.type == "cuda" and _pin(self._batches.ring.memory)

    def __len__(self) -> int:
        """Batches in an epoch."""
        return len(self._batches)

    def __iter__(self) -> Iterator[Batch]:
        """The batches of the next epoch: of epoch 0 at the first ``for``, then 1, and so on."""
        epoch, self._next_epoch = self._next_epoch, self._next_epoch + 1
        return self.epoch(epoch)

    def __repr__(self) -> str:
        batches = format_count(len(self), "batch", "batches")
        patches = format_count(self._batch_size, "patch", "patches")
        return f"<PatchLoader: {batches} an epoch of {patches}, {self._how}>"

    def epoch(self, epoch: int, start_step: int = 0) -> Iterator[Batch]:
        """The batches of an epoch, from `start_step` on.

        Raises:
            StoreError: a scene is damaged.
            PatchError: a reading process died, the loader is closed, or, in an iterator that is
                asked for more, another epoch was begun meanwhile.
        """
        for batch in self._batches.epoch(epoch, start_step, self._wait_for_copy):
            tensors = {
                name: torch.from_numpy(values).to(self._device, non_blocking=self._pinned)
                for name, values in batch.arrays.items()
            }
            if self._device.type == "cuda":
                copied = torch.cuda.Event()
                copied.record(torch.cuda.current_stream(self._device))
                self._copied[batch.slot] = copied
            yield {**tensors, "scene_id": batch.scene_ids}

    def _wait_for_copy(self, slot: int) -> None:
        copied = self._copied.pop(slot, None)
        if copied is not None:
            copied.synchronize()

    def close(self) -> None:
        """End the reading processes and give the buffers back."""
        for slot in list(self._copied):
            self._wait_for_copy(slot)
        if self._pinned:
            torch.cuda.cudart().cudaHostUnregister(self._batches.ring.memory.ctypes.data)
            self._pinned = False
        self._batches.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _pin(memory: Any) -> bool:
    """Pin memory that is shared with other processes; False where the driver refuses."""
    status = torch.cuda.cudart().cudaHostRegister(memory.ctypes.data, memory.nbytes, 0)
    return int(status) == 0


class SceneDataset(Dataset[Batch]):
    """Whole scenes, for validation and inference: batches of one.

    Args:
        store: a complete store, or its path.
        scene_ids: which scenes; None for those of a split's subset.
        split, subset: as in `PatchDataset`; the test scenes of the official split.
        arrays: what to read; `charts` are left out for scenes without labels.
        alignment, downscale, downscale_method: as in `PatchDataset`.

    Attributes:
        geometry: how the pixels lie.
        scene_ids: the scenes.

    Raises:
        StoreError: the store is missing, unfinished or damaged.
        PatchError: options that contradict each other, or no such subset.
        SplitError: no such split.
    """

    def __init__(
        self,
        store: Store | Path | str,
        scene_ids: Sequence[str] | None = None,
        *,
        split: str | Path = "official",
        subset: str = "test",
        arrays: frozenset[str] | set[str] = DEFAULT_ARRAYS,
        alignment: Alignment = "exact",
        downscale: int = 1,
        downscale_method: DownscaleMethod = "nearest",
    ) -> None:
        if scene_ids is None:
            scene_ids = resolve_scenes(store, split, subset)
        self.scene_ids = tuple(scene_ids)
        self._origin = os.fspath(store)
        self._windows = open_windows(
            store,
            self.scene_ids,
            arrays=frozenset(arrays),
            alignment=alignment,
            downscale=downscale,
            downscale_method=downscale_method,
        )

    @property
    def geometry(self) -> Geometry:
        return self._windows.geometry

    def __repr__(self) -> str:
        arrays = ", ".join(sorted(self._windows.arrays))
        scenes = format_count(len(self), "scene")
        return f"<SceneDataset: {scenes} of {self._origin}; {arrays}>"

    def __len__(self) -> int:
        return len(self.scene_ids)

    def __iter__(self) -> Iterator[Batch]:
        """The scenes, one after the other."""
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> Batch:
        if not -len(self) <= index < len(self):
            raise IndexError(f"scene {index}; there are {len(self)}")
        scene_id = self.scene_ids[index]
        arrays = self._windows.read_scene(scene_id, index)
        return _make_batch(scene_id, arrays)

    def window(self, index: int, window: Window) -> Batch:
        """Part of a scene, for one that does not fit in memory."""
        scene_id = self.scene_ids[index]
        arrays = self._windows.read_window(scene_id, window, index)
        return _make_batch(scene_id, arrays)


def _make_batch(scene_id: str, arrays: Mapping[str, NDArray[Any]]) -> Batch:
    """A batch of one scene, or of one window of it."""
    tensors = {name: torch.from_numpy(values) for name, values in arrays.items()}
    return {**tensors, "scene_id": [scene_id]}


def _require_device(device: torch.device | str) -> torch.device:
    try:
        torch.empty(0, device=device)
    # torch says what it misses by any of these, at length.
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise PatchError(f"device {str(device)!r} cannot be used: {first_line(error)}") from error
    return torch.device(device)
