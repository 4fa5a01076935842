"""Names of runs: the recipe, and what differs from it."""

from __future__ import annotations

import hashlib
import re

from autoice_bench.baselines.recipes.recipe import MACHINE_FIELDS, UNSET, Recipe
from autoice_bench.baselines.settings.values import format_value
from autoice_bench.formats.names import LONGEST_NAME


def name_experiment(recipe: Recipe, published: Recipe, split: str) -> str:
    """The default name of a run without its seed: the recipe's, with what differs from it.

    Such as ``aspp-rates-12-24-36``. Fields of the machine are not in it.

    Args:
        recipe: the resolved recipe.
        published: the recipe without settings.
        split: name of the split; ``official`` is not said.
    """
    before = published.values()
    changed = {
        key: value
        for key, value in recipe.values().items()
        if key not in MACHINE_FIELDS | {"name", "description"} and value != before.get(key)
    }
    parts = [
        _safe(value) if key == "features" else f"{_safe(key)}-{_safe(value)}"
        for key, value in changed.items()
        if key not in UNSET or value != UNSET[key]
    ]
    if split != "official":
        parts.append(_safe(split))
    name = "-".join([_safe(recipe.name), *parts])
    if len(name) <= LONGEST_NAME - len("-seed") - 10:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{_safe(recipe.name)[:60]}-{digest}"


def _safe(value: object) -> str:
    text = re.sub(r"[^A-Za-z0-9.+]+", "-", format_value(value)).strip("-.+")
    return text or "none"
