from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from autoice_bench.cli import main
from autoice_bench.datasets.splits.named import write_named_splits
from autoice_bench.datasets.store.index import SCHEMA, write_index
from autoice_bench.datasets.store.root import StoreOptions, create_store, mark_complete
from autoice_bench.formats.split_file import read_split, split_names
from autoice_bench.official import OFFICIAL_TEST
from tests.datasets.split_tables import daily_scenes, make_table
from tests.datasets.store_tools import copy_store

Run = Callable[..., Result]
NEIGHBOUR = "20180124T194859_dmi"  # one minute after the first test scene


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store of scenes without arrays; nothing of splits looks at them."""
    return make_store(
        tmp_path / "autoice.zarr",
        make_table(
            [*daily_scenes(8, "cis"), *daily_scenes(12, start="2030-03-01"), OFFICIAL_TEST[0]]
        ),
    )


def make_store(path: Path, table: pd.DataFrame) -> Path:
    """A complete store whose index is a scene table, with its named splits."""
    made = create_store(path, StoreOptions(simulated=True))
    for scene_id in table["scene_id"]:
        scene = made.scene_path(scene_id)
        scene.mkdir()
        (scene / "zarr.json").touch()  # makes it a scene; a sound index spares reading it
    rows = table.reindex(columns=SCHEMA.names).sort_values("scene_id", ignore_index=True)
    sha256 = write_index(made, pa.Table.from_pandas(rows, schema=SCHEMA, preserve_index=False))
    mark_complete(made, "f" * 64, sha256)
    write_named_splits(path, table)
    return path


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
        (["--store", "nowhere"], 1, "error: store nowhere: found nothing; make one with"),
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
    shutil.rmtree(store)
    make_store(store, make_table([NEIGHBOUR, *daily_scenes(8), OFFICIAL_TEST[0]]))
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


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "truncated": lambda content: content[: len(content) // 2],
    "one flipped byte": lambda content: (
        content[: len(content) // 3]
        + bytes([content[len(content) // 3] ^ 0xFF])
        + content[len(content) // 3 + 1 :]
    ),
    "no parquet": lambda content: b"no parquet at all",
    "missing column": lambda content: drop_column(content, "SOD_3"),
}


def drop_column(content: bytes, name: str) -> bytes:
    out = io.BytesIO()
    pq.write_table(pq.read_table(io.BytesIO(content)).drop_columns([name]), out)
    return out.getvalue()


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=list(DAMAGES))
def test_a_damaged_index_is_rebuilt_as_info_does(
    prepared_store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    damage: Callable[[bytes], bytes],
) -> None:
    store = copy_store(prepared_store, tmp_path)
    monkeypatch.chdir(tmp_path)

    def answers() -> list[tuple[int, str, str]]:
        commands = (
            ["splits", "list", "--json", "--store", store.name],
            ["splits", "create", "mine", "--val", "1", "--json", "--store", store.name],
            ["splits", "check", "official", "--json", "--store", store.name],
            ["info", store.name, "--json"],
        )
        results = [CliRunner().invoke(main, command) for command in commands]
        return [(result.exit_code, result.stdout, result.stderr) for result in results]

    answers()  # the split that it creates is among those that are listed next time
    expected = answers()
    assert all(stdout and not stderr for _, stdout, stderr in expected)
    index = store / "scenes.parquet"
    index.write_bytes(damage(index.read_bytes()))
    assert answers() == expected


def test_leaks_are_status_1_unless_they_only_warn(prepared_store: Path, tmp_path: Path) -> None:
    command = ["splits", "check", "official", "--store", str(prepared_store), "--days", "100000"]
    found = CliRunner().invoke(main, command)
    warned = CliRunner().invoke(main, [*command, "--warn-only"])
    assert (found.exit_code, warned.exit_code) == (1, 0)
    assert found.stdout == warned.stdout
    assert " leak" in found.stdout


def test_a_damaged_index_over_damaged_scenes_is_one_line(
    prepared_store: Path, tmp_path: Path
) -> None:
    store = copy_store(prepared_store, tmp_path)
    (store / "scenes.parquet").write_bytes(b"no parquet at all")
    scene = min((store / "scenes").iterdir())
    (scene / "zarr.json").write_text("{}")
    for command in (["list"], ["create", "mine"], ["check", "official"]):
        result = CliRunner().invoke(main, ["splits", *command, "--store", str(store)])
        assert result.exit_code == 1
        assert result.stdout == ""
        (line,) = result.stderr.splitlines()
        path = scene / "zarr.json"
        assert line.startswith(f"error: scene {scene.name}: {path} is damaged: attributes is miss")


def test_an_unfinished_store_is_refused(tmp_path: Path) -> None:
    create_store(tmp_path / "s.zarr", StoreOptions(simulated=True))
    result = CliRunner().invoke(main, ["splits", "--store", str(tmp_path / "s.zarr")])
    assert result.exit_code == 1
    assert "state is 'preparing'" in result.stderr


def test_help_needs_no_store(run: Run, store: Path) -> None:
    store.rename(store.parent / "gone")
    for args in (["--help"], ["list", "-h"], ["create", "--help"], ["check", "--help"]):
        result = run(*args)
        assert result.exit_code == 0
        assert result.stdout.startswith("Usage:")
