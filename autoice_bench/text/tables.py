"""Tables for a terminal, and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any


def format_table(rows: Sequence[Sequence[str]], *, left: Iterable[int] = (0,)) -> str:
    """Align columns with two spaces between; ``left`` are the left-aligned ones."""
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
    """Records as CSV, with every key that occurs as a column; empty where there is no value."""
    columns = list(dict.fromkeys(key for record in records for key in record))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue().rstrip("\n")
