"""A scene on disk: what plain xarray sees, its provenance, its commit."""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from autoice_bench.charts import CHART_NAMES
from autoice_bench.datasets.sources.rtt import read_scene
from autoice_bench.datasets.sources.scene_arrays import SceneArrays
from autoice_bench.datasets.store import scene_writer
from autoice_bench.datasets.store.root import StoreOptions
from autoice_bench.datasets.store.scene_writer import (
    FileDigest,
    commit_scene,
    count_valid,
    read_digest,
    write_scene,
)
from autoice_bench.errors import StoreError
from autoice_bench.formats.rtt_folder import SceneFile
from autoice_bench.formats.store_layout import INNER_CHUNK, SCENE_ARRAYS
from autoice_bench.formats.variables import AMSR2_VARIABLES, ERA5_VARIABLES, SAR_VARIABLES
from tests.datasets.rtt_file_writer import (
    ORIGINAL_ID,
    SCENE_ID,
    SHAPE,
    RttContent,
    make_content,
    write_scene_file,
)

OPTIONS = StoreOptions(simulated=False)
DIGEST = FileDigest("x_prep.nc", 123, "ab" * 32)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> SceneFile:
    return write_scene_file(tmp_path_factory.mktemp("source"), make_content())


@pytest.fixture(scope="module")
def arrays(scene: SceneFile) -> SceneArrays:
    return read_scene(scene)


@pytest.fixture(scope="module")
def folder(scene: SceneFile, arrays: SceneArrays, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scene as ``write_scene`` leaves it. Read only."""
    return write(tmp_path_factory.mktemp("scene") / "a", scene, arrays)


def write(
    folder: Path, scene: SceneFile, arrays: SceneArrays, options: StoreOptions = OPTIONS
) -> Path:
    folder.mkdir()
    write_scene(folder, scene, arrays, options, DIGEST, None)
    return folder


def attributes_of(folder: Path) -> dict[str, Any]:
    attributes: dict[str, Any] = json.loads((folder / "zarr.json").read_bytes())["attributes"]
    return attributes


# --- readers


def test_plain_xarray_needs_no_options_and_gives_no_warnings(
    folder: Path, arrays: SceneArrays
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dataset = xr.open_zarr(folder)
        dataset.load()
    assert {name: str(array.dtype) for name, array in dataset.data_vars.items()} == {
        "sar": "float16",
        "charts": "uint8",
        "valid_counts": "uint32",
        "distance_map": "uint8",
        "amsr2": "float32",
        "era5": "float32",
        "latitude": "float64",
        "longitude": "float64",
        "tie_line": "float64",
        "tie_sample": "float64",
    }
    assert dict(dataset.sizes) == {
        "sar_channel": 3,
        "sar_lines": 52,
        "sar_samples": 76,
        "chart": 3,
        "chunk_lines": 1,
        "chunk_samples": 1,
        "amsr2_channel": 14,
        "2km_grid_lines": 2,
        "2km_grid_samples": 3,
        "era5_channel": 6,
        "tie_lines": 21,
        "tie_samples": 21,
    }
    for name in ("sar", "charts", "distance_map", "amsr2", "era5", "latitude", "tie_line"):
        np.testing.assert_array_equal(dataset[name].values, getattr(arrays, name))


def test_arrays_are_stored_as_the_table_says(
    tmp_path: Path, scene: SceneFile, arrays: SceneArrays
) -> None:
    assert arrays.charts is not None
    typed = replace(arrays, ice_type=arrays.charts[0])
    folder = write(tmp_path / "a", scene, typed)
    for array in SCENE_ARRAYS:
        metadata = json.loads((folder / array.name / "zarr.json").read_bytes())
        assert tuple(metadata["dimension_names"]) == array.dims
        assert metadata["data_type"] == array.dtypes[0]
        assert metadata["fill_value"] == array.fill_value
        assert metadata["attributes"] == array.attributes
        if array.channel_dim is not None:
            assert len(array.channels) == metadata["shape"][0]
    coordinates = {array.channel_dim for array in SCENE_ARRAYS if array.channel_dim}
    found = {path.name for path in folder.iterdir() if path.is_dir()}
    assert found == {array.name for array in SCENE_ARRAYS} | coordinates


def test_an_array_of_another_dtype_is_refused(
    tmp_path: Path, scene: SceneFile, arrays: SceneArrays
) -> None:
    wrong = replace(arrays, era5=arrays.era5.astype(np.float64))
    with pytest.raises(TypeError, match="era5 is float64; expected float32"):
        write(tmp_path / "a", scene, wrong)


def test_channels_are_selected_by_name(folder: Path, arrays: SceneArrays) -> None:
    dataset = xr.open_zarr(folder, chunks=None)
    for dim, table in (
        ("sar_channel", SAR_VARIABLES),
        ("amsr2_channel", AMSR2_VARIABLES),
        ("era5_channel", ERA5_VARIABLES),
    ):
        assert dataset[dim].values.tolist() == [variable.name for variable in table]
    assert dataset["chart"].values.tolist() == list(CHART_NAMES)
    found = dataset["amsr2"].sel(amsr2_channel="btemp_36_5v").values
    np.testing.assert_array_equal(found, arrays.amsr2[11])


def test_names_and_constants_are_plain_attributes_too(folder: Path) -> None:
    # tensorstore reads no string arrays.
    sar = zarr.open_array(folder / "sar", mode="r").attrs
    assert sar["channels"] == [variable.name for variable in SAR_VARIABLES]
    assert sar["standardisation_std"] == [variable.std for variable in SAR_VARIABLES]
    assert sar["nodata"] == 0
    charts = zarr.open_array(folder / "charts", mode="r").attrs
    assert charts["channels"] == ["SIC", "SOD", "FLOE"]
    assert charts["fill"] == 255
    assert charts["SOD_flag_values"] == [0, 1, 2, 3, 4, 5]
    assert str(charts["SIC_flag_meanings"]).split()[9:] == ["90_percent", "fully_packed_ice"]
    assert len(str(charts["FLOE_flag_meanings"]).split()) == 7


def test_one_shard_per_array(folder: Path) -> None:
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {name for name in files if name.startswith("sar/")} == {"sar/zarr.json", "sar/c/0/0/0"}
    array = zarr.open_array(folder / "sar", mode="r")
    assert array.chunks == (3, 52, 76)  # the inner chunk of 128 is clipped to the scene
    assert array.shards == (3, 52, 76)


def test_all_json_is_strict(folder: Path) -> None:
    def refuse(word: str) -> None:
        raise AssertionError(word)

    documents = [
        json.loads(path.read_bytes(), parse_constant=refuse) for path in folder.rglob("zarr.json")
    ]
    assert len(documents) > 1


def test_nan_attributes_of_the_source_stay_readable(tmp_path: Path) -> None:
    # xarray gives every float variable it writes a fill value of NaN, which JSON cannot hold.
    content = make_content()
    content.variables["t2m"].attributes = {"_FillValue": np.float32(np.nan)}
    scene = write_scene_file(tmp_path, content)
    folder = write(tmp_path / "scene", scene, read_scene(scene))
    assert b"NaN," not in (folder / "zarr.json").read_bytes().replace(b'"NaN"', b"")
    assert attributes_of(folder)["source_variable_attributes"]["t2m"] == {"_FillValue": "NaN"}


# --- attributes


def test_attributes(folder: Path, arrays: SceneArrays) -> None:
    attributes = attributes_of(folder)
    expected = {
        "scene_id": SCENE_ID,
        "subset": "train",
        "ice_service": "dmi",
        "region": "CentralEast",
        "platform": "S1B",
        "orbit": 11270,
        "data_take": "014B0F",
        "acquisition_time": "2030-06-07T18:43:26Z",
        "sar_lines": 52,
        "sar_samples": 76,
        "pixel_spacing_m": 80,
        "simulated": False,
        "dtype": "float16",
        "label_rule": "autoice-2022",
        "sod_threshold": 65,
        "floe_threshold": 65,
        "rounding_error": arrays.rounding_error,
        "distance_zones_whole": True,
        "warnings": [],
        "source": {"name": "x_prep.nc", "bytes": 123, "sha256": "ab" * 32},
        "reference": None,
    }
    assert {name: attributes[name] for name in expected} == expected
    assert attributes["source_attributes"]["original_id"] == ORIGINAL_ID
    # Tie points run from 75 N 30 W to 74.8 N 29.6 W.
    assert attributes["footprint"].startswith("POLYGON ((-30.0000 75.0000, -29.9000 75.0000, ")


def test_counts_and_truth_digest(folder: Path, arrays: SceneArrays) -> None:
    attributes = attributes_of(folder)
    assert arrays.charts is not None
    for chart, values in zip(CHART_NAMES, arrays.charts, strict=True):
        counts = attributes["class_counts"][chart]
        assert sum(counts.values()) == values.size
        for value, n in counts.items():
            assert n == np.count_nonzero(values == int(value))
    one_after_another = b"".join(chart.tobytes() for chart in arrays.charts)
    assert attributes["truth_sha256"] == hashlib.sha256(one_after_another).hexdigest()


def test_digest_of_every_file(folder: Path) -> None:
    recorded = attributes_of(folder)["files"]
    found = {
        path.relative_to(folder).as_posix(): {
            "bytes": path.stat().st_size,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
        for path in folder.rglob("*")
        if path.is_file() and path != folder / "zarr.json"
    }
    assert recorded == found


def test_region_of_metadata_counts_before_that_of_the_name(
    tmp_path: Path, scene: SceneFile, arrays: SceneArrays
) -> None:
    named = write(tmp_path / "a", replace(scene, region="North"), arrays)
    assert attributes_of(named)["region"] == "North"


def test_scene_without_original_id_has_no_pass(
    tmp_path: Path, scene: SceneFile, arrays: SceneArrays
) -> None:
    folder = write(tmp_path / "a", scene, replace(arrays, attributes={}))
    attributes = attributes_of(folder)
    assert {attributes[name] for name in ("platform", "orbit", "data_take", "region")} == {None}


def test_malformed_original_id_tells_no_pass(
    tmp_path: Path, scene: SceneFile, arrays: SceneArrays
) -> None:
    broken = replace(arrays, attributes={"original_id": "S1B_something.nc"})
    attributes = attributes_of(write(tmp_path / "a", scene, broken))
    assert {attributes[name] for name in ("platform", "orbit", "data_take")} == {None}
    assert attributes["source_attributes"] == {"original_id": "S1B_something.nc"}


def test_scene_without_charts(tmp_path: Path, scene: SceneFile, arrays: SceneArrays) -> None:
    bare = replace(arrays, charts=None, class_counts=None)
    folder = write(tmp_path / "a", replace(scene, subset="test"), bare)
    attributes = attributes_of(folder)
    assert attributes["class_counts"] is attributes["truth_sha256"] is None
    dataset = xr.open_zarr(folder)
    assert not {"charts", "chart", "valid_counts"} & set(dataset.variables)


def test_float_zones_and_float32_sar(tmp_path: Path, scene: SceneFile, arrays: SceneArrays) -> None:
    zones = np.full(SHAPE, 2.5, np.float32)
    other = replace(arrays, sar=arrays.sar.astype(np.float32), distance_map=zones)
    folder = write(tmp_path / "a", scene, other, replace(OPTIONS, dtype="float32"))
    assert attributes_of(folder)["distance_zones_whole"] is False
    assert zarr.open_array(folder / "distance_map", mode="r").dtype == np.float32
    assert zarr.open_array(folder / "sar", mode="r").dtype == np.float32


def test_bytes_do_not_depend_on_folder_or_time(
    tmp_path: Path, folder: Path, scene: SceneFile, arrays: SceneArrays
) -> None:
    again = write(tmp_path / "somewhere", scene, arrays)
    names = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    assert names == sorted(path.relative_to(again) for path in again.rglob("*") if path.is_file())
    for name in names:
        assert (folder / name).read_bytes() == (again / name).read_bytes()


def test_scene_json_is_written_last(
    tmp_path: Path, scene: SceneFile, arrays: SceneArrays, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(scene_writer, "group_metadata", fail)
    with pytest.raises(OSError, match="disk full"):
        write(tmp_path / "a", scene, arrays)
    assert (tmp_path / "a" / "sar" / "zarr.json").is_file()
    assert not (tmp_path / "a" / "zarr.json").exists()


def test_digest_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "abc.nc").write_bytes(b"abc")
    # SHA-256 of "abc", FIPS 180-4's own example.
    sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert read_digest(tmp_path / "abc.nc") == FileDigest("abc.nc", 3, sha256)


# --- commit


def make_partial(path: Path) -> Path:
    path.mkdir(parents=True)
    (path / "zarr.json").write_text("{}")
    return path


def test_commit_moves_the_scene(tmp_path: Path) -> None:
    (tmp_path / "scenes").mkdir()
    partial = make_partial(tmp_path / ".partial" / "run" / "x")
    assert commit_scene(partial, tmp_path / "scenes" / "x") is True
    assert not partial.exists()
    assert (tmp_path / "scenes" / "x" / "zarr.json").is_file()


def test_commit_leaves_a_scene_that_is_there(tmp_path: Path) -> None:
    there = make_partial(tmp_path / "scenes" / "x")
    (there / "zarr.json").write_text("first")
    partial = make_partial(tmp_path / ".partial" / "x")
    assert commit_scene(partial, there) is False
    assert (there / "zarr.json").read_text() == "first"
    assert partial.exists()


def test_commit_that_loses_the_race(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "scenes" / "x"
    partial = make_partial(tmp_path / ".partial" / "x")
    renamed = os.rename

    def rename(source: Any, to: Any, **options: Any) -> None:
        make_partial(target)  # another worker is quicker
        renamed(source, to, **options)

    monkeypatch.setattr(os, "rename", rename)
    assert commit_scene(partial, target) is False
    assert partial.exists()


def test_folder_that_is_no_scene_does_not_pass_for_one(tmp_path: Path) -> None:
    target = tmp_path / "scenes" / "x"
    (target / "sar").mkdir(parents=True)
    partial = make_partial(tmp_path / ".partial" / "x")
    with pytest.raises(StoreError, match=r"scenes/x has no zarr\.json, so it is no scene; remove"):
        commit_scene(partial, target)
    assert partial.exists()


def test_commit_that_fails_otherwise_says_so(tmp_path: Path) -> None:
    partial = make_partial(tmp_path / ".partial" / "x")
    with pytest.raises(FileNotFoundError):  # there is no store
        commit_scene(partial, tmp_path / "absent" / "scenes" / "x")


# --- valid counts


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(
        np.uint8,
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=20),
        elements=st.sampled_from([0, 10, 255]),
    ),
    st.integers(1, 25),
)
def test_count_valid_equals_a_naive_loop(sic: NDArray[np.uint8], chunk: int) -> None:
    counts = count_valid(sic, chunk)
    lines, samples = sic.shape
    expected = [
        [
            sum(
                int(sic[line, sample] != 255)
                for line in range(top, min(top + chunk, lines))
                for sample in range(left, min(left + chunk, samples))
            )
            for left in range(0, samples, chunk)
        ]
        for top in range(0, lines, chunk)
    ]
    assert counts.dtype == np.uint32
    assert counts.tolist() == expected


def test_valid_counts_are_stored(folder: Path) -> None:
    # One chunk of 128 holds the whole scene: 49 labelled lines of 76.
    array = zarr.open_array(folder / "valid_counts", mode="r")
    assert np.asarray(array[...]).tolist() == [[49 * 76]]
    assert array.attrs["chunk_pixels"] == INNER_CHUNK == 128


def test_content_of_another_seed_differs(tmp_path: Path, folder: Path) -> None:
    other: RttContent = make_content(seed=1)
    scene = write_scene_file(tmp_path, other)
    changed = write(tmp_path / "a", scene, read_scene(scene))
    ours, theirs = attributes_of(folder)["files"], attributes_of(changed)["files"]
    assert ours["sar/c/0/0/0"] != theirs["sar/c/0/0/0"]
    assert ours["charts/c/0/0/0"] == theirs["charts/c/0/0/0"]
