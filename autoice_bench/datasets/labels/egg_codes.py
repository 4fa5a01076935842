"""Egg codes: the rows of a raw scene's ``polygon_codes``, as records.

An *egg code* describes the ice of one chart polygon in SIGRID-3 codes: total concentration CT, and
for up to three ice types A, B, C (thickest first) the partial concentration (CA, CB, CC), stage of
development (SA, SB, SC) and form, that is floe size (FA, FB, FC).

Source: SIGRID-3, a vector archive format for sea ice charts (WMO/TD-No. 1214). The raw AI4Arctic
files (doi:10.11583/DTU.c.6244065.v2) hold the codes as ``;``-separated strings below a header.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from autoice_bench.errors import LabelError

NOT_FILLED: Final = -9
"""The code of a column that the analyst left empty."""

COLUMNS: Final = (
    *("poly_id", "CT", "CA", "SA", "FA", "CB", "SB", "FB", "CC", "SC", "FC"),
    *("CN", "CD", "CF", "POLY_TYPE"),
)
"""Header names, in file order. Matched without regard to case."""

_SEPARATOR: Final = ";"
_OPTIONAL: Final = frozenset({"CN", "CD", "CF"})  # no label depends on them
_TEXT: Final = frozenset({"CF", "POLY_TYPE"})
_WHOLE_NUMBER: Final = re.compile(r"[+-]?[0-9]+")

Padding = Literal["zero", "bare", "space"]


@dataclass(frozen=True)
class EggCode:
    """The ice of one chart polygon, in SIGRID-3 codes; -9 where a code is not filled.

    Attributes:
        poly_id: value of the polygon's pixels in ``polygon_icechart``.
        ct: total concentration.
        ca, cb, cc: partial concentrations of the ice types A, B, C.
        sa, sb, sc: their stages of development.
        fa, fb, fc: their forms (floe sizes).
        cn, cd: stages of a thicker trace and of a further type; not used by the labels.
        cf: predominant and secondary form, as text (``08-9``); not used by the labels.
        poly_type: ``I`` ice, ``W`` water; other letters occur.
    """

    poly_id: int
    ct: int
    ca: int = NOT_FILLED
    sa: int = NOT_FILLED
    fa: int = NOT_FILLED
    cb: int = NOT_FILLED
    sb: int = NOT_FILLED
    fb: int = NOT_FILLED
    cc: int = NOT_FILLED
    sc: int = NOT_FILLED
    fc: int = NOT_FILLED
    cn: int = NOT_FILLED
    cd: int = NOT_FILLED
    cf: str = ""
    poly_type: str = "I"

    @property
    def partials(self) -> tuple[int, int, int]:
        """Partial concentrations of the types A, B, C."""
        return self.ca, self.cb, self.cc

    @property
    def stages(self) -> tuple[int, int, int]:
        """Stages of development of the types A, B, C."""
        return self.sa, self.sb, self.sc

    @property
    def forms(self) -> tuple[int, int, int]:
        """Forms of the types A, B, C."""
        return self.fa, self.fb, self.fc


def parse_polygon_codes(rows: Sequence[str | bytes], *, where: str) -> tuple[EggCode, ...]:
    """Read the strings of ``polygon_codes``.

    Columns are found by their header names, so their order does not matter and further columns
    are ignored. Codes may be zero-padded, bare or space-padded; an empty code is -9. Rows that
    hold nothing at all are skipped. Ids that occur twice are kept: what to do with them is the
    label table's decision. Bytes that are not UTF-8 are tolerated in text columns only.

    Args:
        rows: the header, then one row per polygon.
        where: the scene, for error messages.

    Returns:
        One record per row, in file order; empty where only the header is there.

    Raises:
        LabelError: no header, a missing or repeated column, or a row that cannot be read (named
            with its number, the header being row 0).
    """
    lines = [row.decode(errors="replace") if isinstance(row, bytes) else row for row in rows]
    if not lines:
        raise LabelError(f"{where}: polygon_codes is empty; expected a header row {_header()}")
    positions = _column_positions(lines[0], where)
    n_columns = lines[0].count(_SEPARATOR) + 1
    records = []
    for number, line in enumerate(lines[1:], start=1):
        if not line.strip():
            continue
        place = f"{where}: polygon_codes row {number} ({line!r})"
        cells = [cell.strip() for cell in line.split(_SEPARATOR)]
        if len(cells) != n_columns:
            raise LabelError(f"{place} has {len(cells)} columns; the header has {n_columns}")
        records.append(_parse_row({name: cells[at] for name, at in positions.items()}, place))
    return tuple(records)


def format_polygon_codes(
    egg_codes: Iterable[EggCode], *, padding: Padding = "zero"
) -> tuple[str, ...]:
    """Write egg codes as the strings of ``polygon_codes``, header first.

    Args:
        egg_codes: the polygons, in the order wanted.
        padding: how one-digit codes appear: ``zero`` (``08``), ``bare`` (``8``) or ``space``
            (`` 8``). The polygon id and -9 are never padded.
    """
    return (_header(), *(_format_row(egg_code, padding) for egg_code in egg_codes))


def _header() -> str:
    return _SEPARATOR.join(COLUMNS)


def _column_positions(header: str, where: str) -> dict[str, int]:
    names = [name.strip().upper() for name in header.split(_SEPARATOR)]
    positions = {}
    for column in COLUMNS:
        found = names.count(column.upper())
        if found > 1 or (found == 0 and column not in _OPTIONAL):
            raise LabelError(
                f"{where}: polygon_codes header {header!r} has {found} columns {column}; "
                f"expected one of each of {_header()}"
            )
        if found:
            positions[column] = names.index(column.upper())
    return positions


def _parse_row(cells: dict[str, str], place: str) -> EggCode:
    if not cells["poly_id"]:
        raise LabelError(f"{place} has no poly_id; expected a whole number")
    codes = {
        name.lower(): _parse_code(cells.get(name, ""), name, place)
        for name in COLUMNS
        if name not in _TEXT
    }
    return EggCode(**codes, cf=cells.get("CF", ""), poly_type=cells["POLY_TYPE"])


def _parse_code(text: str, column: str, place: str) -> int:
    if not text:
        return NOT_FILLED
    if _WHOLE_NUMBER.fullmatch(text) is None:  # int() would also take 9_1
        raise LabelError(
            f"{place} has {column} {text!r}; expected a whole number, -9 where not filled"
        )
    return int(text)


def _format_row(egg_code: EggCode, padding: Padding) -> str:
    width, fill = {"zero": (2, "0"), "bare": (1, ""), "space": (2, " ")}[padding]
    cells = []
    for column in COLUMNS:
        value: int | str = getattr(egg_code, column.lower())
        if column in _TEXT or column == "poly_id" or value == NOT_FILLED:
            cells.append(str(value))
        else:
            cells.append(str(value).rjust(width, fill or " "))
    return _SEPARATOR.join(cells)
