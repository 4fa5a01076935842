"""A network in figures: parameters, cost, and how much of a scene it sees."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from torch import nn

from autoice_bench.baselines.networks.contract import AtrousNetwork
from autoice_bench.baselines.networks.cost import trace
from autoice_bench.charts import CHART_NAMES
from autoice_bench.formats.variables import PIXEL_SPACING_M

FULL_SCENE: Final = (5000, 5229)
"""Lines and samples of a typical scene at 80 m."""

TAPS: Final = 9
"""Of a 3x3 convolution."""

_TRACED_SIZE: Final = (1024, 1024)
"""Divisible by every network's strides, so that the receptive field is exact."""

Size = tuple[int, int]


@dataclass(frozen=True)
class TapUse:
    """How many taps of an atrous convolution meet data instead of padding.

    Attributes:
        rate: dilation, in pixels of the feature map.
        charts: charts whose decoders have this rate.
        training: mean number of in-bounds taps, of nine, over the feature map of a patch.
        scene: the same over the feature map of a full scene.
    """

    rate: int
    charts: tuple[str, ...]
    training: float
    scene: float

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; shares are of nine taps."""
        return {
            "rate": self.rate,
            "charts": list(self.charts),
            "training_taps": self.training,
            "training_share": self.training / TAPS,
            "scene_taps": self.scene,
            "scene_share": self.scene / TAPS,
        }


@dataclass(frozen=True)
class NetworkDescription:
    """A network in figures.

    Attributes:
        network: its name, with the encoder if it has one.
        n_channels: input channels.
        parameters: exact number of weights and biases.
        pixel_spacing_m: of the network's input.
        patch_size: lines and samples of a training patch, in its own pixels.
        patch_gmac: 1e9 multiply-adds of the convolutions in one forward pass over a patch.
        scene_size: lines and samples of a full scene, in the network's own pixels.
        scene_gmac: the same over a full scene.
        receptive_fields_px: per output, width of what one output pixel depends on.
        rates: atrous rates per output; empty without atrous convolutions.
        patch_features, scene_features: lines and samples of the map that those work on, of a patch
            and of a full scene; (0, 0) without.
        taps: one per rate, ascending.
        warnings: what a user should know before training.
    """

    network: str
    n_channels: int
    parameters: int
    pixel_spacing_m: int
    patch_size: Size
    patch_gmac: float
    scene_size: Size
    scene_gmac: float
    receptive_fields_px: dict[str, int]
    rates: dict[str, tuple[int, ...]]
    patch_features: Size
    scene_features: Size
    taps: tuple[TapUse, ...]
    warnings: tuple[str, ...]

    @property
    def receptive_field_px(self) -> int:
        """The widest of the charts' receptive fields."""
        return max(self.receptive_fields_px.values())

    @property
    def receptive_field_km(self) -> float:
        """The same on the ground."""
        return self.receptive_field_px * self.pixel_spacing_m / 1000

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "network": self.network,
            "n_channels": self.n_channels,
            "parameters": self.parameters,
            "pixel_spacing_m": self.pixel_spacing_m,
            "patch_size": list(self.patch_size),
            "gmac": self.patch_gmac,
            "scene_size": list(self.scene_size),
            "scene_gmac": self.scene_gmac,
            "receptive_field_px": self.receptive_field_px,
            "receptive_field_km": self.receptive_field_km,
            "receptive_fields_px": dict(self.receptive_fields_px),
            "rates": {chart: list(rates) for chart, rates in self.rates.items()},
            "taps": [use.to_dict() for use in self.taps],
            "warnings": list(self.warnings),
        }


def describe(
    network: nn.Module,
    n_channels: int,
    patch_size: int,
    scene_size: Size = FULL_SCENE,
    downscale: int = 1,
    outputs: Sequence[str] = CHART_NAMES,
) -> NetworkDescription:
    """Describe a network; costs neither memory nor arithmetic, and changes nothing in it.

    Args:
        network: on any device, also meta.
        n_channels: input channels it was built for.
        patch_size: side of a training patch, in the network's own pixels.
        scene_size: lines and samples of a full scene, in 80 m pixels.
        downscale: 80 m pixels per pixel of the network's input.
        outputs: names of what it predicts, in order.
    """
    patch = (patch_size, patch_size)
    scene = (-(-scene_size[0] // downscale), -(-scene_size[1] // downscale))
    reaches = trace(network, n_channels, _TRACED_SIZE).reaches
    rates: dict[str, tuple[int, ...]] = {}
    features: tuple[Size, Size] = ((0, 0), (0, 0))
    if isinstance(network, AtrousNetwork):
        rates = dict(zip(outputs, network.rates, strict=True))
        features = (_shrink(patch, network.stride), _shrink(scene, network.stride))
    taps = _list_tap_uses(rates, *features)
    return NetworkDescription(
        network=str(getattr(network, "label", type(network).__name__.lower())),
        n_channels=n_channels,
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        pixel_spacing_m=PIXEL_SPACING_M * downscale,
        patch_size=patch,
        patch_gmac=trace(network, n_channels, patch).multiply_adds / 1e9,
        scene_size=scene,
        scene_gmac=trace(network, n_channels, scene).multiply_adds / 1e9,
        receptive_fields_px={
            chart: round(reach.field) for chart, reach in zip(outputs, reaches, strict=True)
        },
        rates=rates,
        patch_features=features[0],
        scene_features=features[1],
        taps=taps,
        warnings=tuple(_find_unused_taps(taps, patch, features[0])),
    )


def compute_mean_taps(rate: int, size: Size) -> float:
    """Mean number of a dilated 3x3 convolution's taps that lie inside a map.

    Along an axis of n pixels, either outer tap is inside for n - rate of them, if any; the axes
    multiply.

    Args:
        rate: dilation, equal to the padding.
        size: lines and samples of the map.
    """
    lines, samples = (1 + 2 * max(0, n - rate) / n for n in size)
    return lines * samples


def format_shape(size: Size) -> str:
    """Lines and samples as ``768x768``."""
    return f"{size[0]}x{size[1]}"


def _shrink(size: Size, stride: int) -> Size:
    """Lines and samples of the feature map of an input."""
    return -(-size[0] // stride), -(-size[1] // stride)


def _list_tap_uses(
    rates: Mapping[str, tuple[int, ...]], patch_features: Size, scene_features: Size
) -> tuple[TapUse, ...]:
    return tuple(
        TapUse(
            rate=rate,
            charts=tuple(chart for chart, of_chart in rates.items() if rate in of_chart),
            training=compute_mean_taps(rate, patch_features),
            scene=compute_mean_taps(rate, scene_features),
        )
        for rate in sorted({rate for of_chart in rates.values() for rate in of_chart})
    )


def _find_unused_taps(taps: tuple[TapUse, ...], patch: Size, features: Size) -> Iterator[str]:
    for use in taps:
        if use.training > 1:
            continue
        then = (
            "yet act on a full scene: compare predictions of tiles of that size and of full scenes"
            if use.scene > 1
            else "and never act on a scene of that size either"
        )
        yield (
            f"rate {use.rate} ({', '.join(use.charts)}): on the {format_shape(features)} feature "
            f"map of a {format_shape(patch)} patch, eight of nine taps meet only padding; they "
            f"keep their random start in training, {then}"
        )
