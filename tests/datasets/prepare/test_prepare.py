"""`prepare`: what it writes, what it skips, what it refuses."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import netCDF4
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import xarray as xr
import zarr
from click.testing import CliRunner

from autoice_bench.charts import CHART_NAMES
from autoice_bench.cli import main
from autoice_bench.datasets.prepare.holding import Part
from autoice_bench.datasets.prepare.prepare import prepare
from autoice_bench.datasets.splits.created import create_splits
from autoice_bench.datasets.store.index import read_index
from autoice_bench.datasets.store.root import open_store
from autoice_bench.datasets.store.scene_dataset import open_scene
from autoice_bench.errors import SceneError, StoreError
from autoice_bench.formats.split_file import read_split, write_split
from autoice_bench.formats.variables import AMSR2_VARIABLES, SAR_VARIABLES
from tests.datasets.store_tools import copy_source, digest_scenes, scene_files, scenes_of


def write_scene_again(path: Path, **changes: float) -> None:
    """Change a global attribute of a NetCDF file in place: new bytes, same values."""
    with netCDF4.Dataset(str(path), "a") as dataset:
        dataset.setncatts(changes)


def test_store_holds_the_values_of_the_source(rtt_source: Path, prepared_store: Path) -> None:
    path = scene_files(rtt_source / "train")[0]
    scene = xr.open_zarr(prepared_store / "scenes" / path.name.removesuffix("_prep.nc"))
    with netCDF4.Dataset(str(path)) as source:
        source.set_auto_maskandscale(False)
        for index, name in enumerate(CHART_NAMES):
            np.testing.assert_array_equal(scene["charts"][index], source[name][:])
        for index, variable in enumerate(SAR_VARIABLES):
            expected = source[variable.name][:].astype(np.float16)
            np.testing.assert_array_equal(scene["sar"][index], expected)
        for index, variable in enumerate(AMSR2_VARIABLES):
            np.testing.assert_array_equal(scene["amsr2"][index], source[variable.name][:])
        np.testing.assert_array_equal(scene["latitude"], source["sar_grid2d_latitude"][:])
        assert scene.attrs["source_attributes"]["original_id"] == source.original_id


def test_test_scenes_take_their_charts_from_the_reference(
    rtt_source: Path, prepared_store: Path
) -> None:
    reference = sorted(rtt_source.rglob("*_prep_reference.nc"))[0]
    scene_id = reference.name.removesuffix("_prep_reference.nc")
    scene = open_scene(prepared_store, scene_id)
    with netCDF4.Dataset(str(reference)) as source:
        source.set_auto_maskandscale(False)
        np.testing.assert_array_equal(scene["SOD"], source["SOD"][:])
    assert scene.attrs["subset"] == "test"


def test_index_agrees_with_the_scenes(prepared_store: Path) -> None:
    index = read_index(open_store(prepared_store)).set_index("scene_id")
    for scene_id, row in index.iterrows():
        charts = zarr.open_array(prepared_store / "scenes" / str(scene_id) / "charts", mode="r")
        sic = np.asarray(charts[0])
        assert [row[f"SIC_{k}"] for k in range(11)] == [np.sum(sic == k) for k in range(11)]
        assert row["SIC_255"] == np.sum(sic == 255)
    assert set(index["subset"]) == {"train", "test"}
    assert index["region"].notna().all()


def test_index_has_plain_parquet_types(prepared_store: Path) -> None:
    schema = pq.read_schema(prepared_store / "scenes.parquet")
    assert schema.metadata is None
    assert {str(field.type) for field in schema} <= {
        "string", "int64", "double", "bool", "timestamp[us, tz=UTC]",
    }  # fmt: skip


def test_bytes_do_not_depend_on_workers_or_parts(
    rtt_source: Path, prepared_store: Path, tmp_path: Path
) -> None:
    parts = tmp_path / "parts.zarr"
    for number in (1, 2, 3):
        report = prepare(rtt_source, parts, workers=1, part=Part(number, 3))
        assert report.store.state == "preparing"
        assert not report.splits
    completed = prepare(rtt_source, parts, workers=1)
    assert not completed.written
    assert digest_scenes(parts) == digest_scenes(prepared_store)
    assert completed.store.fingerprint == open_store(prepared_store).fingerprint
    two = prepare(rtt_source, tmp_path / "two.zarr", workers=2)
    assert digest_scenes(two.store.path) == digest_scenes(prepared_store)


def test_float32_is_exact(rtt_source: Path, tmp_path: Path) -> None:
    prepare(rtt_source, tmp_path / "s.zarr", workers=1, dtype="float32")
    path = scene_files(rtt_source / "train")[0]
    scene = open_scene(tmp_path / "s.zarr", path.name.removesuffix("_prep.nc"))
    with netCDF4.Dataset(str(path)) as source:
        np.testing.assert_array_equal(scene["nersc_sar_primary"], source["nersc_sar_primary"][:])
    assert scene.attrs["rounding_error"] == 0


def test_nothing_is_done_twice(rtt_source: Path, prepared_store: Path, tmp_path: Path) -> None:
    store = tmp_path / "s.zarr"
    shutil.copytree(prepared_store, store)
    before = {path: path.stat().st_mtime_ns for path in store.rglob("scenes/**/*")}
    report = prepare(rtt_source, store, workers=1)
    assert not report.written
    assert len(report.done) == 6
    assert {path: path.stat().st_mtime_ns for path in store.rglob("scenes/**/*")} == before


def test_touched_source_is_unchanged(rtt_source: Path, tmp_path: Path) -> None:
    source = copy_source(rtt_source, tmp_path / "rtt")
    prepare(source, tmp_path / "s.zarr", workers=1)
    for path in source.rglob("*.nc"):
        os.utime(path)
    assert len(prepare(source, tmp_path / "s.zarr", workers=1).done) == 6


def test_changed_source_is_refused_then_replaced(rtt_source: Path, tmp_path: Path) -> None:
    source = copy_source(rtt_source, tmp_path / "rtt")
    store = tmp_path / "s.zarr"
    prepare(source, store, workers=1)
    clean = digest_scenes(store)
    changed = scene_files(source / "train")[1]
    write_scene_again(changed, flip=-1)
    with pytest.raises(StoreError, match=rf"{changed.name} has changed .*--overwrite"):
        prepare(source, store, workers=1)
    assert digest_scenes(store) == clean
    report = prepare(source, store, workers=1, overwrite=True)
    assert report.written == (changed.name.removesuffix("_prep.nc"),)
    assert open_scene(store, report.written[0]).attrs["source_attributes"]["flip"] == -1
    assert len(report.done) == 5


def test_added_scenes_join_the_store(rtt_source: Path, tmp_path: Path) -> None:
    source = copy_source(rtt_source, tmp_path / "rtt")
    late = scene_files(source / "train")[0]
    late.rename(tmp_path / late.name)
    first = prepare(source, tmp_path / "s.zarr", workers=1)
    (tmp_path / late.name).rename(late)
    second = prepare(source, tmp_path / "s.zarr", workers=1)
    assert second.written == (late.name.removesuffix("_prep.nc"),)
    assert second.store.state == "complete"
    assert second.store.fingerprint != first.store.fingerprint


def test_another_dtype_is_refused(rtt_source: Path, prepared_store: Path) -> None:
    with pytest.raises(StoreError, match="dtype float16 there, float32 asked for"):
        prepare(rtt_source, prepared_store, workers=1, dtype="float32")


def test_overwrite_replaces_a_store_of_another_dtype(rtt_source: Path, tmp_path: Path) -> None:
    store = tmp_path / "s.zarr"
    prepare(rtt_source, store, workers=1)
    created = create_splits("mine", read_index(open_store(store)), method="random", n_val=1, seed=3)
    write_split(store, created[0])
    report = prepare(rtt_source, store, workers=1, dtype="float32", overwrite=True)
    assert len(report.written) == 6
    assert read_split(store, "mine") == created[0]
    scene_id = report.written[0]
    assert zarr.open_array(store / "scenes" / scene_id / "sar", mode="r").dtype == np.float32


def test_a_replaced_store_loses_the_scenes_of_other_sources_and_says_so(
    rtt_source: Path, tmp_path: Path
) -> None:
    source, store = copy_source(rtt_source, tmp_path / "rtt"), tmp_path / "s.zarr"
    prepare(source, store, workers=1)
    scene_files(source / "train")[0].unlink()
    kept = prepare(source, store, workers=1)
    assert kept.notes == ("1 scenes of the store are not in this source folder; kept",)
    replaced = prepare(source, store, workers=1, dtype="float32", overwrite=True)
    assert replaced.notes == (
        "1 scenes of the store are not in this source folder; they go when it is replaced",
    )
    assert len(open_store(store).scene_ids()) == 5


def test_a_part_of_a_complete_store_tells_no_splits(rtt_source: Path, prepared_store: Path) -> None:
    arguments = ["prepare", str(rtt_source), str(prepared_store), "--part", "1/2", "--workers", "1"]
    result = CliRunner().invoke(main, arguments)
    assert result.output.endswith("0 scenes written, 3 were there already\n")


def test_simulated_and_real_scenes_never_mix(rtt_source: Path, tmp_path: Path) -> None:
    source = copy_source(rtt_source, tmp_path / "rtt")
    real = scene_files(source)[-1]
    with netCDF4.Dataset(str(real), "a") as dataset:
        dataset.delncattr("simulated")
    with pytest.raises(SceneError, match="is real, the store holds simulated scenes"):
        prepare(source, tmp_path / "s.zarr", workers=1)


def test_test_scene_without_reference_has_no_charts(rtt_source: Path, tmp_path: Path) -> None:
    source = copy_source(rtt_source, tmp_path / "rtt")
    for reference in source.rglob("*_reference.nc"):
        reference.unlink()
    report = prepare(source, tmp_path / "s.zarr", workers=1)
    test_ids = [path.name.removesuffix("_prep.nc") for path in scene_files(source / "test")]
    assert sorted(report.warnings) == sorted(test_ids)
    assert "no reference file: stored without charts" in report.warnings[test_ids[0]]
    scene = open_scene(tmp_path / "s.zarr", test_ids[0])
    assert "SIC" not in scene
    assert scene.attrs["truth_sha256"] is None
    index = read_index(open_store(tmp_path / "s.zarr")).set_index("scene_id")
    assert index.loc[test_ids[0], "SIC_0"] is pd.NA
    assert index["has_charts"].sum() == 4


def test_the_test_folder_alone_makes_a_store_of_test_scenes(
    rtt_source: Path, tmp_path: Path
) -> None:
    report = prepare(rtt_source / "test", tmp_path / "s.zarr", workers=1)
    index = read_index(report.store)
    assert index["subset"].tolist() == ["test", "test"]
    assert index["has_charts"].all()


def test_something_else_in_the_way_is_refused(rtt_source: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(StoreError, match="something else is there"):
        prepare(rtt_source, tmp_path, workers=1)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_commands_follow_each_other_as_typed(
    rtt_source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AUTOICE_STORE", raising=False)
    monkeypatch.chdir(tmp_path)
    copy_source(rtt_source, tmp_path / "rtt")
    run = CliRunner().invoke
    dry = run(main, ["prepare", "--dry-run", "--json"])
    assert json.loads(dry.output)["source_bytes"] > 0
    assert not (tmp_path / "autoice.zarr").exists()
    prepared = run(main, ["prepare", "--workers", "1"])
    assert prepared.exit_code == 0, prepared.output
    assert "autoice.zarr: 6 scenes written" in prepared.output
    verified = run(main, ["verify", "--source", "rtt"])
    assert verified.exit_code == 0, verified.output
    assert "6 compared with rtt: no problem" in verified.output
    info = json.loads(run(main, ["info", "--json"]).output)
    assert info["by_subset"] == {"test": 2, "train": 4}
    assert sum(info["class_percent"]["SIC"].values()) == pytest.approx(100)
    assert run(main, ["splits"]).exit_code == 0


def test_environment_overrides_the_store(
    rtt_source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTOICE_STORE", str(tmp_path / "elsewhere.zarr"))
    result = CliRunner().invoke(main, ["prepare", str(rtt_source), "--workers", "1"])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "elsewhere.zarr" / "scenes.parquet").is_file()


def test_bad_part_is_wrong_usage(rtt_source: Path) -> None:
    for part in ("0/2", "3/2", "two"):
        result = CliRunner().invoke(main, ["prepare", str(rtt_source), "--part", part])
        assert result.exit_code == 2


def test_expected_errors_are_one_line(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["prepare", str(tmp_path / "nowhere")])
    assert result.exit_code == 1
    assert result.output.startswith("error: source ")
    assert result.output.count("\n") == 1


def test_every_written_scene_is_in_the_report(rtt_source: Path, prepared_store: Path) -> None:
    ids = {path.name.removesuffix("_prep.nc") for path in scene_files(rtt_source)}
    assert scenes_of(digest_scenes(prepared_store)) == ids
