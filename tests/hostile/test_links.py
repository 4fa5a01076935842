"""Links in a store, run or leaderboard from somebody else: nothing is changed where they lead."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from autoice_bench.baselines.recipes.loading import load_recipe
from autoice_bench.baselines.runs.checkpoints import Checkpoint, checkpoint_path, write_checkpoint
from autoice_bench.baselines.runs.folder import RunFolder
from autoice_bench.cli import main
from autoice_bench.datasets.store.root import open_store
from autoice_bench.errors import BaselineError
from autoice_bench.formats.scene_document import add_digest
from autoice_bench.formats.shard_writer import dump_json
from autoice_bench.formats.split_file import read_split
from tests.datasets.store_tools import copy_store


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder of the user's, with a file of every name that this package writes or removes."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    names = ("precious", "run.json", "lock", "official.json", "mine.json", "log.txt", "zarr.json")
    for name in names:
        (folder / name).write_text(f"precious {name}")
    return folder


def digest(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def move_away(path: Path, elsewhere: Path) -> None:
    """Put what is at ``path`` elsewhere, and a link in its place."""
    if path.is_dir():
        shutil.copytree(path, elsewhere, dirs_exist_ok=True)
        shutil.rmtree(path)
    path.parent.mkdir(exist_ok=True)
    path.symlink_to(elsewhere)


def refused(*arguments: object) -> str:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 1, result.output
    (line,) = result.output.splitlines()
    assert line.startswith("error: ")
    assert "is a link, through which nothing is written or removed" in line
    return line


def test_the_lock_of_a_store(
    rtt_source: Path, prepared_store: Path, tmp_path: Path, elsewhere: Path
) -> None:
    store = copy_store(prepared_store, tmp_path)
    (store / ".partial/lock").unlink(missing_ok=True)
    move_away(store / ".partial/lock", elsewhere / "precious")
    before = digest(elsewhere)
    assert "lock is a link" in refused("prepare", rtt_source, store, "--workers", 1)
    assert digest(elsewhere) == before


@pytest.mark.parametrize("name", [".partial", "scenes", "splits"])
@pytest.mark.parametrize("options", [(), ("--overwrite",), ("--overviews", "10")])
def test_folders_of_a_store(
    rtt_source: Path,
    prepared_store: Path,
    tmp_path: Path,
    elsewhere: Path,
    name: str,
    options: tuple[str, ...],
) -> None:
    store = copy_store(prepared_store, tmp_path)
    move_away(store / name, elsewhere)
    before = digest(elsewhere)
    assert f"{name} is a link" in refused("prepare", rtt_source, store, "--workers", 1, *options)
    assert digest(elsewhere) == before


def test_what_looks_like_a_dead_run(
    rtt_source: Path, prepared_store: Path, tmp_path: Path, elsewhere: Path
) -> None:
    store = copy_store(prepared_store, tmp_path)
    move_away(store / ".partial/run-x", elsewhere)
    before = digest(elsewhere)
    arguments = ["prepare", str(rtt_source), str(store), "--workers", "1"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert digest(elsewhere) == before
    assert not (store / ".partial/run-x").is_symlink()


@pytest.mark.parametrize("name", ["", "overviews"])
def test_overviews_of_a_scene(
    rtt_source: Path, prepared_store: Path, tmp_path: Path, elsewhere: Path, name: str
) -> None:
    store = copy_store(prepared_store, tmp_path)
    scene = open_store(store).scene_path(open_store(store).scene_ids()[0])
    move_away(scene / name, elsewhere)
    before = digest(elsewhere)
    assert "is a link" in refused("prepare", rtt_source, store, "--workers", 1, "--overviews", 10)
    assert digest(elsewhere) == before


def test_splits_are_created_in_a_folder_of_the_store(
    prepared_store: Path, tmp_path: Path, elsewhere: Path
) -> None:
    store = copy_store(prepared_store, tmp_path)
    move_away(store / "splits", elsewhere)
    before = digest(elsewhere)
    assert "splits is a link" in refused("splits", "create", "own", "--store", store)
    assert digest(elsewhere) == before


def test_reading_through_links_goes_on_working(
    rtt_source: Path, prepared_store: Path, tmp_path: Path
) -> None:
    store = copy_store(prepared_store, tmp_path)
    for name in ("scenes", "splits"):
        (store / name).rename(tmp_path / f"disk-{name}")
        (store / name).symlink_to(tmp_path / f"disk-{name}")
    (tmp_path / "link.zarr").symlink_to(store)
    preds = tmp_path / "preds"
    for command in (
        ["verify", tmp_path / "link.zarr"],
        ["info", tmp_path / "link.zarr"],
        ["baseline", "majority", "--store", tmp_path / "link.zarr", "--out", preds],
        ["score", preds, "--store", tmp_path / "link.zarr", "--no-write"],
    ):
        result = CliRunner().invoke(main, [str(argument) for argument in command])
        assert result.exit_code == 0, result.output


def test_a_store_that_the_user_links_to_is_prepared(
    rtt_source: Path, prepared_store: Path, tmp_path: Path
) -> None:
    (tmp_path / "link.zarr").symlink_to(copy_store(prepared_store, tmp_path))
    arguments = ["prepare", str(rtt_source), str(tmp_path / "link.zarr"), "--workers", "1"]
    result = CliRunner().invoke(main, [*arguments, "--overviews", "10"])
    assert result.exit_code == 0, result.output


def make_run(path: Path, store: Path) -> RunFolder:
    split = read_split(store, "official")
    return RunFolder.create(path, load_recipe("demo"), seed=0, split=split, store=open_store(store))


@pytest.mark.parametrize("name", ["lock", "log.txt", "checkpoints"])
def test_files_of_a_run(prepared_store: Path, tmp_path: Path, elsewhere: Path, name: str) -> None:
    run = make_run(tmp_path / "runs/mine", prepared_store)
    if name == "lock":
        (run.path / name).unlink()
    move_away(run.path / name, elsewhere if name == "checkpoints" else elsewhere / name)
    before = digest(elsewhere)
    writes: dict[str, Callable[[], object]] = {
        "lock": lambda: make_run(run.path, prepared_store),
        "log.txt": lambda: run.log("a line"),
        "checkpoints": lambda: write_checkpoint(
            checkpoint_path(run.checkpoints, "last"), Checkpoint({}, {})
        ),
    }
    with pytest.raises(BaselineError, match=f"{name} is a link, through which"):
        writes[name]()
    assert digest(elsewhere) == before


def test_a_run_that_is_a_link_is_not_removed(
    prepared_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = make_run(tmp_path / "disk/mine", prepared_store)
    before = digest(run.path)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs/mine-seed0").symlink_to(run.path)
    arguments = ["baseline", "demo", "--name", "mine", "--overwrite", "--store"]
    result = CliRunner().invoke(main, [*arguments, str(prepared_store)])
    assert result.exit_code == 1
    line = result.output.splitlines()[-1]
    assert line.startswith("error: run runs/mine-seed0: cannot be removed: ")
    assert "is a link" in line
    assert digest(run.path).keys() >= before.keys()
    assert (run.path / "run.json").is_file()


@pytest.mark.parametrize("name", ["official", "official/mine"])
def test_folders_of_a_leaderboard(
    prepared_store: Path, tmp_path: Path, elsewhere: Path, name: str
) -> None:
    preds = tmp_path / "preds"
    arguments = ["baseline", "majority", "--store", str(prepared_store), "--out", str(preds)]
    assert CliRunner().invoke(main, arguments).exit_code == 0
    board = tmp_path / "leaderboard"
    score = ["score", preds, "--store", prepared_store, "--leaderboard", board, "--name", "mine"]
    board.mkdir()
    move_away(board / name, elsewhere)
    before = digest(elsewhere)
    assert f"{Path(name).name} is a link" in refused(*score, "--overwrite")
    assert digest(elsewhere) == before


@pytest.mark.parametrize("overwrite", [True, False])
def test_a_folder_of_predictions_that_is_a_link(
    prepared_store: Path, tmp_path: Path, overwrite: bool
) -> None:
    disk = tmp_path / "disk"
    command = ["baseline", "majority", "--store", str(prepared_store), "--out"]
    assert CliRunner().invoke(main, [*command, str(disk)]).exit_code == 0
    before = digest(disk)
    (tmp_path / "preds").symlink_to(disk)
    option = ["--overwrite"] if overwrite else []
    result = CliRunner().invoke(main, [*command, str(tmp_path / "preds"), *option])
    assert result.exit_code == 1
    assert ("preds is a link" if overwrite else "exists; --overwrite") in result.output
    assert digest(disk) == before


@pytest.mark.parametrize("name", ["{absolute}", "../../../secret", "sar/../../../../secret"])
def test_verify_opens_no_file_outside_the_scene(
    prepared_store: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = copy_store(prepared_store, tmp_path)
    secret = tmp_path / "secret"
    secret.write_text("secret")
    name = name.format(absolute=secret)
    path = open_store(store).scene_path(open_store(store).scene_ids()[0]) / "zarr.json"
    document = json.loads(path.read_bytes())
    recorded = {"bytes": 6, "sha256": hashlib.sha256(b"secret").hexdigest()}
    document["attributes"]["files"][name] = recorded
    path.write_bytes(dump_json(add_digest(document)))
    opened: list[str] = []
    open_path = Path.open

    def watch(self: Path, *arguments: object, **options: object) -> object:
        opened.append(self.name)
        return open_path(self, *arguments, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", watch)
    result = CliRunner().invoke(main, ["verify", str(store)])
    assert result.exit_code == 1
    assert f"files names {name!r}; expected a path inside the scene" in result.output
    assert opened
    assert "secret" not in opened
