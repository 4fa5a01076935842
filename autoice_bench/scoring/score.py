"""``score``: predictions and truth in, scores out; from Python what the command does."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoice_bench.callbacks import Progress
from autoice_bench.charts import CHART_NAMES
from autoice_bench.scoring.evaluate import Evaluation, evaluate
from autoice_bench.scoring.predictions.reading import Predictions
from autoice_bench.scoring.scores import COMBINED, build_scores, summarise
from autoice_bench.scoring.truth.protocol import Truth
from autoice_bench.scoring.truth.rtt_truth import RttTruth
from autoice_bench.scoring.truth.store_truth import StoreTruth

if TYPE_CHECKING:
    import pandas as pd

TruthLike = Truth | os.PathLike[str] | str
"""A source of truth, or the path of a store or of a folder of ready-to-train files."""


@dataclass(frozen=True)
class Scores:
    """The scores of one set of predictions.

    Attributes:
        name: the submission's name.
        evaluation: the joint histograms that everything else follows from.
        table: one row per chart, metric and group of scenes (docs/scores.md).
    """

    name: str
    evaluation: Evaluation
    table: pd.DataFrame

    @property
    def official(self) -> dict[str, float | None]:
        """Official scores in percent, ``combined`` and one per chart; None where undefined."""
        summary = summarise(self.evaluation, self.table, self.name, None)
        return {row["chart"]: row["official"] for row in summary["scores"]}

    @property
    def combined(self) -> float | None:
        """The official combined score in percent; None where a chart's is undefined."""
        return self.official[COMBINED]

    def to_dict(self) -> dict[str, Any]:
        """What ``autoice-bench score --json`` prints."""
        return summarise(self.evaluation, self.table, self.name, None)

    def __repr__(self) -> str:
        official = self.official
        scores = ", ".join(
            f"{name} {'undefined' if official[name] is None else format(official[name], '.3f')}"
            for name in (COMBINED, *CHART_NAMES)
        )
        board = self.evaluation.board
        return f"<Scores {self.name}: {scores}; {len(self.evaluation.scenes)} scenes of {board}>"


def score(
    predictions: Predictions | os.PathLike[str] | str,
    truth: TruthLike,
    *,
    split: str = "official",
    subset: str = "test",
    name: str | None = None,
    allow_partial: bool = False,
    workers: int | None = 1,
    scheduler: str | None = None,
    progress: Progress | None = None,
) -> Scores:
    """Score predictions; nothing is written.

    Args:
        predictions: an opened source or its path, in any accepted format (docs/predictions.md).
        truth: a store or its path, or a folder of ready-to-train files.
        split: name of a split, or path of its JSON file.
        subset: ``train``, ``val`` or ``test``.
        name: what the predictions are called; None for the name of their path.
        allow_partial: score what is there; the result is not rankable.
        workers: processes, this one included; None for one per 100 Mpixel, at most one per core.
            With several, a script needs the usual ``if __name__ == "__main__"``.
        scheduler: address of a dask scheduler to run on instead.
        progress: called after each scene.

    Raises:
        PredictionError: a scene is missing or unknown, a chart is missing, or an array does not
            fit the truth.
        SplitError: the split is unknown or its scenes are not all there.
        StoreError, SceneError: the truth is not there, or is damaged.
    """
    source = Path(predictions) if isinstance(predictions, os.PathLike | str) else predictions
    evaluation = evaluate(
        source,
        open_truth(truth),
        split=split,
        subset=subset,
        allow_partial=allow_partial,
        workers=workers,
        scheduler=scheduler,
        progress=progress,
    )
    title = name or (source.stem if isinstance(source, Path) else source.name)
    return Scores(title, evaluation, build_scores(evaluation, title))


def open_truth(truth: TruthLike) -> Truth:
    """The charts of a store, or of a folder of ready-to-train files.

    A path is taken for a store if it holds a ``zarr.json``, or nothing: the error then says how a
    store is made.
    """
    if not isinstance(truth, os.PathLike | str):
        return truth
    path = Path(truth)
    if path.is_dir() and not (path / "zarr.json").is_file():
        return RttTruth(path)
    return StoreTruth(path)
