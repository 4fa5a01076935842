"""Studies in words: tables beside the published ones, and what failed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from autoice_bench.baselines.experiments.run import SCORED
from autoice_bench.baselines.experiments.study import RunOutcome, StudyResult
from autoice_bench.baselines.experiments.study_table import (
    PublishedDifference,
    Row,
    Statistic,
    compare_like,
    compare_second,
    find_published,
)
from autoice_bench.scoring.leaderboard.published import PublishedResult
from autoice_bench.text.tables import format_table
from autoice_bench.wording import format_count

_NOTHING: Final = "–"


def format_result(result: StudyResult) -> str:
    """The tables of a study, for people."""
    study, comparable = result.study, result.incomparable is None
    rows = compare_like(result)
    header = study.header
    if any(len(row.labels) > len(header) for row in rows):
        header = (*header, "published by")
    alike = find_published(result)
    parts = [
        f"{study.title}: "
        + ("" if alike is None else f"{alike.name}, ")
        + "mean over runs, percent, beside the published mean",
        _format_rows(
            header,
            rows,
            ("ours" if alike is None else alike.label, "published"),
            with_difference=comparable,
        ),
    ]
    parts += [_describe_unplaced(published) for published in study.unplaced]
    if not comparable:
        parts.append(f"not comparable: {result.incomparable}")
    if result.second is not None:
        names = result.second.label, "official"
        second = compare_second(study, result.outcomes)
        parts += [
            f"\n{result.second.name}, beside the official score of the same runs",
            _format_rows(study.header, second, names, with_difference=True),
        ]
    parts.append("±: standard deviation over the runs, and of a difference of means")
    return "\n".join(parts)


def _format_rows(
    header: Sequence[str], rows: Sequence[Row], names: tuple[str, str], *, with_difference: bool
) -> str:
    of_score = (*names, "difference") if with_difference else names
    first, second = ["" for _ in (*header, "runs")], [*header, "runs"]
    for name in SCORED:
        first += [name, *("" for _ in of_score[1:])]
        second += of_score
    lines = [_format_row(row, with_difference=with_difference) for row in rows]
    return format_table([first, second, *lines], left=range(len(header)))


def _format_row(row: Row, *, with_difference: bool) -> list[str]:
    done, planned = row.n_runs
    cells = [*row.labels, str(done) if done == planned else f"{done}/{planned}"]
    for name in SCORED:
        # The spread of the charts is left to the JSON: the paper gives that of the combined score.
        with_std = name == SCORED[0]
        cells += [_format(values.get(name), ".2f", with_std) for values in (row.ours, row.other)]
        if with_difference:
            cells.append(_format(row.differences[name], "+z.2f", with_std))
    return cells


def _format(value: Statistic | PublishedDifference | None, pattern: str, with_std: bool) -> str:
    if value is None:
        return _NOTHING
    mean, std = value[0], value[1]
    return format(mean, pattern) + ("" if std is None or not with_std else f" ± {std:.2f}")


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
