"""``scenes.parquet``: equal to its rebuild, rebuilt when behind, of plain types."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from autoice_bench.charts import CHARTS
from autoice_bench.datasets.prepare.prepare import prepare
from autoice_bench.datasets.store.index import (
    COUNT_COLUMNS,
    SCHEMA,
    SourceTimes,
    build_index,
    read_index,
    read_index_table,
    read_scene_attributes,
    read_times,
    write_index,
)
from autoice_bench.datasets.store.root import Store, open_store
from autoice_bench.errors import StoreError
from autoice_bench.formats.rtt_folder import find_scenes
from autoice_bench.scene_id import parse_scene_id


@pytest.fixture
def store(prepared_store: Path, tmp_path: Path) -> Store:
    """A copy of the store that a test may change."""
    return open_store(shutil.copytree(prepared_store, tmp_path / "s.zarr"))


def test_columns() -> None:
    # 11 + 1, 6 + 1 and 7 + 1 counts.
    assert len(COUNT_COLUMNS) == 12 + 7 + 8
    assert COUNT_COLUMNS[10:13] == ("SIC_10", "SIC_255", "SOD_0")
    assert set(COUNT_COLUMNS) < set(SCHEMA.names)


def test_index_on_disk_equals_its_rebuild(prepared_store: Path) -> None:
    store = open_store(prepared_store)
    on_disk = read_index_table(store)
    assert on_disk is not None
    assert build_index(store, read_times(store)).equals(on_disk)
    assert hashlib.sha256(store.index_path.read_bytes()).hexdigest() == store.index_sha256


def test_index_that_is_lost_is_rebuilt_but_for_the_times(store: Store) -> None:
    before = read_index(store)
    store.index_path.unlink()
    times = ["source_mtime_ns", "reference_mtime_ns"]
    pd.testing.assert_frame_equal(read_index(store).drop(columns=times), before.drop(columns=times))
    assert read_index(store)[times].isna().all(axis=None)
    assert read_times(store) == {}


def test_row_says_what_the_scene_says(prepared_store: Path, rtt_source: Path) -> None:
    store = open_store(prepared_store)
    index = read_index(store).set_index("scene_id")
    for scene in find_scenes(rtt_source).scenes:
        row = index.loc[scene.scene_id]
        attributes, content = read_scene_attributes(store, scene.scene_id)
        assert row["subset"] == scene.subset
        assert row["region"] == scene.region
        expected = parse_scene_id(scene.scene_id)
        assert row["acquisition_time"] == expected.acquisition_time
        assert row["ice_service"] == expected.ice_service
        assert (row["sar_lines"], row["sar_samples"]) == (300, 327)
        assert bool(row["has_charts"]) is True
        for chart in CHARTS:
            assert row[[f"{chart.name}_{value}" for value in chart.values]].sum() == 300 * 327
        assert row["source_name"] == scene.path.name
        assert row["source_sha256"] == hashlib.sha256(scene.path.read_bytes()).hexdigest()
        assert row["source_mtime_ns"] == scene.path.stat().st_mtime_ns
        if scene.reference is None:
            assert row[["reference_name", "reference_bytes", "reference_sha256"]].isna().all()
        else:
            assert row["reference_bytes"] == scene.reference.stat().st_size
        folder = store.scene_path(scene.scene_id)
        sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
        assert row["stored_bytes"] == sum(sizes)
        assert row["zarr_json_sha256"] == hashlib.sha256(content).hexdigest()
        assert row["truth_sha256"] == attributes["truth_sha256"]


def test_types_for_people_who_use_pandas(prepared_store: Path) -> None:
    index = read_index(open_store(prepared_store))
    assert index["SIC_0"].dtype == pd.Int64Dtype()
    assert index["orbit"].dtype == pd.Int64Dtype()
    assert isinstance(index["region"].dtype, pd.StringDtype)
    assert str(index["acquisition_time"].dtype) == "datetime64[us, UTC]"
    assert index["acquisition_time"].min() > datetime(2030, 1, 1, tzinfo=UTC)
    assert index["has_charts"].dtype == bool


def test_written_bytes_are_reproducible(store: Store) -> None:
    before = store.index_path.read_bytes()
    assert write_index(store, build_index(store, read_times(store))) == store.index_sha256
    assert store.index_path.read_bytes() == before


def test_index_behind_the_scenes_is_rebuilt(store: Store) -> None:
    gone = store.scene_ids()[0]
    shutil.rmtree(store.scene_path(gone))
    index = read_index(store)
    assert gone not in set(index["scene_id"])
    assert len(index) == 5
    assert index["source_mtime_ns"].notna().all()  # those of the others are still known


def test_index_of_an_unfinished_store_is_not_trusted(store: Store) -> None:
    # A scene may have been replaced since: same ids, other counts.
    table = build_index(store, {})
    column = table.schema.get_field_index("SIC_0")
    wrong = table.set_column(column, SCHEMA.field("SIC_0"), [[0] * len(table)])
    trusted = replace(store, index_sha256=write_index(store, wrong))
    assert read_index(trusted)["SIC_0"].sum() == 0
    assert read_index(replace(trusted, state="preparing"))["SIC_0"].sum() > 0
    # The root remembers what prepare wrote, which this is not.
    assert read_index(store)["SIC_0"].sum() > 0


@pytest.mark.parametrize("content", [b"", b"PAR1", b"no parquet at all" * 10])
def test_damaged_index_is_rebuilt(store: Store, content: bytes) -> None:
    store.index_path.write_bytes(content)
    assert read_index_table(store) is None
    assert len(read_index(store)) == 6


@pytest.mark.parametrize("share", [0.02, 0.2, 0.5, 0.8, 0.97])
def test_flipped_byte_in_the_index_never_crashes_a_reader(store: Store, share: float) -> None:
    content = bytearray(store.index_path.read_bytes())
    for step in range(40):
        damaged = bytearray(content)
        damaged[int(share * len(content)) + step - 20] ^= 0xFF
        store.index_path.write_bytes(damaged)
        assert read_index_table(store) is None
        # While a store is being prepared there is no digest to tell by.
        table = read_index_table(replace(store, index_sha256=None))
        assert table is None or table.schema.equals(SCHEMA)


def test_index_of_other_columns_is_not_used(store: Store) -> None:
    table = build_index(store, {})
    sha256 = write_index(store, table.drop_columns(["region"]))
    assert read_index_table(store) is None
    assert read_index_table(replace(store, index_sha256=sha256)) is None
    assert read_index(store)["region"].notna().all()


def test_folder_named_like_a_partition_adds_no_column(prepared_store: Path, tmp_path: Path) -> None:
    copied = shutil.copytree(prepared_store, tmp_path / "seed=3" / "s.zarr")
    assert read_index_table(open_store(copied)) is not None


def test_empty_store(rtt_source: Path, tmp_path: Path, prepared_store: Path) -> None:
    store = open_store(shutil.copytree(prepared_store, tmp_path / "s.zarr"))
    shutil.rmtree(store.scenes_path)
    index = read_index(store)
    assert (len(index), list(index.columns)) == (0, SCHEMA.names)
    report = prepare(rtt_source, store.path, workers=1)
    assert len(report.written) == 6


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "[]",
        lambda text: "{}",
        lambda text: text.replace('"class_counts"', '"class_c0unts"'),
        lambda text: text.replace('"SOD": {', '"S0D": {'),
        lambda text: text.replace('"acquisition_time": "20', '"acquisition_time": "x0'),
        lambda text: text.replace('"files": {', '"files": 3, "x": {'),
    ],
    ids=["truncated", "list", "empty", "no counts", "no SOD", "no time", "files"],
)
def test_damaged_scene_is_named(store: Store, edit: object) -> None:
    assert callable(edit)
    scene_id = store.scene_ids()[2]
    path = store.scene_path(scene_id) / "zarr.json"
    before = path.read_text()
    path.write_text(edit(before))
    assert path.read_text() != before
    with pytest.raises(StoreError, match=rf"{scene_id}/zarr\.json is damaged: .*; remove the sc"):
        build_index(store, {})


def test_times_survive_a_rebuild(store: Store) -> None:
    scene_id = store.scene_ids()[0]
    sha256 = write_index(store, build_index(store, {scene_id: SourceTimes(12, 34)}))
    times = read_times(replace(store, index_sha256=sha256))
    assert times.pop(scene_id) == SourceTimes(12, 34)
    assert set(times.values()) == {SourceTimes(None, None)}


def test_scene_attributes_come_with_their_bytes(prepared_store: Path) -> None:
    store = open_store(prepared_store)
    scene_id = store.scene_ids()[0]
    attributes, content = read_scene_attributes(store, scene_id)
    assert attributes == json.loads(content)["attributes"]
    assert attributes["scene_id"] == scene_id
