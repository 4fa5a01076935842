"""A run made by the version before the rooms goes on: see tests/data/README.md."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from autoice_bench.baselines.runs.folder import RunFolder
from autoice_bench.cli import main
from autoice_bench.datasets.prepare.prepare import prepare
from autoice_bench.datasets.store.root import open_store

OLD = Path(__file__).parents[2] / "data" / "old_run"
STORE_FINGERPRINT = "e3e565d97504f9bf4ff6c69a8071da85782ab2dafa3cfbdb4ebd1113033fac70"
"""Of the store that the old version prepared from these sources."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the old run lies, beside a store prepared now from the same sources."""
    shutil.copytree(OLD / "runs", tmp_path / "runs")
    shutil.copy(OLD / "small.toml", tmp_path)
    prepare(OLD / "rtt", tmp_path / "s.zarr", workers=1)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def start() -> Result:
    command = ["baseline", "small.toml", "--store", "s.zarr", "--name", "old", "--device", "cpu"]
    return CliRunner().invoke(main, [*command, "--json"])


def test_the_store_of_the_same_sources_is_the_same(folder: Path) -> None:
    assert open_store(folder / "s.zarr").fingerprint == STORE_FINGERPRINT


def test_it_goes_on_where_it_was_stopped(folder: Path) -> None:
    run = RunFolder.open(folder / "runs" / "old-seed0")
    before = run.read_metrics()
    assert list(before["epoch"]) == [1]
    assert run.read_state() == "interrupted"

    done = start()
    assert done.exit_code == 0, done.output
    assert "go on after epoch 1, step 7" in run.path.joinpath("log.txt").read_text()
    after = run.read_metrics()
    assert list(after["epoch"]) == [1, 2, 3]
    for column in ("train_loss", "val_loss", "val_combined"):
        assert after[column].tolist()[0] == before[column].tolist()[0]
    # What the old version itself arrived at; other processors round otherwise.
    assert after["val_loss"].tolist()[2] == pytest.approx(28.6731, rel=1e-2)
    (report,) = json.loads(done.stdout)["runs"]
    assert report["training"] == "finished"
    assert run.read_state() == "finished"


def test_other_settings_are_still_told_apart(folder: Path) -> None:
    recipe = folder / "small.toml"
    recipe.write_text(recipe.read_text() + "lr = 0.5\n")
    refused = start()
    assert refused.exit_code == 1
    assert "was begun with lr 0.001, now it is 0.5; choose another --name" in refused.stderr
