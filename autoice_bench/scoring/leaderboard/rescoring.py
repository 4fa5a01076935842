"""Scoring the predictions of a submission again: whether its histograms are theirs.

Every claim that a check of the files alone can but show as stated is compared here: the
predictions' digest, the truth, what is missing, whether it is simulated, and every count.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from autoice_bench.callbacks import Progress
from autoice_bench.charts import CHART_NAMES
from autoice_bench.errors import AutoIceError
from autoice_bench.scoring.evaluate import Evaluation, board_name, evaluate
from autoice_bench.scoring.leaderboard.submission import Submission, read_submission
from autoice_bench.scoring.predictions.reading import Predictions
from autoice_bench.scoring.truth.protocol import Truth
from autoice_bench.wording import format_listing, make_visible


def check_predictions(
    root: Path,
    predictions: Predictions,
    truth: Truth,
    *,
    name: str | None = None,
    split: str | Path = "official",
    subset: str = "test",
    workers: int | None = 1,
    progress: Progress | None = None,
) -> list[str]:
    """Score predictions again and compare them with the submission of their name.

    Args:
        root: the leaderboard.
        predictions: what was submitted.
        truth: what it was scored against.
        name: of the submission; None for that of the predictions.
        split, subset, workers, progress: as in ``score``.

    Returns:
        One line per difference, beginning with the submission's folder; empty if there is none.
        Predictions that cannot be scored, and a submission that is missing, are such lines too.

    Raises:
        SplitError, StoreError, SceneError: the truth or its split is not there, or is damaged.
    """
    folder = root / board_name(truth.split_name(split), subset) / (name or predictions.name)
    try:
        submission = read_submission(folder)
        again = evaluate(
            predictions,
            truth,
            split=split,
            subset=subset,
            allow_partial=not submission.record.rankable,
            workers=workers,
            progress=progress,
        )
    except AutoIceError as error:
        lines = str(error).splitlines()
        problems = [x if x.startswith(f"{folder}: ") else f"{folder}: {x}" for x in lines]
    else:
        problems = [f"{folder}: {line}" for line in _find_differences(submission, again)]
    return [make_visible(problem) for problem in problems]


def _find_differences(submission: Submission, again: Evaluation) -> Iterator[str]:
    """What the submission states otherwise than its predictions, scored again, give."""
    stated = submission.evaluation
    for name in ("predictions_sha256", "truth_fingerprint", "simulated", "rule", "rankable"):
        ours, theirs = getattr(again, name), getattr(stated, name)
        if ours != theirs:
            yield f"{name} is {theirs}; the predictions, scored again, give {ours}"
    ours_of, theirs_of = ({scene.scene_id: scene for scene in e.scenes} for e in (again, stated))
    if ours_of.keys() != theirs_of.keys():
        yield (
            f"lists {len(theirs_of)} scenes; the predictions, scored again, have {len(ours_of)}: "
            f"{format_listing(sorted(ours_of.keys() ^ theirs_of.keys()))} only in one of the two"
        )
        return
    for index, scene in enumerate(again.scenes):
        other = theirs_of[scene.scene_id]
        if (scene.region, scene.shape) != (other.region, other.shape):
            yield (
                f"scene {scene.scene_id} has region {other.region} and shape {other.shape}; "
                f"the truth has {scene.region} and {scene.shape}"
            )
        row = stated.scenes.index(other)
        counts = (
            (again.histograms[name][index], stated.histograms[name][row]) for name in CHART_NAMES
        )
        wrong = [
            n for n, (a, b) in zip(CHART_NAMES, counts, strict=True) if not np.array_equal(a, b)
        ]
        if wrong:
            yield (
                f"scene {scene.scene_id}: the histograms of {', '.join(wrong)} are not those of "
                "the predictions"
            )
