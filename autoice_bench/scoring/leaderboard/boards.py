"""Reading a leaderboard's folder and ranking what may be ranked together.

Submissions are ranked on one board only if they share the split, the truth fingerprint and whether
the truth is simulated. Only verified submissions get a rank: those that this package scored from
complete predictions.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from autoice_bench.charts import CHART_NAMES, CHARTS
from autoice_bench.errors import LeaderboardError
from autoice_bench.formats.label_rule import AUTOICE_2022
from autoice_bench.formats.whole_files import read_settled
from autoice_bench.scoring.leaderboard.published import (
    PublishedResult,
    best_of_each_system,
    read_published,
)
from autoice_bench.scoring.leaderboard.submission import (
    RecordedSubmission,
    Submission,
    SubmissionRecord,
    read_record,
    read_score_columns,
    read_submission,
)
from autoice_bench.scoring.leaderboard.submission_tables import as_array, is_one_of
from autoice_bench.scoring.metrics.definitions import METRICS, better_direction, headline_metric
from autoice_bench.scoring.metrics.groups import GROUP_KINDS
from autoice_bench.scoring.scores import COMBINED, OFFICIAL
from autoice_bench.wording import make_visible

COLUMNS: Final = (COMBINED, *CHART_NAMES)
_HEADLINES: Final = {chart.name: headline_metric(chart) for chart in CHARTS}
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


class Cell(NamedTuple):
    """One score with its 95 % interval; NaN where there is none."""

    value: float
    ci_low: float
    ci_high: float


class ScoreKey(NamedTuple):
    """What a score is of; columns of ``scores.parquet``."""

    group_kind: str
    group_name: str
    chart: str
    metric: str


@dataclass(frozen=True)
class ListedSubmission(RecordedSubmission):
    """A submission as far as a board shows it.

    Attributes:
        scores: those with one value that were asked for.
    """

    scores: Mapping[ScoreKey, Cell]

    @property
    def is_verified(self) -> bool:
        """Whether it may have a rank: complete, and said to be scored by this package."""
        return bool(self.metadata["verified"]) and self.record.rankable


@dataclass(frozen=True)
class Leaderboard:
    """What a leaderboard's folder holds.

    Attributes:
        submissions: those that can be read, by board and name.
        invalid: the other folders.
    """

    submissions: tuple[ListedSubmission, ...] = ()
    invalid: tuple[InvalidSubmission, ...] = ()


@dataclass(frozen=True)
class Entry:
    """One submission on a board; ``rank`` is None where it is not ranked."""

    rank: int | None
    submission: ListedSubmission
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
    def metrics(self) -> tuple[str, ...]:
        """Metrics that are read for it."""
        return (OFFICIAL, COMBINED, *_HEADLINES.values()) if self.metric is None else (self.metric,)

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


def read_leaderboard(root: Path, view: View | None = None) -> Leaderboard:
    """Read every submission of a leaderboard; those that cannot be read hide no other.

    Args:
        root: the leaderboard.
        view: what will be shown of it; None for everything with one value.

    Raises:
        LeaderboardError: the folder is missing.
    """
    submissions, invalid = [], []
    for folder in submission_folders(root):
        try:
            submissions.append(read_settled(folder, partial(_read_listed, folder, view)))
        except LeaderboardError as error:
            invalid.append(InvalidSubmission(folder, make_visible(str(error))))
    return Leaderboard(tuple(submissions), tuple(invalid))


def _read_listed(folder: Path, view: View | None) -> ListedSubmission:
    record = read_record(folder)
    return ListedSubmission(record, _read_scores(record, view))


def _read_scores(record: SubmissionRecord, view: View | None) -> dict[ScoreKey, Cell]:
    """The scores with one value that a view shows."""
    columns = (*ScoreKey._fields, "class_index", *Cell._fields)
    table = read_score_columns(record, columns)
    wanted = np.isnan(as_array(table, "class_index").astype(float))
    if view is not None:
        wanted &= is_one_of(table, "group_kind", {ALL, view.group})
        wanted &= is_one_of(table, "metric", view.metrics)
    rows = np.flatnonzero(wanted)
    keys = zip(*(as_array(table, name)[rows] for name in ScoreKey._fields), strict=True)
    cells = zip(*(as_array(table, name)[rows].tolist() for name in Cell._fields), strict=True)
    scores: dict[ScoreKey, Cell] = {}
    for key, cell in zip(keys, cells, strict=True):
        scores.setdefault(ScoreKey(*key), Cell(*cell))
    return scores


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
    submissions: Iterable[ListedSubmission], view: View | None = None, *, only: str | None = None
) -> tuple[Board, ...]:
    """Rank submissions.

    Args:
        submissions: read from a leaderboard, for this view at least.
        view: columns and order.
        only: name of the one board wanted.

    Raises:
        LeaderboardError: the view asks for an unknown metric, group or column.
    """
    view = view or View()
    sets: dict[tuple[str, bool, str], list[ListedSubmission]] = {}
    for submission in submissions:
        record = submission.record
        # A partial submission covers other scenes; it is listed with those of its split.
        fingerprint = record.truth_fingerprint if record.rankable else ""
        key = (record.board, record.simulated, fingerprint)
        if only is None or record.board == only:
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
    name: str, simulated: bool, fingerprint: str, members: list[ListedSubmission], view: View
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
        has_rank = member.is_verified and math.isfinite(cells[sort].value)
        ranked += has_rank
        entries.append(Entry(ranked if has_rank else None, member, cells))
    n_scenes = max(len(member.record.scenes) for member in members)
    rules = {member.record.rule for member in members}
    has_published_rule = bool(fingerprint) and rules == {AUTOICE_2022}
    published = _published(name, view) if has_published_rule else ()
    return Board(
        name, fingerprint, simulated, n_scenes, view.shown, columns, tuple(entries), published
    )


def _sort_key(
    submission: ListedSubmission, value: float, view: View
) -> tuple[bool, bool, float, str]:
    direction = "higher" if view.metric is None else better_direction(view.metric)
    order = {"higher": -value, "lower": value, "nearest-zero": abs(value)}[direction]
    return (not submission.is_verified, math.isnan(value), order, submission.name)


def _columns(members: Sequence[ListedSubmission], view: View) -> tuple[str, ...]:
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
        names = {
            key.group_name
            for member in members
            for key in member.scores
            if key.group_kind == view.group
        }
        return (ALL, *sorted(names))
    if view.metric is None:
        return COLUMNS
    charts = _charts_with(members, view.metric)
    return tuple(column for column in COLUMNS if column in charts)


def _charts_with(members: Sequence[ListedSubmission], metric: str) -> set[str]:
    """Charts that have a metric with one value, ``combined`` among them.

    Raises:
        LeaderboardError: no chart has it.
    """
    charts = {key.chart for member in members for key in member.scores if key.metric == metric}
    if charts.isdisjoint(COLUMNS):
        scalar = {each.name for each in METRICS if not each.per_class}
        known = ", ".join(sorted({*scalar, COMBINED, OFFICIAL}))
        is_per_class = any(each.name == metric and each.per_class for each in METRICS)
        per_class = " with one value (it is given per class)" * is_per_class
        raise LeaderboardError(f"no metric {metric!r}{per_class}; expected one of {known}")
    return charts


def _cells(submission: ListedSubmission, columns: tuple[str, ...], view: View) -> dict[str, Cell]:
    if view.group is None:
        return {chart: _cell(submission, ALL, ALL, chart, view.metric) for chart in columns}
    kinds = {name: ALL if name == ALL else view.group for name in columns}
    return {
        name: _cell(submission, kind, name, view.chart, view.metric) for name, kind in kinds.items()
    }


def _cell(
    submission: ListedSubmission, kind: str, name: str, chart: str, metric: str | None
) -> Cell:
    """The score of a chart; the official value with the interval of the unrounded one."""
    shown = submission.scores.get(ScoreKey(kind, name, chart, metric or OFFICIAL))
    unrounded = metric or _HEADLINES.get(chart, COMBINED)
    source = submission.scores.get(ScoreKey(kind, name, chart, unrounded))
    if shown is None or source is None:
        return Cell(math.nan, math.nan, math.nan)
    return Cell(shown.value, source.ci_low, source.ci_high)
