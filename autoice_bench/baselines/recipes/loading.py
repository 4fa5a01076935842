"""Recipes by name or file: TOML that lists only what differs from the recipe it extends.

A recipe file holds the fields of ``Recipe`` and, if it builds on another, ``extends``: the name of
a published recipe, or the path of a file relative to its own. Settings of the command line come
last.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Final

from autoice_bench.baselines.recipes.recipe import (
    EXCLUSIVE,
    NETWORK_FIELDS,
    RECIPE_TYPES,
    UNSET,
    Recipe,
)
from autoice_bench.baselines.recipes.values import check_keys, parse_text, suggest
from autoice_bench.errors import AutoIceError, BaselineError

__all__ = ["Recipe", "load_recipe", "parse_settings", "recipe_names"]

_EXTENDS: Final = "extends"
_SUFFIXES: Final = (".toml", ".json")


def recipe_names() -> tuple[str, ...]:
    """Names of the published recipes, sorted."""
    return tuple(
        sorted(
            entry.name.removesuffix(".toml")
            for entry in _published().iterdir()
            if entry.name.endswith(".toml")
        )
    )


def load_recipe(name_or_path: str | Path, overrides: Mapping[str, str] | None = None) -> Recipe:
    """Read a recipe, with what it extends, and apply settings.

    A field that excludes others (``patches_per_scene`` and ``patches_per_epoch``, say) unsets
    those of the recipe below it.

    Args:
        name_or_path: a published recipe, a TOML file, or the ``config.json`` of a run.
        overrides: settings as typed after ``--set``: field to text.

    Returns:
        The resolved recipe; its name is that of the file, or that recorded in a run.

    Raises:
        BaselineError: no such recipe; a field is unknown, of the wrong type, out of range, of
            another network, or contradicts another; or a feature is unknown.
    """
    values = _read_layers(str(name_or_path), seen=())
    name = str(values["name"])
    settings = _parse_overrides(overrides or {}, str(values.get("network", "aspp")), name)
    recipe = Recipe.from_dict(_merge(values, settings), f"recipe {name}")
    _check_features(recipe)
    return recipe


def parse_settings(settings: tuple[str, ...]) -> dict[str, str]:
    """Split settings ``KEY=VALUE``; the last of a key counts.

    Raises:
        BaselineError: one has no ``=``.
    """
    pairs = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or not key.strip():
            raise BaselineError(f"setting {setting!r}; expected FIELD=VALUE, such as lr=1e-4")
        pairs[key.strip()] = value.strip()
    return pairs


def _parse_overrides(overrides: Mapping[str, str], network: str, name: str) -> dict[str, object]:
    where = f"recipe {name}"
    settable = RECIPE_TYPES.keys() - {"name", "network"}
    check_keys(overrides, settable, where)
    for other, own in NETWORK_FIELDS.items():
        for key in overrides:
            if other != network and key in own:
                raise BaselineError(f"{where}: {key} is of {other} networks; this is {network}")
    return {key: parse_text(text, RECIPE_TYPES[key]) for key, text in overrides.items()}


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**below, **above}
    for group in EXCLUSIVE:
        if any(name in above and above[name] != UNSET[name] for name in group):
            merged |= {name: UNSET[name] for name in group if name not in above}
    return merged


def _read_layers(name_or_path: str, seen: tuple[str, ...]) -> dict[str, Any]:
    """Fields of a file over those of the files it extends, its defaults at the bottom."""
    if name_or_path in seen:
        raise BaselineError(f"recipe {name_or_path}: extends itself ({' -> '.join(seen)})")
    values = _read(name_or_path)
    is_file = name_or_path.endswith(_SUFFIXES)
    where = name_or_path if is_file else f"recipe {name_or_path}"
    base = values.pop(_EXTENDS, None)
    values.setdefault("name", Path(name_or_path).stem if is_file else name_or_path)
    check_keys(values, RECIPE_TYPES, where)
    if base is None:
        return _merge(_defaults(), values)
    if not isinstance(base, str):
        raise BaselineError(f"{where}: extends is {base!r}; expected the name of a recipe")
    if base.endswith(_SUFFIXES) and is_file:
        base = str(Path(name_or_path).parent / base)
    return _merge(_read_layers(base, (*seen, name_or_path)), values)


def _defaults() -> dict[str, Any]:
    return Recipe("defaults").to_dict()


def _read(name_or_path: str) -> dict[str, Any]:
    if name_or_path.endswith(_SUFFIXES):
        return _parse(Path(name_or_path), name_or_path)
    names = recipe_names()
    if name_or_path not in names:
        raise BaselineError(
            f"no recipe {name_or_path!r}{suggest(name_or_path, names)} "
            "(a recipe of your own is a file that ends in .toml)"
        )
    return _parse(_published() / f"{name_or_path}.toml", f"recipe {name_or_path}")


def _parse(path: Traversable, where: str) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        document = json.loads(text) if path.name.endswith(".json") else tomllib.loads(text)
    except OSError as error:
        raise BaselineError(f"recipe {where}: cannot be read ({error.strerror})") from None
    except ValueError as error:  # of TOML, JSON and of bytes that are no text
        raise BaselineError(f"recipe {where}: cannot be parsed ({error})") from None
    if not isinstance(document, dict):
        raise BaselineError(f"recipe {where}: holds no fields")
    return document


def _published() -> Traversable:
    return files(__package__) / "published"


def _check_features(recipe: Recipe) -> None:
    from autoice_bench.baselines.inputs.features import parse_features

    try:
        parse_features(recipe.features)
    except AutoIceError as error:
        raise BaselineError(f"recipe {recipe.name}: {error}") from None
