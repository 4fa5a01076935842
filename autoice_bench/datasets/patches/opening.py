"""The door of the room: from a store to windows of its scenes, and to the patches of a plan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from autoice_bench.datasets.patches.eligible import find_scene_windows
from autoice_bench.datasets.patches.geometry import Alignment, Geometry
from autoice_bench.datasets.patches.patch_rule import choose_required
from autoice_bench.datasets.patches.plan import PatchPlan
from autoice_bench.datasets.patches.window_cache import open_window_cache
from autoice_bench.datasets.patches.windows import PatchReader, SceneWindows
from autoice_bench.datasets.readers.downscaled import DownscaledOnDemand, DownscaledScenes
from autoice_bench.datasets.readers.pixels import SceneCollection, require_charts
from autoice_bench.datasets.readers.scene import StoreScenes
from autoice_bench.datasets.store.downscaling import DownscaleMethod, Downscaling
from autoice_bench.datasets.store.root import Store, open_store
from autoice_bench.errors import PatchError
from autoice_bench.formats.split_file import read_split
from autoice_bench.formats.store_layout import CHARTS_ARRAY

STUDY_PATCHES_PER_SCENE: Final = 20

_SUBSETS: Final = ("train", "val", "test")


def resolve_scenes(store: Store | Path | str, split: str | Path, subset: str) -> tuple[str, ...]:
    """Scene ids of a split's subset.

    Raises:
        PatchError: no such subset.
        SplitError: no such split.
        StoreError: the store is missing, unfinished or damaged.
    """
    if subset not in _SUBSETS:
        raise PatchError(f"no subset {subset!r} of a split; expected {', '.join(_SUBSETS)}")
    return tuple(getattr(read_split(_open_complete(store).path, split), subset))


def open_windows(
    store: Store | Path | str,
    scene_ids: Sequence[str],
    *,
    arrays: frozenset[str],
    alignment: Alignment = "exact",
    downscale: int = 1,
    downscale_method: DownscaleMethod = "nearest",
    keep: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> SceneWindows:
    """Open scenes to read windows of; the arguments are those of `SceneDataset`.

    Args:
        keep: read all downscaled scenes now, with their charts, and keep them in memory.
        progress: called with (scenes done, scenes in all) meanwhile.

    Raises:
        StoreError: the store is missing, unfinished or damaged.
        PatchError: an array that does not exist, a ratio below 1, too little memory, or, with
            `keep`, a scene without labels.
    """
    store = _open_complete(store)
    # Scenes are opened when they are needed, perhaps after the caller has gone to another folder.
    store = replace(store, path=store.path.absolute())
    if downscale < 1:
        raise PatchError(f"downscale {downscale}: expected a whole ratio of at least 1")
    geometry = Geometry(
        step=downscale,
        centred=downscale_method == "area",
        anchor=store.grid_anchor,
        alignment=alignment,
    )
    windows = SceneWindows(StoreScenes(store), geometry, arrays)
    if downscale == 1:
        return windows
    if keep:
        require_charts(windows.scenes, scene_ids)
    how = Downscaling(downscale, downscale_method)
    scenes: SceneCollection = (
        DownscaledScenes(store, scene_ids, how, arrays | {CHARTS_ARRAY.name}, progress)
        if keep
        else DownscaledOnDemand(store, how, arrays)
    )
    return replace(windows, scenes=scenes)


def open_patches(
    store: Store | Path | str,
    scene_ids: Sequence[str],
    *,
    patch_size: int,
    seed: int,
    arrays: frozenset[str],
    patches_per_scene: int | None = None,
    patches_per_epoch: int | None = None,
    max_masked: float | None = None,
    min_valid: float | None = None,
    min_valid_pixels: int | None = None,
    alignment: Alignment = "exact",
    downscale: int = 1,
    downscale_method: DownscaleMethod = "nearest",
    progress: Callable[[int, int], None] | None = None,
) -> PatchReader:
    """Open scenes to draw patches from; the arguments are those of `PatchDataset`.

    Raises:
        StoreError: the store is missing, unfinished or damaged.
        PatchError: options that contradict each other, or no eligible window.
    """
    if patches_per_scene is not None and patches_per_epoch is not None:
        raise PatchError("patches_per_scene and patches_per_epoch: expected one of them")
    if patch_size < 1:
        raise PatchError(f"patch_size {patch_size}: expected at least 1 pixel")
    if patches_per_scene is None and patches_per_epoch is None:
        patches_per_scene = STUDY_PATCHES_PER_SCENE
    if min(n for n in (patches_per_scene, patches_per_epoch) if n is not None) < 1:
        raise PatchError("patches_per_scene and patches_per_epoch: expected at least 1")
    if seed < 0:
        raise PatchError(f"seed {seed}: expected at least 0")
    if not scene_ids:
        raise PatchError("no scenes to draw patches from; choose a split with training scenes")
    required = choose_required(patch_size, max_masked, min_valid, min_valid_pixels)
    windows = open_windows(
        store,
        scene_ids,
        arrays=arrays,
        alignment=alignment,
        downscale=downscale,
        downscale_method=downscale_method,
        keep=True,
        progress=progress,
    )
    # Looking for windows among scenes in memory takes no time worth telling.
    progress = progress if downscale == 1 else None
    find = open_window_cache(_open_complete(store)).find
    scenes, skipped = find_scene_windows(
        windows.scenes, scene_ids, patch_size, required, progress, find
    )
    plan = PatchPlan(seed, scenes, patches_per_scene or 0, patches_per_epoch or 0)
    return PatchReader(windows, plan, patch_size, skipped)


def _open_complete(store: Store | Path | str) -> Store:
    return open_store(store.path if isinstance(store, Store) else store, require_complete=True)
