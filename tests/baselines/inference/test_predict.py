import json
import os
import shutil
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from click.testing import CliRunner

from autoice_bench.baselines.inference import predict as predicting
from autoice_bench.baselines.inference import scene as inference
from autoice_bench.baselines.inference.predict import predict, predict_files
from autoice_bench.baselines.inputs.features import parse_features
from autoice_bench.baselines.recipes.recipe import Recipe
from autoice_bench.baselines.runs.checkpoints import (
    Checkpoint,
    CheckpointName,
    checkpoint_path,
    network_tensors,
    write_checkpoint,
)
from autoice_bench.baselines.runs.folder import RunFolder
from autoice_bench.charts import CHART_NAMES
from autoice_bench.cli import main
from autoice_bench.datasets.store.root import open_store
from autoice_bench.errors import AutoIceError, BaselineError, PredictionError, SceneError
from autoice_bench.formats.split_file import read_split
from autoice_bench.scoring.evaluate import evaluate
from autoice_bench.scoring.predictions.reading import find_submissions, open_predictions
from autoice_bench.scoring.predictions.writing import write_prediction
from autoice_bench.scoring.truth.store_truth import StoreTruth

ASPP: Mapping[str, Any] = {
    "network": "aspp",
    "encoder": "resnet18",
    "weights": "none",
    "rates": (1, 2),
    "aspp_width": 4,
    "precision": "fp32",
}
UNET: Mapping[str, Any] = {"network": "unet", "widths": (4, 4), "precision": "fp32"}
REGRESSION: Mapping[str, Any] = {"sic_output": "regression", "sic_loss": "mse"}


NAMES: tuple[CheckpointName, ...] = ("best-combined", "best-loss")


def make_run(store: Path, path: Path, fields: Mapping[str, Any], seed: int = 0) -> Path:
    """A run with random networks in its checkpoints."""
    recipe = Recipe("tiny").with_values(**fields)
    opened = open_store(store)
    split = read_split(store, "official")
    run = RunFolder.create(path, recipe, seed=seed, split=split, store=opened)
    torch.manual_seed(seed)
    for name in NAMES:
        network = recipe.build_network(parse_features(recipe.features).n_channels)
        for module in network.modules():
            # As after training: logits that differ from pixel to pixel.
            if isinstance(module, torch.nn.BatchNorm2d):
                torch.nn.init.normal_(module.weight, 1, 0.1)
        path_of_checkpoint = checkpoint_path(run.checkpoints, name)
        write_checkpoint(path_of_checkpoint, Checkpoint(network_tensors(network)))
    return path


@pytest.fixture(scope="module")
def run(prepared_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(prepared_store, tmp_path_factory.mktemp("runs") / "tiny-seed0", UNET)


def read_all(folder: Path) -> dict[str, np.ndarray[Any, Any]]:
    found = open_predictions(folder)
    return {
        scene_id: np.stack([found.read(scene_id, name) for name in CHART_NAMES])
        for scene_id in found.scene_ids
    }


def share_of_differences(one: Path, other: Path) -> float:
    first, second = read_all(one), read_all(other)
    assert first.keys() == second.keys()
    return float(np.mean([(first[key] != second[key]).mean() for key in first]))


def test_predictions_score_and_say_where_they_come_from(
    prepared_store: Path, run: Path, tmp_path: Path
) -> None:
    steps = []
    result = predict(
        [run],
        prepared_store,
        out=tmp_path / "p",
        progress=lambda done, total: steps.append((done, total)),
    )
    assert result.out == tmp_path / "p"
    assert steps == [(1, 2), (2, 2)]
    assert result.notes == ()
    evaluation = evaluate(tmp_path / "p", StoreTruth(prepared_store))
    assert evaluation.rankable
    assert sum(evaluation.mask_class_pixels.values()) == 0
    found = open_predictions(tmp_path / "p")
    assert found.scene_ids == result.scene_ids
    tie_points = found.read_tie_points(result.scene_ids[0])
    assert tie_points is not None
    with xr.open_zarr(prepared_store / "scenes" / result.scene_ids[0]) as stored:
        np.testing.assert_array_equal(tie_points["latitude"], stored["latitude"].values)
    with xr.open_dataset(tmp_path / "p" / f"{result.scene_ids[0]}.nc") as written:
        fingerprint = open_store(prepared_store).fingerprint
        expected = {
            "run": "tiny-seed0",
            "recipe": "tiny",
            "seed": "0",
            "checkpoint": "best-combined",
            "split": "official",
            "subset": "test",
            "store_fingerprint": fingerprint,
            "trained_on_store": fingerprint,
            "tiles": "whole scenes",
        }
        assert {key: written.attrs[key] for key in expected} == expected
        assert written.attrs["source"].startswith("autoice-bench ")
    description = json.loads((tmp_path / "p" / "description.json").read_text())
    assert description["seed"] == 0
    assert description["recipe"] == "tiny"
    assert description["store_fingerprint"] == fingerprint
    assert description["trained_on_test"] == "no"


def test_a_file_is_predicted_as_through_the_store(
    prepared_store: Path, rtt_source: Path, run: Path, tmp_path: Path
) -> None:
    predict([run], prepared_store, out=tmp_path / "store")
    files = sorted((rtt_source / "test").glob("*_prep.nc"))
    assert len(files) == 2
    result = predict_files([run], files, out=tmp_path / "files")
    for scene_id, classes in read_all(tmp_path / "store").items():
        np.testing.assert_array_equal(read_all(tmp_path / "files")[scene_id], classes)
    found = [open_predictions(tmp_path / name) for name in ("store", "files")]
    for scene_id in result.scene_ids:
        through_store, alone = (predictions.read_tie_points(scene_id) for predictions in found)
        assert through_store is not None
        assert alone is not None
        for name, values in through_store.items():
            np.testing.assert_array_equal(alone[name], values)


@pytest.mark.parametrize(
    "fields",
    [
        {**UNET, "features": "mmseaice-16", **REGRESSION},
        {**UNET, "features": "sar", "downscale": 10},
        {**UNET, "features": "mmseaice-14", "downscale": 10, **REGRESSION, "upsampling": "linear"},
        {**UNET, "features": "sar", "downscale": 10, "downscale_method": "area"},
        {**ASPP, "features": "aspp-geo", **REGRESSION},
    ],
)
def test_every_kind_of_network_predicts_from_store_and_file_alike(
    prepared_store: Path, rtt_source: Path, tmp_path: Path, fields: Mapping[str, Any]
) -> None:
    made = make_run(prepared_store, tmp_path / "run", fields)
    result = predict([made], prepared_store, out=tmp_path / "p")
    evaluation = evaluate(tmp_path / "p", StoreTruth(prepared_store))
    assert evaluation.rankable
    assert sum(evaluation.mask_class_pixels.values()) == 0
    file = next((rtt_source / "test").glob(f"{result.scene_ids[0]}*_prep.nc"))
    predict_files([made], [file], out=tmp_path / "alone")
    np.testing.assert_array_equal(
        read_all(tmp_path / "alone")[result.scene_ids[0]],
        read_all(tmp_path / "p")[result.scene_ids[0]],
    )
    predict([made], prepared_store, out=tmp_path / "tiled", tile=160, overlap=32)
    assert open_predictions(tmp_path / "tiled").scene_ids == result.scene_ids


def test_downscaled_predictions_are_repeated(prepared_store: Path, tmp_path: Path) -> None:
    made = make_run(prepared_store, tmp_path / "run", {**UNET, "features": "sar", "downscale": 10})
    predict([made], prepared_store, out=tmp_path / "p")
    for classes in read_all(tmp_path / "p").values():
        # 300 x 327 pixels: blocks of 10, counted from the first pixel.
        assert classes.shape == (3, 300, 327)
        lines, samples = np.arange(300) // 10 * 10, np.arange(327) // 10 * 10
        np.testing.assert_array_equal(classes, classes[:, lines[:, None], samples])


def test_tiles_larger_than_the_scenes_change_nothing(
    prepared_store: Path, run: Path, tmp_path: Path
) -> None:
    predict([run], prepared_store, out=tmp_path / "whole")
    predict([run], prepared_store, out=tmp_path / "tiles", tile=768)
    assert share_of_differences(tmp_path / "whole", tmp_path / "tiles") < 1e-4
    with xr.open_dataset(next((tmp_path / "tiles").glob("*.nc"))) as written:
        assert written.attrs["tiles"] == "tiles of 768 pixels, overlap 128"


def test_checkpoints_can_be_chosen(prepared_store: Path, run: Path, tmp_path: Path) -> None:
    predict([run], prepared_store, out=tmp_path / "combined")
    predict([run], prepared_store, out=tmp_path / "loss", checkpoint="best-loss")
    assert share_of_differences(tmp_path / "combined", tmp_path / "loss") > 0
    with pytest.raises(BaselineError, match=r"last\.pt: not there"):
        predict([run], prepared_store, out=tmp_path / "last", checkpoint="last")
    assert not (tmp_path / "last").exists()


def test_an_ensemble_names_its_runs(prepared_store: Path, run: Path, tmp_path: Path) -> None:
    other = make_run(prepared_store, tmp_path / "tiny-seed1", UNET, seed=1)
    predict([run, other], prepared_store, out=tmp_path / "mean")
    with xr.open_dataset(next((tmp_path / "mean").glob("*.nc"))) as written:
        assert written.attrs["run"] == "tiny-seed0, tiny-seed1"
        assert written.attrs["seed"] == "0, 1"
    description = json.loads((tmp_path / "mean" / "description.json").read_text())
    assert "seed" not in description
    assert description["recipe"] == "tiny"
    assert description["description"].startswith("mean of 2 networks: tiny-seed0 (best-combined), ")
    assert evaluate(tmp_path / "mean", StoreTruth(prepared_store)).rankable


def test_an_ensemble_may_mix_resolutions_but_not_kinds_of_sic(
    prepared_store: Path, run: Path, tmp_path: Path
) -> None:
    coarse = {**UNET, "features": "sar", "downscale": 10}
    classes = make_run(prepared_store, tmp_path / "unet", coarse)
    predict([run, classes], prepared_store, out=tmp_path / "mixed")
    assert evaluate(tmp_path / "mixed", StoreTruth(prepared_store)).rankable
    regression = make_run(prepared_store, tmp_path / "regression", {**coarse, **REGRESSION})
    with pytest.raises(BaselineError, match="nothing by regression, the other SIC by regression"):
        predict([run, regression], prepared_store, out=tmp_path / "no")
    with pytest.raises(BaselineError, match="is given twice"):
        predict([run, run], prepared_store, out=tmp_path / "no")


def test_probabilities_stand_beside_and_the_scorer_passes_over_them(
    prepared_store: Path, run: Path, tmp_path: Path
) -> None:
    preds = tmp_path / "preds"
    result = predict([run], prepared_store, out=preds / "p", probabilities=True)
    (found,) = find_submissions(preds)
    assert found.scene_ids == result.scene_ids
    assert evaluate(preds / "p", StoreTruth(prepared_store)).rankable
    for scene_id in result.scene_ids:
        with xr.open_dataset(preds / "p" / f"{scene_id}_probabilities.nc") as written:
            for name in CHART_NAMES:
                probability = written[f"{name}_probability"].values
                np.testing.assert_allclose(probability.sum(axis=0), 1, atol=0.03)
                chosen = np.take_along_axis(
                    probability, found.read(scene_id, name)[None].astype(int), axis=0
                )
                # The class predicted is the likeliest, but for rounding.
                assert (chosen >= probability.max(axis=0) - 1.01 / 255).all()
            assert written.attrs["run"] == "tiny-seed0"


def test_concentration_of_a_regression_is_written_in_percent(
    prepared_store: Path, tmp_path: Path
) -> None:
    made = make_run(prepared_store, tmp_path / "run", {**UNET, "features": "sar", **REGRESSION})
    result = predict([made], prepared_store, out=tmp_path / "p", probabilities=True)
    scene_id = result.scene_ids[0]
    with xr.open_dataset(tmp_path / "p" / f"{scene_id}_probabilities.nc") as written:
        assert "SIC_probability" not in written
        concentration = written["SIC_concentration"]
        assert concentration.attrs["units"] == "percent"
        classes = read_all(tmp_path / "p")[scene_id][0]
        assert np.abs(concentration.values / 10 - classes).max() <= 0.5 + 0.021


def test_existing_predictions_are_kept_unless_told(
    prepared_store: Path, run: Path, tmp_path: Path
) -> None:
    out = tmp_path / "p"
    predict([run], prepared_store, out=out, probabilities=True)
    kept = sorted(out.glob("*_???.nc"))
    stale = out / "20180101T000000_dmi.nc"
    with xr.open_dataset(kept[0]) as prediction:
        prediction.assign_attrs(scene_id=stale.stem).to_netcdf(stale)
    with pytest.raises(PredictionError, match="exists; --overwrite replaces it"):
        predict([run], prepared_store, out=out)
    predict([run], prepared_store, out=out, checkpoint="best-loss", overwrite=True)
    assert sorted(path.name for path in out.iterdir()) == sorted(
        [*(path.name for path in kept), "description.json"]
    )
    assert "best-loss" in (out / "description.json").read_text()


@pytest.mark.parametrize(
    "name", ["notes.txt", "{}.nc", "{}_prep.nc", "{}_prep_reference.nc", "folder"]
)
def test_what_is_no_prediction_of_ours_is_never_removed(
    prepared_store: Path, rtt_source: Path, run: Path, tmp_path: Path, name: str
) -> None:
    out = tmp_path / "p"
    predict([run], prepared_store, out=out)
    source = next(rtt_source.glob("train/*_prep.nc"))
    foreign = out / name.format(source.name.removesuffix("_prep.nc"))
    if name == "folder":
        foreign.mkdir()
    else:
        shutil.copy(source, foreign)
    before = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    with pytest.raises(PredictionError, match=f"holds {foreign.name}, which is no prediction"):
        predict([run], prepared_store, out=out, overwrite=True)
    assert {path: path.stat().st_mtime_ns for path in out.iterdir()} == before


def fail() -> None:
    raise PredictionError("no space left")


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize(
    ("end", "error"), [(fail, PredictionError), (terminate, SystemExit)], ids=("error", "SIGTERM")
)
def test_nothing_is_left_where_predicting_ends_early(
    prepared_store: Path,
    run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    end: Callable[[], None],
    error: type[BaseException],
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    original = write_prediction
    written: list[Path] = []

    def end_at_the_second(*args: Any) -> Path:
        if written:
            end()
        written.append(original(*args))
        return written[-1]

    monkeypatch.setattr(predicting, "write_prediction", end_at_the_second)
    with pytest.raises(error):
        predict([run], prepared_store, out=tmp_path / "preds" / "p")
    assert list((tmp_path / "preds").iterdir()) == []
    assert signal.getsignal(signal.SIGTERM) is before


def test_scenes_that_were_trained_on_are_confessed(
    prepared_store: Path, run: Path, tmp_path: Path
) -> None:
    predict([run], prepared_store, out=tmp_path / "p", subset="train")
    description = json.loads((tmp_path / "p" / "description.json").read_text())
    n_train = len(read_split(prepared_store, "official").train)
    assert description["trained_on_test"] == f"yes: {n_train} of the scenes"


def test_a_run_of_other_scenes_is_noted(prepared_store: Path, tmp_path: Path) -> None:
    made = make_run(prepared_store, tmp_path / "run", UNET)
    run = RunFolder.open(made)
    run.update(simulated=False, training_seconds=5400.0)
    result = predict([made], prepared_store, out=tmp_path / "p")
    (note,) = result.notes
    assert note.startswith("run run was trained on real scenes; those of ")
    assert note.endswith(" are simulated")
    description = json.loads((tmp_path / "p" / "description.json").read_text())
    assert description["training_hours"] == 1.5


def test_a_scene_that_falls_back_to_tiles_says_so(
    prepared_store: Path, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference, "available_bytes", lambda: 2**20)
    result = predict([run], prepared_store, out=tmp_path / "p", overlap=64)
    assert len(result.notes) == 2
    assert "predicted in tiles of 768 pixels" in result.notes[0]
    with xr.open_dataset(tmp_path / "p" / f"{result.scene_ids[0]}.nc") as written:
        assert written.attrs["tiles"] == "tiles of 768 pixels, overlap 64"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tile": 100}, "tile 100: expected a multiple of 32"),
        ({"overlap": 100}, "overlap 100 of tiles of 768"),
        ({"runs": []}, "no run to predict with"),
        ({"split": "nosuch"}, "split nosuch: no file"),
        ({"device": "abacus"}, "device 'abacus'"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_written(
    prepared_store: Path, run: Path, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    arguments = {"runs": [run], "store": prepared_store, "out": tmp_path / "p", **change}
    with pytest.raises(AutoIceError, match=message):
        predict(**arguments)
    assert list(tmp_path.iterdir()) == []


def test_files_that_are_no_scenes_are_refused(rtt_source: Path, run: Path, tmp_path: Path) -> None:
    with pytest.raises(SceneError, match="no such file"):
        predict_files([run], [tmp_path / "nothing.nc"], out=tmp_path / "p")
    file = next((rtt_source / "test").glob("*_prep.nc"))
    shutil.copy(file, tmp_path / "scene.nc")
    with pytest.raises(SceneError, match="is not a scene name"):
        predict_files([run], [tmp_path / "scene.nc"], out=tmp_path / "p")
    with pytest.raises(SceneError, match="expected one"):
        predict_files([run], [file, file], out=tmp_path / "p")
    assert not (tmp_path / "p").exists()


def test_command_line(
    prepared_store: Path,
    rtt_source: Path,
    run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AUTOICE_STORE", str(prepared_store))
    runner = CliRunner()
    result = runner.invoke(main, ["predict", str(run)])
    assert result.exit_code == 0, result.output
    assert "predictions of 2 scenes written to preds/tiny-seed0" in result.stdout
    file = next((rtt_source / "test").glob("*_prep.nc"))
    result = runner.invoke(main, ["predict", str(run), "--scene", str(file), "--tile", "128"])
    assert result.exit_code == 0, result.output
    assert "predictions of 1 scene written to preds/tiny-seed0-scenes" in result.stdout
    for arguments, status in (
        (["predict"], 2),
        (["predict", str(run), "--tile", "some"], 2),
        (["predict", str(run), str(run)], 2),
        (["predict", str(run), "--scene", str(file), "--split", "official"], 2),
        (["predict", str(run)], 1),
        (["predict", "runs/nosuch", "--out", "preds/other"], 1),
    ):
        assert runner.invoke(main, arguments).exit_code == status
