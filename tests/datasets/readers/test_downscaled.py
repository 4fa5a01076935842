"""Downscaled scenes in memory: the same from overviews and from full resolution; their patches."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from autoice_bench.baselines.inputs.features import FeatureAssembler, Features, parse_features
from autoice_bench.datasets.batches.torch_datasets import PatchDataset, PatchLoader, SceneDataset
from autoice_bench.datasets.patches.windows import ARRAYS
from autoice_bench.datasets.prepare.prepare import prepare
from autoice_bench.datasets.readers import downscaled as downscaled_scenes
from autoice_bench.datasets.readers.downscaled import (
    DownscaledOnDemand,
    DownscaledScenes,
    estimate_bytes,
    read_downscaled,
)
from autoice_bench.datasets.readers.memory import MemoryScene
from autoice_bench.datasets.readers.scene import open_scene_reader
from autoice_bench.datasets.store.downscaling import (
    DOWNSCALED_ARRAYS,
    DownscaleMethod,
    Downscaling,
    downscale_array,
)
from autoice_bench.datasets.store.root import Store, open_store
from autoice_bench.errors import PatchError
from autoice_bench.formats.variables import PIXELS_PER_CELL

METHODS: tuple[DownscaleMethod, ...] = ("nearest", "area")
PATCH = 12


@pytest.fixture(scope="module")
def store(prepared_store: Path) -> Store:
    return open_store(prepared_store)


@pytest.fixture(scope="module")
def store_with_overviews(rtt_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    path = tmp_path_factory.mktemp("overviews") / "autoice.zarr"
    overviews = (Downscaling(10), Downscaling(7, "area"))
    return prepare(rtt_source, path, workers=1, overviews=overviews).store


def labelled_ids(store: Store) -> tuple[str, ...]:
    return store.scene_ids()


def assert_same_scene(one: MemoryScene, other: MemoryScene) -> None:
    assert (one.shape, one.n_cells) == (other.shape, other.n_cells)
    assert one.arrays.keys() == other.arrays.keys()
    for name, values in one.arrays.items():
        assert values.dtype == other.arrays[name].dtype
        np.testing.assert_array_equal(values, other.arrays[name])


# --- reading scenes


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("ratio", [7, 10, 400])
def test_scene_holds_its_arrays_downscaled(
    store: Store, ratio: int, method: DownscaleMethod
) -> None:
    how = Downscaling(ratio, method)
    reader = open_scene_reader(store, store.scene_ids()[0])
    scene = read_downscaled(reader, how, ARRAYS)
    assert scene.shape == (-(-300 // ratio), -(-327 // ratio))
    for name in DOWNSCALED_ARRAYS:
        expected = downscale_array(name, reader.read_whole(name), how)
        np.testing.assert_array_equal(scene.arrays[name], expected)
        assert scene.dtype(name) == expected.dtype
    for name in ("amsr2", "era5"):
        np.testing.assert_array_equal(scene.arrays[name], reader.read_whole(name))
    assert scene.tie_points().latitude.shape == (21, 21)


@pytest.mark.parametrize("ratio", [3, 10, 128])
def test_strips_of_any_size_give_the_same(
    store: Store, ratio: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = open_scene_reader(store, store.scene_ids()[1])
    how = Downscaling(ratio, "area")
    whole = read_downscaled(reader, how, DOWNSCALED_ARRAYS)
    monkeypatch.setattr(downscaled_scenes, "_STRIP_LINES", 40)
    assert_same_scene(read_downscaled(reader, how, DOWNSCALED_ARRAYS), whole)


@pytest.mark.parametrize("how", [Downscaling(10), Downscaling(7, "area")])
def test_overviews_give_the_scenes_of_full_resolution(
    store: Store, store_with_overviews: Store, how: Downscaling
) -> None:
    ids = store.scene_ids()
    full = DownscaledScenes(store, ids, how, ARRAYS)
    stored = DownscaledScenes(store_with_overviews, ids, how, ARRAYS)
    for scene_id in ids:
        assert_same_scene(stored.scene(scene_id), full.scene(scene_id))


def test_only_the_overview_is_read(store_with_overviews: Store, tmp_path: Path) -> None:
    path = tmp_path / "s.zarr"
    shutil.copytree(store_with_overviews.path, path)
    for name in DOWNSCALED_ARRAYS:
        for shard in path.glob(f"scenes/*/{name}/c"):
            shutil.rmtree(shard)
    store = open_store(path)
    scenes = DownscaledScenes(store, store.scene_ids(), Downscaling(10), DOWNSCALED_ARRAYS)
    assert scenes.n_bytes == 6 * 30 * 33 * (3 * 2 + 3 + 1)


def test_another_method_is_not_taken_from_the_overview(
    store: Store, store_with_overviews: Store
) -> None:
    how = Downscaling(10, "area")
    scene_id = store.scene_ids()[0]
    one, other = (
        read_downscaled(open_scene_reader(where, scene_id), how, DOWNSCALED_ARRAYS)
        for where in (store, store_with_overviews)
    )
    assert_same_scene(one, other)


def test_memory_is_estimated_and_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    ids, how = store.scene_ids(), Downscaling(10)
    reader = open_scene_reader(store, ids[0])
    scene = read_downscaled(reader, how, ARRAYS)
    assert estimate_bytes(reader, how, ARRAYS) == sum(a.nbytes for a in scene.arrays.values())
    monkeypatch.setattr(downscaled_scenes, "available_bytes", lambda: 1000)
    with pytest.raises(PatchError, match=r"6 scenes downscaled by 10 take .* MB of memory"):
        DownscaledScenes(store, ids, how, ARRAYS)
    monkeypatch.setattr(downscaled_scenes, "available_bytes", lambda: None)
    progress: list[tuple[int, int]] = []
    DownscaledScenes(store, ids, how, ["sar"], lambda done, n: progress.append((done, n)))
    assert progress == [(k, 6) for k in range(1, 7)]


def test_scenes_on_demand_are_the_same_and_can_be_pickled(store: Store) -> None:
    how = Downscaling(10)
    scenes = DownscaledOnDemand(store, how, ARRAYS)
    copied = pickle.loads(pickle.dumps(scenes))
    for scene_id in store.scene_ids():
        scene = scenes.scene(scene_id)
        assert scenes.scene(scene_id) is scene
        assert_same_scene(copied.scene(scene_id), scene)


def test_scenes_without_labels_have_no_charts(tmp_path: Path, rtt_source: Path) -> None:
    source = tmp_path / "rtt"
    shutil.copytree(rtt_source, source)
    for path in source.rglob("*_reference.nc"):
        path.unlink()
    store = prepare(source, tmp_path / "s.zarr", workers=1, overviews=[Downscaling(10)]).store
    test_ids = [path.name.removesuffix("_prep.nc") for path in (source / "test").rglob("*_prep.nc")]
    for how in (Downscaling(10), Downscaling(9)):
        scene = DownscaledScenes(store, test_ids, how, ARRAYS).scene(test_ids[0])
        assert "charts" not in scene
        assert "sar" in scene
    with pytest.raises(PatchError, match="has no labels"):
        open_patches(store, "nearest")


@pytest.mark.parametrize(
    ("line", "sample", "inside"),
    [
        (0, 0, (slice(0, 8), slice(0, 8))),
        (25, 30, (slice(0, 5), slice(0, 3))),
        (-3, -2, (slice(3, 8), slice(2, 8))),
        (100, 100, (slice(0, 0), slice(0, 0))),
        (-20, 0, (slice(0, 0), slice(0, 8))),
    ],
)
def test_windows_beyond_the_scene_are_filled(
    store: Store, line: int, sample: int, inside: tuple[slice, slice]
) -> None:
    reader = open_scene_reader(store, store.scene_ids()[0])
    scene = read_downscaled(reader, Downscaling(10), DOWNSCALED_ARRAYS)
    for name, fill in (("sar", 0), ("charts", 255), ("distance_map", 0)):
        values = scene.arrays[name]
        out = np.full((*values.shape[:-2], 8, 8), 77, values.dtype)
        scene.read_pixels(name, line, sample, out)
        expected = np.full_like(out, fill)
        part = expected[..., inside[0], inside[1]]
        top, left = max(line, 0), max(sample, 0)
        part[...] = values[..., top : top + part.shape[-2], left : left + part.shape[-1]]
        np.testing.assert_array_equal(out, expected)


# --- patches


def open_patches(store: Store, method: DownscaleMethod, ratio: int = 10) -> PatchDataset:
    return PatchDataset(
        store,
        scene_ids=store.scene_ids(),
        patch_size=PATCH,
        patches_per_epoch=16,
        min_valid_pixels=2,
        seed=3,
        arrays=frozenset(ARRAYS),
        downscale=ratio,
        downscale_method=method,
    )


@pytest.mark.parametrize("method", METHODS)
def test_patches_are_slices_of_scenes(
    store: Store, store_with_overviews: Store, method: DownscaleMethod
) -> None:
    patches = open_patches(store_with_overviews, method)
    scenes = SceneDataset(
        store, store.scene_ids(), arrays=frozenset(ARRAYS), downscale=10, downscale_method=method
    )
    assert patches.geometry == scenes.geometry
    assert patches.geometry.centred == (method == "area")
    whole = {scene["scene_id"][0]: scene for scene in (scenes[k] for k in range(len(scenes)))}
    for index in range(len(patches)):
        patch = patches[index]
        scene = whole[patch["scene_id"]]
        line, sample = int(patch["line"]) // 10, int(patch["sample"]) // 10
        for name in DOWNSCALED_ARRAYS:
            expected = scene[name][0, ..., line : line + PATCH, sample : sample + PATCH]
            np.testing.assert_array_equal(patch[name], expected)
        assert (patch["scene_lines"], patch["scene_samples"]) == (30, 33)
        assert np.count_nonzero(patch["charts"][0] != 255) >= 2


@pytest.mark.parametrize("upsampling", ["nearest", "linear"])
@pytest.mark.parametrize("method", METHODS)
def test_assembled_patches_are_slices_of_assembled_scenes(
    store: Store, method: DownscaleMethod, upsampling: Any
) -> None:
    features = parse_features("mmseaice-16")
    patches = open_patches(store, method, ratio=7)
    assemble = FeatureAssembler(features, patches.geometry, upsampling)
    scenes = SceneDataset(
        store,
        store.scene_ids(),
        arrays=features.arrays,
        downscale=7,
        downscale_method=method,
    )
    whole = {scene["scene_id"][0]: assemble(scene) for scene in (scenes[k] for k in range(6))}
    with PatchLoader(patches, 4, workers=2) as loader:
        for batch in loader.epoch(0):
            assembled = assemble(batch)
            for at, scene_id in enumerate(batch["scene_id"]):
                line, sample = int(batch["line"][at]) // 7, int(batch["sample"][at]) // 7
                expected = whole[scene_id][0, :, line : line + PATCH, sample : sample + PATCH]
                torch.testing.assert_close(assembled[at], expected, rtol=0, atol=0)


@pytest.mark.parametrize("upsampling", ["nearest", "linear"])
def test_assembled_channels_are_every_nth_pixel_of_the_full_scene(
    store: Store, upsampling: Any
) -> None:
    """`nearest` changes which pixels are looked at, and nothing else."""
    features = parse_features("all")
    ids = store.scene_ids()[:2]
    assembled = []
    for downscale in (1, 10):
        scenes = SceneDataset(store, ids, arrays=features.arrays, downscale=downscale)
        assemble = FeatureAssembler(features, scenes.geometry, upsampling)
        assembled.append([assemble(scenes[index])[0] for index in range(len(ids))])
    for full, downscaled in zip(*assembled, strict=True):
        torch.testing.assert_close(downscaled, full[:, ::10, ::10], rtol=0, atol=0)


def test_area_pixels_take_the_cells_at_their_middle(store: Store) -> None:
    """A block of 5 pixels lies within a cell and takes its value, wherever in it."""
    features = Features("t2m", ("t2m",))
    scenes = SceneDataset(
        store,
        store.scene_ids()[:1],
        arrays=features.arrays,
        downscale=5,
        downscale_method="area",
    )
    batch = scenes[0]
    value = FeatureAssembler(features, scenes.geometry)(batch)[0, 0]
    reader = open_scene_reader(store, store.scene_ids()[0])
    cells = reader.read_whole("era5")[2]
    per_cell = PIXELS_PER_CELL // 5
    n_lines, n_samples = cells.shape
    expected = cells.repeat(per_cell, axis=0).repeat(per_cell, axis=1)
    np.testing.assert_array_equal(value[: n_lines * per_cell, : n_samples * per_cell], expected)
