"""A study's results beside the published ones: means over seeds, differences, as text and JSON."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, NamedTuple

from autoice_bench.baselines.study import RunOutcome, Scores, StudyResult
from autoice_bench.baselines.study_plan import Experiment, Study
from autoice_bench.baselines.workflow import SCORED
from autoice_bench.scoring.leaderboard_text import format_table
from autoice_bench.scoring.published import PublishedResult
from autoice_bench.wording import format_count

_NOTHING: Final = "–"


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


class Difference(NamedTuple):
    """A difference of two means, percent.

    Attributes:
        value: the first less the second.
        std: its standard deviation, sqrt(s1^2 / n1 + s2^2 / n2); None where one is not known.
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
    """

    labels: tuple[str, ...]
    n_runs: tuple[int, int]
    ours: Mapping[str, Statistic | None]
    other: Mapping[str, Statistic | None]

    @property
    def differences(self) -> dict[str, Difference | None]:
        """Ours less the other."""
        return {
            name: None if a is None or (b := self.other.get(name)) is None else subtract(a, b)
            for name, a in self.ours.items()
        }


def average(values: Sequence[float | None]) -> Statistic | None:
    """Mean and standard deviation; None without a value, or where one is undefined."""
    defined = [value for value in values if value is not None]
    if not defined or len(defined) < len(values):
        return None
    std = statistics.stdev(defined) if len(defined) > 1 else None
    return Statistic(statistics.fmean(defined), std, len(defined))


def subtract(a: Statistic, b: Statistic) -> Difference:
    """The difference of two means of independent runs."""
    if a.std is None or b.std is None:
        return Difference(a.mean - b.mean, None)
    return Difference(a.mean - b.mean, math.sqrt(a.std**2 / a.n + b.std**2 / b.n))


def compare_published(study: Study, outcomes: Sequence[RunOutcome]) -> list[Row]:
    """Each experiment beside its published results; one row without any."""
    several = any(len(experiment.published) > 1 for experiment in study.experiments)
    rows = []
    for experiment, runs in _by_experiment(study, outcomes):
        scores = [run.scores for run in runs if run.scores is not None]
        for published in experiment.published or (None,):
            beside = () if not several else ("" if published is None else published.name,)
            rows.append(
                Row(
                    (*experiment.labels, *beside),
                    (len(scores), len(runs)),
                    _average_scores(scores),
                    {} if published is None else _read_published(published),
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
            )
        )
    return rows


def _by_experiment(
    study: Study, outcomes: Sequence[RunOutcome]
) -> Iterable[tuple[Experiment, list[RunOutcome]]]:
    for experiment in study.experiments:
        runs = [outcome for outcome in outcomes if outcome.run.experiment is experiment]
        yield experiment, sorted(runs, key=lambda outcome: outcome.run.planned.seed)


def _average_scores(scores: Sequence[Scores]) -> dict[str, Statistic | None]:
    return {name: average([of_run.get(name) for of_run in scores]) for name in SCORED}


def _read_published(result: PublishedResult) -> dict[str, Statistic | None]:
    """A published row; its spread is known for the combined score only."""
    return {
        name: None
        if value is None
        else Statistic(value, result.combined_std if name == SCORED[0] else None, result.n_runs)
        for name, value in result.scores.items()
    }


def format_result(result: StudyResult) -> str:
    """The tables of a study, for people."""
    study = result.study
    names = "ours", "published"
    several = any(len(experiment.published) > 1 for experiment in study.experiments)
    header = (*study.header, "published") if several else study.header
    compared = result.incomparable is None
    rows = compare_published(study, result.outcomes)
    parts = [
        f"{study.title}: percent, mean over runs ± standard deviation, beside the published mean",
        _format_rows(header, rows, names, with_difference=compared),
    ]
    parts += [_describe_unplaced(published) for published in study.unplaced]
    if not compared:
        parts.append(f"not comparable: {result.incomparable}")
    elif any(row.differences[SCORED[0]] for row in rows):
        parts.append("± of a difference of means: sqrt(s1²/n1 + s2²/n2), where both are known")
    if result.second is not None:
        parts += [
            f"\n{result.second}, beside the official score of whole scenes",
            _format_rows(
                study.header, compare_second(study, result.outcomes), ("this", "official")
            ),
        ]
    return "\n".join(parts)


def _format_rows(
    header: Sequence[str],
    rows: Sequence[Row],
    names: tuple[str, str],
    *,
    with_difference: bool = True,
) -> str:
    of_score = (*names, "difference") if with_difference else names
    top = ["" for _ in (*header, "runs")]
    second = [*header, "runs"]
    for name in SCORED:
        top += [name, *("" for _ in of_score[1:])]
        second += of_score
    lines = [_format_row(row, with_difference=with_difference) for row in rows]
    return format_table([top, second, *lines], left=range(len(header)))


def _format_row(row: Row, *, with_difference: bool) -> list[str]:
    done, planned = row.n_runs
    cells = [*row.labels, str(done) if done == planned else f"{done}/{planned}"]
    differences = row.differences
    for name in SCORED:
        cells += [_format(row.ours.get(name)), _format(row.other.get(name))]
        if with_difference:
            cells.append(_format(differences.get(name), "+.2f"))
    return cells


def _format(value: Statistic | Difference | None, pattern: str = ".2f") -> str:
    if value is None:
        return _NOTHING
    mean, std = value[0], value[1]
    return format(mean, pattern) + ("" if std is None else f" ± {std:.2f}")


def _describe_unplaced(published: PublishedResult) -> str:
    return (
        f"also published: {published.name}: combined {published.combined} "
        f"({published.source}; features not stated)"
    )


def describe_runs(outcomes: Sequence[RunOutcome]) -> str:
    """The runs of a study and the state of each, for people."""
    table = [["run", "state", "epochs", "combined"]]
    for outcome in outcomes:
        planned = outcome.run.planned
        combined = None if outcome.scores is None else outcome.scores.get(SCORED[0])
        table.append(
            [
                planned.name,
                outcome.state,
                f"{outcome.epochs}/{planned.recipe.epochs}",
                _NOTHING if combined is None else f"{combined:.3f}",
            ]
        )
    done = sum(outcome.state == "finished" for outcome in outcomes)
    total = format_count(len(outcomes), "run")
    return f"{format_table(table, left=(0, 1))}\n{total}, {done} finished"


def describe_failures(outcomes: Sequence[RunOutcome]) -> str:
    """The runs that failed, with the reason, one line each."""
    return "\n".join(f"{each.run.planned.name}: {each.error}" for each in outcomes if each.error)


def to_record(result: StudyResult) -> dict[str, Any]:
    """Everything that the tables hold, and every run, as JSON knows values."""
    study = result.study
    return {
        "study": study.title,
        "incomparable": result.incomparable,
        "second_score": result.second,
        "experiments": [
            {
                **dict(zip(study.header, experiment.labels, strict=True)),
                "recipe": experiment.recipe,
                "settings": dict(experiment.settings),
                "runs": [outcome.to_dict() for outcome in runs],
            }
            for experiment, runs in _by_experiment(study, result.outcomes)
        ],
        "published": _rows_to_records(compare_published(study, result.outcomes), result),
        "second": None
        if result.second is None
        else [_row_to_record(row) for row in compare_second(study, result.outcomes)],
        "unplaced": [asdict(published) for published in study.unplaced],
    }


def _rows_to_records(rows: Sequence[Row], result: StudyResult) -> list[dict[str, Any]]:
    records = [_row_to_record(row) for row in rows]
    if result.incomparable is not None:
        for record in records:
            record["difference"] = None
    return records


def _row_to_record(row: Row) -> dict[str, Any]:
    as_dict: Callable[[Any], Any] = lambda value: None if value is None else value._asdict()  # noqa: E731
    return {
        "labels": list(row.labels),
        "n_runs": row.n_runs[0],
        "ours": {name: as_dict(value) for name, value in row.ours.items()},
        "beside": {name: as_dict(value) for name, value in row.other.items()},
        "difference": {name: as_dict(value) for name, value in row.differences.items()},
    }
