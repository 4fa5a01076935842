from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.error import URLError

import click
import netCDF4
import pytest
from click.testing import CliRunner, Result

from autoice_bench.baselines.experiments import projection
from autoice_bench.baselines.experiments import run as workflow
from autoice_bench.baselines.experiments.plan import choose_validation, plan_runs
from autoice_bench.baselines.runs.folder import RunFolder
from autoice_bench.cli import main
from autoice_bench.commands.baseline.work import confirm_long_run
from autoice_bench.errors import SplitError
from autoice_bench.formats.split_file import Split, read_split

SMALL = [
    *("--set", "patch_size=64", "--set", "patches_per_scene=2", "--set", "batch_size=2"),
    *("--set", "aspp_width=4", "--epochs", "1"),
]
SPLIT = Split("s", "by hand", None, tuple("abcdef"), ("g",), ("h",))

Invoke = Callable[..., Result]


@pytest.fixture
def invoke(prepared_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Calls ``baseline`` in an empty folder, on the shared store."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AUTOICE_STORE", str(prepared_store))

    def call(*arguments: str) -> Result:
        return CliRunner().invoke(main, ["baseline", *arguments])

    return call


def read_json(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_help_shows_recipes_options_and_commands(invoke: Invoke) -> None:
    text = invoke("--help").stdout
    for word in ("amsr2-threshold", "--rates-sod", "--dry-run", "fetch-weights", "list"):
        assert word in text


@pytest.mark.parametrize(
    ("arguments", "n_parameters"),
    [
        ([], 30_475_288),
        (["aspp", "--features", "sar"], 30_431_384),
        (["--features", "amsr2-18-36", "--rates", "12,24,36"], 30_434_520),
        (["unet"], 522_382),
        (["unet", "--config", "1"], 522_382),
        (["unet", "--config", "9"], 1_095_310),
    ],
)
def test_describe_gives_exact_parameters(
    invoke: Invoke, arguments: list[str], n_parameters: int
) -> None:
    described = read_json(invoke(*arguments, "--describe", "--json"))
    assert described["parameters"] == n_parameters


def test_describe_needs_no_store_and_warns_of_large_rates(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTOICE_STORE", "nosuch")
    text = invoke("--describe", "--rates", "18,36,54").stdout
    assert "parameters: 30,475,288" in text
    assert "warning: rate 54" in text


def test_describe_takes_rates_per_chart(invoke: Invoke) -> None:
    described = read_json(invoke("--describe", "--json", "--rates-sod", "12,24,36"))
    assert described["rates"] == {"SIC": [6, 12, 18], "SOD": [12, 24, 36], "FLOE": [6, 12, 18]}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["asp"], "no recipe 'asp'; did you mean 'aspp'?"),
        (["--rates", "6,0"], "rates is 6,0; expected positive whole numbers"),
        (["--set", "epoch=1"], "no field 'epoch'; did you mean 'epochs'?"),
        (["--set", "lr"], "setting 'lr'; expected FIELD=VALUE"),
        (["--epochs", "3", "--set", "epochs=4"], "--epochs and --set epochs: give one"),
        (["--features", "sarr"], "no feature 'sarr'"),
        (["unet", "--rates", "3"], "rates is of aspp networks; this is unet"),
        (["aspp", "--config", "3"], "--config goes with unet; the recipe is aspp"),
        (["unet", "--config", "10"], "10 is not in the range"),
        (["--seeds", "0,0"], "expected different numbers"),
        (["--seeds", "a"], "expected whole numbers"),
        (["--val", "random"], "expected 'split' or 'random:N'"),
        (["demo", "--out", "x"], "--out: only majority and amsr2-threshold"),
        (["majority", "--rates", "3"], "--rates goes with recipes of networks"),
        (["majority", "--set", "lr=1"], "--set goes with recipes of networks"),
    ],
)
def test_wrong_usage(invoke: Invoke, arguments: list[str], message: str) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["own.toml"], "own.toml: cannot be read"),
        (["demo", "--store", "nosuch"], "nosuch"),
        (["demo", "--split", "nosuch"], "split nosuch: no file"),
        (["demo", "--val", "random:4"], "4 random validation scenes of 4"),
        (["demo", *SMALL, "--weights", "nosuch.pth"], "weights nosuch.pth: no such file"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    invoke: Invoke, arguments: list[str], message: str
) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 1
    error = result.stderr.splitlines()[-1]
    assert error.startswith("error: ")
    assert message in error


def test_missing_weights_are_said_before_anything_is_done(
    invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise URLError("Name or service not known")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr("torch.hub.download_url_to_file", refuse)
    result = invoke("aspp", "--set", "encoder=resnet18", *SMALL)
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    for way_out in ("baseline fetch-weights", "--weights FILE", "--weights none"):
        assert way_out in line
    assert not (tmp_path / "runs").exists()


def test_without_torch_floors_run_and_networks_say_what_to_install(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    result = invoke()
    assert result.exit_code == 1
    assert "needs torch, which is not installed; install 'autoice-bench[train]'" in result.stderr
    assert invoke("majority").exit_code == 0
    assert "no runs in runs" in invoke("list").stdout


def test_dry_run_shows_the_plan_and_does_nothing(invoke: Invoke, tmp_path: Path) -> None:
    (plan,) = read_json(invoke("demo", *SMALL, "--features", "sar", "--dry-run", "--json"))
    assert "-sar-" in plan["name"]
    assert plan["channels"] == ["nersc_sar_primary", "nersc_sar_secondary", "sar_incidenceangle"]
    assert (plan["n_train"], plan["n_val"], plan["n_test"]) == (3, 1, 2)
    assert (plan["patches_per_epoch"], plan["steps_per_epoch"]) == (6, 3)
    assert plan["recipe"]["patch_size"] == 64
    assert plan["projected"]["seconds"] > 0
    text = invoke("demo", *SMALL, "--dry-run").stdout
    assert "3 training, 1 validation and 2 test scenes" in text
    assert "patch_size = 64" in text
    assert "projected: about" in text
    assert list(tmp_path.iterdir()) == []


def test_train_predict_score_and_list(invoke: Invoke, tmp_path: Path) -> None:
    result = invoke("demo", *SMALL, "--name", "small")
    assert result.exit_code == 0, result.output
    assert "projected: about" in result.stderr
    assert "small-seed0: trained 1 epoch\n" in result.stdout
    assert "autoice-bench score preds/small-seed0" in result.stdout
    assert len(list((tmp_path / "preds" / "small-seed0").glob("*.nc"))) == 2

    run = RunFolder.open(tmp_path / "runs" / "small-seed0")
    record = run.read()
    assert (record["state"], record["epochs"], record["seed"]) == ("finished", 1, 0)
    assert record["patches_per_second"] > 0
    assert record["truth_fingerprints"]["test"]
    assert run.read_environment()["packages"]["torch"]
    assert len(run.read_metrics()) == 1

    (row,) = read_json(invoke("list", "--json"))
    assert (row["name"], row["state"]) == ("small-seed0", "finished")
    assert row["test_combined"] == record["scores"]["official"]["combined"]
    assert "finished" in invoke("list").stdout

    scored = CliRunner().invoke(main, ["score", "preds/small-seed0", "--json"])
    official = {each["chart"]: each["official"] for each in json.loads(scored.stdout)[0]["scores"]}
    assert official == record["scores"]["official"]


def test_run_on_a_split_file_is_scored_and_found_by_the_splits_own_name(
    invoke: Invoke, prepared_store: Path, tmp_path: Path
) -> None:
    own = replace(read_split(prepared_store, "official"), name="own")
    (tmp_path / "file.json").write_text(json.dumps(own.to_dict()))
    result = invoke("demo", *SMALL, "--name", "small", "--split", "file.json")
    assert result.exit_code == 0, result.output
    assert "autoice-bench score preds/small-seed0 --split file.json" in result.stdout
    assert "autoice-bench leaderboard show --split own" in result.stdout
    (row,) = read_json(invoke("list", "--json"))
    assert list(row["scores"]) == ["own"]
    assert row["test_combined"] == row["scores"]["own"]["combined"]
    prediction = next((tmp_path / "preds" / "small-seed0").glob("*.nc"))
    with netCDF4.Dataset(prediction) as file:
        assert file.split == "own"
    scored = CliRunner().invoke(main, ["score", "preds/small-seed0", "--split", "file.json"])
    assert scored.exit_code == 0, scored.output
    assert (tmp_path / "leaderboard" / "own" / "small-seed0").is_dir()


@pytest.mark.slow
def test_seeds_and_repeating_and_replacing(invoke: Invoke, tmp_path: Path) -> None:
    arguments = ("demo", *SMALL, "--seeds", "0,1", "--name", "small")
    first = invoke(*arguments)
    assert first.exit_code == 0, first.output
    assert "mean ± standard deviation over 2 seeds: " in first.stdout
    run = RunFolder.open(tmp_path / "runs" / "small-seed0")

    checkpoint = run.checkpoints / "last.pt"
    before = checkpoint.stat().st_mtime_ns
    again = read_json(invoke(*arguments, "--json"))
    assert checkpoint.stat().st_mtime_ns == before  # finished: nothing is trained anew
    assert [each["training"] for each in again["runs"]] == ["finished", "finished"]
    assert again["over_seeds"].keys() <= {"combined", "SIC", "SOD", "FLOE"}

    other = invoke("demo", *SMALL, "--name", "small", "--set", "lr=0.5")
    assert other.exit_code == 1
    assert "was begun with lr 0.002, now it is 0.5; choose another --name" in other.stderr
    replaced = invoke("demo", *SMALL, "--name", "small", "--set", "lr=0.5", "--overwrite")
    assert replaced.exit_code == 0, replaced.output
    assert RunFolder.open(run.path).recipe.optimiser.lr == 0.5


def test_unet_trains_through_the_same_command(invoke: Invoke) -> None:
    small = ("patch_size=32", "downscale=5", "patches_per_epoch=4", "widths=4,4", "batch_size=2")
    settings = [part for setting in small for part in ("--set", setting)]
    result = invoke("unet-demo", *settings, "--epochs", "1", "--name", "u", "--json")
    (run,) = read_json(result)["runs"]
    assert (run["training"], run["epochs"]) == ("finished", 1)
    assert run["score"]["n_scenes"] == 2


def test_subset_without_labels_is_predicted_only(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:

    monkeypatch.setattr(workflow, "_has_labels", lambda planned, subset: False)
    result = invoke("demo", *SMALL, "--name", "small")
    assert result.exit_code == 0, result.output
    assert "predictions of test in preds/small-seed0; no labels" in result.stdout
    assert "score" not in result.stdout


def test_random_validation_follows_the_seed() -> None:
    drawn = [choose_validation(SPLIT, 3, seed) for seed in (0, 0, 1, 2, 3)]
    assert drawn[0] == drawn[1]
    assert len({split.val for split in drawn}) > 1
    for split in drawn:
        assert len(split.val) == 3
        assert sorted((*split.train, *split.val)) == list("abcdefg")
        assert split.test == SPLIT.test
        assert split.hash != SPLIT.hash
    assert choose_validation(SPLIT, None, 5) is SPLIT


def test_a_recipe_that_draws_more_scenes_than_there_are_uses_those_of_the_split(
    invoke: Invoke,
) -> None:
    small = ("--set", "patch_size=32", "--set", "widths=4,4", "--dry-run")
    (plan,) = read_json(invoke("unet", "--config", "9", *small, "--json"))
    assert (plan["n_train"], plan["n_val"]) == (3, 1)
    assert plan["note"] == (
        "validation scenes are the split's own: the recipe's 20 random ones would leave none of 4 "
        "to train on"
    )
    assert f"note: {plan['note']}" in invoke("unet", "--config", "9", *small).stdout
    asked = invoke("unet", *small, "--val", "random:20")
    assert asked.exit_code == 1
    assert "20 random validation scenes of 4" in asked.stderr


def test_more_than_a_day_on_a_cpu_is_refused_where_nobody_can_be_asked(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(projection, "_time_step", lambda *_: 100.0)
    result = invoke("demo", *SMALL, "--name", "long", "--device", "cpu")
    assert result.exit_code == 1
    assert "more than a day; run it where there is a GPU" in result.stderr
    assert "--yes" in result.stderr
    assert not list(tmp_path.iterdir())
    begun = invoke("demo", *SMALL, "--name", "long", "--device", "cpu", "--yes")
    assert begun.exit_code == 0, begun.output


@pytest.mark.parametrize(("answer", "begins"), [("y\n", True), ("n\n", False)])
def test_more_than_a_day_on_a_cpu_is_asked_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, answer: str, begins: bool
) -> None:
    @click.command()
    def begin() -> None:
        monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
        confirm_long_run(90_000.0, "cpu", yes=False)
        click.echo("begun")

    result = CliRunner().invoke(begin, input=answer)
    assert "more than a day on this CPU. Begin?" in result.output
    assert ("begun" in result.output, result.exit_code) == (begins, 0 if begins else 1)


@pytest.mark.parametrize(
    ("seconds", "device", "yes"),
    [(86_400.0, "cpu", False), (1e9, "cuda", False), (1e9, "cpu", True)],
)
def test_nobody_is_asked_of_a_day_of_a_gpu_or_after_yes(
    seconds: float, device: str, yes: bool
) -> None:
    confirm_long_run(seconds, device, yes)


def test_splits_without_scenes_are_refused() -> None:
    with pytest.raises(SplitError, match="7 random validation scenes of 7"):
        choose_validation(SPLIT, 7, 0)
    with pytest.raises(SplitError, match=r"no validation scenes.*--val random:N"):
        choose_validation(replace(SPLIT, val=()), None, 0)
    with pytest.raises(SplitError, match="no training scenes"):
        choose_validation(replace(SPLIT, train=()), None, 0)


def test_a_split_given_by_path(prepared_store: Path, tmp_path: Path) -> None:
    shutil.copy(prepared_store / "splits" / "official.json", tmp_path / "mine.json")
    (planned,) = plan_runs(
        "demo",
        {},
        store=prepared_store,
        split=str(tmp_path / "mine.json"),
        seeds=(3,),
        runs=tmp_path / "runs",
        preds=tmp_path / "preds",
    )
    assert planned.folder == tmp_path / "runs" / "demo-seed3"
    assert planned.split.name == "official"
