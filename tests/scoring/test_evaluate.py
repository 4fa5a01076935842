from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import f1_score, r2_score

from autoice_bench import worker_rule
from autoice_bench.charts import CHARTS
from autoice_bench.errors import ClusterError, LeaderboardError, PredictionError
from autoice_bench.scoring import scene_map
from autoice_bench.scoring.evaluate import Evaluation, SceneCounts, board_name, evaluate
from autoice_bench.scoring.metrics.groups import group_scenes
from autoice_bench.scoring.predictions.reading import open_predictions
from autoice_bench.scoring.predictions.writing import convert
from autoice_bench.scoring.score import score
from autoice_bench.scoring.scores import build_scores
from autoice_bench.scoring.truth.protocol import TruthScene
from autoice_bench.scoring.truth.rtt_truth import RttTruth
from autoice_bench.scoring.truth.store_truth import StoreTruth
from tests.scoring.make import (
    SCENES,
    TRAIN,
    Charts,
    pooled,
    predictions_of,
    truth_of,
    write_netcdf,
    write_split,
)


def assert_same(a: Evaluation, b: Evaluation) -> None:
    assert a.scenes == b.scenes
    assert a.truth_fingerprint == b.truth_fingerprint
    assert a.predictions_sha256 == b.predictions_sha256
    for chart in CHARTS:
        np.testing.assert_array_equal(a.histograms[chart.name], b.histograms[chart.name])


@pytest.fixture(scope="module")
def evaluation(store: Path, predictions: Path) -> Evaluation:
    return evaluate(predictions, StoreTruth(store))


def value(evaluation: Evaluation, chart: str, metric: str) -> float:
    table = build_scores(evaluation, "x", resamples=10)
    rows = table[(table["group_kind"] == "all") & (table["chart"] == chart)]
    return float(rows[rows["metric"] == metric]["value"].iloc[0])


def test_equals_the_official_evaluation_on_pooled_pixels(evaluation: Evaluation) -> None:
    predicted = {scene_id: predictions_of(scene_id) for scene_id in SCENES}
    expected = {}
    for chart in CHARTS:
        t, p = (a.astype(int) for a in pooled(chart.name, predicted))
        raw = r2_score(t, p) if chart.name == "SIC" else f1_score(t, p, average="weighted")
        metric = "r2" if chart.name == "SIC" else "f1_weighted"
        assert value(evaluation, chart.name, metric) == pytest.approx(raw * 100, abs=1e-9)
        expected[chart.name] = np.round(raw * 100, 3)
        assert value(evaluation, chart.name, "official") == expected[chart.name]
    combined = np.round((2 * expected["SIC"] + 2 * expected["SOD"] + expected["FLOE"]) / 5, 3)
    assert value(evaluation, "combined", "official") == combined


def test_store_and_labels_give_the_same(
    evaluation: Evaluation, rtt: Path, predictions: Path
) -> None:
    assert_same(evaluate(predictions, RttTruth(rtt)), evaluation)


@pytest.mark.parametrize("name", ["preds.zarr", "upload_package.nc"])
def test_every_format_gives_the_same(
    evaluation: Evaluation, store: Path, predictions: Path, tmp_path: Path, name: str
) -> None:
    out = tmp_path / name
    format_name = "zarr" if name.endswith("zarr") else "upload-package"
    convert(open_predictions(predictions), out, format_name=format_name)
    assert_same(evaluate(out, StoreTruth(store)), evaluation)


def test_processes_give_the_same(evaluation: Evaluation, store: Path, predictions: Path) -> None:
    calls: list[tuple[int, int]] = []
    parallel = evaluate(
        predictions, StoreTruth(store), workers=2, progress=lambda *call: calls.append(call)
    )
    assert_same(parallel, evaluation)
    assert calls == [(n, len(SCENES)) for n in range(1, len(SCENES) + 1)]


def test_error_in_a_process_arrives(store: Path, tmp_path: Path, predictions: Path) -> None:
    folder = copy_with(predictions, tmp_path, lambda charts: {**charts, "SIC": charts["SIC"] + 99})
    with pytest.raises(PredictionError, match=f"scene {SCENES[1]}: SIC holds"):
        evaluate(folder, StoreTruth(store), workers=2)


def test_dask_gives_the_same(evaluation: Evaluation, store: Path, predictions: Path) -> None:
    distributed = pytest.importorskip("distributed")
    options = {"n_workers": 1, "threads_per_worker": 2, "processes": False}
    with distributed.LocalCluster(dashboard_address=None, **options) as cluster:
        result = evaluate(predictions, StoreTruth(store), scheduler=cluster.scheduler_address)
    assert_same(result, evaluation)


def test_unreachable_scheduler_is_told(store: Path, predictions: Path) -> None:
    with pytest.raises(
        ClusterError, match="scheduler foo://nowhere: no dask scheduler answers there"
    ):
        evaluate(predictions, StoreTruth(store), scheduler="foo://nowhere")


@pytest.mark.parametrize("of", ["store", "labels"])
def test_paths_are_absolute_before_they_are_sent(
    of: str,
    store: Path,
    rtt: Path,
    predictions: Path,
    evaluation: Evaluation,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: list[Path] = []

    def run_here(
        count: Callable[[TruthScene], SceneCounts],
        scenes: list[TruthScene],
        scheduler: str,
        files_of: Callable[[TruthScene], Iterable[Path]],
    ) -> Iterator[SceneCounts]:
        monkeypatch.chdir("/")  # as a worker may
        for scene in scenes:
            sent.extend(files_of(scene))
            yield count(scene)

    monkeypatch.setattr(scene_map, "_map_dask", run_here)
    monkeypatch.chdir(store.parent)
    truth = StoreTruth(Path(store.name)) if of == "store" else RttTruth(Path(os.path.relpath(rtt)))
    source = open_predictions(Path(os.path.relpath(predictions)))
    assert_same(evaluate(source, truth, scheduler="tcp://h:1"), evaluation)
    assert len(sent) == 2 * len(SCENES)
    assert all(path.is_absolute() and path.exists() for path in sent)


def test_workers_follow_the_amount_of_work(monkeypatch: pytest.MonkeyPatch, store: Path) -> None:
    scenes = list(StoreTruth(store).select("official", "test"))
    assert scene_map.choose_workers(scenes, None) == 1  # a few hundred pixels
    assert scene_map.choose_workers(scenes, 64) == len(scenes)
    monkeypatch.setattr(worker_rule, "PIXELS_PER_WORKER", 1)
    assert 1 <= scene_map.choose_workers(scenes, None) <= len(scenes)


def copy_with(predictions: Path, target: Path, change: Callable[[Charts], dict]) -> Path:  # type: ignore[type-arg]
    """The predictions with the second scene changed."""
    folder = target / "changed"
    shutil.copytree(predictions, folder)
    write_netcdf(folder / f"{SCENES[1]}.nc", change(predictions_of(SCENES[1])))
    return folder


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: {**c, "SIC": c["SIC"][:-1]}, r"SIC has shape \(\d+, 17\); the truth has"),
        (lambda c: {**c, "SOD": c["SOD"] + np.float32(0.25)}, "SOD holds .*which is not whole"),
        (lambda c: {**c, "SOD": np.full(c["SOD"].shape, np.nan)}, "255 or NaN in [0-9]+ pixels"),
        (lambda c: {**c, "FLOE": np.full_like(c["FLOE"], 255)}, "255 or NaN in [0-9]+ pixels"),
        (lambda c: {**c, "FLOE": np.full_like(c["FLOE"], 8)}, "FLOE holds 8; expected classes 0-6"),
        (lambda c: {"SIC": c["SIC"], "SOD": c["SOD"]}, "lacks FLOE"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(
    store: Path,
    predictions: Path,
    tmp_path: Path,
    change: Callable[[Charts], dict],  # type: ignore[type-arg]
    message: str,
) -> None:
    folder = copy_with(predictions, tmp_path, change)
    with pytest.raises(PredictionError, match=message) as raised:
        evaluate(folder, StoreTruth(store))
    assert SCENES[1] in str(raised.value)
    assert "\n" not in str(raised.value)


def test_whole_floats_and_nan_where_masked_are_accepted(
    evaluation: Evaluation, store: Path, predictions: Path, tmp_path: Path
) -> None:
    truth = truth_of(SCENES[1])

    def to_floats(charts: Charts) -> dict[str, np.ndarray]:
        return {
            name: np.where(truth[name] == 255, np.nan, values).astype(np.float32)
            for name, values in charts.items()
        }

    result = evaluate(copy_with(predictions, tmp_path, to_floats), StoreTruth(store))
    for chart in CHARTS:
        np.testing.assert_array_equal(
            result.histograms[chart.name], evaluation.histograms[chart.name]
        )


def test_mask_class_is_accepted_wrong_and_counted(
    store: Path, predictions: Path, tmp_path: Path
) -> None:
    def all_mask(charts: Charts) -> Charts:
        return {chart.name: np.full_like(charts[chart.name], chart.mask_class) for chart in CHARTS}

    result = evaluate(copy_with(predictions, tmp_path, all_mask), StoreTruth(store))
    truth = truth_of(SCENES[1])
    for chart in CHARTS:
        n_valid = int((truth[chart.name] != 255).sum())
        assert result.mask_class_pixels[chart.name] == n_valid
        assert np.diagonal(result.histograms[chart.name][1]).sum() == 0
    assert result.rankable


def test_missing_and_unknown_scenes_are_each_named(
    store: Path, predictions: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "p"
    shutil.copytree(predictions, folder)
    (folder / f"{SCENES[0]}.nc").unlink()
    write_netcdf(folder / f"{TRAIN[0]}.nc", predictions_of(TRAIN[0]))
    with pytest.raises(PredictionError) as raised:
        evaluate(folder, StoreTruth(store))
    lines = str(raised.value).splitlines()
    assert len(lines) == 2
    assert f"scene {SCENES[0]} is missing" in lines[0]
    assert f"scene {TRAIN[0]} is not among the 4 scenes" in lines[1]


def test_many_problems_are_shortened(store: Path, tmp_path: Path) -> None:
    charts = {"SIC": np.zeros((2, 2), np.uint8)}  # another shape, two charts missing: 3 a scene
    for scene_id in SCENES:
        write_netcdf(tmp_path / f"{scene_id}.nc", charts)
    with pytest.raises(PredictionError) as raised:
        evaluate(tmp_path, StoreTruth(store))
    assert str(raised.value).splitlines()[-1] == "... and 2 more"


def test_partial_predictions_are_scored_but_not_rankable(
    store: Path, predictions: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "p"
    shutil.copytree(predictions, folder)
    (folder / f"{SCENES[0]}.nc").unlink()
    write_netcdf(folder / f"{SCENES[1]}.nc", {"SIC": predictions_of(SCENES[1])["SIC"]})
    write_netcdf(folder / f"{TRAIN[0]}.nc", predictions_of(TRAIN[0]))
    result = evaluate(folder, StoreTruth(store), allow_partial=True)
    assert not result.rankable
    assert len(result.missing) == 3  # one scene, and two charts of another
    assert [scene.scene_id for scene in result.scenes] == list(SCENES[1:])
    assert result.histograms["SOD"][0].sum() == 0
    assert result.histograms["SIC"][0].sum() == (truth_of(SCENES[1])["SIC"] != 255).sum()


def test_nothing_of_the_subset_is_refused_even_partially(store: Path, tmp_path: Path) -> None:
    write_netcdf(tmp_path / f"{TRAIN[0]}.nc", predictions_of(TRAIN[0]))
    with pytest.raises(PredictionError, match="holds none of the subset's scenes"):
        evaluate(tmp_path, StoreTruth(store), allow_partial=True)


def test_board_names_split_and_subset(store: Path, predictions: Path, tmp_path: Path) -> None:
    split = str(write_split(tmp_path / "mine.json", val=SCENES))
    result = evaluate(predictions, StoreTruth(store), split=split, subset="val")
    assert result.board == "mine-val"
    renamed = Path(split).rename(tmp_path / "file.json")
    assert (
        evaluate(predictions, StoreTruth(store), split=str(renamed), subset="val").board
        == "mine-val"
    )
    assert board_name("official", "test") == "official"


def test_groups_cover_the_scenes_once_per_kind(evaluation: Evaluation) -> None:
    groups = group_scenes(evaluation.scenes)
    names = {(group.kind, group.name): group.members for group in groups}
    assert names["all", "all"] == (0, 1, 2, 3)
    assert names["ice_service", "cis"] == (0, 2)
    assert names["region", "CentralEast"] == (1, 3)
    assert names["month", "09"] == (3,)
    # January and February are winter, July summer, September autumn.
    assert names["season", "DJF"] == (0, 1)
    assert names["season", "JJA"] == (2,)
    assert names["season", "SON"] == (3,)
    for kind in ("ice_service", "region", "month", "season", "scene"):
        members = sorted(m for group in groups if group.kind == kind for m in group.members)
        assert members == [0, 1, 2, 3]


def test_split_may_be_a_path(store: Path, predictions: Path, tmp_path: Path) -> None:
    file = write_split(tmp_path / "mine.json", train=TRAIN, test=SCENES)
    scores = score(predictions, store, split=file, leaderboard=tmp_path / "board")
    assert scores.evaluation.split == "mine"
    assert scores.folder == tmp_path / "board/mine/noisy"
    with pytest.raises(LeaderboardError, match="--overwrite replaces it"):
        score(predictions, store, split=file, leaderboard=tmp_path / "board")
    score(predictions, store, split=file, leaderboard=tmp_path / "board", overwrite=True)
