from __future__ import annotations

import errno
import json
import math
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from autoice_bench.baselines.recipes.loading import load_recipe
from autoice_bench.baselines.runs import folder as run_folder
from autoice_bench.baselines.runs.environment import describe_environment, read_git_revision
from autoice_bench.baselines.runs.folder import RunFolder, find_runs
from autoice_bench.baselines.runs.listing import list_runs
from autoice_bench.baselines.runs.naming import name_experiment
from autoice_bench.datasets.store.root import Store, StoreOptions
from autoice_bench.errors import BaselineError
from autoice_bench.formats.split_file import Split

RECIPE = load_recipe("demo").with_values(lr=0.002)
SPLIT = Split("official", "by hand", None, ("a", "b"), ("c",), ("d",))
STORE = Store(Path("autoice.zarr"), StoreOptions(simulated=True), "complete", "f" * 64)


def create(path: Path) -> RunFolder:
    return RunFolder.create(path, RECIPE, seed=0, split=SPLIT, store=STORE)


def test_a_new_run_records_what_it_is(tmp_path: Path) -> None:
    run = create(tmp_path / "runs" / "demo-seed0")
    assert run.name == "demo-seed0"
    assert run.checkpoints.is_dir()
    assert RunFolder.open(str(run.path)).recipe == RECIPE
    record = run.read()
    assert (record["state"], run.read_state()) == ("new", "new")
    assert (record["recipe"], record["seed"], record["split"]) == ("demo", 0, "official")
    assert record["split_hash"] == SPLIT.hash
    assert record["val_scenes"] == ["c"]
    assert record["store_fingerprint"] == "f" * 64
    assert record["recipe_fingerprint"] == RECIPE.fingerprint()


def test_the_same_settings_find_the_run_again(tmp_path: Path) -> None:
    create(tmp_path / "r").update(state="finished", best_epoch=3)
    on_other_machine = RECIPE.with_values(workers=7, compile=True)
    run = RunFolder.create(tmp_path / "r", on_other_machine, seed=0, split=SPLIT, store=STORE)
    assert (run.read_state(), run.read()["best_epoch"]) == ("finished", 3)
    assert run.recipe.workers == 7


def test_other_settings_are_refused(tmp_path: Path) -> None:
    create(tmp_path / "r")
    other_split = replace(SPLIT, train=("a",))
    other_store = replace(STORE, fingerprint="e" * 64)
    for recipe, seed, split, store, message in (
        (RECIPE.with_values(lr=0.5), 0, SPLIT, STORE, "was begun with lr 0.002, now it is 0.5"),
        (RECIPE, 1, SPLIT, STORE, "was begun with seed 0, now it is 1; choose another --name"),
        (RECIPE, 0, other_split, STORE, "split_hash"),
        (RECIPE, 0, SPLIT, other_store, "store_fingerprint f{12}..., now it is e{12}"),
        (load_recipe("unet-demo"), 0, SPLIT, STORE, "was begun with"),
    ):
        with pytest.raises(BaselineError, match=message):
            RunFolder.create(tmp_path / "r", recipe, seed=seed, split=split, store=store)


def test_a_folder_with_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(BaselineError, match="something else is there"):
        create(tmp_path)


def test_a_create_that_was_killed_is_repeated(tmp_path: Path) -> None:
    run = create(tmp_path / "r")
    (run.path / "run.json").rename(run.path / ".run.json.0123.partial")
    assert create(run.path).read_state() == "new"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "has no run.json"),
        ("{", "cannot be read"),
        ("[]", "is damaged: is a list"),
        ("{}", "is damaged: format is missing"),
    ],
)
def test_what_is_no_run_is_refused(tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "run.json").write_text(content)
    with pytest.raises(BaselineError, match=message):
        RunFolder.open(tmp_path)


def rewrite(path: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    """Change a JSON file; without its checksum, as somebody who edits it."""
    document = json.loads(path.read_text())
    del document["checksum"]
    edit(document)
    path.write_text(json.dumps(document))


@pytest.mark.parametrize("name", ["run.json", "config.json", "environment.json"])
def test_a_changed_digit_is_found(tmp_path: Path, name: str) -> None:
    run = create(tmp_path / "r")
    run.write_environment({"cores": 8, "gpus": []})
    path = run.path / name
    digit = {
        "run.json": '"seed": 0',
        "config.json": '"lr": 0.002',
        "environment.json": '"cores": 8',
    }
    before = path.read_text()
    path.write_text(before.replace(digit[name], digit[name][:-1] + "1"))
    assert path.read_text() != before
    with pytest.raises(BaselineError, match=f"{name} does not match its checksum"):
        _ = run.read(), run.recipe, run.read_environment()
    rewrite(path, lambda document: None)
    _ = run.read(), run.recipe, run.read_environment()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("state", "done", "state is 'done'; expected 'new' or 'running'"),
        ("state", [], "state is a list of 0"),
        ("seed", None, "seed is null; expected a whole number"),
        ("scores", [1], "scores is a list of 1; expected an object"),
        (
            "scores",
            {"official": {"combined": "x"}},
            "scores.official.combined is 'x'; expected a n",
        ),
        ("train_scenes", "ab", "train_scenes is 'ab'; expected a list"),
        ("training_seconds", "long", "training_seconds is 'long'; expected a number"),
        ("tested", "../../evil", "tested is '../../evil'; expected 'last' or 'best-loss' or"),
        ("recipe", {}, "recipe is an object; expected a text"),
        ("error", 3, "error is 3; expected a text or null"),
    ],
)
def test_wrong_types_in_a_record_are_one_line(
    tmp_path: Path, name: str, value: object, message: str
) -> None:
    run = create(tmp_path / "r")
    rewrite(run.path / "run.json", lambda document: document.update({name: value}))
    for read in (run.read, run.read_state, lambda: list_runs(tmp_path)):
        with pytest.raises(BaselineError, match=re.escape(f"run.json is damaged: {message}")):
            read()


def test_every_flipped_bit_of_the_metrics_is_found_or_changes_nothing(tmp_path: Path) -> None:
    run = create(tmp_path / "r")
    for epoch in (1, 2, 3):
        run.append_metrics({"epoch": epoch, "val_combined": 50.0 + epoch, "none": None})
    expected = run.read_metrics()
    path = run.path / "metrics.parquet"
    content = path.read_bytes()
    for at in range(len(content)):
        damaged = bytearray(content)
        damaged[at] ^= 1 << at % 8
        path.write_bytes(damaged)
        with suppress(BaselineError):
            pd.testing.assert_frame_equal(run.read_metrics(), expected)


@pytest.mark.parametrize(
    "table",
    [
        pa.table({"epoch": ["x"]}),
        pa.table({"lr": [0.1]}),
        pa.table({"epoch": [1], "lr": [[1.0]]}),
        pa.table({"epoch": [1.5]}),
    ],
)
def test_metrics_that_are_none_are_one_line(tmp_path: Path, table: pa.Table) -> None:
    run = create(tmp_path / "r")
    pq.write_table(table, run.path / "metrics.parquet")
    with pytest.raises(BaselineError, match=r"metrics\.parquet cannot be read: "):
        run.read_metrics()


def test_networks_are_compared_with_the_record(tmp_path: Path) -> None:
    run = create(tmp_path / "r")
    path = run.checkpoints / "last.pt"
    path.write_bytes(b"weights")
    assert run.require_recorded(path) == path  # nothing recorded yet, as by older versions
    run.record_files()
    assert list(run.read()["files"]) == ["checkpoints/last.pt"]
    assert run.require_recorded(path) == path
    path.write_bytes(b"weightz")
    with pytest.raises(BaselineError, match=r"last\.pt: does not match its SHA-256 in run\.json"):
        run.require_recorded(path)
    run.forget_files()
    assert run.require_recorded(path) == path


def test_a_run_of_another_format_is_refused(tmp_path: Path) -> None:
    create(tmp_path / "r").update(format=2)
    with pytest.raises(BaselineError, match="format 2; expected 1"):
        RunFolder.open(tmp_path / "r")


def test_metrics_of_epochs_after_a_resume_are_replaced(tmp_path: Path) -> None:
    run = create(tmp_path / "r")
    assert run.read_metrics().empty
    for epoch in (0, 1, 2):
        run.append_metrics({"epoch": epoch, "train_loss": 3.0 - epoch})
    run.append_metrics({"epoch": 1, "train_loss": 9.0, "combined": math.nan})
    metrics = run.read_metrics()
    assert metrics["epoch"].tolist() == [0, 1]
    assert metrics["train_loss"].tolist() == [3.0, 9.0]
    assert metrics["combined"].isna().all()


def test_numbers_that_are_not_finite_become_null(tmp_path: Path) -> None:
    run = create(tmp_path / "r")
    run.update(scores={"official": {"SIC": math.nan, "SOD": 1.5}}, losses=(math.inf, 1))
    assert run.read()["scores"] == {"official": {"SIC": None, "SOD": 1.5}}
    assert run.read()["losses"] == [None, 1]


def test_the_log_grows(tmp_path: Path) -> None:
    run = create(tmp_path / "r")
    run.log("first")
    run.log("second")
    lines = (run.path / "log.txt").read_text().splitlines()
    assert [line.split(" ", 1)[1] for line in lines] == ["first", "second"]


def test_a_run_is_held_by_one_process_and_a_killed_one_counts_as_interrupted(
    tmp_path: Path,
) -> None:
    run = create(tmp_path / "r")
    run.update(state="running")
    assert run.read_state() == "interrupted"
    with run.lock():
        assert run.read_state() == "running"
        with pytest.raises(BaselineError, match=r"another process .*is working on it"), run.lock():
            pass
    with run.lock():
        pass


def test_a_run_in_work_keeps_its_recipe(tmp_path: Path) -> None:
    run = create(tmp_path / "r")
    elsewhere = RECIPE.with_values(workers=7)
    with run.lock(), pytest.raises(BaselineError, match=r"another process .*is working on it"):
        RunFolder.create(run.path, elsewhere, seed=0, split=SPLIT, store=STORE)
    assert run.recipe == RECIPE


def test_a_full_disk_is_said_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = create(tmp_path / "r")

    def fill(path: Path, *_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(run_folder, "write_whole", fill)
    monkeypatch.setattr(run_folder, "open_own", fill)
    writes: list[Callable[[], None]] = [
        lambda: run.log("line"),
        lambda: run.append_metrics({"epoch": 1}),
        lambda: run.write_environment({}),
    ]
    for write in writes:
        with pytest.raises(
            BaselineError, match=r"r: cannot be written \(No space left on device\)"
        ):
            write()


def test_environments_that_differed_are_kept(tmp_path: Path) -> None:
    run = create(tmp_path / "r")
    for gpu in ("old", "old", "new"):
        run.write_environment({"gpus": [gpu]})
    assert run.read_environment() == {"gpus": ["new"], "earlier": [{"gpus": ["old"]}]}


def test_environment_is_json_and_names_torch() -> None:
    environment = describe_environment()
    assert json.loads(json.dumps(environment)) == environment
    assert environment["packages"]["torch"]


def test_no_revision_outside_a_working_tree(tmp_path: Path) -> None:
    assert read_git_revision(tmp_path) is None


def test_runs_are_found_by_name(tmp_path: Path) -> None:
    assert find_runs(tmp_path / "nosuch") == []
    for name in ("b", "a"):
        create(tmp_path / name)
    (tmp_path / "other").mkdir()
    assert [run.name for run in find_runs(tmp_path)] == ["a", "b"]


@pytest.mark.parametrize(
    ("overrides", "split", "name"),
    [
        ({}, "official", "aspp"),
        ({"rates": "6,12,18", "workers": "0"}, "official", "aspp"),
        ({"rates": "12,24,36"}, "official", "aspp-rates-12-24-36"),
        ({"features": "sar"}, "cross-region", "aspp-sar-cross-region"),
        ({"lr": "1e-3", "min_valid": "0.3"}, "official", "aspp-min-valid-0.3-lr-0.001"),
    ],
)
def test_default_names(overrides: dict[str, str], split: str, name: str) -> None:
    assert name_experiment(load_recipe("aspp", overrides), load_recipe("aspp"), split) == name


def test_long_names_are_shortened_and_differ() -> None:
    published = load_recipe("aspp")
    recipes = [
        published.with_values(features=tuple(f"channel_{k}" for k in range(n))) for n in (20, 21)
    ]
    names = [name_experiment(recipe, published, "official") for recipe in recipes]
    assert names[0] != names[1]
    assert all(len(name) <= 85 for name in names)
