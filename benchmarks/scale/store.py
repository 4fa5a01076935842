"""A store of many tiny scenes: ``info``, ``splits``, ``baseline --dry-run``, ``verify``.

A few scenes are simulated and prepared; the others are copies of them under ids, times and passes
of their own, whose arrays are hard links. The store is valid: ``verify`` finds no problem.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np

from autoice_bench.datasets.prepare.prepare import prepare
from autoice_bench.datasets.simulate.run import simulate
from autoice_bench.datasets.splits.named import write_named_splits
from autoice_bench.datasets.splits.scene_table import validate_split_index
from autoice_bench.datasets.store.index import (
    build_index,
    fingerprint_scenes,
    read_index,
    write_index,
)
from autoice_bench.datasets.store.root import Store, create_store, mark_complete, open_store
from autoice_bench.formats.shard_writer import dump_json
from autoice_bench.formats.shards import ZARR_METADATA
from benchmarks.measure import format_table
from benchmarks.scale.commands import COLUMNS, format_row, run_often

DESCRIPTION: Final = "a store of many tiny scenes"
TEST_SHARE: Final = 0.04
PASS_GAP_S: Final = 60
FIRST: Final = datetime(2030, 1, 1)
DAYS: Final = 1400


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--scenes", type=int, default=10_000)
    parser.add_argument(
        "--verified", type=int, default=1000, help="scenes of the store that verify reads"
    )


def run(options: argparse.Namespace) -> str:
    store = have_store(options.work, options.scenes)
    there = ("--store", store)
    commands: dict[str, tuple[object, ...]] = {
        "info": ("info", store),
        "splits": ("splits", "list", *there),
        "splits create --method stratified": ("splits", "create", "s", *there, "--overwrite"),
        "splits create --method kfold": (
            *("splits", "create", "k", *there, "--overwrite"),
            *("--method", "kfold"),
        ),
        "splits check k-0": ("splits", "check", "k-0", *there),
        "baseline unet --dry-run": ("baseline", "unet", *there, "--split", "k-0", "--dry-run"),
    }
    rows = [
        format_row(name, run_often(options.repeats, *words, may_fail=name.startswith("splits ch")))
        for name, words in commands.items()
    ]
    verified = have_store(options.work, options.verified)
    for words in (("--workers", 1), ()):
        name = " ".join(map(str, ("verify", *words)))
        rows.append(format_row(name, run_often(1, "verify", verified, *words)))
    return (
        f"{options.scenes} scenes of 200 x 200 pixels ({options.verified} for verify), in the page "
        f"cache; median of {options.repeats} runs (verify: one), start of Python included. The dry "
        "run imports torch and times a step of the network, whatever the store.\n\n"
        f"{format_table(COLUMNS, rows)}"
    )


def have_store(work: Path, n_scenes: int) -> Path:
    """The store of so many scenes in a folder, made unless it is there."""
    path = work / f"store-{n_scenes}.zarr"
    if not path.exists():
        make_store(work, path, n_scenes)
    return path


@dataclass(frozen=True)
class _Template:
    """A scene that was prepared: its folder and its metadata."""

    folder: Path
    document: dict[str, Any]


def make_store(work: Path, path: Path, n_scenes: int) -> Store:
    """Write a complete store of ``n_scenes`` scenes; the same number gives the same store."""
    source = simulate(work / "templates", n_train=8, n_test=2, size=(200, 200)).path
    prepared = prepare(source, work / "templates.zarr", workers=1).store
    templates: dict[str, list[_Template]] = {"train": [], "test": []}
    for scene_id in prepared.scene_ids():
        folder = prepared.scene_path(scene_id)
        document = json.loads((folder / ZARR_METADATA).read_bytes())
        templates[document["attributes"]["subset"]].append(_Template(folder, document))
    growing = path.with_suffix(".growing")
    store = create_store(growing, prepared.options)
    for index, (scene_id, data_take) in enumerate(draw_scene_ids(n_scenes)):
        subset = "test" if index % round(1 / TEST_SHARE) == 0 else "train"
        template = templates[subset][index % len(templates[subset])]
        copy_scene(template, store.scene_path(scene_id), scene_id, data_take)
    table = build_index(store, {})
    store = mark_complete(store, fingerprint_scenes(store, table), write_index(store, table))
    write_named_splits(store.path, validate_split_index(read_index(store)))
    growing.rename(path)
    return open_store(path)


def draw_scene_ids(n_scenes: int) -> list[tuple[str, str]]:
    """Ids and data-takes: passes of one to four frames, a minute apart, over four years."""
    rng = np.random.default_rng(0)
    found: dict[str, str] = {}
    while len(found) < n_scenes:
        start = FIRST + timedelta(seconds=int(rng.integers(DAYS * 86_400)))
        service = ("cis", "dmi")[int(rng.integers(2))]
        data_take = f"{int(rng.integers(16**6)):06X}"
        for frame in range(int(rng.integers(1, 5))):
            time = start + timedelta(seconds=PASS_GAP_S * frame)
            found[f"{time:%Y%m%dT%H%M%S}_{service}"] = data_take
    return sorted(found.items())[:n_scenes]


def copy_scene(template: _Template, folder: Path, scene_id: str, data_take: str) -> None:
    """A scene that differs from another in its id, time and pass; its arrays are hard links."""
    attributes = dict(template.document["attributes"])
    digest = hashlib.sha256(scene_id.encode()).hexdigest()
    attributes |= {
        "scene_id": scene_id,
        "acquisition_time": f"{datetime.strptime(scene_id[:15], '%Y%m%dT%H%M%S').isoformat()}Z",
        "data_take": data_take,
        "ice_service": scene_id[-3:],
        "source": {**attributes["source"], "name": f"{scene_id}_prep.nc", "sha256": digest},
    }
    for name in attributes["files"]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        os.link(template.folder / name, folder / name)
    (folder / ZARR_METADATA).write_bytes(dump_json({**template.document, "attributes": attributes}))
