"""From fields as people and old records write them to fields in their parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final

from autoice_bench.baselines.inputs.augmentation_settings import AugmentationSettings
from autoice_bench.baselines.networks.foreign import is_foreign
from autoice_bench.baselines.networks.registry import networks_with_field, setting_types
from autoice_bench.baselines.recipes.optimiser import OptimiserSettings
from autoice_bench.baselines.tasks.charts import TASKS
from autoice_bench.errors import BaselineError

NAME: Final = "name"
NETWORK: Final = "network"
TASK: Final = "task"
PARTS: Final = (NETWORK, TASK, "augmentation", "optimiser")
"""The tables of a recipe."""

Nested = dict[str, Any]
"""Fields of a recipe, those of each part in a mapping of its own."""

_PART_OF: Final[dict[str, str]] = {
    **{field.name: TASK for kind in TASKS.values() for field in fields(kind)},
    **{field.name: "augmentation" for field in fields(AugmentationSettings)},
    **{field.name: "optimiser" for field in fields(OptimiserSettings) if field.name != NAME},
}
"""The part of every field but the network's own, which depend on the network."""


def nest(values: Mapping[str, Any], network: str, where: str, *, is_record: bool = False) -> Nested:
    """Put every field into its part; unknown ones stay at the top, to be refused there.

    Args:
        values: fields as ``rates``, as ``network.rates``, or in tables by part; ``network`` and
            ``optimiser`` may be plain names.
        network: the network's name where the values do not give it.
        where: for messages.
        is_record: pass over fields of other networks instead of refusing them.

    Raises:
        BaselineError: a part is neither a name nor a table, a field is of another network, or is
            given twice.
    """
    nested: Nested = {}
    for part in PARTS:
        if part in values:
            nested[part] = _read_part(part, values[part], where)
    name = nested.get(NETWORK, {}).get(NAME, network)
    types = setting_types(name)
    for key, value in values.items():
        if key in PARTS:
            continue
        part, dot, field = key.partition(".")
        if not dot:
            part, field = _find_part(key, types), key
        if part == "other" and not is_record:
            owners = " or ".join(networks_with_field(field))
            raise BaselineError(f"{where}: {field} is of {owners} networks; this is {name}")
        if part in PARTS:
            if field in nested.get(part, {}):
                raise BaselineError(f"{where}: {field} is given at the top and as {part}.{field}")
            nested.setdefault(part, {})[field] = value
        elif part != "other":
            nested[key] = value
    for field in nested.get(NETWORK, {}):
        is_known = field == NAME or field in types or is_foreign(name)
        if not is_known and networks_with_field(field):
            owners = " or ".join(networks_with_field(field))
            raise BaselineError(f"{where}: {field} is of {owners} networks; this is {name}")
    return nested


def _read_part(part: str, value: Any, where: str) -> dict[str, Any]:
    if isinstance(value, Mapping):
        if not isinstance(value.get(NAME, ""), str):
            raise BaselineError(f"{where}: {part}.name is {value[NAME]!r}; expected a name")
        return dict(value)
    if isinstance(value, str):
        return {NAME: value}
    raise BaselineError(f"{where}: {part} is {value!r}; expected a name or a table [{part}]")


def _find_part(field: str, network_types: Mapping[str, Any]) -> str:
    """The part that a field belongs to: empty at the top, ``other`` for another network's."""
    if field in network_types:
        return NETWORK
    if field in _PART_OF:
        return _PART_OF[field]
    return "other" if networks_with_field(field) else ""
