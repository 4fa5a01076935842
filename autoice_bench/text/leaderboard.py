"""Leaderboards and comparisons as text for a terminal, and as flat records for programs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from autoice_bench.formats.label_rule import AUTOICE_2022
from autoice_bench.scoring.leaderboard.boards import Board, Cell, Entry, InvalidSubmission
from autoice_bench.scoring.leaderboard.check import AS_STATED
from autoice_bench.scoring.leaderboard.compare import Difference
from autoice_bench.scoring.leaderboard.published import PublishedResult
from autoice_bench.scoring.metrics.uncertainty import FEWEST_SCENES
from autoice_bench.text.tables import format_table
from autoice_bench.wording import format_count, make_visible

_MARKS: Final = {"yes": "", "no": "not comparable", "unknown": "protocol not stated"}


def format_board(board: Board) -> str:
    """A board as aligned text: title, ranked submissions, then published results."""
    lines = [_title(board)]
    if board.entries:
        header = ["", "submission", *board.columns, ""]
        rows = [_entry_row(entry, board.columns) for entry in board.entries]
        lines.append(format_table([header, *rows], left=(1, len(header) - 1)))
    if board.published:
        lines += ["", f"published, self-reported ({_standing(board)}):"]
        header = ["", "system", *board.columns, "", "source"]
        rows = [_published_row(result, board.columns) for result in board.published]
        lines.append(format_table([header, *rows], left=(1, len(header) - 2, len(header) - 1)))
    return "\n".join(lines)


def format_cell(cell: Cell) -> str:
    """``86.500 [84.1, 88.0]``; ``–`` where undefined."""
    if math.isnan(cell.value):
        return "–"
    interval = "" if math.isnan(cell.ci_low) else f" [{cell.ci_low:.1f}, {cell.ci_high:.1f}]"
    return f"{cell.value:.3f}{interval}"


def board_records(boards: Iterable[Board]) -> list[dict[str, Any]]:
    """One flat record per submission and published result; None where there is no value."""
    records: list[dict[str, Any]] = []
    for board in boards:
        shared = {
            "split": board.name,
            "truth_fingerprint": board.truth_fingerprint or None,
            "simulated": board.simulated,
        }
        for entry in board.entries:
            record: dict[str, Any] = {
                **shared,
                "rank": entry.rank,
                "submission": entry.submission.name,
                "verified": entry.submission.is_verified,
                "published": False,
                "n_scenes": len(entry.submission.record.scenes),
                "label_rule": str(entry.submission.record.rule),
            }
            for column, cell in entry.cells.items():
                record[column] = _none_if_nan(cell.value)
                record[f"{column}_ci_low"] = _none_if_nan(cell.ci_low)
                record[f"{column}_ci_high"] = _none_if_nan(cell.ci_high)
            records.append(record)
        # Published results are of the released scenes, whatever they stand below.
        released = {**shared, "simulated": False}
        if board.simulated:
            released["truth_fingerprint"] = None
        records += [
            {
                **released,
                "rank": None,
                "submission": result.name,
                "verified": result.verified,
                "published": True,
                "n_scenes": None,
                **result.scores,
                "source": result.source,
                "comparable": result.comparable,
                "note": result.note,
            }
            for result in board.published
        ]
    return records


def invalid_records(invalid: Iterable[InvalidSubmission]) -> list[dict[str, Any]]:
    """One flat record per folder that is no submission; ``invalid`` holds the reason."""
    return [
        {
            "split": make_visible(each.board),
            "truth_fingerprint": None,
            "simulated": None,
            "rank": None,
            "submission": make_visible(each.folder.name),
            "verified": False,
            "published": False,
            "n_scenes": None,
            "invalid": each.reason,
        }
        for each in invalid
    ]


def format_invalid(invalid: Iterable[InvalidSubmission]) -> str:
    """Which folders were left out, and why: one line each."""
    return "\n".join(f"{each.reason} (invalid, left out)" for each in invalid)


def format_check(
    root: Path, n_submissions: int, problems: Sequence[str], rescored: Sequence[str]
) -> str:
    """What a check found: a line per problem, how many, and what was not checked.

    Args:
        root: the leaderboard.
        n_submissions: folders looked at.
        problems: lines.
        rescored: names of the submissions whose predictions were scored again.
    """
    found = format_count(len(problems), "problem") if problems else "no problems"
    again = f"; scored again: {', '.join(rescored)}" if rescored else ""
    of_others = " of the others" if rescored else ""
    return "\n".join(
        [
            *problems,
            f"{root}: {format_count(n_submissions, 'submission')}, {found}",
            f"as stated{of_others}, for --predictions to check: {', '.join(AS_STATED)}{again}",
        ]
    )


def comparison_records(differences: Iterable[Difference]) -> list[dict[str, Any]]:
    """One flat record per difference; None where there is no value."""
    return [
        {
            key: _none_if_nan(value) if isinstance(value, float) else value
            for key, value in difference._asdict().items()
        }
        for difference in differences
    ]


def format_comparison(differences: Iterable[Difference], name_a: str, name_b: str) -> str:
    """A comparison as text; scores undefined for both are left out."""
    header = ["group", "score", "A", "B", "A - B", "95 % interval", "A wins", ""]
    rows = [
        _difference_row(difference)
        for difference in differences
        if not (math.isnan(difference.a) and math.isnan(difference.b))
    ]
    title = f"A = {name_a}, B = {name_b}; percent; paired bootstrap over scenes"
    return title + "\n" + format_table([header, *rows], left=(0, 1, 7))


def _standing(board: Board) -> str:
    """How published results stand to the submissions above them."""
    if board.simulated:
        return "on the released scenes, comparable with none of the above"
    return "not ranked"


def _title(board: Board) -> str:
    if not board.entries:
        return f"split {board.name}: no submissions yet"
    kind = "SIMULATED scenes" if board.simulated else "scenes"
    truth = f"truth {board.truth_fingerprint[:12]}" if board.truth_fingerprint else "partial"
    rules = {entry.submission.record.rule for entry in board.entries}
    labels = sorted(f", labels {rule}" for rule in rules if rule != AUTOICE_2022)
    return (
        f"split {board.name}: {board.n_scenes} {kind}, {truth}{''.join(labels)}; "
        f"{board.shown}, percent, with 95 % bootstrap intervals over scenes"
    )


def _entry_row(entry: Entry, columns: Sequence[str]) -> list[str]:
    notes = []
    if not entry.submission.record.rankable:
        notes.append(f"partial, {len(entry.submission.record.scenes)} scenes: not ranked")
    elif entry.rank is None:
        notes.append("not ranked")
    if any(entry.submission.metadata["mask_class_pixels"].values()):
        notes.append("predicts the mask class")
    rank = "–" if entry.rank is None else str(entry.rank)
    cells = [format_cell(entry.cells[column]) for column in columns]
    return [rank, entry.submission.name, *cells, "; ".join(notes)]


def _published_row(result: PublishedResult, columns: Sequence[str]) -> list[str]:
    scores = result.scores
    cells = []
    for column in columns:
        value = scores[column]
        text = "–" if value is None else f"{value:g}"
        if column == "combined" and result.combined_std is not None:
            text += f" ± {result.combined_std:g}"
        cells.append(text)
    runs = f"mean of {result.n_runs} runs" if result.n_runs > 1 else ""
    note = "; ".join(part for part in (_MARKS[result.comparable], runs) if part)
    return ["", result.name, *cells, note, result.source]


def _none_if_nan(value: float) -> float | None:
    return None if math.isnan(value) else value


def _difference_row(row: Difference) -> list[str]:
    score = row.chart if row.chart == row.metric else f"{row.chart} {row.metric}"
    if row.class_index is not None:
        score += f" class {row.class_index}"
    interval = wins = ""
    if math.isnan(row.difference):
        verdict = "undefined for one"
    elif row.beyond_chance is None:
        few = row.n_scenes < FEWEST_SCENES
        verdict = f"fewer than {FEWEST_SCENES} scenes" if few else "undefined in many resamples"
    else:
        interval = f"[{row.ci_low:+.2f}, {row.ci_high:+.2f}]"
        wins = f"{row.share_a_wins:.0%}"
        verdict = "beyond chance" if row.beyond_chance else "within chance"
    return [
        "all" if row.group_kind == "all" else f"{row.group_kind} {row.group_name}",
        score,
        _format_number(row.a, ".3f"),
        _format_number(row.b, ".3f"),
        _format_number(row.difference, "+.3f"),
        interval,
        wins,
        verdict,
    ]


def _format_number(value: float, pattern: str) -> str:
    return "–" if math.isnan(value) else format(value, pattern)
