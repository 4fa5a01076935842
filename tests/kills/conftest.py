"""What the kill tests share: processes to fork from, and the files that commands find."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import netCDF4
import pytest

from tests.kills.harness import Zygote

OLD_RUN = Path(__file__).parents[1] / "data" / "old_run"

COMMAND_MODULES = (
    "autoice_bench.cli",
    "autoice_bench.baselines.floors.predict",
    "autoice_bench.datasets.checks.verify",
    "autoice_bench.datasets.prepare.prepare",
    "autoice_bench.datasets.simulate.run",
    "autoice_bench.datasets.splits.created",
    "autoice_bench.datasets.splits.named",
    "autoice_bench.pictures.show",
    "autoice_bench.scoring.leaderboard.boards",
    "autoice_bench.scoring.score",
    "autoice_bench.commands.progress",
    "autoice_bench.text.splits",
)
TRAINING_MODULES = (
    "autoice_bench.baselines.experiments.run",
    "autoice_bench.baselines.experiments.plan",
    "autoice_bench.baselines.inference.predict",
)


@pytest.fixture(scope="session")
def zygote() -> Iterator[Zygote]:
    with Zygote(*COMMAND_MODULES) as started:
        yield started


@pytest.fixture(scope="session")
def training_zygote() -> Iterator[Zygote]:
    with Zygote(*COMMAND_MODULES, *TRAINING_MODULES) as started:
        yield started


@pytest.fixture(scope="session")
def inputs(zygote: Zygote, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the commands, called one after another, make it. Read only."""
    folder = tmp_path_factory.mktemp("kills") / "inputs"
    shutil.copytree(OLD_RUN, folder)
    commands = (
        "prepare --workers 1",
        "simulate simulated --train 1 --test 1 --size 200,200 --seed 1",
        "simulate many --train 6 --test 1 --size 200,200",
        "prepare many many.zarr --workers 1",
        "splits create mine --store many.zarr --method random --val 1",
        "baseline majority",
        "baseline amsr2-threshold",
        "score preds/majority",
    )
    for command in commands:
        outcome = zygote.run(folder, command)
        assert outcome.status == 0, outcome.output
    shutil.copytree(folder / "rtt", folder / "changed")
    with netCDF4.Dataset(folder / "changed/train/20320509T214650_cis_prep.nc", "a") as scene:
        scene.history = "changed"
    (folder / "scene.png").write_bytes(b"an older picture")
    return folder
