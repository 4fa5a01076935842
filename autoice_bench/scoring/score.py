"""``score``: predictions and truth in, scores out; also a submission if a leaderboard is given."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoice_bench.callbacks import Progress
from autoice_bench.charts import CHART_NAMES
from autoice_bench.formats.shards import ZARR_METADATA
from autoice_bench.scoring.evaluate import Evaluation, board_name, evaluate
from autoice_bench.scoring.leaderboard.submission import (
    find_description,
    require_free,
    write_submission,
)
from autoice_bench.scoring.predictions.reading import Predictions, open_predictions
from autoice_bench.scoring.scores import COMBINED, build_scores, summarise
from autoice_bench.scoring.truth.protocol import Truth
from autoice_bench.scoring.truth.rtt_truth import RttTruth
from autoice_bench.scoring.truth.store_truth import StoreTruth
from autoice_bench.wording import format_count

if TYPE_CHECKING:
    import pandas as pd

PathLike = os.PathLike[str] | str


@dataclass(frozen=True, repr=False)
class Scores:
    """The scores of one set of predictions.

    Attributes:
        name: the submission's name.
        evaluation: the joint histograms that everything else follows from.
        table: one row per chart, metric and group of scenes (docs/scores.md).
        folder: where the submission was written; None where it was not.
    """

    name: str
    evaluation: Evaluation
    table: pd.DataFrame
    folder: Path | None = None

    @property
    def official(self) -> dict[str, float | None]:
        """Official scores in percent, ``combined`` and one per chart; None where undefined."""
        return {row["chart"]: row["official"] for row in self.to_dict()["scores"]}

    @property
    def combined(self) -> float | None:
        """The official combined score in percent; None where a chart's is undefined."""
        return self.official[COMBINED]

    def to_dict(self) -> dict[str, Any]:
        """The scores over all scenes, as ``autoice-bench score --json`` prints them."""
        return summarise(self.evaluation, self.table, self.name, self.folder)

    def __repr__(self) -> str:
        official = self.official
        scores = ", ".join(
            f"{name} {'undefined' if official[name] is None else format(official[name], '.3f')}"
            for name in (COMBINED, *CHART_NAMES)
        )
        scenes = format_count(len(self.evaluation.scenes), "scene")
        return f"<Scores {self.name}: {scores}; {scenes} of {self.evaluation.board}>"


def score(
    predictions: Predictions | PathLike,
    truth: Truth | PathLike,
    *,
    split: str | Path = "official",
    subset: str = "test",
    leaderboard: PathLike | None = None,
    name: str | None = None,
    description: PathLike | None = None,
    overwrite: bool = False,
    allow_partial: bool = False,
    workers: int | None = 1,
    scheduler: str | None = None,
    progress: Progress | None = None,
) -> Scores:
    """Score predictions and, where a leaderboard is given, add them to it.

    Args:
        predictions: an opened source or its path, in any accepted format (docs/predictions.md).
        truth: a store or its path, or a folder of ready-to-train files.
        split: name of a split, or path of its JSON file (one that ends in ``.json``, or a
            ``Path``).
        subset: ``train``, ``val`` or ``test``.
        leaderboard: root of the leaderboard; None writes nothing.
        name: what the predictions are called; None for the name of their path.
        description: JSON file with what the submitter says; None for ``description.json`` beside
            the predictions, if it is there.
        overwrite: replace a submission of this name.
        allow_partial: score what is there; the result is not rankable.
        workers: processes, this one included; None for one per 100 Mpixel, at most one per core.
            With several, a script needs the usual ``if __name__ == "__main__"``.
        scheduler: address of a dask scheduler, or the file that it wrote, to run on instead.
        progress: called after each scene.

    Raises:
        PredictionError: a scene is missing or unknown, a chart is missing, or an array does not
            fit the truth.
        SplitError: the split is unknown or its scenes are not all there.
        StoreError, SceneError: the truth is not there, or is damaged.
        LeaderboardError: the description is malformed, or the name is taken or unsafe; found
            before anything is counted.
    """
    source = _open_source(predictions)
    against = open_truth(truth)
    title = name or source.name
    described = find_description(None if description is None else Path(description), source.path)
    if leaderboard is not None:
        board = board_name(against.split_name(split), subset)
        require_free(Path(leaderboard), board, title, overwrite=overwrite)
    evaluation = evaluate(
        source,
        against,
        split=split,
        subset=subset,
        allow_partial=allow_partial,
        workers=workers,
        scheduler=scheduler,
        progress=progress,
    )
    table = build_scores(evaluation, title)
    folder = None
    if leaderboard is not None:
        folder = write_submission(
            evaluation, Path(leaderboard), title, table, described, overwrite=overwrite
        )
    return Scores(title, evaluation, table, folder)


def open_truth(truth: Truth | PathLike) -> Truth:
    """The charts of a store, or of a folder of ready-to-train files.

    A path is taken for a store if it holds a ``zarr.json``, or nothing: the error then says how a
    store is made.
    """
    if not isinstance(truth, os.PathLike | str):
        return truth
    path = Path(truth)
    if path.is_dir() and not (path / ZARR_METADATA).is_file():
        return RttTruth(path)
    return StoreTruth(path)


def _open_source(predictions: Predictions | PathLike) -> Predictions:
    if isinstance(predictions, os.PathLike | str):
        return open_predictions(Path(predictions))
    return predictions
