"""A network that lives outside this package, named by a recipe as ``package.module:factory``.

The factory is called as ``factory(n_channels=..., outputs={"SIC": 11, "SOD": 6, "FLOE": 7},
**options)``, where the options are the other entries of the recipe's ``[network]``. It returns a
``torch.nn.Module`` that takes (B, n_channels, lines, samples) and returns a map for each output, as
a mapping by name or a sequence in the same order: (B, channels, lines, samples), of the input's
size. docs/networks.md shows one.

Importing a module runs its code, and recipes travel: in run folders, in submissions. So nothing is
imported that the user has not named himself, with ``--import`` or ``AUTOICE_IMPORT``.
"""

from __future__ import annotations

import inspect
import json
import os
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from autoice_bench.baselines.networks.contract import NetworkSettings
from autoice_bench.errors import BaselineError

if TYPE_CHECKING:
    from torch import nn

IMPORT_VARIABLE: Final = "AUTOICE_IMPORT"
"""Environment variable with modules that may be imported, separated by commas."""

_PATH: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
_allowed: Final[set[str]] = set()


def is_foreign(name: str) -> bool:
    """Whether a network's name is the import path of a factory."""
    return ":" in name


def allow_imports(modules: Iterable[str]) -> None:
    """Let networks of these modules, and of modules inside them, be imported from now on."""
    _allowed.update(modules)


@dataclass(frozen=True)
class ForeignSettings(NetworkSettings):
    """Settings of a user's network.

    Attributes:
        name: import path of its factory, ``package.module:factory``.
        options: handed to the factory by name.

    Raises:
        BaselineError: the name is no import path.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not _PATH.fullmatch(self.name):
            raise BaselineError(
                f"network is {self.name!r}; expected the name of a network, or the import path of "
                "a factory, package.module:factory"
            )
        try:
            # What a run's record and fingerprint hold: found here, before a folder is made.
            json.dumps(dict(self.options), allow_nan=False)
        except (TypeError, ValueError) as error:
            raise BaselineError(
                f"network {self.name}: an option is no finite JSON value: {error}"
            ) from None

    def values(self) -> dict[str, Any]:
        return dict(self.options)

    def smallest_map(self, patch_size: int) -> int:
        """Not known; the patch itself, so that nothing is refused."""
        return patch_size

    def build(self, n_channels: int, outputs: Mapping[str, int]) -> nn.Module:
        from torch import nn

        from autoice_bench.baselines.networks.foreign_module import ForeignNetwork

        factory = _import_factory(self.name)
        arguments = {**self.options, "n_channels": n_channels, "outputs": dict(outputs)}
        try:
            # Only the call is judged: an error inside the factory keeps its traceback.
            inspect.signature(factory).bind(**arguments)
        except (TypeError, ValueError) as error:
            raise BaselineError(
                f"network {self.name}: the factory does not take n_channels, outputs and "
                f"{', '.join(self.options) or 'no options'}: {error}"
            ) from error
        module = factory(**arguments)
        if not isinstance(module, nn.Module):
            raise BaselineError(
                f"network {self.name}: the factory returned a {type(module).__name__}; expected a "
                "torch.nn.Module"
            )
        return ForeignNetwork(module, self.name, outputs)


def _import_factory(path: str) -> Any:
    """The factory at an import path, if its module may be imported.

    Raises:
        BaselineError: the user has not allowed it, or it is not there.
    """
    module_name, _, attribute = path.partition(":")
    _require_allowed(path, module_name)
    # Where the user stands, as `python -m` would: a network in the making is seldom installed.
    # It stays there: the network may import more when it computes.
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    try:
        return getattr(import_module(module_name), attribute)
    except (ImportError, AttributeError) as error:
        raise BaselineError(f"network {path}: cannot be imported: {error}") from error


def _require_allowed(path: str, module: str) -> None:
    named = {name.strip() for name in os.environ.get(IMPORT_VARIABLE, "").split(",")}
    for allowed in _allowed | named:
        if module == allowed or module.startswith(f"{allowed}."):
            return
    raise BaselineError(
        f"network {path}: the recipe would run code of module {module}, which you have not named; "
        f"if you trust it, repeat with --import {module}, set {IMPORT_VARIABLE}={module}, or call "
        f"autoice_bench.allow_imports([{module!r}])"
    )
