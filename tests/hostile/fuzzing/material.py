"""The pristine files: the smallest of each kind that the package itself makes."""

from __future__ import annotations

import json
import os
import shutil
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Final

import numpy as np
import zarr
from click.testing import CliRunner

from autoice_bench.cli import main
from autoice_bench.datasets.simulate.run import simulate

SIZE: Final = (200, 225)
"""Lines and samples: the fewest that are simulated, and different, so that turns show."""
RUN: Final = "mine-seed0"


def make_material(root: Path) -> None:
    """Make everything that the targets damage, in the new folder ``root``.

    ``rtt``, ``scenes``, ``raw``, ``store``, ``netcdf``, ``package``, ``zarr3``, ``zarr2``,
    ``board``, ``splits``, ``recipes`` and ``runs``.
    """
    root.mkdir(parents=True)
    before = Path.cwd()
    os.chdir(root)
    try:
        _make()
    finally:
        os.chdir(before)


def _make() -> None:
    simulate(Path("rtt"), n_train=2, n_test=1, size=SIZE, seed=0, cases="none")
    simulate(Path("one"), n_train=1, n_test=0, size=SIZE, seed=0, cases="none", raw=Path("raw"))
    _take_two(Path("rtt"), Path("scenes"))
    _run("prepare", "rtt", "store", "--workers", "1")
    _run("baseline", "amsr2-threshold", "--store", "store", "--out", "netcdf")
    _run("baseline", "majority", "--store", "store", "--out", "majority")
    Path("package").mkdir()
    _run("convert", "netcdf", "package/upload_package.nc")
    _run("convert", "netcdf", "zarr3", "--format", "zarr")
    _write_zarr2(Path("zarr3"), Path("zarr2"))
    for name in ("netcdf", "majority"):
        _run("score", name, "--store", "store", "--leaderboard", "board", "--workers", "1")
    Path("splits").mkdir()
    Path("splits/mine.json").write_bytes(Path("store/splits/official.json").read_bytes())
    _train()
    _write_recipes(Path("recipes"))


def _take_two(source: Path, target: Path) -> None:
    """A smaller source: one scene to train on and one to test."""
    shutil.copytree(source, target)
    max((target / "train").iterdir()).unlink()


def _run(*arguments: str) -> None:
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output


def _train() -> None:
    settings = {
        "widths": "4,4,8,8",
        "patch_size": "48",
        "batch_size": "1",
        "patches_per_epoch": "1",
        "epochs": "1",
        "val": "random:1",
        "max_masked": "0.99",
        "workers": "0",
    }
    chosen = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    arguments = ("unet-demo", "--name", RUN.removesuffix("-seed0"), "--device", "cpu")
    _run("baseline", *arguments, "--store", "store", *chosen)


def _write_zarr2(source: Path, target: Path) -> None:
    """The same predictions in Zarr's format 2, which nobody writes any more and many have."""
    for scene in source.iterdir():
        group = zarr.open_group(str(target / scene.name), mode="w", zarr_format=2)
        for name in ("SIC", "SOD", "FLOE"):
            values = np.asarray(zarr.open_array(str(scene / name), mode="r")[...])
            array = group.create_array(
                name, shape=values.shape, dtype=values.dtype, chunks=(100, 100), fill_value=255
            )
            array[...] = values


def _write_recipes(folder: Path) -> None:
    folder.mkdir()
    published = files("autoice_bench.baselines.recipes") / "published" / "demo.toml"
    text = published.read_text(encoding="utf-8")
    # The published one wants larger scenes.
    text = text.replace("downscale = 4", "downscale = 2").replace(
        "patch_size = 64", "patch_size = 32"
    )
    (folder / "own.toml").write_text(text, encoding="utf-8")
    (folder / "above.toml").write_text('extends = "own.toml"\nepochs = 3\n', encoding="utf-8")
    (folder / "own.json").write_text(json.dumps(tomllib.loads(text)), encoding="utf-8")
