from __future__ import annotations

import csv
import io

import pytest

from autoice_bench.text.tables import format_csv, format_table, guard_cell
from autoice_bench.wording import is_printable


def test_a_cell_cannot_break_a_table() -> None:
    text = format_table([["name", "score"], ["a\nb\x1b[2J", "1"], ["\ud800", "2"]])
    assert text.splitlines() == ["name         score", r"a\nb\x1b[2J      1", r"\ud800           2"]


@pytest.mark.parametrize("formula", ["=1+1", "+1", "-1", "@SUM(A1)", " =1", '=HYPERLINK("x")'])
def test_cells_that_a_spreadsheet_would_run_are_guarded(formula: str) -> None:
    assert guard_cell(formula) == f"'{formula}"
    (row,) = csv.DictReader(io.StringIO(format_csv([{"name": formula}])))
    assert row["name"] == f"'{formula}"


def test_numbers_stay_numbers() -> None:
    record = {"a": -1.5, "b": -2, "c": None, "d": True, "e": "plain-text"}
    assert format_csv([record]).splitlines() == ["a,b,c,d,e", "-1.5,-2,,True,plain-text"]


def test_csv_has_a_row_per_record_whatever_the_texts_hold() -> None:
    text = format_csv([{"a": "x\ny\rz"}, {"b": "\x1b[2J"}])
    assert len(text.splitlines()) == 3
    assert all(is_printable(line) for line in text.splitlines())
