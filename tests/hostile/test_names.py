"""Ids and names of strangers never lead out of the folder they belong into."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from autoice_bench.cli import main
from autoice_bench.datasets.store.root import open_store
from autoice_bench.formats.split_file import Split, read_split
from tests.datasets.store_tools import copy_store


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prepared_store: Path) -> Path:
    """An empty folder to work in, one level down, so that ``../`` is seen."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("AUTOICE_STORE", str(prepared_store))
    return folder


def refused(here: Path, *arguments: object) -> str:
    """Run a command that must end with one line and write nothing."""
    before = sorted(here.parent.rglob("*"))
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 1, result.output
    assert sorted(here.parent.rglob("*")) == before
    (line,) = result.output.splitlines()
    assert line.startswith("error: ")
    return line


@pytest.mark.parametrize("scene_id", ["../scenes/x", "/tmp/x", "20300101T000000_cis/../../x"])
@pytest.mark.parametrize(
    "command",
    [["baseline", "majority"], ["baseline", "demo"], ["splits", "check"], ["score", "preds"]],
    ids="-".join,
)
def test_scene_ids_of_a_split_file(
    here: Path, prepared_store: Path, command: list[str], scene_id: str
) -> None:
    train = read_split(prepared_store, "official").train
    split = Split("evil", "", None, train[1:], train[:1], (scene_id,))
    (here / "evil.json").write_text(json.dumps(split.to_dict()))
    if command[0] == "score":
        shutil.copytree(prepared_store, here / "preds")
        (here / "preds/20300101T000000_cis.nc").write_text("")
    option = [] if command[0] == "splits" else ["--split"]
    line = refused(here, *command, *option, "evil.json")
    assert f"split evil.json: test holds {scene_id!r}; expected scene ids such as" in line


@pytest.mark.parametrize("name", ["../../evil", "/tmp/evil", "a/b", "..", "a b"])
def test_names_of_runs(here: Path, name: str) -> None:
    line = refused(here, "baseline", "demo", "--name", name)
    assert f"run name '{name}-seed0'; expected 1-100 letters" in line


@pytest.mark.parametrize("name", ["../evil", "/tmp/evil"])
def test_names_of_splits(here: Path, name: str, prepared_store: Path) -> None:
    store = copy_store(prepared_store, here)
    assert "expected 1-100 letters" in refused(here, "splits", "create", name, "--store", store)
    assert "expected 1-100 letters" in refused(here, "baseline", "majority", "--split", name)


def test_names_inside_split_files(here: Path, prepared_store: Path) -> None:
    fields = read_split(prepared_store, "official").to_dict()
    del fields["checksum"]
    (here / "evil.json").write_text(json.dumps({**fields, "name": "../../evil"}))
    line = refused(here, "baseline", "majority", "--split", "evil.json")
    assert "split name '../../evil'; expected 1-100 letters" in line


@pytest.mark.parametrize("name", ["../evil", "/tmp/evil"])
def test_names_of_submissions(here: Path, name: str, prepared_store: Path) -> None:
    CliRunner().invoke(main, ["baseline", "majority"])
    assert (here / "preds/majority").is_dir()
    assert "choose with --name" in refused(here, "score", "preds/majority", "--name", name)


def test_names_of_recipes(here: Path) -> None:
    (here / "my recipe.toml").write_text('extends = "demo"\n')
    line = refused(here, "baseline", "my recipe.toml")
    assert "recipe name 'my recipe'; expected 1-100 letters" in line
    assert "rename the file" in line
    (here / "own.toml").write_text('extends = "demo"\nname = "../../evil"\n')
    assert "recipe name '../../evil'" in refused(here, "baseline", "own.toml")


@pytest.mark.parametrize("scene_id", ["../x", "/tmp/x"])
def test_scene_to_show(here: Path, scene_id: str) -> None:
    assert f"name {scene_id!r} is not a scene name" in refused(here, "show", scene_id)


def test_folders_of_other_names_are_no_scenes(here: Path, prepared_store: Path) -> None:
    store = copy_store(prepared_store, here)
    first = open_store(store).scene_ids()[0]
    shutil.copytree(store / "scenes" / first, store / "scenes" / "-evil")
    assert open_store(store).scene_ids() == open_store(prepared_store).scene_ids()
    result = CliRunner().invoke(main, ["verify", str(store)])
    assert result.exit_code == 1
    assert "scenes/-evil has no scene id for a name, so it is no scene; remove it" in result.output
