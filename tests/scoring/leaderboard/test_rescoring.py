from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest

from autoice_bench.errors import SplitError
from autoice_bench.scoring.evaluate import Evaluation, evaluate
from autoice_bench.scoring.leaderboard.rescoring import check_predictions
from autoice_bench.scoring.predictions.reading import open_predictions
from autoice_bench.scoring.truth.rtt_truth import RttTruth
from autoice_bench.scoring.truth.store_truth import StoreTruth
from tests.scoring.leaderboard.tools import submit
from tests.scoring.make import SCENES, predictions_of, write_netcdf


@pytest.fixture
def scored(store: Path, predictions: Path) -> Evaluation:
    return evaluate(predictions, StoreTruth(store))


def check(root: Path, predictions: Path, store: Path, name: str = "noisy") -> list[str]:
    return check_predictions(root, open_predictions(predictions), StoreTruth(store), name=name)


def test_predictions_of_a_submission_are_found_to_be_its_own(
    scored: Evaluation, tmp_path: Path, predictions: Path, store: Path, rtt: Path
) -> None:
    submit(scored, tmp_path, "noisy")
    assert check(tmp_path, predictions, store) == []
    assert check_predictions(tmp_path, open_predictions(predictions), RttTruth(rtt)) == []


def test_histograms_that_are_not_of_the_predictions_are_found(
    scored: Evaluation, tmp_path: Path, predictions: Path, store: Path
) -> None:
    # Consistent with itself: a better SOD, of the same truth.
    better = scored.histograms["SOD"].copy()
    moved = better[0, 1, 2]
    better[0, 1, 2], better[0, 1, 1] = 0, better[0, 1, 1] + moved
    changed = {**scored.histograms, "SOD": better}
    folder = submit(dataclasses.replace(scored, histograms=changed), tmp_path, "noisy")
    assert check(tmp_path, predictions, store) == [
        f"{folder}: scene {SCENES[0]}: the histograms of SOD are not those of the predictions"
    ]


def test_every_claim_is_compared(
    scored: Evaluation, tmp_path: Path, predictions: Path, store: Path
) -> None:
    scenes = (dataclasses.replace(scored.scenes[0], region="Elsewhere"), *scored.scenes[1:])
    changed = dataclasses.replace(
        scored, simulated=False, predictions_sha256=64 * "f", scenes=scenes
    )
    submit(changed, tmp_path, "noisy")
    digest, simulated, region = check(tmp_path, predictions, store)
    assert f"predictions_sha256 is {64 * 'f'}; the predictions, scored again, give " in digest
    assert "simulated is False; the predictions, scored again, give True" in simulated
    assert f"scene {SCENES[0]} has region Elsewhere and shape (14, 17); the truth has" in region


def test_partial_submissions_are_scored_as_such(
    tmp_path: Path, predictions: Path, store: Path
) -> None:
    folder = Path(shutil.copytree(predictions, tmp_path / "some"))
    (folder / f"{SCENES[0]}.nc").unlink()
    partial = evaluate(folder, StoreTruth(store), allow_partial=True)
    submit(partial, tmp_path / "board", "some")
    assert check(tmp_path / "board", folder, store, "some") == []
    # All of the predictions give more than the submission has.
    rankable, *rest = check(tmp_path / "board", predictions, store, "some")[1:]
    assert "truth_fingerprint is" in rankable
    assert any("lists 3 scenes; the predictions, scored again, have 4" in line for line in rest)


def test_what_cannot_be_scored_or_is_not_there_is_a_line(
    scored: Evaluation, tmp_path: Path, predictions: Path, store: Path
) -> None:
    (problem,) = check(tmp_path, predictions, store)
    assert problem == (
        f"{tmp_path}/official/noisy: submission.json is missing; `autoice-bench score` writes it"
    )
    submit(scored, tmp_path, "noisy")
    folder = Path(shutil.copytree(predictions, tmp_path / "bad"))
    for scene_id in SCENES[:2]:
        charts = predictions_of(scene_id)
        charts["SIC"] = np.full_like(charts["SIC"], 99)
        write_netcdf(folder / f"{scene_id}.nc", charts)
    (problem,) = check(tmp_path, folder, store)
    assert problem.startswith(f"{tmp_path}/official/noisy: ")
    assert "SIC holds 99" in problem
    with pytest.raises(SplitError):
        check_predictions(tmp_path, open_predictions(predictions), StoreTruth(store), split="none")
