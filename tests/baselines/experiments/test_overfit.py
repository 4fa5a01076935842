"""A network that cannot learn one scene by heart has a fault somewhere between store and score."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from autoice_bench.cli import main
from autoice_bench.datasets.store.root import open_store
from autoice_bench.formats.split_file import Split, write_split

# Of the shared store: 8 classes of SIC, 4 of SOD and 5 of FLOE.
SCENE = "20321023T193555_dmi"
ARGUMENTS = [
    *("aspp", "--split", "one.json", "--subset", "train", "--weights", "none", "--rates", "1,2,4"),
    *("--epochs", "24", "--device", "cpu", "--json"),
]
SETTINGS = [
    *("encoder=resnet18", "aspp_width=64", "dropout=0", "precision=fp32"),
    *("patch_size=256", "patches_per_scene=16", "max_masked=0.9", "batch_size=2"),
    "loss_weights=2,1,1",
    *("lr=2e-3", "schedule=cosine-restarts", "restart_epochs=24", "early_stopping=0"),
    "test_checkpoint=last",  # the validation scene is another one
]


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_one_scene_is_learnt_by_heart(
    prepared_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the command line to the official score, as a user would."""
    monkeypatch.chdir(tmp_path)
    other = next(scene for scene in open_store(prepared_store).scene_ids() if scene != SCENE)
    path = write_split(tmp_path, Split("one", "by hand", None, (SCENE,), (other,), ()))
    path.rename(tmp_path / "one.json")
    settings = [word for setting in SETTINGS for word in ("--set", setting)]
    arguments = ["baseline", *ARGUMENTS, *settings, "--store", str(prepared_store)]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    (run,) = json.loads(done.stdout)["runs"]
    scores = {row["chart"]: row["official"] for row in run["score"]["scores"]}
    assert scores["combined"] >= 95, scores
