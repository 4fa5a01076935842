"""The scorer takes a folder of RTT files exactly as ``prepare`` does; float charts are charts."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import netCDF4
import numpy as np
import pytest

from autoice_bench.charts import CHART_NAMES
from autoice_bench.datasets.sources.scenes import list_source
from autoice_bench.errors import AutoIceError, NoSceneError, SceneError, SplitError
from autoice_bench.official import OFFICIAL_TEST, WITHDRAWN
from autoice_bench.scoring.evaluate import evaluate
from autoice_bench.scoring.truth.rtt_truth import RttTruth
from tests.scoring.make import SCENES, TRAIN, random_charts, truth_of, write_netcdf, write_rtt

A, B, C, _ = SCENES

Found = dict[str, tuple[str, str | None]]
"""Scene id to subset and region."""


def write(folder: Path, *paths: str) -> Path:
    """Scene files that hold charts and no ``original_id``."""
    for path in paths:
        write_netcdf(folder / path, random_charts(0, (3, 4)))
    return folder


def flat(root: Path) -> Path:
    return write(root, f"{A}_prep.nc", f"test_data/{B}_prep.nc", f"test_data/{B}_prep_reference.nc")


def nested_test_without_references(root: Path) -> Path:
    return write(root, f"train/2030/{A}_prep.nc", f"test/2030/{B}_prep.nc")


def reference_outside_a_test_folder(root: Path) -> Path:
    return write(root, f"{A}_prep.nc", f"{B}_prep.nc", f"{B}_prep_reference.nc")


def released_test_scenes_without_a_folder(root: Path) -> Path:
    return write(root, f"{A}_prep.nc", *(f"{scene_id}_prep.nc" for scene_id in OFFICIAL_TEST))


def folder_called_test_data(root: Path) -> Path:
    return write(root / "test_data", f"{A}_prep.nc")


def links_stores_and_other_names(root: Path) -> Path:
    write(root.parent / "disk", f"{B}_prep.nc")
    write(root, f"train/{A}_prep.nc", f"old.zarr/{C}_prep.nc", "mine_prep.nc", "notes.nc")
    (root / "test").symlink_to(root.parent / "disk")
    (root / "train" / "up").symlink_to(root)
    return root


def withdrawn(root: Path) -> Path:
    return write(root, f"{A}_prep.nc", f"{WITHDRAWN[0]}_prep.nc", f"x/{WITHDRAWN[0]}_prep.nc")


def regions(root: Path) -> Path:
    write(root, f"train/{A}_prep.nc", f"train/{B}_prep.nc", f"test/{C}_prep.nc")
    (root / "metadata.csv").write_text(
        f"input_path,region_id\ntrain/{A}_prep.nc,NorthWater\ntest/{C}_prep.nc,\n",
        encoding="utf-8-sig",  # as spreadsheets write it
    )
    (root / "train" / "metadata.csv").write_text(f"input_path,region_id\n{B}_prep.nc, Qaanaaq \n")
    return root


def list_for_prepare(source: Path) -> Found:
    return {scene.scene_id: (scene.subset, scene.region) for scene in list_source(source).scenes}


def list_for_scoring(source: Path) -> Found:
    truth = RttTruth(source)
    found: Found = {}
    for subset in ("train", "test"):
        with suppress(SplitError):  # it has no such scenes
            for scene in truth.select("official", subset):
                found[scene.scene_id] = (subset, scene.region)
    return found


@pytest.mark.parametrize(
    ("layout", "n_test"),
    [
        (flat, 1),
        (nested_test_without_references, 1),
        (reference_outside_a_test_folder, 0),
        (released_test_scenes_without_a_folder, 20),
        (folder_called_test_data, 1),
        (links_stores_and_other_names, 1),
        (withdrawn, 0),
        (regions, 1),
    ],
)
def test_scoring_finds_what_prepare_finds(
    tmp_path: Path, layout: Callable[[Path], Path], n_test: int
) -> None:
    source = layout(tmp_path / "rtt")
    found = list_for_scoring(source)
    assert found == list_for_prepare(source)
    assert sum(subset == "test" for subset, _ in found.values()) == n_test
    assert len(found) > n_test or layout is folder_called_test_data


def one_scene_in_two_files(root: Path) -> Path:
    return write(root, f"{A}_prep.nc", f"copy/{A}_prep.nc")


def two_references(root: Path) -> Path:
    return write(root, f"{A}_prep.nc", f"a/{A}_prep_reference.nc", f"b/{A}_prep_reference.nc")


def metadata_that_is_no_text(root: Path) -> Path:
    write(root, f"{A}_prep.nc")
    (root / "metadata.csv").write_bytes("input_path,region_id\nx,\u00c5\n".encode("latin-1"))
    return root


def no_folder(root: Path) -> Path:
    return root / "nosuch"


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        (one_scene_in_two_files, f"scene {A}: found 2 files .*move the others away"),
        (two_references, f"scene {A}: found 2 files .*move the others away"),
        (metadata_that_is_no_text, "metadata.csv cannot be read: .*expected CSV in UTF-8"),
        (no_folder, "found nothing; expected a folder"),
    ],
)
def test_scoring_refuses_what_prepare_refuses(
    tmp_path: Path, layout: Callable[[Path], Path], message: str
) -> None:
    source = layout(tmp_path)
    refusals = []
    for look in (list_for_prepare, list_for_scoring):
        with pytest.raises(SceneError, match=message) as raised:
            look(source)
        refusals.append(str(raised.value))
    assert refusals[0] == refusals[1]


def test_references_alone_can_be_scored_though_not_prepared(tmp_path: Path) -> None:
    write(tmp_path, f"{A}_prep_reference.nc", f"deep/{B}_prep_reference.nc")
    assert list_for_scoring(tmp_path) == {A: ("test", None), B: ("test", None)}
    assert RttTruth(tmp_path).read(B).keys() == set(CHART_NAMES)
    with pytest.raises(NoSceneError):
        list_source(tmp_path)
    write(tmp_path, f"twice/{B}_prep_reference.nc")
    with pytest.raises(SceneError, match=f"scene {B}: found 2 files"):
        RttTruth(tmp_path).select("official", "test")


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16])
def test_charts_of_any_real_dtype_give_the_same_truth(
    rtt: Path, predictions: Path, tmp_path: Path, dtype: type[np.generic]
) -> None:
    expected = evaluate(predictions, RttTruth(rtt))
    other = write_rtt(tmp_path / "rtt")
    for scene_id in SCENES:
        charts = {
            name: np.where(values == 255, np.nan, values.astype(dtype)).astype(dtype)
            if np.issubdtype(dtype, np.floating)
            else values.astype(dtype)
            for name, values in truth_of(scene_id).items()
        }
        write_netcdf(other / f"test_data/{scene_id}_prep_reference.nc", charts)
    found = evaluate(predictions, RttTruth(other))
    assert found.truth_fingerprint == expected.truth_fingerprint
    for name in CHART_NAMES:
        np.testing.assert_array_equal(found.histograms[name], expected.histograms[name])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda sic: np.where(sic == 1, np.float32(3.5), sic),
            "SIC holds 3.5 in [0-9]+ pixels",
        ),
        (lambda sic: np.where(sic == 1, np.uint8(11), sic), "SIC holds 11 in [0-9]+ pixels"),
        (lambda sic: sic[:-1], "SOD is .*; expected "),
        (lambda sic: sic.astype("S1"), "SIC is .S1; expected uint8"),
    ],
)
def test_charts_that_hold_no_classes_are_refused(
    predictions: Path,
    tmp_path: Path,
    change: Callable[[np.ndarray], np.ndarray],
    message: str,
) -> None:
    charts = truth_of(TRAIN[0])
    write_netcdf(tmp_path / f"{TRAIN[0]}_prep.nc", {**charts, "SIC": change(charts["SIC"])})
    with pytest.raises(AutoIceError, match=f"scene {TRAIN[0]}: {message}"):
        RttTruth(tmp_path).read(TRAIN[0])


def test_chart_that_is_no_map_is_refused(tmp_path: Path, rtt: Path) -> None:
    path = Path(shutil.copy(rtt / f"{TRAIN[0]}_prep.nc", tmp_path))
    with netCDF4.Dataset(path, "a") as file:
        file.renameVariable("SIC", "old")
        file.createVariable("SIC", "u1", ("SIC_lines",))
    with pytest.raises(SceneError, match=r"SIC has shape .*; expected lines, samples"):
        RttTruth(tmp_path).select("official", "train")
