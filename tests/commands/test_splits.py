from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from autoice_bench.cli import main
from autoice_bench.datasets.splits.named import write_named_splits
from autoice_bench.formats.split_file import read_split, split_names
from autoice_bench.official import OFFICIAL_TEST
from tests.datasets.split_tables import daily_scenes, make_table

Run = Callable[..., Result]
NEIGHBOUR = "20180124T194859_dmi"  # one minute after the first test scene


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """The scene table and named splits of a store; nothing of splits looks at its arrays."""
    store = tmp_path / "autoice.zarr"
    store.mkdir()
    table = make_table(
        [*daily_scenes(8, "cis"), *daily_scenes(12, start="2030-03-01"), OFFICIAL_TEST[0]]
    )
    table.to_parquet(store / "scenes.parquet")
    write_named_splits(store, table)
    return store


@pytest.fixture
def run(store: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command line in the folder of the store, so that the defaults find it."""
    monkeypatch.chdir(store.parent)
    monkeypatch.delenv("AUTOICE_STORE", raising=False)
    return lambda *args: CliRunner().invoke(main, ["splits", *args])


def test_plain_command_lists(run: Run) -> None:
    result = run()
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["name", "train", "val", "test", "hash", "rule"]
    # 20 training scenes: an eighth, rounded up, is 3.
    official = next(line for line in lines if line.startswith("official"))
    assert official.split()[1:4] == ["17", "3", "1"]
    assert lines[-1].startswith("not here: aspp-study (24 of the study's 24 validation scenes")
    assert run("list").stdout == result.stdout


def test_list_as_json(run: Run) -> None:
    listed = json.loads(run("--json").stdout)
    assert [split["name"] for split in listed["splits"]] == [
        "cross-region",
        "cross-region-reverse",
        "cross-region-strict",
        "official",
    ]
    assert list(listed["missing"]) == ["aspp-study"]


def test_store_by_option_and_environment(
    run: Run, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = run().stdout
    moved = store.rename(store.parent / "other.zarr")
    assert run("--store", "other.zarr").stdout == expected
    monkeypatch.setenv("AUTOICE_STORE", str(moved))
    assert run().stdout == expected


def test_create_writes_a_split(run: Run, store: Path) -> None:
    result = run("create", "mine", "--val", "4", "--seed", "2")
    assert result.exit_code == 0
    split = read_split(store, "mine")
    assert len(split.val) == 4
    assert split.seed == 2
    assert split.hash[:8] in result.stdout
    again = run("create", "mine", "--val", "4", "--seed", "2", "--json")
    assert json.loads(again.stdout) == [split.to_dict()]


def test_create_folds_and_seasons(run: Run, store: Path) -> None:
    assert run("create", "k", "--method", "kfold", "--folds", "3").exit_code == 0
    assert run("create", "s", "--method", "season").exit_code == 0
    assert {"k-0", "k-1", "k-2", "s-winter", "s-spring"} <= set(split_names(store))


def test_taken_name_needs_overwrite(run: Run, store: Path) -> None:
    run("create", "mine", "--method", "random")
    before = read_split(store, "mine")
    refused = run("create", "mine", "--method", "random", "--seed", "1")
    assert refused.exit_code == 1
    assert refused.stderr.startswith("error: split mine exists in autoice.zarr and differs")
    assert read_split(store, "mine") == before
    assert run("create", "mine", "--method", "random", "--seed", "1", "--overwrite").exit_code == 0
    assert read_split(store, "mine") != before


@pytest.mark.parametrize(
    ("args", "status", "message"),
    [
        (["create", "x", "--folds", "3"], 2, "--folds goes with --method kfold"),
        (["create", "x", "--method", "season", "--val", "3"], 2, "--val goes with --method"),
        (["create", "x", "--val", "0"], 2, "0 is not in the range"),
        (["create", "official"], 1, "error: split official is published"),
        (["create", "a/b"], 1, "error: split name 'a/b'"),
        (["create", "x", "--val", "50"], 1, "error: split x: 50 validation scenes of 20"),
        (["check", "nope"], 1, "error: split nope: no file"),
        (["check"], 2, "Missing argument 'NAME'"),
        (["--store", "nowhere"], 1, "error: store nowhere: no scenes.parquet"),
        (["nonsense"], 2, "No such command 'nonsense'"),
    ],
)
def test_what_goes_wrong_is_said(run: Run, args: list[str], status: int, message: str) -> None:
    result = run(*args)
    assert result.exit_code == status
    assert message in result.stderr
    assert result.stdout == ""


def test_check_of_a_clean_split(run: Run) -> None:
    result = run("check", "official")
    assert (result.exit_code, result.stdout) == (0, "official: no leaks\n")
    assert json.loads(run("check", "official", "--json").stdout) == {
        "name": "official",
        "leaks": [],
    }


def test_check_lists_leaks_and_exits_1(run: Run, store: Path) -> None:
    table = make_table([NEIGHBOUR, *daily_scenes(8), OFFICIAL_TEST[0]])
    table.to_parquet(store / "scenes.parquet")
    write_named_splits(store, table)
    result = run("check", "official")
    assert result.exit_code == 1
    side = read_split(store, "official").subset_of()[NEIGHBOUR]
    assert result.stdout.splitlines() == [
        f"time: {OFFICIAL_TEST[0]} (test) and {NEIGHBOUR} ({side}), 1 min apart",
        "official: 1 leak",
    ]
    answer = run("check", "official", "--json")
    assert answer.exit_code == 1
    assert json.loads(answer.stdout)["leaks"][0]["kind"] == "time"
    # A created split leaves that neighbour out.
    run("create", "mine")
    assert run("check", "mine").exit_code == 0


def test_check_takes_a_file(run: Run, store: Path) -> None:
    path = store / "splits" / "official.json"
    moved = path.rename(store.parent / "theirs.json")
    assert run("check", str(moved)).stdout == "official: no leaks\n"


def test_help_needs_no_store(run: Run, store: Path) -> None:
    store.rename(store.parent / "gone")
    for args in (["--help"], ["list", "-h"], ["create", "--help"], ["check", "--help"]):
        result = run(*args)
        assert result.exit_code == 0
        assert result.stdout.startswith("Usage:")
