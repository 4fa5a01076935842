"""Networks by name: the folders beside this file, and those of users by their import path."""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, get_type_hints

from autoice_bench.baselines.networks.contract import NetworkSettings
from autoice_bench.baselines.networks.foreign import ForeignSettings, is_foreign
from autoice_bench.baselines.settings.values import check_keys, convert_value, suggest
from autoice_bench.errors import BaselineError


@cache
def network_names() -> tuple[str, ...]:
    """Names of the networks that come with the package, sorted."""
    folders = Path(__file__).parent.glob("*/settings.py")
    return tuple(sorted(path.parent.name.replace("_", "-") for path in folders))


def settings_of(name: str) -> type[NetworkSettings]:
    """The settings class of a network of this package.

    Raises:
        BaselineError: there is none of that name.
    """
    if name not in network_names():
        known = suggest(name, network_names())
        raise BaselineError(f"no network {name!r}{known}, or yours as 'package.module:factory'")
    module = import_module(f"{__package__}.{name.replace('-', '_')}.settings")
    found: type[NetworkSettings] = module.SETTINGS
    assert found.name == name, f"settings of {name} call themselves {found.name}"
    return found


def setting_types(name: str) -> dict[str, Any]:
    """Types of a network's settings by field; empty for a user's, which may have any.

    Raises:
        BaselineError: no such network.
    """
    if is_foreign(name):
        return {}
    settings: Any = settings_of(name)
    hints = get_type_hints(settings)
    return {field.name: hints[field.name] for field in fields(settings)}


def make_settings(name: str, values: dict[str, Any], where: str) -> NetworkSettings:
    """Settings of a network from plain values; absent fields have their defaults.

    Args:
        name: a name of ``network_names``, or ``package.module:factory``.
        values: settings by field.
        where: for messages.

    Raises:
        BaselineError: no such network, or a field is unknown, malformed or out of range.
    """
    if is_foreign(name):
        return ForeignSettings(name, values)
    types = setting_types(name)
    check_keys(values, types, where)
    converted = {
        field: convert_value(field, value, types[field], where) for field, value in values.items()
    }
    return settings_of(name)(**converted)


def networks_with_field(field: str) -> tuple[str, ...]:
    """Names of the networks that have a setting."""
    return tuple(name for name in network_names() if field in setting_types(name))
