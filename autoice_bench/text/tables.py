"""Tables for a terminal, and as CSV; texts of others do no harm in either."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any, Final

from autoice_bench.wording import make_visible

_FORMULA: Final = ("=", "+", "-", "@")


def format_table(rows: Sequence[Sequence[str]], *, left: Iterable[int] = (0,)) -> str:
    """Align columns with two spaces between; ``left`` are the left-aligned ones.

    What would break the table or steer a terminal is made visible.
    """
    rows = [[make_visible(text) for text in row] for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    flush_left = set(left)
    lines = []
    for row in rows:
        cells = [
            text.ljust(width) if column in flush_left else text.rjust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def format_csv(records: Sequence[dict[str, Any]]) -> str:
    """Records as CSV, with every key that occurs as a column; empty where there is no value.

    A text that a spreadsheet would run as a formula begins with an apostrophe instead.
    """
    columns = list(dict.fromkeys(key for record in records for key in record))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(map(guard_cell, columns))
    writer.writerows([guard_cell(record.get(name)) for name in columns] for record in records)
    return text.getvalue().rstrip("\n")


def guard_cell(value: Any) -> Any:
    """A cell for CSV: numbers as they are, texts visible and without what begins a formula."""
    if not isinstance(value, str):
        return value
    shown = make_visible(value)
    return f"'{shown}" if shown.lstrip().startswith(_FORMULA) else shown
