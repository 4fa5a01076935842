from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from autoice_bench.charts import CHARTS
from autoice_bench.errors import SceneError, SplitError, StoreError
from autoice_bench.formats.label_rule import AUTOICE_2022
from autoice_bench.formats.store_layout import hash_charts
from autoice_bench.official import OFFICIAL_TEST
from autoice_bench.scoring.truth.protocol import compute_truth_fingerprint
from autoice_bench.scoring.truth.rtt_truth import RttTruth
from autoice_bench.scoring.truth.store_truth import StoreTruth
from tests.scoring.make import (
    REGIONS,
    SCENES,
    TRAIN,
    random_charts,
    sha256,
    truth_of,
    write_netcdf,
    write_split,
)


def test_store_and_rtt_files_tell_the_same(store: Path, rtt: Path) -> None:
    from_store, from_rtt = StoreTruth(store), RttTruth(rtt)
    assert from_store.rule == from_rtt.rule == AUTOICE_2022
    assert from_store.simulated
    assert from_rtt.simulated
    for subset, expected in (("test", SCENES), ("train", TRAIN)):
        stored = from_store.select("official", subset)
        loose = from_rtt.select("official", subset)
        assert tuple(scene.scene_id for scene in stored) == expected
        assert [(s.scene_id, s.region, s.shape) for s in stored] == [
            (s.scene_id, s.region, s.shape) for s in loose
        ]
        for scene in stored:
            assert scene.region == REGIONS[scene.scene_id[-3:]]
            a, b = from_store.read(scene.scene_id), from_rtt.read(scene.scene_id)
            for chart in CHARTS:
                np.testing.assert_array_equal(a[chart.name], truth_of(scene.scene_id)[chart.name])
                np.testing.assert_array_equal(a[chart.name], b[chart.name])
            assert scene.truth_sha256 == hash_charts(b) == sha256(truth_of(scene.scene_id))


def test_fingerprint_is_the_documented_digest() -> None:
    text = (
        '{"floe_threshold":65,"label_rule":"autoice-2022",'
        '"scenes":[["a","1"],["b","2"]],"sod_threshold":65}'
    )
    expected = hashlib.sha256(text.encode()).hexdigest()
    assert compute_truth_fingerprint(AUTOICE_2022, {"b": "2", "a": "1"}) == expected


def test_hash_depends_on_the_charts_order() -> None:
    charts = random_charts(0)
    swapped = {**charts, "SIC": charts["SOD"], "SOD": charts["SIC"]}
    assert hash_charts(charts) == hash_charts(dict(reversed(charts.items())))
    assert hash_charts(charts) != hash_charts(swapped)


def test_split_by_path(store: Path, rtt: Path, tmp_path: Path) -> None:
    split = str(write_split(tmp_path / "mine.json", val=(SCENES[0], SCENES[2])))
    for truth in (StoreTruth(store), RttTruth(rtt)):
        ids = [scene.scene_id for scene in truth.select(split, "val")]
        assert ids == [SCENES[0], SCENES[2]]


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        ({"test": (SCENES[0], SCENES[0])}, "mine.json: split mine: test lists scene .* twice"),
        ({"test": (SCENES[1], SCENES[0])}, "split mine: test is not sorted: scene .* comes"),
        ({"train": SCENES[:1], "test": SCENES}, "is in both train and test"),
    ],
)
def test_split_that_lists_a_scene_twice_is_refused(
    store: Path, rtt: Path, tmp_path: Path, lists: dict[str, tuple[str, ...]], message: str
) -> None:
    # Counted twice, a scene made a submission that no leaderboard could read.
    split = str(write_split(tmp_path / "mine.json", **lists))
    for truth in (StoreTruth(store), RttTruth(rtt)):
        with pytest.raises(SplitError, match=message):
            truth.select(split, "test")


def test_split_goes_by_the_name_in_its_file(store: Path, rtt: Path, tmp_path: Path) -> None:
    path = write_split(tmp_path / "mine.json", test=SCENES).rename(tmp_path / "file.json")
    for truth in (StoreTruth(store), RttTruth(rtt)):
        assert truth.split_name(str(path)) == "mine"
        assert truth.split_name("official") == "official"
        with pytest.raises(SplitError, match=r"no file nosuch\.json"):
            truth.split_name("nosuch.json")


def test_edited_split_is_refused(store: Path, tmp_path: Path) -> None:
    path = write_split(tmp_path / "mine.json", test=SCENES)
    content = json.loads(path.read_text())
    content["test"] = content["test"][:1]
    path.write_text(json.dumps(content))
    with pytest.raises(SplitError, match="its lists were edited"):
        StoreTruth(store).select(str(path), "test")


@pytest.mark.parametrize(
    ("content", "message"),
    [("{}", "field format, .*missing"), ("[1]", "field format, .*missing"), ("x", "not JSON")],
)
def test_file_that_is_no_split_is_refused(
    store: Path, tmp_path: Path, content: str, message: str
) -> None:
    path = tmp_path / "mine.json"
    path.write_text(content)
    with pytest.raises(SplitError, match=message):
        StoreTruth(store).select(str(path), "test")


def test_unknown_split_empty_subset_and_unknown_scene_are_refused(
    store: Path, tmp_path: Path
) -> None:
    truth = StoreTruth(store)
    with pytest.raises(SplitError, match=r"split nosuch: no file .*nosuch\.json; .* has official"):
        truth.select("nosuch", "test")
    with pytest.raises(SplitError, match="subset val holds no scenes"):
        truth.select("official", "val")
    other = str(write_split(tmp_path / "other.json", test=("20320101T000000_dmi",)))
    with pytest.raises(SplitError, match="20320101T000000_dmi of the split is not in the store"):
        truth.select(other, "test")


def test_missing_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no store here"):
        StoreTruth(tmp_path / "none.zarr").select("official", "test")


def test_store_of_another_version_is_refused(store: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.zarr"
    shutil.copytree(store, copy)
    metadata = json.loads((copy / "zarr.json").read_text())
    metadata["attributes"]["format_version"] = 2
    (copy / "zarr.json").write_text(json.dumps(metadata))
    with pytest.raises(StoreError, match="format_version is 2; expected 1"):
        StoreTruth(copy).select("official", "test")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("label_rule", None, "label_rule is None; expected str"),
        ("sod_threshold", "65", "sod_threshold is '65'; expected int"),
        ("simulated", 1, "simulated is 1; expected bool"),
    ],
)
def test_store_without_what_the_scorer_needs_is_refused(
    store: Path, tmp_path: Path, name: str, value: object, message: str
) -> None:
    content = json.loads((store / "zarr.json").read_text())
    content["attributes"][name] = value
    (tmp_path / "zarr.json").write_text(json.dumps(content))
    with pytest.raises(StoreError, match=message):
        _ = StoreTruth(tmp_path).rule
    (tmp_path / "zarr.json").write_text("[]")
    with pytest.raises(StoreError, match="damaged: holds a list; expected an object"):
        _ = StoreTruth(tmp_path).simulated


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("label_rule", "majority", "label rule 'majority'; expected autoice-2022 or dominant-sum"),
        ("floe_threshold", 0, "floe_threshold is 0; expected whole percent from 1 to 100"),
    ],
)
def test_store_of_an_unknown_label_rule_is_refused(
    store: Path, tmp_path: Path, name: str, value: object, message: str
) -> None:
    content = json.loads((store / "zarr.json").read_text())
    content["attributes"][name] = value
    (tmp_path / "zarr.json").write_text(json.dumps(content))
    with pytest.raises(StoreError, match=f"{tmp_path}: {message}"):
        _ = StoreTruth(tmp_path).rule


def test_scene_of_the_store_without_charts_is_refused(store: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.zarr"
    shutil.copytree(store, copy)
    shutil.rmtree(copy / "scenes" / SCENES[0] / "charts")
    with pytest.raises(SplitError, match=f"scene {SCENES[0]} has no charts to score against"):
        StoreTruth(copy).select("official", "test")
    (copy / "zarr.json").write_text("{")
    with pytest.raises(StoreError, match=r"zarr\.json: damaged"):
        StoreTruth(copy).select("official", "test")


def test_damaged_shape_of_charts_is_told(store: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.zarr"
    shutil.copytree(store, copy)
    path = copy / "scenes" / SCENES[0] / "charts" / "zarr.json"
    for shape in (None, [3], "x"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"shape": shape}))
        with pytest.raises(StoreError, match=r"charts/zarr\.json is damaged: shape is "):
            StoreTruth(copy).select("official", "test")


def test_unknown_subset_is_refused(store: Path) -> None:
    with pytest.raises(SplitError, match="subset 'dev'; expected one of train, val, test"):
        StoreTruth(store).select("official", "dev")


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("zarr.json", '"sod_threshold": 65', '"sod_threshold": 66'),
        ("scene/zarr.json", '"region": "', '"region": "X'),
        ("scene/charts/zarr.json", '"SIC",', '"SJC",'),
    ],
)
def test_a_changed_character_of_a_prepared_store_is_told(
    prepared_store: Path, tmp_path: Path, file: str, old: str, new: str
) -> None:
    copy = Path(shutil.copytree(prepared_store, tmp_path / "copy.zarr"))
    scene_id = StoreTruth(copy).select("official", "test")[0].scene_id
    path = copy / file.replace("scene", f"scenes/{scene_id}")
    text = path.read_text()
    path.write_text(text.replace(old, new, 1))
    assert path.read_text() != text
    truth = StoreTruth(copy)
    with pytest.raises(StoreError, match=r"does not match its own digest|differs from what"):
        _ = truth.rule, truth.select("official", "test")


def test_damaged_charts_are_told(store: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.zarr"
    shutil.copytree(store, copy)
    chunk = next((copy / "scenes" / SCENES[0] / "charts" / "c").rglob("0"))
    while chunk.is_dir():
        chunk = next(chunk.iterdir())
    chunk.write_bytes(b"garbage")
    with pytest.raises(StoreError, match="the charts cannot be read"):
        StoreTruth(copy).read(SCENES[0])


def test_released_test_set_is_complete_or_refused(tmp_path: Path) -> None:
    # One scene of the released test set alone: the other 19 are missed, not ignored.
    path = tmp_path / f"{OFFICIAL_TEST[3]}_prep_reference.nc"
    write_netcdf(path, random_charts(0))
    with pytest.raises(SplitError, match=OFFICIAL_TEST[0]):
        RttTruth(tmp_path).select("official", "test")


def test_test_file_that_carries_charts_needs_no_reference(tmp_path: Path) -> None:
    write_netcdf(tmp_path / f"test/{SCENES[0]}_prep.nc", truth_of(SCENES[0]))
    (scene,) = RttTruth(tmp_path).select("official", "test")
    assert scene.scene_id == SCENES[0]
    assert scene.region is None


def test_region_of_metadata_csv_comes_first(tmp_path: Path) -> None:
    name = f"{SCENES[0]}_prep.nc"
    write_netcdf(tmp_path / "train" / name, truth_of(SCENES[0]))
    (tmp_path / "metadata.csv").write_text(f"input_path,region_id\ntrain/{name},NorthWater\n")
    (scene,) = RttTruth(tmp_path).select("official", "train")
    assert scene.region == "NorthWater"


def test_labels_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    with pytest.raises(SceneError, match="found nothing; expected a folder"):
        RttTruth(tmp_path / "none").select("official", "test")
    with pytest.raises(SplitError, match="no scenes of split official"):
        RttTruth(tmp_path).select("official", "test")
    with pytest.raises(SplitError, match="not kfold-1 test; give the split's JSON file"):
        RttTruth(tmp_path).select("kfold-1", "test")
    with pytest.raises(SceneError, match="no RTT files"):
        _ = RttTruth(tmp_path).simulated
    (tmp_path / f"{SCENES[0]}_prep_reference.nc").write_bytes(b"not NetCDF")
    with pytest.raises(SceneError, match="cannot read the charts"):
        RttTruth(tmp_path).select("official", "test")


def test_scene_without_charts_is_refused(tmp_path: Path) -> None:
    write_netcdf(tmp_path / f"{SCENES[0]}_prep.nc", {"SIC": truth_of(SCENES[0])["SIC"]})
    with pytest.raises(SceneError, match="holds no SOD, FLOE"):
        RttTruth(tmp_path).select("official", "train")
