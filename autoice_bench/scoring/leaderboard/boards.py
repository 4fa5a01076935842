"""Reading a leaderboard's folder and ranking what may be ranked together.

Submissions are ranked on one board only if they share the split, the truth fingerprint and whether
the truth is simulated. Only verified submissions get a rank: those that this package scored from
complete predictions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from autoice_bench.charts import CHART_NAMES, CHARTS
from autoice_bench.errors import LeaderboardError
from autoice_bench.formats.label_rule import AUTOICE_2022
from autoice_bench.scoring.leaderboard.published import (
    PublishedResult,
    best_of_each_system,
    read_published,
)
from autoice_bench.scoring.leaderboard.submission import Submission, read_submission
from autoice_bench.scoring.metrics.definitions import better_direction, headline_metric
from autoice_bench.scoring.metrics.groups import GROUP_KINDS
from autoice_bench.scoring.scores import COMBINED, OFFICIAL
from autoice_bench.wording import make_visible

COLUMNS: Final = (COMBINED, *CHART_NAMES)
ALL: Final = "all"
"""Kind, name and column of the group of all scenes."""


@dataclass(frozen=True)
class InvalidSubmission:
    """A folder that is no submission, or one that is damaged.

    Attributes:
        folder: where it lies.
        reason: what is wrong, in a line that names the folder.
    """

    folder: Path
    reason: str

    @property
    def board(self) -> str:
        """The board it lies under."""
        return self.folder.parent.name


@dataclass(frozen=True)
class Leaderboard:
    """What a leaderboard's folder holds.

    Attributes:
        submissions: those that can be read, by board and name.
        invalid: the other folders.
    """

    submissions: tuple[Submission, ...] = ()
    invalid: tuple[InvalidSubmission, ...] = ()


@dataclass(frozen=True)
class Cell:
    """One score with its 95 % interval; NaN where there is none."""

    value: float
    ci_low: float
    ci_high: float


@dataclass(frozen=True)
class Entry:
    """One submission on a board; ``rank`` is None where it is not ranked."""

    rank: int | None
    submission: Submission
    cells: dict[str, Cell]


@dataclass(frozen=True)
class Board:
    """Submissions that may be compared, best first.

    Attributes:
        name: split, with the subset unless it is test.
        truth_fingerprint, simulated: what they share.
        n_scenes: scenes scored by a complete submission.
        shown: what the cells hold, in words.
        columns: names of the entries' cells.
        entries: ranked ones first.
        published: published results of the same split; none beside simulated truth
            or labels of another rule.
    """

    name: str
    truth_fingerprint: str
    simulated: bool
    n_scenes: int
    shown: str
    columns: tuple[str, ...]
    entries: tuple[Entry, ...]
    published: tuple[PublishedResult, ...]


@dataclass(frozen=True)
class View:
    """What a board shows.

    Attributes:
        metric: metric of each chart; None for the challenge's own (official rounding).
        group: kind of groups to show one column each of, after that of all scenes; None for one
            column per chart.
        chart: chart shown with ``group``; ``combined`` for the combined score.
        sort: column to sort by; None for the first.
        all_published: every published row instead of the best of each system.
    """

    metric: str | None = None
    group: str | None = None
    chart: str = COMBINED
    sort: str | None = None
    all_published: bool = False

    @property
    def shown(self) -> str:
        """What the cells hold, in words."""
        what = self.metric or "official score"
        return what if self.group is None else f"{what} of {self.chart} by {self.group}"


def submission_folders(root: Path) -> tuple[Path, ...]:
    """Folders ``<root>/<split>/<submission>`` that hold anything, sorted; hidden ones are skipped.

    Raises:
        LeaderboardError: ``root`` is not a folder.
    """
    if not root.is_dir():
        raise LeaderboardError(
            f"{root}: no leaderboard here; `autoice-bench score PREDS` writes the first submission"
        )
    return tuple(
        folder
        for folder in sorted(root.glob("*/*"))
        if folder.is_dir() and not any(part.startswith(".") for part in folder.parts[-2:])
    )


def read_leaderboard(root: Path) -> Leaderboard:
    """Read every submission of a leaderboard; those that cannot be read hide no other.

    Raises:
        LeaderboardError: the folder is missing.
    """
    submissions, invalid = [], []
    for folder in submission_folders(root):
        try:
            submissions.append(read_submission(folder))
        except LeaderboardError as error:
            invalid.append(InvalidSubmission(folder, make_visible(str(error))))
    return Leaderboard(tuple(submissions), tuple(invalid))


def find_submission(root: Path, name: str, *, board: str | None = None) -> Submission:
    """Read one submission by name, or by ``split/name``.

    Raises:
        LeaderboardError: none or several have the name.
    """
    prefix, _, short = name.rpartition("/")
    wanted = prefix or board
    found = [
        folder
        for folder in submission_folders(root)
        if folder.name == short and (not wanted or folder.parent.name == wanted)
    ]
    if len(found) != 1:
        problem = "several splits have" if found else "there is no"
        names = {f"{folder.parent.name}/{folder.name}" for folder in submission_folders(root)}
        known = make_visible(", ".join(sorted(names))) or "none"
        raise LeaderboardError(f"{root}: {problem} submission {name!r}; give one of {known}")
    return read_submission(found[0])


def build_boards(
    submissions: Iterable[Submission], view: View | None = None, *, only: str | None = None
) -> tuple[Board, ...]:
    """Rank submissions.

    Args:
        submissions: read from a leaderboard.
        view: columns and order.
        only: name of the one board wanted.

    Raises:
        LeaderboardError: the view asks for an unknown metric, group or column.
    """
    view = view or View()
    sets: dict[tuple[str, bool, str], list[Submission]] = {}
    for submission in submissions:
        evaluation = submission.evaluation
        # A partial submission covers other scenes; it is listed with those of its split.
        fingerprint = evaluation.truth_fingerprint if evaluation.rankable else ""
        key = (evaluation.board, evaluation.simulated, fingerprint)
        if only is None or evaluation.board == only:
            sets.setdefault(key, []).append(submission)
    return tuple(_build_board(*key, members, view) for key, members in sorted(sets.items()))


def published_boards(view: View, *, only: str | None = None) -> tuple[Board, ...]:
    """Boards that hold published results alone, for a leaderboard without submissions."""
    names = dict.fromkeys(result.board for result in read_published())
    return tuple(
        Board(name, "", False, 0, view.shown, COLUMNS, (), _published(name, view))
        for name in names
        if only in (None, name) and _published(name, view)
    )


def _published(board: str, view: View) -> tuple[PublishedResult, ...]:
    if view.metric is not None or view.group is not None:
        return ()
    results = tuple(result for result in read_published() if result.board == board)
    if view.all_published:
        return tuple(sorted(results, key=lambda result: -(result.combined or 0.0)))
    return best_of_each_system(results)


def _build_board(
    name: str, simulated: bool, fingerprint: str, members: list[Submission], view: View
) -> Board:
    columns = _columns(members, view)
    sort = view.sort or columns[0]
    if sort not in columns:
        raise LeaderboardError(f"no column {sort!r} to sort by; expected {', '.join(columns)}")
    rows = [(member, _cells(member, columns, view)) for member in members]
    rows.sort(key=lambda row: _sort_key(row[0], row[1][sort].value, view))
    ranked = 0
    entries = []
    for member, cells in rows:
        has_rank = _is_verified(member) and bool(np.isfinite(cells[sort].value))
        ranked += has_rank
        entries.append(Entry(ranked if has_rank else None, member, cells))
    n_scenes = max(len(member.evaluation.scenes) for member in members)
    rules = {member.evaluation.rule for member in members}
    has_published_rule = bool(fingerprint) and rules == {AUTOICE_2022}
    published = _published(name, view) if has_published_rule else ()
    return Board(
        name, fingerprint, simulated, n_scenes, view.shown, columns, tuple(entries), published
    )


def _is_verified(submission: Submission) -> bool:
    return bool(submission.metadata["verified"]) and submission.evaluation.rankable


def _sort_key(submission: Submission, value: float, view: View) -> tuple[bool, bool, float, str]:
    direction = "higher" if view.metric is None else better_direction(view.metric)
    order = {"higher": -value, "lower": value, "nearest-zero": abs(value)}[direction]
    return (not _is_verified(submission), bool(np.isnan(value)), order, submission.name)


def _columns(members: Sequence[Submission], view: View) -> tuple[str, ...]:
    if view.group is not None:
        if view.group not in GROUP_KINDS:
            raise LeaderboardError(
                f"no group {view.group!r}; expected one of {', '.join(GROUP_KINDS)}"
            )
        if view.metric is not None:
            charts = _charts_with(members, view.metric)
            if view.chart not in charts:
                having = " or ".join(chart for chart in COLUMNS if chart in charts)
                raise LeaderboardError(
                    f"{view.chart} has no metric {view.metric!r}; choose --chart {having}"
                )
        names: set[str] = set()
        for member in members:
            of_kind = member.scores["group_kind"] == view.group
            names.update(member.scores.loc[of_kind, "group_name"])
        return (ALL, *sorted(names))
    if view.metric is None:
        return COLUMNS
    charts = _charts_with(members, view.metric)
    return tuple(column for column in COLUMNS if column in charts)


def _charts_with(members: Sequence[Submission], metric: str) -> set[str]:
    """Charts that have a metric with one value, ``combined`` among them.

    Raises:
        LeaderboardError: no chart has it.
    """
    rows = pd.concat([member.scores[["metric", "chart", "class_index"]] for member in members])
    scalar = rows[rows["class_index"].isna()]
    charts = set(scalar.loc[scalar["metric"] == metric, "chart"])
    if not charts:
        known = ", ".join(sorted(set(scalar["metric"])))
        per_class = " with one value (it is given per class)" * (metric in set(rows["metric"]))
        raise LeaderboardError(f"no metric {metric!r}{per_class}; expected one of {known}")
    return charts


def _cells(submission: Submission, columns: tuple[str, ...], view: View) -> dict[str, Cell]:
    scores = submission.scores
    scores = scores[scores["class_index"].isna()]
    if view.group is None:
        rows = scores[scores["group_kind"] == ALL]
        return {chart: _cell(rows, chart, view.metric) for chart in columns}
    rows = scores[scores["group_kind"].isin([ALL, view.group])]
    return {
        name: _cell(rows[rows["group_name"] == name], view.chart, view.metric) for name in columns
    }


def _cell(rows: pd.DataFrame, chart: str, metric: str | None) -> Cell:
    """The score of a chart; the official value with the interval of the unrounded one."""
    of_chart = rows[rows["chart"] == chart]
    shown = of_chart[of_chart["metric"] == (metric or OFFICIAL)]["value"]
    source = of_chart[of_chart["metric"] == (metric or _unrounded(chart))]
    if shown.empty or source.empty:
        return Cell(np.nan, np.nan, np.nan)
    return Cell(
        float(shown.iloc[0]), float(source["ci_low"].iloc[0]), float(source["ci_high"].iloc[0])
    )


def _unrounded(chart_name: str) -> str:
    headlines = {chart.name: headline_metric(chart) for chart in CHARTS}
    return headlines.get(chart_name, COMBINED)
