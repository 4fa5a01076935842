"""Egg codes for wanted labels, written the way analysts write them.

The simulator first decides what label a polygon shall have, then draws codes that give it by the
published rule: one or two ice types, thickest first, partial concentrations that add up to the
total, ambiguous mixtures where the label is to be 255. Whatever is drawn is checked with the rule
itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from autoice_bench.charts import FILL_VALUE
from autoice_bench.datasets.labels.egg_codes import NOT_FILLED, EggCode
from autoice_bench.datasets.labels.rules import PolygonLabels, derive_labels

STAGE_CODES: Final = {
    1: (81, 81, 82),
    2: (84, 85, 83),
    3: (87, 87, 88),
    4: (91, 93, 86),
    5: (95, 96, 97),
}
"""SIGRID-3 stages per SOD class, the common ones first."""
FORM_CODES: Final = {1: (2,), 2: (3,), 3: (4,), 4: (5,), 5: (6, 7), 6: (9, 10)}
"""SIGRID-3 forms per FLOE class."""
UNKNOWN: Final = 99
UNDETERMINED_STAGES: Final = (98, UNKNOWN)
FAST_ICE: Final = 8
MASKED_FORMS: Final = (FAST_ICE, 21, 22, 1)
"""Fast ice, level ice, pancakes, shuga: forms that the rule masks."""

_ATTEMPTS: Final = 40


@dataclass(frozen=True)
class Wanted:
    """What a polygon's label shall be.

    Attributes:
        sic: class 1-10.
        sod: class 1-5 or 255.
        floe: class 1-6 or 255.
        stages: SOD classes that occur in this region and season, for mixtures.
    """

    sic: int
    sod: int
    floe: int
    stages: tuple[int, ...]

    @property
    def labels(self) -> PolygonLabels:
        """The wanted labels as the rule returns them."""
        return PolygonLabels(self.sic, self.sod, self.floe)


def build_water_code(rng: np.random.Generator, poly_id: int) -> EggCode:
    """The egg code of an open-water polygon."""
    total = int(rng.choice((1, 2, 2, 0, 55)))
    return EggCode(poly_id, total, poly_type="W")


def build_ice_code(rng: np.random.Generator, poly_id: int, wanted: Wanted) -> EggCode:
    """Draw an egg code whose label by ``autoice-2022`` is ``wanted``."""
    for _ in range(_ATTEMPTS):
        code = _draw_code(rng, poly_id, wanted)
        if derive_labels(code) == wanted.labels:
            return code
    return _single_type(rng, poly_id, wanted)


def _total_code(rng: np.random.Generator, sic: int) -> int:
    return int(rng.choice((91, 92))) if sic == 10 else 10 * sic


def _stage(rng: np.random.Generator, sod: int) -> int:
    codes = UNDETERMINED_STAGES if sod == FILL_VALUE else STAGE_CODES[sod]
    return int(rng.choice(codes))


def _form(rng: np.random.Generator, floe: int, sic: int) -> int:
    if floe != FILL_VALUE:
        return int(rng.choice(FORM_CODES[floe]))
    return int(rng.choice((FAST_ICE, FAST_ICE, *MASKED_FORMS) if sic == 10 else (UNKNOWN, 22, 1)))


def _single_type(rng: np.random.Generator, poly_id: int, wanted: Wanted) -> EggCode:
    """One ice type with its concentration left to CT."""
    form = _form(rng, wanted.floe, wanted.sic)
    return EggCode(
        poly_id,
        _total_code(rng, wanted.sic),
        sa=_stage(rng, wanted.sod),
        fa=form,
        cf=f"{form:02d}-9",
    )


def _draw_code(rng: np.random.Generator, poly_id: int, wanted: Wanted) -> EggCode:
    if wanted.sic < 2 or rng.random() < 0.35:
        return _single_type(rng, poly_id, wanted)
    n_types = 3 if wanted.sic >= 6 and rng.random() < 0.3 else 2
    partials = _split_total(rng, wanted.sic, n_types)
    order = np.argsort(partials)[::-1]
    stages = _spread(rng, wanted.sod, wanted.stages, order)
    forms = _spread(rng, wanted.floe, (1, 2, 3, 4, 5), order)
    types = sorted(zip(stages, partials, forms, strict=True), reverse=True)
    (stage_a, part_a, form_a), (stage_b, part_b, form_b), *third = types
    code = EggCode(
        poly_id,
        _total_code(rng, wanted.sic),
        ca=10 * part_a,
        sa=_stage(rng, stage_a),
        fa=_form(rng, form_a, wanted.sic),
        cb=10 * part_b,
        sb=_stage(rng, stage_b),
        fb=_form(rng, form_b, wanted.sic),
    )
    for stage, part, form in third:
        code = replace(code, cc=10 * part, sc=_stage(rng, stage), fc=_form(rng, form, wanted.sic))
    return replace(code, cf=f"{code.fa:02d}{code.fb:02d}")


def _split_total(rng: np.random.Generator, total: int, n_types: int) -> list[int]:
    """``n_types`` positive tenths that add up to ``total``."""
    cuts = np.sort(rng.choice(np.arange(1, total), n_types - 1, replace=False))
    return [int(part) for part in np.diff([0, *cuts, total])]


def _spread(
    rng: np.random.Generator, wanted: int, available: tuple[int, ...], order: NDArray[np.intp]
) -> list[int]:
    """A class per type: the wanted class for the largest partial, others at random.

    For an ambiguous label every type draws at random; mixtures without a dominant class pass the
    check in ``build_ice_code``.
    """
    drawn = [int(rng.choice(available)) for _ in order]
    if wanted != FILL_VALUE:
        drawn[int(order[0])] = wanted
        if rng.random() < 0.5:
            drawn = [wanted] * len(drawn)
    return drawn


def type_fractions(code: EggCode) -> tuple[float, ...]:
    """Shares of the ice types A, B, C in the polygon's ice; they add up to 1.

    A sole type takes all. Types without stage count nothing.
    """
    if code.ca == NOT_FILLED:
        return (1.0, 0.0, 0.0)
    parts = [max(partial, 0) for partial in code.partials]
    return tuple(part / sum(parts) for part in parts)
