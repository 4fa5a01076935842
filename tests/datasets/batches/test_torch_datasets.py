"""Patches and scenes as torch sees them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from torch.utils.data import DataLoader

from autoice_bench.datasets.batches.torch_datasets import (
    PatchDataset,
    PatchLoader,
    PatchSampler,
    SceneDataset,
)
from autoice_bench.datasets.patches.geometry import Window, cell_indices, count_cells
from autoice_bench.datasets.store.root import create_store, open_store
from autoice_bench.errors import PatchError, StoreError
from autoice_bench.formats.scene_document import add_digest
from autoice_bench.formats.shard_writer import ArraySpec, Codec, write_array
from tests.datasets.store_tools import copy_store

EVERYTHING = {"sar", "charts", "distance_map", "amsr2", "era5", "positions"}


def open_patches(store: Path, **options: Any) -> PatchDataset:
    return PatchDataset(store, **{"patch_size": 96, "patches_per_scene": 3, **options})


def assert_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert one.keys() == other.keys()
    for name, values in one.items():
        if isinstance(values, torch.Tensor):
            assert torch.equal(values, other[name]), name
        else:
            assert values == other[name], name


def test_a_patch_holds_what_xarray_reads_there(prepared_store: Path) -> None:
    dataset = open_patches(prepared_store, arrays=EVERYTHING)
    for index in range(len(dataset)):
        patch = dataset[index]
        line, sample = int(patch["line"]), int(patch["sample"])
        with xr.open_zarr(prepared_store / "scenes" / patch["scene_id"], chunks=None) as scene:
            height, width = scene.sizes["sar_lines"], scene.sizes["sar_samples"]
            at = (slice(line, line + 96), slice(sample, sample + 96))
            for name in ("sar", "charts", "distance_map"):
                np.testing.assert_array_equal(patch[name], scene[name].values[..., *at])
            for name in ("amsr2", "era5"):
                grid = scene[name].values
                lines = cell_indices(line, 96, grid.shape[1], dataset.geometry)
                samples = cell_indices(sample, 96, grid.shape[2], dataset.geometry)
                np.testing.assert_array_equal(patch[name], grid[:, lines[:, None], samples])
            np.testing.assert_allclose(patch["latitude"], scene.latitude.values, rtol=1e-6)
            np.testing.assert_allclose(patch["tie_sample"], scene.tie_sample.values, rtol=1e-6)
        assert (int(patch["scene_lines"]), int(patch["scene_samples"])) == (height, width)
        assert int(patch["month"]) == int(patch["scene_id"][4:6]) - 1
        assert int(patch["index"]) == index
        assert float((patch["charts"][0] == 255).float().mean()) <= 0.3


def test_the_shapes_and_dtypes_of_the_documentation(prepared_store: Path) -> None:
    patch = open_patches(prepared_store, arrays=EVERYTHING)[0]
    n = count_cells(96)
    described = {
        name: (tuple(values.shape), values.dtype)
        for name, values in patch.items()
        if isinstance(values, torch.Tensor) and values.ndim
    }
    assert described == {
        "sar": ((3, 96, 96), torch.float16),
        "charts": ((3, 96, 96), torch.uint8),
        "distance_map": ((96, 96), torch.uint8),
        "amsr2": ((14, n, n), torch.float32),
        "era5": ((6, n, n), torch.float32),
        "latitude": ((21, 21), torch.float32),
        "longitude": ((21, 21), torch.float32),
        "tie_line": ((21,), torch.float32),
        "tie_sample": ((21,), torch.float32),
    }


@pytest.mark.parametrize("workers", [0, 2])
def test_dataloader_and_patch_loader_give_the_same_batches(
    prepared_store: Path, workers: int
) -> None:
    dataset = open_patches(prepared_store)
    sampler = PatchSampler(dataset, epoch=2, batch_size=2, start_step=1)
    loader = DataLoader(dataset, batch_size=2, sampler=sampler, num_workers=workers)
    with PatchLoader(dataset, 2, workers=workers) as batches:
        for one, other in zip(loader, batches.epoch(2, start_step=1), strict=True):
            assert_same(one, other)


def test_set_epoch_chooses_the_patches(prepared_store: Path) -> None:
    dataset = open_patches(prepared_store)
    of_the_next = dataset[len(dataset) + 1]
    dataset.set_epoch(1)
    assert_same(dataset[1], of_the_next)


def test_a_scene_smaller_than_the_patch_is_padded(prepared_store: Path) -> None:
    dataset = open_patches(prepared_store, patch_size=320, min_valid_pixels=1)
    patch = dataset[0]
    assert int(patch["line"]) == 0
    assert int(patch["scene_lines"]) == 300
    assert (patch["sar"][:, 300:] == 0).all()
    assert (patch["charts"][:, 300:] == 255).all()
    assert (patch["charts"][:, :300] != 255).any()


def test_a_scene_as_large_as_the_patch_has_one_window_along_that_axis(
    prepared_store: Path,
) -> None:
    dataset = open_patches(prepared_store, patch_size=300, min_valid_pixels=1)
    assert {int(dataset[index]["line"]) for index in range(len(dataset))} == {0}


def test_scenes_without_an_eligible_window_are_named(prepared_store: Path, tmp_path: Path) -> None:
    everything = open_patches(prepared_store, patch_size=96, max_masked=0.0)
    valid = {scene_id for scene_id, _ in everything.reader.plan.scenes}
    train = json.loads((prepared_store / "splits/official.json").read_text())["train"]
    assert everything.skipped == tuple(scene for scene in train if scene not in valid)
    with pytest.raises(PatchError, match="none of 3 scenes has a window of 300 x 300 pixels"):
        open_patches(prepared_store, patch_size=300, max_masked=0.0)


def test_the_starter_kit_moves_cells_but_no_pixel(prepared_store: Path) -> None:
    exact = open_patches(prepared_store)
    kit = open_patches(prepared_store, alignment="starter-kit")
    moved = 0
    for index in range(len(exact)):
        one, other = exact[index], kit[index]
        assert torch.equal(one["sar"], other["sar"])
        assert torch.equal(one["charts"], other["charts"])
        moved += not torch.equal(one["amsr2"], other["amsr2"])
    assert moved


def test_iterating_ends_with_the_epoch(prepared_store: Path) -> None:
    dataset = open_patches(prepared_store)
    assert [int(patch["index"]) for patch in dataset] == list(range(len(dataset)))
    with pytest.raises(IndexError, match="patch -1"):
        dataset[-1]


def test_zones_of_both_dtypes_in_one_batch(prepared_store: Path, tmp_path: Path) -> None:
    store = copy_store(prepared_store, tmp_path)
    scene_ids = json.loads((store / "splits/official.json").read_text())["train"]
    path = store / "scenes" / scene_ids[1]
    with xr.open_zarr(path, chunks=None) as scene:
        zones = scene["distance_map"].values + np.float32(0.25)
    shutil.rmtree(path / "distance_map")
    dims = ("sar_lines", "sar_samples")
    spec = ArraySpec("distance_map", dims, (256, 256), 0, Codec(), {})
    document = json.loads((path / "zarr.json").read_text())
    document["consolidated_metadata"]["metadata"]["distance_map"] = write_array(
        path, zones, spec
    ).metadata
    (path / "zarr.json").write_text(json.dumps(add_digest(document)))
    dataset = PatchDataset(
        store, scene_ids=scene_ids, patch_size=320, min_valid_pixels=1, patches_per_scene=1,
        arrays={"distance_map"},
    )  # fmt: skip
    with PatchLoader(dataset, len(dataset), workers=0) as batches:
        (batch,) = batches.epoch(0)
    assert batch["distance_map"].dtype == torch.float32
    at = batch["scene_id"].index(scene_ids[1])
    line, sample = int(batch["line"][at]), int(batch["sample"][at])
    expected = zones[line : line + 320, sample : sample + 320]
    np.testing.assert_array_equal(batch["distance_map"][at, : len(expected)], expected)
    others = [k for k in range(len(dataset)) if k != at]
    assert (batch["distance_map"][others] % 1 == 0).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"subset": "trian"}, "no subset 'trian' of a split; expected train, val, test"),
        ({"seed": -1}, "seed -1"),
        ({"patches_per_epoch": 5}, "expected one of them"),
        ({"patches_per_scene": 0}, "at least 1"),
        ({"patch_size": 0}, "patch_size 0"),
        ({"max_masked": 0.3, "min_valid": 0.3}, "expected one of them"),
        ({"min_valid_pixels": 0}, "min_valid_pixels 0"),
        ({"arrays": {"sar", "wind"}}, "no array 'wind'; a scene has sar, charts"),
        ({"scene_ids": []}, "no scenes to draw patches from"),
        ({"downscale": 0}, "downscale 0"),
    ],
)
def test_options_that_make_no_sense(
    prepared_store: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(PatchError, match=message):
        open_patches(prepared_store, **options)


def test_a_scene_without_labels_cannot_train(prepared_store: Path, tmp_path: Path) -> None:
    store = copy_store(prepared_store, tmp_path)
    scene_id = next((store / "scenes").iterdir()).name
    path = store / "scenes" / scene_id / "zarr.json"
    document = json.loads(path.read_text())
    for name in ("charts", "valid_counts"):
        del document["consolidated_metadata"]["metadata"][name]
        shutil.rmtree(path.parent / name)
    path.write_text(json.dumps(add_digest(document)))
    with pytest.raises(PatchError, match=f"scene {scene_id}: has no labels"):
        open_patches(store, scene_ids=[scene_id])
    scene = SceneDataset(store, [scene_id])[0]
    assert "charts" not in scene
    assert scene["scene_id"] == [scene_id]


def test_unfinished_and_missing_stores_are_refused(prepared_store: Path, tmp_path: Path) -> None:
    unfinished = create_store(tmp_path / "unfinished.zarr", open_store(prepared_store).options)
    for store in (unfinished, unfinished.path):
        with pytest.raises(StoreError, match="state is 'preparing'"):
            PatchDataset(store)
        with pytest.raises(StoreError, match="state is 'preparing'"):
            SceneDataset(store, [])
    with pytest.raises(StoreError, match="found nothing"):
        PatchDataset(tmp_path / "none.zarr", scene_ids=["20180607T184326_dmi"])
    with pytest.raises(StoreError, match="no scene 20180607T184326_dmi"):
        PatchDataset(prepared_store, scene_ids=["20180607T184326_dmi"])


def test_a_window_of_a_scene_is_part_of_it(prepared_store: Path) -> None:
    scene_ids = json.loads((prepared_store / "splits/official.json").read_text())["test"]
    scenes = SceneDataset(prepared_store, scene_ids, arrays={"sar", "charts"})
    assert len(scenes) == len(scene_ids)
    whole, part = scenes[0], scenes.window(0, Window(64, 32, 50, 70))
    assert whole["sar"].shape == (1, 3, 300, 327)
    assert torch.equal(part["sar"], whole["sar"][..., 64:114, 32:102])
    assert int(part["line"]) == 64


@pytest.mark.parametrize("device", ["tpu", "cuda:99"])
def test_a_device_that_is_not_there_is_one_line(prepared_store: Path, device: str) -> None:
    dataset = open_patches(prepared_store)
    with pytest.raises(PatchError, match=f"device '{device}' cannot be used: ") as caught:
        PatchLoader(dataset, 2, workers=0, device=device)
    assert "\n" not in str(caught.value)
