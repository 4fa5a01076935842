"""Networks by name: from a recipe to the module that it describes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from torch import nn

from autoice_bench.baselines.networks.aspp import Aspp
from autoice_bench.baselines.networks.encoder_weights import NONE, find_weights, initialise_encoder
from autoice_bench.baselines.networks.unet import UNet
from autoice_bench.baselines.recipes.recipe import Recipe


def _build_aspp(recipe: Recipe, n_channels: int) -> nn.Module:
    return Aspp(
        n_channels,
        encoder=recipe.encoder,
        rates=recipe.chart_rates,
        width=recipe.aspp_width,
        dropout=recipe.dropout,
        sic_regression=recipe.sic_output == "regression",
    )


def _build_unet(recipe: Recipe, n_channels: int) -> nn.Module:
    return UNet(
        n_channels,
        separate_decoders=recipe.separate_decoders,
        sic_regression=recipe.sic_output == "regression",
        widths=recipe.widths,
    )


NETWORKS: Final[dict[str, Callable[[Recipe, int], nn.Module]]] = {
    "aspp": _build_aspp,
    "unet": _build_unet,
}
"""Constructors by the recipe's ``network``."""


def build_network(recipe: Recipe, n_channels: int) -> nn.Module:
    """A recipe's network with a random start, drawn from torch's generator.

    Args:
        recipe: what to build.
        n_channels: input channels.

    Returns:
        (B, n_channels, H, W) float to ``Outputs``.

    Raises:
        BaselineError: a field is out of range.
    """
    return NETWORKS[recipe.network](recipe, n_channels)


def find_start_weights(recipe: Recipe) -> None:
    """Have the file at hand that a recipe's network starts from; it is downloaded if need be.

    Raises:
        BaselineError: there is none.
    """
    if recipe.network == "aspp":
        find_weights(recipe.encoder, recipe.weights)


def initialise_network(network: nn.Module, recipe: Recipe) -> str:
    """Give a new network the weights that its recipe starts from, in place.

    Returns:
        What they are, for the run's record: ``none``, or file name and SHA-256.

    Raises:
        BaselineError: the weights cannot be had, read, or do not fit.
    """
    if isinstance(network, Aspp):
        return initialise_encoder(network.encoder, recipe.weights)
    return NONE
