"""``Recipe``: every setting of a training run, checked, and what identifies the science of it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, Self, get_type_hints

from autoice_bench.baselines.recipes.values import check_keys, convert_value, format_value
from autoice_bench.errors import BaselineError

Encoder = Literal["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"]

EXCLUSIVE: Final = (
    ("patches_per_scene", "patches_per_epoch"),
    ("max_masked", "min_valid", "min_valid_pixels"),
)
"""Of each group exactly one field is set."""

UNSET: Final[dict[str, int | None]] = {
    name: 0 if name.startswith("patches_") else None for group in EXCLUSIVE for name in group
}
"""What those that are not set hold."""

NETWORK_FIELDS: Final[dict[str, frozenset[str]]] = {
    "aspp": frozenset(
        {"encoder", "weights", "rates", "rates_sic", "rates_sod", "rates_floe", "aspp_width"}
        | {"dropout"}
    ),
    "unet": frozenset({"widths", "separate_decoders"}),
}
"""Fields that mean something to one network only."""

MACHINE_FIELDS: Final = frozenset(
    {"precision", "compile", "channels_last", "workers", "deterministic"}
)
"""Fields that say how a run is computed, not what: they may change when it is resumed."""

_LABELS: Final = frozenset({"name", "description"})
_RANDOM_VAL: Final = re.compile(r"random:([1-9][0-9]*)")


@dataclass(frozen=True)
class Recipe:
    """The settings of one training run; recipes/*.toml hold the published ones.

    Attributes:
        name: the recipe's name.
        description: one line on what it is.
        network: ``aspp`` or ``unet``.
        encoder: torchvision ResNet under the ASPP decoders.
        weights: the encoder's start: ``imagenet``, ``none``, or the path of a file.
        rates: atrous rates of every decoder.
        rates_sic, rates_sod, rates_floe: rates of one decoder; empty for ``rates``.
        aspp_width: channels of each ASPP branch.
        dropout: dropout probability after the ASPP projection.
        widths: channels of the U-Net's encoder blocks.
        separate_decoders: one expanding path per chart instead of a shared one (U-Net).
        sic_output: SIC as 11 ``classes`` or by ``regression`` of the class index.
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
        flip_p: probability of a flip, for either axis.
        rotate90_p: probability of a turn by a multiple of 90 degrees.
        rotate_p, rotation_deg: probability of a rotation, drawn from -/+ ``rotation_deg``.
        scale_p, scale_range: probability of a zoom, drawn from the range.
        cutmix_p, cutmix_alpha: probability of cutmix per batch; its share is Beta(alpha, alpha).
        wind_aware: the wind vector turns with the image.
        loss_weights: weights of the SIC, SOD and FLOE losses in the sum.
        sic_loss: ``cross-entropy`` for classes, ``mse`` for regression.
        optimiser: ``adam`` or ``sgd``.
        lr: learning rate at the start.
        momentum: of SGD.
        weight_decay: L2 penalty.
        schedule: ``plateau`` (of the validation loss), ``cosine-restarts`` (per step) or
            ``constant``.
        plateau_factor, plateau_patience: lr is multiplied after that many epochs without progress.
        min_lr: lr never falls below it.
        restart_epochs: epochs between warm restarts.
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
    network: Literal["aspp", "unet"] = "aspp"
    encoder: Encoder = "resnet101"
    weights: str = "imagenet"
    rates: tuple[int, ...] = (6, 12, 18)
    rates_sic: tuple[int, ...] = ()
    rates_sod: tuple[int, ...] = ()
    rates_floe: tuple[int, ...] = ()
    aspp_width: int = 32
    dropout: float = 0.5
    widths: tuple[int, ...] = (32, 32, 64, 64)
    separate_decoders: bool = False
    sic_output: Literal["classes", "regression"] = "classes"
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
    flip_p: float = 0.0
    rotate90_p: float = 0.0
    rotate_p: float = 0.0
    rotation_deg: float = 90.0
    scale_p: float = 0.0
    scale_range: tuple[float, float] = (0.9, 1.1)
    cutmix_p: float = 0.0
    cutmix_alpha: float = 1.0
    wind_aware: bool = True
    loss_weights: tuple[float, float, float] = (1.0, 1.0, 1.0)
    sic_loss: Literal["cross-entropy", "mse"] = "cross-entropy"
    optimiser: Literal["adam", "sgd"] = "adam"
    lr: float = 1e-5
    momentum: float = 0.9
    weight_decay: float = 0.0
    schedule: Literal["plateau", "cosine-restarts", "constant"] = "plateau"
    plateau_factor: float = 0.5
    plateau_patience: int = 4
    min_lr: float = 1e-8
    restart_epochs: int = 20
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
        _check_ranges(self)
        _check_combinations(self)

    @property
    def chart_rates(self) -> tuple[tuple[int, ...], ...]:
        """Atrous rates of the SIC, SOD and FLOE decoders."""
        return tuple(own or self.rates for own in (self.rates_sic, self.rates_sod, self.rates_floe))

    @property
    def n_random_val(self) -> int | None:
        """N of ``val = "random:N"``; None for the split's own validation scenes."""
        match = _RANDOM_VAL.fullmatch(self.val)
        return int(match[1]) if match else None

    def count_patches(self, n_scenes: int) -> int:
        """Training patches per epoch from ``n_scenes`` scenes that have an eligible window."""
        return self.patches_per_epoch or self.patches_per_scene * n_scenes

    def to_dict(self) -> dict[str, Any]:
        """Every field, as JSON and TOML know values (tuples as lists)."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], where: str = "recipe") -> Self:
        """A recipe from plain values; absent fields have their defaults.

        Raises:
            BaselineError: a field is unknown or malformed, or contradicts another.
        """
        check_keys(values, RECIPE_TYPES, where)
        converted = {
            name: convert_value(name, value, RECIPE_TYPES[name], where)
            for name, value in values.items()
        }
        if "name" not in converted:
            raise BaselineError(f"{where}: has no name")
        return cls(**converted)

    def science(self) -> dict[str, Any]:
        """The fields that decide what is learnt: all but names and those of the machine.

        Fields of the other network are left out too.
        """
        others = frozenset().union(
            *(names for network, names in NETWORK_FIELDS.items() if network != self.network)
        )
        left_out = _LABELS | MACHINE_FIELDS | others
        return {key: value for key, value in self.to_dict().items() if key not in left_out}

    def fingerprint(self) -> str:
        """SHA-256 (hex) over ``science()``."""
        text = json.dumps(self.science(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


RECIPE_TYPES: Final[dict[str, Any]] = get_type_hints(Recipe)
"""Type of every field."""

_POSITIVE: Final = (
    *("aspp_width", "downscale", "patch_size", "batch_size", "lr", "cutmix_alpha"),
    *("restart_epochs", "epochs"),
)
_NOT_NEGATIVE: Final = (
    *("patches_per_scene", "patches_per_epoch", "rotation_deg", "momentum", "weight_decay"),
    *("plateau_patience", "min_lr", "early_stopping", "workers"),
)
_SHARES: Final = (
    *("flip_p", "rotate90_p", "rotate_p", "scale_p", "cutmix_p", "dropout", "plateau_factor"),
    *("max_masked", "min_valid"),
)

_LEAST_FEATURES: Final = 2
"""Per channel in a batch: one alone has no variance."""


def _check_ranges(recipe: Recipe) -> None:
    for name in _POSITIVE:
        _require(recipe, name, getattr(recipe, name) > 0, "more than 0")
    for name in _NOT_NEGATIVE:
        _require(recipe, name, getattr(recipe, name) >= 0, "0 or more")
    for name in _SHARES:
        value = getattr(recipe, name)
        _require(recipe, name, value is None or 0 <= value <= 1, "a number from 0 to 1")
    for name in ("rates", "rates_sic", "rates_sod", "rates_floe", "widths"):
        value = getattr(recipe, name)
        needed = name in ("rates", "widths")
        valid = all(number > 0 for number in value) and (bool(value) or not needed)
        _require(recipe, name, valid, "positive whole numbers such as 6,12,18")
    _require(recipe, "min_valid_pixels", recipe.min_valid_pixels != 0, "1 or more")
    weights = recipe.loss_weights
    _require(recipe, "loss_weights", min(weights) >= 0 < max(weights), "0 or more, not all 0")
    low, high = recipe.scale_range
    _require(recipe, "scale_range", 0 < low <= high, "two numbers, 0 < low <= high")
    random = _RANDOM_VAL.fullmatch(recipe.val)
    _require(recipe, "val", recipe.val == "split" or bool(random), "'split' or 'random:N'")
    _require(recipe, "weights", bool(recipe.weights), "'imagenet', 'none' or a file")
    _require(recipe, "features", bool(recipe.features), "a feature group or channel names")


def _check_combinations(recipe: Recipe) -> None:
    for group in EXCLUSIVE:
        chosen = [name for name in group if getattr(recipe, name) != UNSET[name]]
        if len(chosen) != 1:
            found = f"{' and '.join(chosen)} are set" if chosen else "none is set"
            raise BaselineError(
                f"recipe {recipe.name}: {found}; expected exactly one of {', '.join(group)}"
            )
    if recipe.batch_size * _smallest_map(recipe) ** 2 < _LEAST_FEATURES:
        raise BaselineError(
            f"recipe {recipe.name}: batch_size {recipe.batch_size} of patch_size "
            f"{recipe.patch_size} is too little for batch normalisation; make either larger"
        )
    expected = {"classes": "cross-entropy", "regression": "mse"}[recipe.sic_output]
    if recipe.sic_loss != expected:
        raise BaselineError(
            f"recipe {recipe.name}: sic_loss is {recipe.sic_loss!r} with sic_output "
            f"{recipe.sic_output!r}; expected {expected!r}: set both"
        )


def _smallest_map(recipe: Recipe) -> int:
    """Side of a patch's coarsest feature map: that of the pooling branch, or of the bridge."""
    if recipe.network == "aspp":
        return max(1, -(-recipe.patch_size // 16) // 2)
    return max(1, recipe.patch_size >> len(recipe.widths))


def _require(recipe: Recipe, name: str, valid: bool, expected: str) -> None:
    if not valid:
        value = format_value(getattr(recipe, name)) or "empty"
        raise BaselineError(f"recipe {recipe.name}: {name} is {value}; expected {expected}")
