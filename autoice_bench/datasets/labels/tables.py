"""Label tables: the labels of all polygons of a scene, over the slots that a raster looks up.

A raster of polygon ids is first turned into *slots*, whole numbers from 0: slot 0 is "no polygon"
(land or uncharted), slot i + 1 is polygon i, and the last slot collects the ids beyond the table.
One ``take`` per chart from an array over slots then gives the label raster, whatever the number
of polygons (``rasters``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from autoice_bench.charts import CHARTS, FILL_VALUE
from autoice_bench.datasets.labels.egg_codes import NOT_FILLED, EggCode
from autoice_bench.datasets.labels.ice_types import derive_ice_type
from autoice_bench.datasets.labels.rules import (
    FLOE_CLASSES,
    SIC_CLASSES,
    SOD_CLASSES,
    UNKNOWN_CODE,
    derive_labels,
)
from autoice_bench.errors import LabelError
from autoice_bench.formats.label_rule import LabelRule

NO_POLYGON: Final = 0
"""The slot of pixels outside every polygon."""

MAX_POLYGON_ID: Final = 2**24 - 2
"""Largest polygon id whose slot float32 holds exactly."""

BLOCK_PIXELS: Final = 1 << 20
"""Pixels worked on at a time: index arrays of 8 MiB, small beside any scene."""

ProblemKind = Literal[
    "unknown code", "partials exceed total", "ice without class", "repeated id", "conflicting id"
]


@dataclass(frozen=True)
class CodeProblem:
    """Something to report about one polygon's codes; it never stops a scene.

    Attributes:
        kind: ``unknown code``: outside the tables, masked; ``partials exceed total``: labelled all
            the same; ``ice without class``: stage 80 or form 0 dominates where the concentration is
            not zero, giving class 0; ``repeated id``: the same ice twice; ``conflicting id``: rows
            of one id differ in their ice, the polygon is masked in every chart.
        poly_id: the polygon.
        detail: the codes in question, such as ``SA 94``.
    """

    kind: ProblemKind
    poly_id: int
    detail: str


@dataclass(frozen=True, eq=False)
class LabelTable:
    """Labels per polygon of one scene.

    Attributes:
        rule: the rule that gave the labels.
        polygon_ids: int64 (polygons,), ascending, each once.
        labels: uint8 (polygons, 3), classes of SIC, SOD, FLOE; 255 without a label.
        ice_types: uint8 (polygons,), index into ``ICE_TYPES``; 255 without.
        problems: what is odd about the codes, by ascending polygon id.
    """

    rule: LabelRule
    polygon_ids: NDArray[np.int64]
    labels: NDArray[np.uint8]
    ice_types: NDArray[np.uint8]
    problems: tuple[CodeProblem, ...]

    @property
    def n_slots(self) -> int:
        """Slots of this table: no polygon, ids 0 to the largest, ids beyond."""
        return int(self.polygon_ids[-1] if self.polygon_ids.size else -1) + 3

    def over_slots(self, values: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Spread per-polygon values (polygons,) over slots (n_slots,), 255 where no polygon is."""
        spread = np.full(self.n_slots, FILL_VALUE, np.uint8)
        spread[self.polygon_ids + 1] = values
        return spread

    def has_row(self) -> NDArray[np.bool_]:
        """Whether a slot stands for a polygon of the table: bool (n_slots,)."""
        known = np.zeros(self.n_slots, bool)
        known[self.polygon_ids + 1] = True
        return known


def build_label_table(egg_codes: Iterable[EggCode], rule: LabelRule, *, where: str) -> LabelTable:
    """Derive the labels of every polygon of a scene.

    An id that occurs twice with the same codes counts once; with different codes its polygon is
    masked, since nothing tells which row is meant. Both are among ``problems``.

    Args:
        egg_codes: one record per row of ``polygon_codes``.
        rule: label rule and thresholds.
        where: the scene, for error messages.

    Raises:
        LabelError: a polygon id is negative or above ``MAX_POLYGON_ID``.
    """
    by_id: dict[int, list[EggCode]] = {}
    for egg_code in egg_codes:
        if not 0 <= egg_code.poly_id <= MAX_POLYGON_ID:
            raise LabelError(
                f"{where}: polygon_codes holds poly_id {egg_code.poly_id}; "
                f"expected 0 to {MAX_POLYGON_ID}"
            )
        by_id.setdefault(egg_code.poly_id, []).append(egg_code)
    ids = sorted(by_id)
    labels = np.full((len(ids), len(CHARTS)), FILL_VALUE, np.uint8)
    ice_types = np.full(len(ids), FILL_VALUE, np.uint8)
    problems: list[CodeProblem] = []
    for row, poly_id in enumerate(ids):
        records = by_id[poly_id]
        if len({_ice(record) for record in records}) > 1:
            problems.append(CodeProblem("conflicting id", poly_id, f"{len(records)} rows"))
            continue
        if len(records) > 1:
            problems.append(CodeProblem("repeated id", poly_id, f"{len(records)} rows"))
        labels[row] = derive_labels(records[0], rule)
        ice_types[row] = derive_ice_type(records[0], rule)
        problems.extend(find_problems(records[0], labels[row].tolist()))
    return LabelTable(rule, np.array(ids, np.int64), labels, ice_types, tuple(problems))


def find_problems(egg_code: EggCode, labels: Sequence[int]) -> tuple[CodeProblem, ...]:
    """List what is odd about one polygon's codes, given its (SIC, SOD, FLOE) labels."""
    found = [CodeProblem("unknown code", egg_code.poly_id, code) for code in _unknown(egg_code)]
    total = SIC_CLASSES.get(egg_code.ct)
    partials = sum(SIC_CLASSES.get(code, 0) for code in egg_code.partials)
    if total is not None and partials > total:
        detail = f"CT {egg_code.ct} < {' + '.join(map(str, _filled(egg_code.partials)))}"
        found.append(CodeProblem("partials exceed total", egg_code.poly_id, detail))
    sic, sod, floe = labels
    if sic != 0 and 0 in (sod, floe):
        names = [name for name, value in (("SOD", sod), ("FLOE", floe)) if value == 0]
        detail = f"{' and '.join(names)} 0 at CT {egg_code.ct}"
        found.append(CodeProblem("ice without class", egg_code.poly_id, detail))
    return tuple(found)


def count_problems(problems: Iterable[CodeProblem]) -> dict[ProblemKind, int]:
    """Polygons per kind of problem, kinds that occur only."""
    pairs = {(problem.kind, problem.poly_id) for problem in problems}
    return dict(Counter(kind for kind, _ in sorted(pairs)))


def polygon_slots(
    ids: NDArray[Any], n_slots: int, *, fill_value: float | None = None
) -> NDArray[np.intp]:
    """Turn polygon ids into slots.

    Args:
        ids: floating point (NaN outside polygons) or integer (``fill_value`` outside), any shape.
        n_slots: slots of the label table; larger ids share the last slot.
        fill_value: a further value that means "no polygon".

    Returns:
        intp, shape of ``ids``. Negative and fractional ids share the last slot as well: no row
        can name them.
    """
    last = n_slots - 1
    if np.issubdtype(ids.dtype, np.integer):
        slots = ids.astype(np.intp)
        slots += 1
        strange = (slots <= NO_POLYGON) | (slots > last)
    else:
        shifted = ids + ids.dtype.type(1)
        outside = np.isnan(shifted)
        shifted[outside] = NO_POLYGON
        np.clip(shifted, -1, last, out=shifted)
        slots = shifted.astype(np.intp)
        strange = (slots != shifted) | ((slots <= NO_POLYGON) & ~outside)
    slots[strange] = last
    if fill_value is not None and not np.isnan(fill_value):
        slots[ids == fill_value] = NO_POLYGON
    return slots


def row_blocks(lines: int, samples: int) -> Iterator[slice]:
    """Whole rows, an even number of them, of about ``BLOCK_PIXELS`` pixels; the last may be odd."""
    step = max(2, BLOCK_PIXELS // max(1, samples) // 2 * 2)
    for start in range(0, lines, step):
        yield slice(start, min(start + step, lines))


def _ice(egg_code: EggCode) -> tuple[int | str, ...]:
    """The codes that labels depend on."""
    codes = (*egg_code.partials, *egg_code.stages, *egg_code.forms)
    return egg_code.ct, *codes, egg_code.poly_type.lower()


def _filled(codes: Iterable[int]) -> list[int]:
    return [code for code in codes if code != NOT_FILLED]


def _unknown(egg_code: EggCode) -> list[str]:
    """Codes that are in no table, as ``column code``; a CT that is not filled is one as well."""
    stages, forms = {NOT_FILLED, *SOD_CLASSES}, {NOT_FILLED, UNKNOWN_CODE, *FLOE_CLASSES}
    concentrations = {NOT_FILLED, UNKNOWN_CODE, *SIC_CLASSES}
    columns = (
        ("CT", (egg_code.ct,), concentrations - {NOT_FILLED}),
        ("CABC", egg_code.partials, concentrations),
        ("SABC", egg_code.stages, stages),
        ("FABC", egg_code.forms, forms),
    )
    return [
        f"{name[0]}{letter} {code}"
        for name, codes, table in columns
        for letter, code in zip(name[1:], codes, strict=True)
        if code not in table
    ]
