"""Running a study: every experiment with every seed, each run trained once.

A run is a run like any other: ``baseline`` finds those of a study, and a study those of
``baseline``. Scores are kept in the run's record, so that a table is there at once when its runs
are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from lightning_fabric import Fabric

from autoice_bench.baselines.experiments.plan import PlannedRun, plan_runs
from autoice_bench.baselines.experiments.projection import project_runs
from autoice_bench.baselines.experiments.published_protocol import score_by_published_protocol
from autoice_bench.baselines.experiments.run import Reporter, do_run
from autoice_bench.baselines.experiments.study_plan import Experiment, Study
from autoice_bench.baselines.inference.predict import predict
from autoice_bench.baselines.inference.tiles import MULTIPLE, Tiling
from autoice_bench.baselines.recipes.recipe import Recipe
from autoice_bench.baselines.runs.folder import RUN_FILE, RunFolder
from autoice_bench.errors import AutoIceError
from autoice_bench.scoring.evaluate import board_name, evaluate
from autoice_bench.scoring.scores import compute_official_scores
from autoice_bench.scoring.truth.store_truth import StoreTruth

OfficialScores = Mapping[str, float | None]
"""Official scores in percent by chart and ``combined``; None where undefined."""

NOT_BEGUN: Final = "not begun"
_RECORD: Final = "study_scores"
_LARGEST_OVERLAP: Final = 128


class SecondScore(Protocol):
    """Another score of a finished run, to stand beside the one of its predictions."""

    @property
    def name(self) -> str:
        """What it is, for tables and for the run's record."""

    @property
    def label(self) -> str:
        """The same in a word, for a column."""

    @property
    def is_published(self) -> bool:
        """Whether the study's published scores are of this kind, not official ones."""

    def compute(self, planned: PlannedRun, device: str, report: Reporter) -> OfficialScores:
        """The score of a run that is trained and has predicted its test scenes."""


@dataclass(frozen=True)
class Tiled:
    """The score of predictions made in tiles, with the context that a network saw in training.

    Attributes:
        tiling: how scenes are cut.
    """

    tiling: Tiling

    @property
    def name(self) -> str:
        return f"tiles of {self.tiling.size} pixels, overlap {self.tiling.overlap}"

    @property
    def label(self) -> str:
        return "tiles"

    @property
    def is_published(self) -> bool:
        return False

    def compute(self, planned: PlannedRun, device: str, report: Reporter) -> OfficialScores:
        """Predict in tiles into a folder of its own, and score."""
        folder = planned.predictions.with_name(f"{planned.name}-tile{self.tiling.size}")
        with report(f"predicting {planned.name} in tiles", "scenes") as (progress, _):
            predict(
                [planned.folder],
                planned.store.path,
                split=planned.split_spec,
                out=folder,
                tile=self.tiling.size,
                overlap=self.tiling.overlap,
                device=device,
                overwrite=True,
                progress=progress,
            )
        truth = StoreTruth(planned.store.path)
        evaluation = evaluate(folder, truth, split=planned.split_spec)
        return compute_official_scores(
            {name: counts.sum(axis=0) for name, counts in evaluation.histograms.items()}
        )


@dataclass(frozen=True)
class CoarseLabels:
    """The score against labels as coarse as the network's pixels; see ``published_protocol``."""

    @property
    def name(self) -> str:
        return "published protocol (labels downscaled and upscaled again)"

    @property
    def label(self) -> str:
        return "protocol"

    @property
    def is_published(self) -> bool:
        return True

    def compute(self, planned: PlannedRun, device: str, report: Reporter) -> OfficialScores:
        with report(f"scoring {planned.name} by the published protocol", "scenes") as (progress, _):
            return score_by_published_protocol(
                planned.predictions,
                planned.store.path,
                split=planned.split_spec,
                ratio=planned.recipe.downscale,
                progress=progress,
            )


def choose_tiling(recipe: Recipe) -> Tiling:
    """Tiles of a training patch's size, which show a network no more than it saw in training."""
    size = -(-recipe.patch_size // MULTIPLE) * MULTIPLE
    return Tiling(size, min(_LARGEST_OVERLAP, size // 2 // MULTIPLE * MULTIPLE))


@dataclass(frozen=True)
class StudyRun:
    """One experiment with one seed."""

    experiment: Experiment
    planned: PlannedRun


@dataclass(frozen=True)
class RunOutcome:
    """Where a run of a study stands.

    Attributes:
        run: the run.
        state: ``not begun``, or that of its folder.
        epochs: epochs done.
        scores: of its predictions; None before there are any, or without labels.
        second: the second score; None likewise.
        error: what went wrong; None if nothing did.
    """

    run: StudyRun
    state: str
    epochs: int = 0
    scores: OfficialScores | None = None
    second: OfficialScores | None = None
    error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        planned = self.run.planned
        return {
            "name": planned.name,
            "run": str(planned.folder),
            "predictions": str(planned.predictions),
            "seed": planned.seed,
            "state": self.state,
            "epochs": self.epochs,
            "scores": self.scores,
            "second_scores": self.second,
            "error": self.error,
        }


@dataclass(frozen=True)
class StudyResult:
    """What became of a study, or of a part of it.

    Attributes:
        study: its experiments.
        outcomes: one per run.
        second: the second score; None without one.
        incomparable: why published scores cannot be compared; None where they can.
    """

    study: Study
    outcomes: tuple[RunOutcome, ...]
    second: SecondScore | None
    incomparable: str | None

    @property
    def failed(self) -> tuple[RunOutcome, ...]:
        return tuple(outcome for outcome in self.outcomes if outcome.error is not None)

    @property
    def is_interrupted(self) -> bool:
        return any(outcome.state == "interrupted" for outcome in self.outcomes)


def plan_study_runs(
    study: Study, *, store: Path, split: str, seeds: Sequence[int], runs: Path, preds: Path
) -> list[StudyRun]:
    """Every experiment with the first seed, then with the next: a whole table comes early.

    Args:
        study: what to run.
        store: the store's folder.
        split: name of a split of the store, or its JSON file.
        seeds: seeds, without repeats.
        runs: folder of runs.
        preds: folder of predictions.

    Raises:
        BaselineError, SplitError, StoreError: as ``run_plan.plan_runs``.
    """
    planned = [
        plan_runs(
            experiment.recipe,
            experiment.settings,
            store=store,
            split=split,
            seeds=seeds,
            runs=runs,
            preds=preds,
            name=experiment.name,
        )
        for experiment in study.experiments
    ]
    return [
        StudyRun(experiment, of_experiment[k])
        for k in range(len(seeds))
        for experiment, of_experiment in zip(study.experiments, planned, strict=True)
    ]


def read_outcome(run: StudyRun, second: SecondScore | None = None) -> RunOutcome:
    """Where a run stands by its folder.

    Raises:
        BaselineError: the folder is damaged.
    """
    planned = run.planned
    if not (planned.folder / RUN_FILE).is_file():
        return RunOutcome(run, NOT_BEGUN)
    folder = RunFolder(planned.folder)
    record = folder.read()
    state, epochs = folder.read_state(), planned.epochs_done
    if not _is_same(planned, record):
        return RunOutcome(run, state, epochs)
    board = board_name(planned.split.name, "test")
    return RunOutcome(
        run,
        state,
        epochs,
        record.get("scores", {}).get(board),
        None if second is None else record.get(_RECORD, {}).get(f"{board}: {second.name}"),
        record.get("error") if state == "failed" else None,
    )


def _is_same(planned: PlannedRun, record: Mapping[str, Any]) -> bool:
    """Whether the run in a folder is the planned one; ``do_run`` says what differs if not."""
    identity = {
        "recipe_fingerprint": planned.recipe.fingerprint(),
        "seed": planned.seed,
        "split_hash": planned.split.hash,
        "store_fingerprint": planned.store.fingerprint,
    }
    return all(record.get(name) == value for name, value in identity.items())


def project_study(runs: Sequence[StudyRun], device: str, n_devices: int = 1) -> float:
    """About how many seconds runs will train for, were none to stop early.

    One run of each size of network and input is timed; channels and rates hardly matter.

    Args:
        runs: which.
        device: ``auto``, ``cpu`` or ``cuda``.
        n_devices: how many share the work.

    Raises:
        BaselineError: the device cannot be used, or has too little memory for a step.
    """
    alike: dict[str, list[PlannedRun]] = {}
    for run in runs:
        recipe = run.planned.recipe
        # The published channels differ by a few, which costs next to nothing.
        cost = f"{recipe.network.name} {recipe.network.values()} {recipe.downscale}"
        alike.setdefault(cost, []).append(run.planned)
    return sum(project_runs(planned, device, n_devices).seconds for planned in alike.values())


def run_study(
    runs: Sequence[StudyRun],
    fabric: Fabric,
    report: Reporter,
    second: SecondScore | None = None,
    *,
    begin: Callable[[StudyRun], None] = lambda run: None,
) -> tuple[RunOutcome, ...]:
    """Do what is left to do of every run; what is finished and scored is only read.

    A run that fails is noted and the others go on. After a signal the rest is left as it is.
    With several processes each must call this, and a failure ends all of them.

    Args:
        runs: of ``plan_study_runs``.
        fabric: launched; computes.
        report: shows progress.
        second: another score to compute of each run.
        begin: told of each run that has something left to do.

    Returns:
        One outcome per run.
    """
    outcomes = []
    interrupted = False
    for run in runs:
        outcome = read_outcome(run, second)
        if not interrupted and not _is_complete(outcome, second):
            if fabric.is_global_zero:
                begin(run)
            outcome = _do(run, fabric, report, second)
            interrupted = outcome.state == "interrupted"
        outcomes.append(outcome)
    return tuple(outcomes)


def _is_complete(outcome: RunOutcome, second: SecondScore | None) -> bool:
    scored = outcome.scores is not None and (second is None or outcome.second is not None)
    return outcome.state == "finished" and scored


def _do(run: StudyRun, fabric: Fabric, report: Reporter, second: SecondScore | None) -> RunOutcome:
    planned = run.planned
    try:
        done = do_run(planned, fabric, report)
        if done.summary is not None and second is not None:
            _add_second(planned, second, fabric.device.type, report)
    except AutoIceError as error:
        if fabric.world_size > 1:
            raise
        return RunOutcome(run, "failed", _count_epochs(planned), error=str(error))
    return read_outcome(run, second)


def _count_epochs(planned: PlannedRun) -> int:
    try:
        return planned.epochs_done
    except AutoIceError:
        return 0


def _add_second(planned: PlannedRun, second: SecondScore, device: str, report: Reporter) -> None:
    """Compute a second score and keep it in the run's record."""
    folder = RunFolder(planned.folder)
    with folder.lock():
        scores = dict(second.compute(planned, device, report))
        key = f"{board_name(planned.split.name, 'test')}: {second.name}"
        folder.update(**{_RECORD: {**folder.read().get(_RECORD, {}), key: scores}})
