"""From predictions to a submission: count, make the table of scores, write it to a leaderboard."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from autoice_bench.callbacks import Progress
from autoice_bench.scoring.evaluate import Evaluation, board_name, evaluate
from autoice_bench.scoring.leaderboard.submission import (
    find_description,
    require_free,
    write_submission,
)
from autoice_bench.scoring.predictions.reading import Predictions, open_predictions
from autoice_bench.scoring.scores import build_scores, summarise
from autoice_bench.scoring.truth.protocol import Truth


@dataclass(frozen=True)
class ScoredPredictions:
    """What became of one set of predictions.

    Attributes:
        name: of the submission.
        evaluation: its joint histograms.
        scores: the table of scores, see ``build_scores``.
        folder: where the submission was written; None where it was not.
    """

    name: str
    evaluation: Evaluation
    scores: pd.DataFrame
    folder: Path | None

    @property
    def summary(self) -> dict[str, Any]:
        """The scores over all scenes as a record that JSON can hold, see ``summarise``."""
        return summarise(self.evaluation, self.scores, self.name, self.folder)


def score_predictions(
    predictions: Predictions | Path | str,
    truth: Truth,
    *,
    leaderboard: Path | None = None,
    name: str | None = None,
    split: str = "official",
    subset: str = "test",
    description: Path | None = None,
    replace: bool = False,
    allow_partial: bool = False,
    workers: int | None = 1,
    scheduler: str | None = None,
    progress: Progress | None = None,
) -> ScoredPredictions:
    """Score predictions and, where a leaderboard is given, add them to it.

    Args:
        predictions: an opened source or its path, in any accepted format.
        truth: a ``StoreTruth`` or ``RttTruth``.
        leaderboard: root of the leaderboard; None writes nothing.
        name: the submission's name; None for that of the folder of predictions.
        split, subset: see ``evaluate``.
        description: JSON file with what the submitter says; None for ``description.json`` beside
            the predictions, if it is there.
        replace: replace a submission of this name.
        allow_partial, workers, scheduler, progress: see ``evaluate``.

    Raises:
        PredictionError, SplitError: see ``evaluate``.
        LeaderboardError: the description is malformed, or the name is taken or unsafe. Both are
            found before anything is counted.
    """
    if not isinstance(predictions, Predictions):
        predictions = open_predictions(Path(predictions))
    name = name or predictions.name
    described = find_description(description, predictions.path)
    if leaderboard is not None:
        board = board_name(truth.split_name(split), subset)
        require_free(leaderboard, board, name, replace=replace)
    evaluation = evaluate(
        predictions,
        truth,
        split=split,
        subset=subset,
        allow_partial=allow_partial,
        workers=workers,
        scheduler=scheduler,
        progress=progress,
    )
    scores = build_scores(evaluation, name)
    folder = None
    if leaderboard is not None:
        folder = write_submission(evaluation, leaderboard, name, scores, described, replace=replace)
    return ScoredPredictions(name, evaluation, scores, folder)
