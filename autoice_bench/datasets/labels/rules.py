"""Egg codes to labels: the named rules that turn a polygon's codes into SIC, SOD and FLOE classes.

Two rules share the code tables, the masks and the thresholds, and differ in how the partial
concentrations of ice types are added before one type is called dominant:

- ``autoice-2022`` gives the labels of the released data set, its quirks included;
- ``dominant-sum`` is the definition as stated: all partials of one class are added.

docs/labels.md has the rules in formulas, worked examples and every deviation.

Sources: AutoICE challenge data set manual (doi:10.11583/DTU.c.6244065.v2) for the classes and the
65 % rule; SIGRID-3 (WMO/TD-No. 1214) for the codes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from autoice_bench.charts import FILL_VALUE
from autoice_bench.datasets.labels.egg_codes import NOT_FILLED, EggCode
from autoice_bench.formats.label_rule import AUTOICE_2022, LabelRule, RuleName

UNKNOWN_CODE: Final = 99
"""SIGRID-3 for "undetermined / unknown", in every column."""

SIC_CLASSES: Final[Mapping[int, int]] = {
    **dict.fromkeys((0, 1, 2, 55), 0),
    **{10 * tenths: tenths for tenths in range(1, 10)},
    **dict.fromkeys((91, 92), 10),
}
"""Concentration code to class, for CT; for partials the class is their tenths."""

SOD_CLASSES: Final[Mapping[int, int]] = {
    **dict.fromkeys((0, 80), 0),
    **dict.fromkeys((81, 82), 1),
    **dict.fromkeys((83, 84, 85), 2),
    **dict.fromkeys((87, 88, 89), 3),
    **dict.fromkeys((86, 91, 93), 4),
    **dict.fromkeys((95, 96, 97), 5),
    **dict.fromkeys((98, 99), FILL_VALUE),
}
"""Stage-of-development code to class; 255 for codes that name no stage."""

FLOE_CLASSES: Final[Mapping[int, int]] = {
    0: 0,
    2: 1,
    3: 2,
    4: 3,
    5: 4,
    **dict.fromkeys((6, 7), 5),
    **dict.fromkeys((9, 10), 6),
    **dict.fromkeys((1, 8, 21, 22), FILL_VALUE),
}
"""Form code to class; 255 for shuga, fast, level and pancake ice, which have no floe size."""

# Codes outside a table keep their identity (two of them add up only where they are the same code)
# and stay clear of every class.
_OUTSIDE: Final = 1000

_Triple = tuple[int, int, int]


class PolygonLabels(NamedTuple):
    """Classes of one polygon; 255 where it has no label."""

    sic: int
    sod: int
    floe: int


def derive_labels(egg_code: EggCode, rule: LabelRule = AUTOICE_2022) -> PolygonLabels:
    """Return the SIC, SOD and FLOE classes of a polygon."""
    if is_ice_free(egg_code):
        return PolygonLabels(0, 0, 0)
    sic = SIC_CLASSES.get(egg_code.ct, FILL_VALUE)
    stages = _classes(egg_code.stages, SOD_CLASSES)
    sod = _class_at(stages, find_dominant_stage(egg_code, rule))
    forms = _classes(egg_code.forms, FLOE_CLASSES)
    floe = _class_at(forms, find_dominant_form(egg_code, rule))
    return PolygonLabels(sic, sod, FILL_VALUE if FILL_VALUE in forms else floe)


def is_ice_free(egg_code: EggCode) -> bool:
    """Whether the polygon is water: its type is ``W``, or its concentration has class 0."""
    return egg_code.poly_type.lower() == "w" or SIC_CLASSES.get(egg_code.ct) == 0


def find_dominant_stage(egg_code: EggCode, rule: LabelRule) -> int | None:
    """Index (0, 1, 2 for A, B, C) of the type that decides SOD; None where none dominates.

    A type dominates if 100 t >= threshold CT, with its added concentration t and CT in tenths (91
    and 92 count 10): integers, so a threshold that is met exactly labels. None also where CT is
    not filled or a partial concentration is no code of the table.
    """
    classes = _classes(egg_code.stages, SOD_CLASSES)
    return _find_dominant(egg_code, classes, rule.name, rule.sod_threshold)


def find_dominant_form(egg_code: EggCode, rule: LabelRule) -> int | None:
    """Index of the type that decides FLOE; the test of ``find_dominant_stage``, on the forms."""
    classes = _classes(egg_code.forms, FLOE_CLASSES)
    return _find_dominant(egg_code, classes, rule.name, rule.floe_threshold)


def _find_dominant(
    egg_code: EggCode, classes: _Triple, rule: RuleName, threshold: int
) -> int | None:
    a, b, c = (_tenths(code) for code in egg_code.partials)
    if egg_code.ct == NOT_FILLED or _OUTSIDE in (a, b, c):
        return None
    total = SIC_CLASSES.get(egg_code.ct, UNKNOWN_CODE)
    if rule == "autoice-2022":
        return _dominant_as_released((a, b, c), classes, total, threshold)
    return _dominant_by_sum(_fill_partials(egg_code, (a, b, c)), classes, total, threshold)


def _dominant_as_released(
    partials: _Triple, classes: _Triple, total: int, threshold: int
) -> int | None:
    """Steps 1-3 of the released rule; its quirks are kept on purpose.

    The addition to A is overwritten, not accumulated, when both B and C share its class, and an
    unfilled partial of a filled class adds -9.
    """
    a, b, c = partials
    class_a, class_b, class_c = classes
    if total > 0 and a == NOT_FILLED:
        a = total
    to_a = to_b = 0
    if class_a == class_b != NOT_FILLED:
        to_a = b
    if class_a == class_c != NOT_FILLED:
        to_a = c
    if class_b == class_c != NOT_FILLED:
        to_b = c
    sums = (a + to_a, b + to_b, c)
    largest = max(sums)
    return sums.index(largest) if 100 * largest >= threshold * total else None


def _dominant_by_sum(partials: _Triple, classes: _Triple, total: int, threshold: int) -> int | None:
    """The stated rule: add all partials of one class; the class's largest member represents it."""
    sums = [
        partial
        if own == NOT_FILLED  # types whose class is not filled are no class together
        else sum(c for c, other in zip(partials, classes, strict=True) if other == own)
        for partial, own in zip(partials, classes, strict=True)
    ]
    largest = max(sums)
    # Of an unknown total no share can be taken, unless one type makes up all of it.
    if largest < total if total == UNKNOWN_CODE else 100 * largest < threshold * total:
        return None
    dominant = classes[sums.index(largest)]
    members = [at for at, own in enumerate(classes) if own == dominant]
    return max(members, key=partials.__getitem__)


def _fill_partials(egg_code: EggCode, partials: _Triple) -> _Triple:
    """Replace missing partials: 0, or the total where the polygon has a single ice type."""
    total = SIC_CLASSES.get(egg_code.ct, UNKNOWN_CODE)
    filled = [
        any(code != NOT_FILLED for code in codes)
        for codes in zip(egg_code.partials, egg_code.stages, egg_code.forms, strict=True)
    ]
    missing = total if filled.count(True) == 1 else 0
    a, b, c = (
        (missing if is_filled else 0) if partial in (NOT_FILLED, UNKNOWN_CODE) else partial
        for partial, is_filled in zip(partials, filled, strict=True)
    )
    return a, b, c


def _tenths(code: int) -> int:
    """Partial concentration in tenths; -9 and 99 as they are, anything else outside the table."""
    if code in (NOT_FILLED, UNKNOWN_CODE):
        return code
    return SIC_CLASSES.get(code, _OUTSIDE)


def _classes(codes: _Triple, table: Mapping[int, int]) -> _Triple:
    """Classes of the types A, B, C; -9 where not filled, 1000 + |code| for other codes."""
    a, b, c = (
        NOT_FILLED if code == NOT_FILLED else table.get(code, _OUTSIDE + abs(code))
        for code in codes
    )
    return a, b, c


def _class_at(classes: _Triple, at: int | None) -> int:
    """The class of the dominant type; 255 where there is none or it has no class."""
    if at is None or not 0 <= classes[at] < FILL_VALUE:
        return FILL_VALUE
    return classes[at]
