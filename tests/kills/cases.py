"""The commands that write, each with what must hold after a kill."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from autoice_bench.baselines.runs.folder import RunFolder
from autoice_bench.baselines.runs.listing import list_runs
from autoice_bench.datasets.store.root import open_store
from autoice_bench.errors import StoreError
from autoice_bench.formats.split_file import read_splits
from autoice_bench.scoring.leaderboard.boards import read_leaderboard
from tests.kills.harness import Case, Snapshot, part_of, take_snapshot

STORE: Final = "autoice.zarr"
SCENE: Final = "20320509T214750_cis"
_SIMULATE: Final = "--train 1 --test 1 --size 200,200"


def complete_stores_are_old_or_new(folder: Path, before: Snapshot, after: Snapshot) -> None:
    """Whoever asks for a complete store gets the old one or the new one."""
    try:
        open_store(folder / STORE, require_complete=True)
    except StoreError:
        return
    found = part_of(take_snapshot(folder), STORE)
    # Overviews come scene by scene, each of them as before or as after.
    states = [part_of(state, STORE) for state in (before, after)]
    assert found in states or all(
        digest in (before.get(path), after.get(path)) for path, digest in found.items()
    )


def scenes_are_of_one_call(folder: Path, before: Snapshot, after: Snapshot) -> None:
    """No folder holds scenes of two simulations."""
    found = {path for path in take_snapshot(folder) if path.endswith(".nc")}
    assert found <= before.keys() or found <= after.keys()


def splits_can_be_read(folder: Path, _: Snapshot, __: Snapshot) -> None:
    read_splits(folder / "many.zarr")


def submissions_are_valid(folder: Path, before: Snapshot, _: Snapshot) -> None:
    """None is half there, and the one that was there is never missed."""
    root = folder / "leaderboard"
    if root.exists():
        found = read_leaderboard(root)
        assert found.invalid == ()
        assert found.submissions or not part_of(before, "leaderboard")


def runs_can_be_listed(folder: Path, _: Snapshot, __: Snapshot) -> None:
    list_runs(folder / "runs")


def run_is_finished(folder: Path) -> None:
    (row,) = list_runs(folder / "runs")
    assert row["state"] == "finished"
    assert (row["epochs"], row["max_epochs"]) == (3, 3)
    assert row["test_combined"] is not None
    assert list(RunFolder.open(Path(row["run"])).read_metrics()["epoch"]) == [1, 2, 3]


CASES: Final = (
    Case("simulate", f"simulate rtt --raw raw {_SIMULATE}", grows=("rtt", "raw")),
    Case(
        "simulate-overwrite",
        f"simulate simulated {_SIMULATE} --seed 2 --overwrite",
        needs=("simulated",),
        grows=("simulated",),
        reader=scenes_are_of_one_call,
    ),
    Case(
        "prepare",
        "prepare --workers 1",
        needs=("rtt",),
        grows=(f"{STORE}/scenes", f"{STORE}/splits"),
        reader=complete_stores_are_old_or_new,
    ),
    Case(
        "prepare-changed-source",
        f"prepare changed {STORE} --workers 1 --overwrite",
        needs=("changed", STORE),
        wholes=tuple(f"{STORE}/scenes/{scene}" for scene in (SCENE, "20320509T214650_cis")),
        reader=complete_stores_are_old_or_new,
    ),
    Case(
        "prepare-other-options",
        "prepare --workers 1 --overwrite --dtype float32",
        needs=("rtt", STORE),
        wholes=(f"{STORE}/scenes",),
        reader=complete_stores_are_old_or_new,
    ),
    Case(
        "prepare-overviews",
        "prepare --workers 1 --overviews 10",
        needs=("rtt", STORE),
        grows=(f"{STORE}/scenes",),
        reader=complete_stores_are_old_or_new,
    ),
    Case(
        "splits-create",
        "splits create folds --store many.zarr --method kfold --folds 2",
        needs=("many.zarr",),
        grows=("many.zarr",),
        reader=splits_can_be_read,
    ),
    Case(
        "splits-create-overwrite",
        "splits create mine --store many.zarr --method random --val 2 --overwrite",
        needs=("many.zarr",),
        wholes=("many.zarr/splits/mine.json",),
        reader=splits_can_be_read,
    ),
    Case("floor", "baseline majority --out new", needs=(STORE,), wholes=("new",)),
    Case(
        "floor-overwrite",
        "baseline amsr2-threshold --out preds/majority --overwrite",
        needs=(STORE, "preds"),
        wholes=("preds/majority",),
    ),
    Case("convert-netcdf", "convert preds/majority copy", needs=("preds",), wholes=("copy",)),
    Case(
        "convert-upload-package",
        "convert preds/majority upload.nc",
        needs=("preds",),
        wholes=("upload.nc",),
    ),
    Case("convert-zarr", "convert preds/majority p.zarr", needs=("preds",), wholes=("p.zarr",)),
    Case(
        "score",
        "score preds/majority",
        needs=(STORE, "preds"),
        wholes=("leaderboard/official/majority",),
        reader=submissions_are_valid,
    ),
    Case(
        "score-overwrite",
        "score preds/amsr2-threshold --name majority --overwrite",
        needs=(STORE, "preds", "leaderboard"),
        wholes=("leaderboard/official/majority",),
        reader=submissions_are_valid,
    ),
    Case(
        "show",
        f"show {SCENE} --out new.png",
        needs=(STORE,),
        wholes=("new.png",),
        is_costly=True,
    ),
    Case(
        "show-overwrite",
        f"show {SCENE} --prediction preds/majority --out scene.png --overwrite",
        needs=(STORE, "preds", "scene.png"),
        wholes=("scene.png",),
        is_costly=True,
    ),
)

_TRAIN: Final = f"baseline small.toml --store {STORE} --name mine --device cpu"

TRAINING_CASES: Final = (
    Case(
        "baseline",
        _TRAIN,
        needs=(STORE, "small.toml"),
        wholes=("preds/mine-seed0",),
        reader=runs_can_be_listed,
        final=run_is_finished,
        ignored=("runs/.*", ".*/description.json"),
        is_costly=True,
    ),
    Case(
        "baseline-overwrite",
        _TRAIN.replace("mine", "old") + " --overwrite",
        needs=(STORE, "small.toml", "runs"),
        wholes=("preds/old-seed0",),
        reader=runs_can_be_listed,
        final=run_is_finished,
        ignored=("runs/.*", ".*/description.json"),
        is_costly=True,
    ),
    Case(
        "predict",
        f"predict runs/old-seed0 --store {STORE} --out new --probabilities",
        needs=(STORE, "runs"),
        wholes=("new",),
    ),
    Case(
        "predict-overwrite",
        f"predict runs/old-seed0 --scene rtt/test/{SCENE}_prep.nc --out preds/majority --overwrite",
        needs=("rtt", "runs", "preds"),
        wholes=("preds/majority",),
    ),
)
