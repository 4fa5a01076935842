from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoice_bench.charts import CHARTS, FILL_VALUE, ICE_TYPES
from autoice_bench.datasets.labels.egg_codes import EggCode
from autoice_bench.datasets.labels.ice_types import derive_ice_type
from autoice_bench.datasets.labels.rules import (
    FLOE_CLASSES,
    SIC_CLASSES,
    SOD_CLASSES,
    derive_labels,
)
from autoice_bench.errors import LabelError
from autoice_bench.formats.label_rule import (
    AUTOICE_2022,
    DOMINANT_SUM,
    RULE_NAMES,
    LabelRule,
    RuleName,
)
from tests.oracles import LABEL_CASES, read_rows

COLUMNS = ("CT", "CA", "SA", "FA", "CB", "SB", "FB", "CC", "SC", "FC", "CN", "CD")
_ = -9


def _egg(
    ct: int,
    a: tuple[int, int, int],
    b: tuple[int, int, int] = (_, _, _),
    c: tuple[int, int, int] = (_, _, _),
    *,
    poly_type: str = "I",
) -> EggCode:
    """An egg code from CT and one (partial, stage, form) per ice type."""
    return EggCode(1, ct, *a, *b, *c, poly_type=poly_type)


# (what it shows, egg code, labels by autoice-2022, labels by dominant-sum). By hand: t is the added
# concentration in tenths, to be compared with 65 % of CT.
CASES = [
    ("one type takes CT", _egg(90, (_, 93, 7)), (9, 4, 5), (9, 4, 5)),
    ("92 counts 10: 7/10 B, fast ice has no floe", _egg(92, (30, 95, 5), (70, 93, 8)),
     (10, 4, 255), (10, 4, 255)),
    ("91 counts 10: 9/10 old", _egg(91, (90, 95, 6), (10, 93, 6)), (10, 5, 5), (10, 5, 5)),
    ("6/8 = 75 % first-year; floes 2 + 6 = 8/8", _egg(80, (20, 95, 6), (60, 93, 6)),
     (8, 4, 5), (8, 4, 5)),
    ("2/3 = 66.7 % is enough", _egg(30, (20, 95, 6), (10, 93, 6)), (3, 5, 5), (3, 5, 5)),
    ("5/8 = 62.5 % is not; floes 3 + 5", _egg(80, (50, 95, 6), (30, 93, 7)),
     (8, 255, 5), (8, 255, 5)),
    ("form not filled", _egg(10, (_, 95, _)), (1, 5, 255), (1, 5, 255)),
    ("CT 2 is open water", _egg(2, (_, 98, 10)), (0, 0, 0), (0, 0, 0)),
    ("CT 55 is ice free", _egg(55, (30, 93, 5)), (0, 0, 0), (0, 0, 0)),
    ("water polygon, whatever CT", _egg(90, (_, 93, 5), poly_type="W"), (0, 0, 0), (0, 0, 0)),
    ("water polygon, lower case", _egg(99, (_, 93, 5), poly_type="w"), (0, 0, 0), (0, 0, 0)),
    ("other types are ice", _egg(90, (_, 93, 5), poly_type="O"), (9, 4, 4), (9, 4, 4)),
    # The quirk: A shares its class with B and C, only C's share is added: t = (4+2, 4+2, 2).
    ("4 + 4 + 2: quirk, 6/10", _egg(91, (40, 87, 5), (40, 88, 5), (20, 89, 5)),
     (10, 255, 255), (10, 3, 4)),
    ("6 + 3 + 1: A with C is 7/10", _egg(91, (60, 87, 5), (30, 88, 5), (10, 89, 5)),
     (10, 3, 4), (10, 3, 4)),
    ("3 + 4 + 3: B with C is 7/10", _egg(91, (30, 87, 5), (40, 88, 5), (30, 89, 5)),
     (10, 3, 4), (10, 3, 4)),
    ("A and B alike: 4 + 3 of 10", _egg(91, (40, 81, 3), (30, 82, 4), (30, 93, 5)),
     (10, 1, 255), (10, 1, 255)),
    ("A and C alike: 4 + 3 of 10", _egg(91, (40, 95, 3), (30, 82, 4), (30, 96, 3)),
     (10, 5, 2), (10, 5, 2)),
    # CA not filled beside a filled B: released, A takes CT and wins; summed, A counts 0.
    ("CA missing, B filled", _egg(90, (_, 95, 5), (70, 93, 4)), (9, 5, 4), (9, 4, 3)),
    # CB not filled, same class as A: released adds -9 (t = 8 - 9); summed, B counts 0.
    ("CB missing, class of A", _egg(80, (80, 93, 5), (_, 93, 4)), (8, 255, 4), (8, 4, 4)),
    ("a lone type with a partial keeps it: 5/8", _egg(80, (50, 93, 5)), (8, 255, 255),
     (8, 255, 255)),
    # 7/9 old ice; 3 + 4 tenths of no stage are no class together, so they do not come first.
    ("stages not filled do not add up", _egg(90, (30, _, 5), (40, _, 5), (70, 95, 6)),
     (9, 5, 4), (9, 5, 4)),
    # Unknown total: released compares with 99; a sole type takes all of it.
    ("CT unknown, one type", _egg(99, (_, 93, 5)), (255, 4, 4), (255, 4, 4)),
    ("CT unknown, two types", _egg(99, (50, 93, 5), (40, 91, 5)), (255, 255, 255),
     (255, 255, 255)),
    # Unknown partial: released takes it for 99 tenths, dominating; summed, it counts 0.
    ("partial unknown", _egg(80, (99, 95, 5), (60, 93, 4)), (8, 5, 4), (8, 4, 3)),
    ("stage 98 dominates", _egg(90, (_, 98, 5)), (9, 255, 4), (9, 255, 4)),
    ("stage 99 beside 7/9 old ice", _egg(90, (70, 95, 5), (20, 99, 5)), (9, 5, 4), (9, 5, 4)),
    ("form 99 dominates", _egg(90, (_, 93, 99)), (9, 4, 255), (9, 4, 255)),
    ("form 99 in the minority", _egg(90, (70, 93, 5), (20, 93, 99)), (9, 4, 4), (9, 4, 4)),
    ("any fast ice masks FLOE", _egg(90, (80, 93, 5), (10, 93, 8)), (9, 4, 255), (9, 4, 255)),
    ("even without its partial", _egg(90, (90, 93, 5), (_, _, 22)), (9, 4, 255), (9, 4, 255)),
    ("stage 80 with ice is class 0", _egg(30, (_, 80, 0)), (3, 0, 0), (3, 0, 0)),
    ("pan codes: old, bergs", _egg(40, (_, 97, 9)), (4, 5, 6), (4, 5, 6)),
    ("ice of land origin by partial", _egg(40, (30, 95, 10), (10, 93, 2)), (4, 5, 6), (4, 5, 6)),
    # Ours, where the official converter passes codes through as if they were classes.
    ("CT not filled", _egg(_, (_, 93, 5)), (255, 255, 255), (255, 255, 255)),
    ("CT an interval, one type", _egg(79, (_, 93, 5)), (255, 4, 4), (255, 4, 4)),
    ("partial an interval", _egg(90, (79, 93, 5), (20, 91, 4)), (9, 255, 255), (9, 255, 255)),
    ("stage outside the table", _egg(90, (_, 94, 5)), (9, 255, 4), (9, 255, 4)),
    ("form outside the table", _egg(90, (_, 93, 11)), (9, 4, 255), (9, 4, 255)),
    ("form outside the table, minority", _egg(90, (70, 93, 5), (20, 93, 11)), (9, 4, 4),
     (9, 4, 4)),
    ("code -5", _egg(90, (_, -5, -5)), (9, 255, 255), (9, 255, 255)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("egg_code", "released", "summed"),
    [case[1:] for case in CASES],
    ids=[str(case[0]) for case in CASES],
)
def test_cases_by_hand(
    egg_code: EggCode, released: tuple[int, int, int], summed: tuple[int, int, int]
) -> None:
    assert derive_labels(egg_code) == released
    assert derive_labels(egg_code, DOMINANT_SUM) == summed


def test_all_official_cases_agree() -> None:
    rows = read_rows(LABEL_CASES)
    wrong = []
    for row in rows:
        codes: dict[str, Any] = {column.lower(): int(row[column]) for column in COLUMNS}
        labels = derive_labels(EggCode(poly_id=1, **codes, poly_type=row["POLY_TYPE"]))
        if labels != tuple(int(row[chart.name]) for chart in CHARTS):
            wrong.append((row, labels))
    assert len(rows) == 3643
    assert wrong == []


def test_tables_give_every_class_and_nothing_else() -> None:
    for chart, table in zip(CHARTS, (SIC_CLASSES, SOD_CLASSES, FLOE_CLASSES), strict=True):
        assert set(table.values()) - {FILL_VALUE} == set(range(chart.n_classes))


@pytest.mark.parametrize(("share", "threshold"), [(50, 50), (60, 60), (70, 70)])
@pytest.mark.parametrize("name", RULE_NAMES)
def test_threshold_met_exactly_labels(name: RuleName, share: int, threshold: int) -> None:
    egg_code = _egg(91, (share, 93, 5), (100 - share, 95, 3))

    met = derive_labels(egg_code, LabelRule(name, threshold, threshold))
    missed = derive_labels(egg_code, LabelRule(name, threshold + 1, threshold + 1))

    assert met == (10, 4, 4)
    assert missed == (10, 255, 255)


@pytest.mark.parametrize(("tenths", "total"), [(2, 4), (3, 6), (3, 5), (6, 10), (7, 10), (1, 2)])
def test_exact_shares_of_other_totals_label(tenths: int, total: int) -> None:
    # 100 t / CT is a whole percent here; the same test in floats would hang on rounding.
    threshold = 100 * tenths // total
    assert threshold * total == 100 * tenths
    other = total - tenths
    egg_code = _egg(10 * total if total < 10 else 91, (10 * tenths, 93, 5), (10 * other, 95, 3))

    assert derive_labels(egg_code, LabelRule("autoice-2022", threshold, threshold)).sod == 4


def test_thresholds_of_the_charts_are_separate() -> None:
    egg_code = _egg(91, (60, 93, 5), (40, 95, 3))

    assert derive_labels(egg_code, LabelRule(sod_threshold=60)) == (10, 4, 255)
    assert derive_labels(egg_code, LabelRule(floe_threshold=60)) == (10, 255, 4)


@pytest.mark.parametrize("threshold", [0, 101, -5])
def test_threshold_outside_percent_is_an_error(threshold: int) -> None:
    with pytest.raises(LabelError, match=f"sod_threshold is {threshold}; .* from 1 to 100"):
        LabelRule(sod_threshold=threshold)


def test_unknown_rule_is_an_error() -> None:
    with pytest.raises(LabelError, match="label rule 'majority'; expected autoice-2022 or dom"):
        LabelRule("majority")  # type: ignore[arg-type]


concentrations = st.sampled_from([-9, 99, *SIC_CLASSES, 79])
stages = st.sampled_from([-9, *SOD_CLASSES, 94])
forms = st.sampled_from([-9, 99, *FLOE_CLASSES, 11])
ice_types = st.tuples(concentrations, stages, forms)
eggs = st.builds(
    _egg,
    concentrations,
    ice_types,
    ice_types,
    ice_types,
    poly_type=st.sampled_from(["I", "W", "w", "O"]),
)
rule_names = st.sampled_from(RULE_NAMES)
thresholds = st.integers(1, 100)
rules = st.builds(LabelRule, rule_names, thresholds, thresholds)


@given(eggs, rules)
def test_labels_are_classes_or_fill(egg_code: EggCode, rule: LabelRule) -> None:
    for chart, label in zip(CHARTS, derive_labels(egg_code, rule), strict=True):
        assert label in chart.values


@given(eggs, rules)
def test_sic_0_forces_zeros(egg_code: EggCode, rule: LabelRule) -> None:
    labels = derive_labels(egg_code, rule)
    if labels.sic == 0:
        assert labels == (0, 0, 0)
        assert derive_ice_type(egg_code, rule) == 0


@given(eggs, rule_names, thresholds, thresholds)
def test_raising_the_threshold_only_masks(
    egg_code: EggCode, name: RuleName, first: int, second: int
) -> None:
    low, high = sorted((first, second))
    before = derive_labels(egg_code, LabelRule(name, low, low))
    after = derive_labels(egg_code, LabelRule(name, high, high))

    assert before.sic == after.sic
    for old, new in zip(before[1:], after[1:], strict=True):
        assert new in (old, FILL_VALUE)


UNEQUAL_TENTHS = [tenths for tenths in itertools.permutations(range(1, 10), 3) if sum(tenths) <= 10]


@st.composite
def separate_types(draw: st.DrawFn) -> tuple[int, list[tuple[int, int, int]]]:
    """CT and three types of different classes and partials that sum to at most CT."""
    tenths = draw(st.sampled_from(UNEQUAL_TENTHS))
    total = draw(st.integers(sum(tenths), 10))
    chosen_stages = draw(st.permutations([81, 84, 87, 93, 96]))[:3]
    chosen_forms = draw(st.permutations([2, 3, 4, 5, 6, 9]))[:3]
    types = zip([10 * t for t in tenths], chosen_stages, chosen_forms, strict=True)
    return (92 if total == 10 else 10 * total), list(types)


@given(separate_types(), rules)
def test_order_of_separate_types_does_not_matter(
    ice: tuple[int, list[tuple[int, int, int]]], rule: LabelRule
) -> None:
    total, types = ice
    found = {derive_labels(_egg(total, *order), rule) for order in itertools.permutations(types)}

    assert len(found) == 1


@given(separate_types(), thresholds)
def test_rules_agree_on_separate_types(
    ice: tuple[int, list[tuple[int, int, int]]], threshold: int
) -> None:
    total, types = ice
    egg_code = _egg(total, *types)

    assert derive_labels(egg_code, LabelRule("autoice-2022", threshold, threshold)) == (
        derive_labels(egg_code, LabelRule("dominant-sum", threshold, threshold))
    )


def _rules_may_differ(egg_code: EggCode) -> bool:
    """The cases that docs/labels.md lists."""
    types = list(zip(egg_code.partials, egg_code.stages, egg_code.forms, strict=True))
    filled = [any(code != _ for code in ice_type) for ice_type in types]
    unfilled_partial = any(
        ice_type[0] == _ and is_filled for ice_type, is_filled in zip(types, filled, strict=True)
    )
    one_class = any(
        len({table.get(code, code) for code in codes}) == 1 and _ not in codes
        for codes, table in ((egg_code.stages, SOD_CLASSES), (egg_code.forms, FLOE_CLASSES))
    )
    return (
        one_class
        or (egg_code.ca == _ and (filled[1] or filled[2]))
        or (unfilled_partial and filled != [True, False, False])
        or 99 in egg_code.partials
        or (SIC_CLASSES.get(egg_code.ct) is None and filled.count(True) > 1)
    )


@given(eggs, thresholds)
def test_rules_differ_only_where_documented(egg_code: EggCode, threshold: int) -> None:
    released = derive_labels(egg_code, LabelRule("autoice-2022", threshold, threshold))
    summed = derive_labels(egg_code, LabelRule("dominant-sum", threshold, threshold))

    assert released == summed or _rules_may_differ(egg_code)


@given(st.permutations([(40, 87, 5), (40, 88, 5), (20, 89, 5)]))
def test_dominant_sum_adds_one_class_in_any_order(types: list[tuple[int, int, int]]) -> None:
    assert derive_labels(_egg(91, *types), DOMINANT_SUM) == (10, 3, 4)


@pytest.mark.parametrize("index", range(1, len(ICE_TYPES)))
def test_ice_type_of_a_sole_type(index: int) -> None:
    stage = ICE_TYPES[index].stage_code
    assert stage is not None
    assert derive_ice_type(_egg(90, (_, stage, 5))) == index


def test_ice_types_follow_the_issue() -> None:
    assert [kind.abbreviation for kind in ICE_TYPES] == (
        ["OW", "NI", "GI", "GWI", "ThinFYI", "MFYI", "ThickFYI", "OI", "SYI", "MYI"]
    )
    assert [kind.stage_code for kind in ICE_TYPES[1:]] == [81, 84, 85, 87, 91, 93, 95, 96, 97]


@pytest.mark.parametrize(
    ("egg_code", "rule", "expected"),
    [
        (_egg(2, (_, 97, 5)), AUTOICE_2022, 0),
        (_egg(90, (_, 86, 5)), AUTOICE_2022, 255),  # first-year ice, thickness not told
        (_egg(80, (50, 95, 5), (30, 81, 5)), AUTOICE_2022, 255),  # 62.5 %: no dominant type
        # Grey 2 + grey-white 5 of 7 tenths: the released rule credits A, the sum its largest part.
        (_egg(70, (20, 84, 5), (50, 85, 5)), AUTOICE_2022, 2),
        (_egg(70, (20, 84, 5), (50, 85, 5)), DOMINANT_SUM, 3),
    ],
)
def test_ice_type_of_mixtures(egg_code: EggCode, rule: LabelRule, expected: int) -> None:
    assert derive_ice_type(egg_code, rule) == expected
