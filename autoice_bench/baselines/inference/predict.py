"""Predict: trained runs and scenes in, a folder of predictions out.

A folder of predictions appears whole, when every scene is there; predictions of two
calls never mix.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from autoice_bench import __version__
from autoice_bench.baselines.inference.probability_files import (
    write_probabilities,
)
from autoice_bench.baselines.inference.scene import SceneView, predict_scene
from autoice_bench.baselines.inference.tiles import MULTIPLE, Tiling
from autoice_bench.baselines.inference.trained_runs import (
    TrainedRun,
    describe_origin,
    open_trained_runs,
)
from autoice_bench.baselines.machine.devices import choose_device
from autoice_bench.baselines.machine.interruption import clean_termination
from autoice_bench.baselines.runs.checkpoints import CheckpointName
from autoice_bench.baselines.runs.folder import RunFolder
from autoice_bench.callbacks import Progress
from autoice_bench.datasets.patches.array_windows import find_tie_points, open_array_windows
from autoice_bench.datasets.patches.opening import open_windows
from autoice_bench.datasets.patches.windows import SceneWindows
from autoice_bench.datasets.readers.pixels import TiePoints
from autoice_bench.datasets.readers.scene import open_scene_reader
from autoice_bench.datasets.sources.rtt import read_scene
from autoice_bench.datasets.store.root import Store, open_store
from autoice_bench.errors import SceneError
from autoice_bench.formats.rtt_folder import SceneFile
from autoice_bench.formats.split_file import read_split
from autoice_bench.formats.variables import GridAnchor
from autoice_bench.scene_id import parse_scene_id
from autoice_bench.scoring.predictions.writing import (
    require_replaceable,
    whole_predictions,
    write_description,
    write_prediction,
)

_TILE: Final = 768
_OVERLAP: Final = 128


@dataclass(frozen=True)
class PredictResult:
    """What was predicted.

    Attributes:
        out: the folder of predictions.
        scene_ids: scenes predicted.
        notes: remarks for the user, one line each.
    """

    out: Path
    scene_ids: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Scene:
    """A scene to predict: where its windows are read for each member, and where it lies."""

    scene_id: str
    shape: tuple[int, int]
    tie_points: TiePoints
    views: tuple[SceneView, ...]


@dataclass(frozen=True)
class _Job:
    """What to do with every scene."""

    tiling: Tiling | None
    fallback: Tiling
    probabilities: bool
    progress: Progress | None
    notes: list[str] = field(default_factory=list)


def predict(
    runs: Sequence[Path | str] | Path | str,
    store: Store | Path | str,
    *,
    split: str = "official",
    subset: str = "test",
    out: Path | str,
    tile: int | None = None,
    overlap: int | None = None,
    probabilities: bool = False,
    checkpoint: CheckpointName | None = None,
    device: str = "auto",
    precision: str | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> PredictResult:
    """Predict the scenes of a split's subset with a trained run, or the mean of several.

    Args:
        runs: folder of a trained run, or of several: their probabilities are averaged, and so are
            their SIC regressions.
        store: a store or its path.
        split: name of a split of the store, or path of its JSON file.
        subset: subset to predict.
        out: folder for ``<scene_id>.nc`` and ``description.json``.
        tile: side of a tile in pixels of the network; None predicts scenes whole where memory
            allows.
        overlap: least overlap of tiles, in pixels of the network; None is 128, or half a tile
            where that is less.
        probabilities: also write ``<scene_id>_probabilities.nc``.
        checkpoint: ``best-combined``, ``best-loss`` or ``last``; None is the one that a run tests.
        device: ``auto``, ``cpu`` or ``cuda``.
        precision: ``auto``, ``bf16`` or ``fp32``; None is the recipe's.
        overwrite: replace the predictions that ``out`` holds.
        progress: called after each scene.

    Raises:
        PredictionError: ``out`` exists and ``overwrite`` is not set, or it cannot be written.
        BaselineError: a run, checkpoint or option is not usable, or memory is short.
        SplitError, StoreError: the split or the store is not usable.
    """
    out = Path(out)
    require_replaceable(out, overwrite=overwrite)
    tiling, fallback = _choose_tilings(tile, overlap)
    opened = open_store(store, require_complete=True)
    chosen = read_split(opened.path, split)
    scene_ids = chosen.require_scenes(subset)
    folders = [runs] if isinstance(runs, Path | str) else runs
    trained = open_trained_runs(
        [Path(folder) for folder in folders],
        grid_anchor=opened.grid_anchor,
        checkpoint=checkpoint,
        device=choose_device(device),
        precision=precision,
    )
    job = _Job(tiling, fallback, probabilities, progress)
    job.notes.extend(_compare_stores(trained, opened))
    windows = _share_windows(trained, lambda options: open_windows(opened, scene_ids, **options))
    scenes = (_open_stored(opened, scene_id, trained, windows) for scene_id in scene_ids)
    attributes = {
        **describe_origin(trained),
        "store_fingerprint": str(opened.fingerprint),
        "split": chosen.name,
        "subset": subset,
    }
    description = _describe(trained, job.tiling, scene_ids)
    return _predict(job, scenes, scene_ids, attributes, description, out, overwrite=overwrite)


def predict_files(
    runs: Sequence[Path],
    files: Sequence[Path],
    *,
    out: Path,
    tile: int | None = None,
    overlap: int | None = None,
    probabilities: bool = False,
    checkpoint: CheckpointName | None = None,
    device: str = "auto",
    precision: str | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> PredictResult:
    """Predict ready-to-train scene files without a store; the same pixels as through one.

    Args:
        runs: as in ``predict``, like the other arguments.
        files: NetCDF files whose names begin with a scene id.

    Raises:
        SceneError: a file is not a ready-to-train scene, or two hold one scene.
        PredictionError, BaselineError: as in ``predict``.
    """
    require_replaceable(out, overwrite=overwrite)
    tiling, fallback = _choose_tilings(tile, overlap)
    scene_files = _name_scenes(files)
    origin = RunFolder.open(runs[0]).read() if runs else {}
    grid_anchor: GridAnchor = origin.get("grid_anchor", "centre")
    trained = open_trained_runs(
        runs,
        grid_anchor=grid_anchor,
        checkpoint=checkpoint,
        device=choose_device(device),
        precision=precision,
    )
    job = _Job(tiling, fallback, probabilities, progress)
    dtype = origin.get("dtype", "float16")

    def read(file: SceneFile) -> _Scene:
        arrays = read_scene(file, dtype)
        windows = _share_windows(
            trained,
            lambda options: open_array_windows(arrays, grid_anchor=grid_anchor, **options),
        )
        views = _view(file.scene_id, trained, windows)
        _, lines, samples = arrays.sar.shape
        return _Scene(file.scene_id, (lines, samples), find_tie_points(arrays), views)

    scene_ids = tuple(file.scene_id for file in scene_files)
    description = _describe(trained, job.tiling, scene_ids)
    scenes = map(read, scene_files)
    return _predict(
        job, scenes, scene_ids, describe_origin(trained), description, out, overwrite=overwrite
    )


def _choose_tilings(tile: int | None, overlap: int | None) -> tuple[Tiling | None, Tiling]:
    """How to cut, and how to cut a scene that does not fit into memory whole."""
    size = _TILE if tile is None else tile
    if overlap is None:
        overlap = min(_OVERLAP, size // 2 // MULTIPLE * MULTIPLE)
    tiling = Tiling(size, overlap)
    return (None if tile is None else tiling), tiling


def _predict(
    job: _Job,
    scenes: Iterator[_Scene],
    scene_ids: Sequence[str],
    attributes: Mapping[str, str],
    description: Mapping[str, Any],
    out: Path,
    *,
    overwrite: bool,
) -> PredictResult:
    with clean_termination(), whole_predictions(out, overwrite=overwrite) as partial:
        for done, scene in enumerate(scenes, start=1):
            notes: list[str] = []
            prediction = predict_scene(
                scene.views,
                scene.shape,
                job.tiling,
                probabilities=job.probabilities,
                fallback=job.fallback,
                note=notes.append,
            )
            tiling = job.fallback if notes else job.tiling
            described = {**attributes, "tiles": _describe_tiling(tiling)}
            job.notes.extend(notes)
            tie_points = {
                "latitude": scene.tie_points.latitude,
                "longitude": scene.tie_points.longitude,
                "tie_line": scene.tie_points.line,
                "tie_sample": scene.tie_points.sample,
            }
            names = [output.name for output in scene.views[0].member.task.outputs]
            classes = dict(zip(names, prediction.classes, strict=True))
            write_prediction(partial, scene.scene_id, classes, tie_points, described)
            if prediction.probabilities is not None:
                write_probabilities(partial, scene.scene_id, prediction.probabilities, described)
            if job.progress is not None:
                job.progress(done, len(scene_ids))
        write_description(partial, description)
    return PredictResult(out, tuple(scene_ids), tuple(job.notes))


def _share_windows(
    runs: Sequence[TrainedRun], open_them: Callable[[dict[str, Any]], SceneWindows]
) -> list[SceneWindows]:
    """Where each run reads; runs that read the same share it, and what it keeps in memory."""
    opened: dict[tuple[Any, ...], SceneWindows] = {}
    windows = []
    for run in runs:
        options = {
            # SAR is read in any case: it carries the size of a window.
            "arrays": run.member.assemble.features.arrays | {"sar"},
            "downscale": run.recipe.downscale,
            "downscale_method": run.recipe.downscale_method,
        }
        key = tuple(options.values())
        if key not in opened:
            opened[key] = open_them(options)
        windows.append(opened[key])
    return windows


def _view(
    scene_id: str, runs: Sequence[TrainedRun], windows: Sequence[SceneWindows]
) -> tuple[SceneView, ...]:
    return tuple(
        SceneView(run.member, of_run, scene_id) for run, of_run in zip(runs, windows, strict=True)
    )


def _open_stored(
    store: Store, scene_id: str, runs: Sequence[TrainedRun], windows: Sequence[SceneWindows]
) -> _Scene:
    reader = open_scene_reader(store, scene_id)
    views = _view(scene_id, runs, windows)
    return _Scene(scene_id, reader.shape, reader.tie_points(), views)


def _name_scenes(files: Sequence[Path]) -> tuple[SceneFile, ...]:
    """The scenes that files hold by their names; as test scenes they need no labels."""
    scenes: dict[str, SceneFile] = {}
    for path in files:
        if not path.is_file():
            raise SceneError(f"scene {path}: no such file")
        scene_id = str(parse_scene_id(path.name))
        if scene_id in scenes:
            raise SceneError(f"scene {scene_id}: {scenes[scene_id].path} and {path}; expected one")
        scenes[scene_id] = SceneFile(scene_id, path, None, "test", None)
    return tuple(scenes.values())


def _compare_stores(runs: Sequence[TrainedRun], store: Store) -> Iterator[str]:
    for run in runs:
        if run.record.get("simulated", store.options.simulated) != store.options.simulated:
            kinds = ("real", "simulated")
            yield (
                f"run {run.name} was trained on {kinds[not store.options.simulated]} scenes; "
                f"those of {store.path} are {kinds[store.options.simulated]}"
            )


def _count_seen(runs: Sequence[TrainedRun], scene_ids: Sequence[str]) -> int | None:
    """How many of the scenes were trained or validated on; None where a run does not tell."""
    found: set[str] = set()
    for run in runs:
        if "train_scenes" not in run.record:
            return None
        found.update(run.record["train_scenes"], run.record["val_scenes"])
    return len(found.intersection(scene_ids))


def _describe(
    runs: Sequence[TrainedRun], tiling: Tiling | None, scene_ids: Sequence[str]
) -> dict[str, Any]:
    """The submission's description for the scorer; what several runs do not share is left out."""
    names = ", ".join(f"{run.name} ({run.checkpoint})" for run in runs)
    mean = f"mean of {len(runs)} networks: " if len(runs) > 1 else ""
    description: dict[str, Any] = {
        "description": f"{mean}{names}; {_describe_tiling(tiling)}; autoice-bench {__version__}",
        "recipe": _common(run.recipe.name for run in runs),
        "seed": _common(run.record["seed"] for run in runs),
        "store_fingerprint": _common(run.record["store_fingerprint"] for run in runs),
        "code_revision": _common(run.environment.get("git") for run in runs),
        "hardware": _common(_hardware(run.environment) for run in runs),
    }
    seconds = [run.record.get("training_seconds") for run in runs]
    known = [value for value in seconds if value is not None]
    if len(known) == len(runs):
        description["training_hours"] = round(sum(known) / 3600, 3)
    seen = _count_seen(runs, scene_ids)
    if seen is not None:
        description["trained_on_test"] = f"yes: {seen} of the scenes" if seen else "no"
    return {key: value for key, value in description.items() if value is not None}


def _common(values: Iterable[Any]) -> Any:
    found = list(values)
    return found[0] if all(value == found[0] for value in found) else None


def _hardware(environment: Mapping[str, Any]) -> str | None:
    gpus = environment.get("gpus")
    name = gpus[0] if gpus else environment.get("processor")
    return None if name is None else str(name)


def _describe_tiling(tiling: Tiling | None) -> str:
    if tiling is None:
        return "whole scenes"
    return f"tiles of {tiling.size} pixels, overlap {tiling.overlap}"
