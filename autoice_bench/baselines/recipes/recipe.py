"""``Recipe``: every setting of a training run, checked, and what identifies the science of it.

A recipe has four parts with fields of their own: ``[network]``, ``[task]``, ``[augmentation]`` and
``[optimiser]``; the rest stands at its top. Field names are unique, so a field may also be given
without its part: ``rates`` is ``network.rates``, and ``network = "unet"`` is ``network.name``. That
is how recipes were written before they had parts, and how they are typed after ``--set``.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final, Literal, Self, get_type_hints

from autoice_bench.baselines.inputs.augmentation_settings import AugmentationSettings
from autoice_bench.baselines.networks.aspp.settings import AsppSettings
from autoice_bench.baselines.networks.contract import NetworkSettings
from autoice_bench.baselines.networks.foreign import is_foreign
from autoice_bench.baselines.networks.registry import make_settings, setting_types
from autoice_bench.baselines.recipes.optimiser import OptimiserSettings
from autoice_bench.baselines.recipes.parts import NAME, NETWORK, PARTS, TASK, Nested, nest
from autoice_bench.baselines.settings.values import check_keys, convert_value, require, suggest
from autoice_bench.baselines.tasks.charts import TASKS, ChartTask
from autoice_bench.baselines.tasks.contract import channels_by_output
from autoice_bench.errors import BaselineError
from autoice_bench.formats.decoding import reason_of

if TYPE_CHECKING:
    from torch import nn

EXCLUSIVE: Final = (
    ("patches_per_scene", "patches_per_epoch"),
    ("max_masked", "min_valid", "min_valid_pixels"),
)
"""Of each group exactly one field is set."""

UNSET: Final[dict[str, int | None]] = {
    name: 0 if name.startswith("patches_") else None for group in EXCLUSIVE for name in group
}
"""What those that are not set hold."""

MACHINE_FIELDS: Final = frozenset(
    {"precision", "compile", "channels_last", "workers", "deterministic"}
)
"""Fields that say how a run is computed, not what: they may change when it is resumed."""

_LABELS: Final = frozenset({"name", "description"})
_RANDOM_VAL: Final = re.compile(r"random:([1-9][0-9]*)")

_LEAST_FEATURES: Final = 2
"""Per channel in a batch: one alone has no variance."""


@dataclass(frozen=True)
class Recipe:
    """The settings of one training run; recipes/published/*.toml hold the published ones.

    Attributes:
        name: the recipe's name.
        description: one line on what it is.
        network: which network, and its settings.
        task: what it predicts, and the loss.
        features: name of a feature group, or names of channels.
        upsampling: how 2 km variables come to the pixels: ``nearest`` or ``linear``.
        tie_interpolation: the same for latitude and longitude from the tie points.
        compat: ``starter-kit`` crops the 2 km variables as the challenge's starter kit does, up to
            2 km off; ``none`` aligns them exactly.
        downscale: factor by which scenes are made coarser; 1 keeps 80 m.
        downscale_method: every n-th pixel (``nearest``) or the mean of the block (``area``).
        patch_size: side of a training patch, in pixels of the downscaled scene.
        patches_per_scene: patches drawn from each scene per epoch; 0 if ``patches_per_epoch``.
        patches_per_epoch: patches drawn from all scenes per epoch; 0 if ``patches_per_scene``.
        max_masked: largest share of masked pixels (SIC 255) in a patch.
        min_valid: smallest share of valid pixels in a patch.
        min_valid_pixels: smallest number of valid pixels in a patch.
        batch_size: patches per step, over all devices.
        augmentation: how patches are changed at random.
        optimiser: how the weights are changed.
        epochs: most epochs.
        early_stopping: epochs without progress of the validation loss that end a run; 0 for never.
        test_checkpoint: which checkpoint predicts: ``best-combined`` validation score,
            ``best-loss`` or ``last``.
        val: validation on the split's own scenes (``split``) or on N training and validation
            scenes drawn by the seed (``random:N``).
        precision: ``auto`` (bf16 where the GPU has it), ``bf16`` or ``fp32``.
        compile: use ``torch.compile``.
        channels_last: memory format of the network and its input.
        workers: threads or processes that read batches.
        deterministic: same bits from the same seed on the same machine.

    Raises:
        BaselineError: a value is out of range or contradicts another.
    """

    name: str
    description: str = ""
    network: NetworkSettings = field(default_factory=AsppSettings)
    task: ChartTask = field(default_factory=ChartTask)
    features: str | tuple[str, ...] = "sar+amsr2"
    upsampling: Literal["nearest", "linear"] = "nearest"
    tie_interpolation: Literal["bilinear", "nearest"] = "bilinear"
    compat: Literal["none", "starter-kit"] = "none"
    downscale: int = 1
    downscale_method: Literal["nearest", "area"] = "nearest"
    patch_size: int = 768
    patches_per_scene: int = 20
    patches_per_epoch: int = 0
    max_masked: float | None = 0.3
    min_valid: float | None = None
    min_valid_pixels: int | None = None
    batch_size: int = 8
    augmentation: AugmentationSettings = field(default_factory=AugmentationSettings)
    optimiser: OptimiserSettings = field(default_factory=OptimiserSettings)
    epochs: int = 100
    early_stopping: int = 10
    test_checkpoint: Literal["best-combined", "best-loss", "last"] = "best-combined"
    val: str = "split"
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    compile: bool = False
    channels_last: bool = True
    workers: int = 2
    deterministic: bool = False

    def __post_init__(self) -> None:
        try:
            _check_ranges(self)
            _check_combinations(self)
        except BaselineError as error:
            raise BaselineError(f"recipe {self.name}: {error}") from None

    @property
    def n_random_val(self) -> int | None:
        """N of ``val = "random:N"``; None for the split's own validation scenes."""
        match = _RANDOM_VAL.fullmatch(self.val)
        return int(match[1]) if match else None

    def count_patches(self, n_scenes: int) -> int:
        """Training patches per epoch from ``n_scenes`` scenes that have an eligible window."""
        return self.patches_per_epoch or self.patches_per_scene * n_scenes

    def build_network(self, n_channels: int) -> nn.Module:
        """The network with a random start, drawn from torch's generator.

        Args:
            n_channels: input channels.

        Returns:
            (B, n_channels, lines, samples) float to one map per output of the task.

        Raises:
            BaselineError: a field is out of range, or memory is short.
        """
        try:
            return self.network.build(n_channels, channels_by_output(self.task))
        except (MemoryError, RuntimeError, TypeError) as error:
            # torch says all three of sizes that cannot be: of settings, not of our code.
            if is_foreign(self.network.name):
                raise
            raise BaselineError(
                f"recipe {self.name}: the network {self.network.name} cannot be built: "
                f"{reason_of(error)}"
            ) from error

    def to_dict(self) -> dict[str, Any]:
        """Every field, the parts as tables, as JSON and TOML know values (tuples as lists)."""
        return {
            each.name: _PART_VALUES[each.name](self)
            if each.name in PARTS
            else _plain(getattr(self, each.name))
            for each in fields(self)
        }

    def values(self) -> dict[str, Any]:
        """Every field by its own name, without parts: ``rates``, ``lr``; parts by their names.

        Options of a user's network keep their part's name: ``network.depth``.
        """
        flat: dict[str, Any] = {}
        for name, value in self.to_dict().items():
            if name not in PARTS:
                flat[name] = value
                continue
            part = dict(value)
            own = part.pop(NAME, None)
            # The charts were there before tasks had names: fingerprints of then say nothing.
            if own is not None and not (name == TASK and own == ChartTask.name):
                flat[name] = own
            prefix = "network." if name == NETWORK and is_foreign(self.network.name) else ""
            flat |= {prefix + key: item for key, item in part.items()}
        return flat

    def with_values(self, **values: Any) -> Self:
        """A recipe that differs in some fields, given without their part: ``lr=1e-4``.

        Raises:
            BaselineError: a field is unknown, malformed or contradicts another.
        """
        where = f"recipe {self.name}"
        changes = nest(values, self.network.name, where)
        return self.from_dict(merge(self.to_dict(), changes), where)

    @classmethod
    def from_dict(
        cls, values: Mapping[str, Any], where: str = "recipe", *, is_record: bool = False
    ) -> Self:
        """A recipe from plain values; absent fields have their defaults.

        Args:
            values: fields with or without their parts.
            where: for messages.
            is_record: the values were written by a program: fields of other networks, which
                records held before recipes had parts, are passed over.

        Raises:
            BaselineError: a field is unknown or malformed, or contradicts another.
        """
        nested = nest(values, AsppSettings.name, where, is_record=is_record)
        if "name" not in nested:
            raise BaselineError(f"{where}: has no name")
        top = {name: value for name, value in nested.items() if name not in PARTS}
        check_keys(top, TOP_TYPES, where)
        converted = {
            name: convert_value(name, value, TOP_TYPES[name], where) for name, value in top.items()
        }
        try:
            parts = {name: _make_part(name, nested.get(name, {}), where) for name in PARTS}
        except BaselineError as error:
            text = str(error)
            raise BaselineError(text if text.startswith(where) else f"{where}: {text}") from None
        return cls(**converted, **parts)

    def science(self) -> dict[str, Any]:
        """The fields that decide what is learnt: all but names and those of the machine."""
        left_out = _LABELS | MACHINE_FIELDS
        return {key: value for key, value in self.values().items() if key not in left_out}

    def fingerprint(self) -> str:
        """SHA-256 (hex) over ``science()``."""
        text = json.dumps(self.science(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


TOP_TYPES: Final[dict[str, Any]] = {
    name: hint for name, hint in get_type_hints(Recipe).items() if name not in PARTS
}
"""Type of every field that stands in no part."""

_PART_TYPES: Final[dict[str, dict[str, Any]]] = {
    "augmentation": get_type_hints(AugmentationSettings),
    "optimiser": get_type_hints(OptimiserSettings),
}

_TASK_TYPES: Final[dict[str, dict[str, Any]]] = {
    name: {each.name: get_type_hints(kind)[each.name] for each in fields(kind)}
    for name, kind in TASKS.items()
}

_PART_VALUES: Final[dict[str, Any]] = {
    "network": lambda recipe: {NAME: recipe.network.name, **recipe.network.values()},
    "task": lambda recipe: {NAME: recipe.task.name, **recipe.task.values()},
    "augmentation": lambda recipe: _plain(asdict(recipe.augmentation)),
    "optimiser": lambda recipe: asdict(recipe.optimiser),
}


def field_types(network: str) -> dict[str, Any]:
    """Type of every field of a recipe with a network, by its name without part.

    Raises:
        BaselineError: no such network.
    """
    types = dict(TOP_TYPES)
    for hints in _TASK_TYPES.values():
        types |= hints
    for part, hints in {**_PART_TYPES, NETWORK: setting_types(network)}.items():
        types |= {part if name == NAME else name: hint for name, hint in hints.items()}
    return {**types, NETWORK: str}


def merge(below: Nested, above: Nested) -> Nested:
    """The fields of one recipe over those of another, both with parts.

    A field that excludes others (``patches_per_scene`` and ``patches_per_epoch``, say) unsets
    those below; another network starts from its own defaults.
    """
    merged = {**below, **above}
    for part in PARTS:
        lower, upper = below.get(part, {}), above.get(part, {})
        if part == NETWORK and upper.get(NAME, lower.get(NAME)) != lower.get(NAME):
            lower = {}
        if lower or upper:
            merged[part] = {**lower, **upper}
    for group in EXCLUSIVE:
        if any(name in above and above[name] != UNSET[name] for name in group):
            merged |= {name: UNSET[name] for name in group if name not in above}
    return merged


def _make_part(part: str, values: Mapping[str, Any], where: str) -> Any:
    values = dict(values)
    if part == NETWORK:
        return make_settings(values.pop(NAME, AsppSettings.name), values, where)
    if part == TASK:
        name = values.pop(NAME, ChartTask.name)
        if name not in TASKS:
            raise BaselineError(f"{where}: no task {name!r}{suggest(name, TASKS)}")
        kind: Any = TASKS[name]
        types = _TASK_TYPES[name]
    else:
        kind = {"augmentation": AugmentationSettings, "optimiser": OptimiserSettings}[part]
        types = _PART_TYPES[part]
    check_keys(values, types, where)
    return kind(
        **{
            name: convert_value(part if name == NAME else name, value, types[name], where)
            for name, value in values.items()
        }
    )


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return list(value) if isinstance(value, tuple) else value


def _check_ranges(recipe: Recipe) -> None:
    for name in ("downscale", "patch_size", "batch_size", "epochs"):
        require(name, getattr(recipe, name), getattr(recipe, name) > 0, "more than 0")
    for name in ("patches_per_scene", "patches_per_epoch", "early_stopping", "workers"):
        require(name, getattr(recipe, name), getattr(recipe, name) >= 0, "0 or more")
    for name in ("max_masked", "min_valid"):
        value = getattr(recipe, name)
        require(name, value, value is None or 0 <= value <= 1, "a number from 0 to 1")
    pixels = recipe.min_valid_pixels
    require("min_valid_pixels", pixels, pixels is None or pixels > 0, "1 or more")
    is_val = recipe.val == "split" or _RANDOM_VAL.fullmatch(recipe.val) is not None
    require("val", recipe.val, is_val, "'split' or 'random:N'")
    has_features = bool(recipe.features)
    require("features", recipe.features, has_features, "a feature group or channel names")


def _check_combinations(recipe: Recipe) -> None:
    for group in EXCLUSIVE:
        chosen = [name for name in group if getattr(recipe, name) != UNSET[name]]
        if len(chosen) != 1:
            found = f"{' and '.join(chosen)} are set" if chosen else "none is set"
            raise BaselineError(f"{found}; expected exactly one of {', '.join(group)}")
    smallest = recipe.network.smallest_map(recipe.patch_size)
    if recipe.batch_size * smallest**2 < _LEAST_FEATURES:
        raise BaselineError(
            f"batch_size {recipe.batch_size} of patch_size {recipe.patch_size} is too little for "
            "batch normalisation; make either larger"
        )
