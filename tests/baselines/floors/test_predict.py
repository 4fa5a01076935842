from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from click.testing import CliRunner

from autoice_bench.baselines.floors.amsr2_threshold import (
    BIN_EDGES,
    compute_polarisation_ratio,
    count_by_ratio,
    fit_stump,
    predict_by_threshold,
)
from autoice_bench.baselines.floors.predict import FLOORS, predict_floor
from autoice_bench.charts import CHART_NAMES, CHARTS, FILL_VALUE, SIC, SOD
from autoice_bench.cli import main
from autoice_bench.errors import PredictionError, SplitError
from autoice_bench.formats.variables import AMSR2_VARIABLES, VARIABLES
from autoice_bench.scoring.evaluate import evaluate
from autoice_bench.scoring.metrics.formulas import r2
from autoice_bench.scoring.predictions.reading import open_predictions
from autoice_bench.scoring.truth.store_truth import StoreTruth


def bin_of(ratio: float) -> int:
    return int(np.digitize(ratio, BIN_EDGES) - 1)


def make_scene(ratio: np.ndarray, sic: np.ndarray) -> xr.Dataset:
    """A scene whose 18.7 GHz temperatures sum to 400 K, with the given polarisation ratio."""
    names = [variable.name for variable in AMSR2_VARIABLES]
    amsr2 = np.zeros((len(names), *ratio.shape))
    for name, sign in (("btemp_18_7v", 1), ("btemp_18_7h", -1)):
        variable = VARIABLES[name]
        kelvin = 200 * (1 + sign * ratio)
        amsr2[names.index(name)] = (kelvin - variable.mean) / variable.std
    charts = np.stack([sic, np.minimum(sic, 5), np.minimum(sic, 6)])
    charts[:, sic == FILL_VALUE] = FILL_VALUE
    return xr.Dataset(
        {
            "amsr2": (("amsr2_channel", "y", "x"), amsr2),
            "charts": (("chart", "sar_lines", "sar_samples"), charts),
        },
        coords={"amsr2_channel": names, "chart": list(CHART_NAMES)},
    )


def test_polarisation_ratio_is_of_kelvin() -> None:
    ratio = np.array([[0.02, 0.25]])
    scene = make_scene(ratio, np.zeros((25, 50), np.uint8))
    np.testing.assert_allclose(compute_polarisation_ratio(scene), ratio)


def test_classes_are_counted_at_cell_centres() -> None:
    sic = np.zeros((30, 55), np.uint8)  # one row of two cells; 5 pixels beyond have no cell
    sic[12, 12], sic[12, 37] = 9, FILL_VALUE
    counts = count_by_ratio(make_scene(np.array([[0.05, 0.25]]), sic))
    expected = np.zeros((BIN_EDGES.size - 1, SIC.n_classes), np.int64)
    expected[bin_of(0.05), 9] = 1
    np.testing.assert_array_equal(counts["SIC"], expected)


def test_stump_separates_what_one_threshold_can() -> None:
    # Ice of class 9 and 10 below 0.1, water above 0.2. Best constants: the rounded mean 9.75 -> 10
    # for R2; any threshold between separates, and the first such is taken.
    counts = np.zeros((BIN_EDGES.size - 1, SIC.n_classes), np.int64)
    counts[bin_of(0.051), 9], counts[bin_of(0.051), 10], counts[bin_of(0.251), 0] = 1, 3, 4
    stump = fit_stump(counts, SIC)
    assert (stump.class_below, stump.class_above) == (10, 0)
    assert 0.051 < stump.threshold <= 0.251


def test_stump_of_stages_takes_the_most_frequent() -> None:
    counts = np.zeros((BIN_EDGES.size - 1, SOD.n_classes), np.int64)
    counts[10, [2, 5]] = 3, 4
    counts[150, 0] = 5
    stump = fit_stump(counts, SOD)
    assert (stump.class_below, stump.class_above) == (5, 0)


def test_prediction_fills_the_pixels_beyond_the_last_cell() -> None:
    scene = make_scene(np.array([[0.05, 0.25]]), np.zeros((30, 55), np.uint8))
    counts = {
        chart.name: np.eye(BIN_EDGES.size - 1, chart.n_classes, dtype=np.int64) for chart in CHARTS
    }
    stumps = {chart.name: fit_stump(counts[chart.name], chart) for chart in CHARTS}
    predicted = predict_by_threshold(scene, stumps)
    for chart in CHARTS:
        assert predicted[chart.name].shape == (30, 55)
        assert predicted[chart.name].dtype == np.uint8
        assert (predicted[chart.name][:, 25:] == stumps[chart.name].class_above).all()


def test_majority_is_the_training_scenes_most_frequent_class(
    prepared_store: Path, tmp_path: Path
) -> None:
    fitted = predict_floor("majority", prepared_store, tmp_path / "p")
    truth = StoreTruth(prepared_store)
    train = truth.select("official", "train")
    for chart in CHARTS:
        pixels = np.concatenate([truth.read(s.scene_id)[chart.name].ravel() for s in train])
        counts = np.bincount(pixels[pixels != FILL_VALUE], minlength=chart.n_classes)
        assert counts[fitted["classes"][chart.name]] == counts.max()
        for scene_id in (found := open_predictions(tmp_path / "p")).scene_ids:
            assert (found.read(scene_id, chart.name) == fitted["classes"][chart.name]).all()


@pytest.mark.parametrize("name", FLOORS)
def test_floors_score_and_can_be_placed_on_a_map(
    prepared_store: Path, tmp_path: Path, name: str
) -> None:
    predict_floor(name, prepared_store, tmp_path / name)
    evaluation = evaluate(tmp_path / name, StoreTruth(prepared_store))
    assert evaluation.rankable
    assert sum(evaluation.mask_class_pixels.values()) == 0
    found = open_predictions(tmp_path / name)
    for scene in evaluation.scenes:
        tie_points = found.read_tie_points(scene.scene_id)
        assert tie_points is not None
        with xr.open_zarr(prepared_store / "scenes" / scene.scene_id) as stored:
            np.testing.assert_array_equal(tie_points["latitude"], stored["latitude"].values)
    description = json.loads((tmp_path / name / "description.json").read_text())
    assert description["recipe"] == name
    assert len(description["store_fingerprint"]) == 64


def test_threshold_beats_majority_on_its_training_scenes(
    prepared_store: Path, tmp_path: Path
) -> None:
    # A constant is a stump whose sides agree, so at the cell centres it is fitted on, a stump's R2
    # cannot be lower; over all pixels of these scenes the margin is wide.
    scores = {}
    for name in FLOORS:
        predict_floor(name, prepared_store, tmp_path / name, subset="train")
        evaluation = evaluate(tmp_path / name, StoreTruth(prepared_store), subset="train")
        scores[name] = float(r2(evaluation.histograms["SIC"].sum(axis=0)))
    assert scores["amsr2-threshold"] > scores["majority"]
    assert scores["majority"] <= 0


def test_existing_predictions_are_kept_unless_told(prepared_store: Path, tmp_path: Path) -> None:
    out = tmp_path / "p"
    predict_floor("majority", prepared_store, out)
    with pytest.raises(PredictionError, match="exists; --overwrite replaces it"):
        predict_floor("majority", prepared_store, out)
    predict_floor("amsr2-threshold", prepared_store, out, overwrite=True)
    assert json.loads((out / "description.json").read_text())["recipe"] == "amsr2-threshold"
    (out / "notes.txt").write_text("mine")
    with pytest.raises(PredictionError, match=r"holds notes\.txt"):
        predict_floor("majority", prepared_store, out, overwrite=True)
    assert json.loads((out / "description.json").read_text())["recipe"] == "amsr2-threshold"


def test_a_floor_that_stops_half_way_leaves_the_former_predictions(
    prepared_store: Path, tmp_path: Path
) -> None:
    out = tmp_path / "p"
    predict_floor("majority", prepared_store, out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict_floor("amsr2-threshold", prepared_store, out, overwrite=True, progress=stop)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    with pytest.raises(KeyboardInterrupt):
        predict_floor("majority", prepared_store, tmp_path / "new", progress=stop)
    assert [path.name for path in tmp_path.iterdir()] == ["p"]


def test_unknown_split_is_refused(prepared_store: Path, tmp_path: Path) -> None:
    with pytest.raises(SplitError, match="split nosuch: no file"):
        predict_floor("majority", prepared_store, tmp_path / "p", split="nosuch")
    assert not (tmp_path / "p").exists()


def test_command_line_from_baseline_to_leaderboard(
    prepared_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(prepared_store, "autoice.zarr")
    runner = CliRunner()
    for arguments in ("baseline majority", "baseline amsr2-threshold", "score", "leaderboard"):
        result = runner.invoke(main, arguments.split())
        assert result.exit_code == 0, result.output
        if arguments == "baseline amsr2-threshold":
            assert "SIC: threshold 0." in result.stdout
            assert ", class_below " in result.stdout
    assert "SIMULATED" in result.stdout
    assert runner.invoke(main, ["baseline", "nosuch"]).exit_code == 2
    assert runner.invoke(main, ["baseline", "majority"]).exit_code == 1
    assert runner.invoke(main, ["baseline", "majority", "--overwrite"]).exit_code == 0
