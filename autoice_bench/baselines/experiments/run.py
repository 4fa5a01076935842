"""From a plan to a score: train (or go on), predict a subset, score it, keep the record."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd
from lightning_fabric import Fabric

from autoice_bench.baselines.experiments.plan import PlannedRun
from autoice_bench.baselines.inference.predict import predict
from autoice_bench.baselines.runs.checkpoints import checkpoint_path
from autoice_bench.baselines.runs.environment import describe_environment
from autoice_bench.baselines.runs.folder import RunFolder, RunState
from autoice_bench.baselines.training.loop import train
from autoice_bench.callbacks import Progress
from autoice_bench.charts import CHART_NAMES
from autoice_bench.datasets.store.index import read_index
from autoice_bench.errors import AutoIceError, BaselineError
from autoice_bench.formats.own_folders import require_own
from autoice_bench.formats.split_file import Subset
from autoice_bench.formats.whole_files import remove_folder
from autoice_bench.scoring.evaluate import evaluate
from autoice_bench.scoring.scores import COMBINED, build_scores, summarise
from autoice_bench.scoring.truth.protocol import compute_truth_fingerprint
from autoice_bench.scoring.truth.store_truth import StoreTruth

Reporter = Callable[[str, str], AbstractContextManager[tuple[Progress, Callable[[str], None]]]]
"""From a verb and a noun to a context that gives a progress callback and one that takes lines."""

SCORED: Final = (COMBINED, *CHART_NAMES)


@dataclass(frozen=True)
class RunReport:
    """What became of a planned run.

    Attributes:
        planned: the run.
        training: how it ended: ``finished``, ``stopped-early`` or ``interrupted``.
        epochs: epochs done.
        summary: the record of ``scoring.scores.summarise``; None where the subset has no
            labels or the run was interrupted.
    """

    planned: PlannedRun
    training: str
    epochs: int
    summary: dict[str, Any] | None

    @property
    def scores(self) -> dict[str, float | None]:
        """Official scores by chart, the combined first; empty where nothing was scored."""
        if self.summary is None:
            return {}
        return {row["chart"]: row["official"] for row in self.summary["scores"]}

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.planned.name,
            "run": str(self.planned.folder),
            "predictions": str(self.planned.predictions),
            "seed": self.planned.seed,
            "training": self.training,
            "epochs": self.epochs,
            "score": self.summary,
        }


def do_run(
    planned: PlannedRun,
    fabric: Fabric,
    report: Reporter,
    *,
    subset: Subset = "test",
    overwrite: bool = False,
) -> RunReport:
    """Train a planned run or go on with it, predict a subset and score it if labels are there.

    With several processes, each must call this; the first of them predicts and scores.

    Args:
        planned: what to do.
        fabric: launched; computes.
        report: shows progress.
        subset: what to predict.
        overwrite: remove the run and its predictions first.

    Raises:
        BaselineError: the folder holds a run of other settings, or training failed.
        AutoIceError: a split, store or prediction is not usable.
    """
    if fabric.is_global_zero:
        require_start_weights([planned], overwrite=overwrite)
        if overwrite:
            _remove(planned)
        _create(planned)
    fabric.barrier()
    run = RunFolder(planned.folder)
    with _held(run, fabric):
        record = run.read()
        if record["state"] != "finished":
            _train(planned, run, fabric, report)
            fabric.barrier()
            record = run.read()
        summary = None
        if fabric.is_global_zero and record["state"] == "finished":
            _predict(planned, run, report, subset, fabric.device.type)
            summary = _score(planned, run, report, subset)
    fabric.barrier()
    return RunReport(planned, record.get("outcome", "finished"), record.get("epochs", 0), summary)


def require_start_weights(planned: Sequence[PlannedRun], *, overwrite: bool = False) -> None:
    """Have at hand what new runs start from, before anything that takes long.

    Raises:
        BaselineError: the weights can neither be found nor downloaded.
    """
    begun = [checkpoint_path(RunFolder(each.folder).checkpoints, "last") for each in planned]
    if overwrite or not all(path.is_file() for path in begun):
        planned[0].recipe.network.find_start_weights()


def _remove(planned: PlannedRun) -> None:
    # Without its record it is what a killed start left, which a new one takes over, or no run.
    if RunFolder(planned.folder).exists:
        # Only what is a run is removed, and only while nobody works on it.
        try:
            require_own(planned.folder)
        except OSError as error:
            raise BaselineError(f"run {planned.folder}: cannot be removed: {error}") from None
        with RunFolder.open(planned.folder).lock():
            try:
                remove_folder(planned.folder)
            except OSError as error:
                raise BaselineError(f"run {planned.folder}: cannot be removed: {error}") from error


def _create(planned: PlannedRun) -> None:
    run = RunFolder.create(
        planned.folder,
        planned.recipe,
        seed=planned.seed,
        split=planned.split,
        store=planned.store,
    )
    fingerprints = {
        subset: _fingerprint_truth(planned, planned.split.scenes(subset))
        for subset in ("val", "test")
    }
    with run.lock():
        run.update(
            split_spec=planned.split_spec,
            n_channels=planned.features.n_channels,
            truth_fingerprints=fingerprints,
        )


def _fingerprint_truth(planned: PlannedRun, scene_ids: Sequence[str]) -> str | None:
    """Identity of the labels of some scenes; None where one of them has none."""
    index = read_index(planned.store).set_index("scene_id")
    digests = index["truth_sha256"].reindex(list(scene_ids))
    if not len(digests) or digests.isna().any():
        return None
    rule = planned.store.options.label_rule
    return compute_truth_fingerprint(rule, {str(k): str(v) for k, v in digests.items()})


@contextmanager
def _held(run: RunFolder, fabric: Fabric) -> Iterator[None]:
    """Hold the run's lock in the first process, and record a failure."""
    if not fabric.is_global_zero:
        yield
        return
    with run.lock():
        try:
            yield
        except BaseException as error:
            # Where this cannot be written either (a full disk), the first error is the one to tell.
            with suppress(BaselineError):
                _record_failure(run, error)
            raise


def _record_failure(run: RunFolder, error: BaseException) -> None:
    became: RunState = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
    # What failed after training leaves the trained run as it is.
    if run.read()["state"] != "finished":
        run.update(state=became, error=_describe(error))
    run.log(f"{became}: {_describe(error)}")


def _describe(error: BaseException) -> str:
    return str(error) if isinstance(error, AutoIceError) else f"{type(error).__name__}: {error}"


def _train(planned: PlannedRun, run: RunFolder, fabric: Fabric, report: Reporter) -> None:
    started = time.monotonic()
    if fabric.is_global_zero:
        run.write_environment(describe_environment())
        run.update(state="running", error=None)
    with report(f"training {planned.name}", "steps") as (progress, say):
        result = train(
            planned.recipe,
            planned.store,
            planned.split.train,
            planned.split.val,
            run,
            seed=planned.seed,
            fabric=fabric,
            progress=progress,
            say=say,
        )
    if fabric.is_global_zero:
        spent = run.read().get("training_seconds", 0.0) + time.monotonic() - started
        run.update(
            state="interrupted" if result.outcome == "interrupted" else "finished",
            skipped_scenes=list(result.skipped),
            training_seconds=spent,
            **_summarise_speed(run),
        )


def _summarise_speed(run: RunFolder) -> dict[str, float]:
    """Medians over epochs of the throughput, and the most memory; empty before the first epoch."""
    metrics = run.read_metrics()
    if metrics.empty:
        return {}
    return {
        "patches_per_second": float(metrics["patches_per_second"].median()),
        "tflop_per_second": float(pd.to_numeric(metrics["tflop_per_second"]).median()),
        "peak_memory_bytes": int(metrics["peak_memory_bytes"].max()),
    }


def _predict(
    planned: PlannedRun, run: RunFolder, report: Reporter, subset: Subset, device: str
) -> None:
    """Predict, unless an earlier start has done so."""
    done = {"split_hash": planned.split.hash, "subset": subset, "folder": str(planned.predictions)}
    scenes = planned.split.scenes(subset)
    there = all((planned.predictions / f"{scene_id}.nc").is_file() for scene_id in scenes)
    if there and run.read().get("predicted") == done:
        return
    with report(f"predicting {planned.name}", "scenes") as (progress, say):
        result = predict(
            [run.path],
            planned.store.path,
            split=planned.split_spec,
            subset=subset,
            out=planned.predictions,
            device=device,
            overwrite=True,
            progress=progress,
        )
        for note in result.notes:
            run.log(note)
            say(note)
    run.update(predicted=done)


def _score(
    planned: PlannedRun, run: RunFolder, report: Reporter, subset: Subset
) -> dict[str, Any] | None:
    """Score the predictions; None where a scene has no labels."""
    if not _has_labels(planned, subset):
        return None
    with report(f"scoring {planned.name}", "scenes") as (progress, _):
        evaluation = evaluate(
            planned.predictions,
            StoreTruth(planned.store.path),
            split=planned.split_spec,
            subset=subset,
            progress=progress,
        )
    summary = summarise(evaluation, build_scores(evaluation, planned.name), planned.name, None)
    scores = {row["chart"]: row["official"] for row in summary["scores"]}
    board = evaluation.board
    before = run.read().get("scores", {})
    if before.get(board) != scores:
        run.update(scores={**before, board: scores})
        run.log(f"{board}: " + ", ".join(f"{chart} {value}" for chart, value in scores.items()))
    return summary


def _has_labels(planned: PlannedRun, subset: Subset) -> bool:
    index = read_index(planned.store).set_index("scene_id")
    labelled = index["has_charts"].reindex(list(planned.split.scenes(subset)))
    return bool(labelled.fillna(False).all())


def summarise_seeds(reports: Sequence[RunReport]) -> dict[str, dict[str, float]]:
    """Mean and standard deviation (of the sample, n - 1) of each official score over runs.

    Scores that are undefined in a run are left out of the table; empty with fewer than two runs.
    """
    table = {}
    for chart in SCORED:
        values = [report.scores.get(chart) for report in reports]
        defined = [value for value in values if value is not None]
        if len(defined) == len(values) > 1:
            table[chart] = {"mean": statistics.fmean(defined), "std": statistics.stdev(defined)}
    return table
