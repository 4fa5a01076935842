"""Ten ice types instead of six stages: ``ice-types-10``, by the dominant type's exact stage code.

The official SOD chart merges stages (grey and grey-white ice are both young ice). This finer list
keeps the ten that charts name most, for baselines that learn the original types.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from autoice_bench.charts import FILL_VALUE, ICE_TYPES
from autoice_bench.datasets.labels.egg_codes import EggCode
from autoice_bench.datasets.labels.rules import find_dominant_stage, is_ice_free
from autoice_bench.formats.label_rule import AUTOICE_2022, LabelRule

_INDEX_BY_CODE: Final[Mapping[int, int]] = MappingProxyType(
    {kind.stage_code: at for at, kind in enumerate(ICE_TYPES) if kind.stage_code is not None}
)


def derive_ice_type(egg_code: EggCode, rule: LabelRule = AUTOICE_2022) -> int:
    """Return the index into ``ICE_TYPES`` of a polygon's dominant ice; 255 without.

    Open water is SIC class 0. Elsewhere the dominant type is the one that decides SOD under
    ``rule``, and its own stage code picks the ice type; other codes give 255.
    """
    if is_ice_free(egg_code):
        return 0
    at = find_dominant_stage(egg_code, rule)
    return FILL_VALUE if at is None else _INDEX_BY_CODE.get(egg_code.stages[at], FILL_VALUE)
