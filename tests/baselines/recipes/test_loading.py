from __future__ import annotations

import json
from pathlib import Path

import pytest

from autoice_bench.baselines.inputs.features import parse_features
from autoice_bench.baselines.networks.aspp.settings import AsppSettings
from autoice_bench.baselines.networks.unet.settings import UNetSettings
from autoice_bench.baselines.recipes.loading import load_recipe, parse_settings, recipe_names
from autoice_bench.baselines.recipes.recipe import MACHINE_FIELDS, Recipe, field_types
from autoice_bench.baselines.settings.values import format_value, parse_text
from autoice_bench.errors import BaselineError

OLD_RUN = Path(__file__).parents[2] / "data" / "old_run"


def changed(name: str, base: str) -> dict[str, object]:
    """Fields in which a recipe differs from another, but for its name."""
    own, other = load_recipe(name).values(), load_recipe(base).values()
    return {
        key: value
        for key, value in own.items()
        if value != other.get(key) and key not in ("name", "description")
    }


def test_every_published_recipe_loads_and_has_a_description() -> None:
    configurations = {f"unet-{n}" for n in range(2, 10)}
    expected = {"aspp", "aspp-geo", "demo", "unet", "unet-16", "unet-demo"} | configurations
    assert set(recipe_names()) == expected
    for name in recipe_names():
        recipe = load_recipe(name)
        assert recipe.name == name
        assert recipe.description


def test_aspp_is_the_published_study() -> None:
    recipe = load_recipe("aspp")
    assert recipe.values()["rates"] == [6, 12, 18]
    assert (recipe.optimiser.name, recipe.optimiser.lr) == ("adam", 1e-5)
    assert (recipe.batch_size, recipe.patch_size) == (8, 768)
    optimiser = recipe.optimiser
    assert (optimiser.plateau_factor, optimiser.plateau_patience, optimiser.min_lr) == (
        0.5,
        4,
        1e-8,
    )
    assert (recipe.epochs, recipe.early_stopping, recipe.max_masked) == (100, 10, 0.3)
    assert recipe.count_patches(487) == 9740
    assert recipe.task.loss_weights == (1.0, 1.0, 1.0)
    assert recipe.val == "split"


def test_aspp_geo_has_18_channels() -> None:
    assert parse_features(load_recipe("aspp-geo").features).n_channels == 18


def test_unet_is_the_published_configuration_1() -> None:
    recipe = load_recipe("unet")
    assert (recipe.optimiser.name, recipe.optimiser.lr) == ("sgd", 1e-3)
    assert (recipe.optimiser.momentum, recipe.optimiser.weight_decay) == (0.9, 0.01)
    assert recipe.count_patches(3) == 500 * 16  # however many scenes there are
    assert (recipe.min_valid_pixels, recipe.max_masked, recipe.patches_per_scene) == (2, None, 0)
    assert recipe.n_random_val == 20
    assert (recipe.downscale, recipe.downscale_method) == (10, "nearest")
    assert recipe.early_stopping == 0


@pytest.mark.parametrize(
    ("number", "n_channels"), [("3", 2), ("4", 10), ("5", 9), ("6", 11), ("7", 27), ("16", 16)]
)
def test_unet_configurations_by_channels(number: str, n_channels: int) -> None:
    recipe = load_recipe(f"unet-{number}")
    assert parse_features(recipe.features).n_channels == n_channels
    assert set(changed(f"unet-{number}", "unet")) == {"features"}


def test_unet_configurations_keep_the_channel_order() -> None:
    full = parse_features("mmseaice-14").channels
    for number in (3, 4, 5, 6):
        channels = parse_features(load_recipe(f"unet-{number}").features).channels
        assert channels == tuple(name for name in full if name in channels)


def test_unet_configurations_that_are_not_inputs() -> None:
    assert changed("unet-2", "unet") == {"downscale": 1}
    assert changed("unet-8", "unet") == {"sic_output": "classes", "sic_loss": "cross-entropy"}
    assert changed("unet-9", "unet") == {"separate_decoders": True}


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_survives_json(name: str) -> None:
    recipe = load_recipe(name)
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe


def test_settings_are_typed() -> None:
    recipe = load_recipe(
        "aspp",
        {
            "rates": "3",
            "rates_sod": "[12, 24, 36]",
            "lr": "1",
            "compile": "true",
            "features": "sar,month",
            "weights": "~/weights.pth",
            "loss_weights": "2, 2, 1",
        },
    )
    assert isinstance(recipe.network, AsppSettings)
    assert recipe.network.output_rates() == ((3,), (12, 24, 36), (3,))
    assert (recipe.optimiser.lr, type(recipe.optimiser.lr)) == (1.0, float)
    assert recipe.compile is True
    assert recipe.features == ("sar", "month")
    assert recipe.network.weights == "~/weights.pth"
    assert recipe.task.loss_weights == (2.0, 2.0, 1.0)


def test_a_setting_unsets_the_fields_that_it_excludes() -> None:
    recipe = load_recipe("aspp", {"min_valid": "0.3", "patches_per_epoch": "100"})
    assert (recipe.min_valid, recipe.max_masked) == (0.3, None)
    assert (recipe.patches_per_epoch, recipe.patches_per_scene) == (100, 0)
    nothing_masked = load_recipe("unet", {"max_masked": "0"})
    assert (nothing_masked.max_masked, nothing_masked.min_valid_pixels) == (0.0, None)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"ratess": "6"}, "no field 'ratess'; did you mean 'rates'?"),
        ({"zzz": "6"}, "no field 'zzz'; expected one of"),
        ({"name": "mine"}, "no field 'name'"),
        ({"rates": "6,0,18"}, "rates is 6,0,18; expected positive whole numbers"),
        ({"rates": "6,-1"}, "rates is 6,-1; expected positive whole numbers"),
        ({"rates": ""}, "rates is empty; expected positive whole numbers"),
        ({"rates": "6,12.5"}, r"rates is \[6, 12.5\] \(a list\); expected whole numbers"),
        ({"rates_sod": "six"}, r"rates_sod is 'six' \(a string\); expected whole numbers"),
        ({"lr": "fast"}, r"lr is 'fast' \(a string\); expected a number"),
        ({"lr": "0"}, "lr is 0; expected more than 0"),
        ({"lr": "nan"}, "lr is nan"),
        ({"epochs": "1.5"}, r"epochs is 1.5 \(a number\); expected a whole number"),
        ({"epochs": "true"}, r"epochs is True \(true or false\); expected a whole number"),
        ({"compile": "1"}, r"compile is 1 \(a whole number\); expected true or false"),
        ({"encoder": "resnet20"}, "encoder is 'resnet20'.*expected 'resnet18' or"),
        ({"max_masked": "30"}, "max_masked is 30; expected a number from 0 to 1"),
        ({"loss_weights": "1,2"}, "expected 3 numbers"),
        ({"loss_weights": "0,0,0"}, "not all 0"),
        ({"scale_range": "1.1,0.9"}, "scale_range is 1.1,0.9; expected"),
        ({"val": "random"}, "val is random; expected 'split' or 'random:N'"),
        ({"val": "random:0"}, "val is random:0"),
        ({"sic_output": "regression"}, "sic_loss is 'cross-entropy'.*expected 'mse': set both"),
        ({"patch_size": "32", "batch_size": "1"}, "batch_size 1 of patch_size 32 is too little"),
        ({"max_masked": "none"}, "none is set; expected exactly one of max_masked"),
        ({"patches_per_scene": "0"}, "none is set; expected exactly one of patches_per_scene"),
        ({"min_valid": "0.3", "max_masked": "0.3"}, "max_masked and min_valid are set"),
        ({"min_valid_pixels": "0"}, "min_valid_pixels is 0; expected 1 or more"),
        ({"widths": "8,8"}, "widths is of unet networks; this is aspp"),
        ({"features": "sarr"}, "no feature 'sarr'"),
    ],
)
def test_bad_settings_are_refused(overrides: dict[str, str], message: str) -> None:
    with pytest.raises(BaselineError, match=message):
        load_recipe("aspp", overrides)


def test_unknown_recipes_name_the_nearest() -> None:
    with pytest.raises(BaselineError, match="no recipe 'asp'; did you mean 'aspp'"):
        load_recipe("asp")


def test_a_chain_of_recipes_that_goes_on_and_on_is_refused(tmp_path: Path) -> None:
    for k in range(3000):
        (tmp_path / f"{k}.toml").write_text(f'extends = "{k + 1}.toml"\n')
    with pytest.raises(BaselineError, match="extends itself, or more than 20"):
        load_recipe(str(tmp_path / "0.toml"))


def test_recipes_that_extend_each_other_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('extends = "b.toml"\n')
    (tmp_path / "b.toml").write_text('extends = "a.toml"\n')
    with pytest.raises(BaselineError, match="extends itself"):
        load_recipe(str(tmp_path / "a.toml"))


def test_a_recipe_of_ones_own_extends_published_and_own_ones(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('extends = "aspp"\nlr = 1e-3\npatches_per_epoch = 64\n')
    (tmp_path / "b.toml").write_text('extends = "a.toml"\nrates = [3, 6]\n')
    recipe = load_recipe(tmp_path / "b.toml", {"rates": "9"})
    assert (recipe.name, recipe.optimiser.lr, recipe.batch_size) == ("b", 1e-3, 8)
    assert recipe.values()["rates"] == [9]
    assert (recipe.patches_per_epoch, recipe.patches_per_scene) == (64, 0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lr = ", "cannot be parsed"),
        ("learning_rate = 1", "no field 'learning_rate'"),
        ("extends = 3", "extends is 3"),
        ('extends = "own.toml"', "extends itself"),
        ('extends = "nosuch"', "no recipe 'nosuch'"),
        ('extends = "nosuch.toml"', "cannot be read"),
        ("lr = 2024-01-01", "lr is .*expected a number"),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "own.toml").write_text(text)
    with pytest.raises(BaselineError, match=message):
        load_recipe(tmp_path / "own.toml")


def test_fingerprint_is_of_the_science() -> None:
    recipe = load_recipe("aspp")
    assert set(field_types("aspp")) > MACHINE_FIELDS
    same = recipe.with_values(name="x", compile=True, workers=0, precision="fp32")
    assert same.fingerprint() == recipe.fingerprint()
    assert recipe.with_values(lr=1e-4).fingerprint() != recipe.fingerprint()
    assert recipe.with_values(rates_sod=(1,)).fingerprint() != recipe.fingerprint()


def test_settings_are_split_at_the_first_equals_sign() -> None:
    assert parse_settings(("lr=1e-4", "weights = a=b ", "lr=1")) == {"lr": "1", "weights": "a=b"}
    with pytest.raises(BaselineError, match="setting 'lr'; expected FIELD=VALUE"):
        parse_settings(("lr",))


@pytest.mark.parametrize("name", ["aspp", "unet", "unet-4"])
def test_formatted_values_parse_to_themselves(name: str) -> None:
    recipe = load_recipe(name)
    for key, value in recipe.values().items():
        if key not in ("name", "description") and value not in ([], ""):
            hint = field_types(recipe.network.name)[key]
            assert parse_text(format_value(value), hint) == value


NESTED = """
extends = "unet"
batch_size = 4

[network]
widths = [8, 8]

[task]
loss_weights = [1, 2, 3]

[augmentation]
flip_p = 0.25

[optimiser]
name = "adam"
lr = 1e-4
"""
FLAT = """
extends = "unet"
batch_size = 4
widths = [8, 8]
loss_weights = [1, 2, 3]
flip_p = 0.25
optimiser = "adam"
lr = 1e-4
"""


def test_a_recipe_with_parts_and_one_without_are_the_same(tmp_path: Path) -> None:
    (tmp_path / "a" / "mine.toml").parent.mkdir()
    (tmp_path / "b" / "mine.toml").parent.mkdir()
    (tmp_path / "a" / "mine.toml").write_text(NESTED)
    (tmp_path / "b" / "mine.toml").write_text(FLAT)
    nested = load_recipe(tmp_path / "a" / "mine.toml")
    assert nested == load_recipe(tmp_path / "b" / "mine.toml")
    assert nested.network == UNetSettings(widths=(8, 8))
    assert nested.optimiser.name == "adam"
    assert nested.optimiser.momentum == 0.9  # of unet, below
    assert nested.to_dict()["augmentation"]["flip_p"] == 0.25
    assert nested.values()["flip_p"] == 0.25


def test_settings_may_name_the_part() -> None:
    with_part = load_recipe("aspp", {"network.rates": "3,6", "optimiser.lr": "1e-3"})
    assert with_part == load_recipe("aspp", {"rates": "3,6", "lr": "1e-3"})
    assert load_recipe("unet", {"optimiser": "adam"}).optimiser.name == "adam"


def test_another_network_starts_from_its_own_defaults(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('extends = "demo"\nnetwork = "unet"\nwidths = [4]\n')
    recipe = load_recipe(tmp_path / "mine.toml")
    assert recipe.network == UNetSettings(widths=(4,))
    assert recipe.task == load_recipe("demo").task
    with pytest.raises(BaselineError, match="rates is of aspp networks; this is unet"):
        load_recipe("demo", {"network": "unet", "rates": "1"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('extends = "unet"\nrates = [6, 12, 18]\n', "rates is of aspp networks; this is unet"),
        ('extends = "unet"\naspp_width = 8\n', "aspp_width is of aspp networks; this is unet"),
        ('extends = "unet"\n[network]\nrates = [3]\n', "rates is of aspp networks; this is unet"),
        ('extends = "aspp"\nseparate_decoders = true\n', "separate_decoders is of unet networks"),
        ("[network]\nratess = [3]\n", "no field 'ratess'; did you mean 'rates'"),
        ("[optimiser]\nspeed = 1\n", "no field 'speed'; expected one of"),
        ("[augmentation]\nflip_p = 2\n", "flip_p is 2; expected a number from 0 to 1"),
        ('[network]\nname = "vnet"\n', "no network 'vnet'; did you mean 'unet'"),
        ('[task]\nname = "floes"\n', "no task 'floes'; expected one of charts"),
        ("network = 3\n", r"network is 3; expected a name or a table \[network\]"),
        ("[network]\nname = 3\n", "network.name is 3; expected a name"),
    ],
)
def test_parts_are_checked_like_settings(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(BaselineError, match=message):
        load_recipe(tmp_path / "mine.toml")


def test_records_of_runs_from_before_the_parts_are_read() -> None:
    # As the first version wrote it: every field, those of the other network too.
    record = json.loads((OLD_RUN / "runs" / "old-seed0" / "config.json").read_text())
    assert {"rates", "widths", "lr"} <= record.keys()
    recipe = Recipe.from_dict(record, is_record=True)
    assert recipe.network == UNetSettings(widths=(4, 4))
    run = json.loads((OLD_RUN / "runs" / "old-seed0" / "run.json").read_text())
    assert recipe.fingerprint() == run["recipe_fingerprint"]
    assert load_recipe(OLD_RUN / "small.toml") == recipe
    assert load_recipe(OLD_RUN / "runs" / "old-seed0" / "config.json") == recipe
