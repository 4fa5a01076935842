"""A study's results beside the published ones: means over seeds, differences, as text and JSON."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from autoice_bench.baselines.experiments.run import SCORED
from autoice_bench.baselines.experiments.study import (
    OfficialScores,
    RunOutcome,
    SecondScore,
    StudyResult,
)
from autoice_bench.baselines.experiments.study_plan import Experiment, Study
from autoice_bench.scoring.leaderboard.published import PublishedResult


class Statistic(NamedTuple):
    """A score over several runs, percent.

    Attributes:
        mean: over the runs.
        std: of the sample (n - 1); None where it is not known, as of a single run.
        n: runs.
    """

    mean: float
    std: float | None
    n: int


class PublishedDifference(NamedTuple):
    """A difference of two means, percent.

    Attributes:
        value: the first less the second.
        std: its standard deviation; None where it is not known.
    """

    value: float
    std: float | None


@dataclass(frozen=True)
class Row:
    """An experiment beside something else.

    Attributes:
        labels: of the experiment, and what it is compared with where there are several.
        n_runs: runs that have a score, and runs in all.
        ours: score by chart; None where there is none, or it is undefined.
        other: what stands beside it.
        differences: ours less the other; None where there is nothing to compare.
    """

    labels: tuple[str, ...]
    n_runs: tuple[int, int]
    ours: Mapping[str, Statistic | None]
    other: Mapping[str, Statistic | None]
    differences: Mapping[str, PublishedDifference | None]


def average(values: Sequence[float | None]) -> Statistic | None:
    """Mean and standard deviation; None without a value, or where one is undefined."""
    defined = [value for value in values if value is not None]
    if not defined or len(defined) < len(values):
        return None
    std = statistics.stdev(defined) if len(defined) > 1 else None
    return Statistic(statistics.fmean(defined), std, len(defined))


def subtract(a: Statistic, b: Statistic) -> PublishedDifference:
    """The difference of two means of independent runs: std is sqrt(s1^2 / n1 + s2^2 / n2)."""
    if a.std is None or b.std is None:
        return PublishedDifference(a.mean - b.mean, None)
    return PublishedDifference(a.mean - b.mean, math.sqrt(a.std**2 / a.n + b.std**2 / b.n))


def average_difference(
    pairs: Sequence[tuple[float | None, float | None]],
) -> PublishedDifference | None:
    """The mean difference of two scores of the same runs: std is s / sqrt(n) of theirs."""
    differences = average([None if a is None or b is None else a - b for a, b in pairs])
    if differences is None:
        return None
    mean, std, n = differences
    return PublishedDifference(mean, None if std is None else std / math.sqrt(n))


def compare_published(
    study: Study, outcomes: Sequence[RunOutcome], *, comparable: bool, by_second: bool = False
) -> list[Row]:
    """Each experiment beside its published results; one row without any.

    Args:
        study: the experiments.
        outcomes: their runs.
        comparable: whether differences mean anything.
        by_second: compare the second score, where it is the one that was published.
    """
    several = any(len(experiment.published) > 1 for experiment in study.experiments)
    rows = []
    for experiment, runs in _by_experiment(study, outcomes):
        of_runs = [run.second if by_second else run.scores for run in runs]
        scores = [values for values in of_runs if values is not None]
        for published in experiment.published or (None,):
            beside = () if not several else ("" if published is None else published.name,)
            ours = _average_scores(scores)
            other = {} if published is None else _read_published(published)
            rows.append(
                Row(
                    (*experiment.labels, *beside),
                    (len(scores), len(runs)),
                    ours,
                    other,
                    {
                        name: subtract(a, b) if comparable and a and b else None
                        for name in SCORED
                        for a, b in [(ours[name], other.get(name))]
                    },
                )
            )
    return rows


def compare_second(study: Study, outcomes: Sequence[RunOutcome]) -> list[Row]:
    """The second score of each experiment, beside the first of the same runs."""
    rows = []
    for experiment, runs in _by_experiment(study, outcomes):
        both = [
            (run.second, run.scores)
            for run in runs
            if run.second is not None and run.scores is not None
        ]
        rows.append(
            Row(
                experiment.labels,
                (len(both), len(runs)),
                _average_scores([second for second, _ in both]),
                _average_scores([first for _, first in both]),
                {
                    name: average_difference([(a.get(name), b.get(name)) for a, b in both])
                    for name in SCORED
                },
            )
        )
    return rows


def _by_experiment(
    study: Study, outcomes: Sequence[RunOutcome]
) -> Iterable[tuple[Experiment, list[RunOutcome]]]:
    for experiment in study.experiments:
        runs = [outcome for outcome in outcomes if outcome.run.experiment is experiment]
        yield experiment, sorted(runs, key=lambda outcome: outcome.run.planned.seed)


def _average_scores(scores: Sequence[OfficialScores]) -> dict[str, Statistic | None]:
    return {name: average([of_run.get(name) for of_run in scores]) for name in SCORED}


def _read_published(result: PublishedResult) -> dict[str, Statistic | None]:
    """A published row; its spread is known for the combined score only."""
    return {
        name: None
        if value is None
        else Statistic(value, result.combined_std if name == SCORED[0] else None, result.n_runs)
        for name, value in result.scores.items()
    }


def find_published(result: StudyResult) -> SecondScore | None:
    """The second score, where it is the one that was published; None: the official one was."""
    return result.second if result.second is not None and result.second.is_published else None


def compare_like(result: StudyResult) -> list[Row]:
    """Each experiment beside its published results, like with like."""
    return compare_published(
        result.study,
        result.outcomes,
        comparable=result.incomparable is None,
        by_second=find_published(result) is not None,
    )


def to_record(result: StudyResult) -> dict[str, Any]:
    """Everything that the tables hold, and every run, as JSON knows values."""
    study, alike = result.study, find_published(result)
    second = None
    if result.second is not None:
        rows = compare_second(study, result.outcomes)
        second = {"name": result.second.name, "rows": [_to_record(row) for row in rows]}
    return {
        "study": study.title,
        "incomparable": result.incomparable,
        "published_as": "official" if alike is None else alike.name,
        "experiments": [
            {
                "labels": dict(zip(study.header, experiment.labels, strict=True)),
                "recipe": experiment.recipe,
                "settings": dict(experiment.settings),
                "runs": [outcome.to_dict() for outcome in runs],
            }
            for experiment, runs in _by_experiment(study, result.outcomes)
        ],
        "published": [_to_record(row) for row in compare_like(result)],
        "second": second,
        "unplaced": [asdict(each) for each in study.unplaced],
    }


def _to_record(row: Row) -> dict[str, Any]:
    return {
        "labels": list(row.labels),
        "n_runs": row.n_runs[0],
        "ours": _to_dicts(row.ours),
        "beside": _to_dicts(row.other),
        "difference": _to_dicts(row.differences),
    }


def _to_dicts(
    values: Mapping[str, Statistic | None] | Mapping[str, PublishedDifference | None],
) -> dict[str, Any]:
    return {name: None if value is None else value._asdict() for name, value in values.items()}
