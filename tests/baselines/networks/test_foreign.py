"""A network defined outside the package trains, predicts and is scored; nothing runs unasked."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result

import autoice_bench as ab
from autoice_bench.baselines.networks import foreign
from autoice_bench.baselines.networks.foreign import ForeignSettings, allow_imports
from autoice_bench.baselines.recipes.loading import load_recipe
from autoice_bench.baselines.recipes.recipe import Recipe
from autoice_bench.cli import main
from autoice_bench.errors import BaselineError

MODULE = """
import torch
from torch import nn


class Tiny(nn.Module):
    def __init__(self, n_channels, outputs, width):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(n_channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()
        )
        self.heads = nn.ModuleDict({name: nn.Conv2d(width, n, 1) for name, n in outputs.items()})

    def forward(self, x):
        features = self.body(x)
        return {name: head(features) for name, head in self.heads.items()}


def make(n_channels, outputs, width=4):
    return Tiny(n_channels, outputs, width)


class Odd(Tiny):
    # Upsamples by a transposed convolution, and looks at values.
    def __init__(self, n_channels, outputs, width):
        super().__init__(n_channels, outputs, width)
        self.down = nn.Conv2d(width, width, 2, stride=2)
        self.up = nn.ConvTranspose2d(width, width, 2, stride=2)

    def forward(self, x):
        features = self.up(self.down(self.body(x)))
        if features.abs().max().item() > 1e6:
            features = features / 1e6
        return [head(features) for head in self.heads.values()]


def make_odd(n_channels, outputs, width=4):
    return Odd(n_channels, outputs, width)


def nothing(n_channels, outputs):
    return None

"""

RECIPE = """
extends = "unet-demo"
description = "A network of my own"
patch_size = 16
patches_per_epoch = 16
batch_size = 4
epochs = 1
downscale = 1
workers = 0

[network]
name = "my_networks:make"
width = 6
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, with a module in it that nobody has allowed yet."""
    (tmp_path / "my_networks.py").write_text(MODULE)
    (tmp_path / "mine.toml").write_text(RECIPE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(foreign, "_allowed", set())
    yield tmp_path
    sys.modules.pop("my_networks", None)


@pytest.fixture
def invoke(folder: Path, prepared_store: Path) -> Callable[..., Result]:
    def run(*arguments: str) -> Result:
        return CliRunner().invoke(main, [*arguments, "--store", str(prepared_store)])

    return run


def test_it_trains_predicts_is_scored_and_predicts_again(
    invoke: Callable[..., Result], folder: Path
) -> None:
    trained = invoke("baseline", "mine.toml", "--import", "my_networks", "--json")
    assert trained.exit_code == 0, trained.output
    (run,) = json.loads(trained.stdout)["runs"]
    assert {row["chart"] for row in run["score"]["scores"]} == {"combined", "SIC", "SOD", "FLOE"}
    config = json.loads((folder / run["run"] / "config.json").read_text())
    assert config["network"] == {"name": "my_networks:make", "width": 6}

    again = ["predict", run["run"], "--out", "again", "--tile", "64"]
    predicted = invoke(*again, "--import", "my_networks")
    assert predicted.exit_code == 0, predicted.output
    scored = invoke("score", "again", "--no-write", "--json")
    assert scored.exit_code == 0, scored.output


def test_a_network_that_cannot_be_followed_without_data_is_trained_all_the_same(
    invoke: Callable[..., Result], folder: Path
) -> None:
    options = ("--import", "my_networks", "--set", "network=my_networks:make_odd")
    trained = invoke("baseline", "mine.toml", *options, "--name", "odd", "--json")
    assert trained.exit_code == 0, trained.output
    record = json.loads((folder / "runs" / "odd-seed0" / "run.json").read_text())
    assert record["tflop_per_second"] is None
    described = invoke("baseline", "mine.toml", *options, "--describe")
    assert described.exit_code == 1
    assert "cannot be followed without data" in described.stderr


def test_a_recipe_runs_no_code_that_the_user_has_not_named(
    invoke: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = invoke("baseline", "mine.toml")
    assert refused.exit_code == 1
    assert "would run code of module my_networks" in refused.stderr
    assert "--import my_networks" in refused.stderr
    assert "my_networks" not in sys.modules

    allowing_others = invoke("baseline", "mine.toml", "--import", "my_networks_too")
    assert allowing_others.exit_code == 1
    assert "my_networks" not in sys.modules

    monkeypatch.setenv("AUTOICE_IMPORT", "others, my_networks")
    described = invoke("baseline", "mine.toml", "--describe", "--json")
    assert described.exit_code == 0, described.output
    # 7 channels to 6: 7 * 6 * 9 + 6; batch norm 12; heads 6 to 1, 6 and 7, with biases: 98.
    assert json.loads(described.stdout)["parameters"] == 384 + 12 + 98


def test_a_setting_names_it_too(folder: Path) -> None:
    recipe = load_recipe("unet-demo", {"network": "my_networks:make", "network.width": "8"})
    assert recipe.network == ForeignSettings("my_networks:make", {"width": 8})
    assert recipe.values()["network.width"] == 8
    assert "widths" not in recipe.values()
    assert recipe.fingerprint() != load_recipe("unet-demo").fingerprint()
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe
    allow_imports(["my_networks"])
    network = recipe.build_network(3)
    assert [maps.shape[1] for maps in network(torch.zeros(2, 3, 8, 8))] == [1, 6, 7]


@pytest.mark.parametrize(
    ("factory", "options", "message"),
    [
        ("my_networks:nosuch", {}, r"cannot be imported: .*nosuch"),
        ("my_networks:make", {"depth": 3}, r"does not take n_channels, outputs and depth: .*depth"),
        ("my_networks:nothing", {}, "returned a NoneType; expected a torch.nn.Module"),
    ],
)
def test_factories_that_do_not_serve(
    folder: Path, factory: str, options: dict[str, Any], message: str
) -> None:
    allow_imports(["my_networks"])
    with pytest.raises(BaselineError, match=message):
        ForeignSettings(factory, options).build(3, {"SIC": 11})


@pytest.mark.parametrize("value", [float("nan"), {1, 2}, object()])
def test_options_that_no_record_could_hold(value: object) -> None:
    with pytest.raises(BaselineError, match="an option is no finite JSON value"):
        ForeignSettings("my_networks:make", {"when": value})


def test_an_error_inside_a_factory_keeps_its_place(folder: Path) -> None:
    (folder / "broken_networks.py").write_text(
        "def make(n_channels, outputs):\n    return len(3)\n"
    )
    allow_imports(["broken_networks"])
    with pytest.raises(TypeError, match="no len"):
        ForeignSettings("broken_networks:make").build(3, {"SIC": 11})


def test_the_public_interface_allows_imports(folder: Path) -> None:
    settings = ForeignSettings("my_networks:make")
    with pytest.raises(BaselineError, match=r"autoice_bench.allow_imports\(\['my_networks'\]\)"):
        settings.build(3, {"SIC": 11})
    ab.allow_imports(["my_networks"])
    assert settings.build(3, {"SIC": 11}) is not None


def test_a_module_that_is_missing(folder: Path) -> None:
    allow_imports(["no_such_module"])
    with pytest.raises(BaselineError, match="cannot be imported: No module named"):
        ForeignSettings("no_such_module:make").build(3, {"SIC": 11})


@pytest.mark.parametrize("name", ["a b:c", "os.system", ":make", "my_networks:", "../x:y", "x:y:z"])
def test_names_that_are_no_import_paths(name: str) -> None:
    with pytest.raises(BaselineError, match=r"expected the name of a network|no network"):
        load_recipe("unet-demo", {"network": name})


MAPS = [torch.zeros(2, n, 8, 8) for n in (11, 6, 7)]


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ({"SIC": MAPS[0], "SOD": MAPS[1]}, "returned no map FLOE"),
        (MAPS[:2], "returned a list of 2; expected a mapping with SIC, SOD, FLOE"),
        (MAPS[0], r"returned a map of shape \(2, 11, 8, 8\); expected a mapping"),
        ([MAPS[0], MAPS[0], MAPS[2]], r"SOD is a map of shape \(2, 11, 8, 8\); expected .*6, 8"),
        ([MAPS[0], MAPS[1][..., ::2], MAPS[2]], r"SOD is a map of shape \(2, 6, 8, 4\)"),
    ],
)
def test_maps_of_another_shape_are_named(folder: Path, found: Any, message: str) -> None:
    allow_imports(["my_networks"])
    outputs = {"SIC": 11, "SOD": 6, "FLOE": 7}
    from autoice_bench.baselines.networks.foreign_module import ForeignNetwork

    class Returns(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> Any:
            return found

    network = ForeignNetwork(Returns(), "mine:make", outputs)
    with pytest.raises(BaselineError, match=rf"network mine:make: {message}"):
        network(torch.zeros(2, 3, 8, 8))


def test_a_sequence_in_the_tasks_order_will_do(folder: Path) -> None:
    from autoice_bench.baselines.networks.foreign_module import ForeignNetwork

    class Returns(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> Any:
            return MAPS

    found = ForeignNetwork(Returns(), "mine:make", {"SIC": 11, "SOD": 6, "FLOE": 7})(
        torch.zeros(2, 3, 8, 8)
    )
    assert all(torch.equal(a, b) for a, b in zip(found, MAPS, strict=True))
