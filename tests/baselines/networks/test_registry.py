from __future__ import annotations

import pytest
import torch
from torch import nn

from autoice_bench.baselines.inputs.features import parse_features
from autoice_bench.baselines.networks.registry import network_names, setting_types, settings_of
from autoice_bench.baselines.recipes.loading import load_recipe, recipe_names


def count_parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_every_network_has_fields_and_a_name() -> None:
    assert {"aspp", "unet"} <= set(network_names())
    for name in network_names():
        assert settings_of(name).name == name
        assert setting_types(name)


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_builds(name: str) -> None:
    recipe = load_recipe(name)
    with torch.device("meta"):
        network = recipe.build_network(parse_features(recipe.features).n_channels)
    assert count_parameters(network) > 0


@pytest.mark.parametrize(
    ("name", "features", "n_parameters"),
    [
        # The publications' counts less those of the mask classes: 99 (ASPP), 66 (U-Net).
        ("aspp", "sar+amsr2", 30_475_387 - 99),
        ("aspp", "sar", 30_431_483 - 99),
        ("unet", "mmseaice-14", 522_448 - 66),
        ("unet-16", "mmseaice-16", 523_024 - 66),
        ("unet-9", "mmseaice-14", 1_095_376 - 66),
        ("unet-8", "mmseaice-14", 522_811 - 99),
    ],
)
def test_published_parameter_counts(name: str, features: str, n_parameters: int) -> None:
    recipe = load_recipe(name, {"features": features})
    with torch.device("meta"):
        network = recipe.build_network(parse_features(recipe.features).n_channels)
    assert count_parameters(network) == n_parameters


def test_rates_of_single_charts_reach_the_network() -> None:
    recipe = load_recipe("demo", {"rates": "1,2", "rates_sod": "3"})
    network = recipe.build_network(3)
    assert network.rates == ((1, 2), (3,), (1, 2))


@pytest.mark.parametrize("name", ["demo", "unet-demo"])
def test_networks_without_weights_say_so(name: str) -> None:
    recipe = load_recipe(name)
    network = recipe.build_network(3)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    assert recipe.network.initialise(network) == "none"
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
