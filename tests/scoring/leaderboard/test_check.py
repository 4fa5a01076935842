"""What a submission claims beside its tables; test_boards.py has the rest of the check."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from autoice_bench.official import OFFICIAL_TEST
from autoice_bench.scoring.evaluate import Evaluation
from autoice_bench.scoring.leaderboard.check import check_leaderboard
from autoice_bench.scoring.leaderboard.submission_metadata import compute_checksum
from autoice_bench.scoring.metrics import definitions
from autoice_bench.scoring.metrics.definitions import Metric
from autoice_bench.scoring.metrics.formulas import accuracy
from tests.scoring.leaderboard.tools import edit_json, submit
from tests.scoring.make import SCENES


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"verified": False}, "verified is False; nothing is missing, so it is True"),
        ({"rankable": False}, "rankable is False; nothing is missing, so it is True"),
        ({"simulated": False}, f"simulated is False, but scene {SCENES[0]} lies in the future"),
        ({"scorer_version": "9.9.9"}, "scorer_version is 9.9.9; this is autoice-bench"),
        ({"scorer_version": "0.0.1"}, "scorer_version is 0.0.1; the first was 0.1.0"),
        ({"scorer_version": "new"}, "scorer_version is 'new'; expected a version"),
        (
            {"scorer_version": "0.1.0\x1b[2J"},
            "scorer_version is '0.1.0\\x1b[2J'; expected a version",
        ),
        ({"truth_fingerprint": "\ud800"}, "truth_fingerprint is '\\ud800'; expected 64 hex"),
        ({"predictions_sha256": ""}, "predictions_sha256 is ''; expected 64 hexadecimal"),
        ({"training_hours": -1}, "training_hours is -1; expected a number from 0 to"),
        ({"training_hours": 1e300}, "training_hours is 1e+300; expected a number from 0 to"),
        ({"authors": "x" * 20_000}, "characters, of at most 10,000"),
        ({"seed": 1.5}, "seed is 1.5; expected a whole number"),
        (
            {"mask_class_pixels": {"SIC": -1, "SOD": 0, "FLOE": 0}},
            "mask_class_pixels.SIC is -1; expected a whole number from 0 to",
        ),
        ({"bootstrap": {"resamples": 10**9, "seed": 0}}, "resamples is 1000000000; expected a"),
    ],
)
def test_changed_claims_are_found(root: Path, changes: dict[str, object], message: str) -> None:
    edit_json(root / "official/good/submission.json", **changes)
    assert any(message in problem for problem in check_leaderboard(root))


def test_a_released_scene_is_not_simulated(good: Evaluation, root: Path) -> None:
    scene = dataclasses.replace(good.scenes[0], scene_id=OFFICIAL_TEST[0])
    changed = dataclasses.replace(
        good, scenes=(scene, *good.scenes[1:]), predictions_sha256=64 * "f"
    )
    submit(changed, root, "other")
    (problem,) = check_leaderboard(root)
    assert f"simulated is True, but scene {OFFICIAL_TEST[0]} is one of the challenge's" in problem


def test_what_is_said_to_be_missing_is_not_counted(good: Evaluation, root: Path) -> None:
    changed = dataclasses.replace(
        good,
        missing=(f"p: scene {SCENES[0]} lacks SOD", f"p: scene {SCENES[1]} is missing"),
        predictions_sha256=64 * "f",
    )
    submit(changed, root, "other")
    lacks, listed = check_leaderboard(root)
    assert f"scene {SCENES[0]} is said to lack SOD, but its pixels are counted" in lacks
    assert f"scene {SCENES[1]} is listed among the scenes and as missing" in listed


def test_a_version_knows_the_metrics_it_recorded(
    good: Evaluation, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    metric = Metric("made_up", accuracy, "no valid pixels", since="0.2.0")
    monkeypatch.setattr(definitions, "METRICS", (*definitions.METRICS, metric))
    submit(good, root, "good", overwrite=True)  # scored by 0.1.0, it says
    (problem,) = check_leaderboard(root)
    assert "scorer_version is 0.1.0, which did not know FLOE made_up, SIC made_up" in problem


def test_processes_find_the_same(good: Evaluation, root: Path) -> None:
    submit(good, root, "twin")
    edit_json(root / "official/good/submission.json", verified=False)
    (root / "official/poor/scores.parquet").unlink()
    steps: list[tuple[int, int]] = []
    problems = check_leaderboard(root, workers=2, progress=lambda *step: steps.append(step))
    assert problems == check_leaderboard(root)
    assert len(problems) == 3
    assert steps == [(1, 3), (2, 3), (3, 3)]


def test_checksum_covers_every_field_but_itself() -> None:
    content = {"a": 1, "b": [1.5, "é"]}
    digest = compute_checksum(content)
    assert digest == compute_checksum({"b": [1.5, "é"], "checksum": "x", "a": 1})
    assert digest != compute_checksum({"a": 2, "b": [1.5, "é"]})


def test_negative_and_huge_counts_are_found(good: Evaluation, root: Path) -> None:
    counts = good.histograms["SIC"].copy()
    counts[0, 0, 0] = np.int64(2**62)
    changed = {**good.histograms, "SIC": counts}
    submit(
        dataclasses.replace(good, histograms=changed, predictions_sha256=64 * "f"), root, "other"
    )
    assert any("holds counts of SIC above" in problem for problem in check_leaderboard(root))
