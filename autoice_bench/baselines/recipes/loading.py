"""Recipes by name or file: TOML that lists only what differs from the recipe it extends.

A recipe file holds the fields of ``Recipe`` and, if it builds on another, ``extends``: the name of
a published recipe, or the path of a file relative to its own. Settings of the command line come
last.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Final

from autoice_bench.baselines.networks.aspp.settings import AsppSettings
from autoice_bench.baselines.recipes.parts import NAME, NETWORK, PARTS, Nested, nest
from autoice_bench.baselines.recipes.recipe import Recipe, field_types, merge
from autoice_bench.baselines.settings.values import check_keys, parse_text, suggest
from autoice_bench.errors import AutoIceError, BaselineError
from autoice_bench.formats.document_schema import CHECKSUM
from autoice_bench.formats.names import require_safe_name
from autoice_bench.formats.plain_files import parse_json, parse_toml, read_text

_EXTENDS: Final = "extends"
_JSON: Final = ".json"
_SUFFIXES: Final = (".toml", _JSON)
_MOST_LAYERS: Final = 20


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
        overrides: settings as typed after ``--set``: field to text. A field may be given with its
            part (``network.rates``) or without (``rates``).

    Returns:
        The resolved recipe; its name is that of the file, or that recorded in a run.

    Raises:
        BaselineError: no such recipe; its name cannot be that of a folder; a field is unknown, of
            the wrong type, out of range, of another network, or contradicts another; or a feature
            is unknown.
    """
    values = _read_layers(str(name_or_path), seen=())
    # Folders of runs and predictions are called after it.
    advice = "rename the file, or give it a name = ..."
    name = require_safe_name(str(values[NAME]), BaselineError, what="recipe name", advice=advice)
    settings = _parse_overrides(overrides or {}, values, f"recipe {name}")
    recipe = Recipe.from_dict(merge(values, settings), f"recipe {name}")
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


def _parse_overrides(overrides: Mapping[str, str], values: Nested, where: str) -> Nested:
    """Settings in their parts, each read as its field's type says."""
    network = overrides.get(NETWORK) or overrides.get("network.name") or _network_of(values)
    types = field_types(network)
    nested = nest(overrides, network, where)
    known = {name for name in types if name not in PARTS} - {NAME}
    parsed: Nested = {}
    for part, found in nested.items():
        if part not in PARTS:
            check_keys([part], known | set(PARTS), where)
            parsed[part] = parse_text(found, types[part])
            continue
        for field, text in found.items():
            hint = types.get(part if field == NAME else field)
            value = text if field == NAME else parse_text(text, hint or Any)
            parsed.setdefault(part, {})[field] = value
    return parsed


def _network_of(values: Nested) -> str:
    return str(values.get(NETWORK, {}).get(NAME, AsppSettings.name))


def _read_layers(name_or_path: str, seen: tuple[str, ...]) -> Nested:
    """Fields of a file over those of the files it extends, its defaults at the bottom."""
    is_file = name_or_path.endswith(_SUFFIXES)
    # One file has many paths; a chain of recipes that goes on and on is no recipe.
    identity = os.path.realpath(name_or_path) if is_file else name_or_path
    if identity in seen or len(seen) > _MOST_LAYERS:
        raise BaselineError(f"recipe {name_or_path}: extends itself, or more than {_MOST_LAYERS}")
    values = _read(name_or_path)
    where = name_or_path if is_file else f"recipe {name_or_path}"
    if name_or_path.endswith(_JSON):
        values.pop(CHECKSUM, None)  # of a run's folder; a copy may be edited
    base = values.pop(_EXTENDS, None)
    values.setdefault(NAME, Path(name_or_path).stem if is_file else name_or_path)
    if base is None:
        below = Recipe("defaults").to_dict()
    elif not isinstance(base, str):
        raise BaselineError(f"{where}: extends is {base!r}; expected the name of a recipe")
    else:
        if base.endswith(_SUFFIXES) and is_file:
            base = str(Path(name_or_path).parent / base)
        below = _read_layers(base, (*seen, identity))
    # A run's record may hold the fields of every network there was when it was written.
    is_record = name_or_path.endswith(_JSON)
    nested = nest(values, _network_of(below), where, is_record=is_record)
    network = nested.get(NETWORK, {}).get(NAME, _network_of(below))
    check_keys(nested.keys() - set(PARTS), field_types(network), where)
    return merge(below, nested)


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
        # Of the package's own recipes, some may lie in an archive.
        text = read_text(path) if isinstance(path, Path) else path.read_text(encoding="utf-8")
        document = parse_json(text) if path.name.endswith(".json") else parse_toml(text)
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
