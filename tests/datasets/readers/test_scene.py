"""Windows of a scene: padding, cells repeated at the edges, and stores that cannot be read."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from autoice_bench.charts import CHART_NAMES
from autoice_bench.datasets.patches.window_dataset import read_window
from autoice_bench.datasets.readers.arrays import ShardReader, ZarrReader
from autoice_bench.datasets.readers.scene import SceneReader, open_scene_reader
from autoice_bench.datasets.store.root import open_store, write_root
from autoice_bench.datasets.store.scene_dataset import open_scene
from autoice_bench.errors import StoreError
from autoice_bench.formats.variables import AMSR2_VARIABLES, SAR_VARIABLES

LINES, SAMPLES = 300, 327
PADDING = {"sar": 0, "charts": 255, "distance_map": 0}


@pytest.fixture(scope="module")
def scene_id(prepared_store: Path) -> str:
    return open_store(prepared_store).scene_ids()[0]


@pytest.fixture(scope="module")
def scene(prepared_store: Path, scene_id: str) -> SceneReader:
    return open_scene_reader(prepared_store, scene_id)


@pytest.fixture(scope="module")
def stored(prepared_store: Path, scene_id: str) -> dict[str, NDArray[Any]]:
    """Every array of the scene, as zarr-python reads it."""
    group = zarr.open_group(prepared_store / "scenes" / scene_id, mode="r")
    return {name: np.asarray(array[...]) for name, array in group.arrays()}


@pytest.fixture
def copied_store(prepared_store: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(prepared_store, tmp_path / "autoice.zarr"))


def test_size_and_names(scene: SceneReader, scene_id: str) -> None:
    assert scene.shape == (LINES, SAMPLES)
    assert scene.n_cells == (12, 13)
    assert scene.scene_id == scene.attributes["scene_id"] == scene_id
    assert scene.channels("sar") == tuple(variable.name for variable in SAR_VARIABLES)
    assert scene.channels("charts") == CHART_NAMES
    assert scene.dims("distance_map") == ("sar_lines", "sar_samples")
    assert "charts" in scene
    assert "ice_type" not in scene


def test_arrays_are_read_from_their_shards(scene: SceneReader) -> None:
    for name in ("sar", "charts", "distance_map", "amsr2", "era5", "latitude"):
        assert isinstance(scene.array(name), ShardReader)


starts = st.integers(-400, 400)
extents = st.integers(1, 350)


@settings(max_examples=60)
@given(line=starts, sample=starts, lines=extents, samples=extents)
@pytest.mark.parametrize("name", list(PADDING))
def test_pixels_outside_the_scene_are_padding(
    scene: SceneReader,
    stored: dict[str, NDArray[Any]],
    name: str,
    line: int,
    sample: int,
    lines: int,
    samples: int,
) -> None:
    values = stored[name]
    margins = [(0, 0)] * (values.ndim - 2) + [(400, 800), (400, 800)]
    padded = np.pad(values, margins, constant_values=PADDING[name])
    out = np.full((*values.shape[:-2], lines, samples), 77, values.dtype)
    scene.read_pixels(name, line, sample, out)
    at = (..., slice(400 + line, 400 + line + lines), slice(400 + sample, 400 + sample + samples))
    np.testing.assert_array_equal(out, padded[at])


@settings(max_examples=60)
@given(
    line=st.integers(-20, 20),
    sample=st.integers(-20, 20),
    lines=st.integers(1, 30),
    samples=st.integers(1, 30),
)
@pytest.mark.parametrize("name", ["amsr2", "era5"])
def test_cells_beyond_the_grid_repeat_its_edge(
    scene: SceneReader,
    stored: dict[str, NDArray[Any]],
    name: str,
    line: int,
    sample: int,
    lines: int,
    samples: int,
) -> None:
    values = stored[name]
    line_indices = np.arange(line, line + lines).clip(0, values.shape[1] - 1)
    sample_indices = np.arange(sample, sample + samples).clip(0, values.shape[2] - 1)
    out = np.full((values.shape[0], lines, samples), 77, values.dtype)
    scene.read_cells(name, line_indices, sample_indices, out)
    np.testing.assert_array_equal(out, values[:, line_indices][:, :, sample_indices])


def test_whole_arrays_and_tie_points(scene: SceneReader, stored: dict[str, NDArray[Any]]) -> None:
    for name in ("valid_counts", "charts", "latitude", "tie_line"):
        np.testing.assert_array_equal(scene.read_whole(name), stored[name])
    ties = scene.tie_points()
    assert scene.tie_points() is ties
    np.testing.assert_array_equal(ties.longitude, stored["longitude"])
    np.testing.assert_array_equal(ties.sample, stored["tie_sample"])


def test_pickled_reader_reads_the_same(scene: SceneReader) -> None:
    again = pickle.loads(pickle.dumps(scene))
    expected, found = (np.zeros((3, 50, 50), np.float16) for _ in range(2))
    scene.read_pixels("sar", 100, 120, expected)
    again.read_pixels("sar", 100, 120, found)
    assert expected.any()
    np.testing.assert_array_equal(found, expected)


def test_array_that_the_scene_does_not_have(scene: SceneReader, scene_id: str) -> None:
    with pytest.raises(
        StoreError, match=f"scene {scene_id}: array ice_type does not exist.*charts"
    ):
        scene.array("ice_type")


# read_window


def test_window_is_a_part_of_the_scene(prepared_store: Path, scene_id: str) -> None:
    window = read_window(prepared_store, scene_id, 110, 51, 90, 76)
    with xr.open_zarr(prepared_store / "scenes" / scene_id) as whole:
        # Cells 110 // 25 - 1 .. 199 // 25 + 1 and 51 // 25 - 1 .. 126 // 25 + 1.
        parts = {
            "sar_lines": slice(110, 200),
            "sar_samples": slice(51, 127),
            "2km_grid_lines": slice(3, 9),
            "2km_grid_samples": slice(1, 7),
        }
        for name in ("sar", "charts", "distance_map", "amsr2", "era5"):
            expected = whole[name].isel(parts, missing_dims="ignore")
            assert window[name].dims == expected.dims
            assert window[name].dtype == expected.dtype
            np.testing.assert_array_equal(window[name].values, expected.values)
    assert window["sar_lines"].values.tolist() == list(range(110, 200))
    assert window["2km_grid_samples"].values.tolist() == list(range(1, 7))
    assert window["amsr2_channel"].values.tolist() == [v.name for v in AMSR2_VARIABLES]
    assert window.attrs == {"scene_id": scene_id}


def test_channels_of_a_window_are_chosen_by_name(prepared_store: Path, scene_id: str) -> None:
    window = read_window(prepared_store, scene_id, 0, 0, 30, 40)
    scene = open_scene(prepared_store, scene_id)
    for name in ("SIC", "FLOE"):
        np.testing.assert_array_equal(
            window["charts"].sel(chart=name).values, scene[name].values[:30, :40]
        )


@pytest.mark.parametrize(
    ("line", "sample", "lines", "samples", "cell_lines", "cell_samples"),
    [
        (-10, -5, 20, 20, range(2), range(2)),
        (0, 0, LINES, SAMPLES, range(12), range(13)),
        (299, 326, 50, 50, range(10, 12), range(12, 13)),
        (0, 326, 1, 1, range(2), range(12, 13)),
    ],
)
def test_window_at_the_edges(
    prepared_store: Path,
    scene_id: str,
    line: int,
    sample: int,
    lines: int,
    samples: int,
    cell_lines: range,
    cell_samples: range,
) -> None:
    window = read_window(prepared_store, scene_id, line, sample, lines, samples)
    assert window["charts"].shape == (3, lines, samples)
    assert window["2km_grid_lines"].values.tolist() == list(cell_lines)
    assert window["2km_grid_samples"].values.tolist() == list(cell_samples)
    at_lines, at_samples = window["sar_lines"].values, window["sar_samples"].values
    outside = (
        (at_lines < 0)[:, None]
        | (at_lines >= LINES)[:, None]
        | (at_samples < 0)
        | (at_samples >= SAMPLES)
    )
    assert (window["charts"].values[:, outside] == 255).all()
    assert (window["sar"].values[:, outside] == 0).all()


@pytest.mark.parametrize(
    "window", [(LINES, 0, 5, 5), (0, SAMPLES, 5, 5), (-5, 0, 5, 5), (0, 0, 0, 5), (0, 0, 5, -1)]
)
def test_window_must_touch_the_scene(
    prepared_store: Path, scene_id: str, window: tuple[int, int, int, int]
) -> None:
    with pytest.raises(ValueError, match=f"is outside scene {scene_id} of 300x327 pixels"):
        read_window(prepared_store, scene_id, *window)


# Stores that cannot be read


def edit_metadata(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def test_no_store(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="found nothing; make one with"):
        open_scene_reader(tmp_path / "nowhere", "20180607T184326_dmi")


def test_no_such_scene(prepared_store: Path) -> None:
    with pytest.raises(StoreError, match="no scene 19990101T000000_dmi among its 6 scenes"):
        open_scene_reader(prepared_store, "19990101T000000_dmi")


def test_unfinished_store(copied_store: Path, scene_id: str) -> None:
    store = replace(open_store(copied_store), state="preparing")
    write_root(store)
    with pytest.raises(StoreError, match="state is 'preparing'"):
        open_scene_reader(copied_store, scene_id)
    assert open_scene_reader(store, scene_id).shape == (LINES, SAMPLES)


def test_store_of_another_version(copied_store: Path, scene_id: str) -> None:
    edit_metadata(
        copied_store / "zarr.json", lambda document: document["attributes"].update(format_version=2)
    )
    with pytest.raises(StoreError, match=r"format version 2; autoice-bench .* reads version 1"):
        read_window(copied_store, scene_id, 0, 0, 5, 5)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"attributes": {}}'])
def test_damaged_scene_metadata(copied_store: Path, scene_id: str, content: str) -> None:
    (copied_store / "scenes" / scene_id / "zarr.json").write_text(content)
    with pytest.raises(StoreError, match=f"scene {scene_id}: .*zarr.json is damaged"):
        open_scene_reader(copied_store, scene_id)


@pytest.mark.parametrize("name", ["sar", "charts", "distance_map", "amsr2", "era5"])
def test_damaged_chunk_is_named(copied_store: Path, scene_id: str, name: str) -> None:
    (shard,) = (
        path
        for path in (copied_store / "scenes" / scene_id / name / "c").rglob("*")
        if path.is_file()
    )
    content = bytearray(shard.read_bytes())
    content[40] ^= 1
    shard.write_bytes(content)
    found = rf"scene {scene_id}: array {name}: chunk \(0, 0\) of the shard is damaged: its checksum"
    with pytest.raises(StoreError, match=found):
        read_window(copied_store, scene_id, 0, 0, 200, 200)
    shard.unlink()
    with pytest.raises(StoreError, match=f"scene {scene_id}: array {name}: .* is missing"):
        read_window(copied_store, scene_id, 0, 0, 200, 200)


def test_array_of_another_codec(
    copied_store: Path, scene_id: str, stored: dict[str, NDArray[Any]]
) -> None:
    folder = copied_store / "scenes" / scene_id
    shutil.rmtree(folder / "sar")
    with zarr.config.set({"array.write_empty_chunks": True}):
        array = zarr.create_array(
            str(folder / "sar"),
            data=stored["sar"],
            chunks=(3, 128, 128),
            fill_value=0,
            dimension_names=("sar_channel", "sar_lines", "sar_samples"),
        )
    array.attrs["channels"] = list(stored["sar_channel"])
    metadata = json.loads((folder / "sar" / "zarr.json").read_text())
    edit_metadata(
        folder / "zarr.json",
        lambda document: document["consolidated_metadata"]["metadata"].update(sar=metadata),
    )
    edit_metadata(
        folder / "zarr.json", lambda document: document["attributes"].pop("document_sha256")
    )
    scene = open_scene_reader(copied_store, scene_id)
    assert isinstance(scene.array("sar"), ZarrReader)
    window = read_window(copied_store, scene_id, 100, 200, 300, 60)
    np.testing.assert_array_equal(window["sar"].values[:, :200], stored["sar"][:, 100:, 200:260])
    assert not window["sar"].values[:, 200:].any()
