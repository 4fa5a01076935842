"""Folders, FIFOs, devices and dangling links where a file is expected: one line, and no waiting."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import netCDF4
import pytest
from click.testing import CliRunner

from autoice_bench.baselines.recipes.loading import load_recipe
from autoice_bench.baselines.runs.checkpoints import read_checkpoint
from autoice_bench.baselines.runs.folder import RunFolder
from autoice_bench.cli import main
from autoice_bench.datasets.readers.arrays import ZarrReader
from autoice_bench.datasets.readers.open_files import OpenFiles
from autoice_bench.datasets.store.root import open_store
from autoice_bench.errors import BaselineError
from autoice_bench.formats.split_file import read_split
from autoice_bench.scoring.predictions.reading import open_predictions
from autoice_bench.scoring.predictions.writing import convert
from tests.datasets.store_tools import copy_store, scene_files

pytestmark = pytest.mark.timeout(60)


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_folder(path: Path) -> None:
    path.mkdir()


def make_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def make_dangling(path: Path) -> None:
    path.symlink_to("nowhere")


KINDS = [
    pytest.param(make_fifo, "is a FIFO; expected a file", id="fifo"),
    pytest.param(make_folder, "is a folder; expected a file", id="folder"),
    pytest.param(make_device, "is a device; expected a file", id="device"),
    pytest.param(make_dangling, "is a link to nowhere, which is not there", id="dangling"),
]
Make = Callable[[Path], None]
in_each_kind = pytest.mark.parametrize(("make", "words"), KINDS)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prepared_store: Path) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AUTOICE_STORE", str(prepared_store))
    return tmp_path


@pytest.fixture(scope="module")
def floor(prepared_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Predictions of a floor; copy before changing them."""
    out = tmp_path_factory.mktemp("preds") / "majority"
    arguments = ["baseline", "majority", "--store", str(prepared_store), "--out", str(out)]
    assert CliRunner().invoke(main, arguments).exit_code == 0
    return out


def replace(path: Path, make: Make) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    make(path)


def refused(*arguments: object) -> str:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 1, result.output
    errors = [line for line in result.output.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, result.output
    return errors[0]


@in_each_kind
def test_a_prediction(here: Path, floor: Path, make: Make, words: str) -> None:
    preds = Path(shutil.copytree(floor, here / "preds"))
    replace(next(preds.glob("*.nc")), make)
    for command in (["score", preds], ["convert", preds, here / "out"]):
        assert words in refused(*command)


@in_each_kind
def test_an_upload_package(here: Path, make: Make, words: str) -> None:
    (here / "preds").mkdir()
    make(here / "preds/upload_package.nc")
    assert words in refused("score", "preds")
    if make is not make_folder:
        assert words in refused("score", "preds/upload_package.nc")


@in_each_kind
def test_a_zarr_prediction(here: Path, floor: Path, make: Make, words: str) -> None:
    convert(open_predictions(floor), here / "preds.zarr", format_name="zarr")
    scene = next((here / "preds.zarr").iterdir())
    replace(scene / "SIC/zarr.json", make)
    assert words in refused("score", "preds.zarr")
    shutil.rmtree(here / "preds.zarr")
    convert(open_predictions(floor), here / "preds.zarr", format_name="zarr")
    if make is not make_folder:
        replace(next(path for path in (scene / "SIC/c").rglob("*") if path.is_file()), make)
        assert words in refused("score", "preds.zarr")


@in_each_kind
def test_a_description(here: Path, floor: Path, make: Make, words: str) -> None:
    preds = Path(shutil.copytree(floor, here / "preds"))
    replace(preds / "description.json", make)
    assert words in refused("score", preds)
    make(here / "own.json")
    assert words in refused("score", floor, "--description", "own.json")


@in_each_kind
def test_a_split_file(here: Path, prepared_store: Path, make: Make, words: str) -> None:
    make(here / "own.json")
    assert words in refused("baseline", "majority", "--split", "own.json")
    store = copy_store(prepared_store, here)
    make(store / "splits/own.json")
    for command in (["create", "own"], ["list"], ["check", "own"]):
        assert words in refused("splits", *command, "--store", store)
    result = CliRunner().invoke(main, ["verify", str(store)])
    assert (result.exit_code, words in result.output) == (1, True)


@in_each_kind
def test_a_recipe(here: Path, make: Make, words: str) -> None:
    make(here / "own.toml")
    assert words in refused("baseline", "own.toml")


@in_each_kind
def test_a_checkpoint_and_weights(here: Path, make: Make, words: str) -> None:
    for name in ("last.pt", "last.safetensors"):
        make(here / name)
        with pytest.raises(BaselineError, match=words):
            read_checkpoint(here / name)
    assert words in refused("baseline", "demo", "--weights", "last.pt")


@in_each_kind
@pytest.mark.parametrize("name", ["config.json", "metrics.parquet", "run.json"])
def test_files_of_a_run(
    here: Path, prepared_store: Path, name: str, make: Make, words: str
) -> None:
    store = open_store(prepared_store)
    split = read_split(prepared_store, "official")
    run = RunFolder.create(
        here / "runs/mine", load_recipe("demo"), seed=0, split=split, store=store
    )
    replace(run.path / name, make)
    if name == "run.json":
        assert words in refused("predict", "runs/mine")
    if (name, make) != ("run.json", make_dangling):  # which is no run
        assert words in refused("baseline", "list")


@in_each_kind
def test_a_source(
    here: Path, rtt_source: Path, prepared_store: Path, make: Make, words: str
) -> None:
    source = Path(shutil.copytree(rtt_source, here / "rtt"))
    replace(source / "metadata.csv", make)
    assert words in refused("prepare", source, here / "a.zarr", "--workers", 1)
    replace(source / "metadata.csv", lambda path: None)
    path = scene_files(source)[0]
    if make is make_folder:
        return  # a folder of such a name is looked into
    replace(path, make)
    result = CliRunner().invoke(main, ["prepare", str(source), "a.zarr", "--workers", "1"])
    assert result.exit_code == 1
    assert len(result.output.splitlines()) == 1
    assert (words if make is not make_dangling else "No such file") in result.output


@in_each_kind
@pytest.mark.parametrize("name", ["submission.json", "scores.parquet", "histograms.parquet"])
def test_files_of_a_submission(here: Path, floor: Path, name: str, make: Make, words: str) -> None:
    assert CliRunner().invoke(main, ["score", str(floor)]).exit_code == 0
    replace(here / "leaderboard/official/majority" / name, make)
    for command in ("check", "show"):
        result = CliRunner().invoke(main, ["leaderboard", command])
        assert isinstance(result.exception, SystemExit | None), result.exception
        assert words in result.output, result.output


@in_each_kind
def test_metadata_of_a_store(here: Path, prepared_store: Path, make: Make, words: str) -> None:
    store = copy_store(prepared_store, here)
    replace(store / "zarr.json", make)
    for command in (["info", store], ["verify", store], ["baseline", "majority", "--store", store]):
        assert words in refused(*command)


@in_each_kind
def test_the_index_of_a_store(here: Path, prepared_store: Path, make: Make, words: str) -> None:
    store = copy_store(prepared_store, here)
    replace(store / "scenes.parquet", make)
    result = CliRunner().invoke(main, ["verify", str(store)])
    assert (result.exit_code, f"scenes.parquet {words}" in result.output) == (1, True)
    assert CliRunner().invoke(main, ["info", str(store)]).exit_code == 0  # made anew in memory


@in_each_kind
def test_shards_of_a_scene(here: Path, prepared_store: Path, make: Make, words: str) -> None:
    store = copy_store(prepared_store, here)
    scene_id = open_store(store).scene_ids()[0]
    scene = open_store(store).scene_path(scene_id)
    for array in ("charts", "sar"):
        replace(scene / array / "c/0/0/0", make)
    result = CliRunner().invoke(main, ["verify", str(store)])
    assert (result.exit_code, words in result.output) == (1, True)
    assert "error" in refused("show", store, scene_id)
    with pytest.raises(OSError, match=words), OpenFiles().open("key", scene / "sar/c/0/0/0"):
        pass
    if make is not make_folder:
        with pytest.raises(Exception, match=words):
            ZarrReader(scene / "sar", "sar")


def test_a_fifo_that_belongs_to_no_scene(here: Path, prepared_store: Path) -> None:
    store = copy_store(prepared_store, here)
    scene = open_store(store).scene_path(open_store(store).scene_ids()[0])
    os.mkfifo(scene / "sar" / "more")
    result = CliRunner().invoke(main, ["verify", str(store)])
    assert (result.exit_code, "sar/more does not belong" in result.output) == (1, True)


def test_simulate_looks_at_a_file_before_it_opens_it(here: Path) -> None:
    (here / "rtt/train").mkdir(parents=True)
    os.mkfifo(here / "rtt/train/20300101T000000_cis_prep.nc")
    result = CliRunner().invoke(main, ["simulate", "rtt", "--scenes", "1"])
    assert isinstance(result.exception, SystemExit | None), result.exception


def test_netcdf_through_the_command_line_is_a_file(here: Path) -> None:
    with netCDF4.Dataset(here / "20300101T000000_cis_prep.nc", "w"):
        pass
    make_fifo(here / "20300102T000000_cis_prep.nc")
    assert "is a FIFO" in refused("score", "20300102T000000_cis_prep.nc")


def test_a_scene_whose_metadata_is_no_file_is_damaged_not_missing(
    prepared_store: Path, tmp_path: Path
) -> None:
    store = copy_store(prepared_store, tmp_path)
    n_scenes = len(open_store(store))
    metadata = store / "scenes" / open_store(store).scene_ids()[0] / "zarr.json"
    metadata.unlink()
    make_fifo(metadata)
    assert len(open_store(store)) == n_scenes
    done = CliRunner().invoke(main, ["verify", str(store)])
    assert done.exit_code == 1
    assert "is a FIFO; expected a file" in done.output


def test_a_link_to_itself_is_one_line(tmp_path: Path) -> None:
    ring = tmp_path / "own.toml"
    ring.symlink_to(ring.name)
    with pytest.raises(BaselineError, match=r"own\.toml"):
        load_recipe(str(ring))
    for command in (["score"], ["info"], ["prepare"], ["predict"]):
        done = CliRunner().invoke(main, [*command, str(ring)])
        assert done.exit_code == 2
        assert done.stderr == f"error: path {ring}: is a link that leads to itself\n"
