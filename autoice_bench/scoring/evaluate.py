"""One pass over the scenes: truth and predictions in, joint histograms out.

Memory is that of one scene, whatever their number; scenes are independent, so they go to a pool of
processes or to a dask cluster unchanged.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from autoice_bench.callbacks import Progress
from autoice_bench.charts import CHART_NAMES, CHARTS
from autoice_bench.errors import PredictionError
from autoice_bench.formats.label_rule import LabelRule
from autoice_bench.formats.store_layout import hash_charts
from autoice_bench.scoring.metrics.histograms import Histogram, joint_histogram, validate_classes
from autoice_bench.scoring.predictions.shapes import describe_shape
from autoice_bench.scoring.truth.protocol import (
    Truth,
    TruthScene,
    compute_truth_fingerprint,
)
from autoice_bench.wording import make_visible

if TYPE_CHECKING:
    from autoice_bench.scoring.predictions.reading import Predictions

_MOST_PROBLEMS: Final = 10

# The NetCDF library is not thread-safe, and a dask worker has threads; it also keeps a process to
# the memory of one scene.
_ONE_SCENE: Final = threading.Lock()


@dataclass(frozen=True)
class SceneCounts:
    """What one scene contributes.

    Attributes:
        scene: the scene, its ``truth_sha256`` filled in.
        histograms: chart name to (n_classes, n_classes + 1) counts.
        prediction_sha256: digest of the predicted classes (SIC, SOD, FLOE; uint8, C order).
    """

    scene: TruthScene
    histograms: dict[str, Histogram]
    prediction_sha256: str


@dataclass(frozen=True)
class Evaluation:
    """The joint histograms of a set of predictions, and what they were counted against.

    Attributes:
        split, subset: the split's own name, and the subset scored.
        rule: label rule of the truth.
        simulated: whether the truth is simulated.
        scenes: the scenes scored, sorted by id.
        histograms: chart name to (n_scenes, n_classes, n_classes + 1) counts.
        predictions_sha256: digest over the scenes' ids and prediction digests; the same for the
            same predictions in any accepted format.
        missing: what the subset has and the predictions lack; not empty only with
            ``allow_partial``, and then the evaluation is not rankable.
    """

    split: str
    subset: str
    rule: LabelRule
    simulated: bool
    scenes: tuple[TruthScene, ...]
    histograms: Mapping[str, NDArray[np.int64]]
    predictions_sha256: str
    missing: tuple[str, ...] = ()

    @property
    def board(self) -> str:
        """Leaderboard the evaluation belongs to: the split, with the subset unless it is test."""
        return board_name(self.split, self.subset)

    @property
    def rankable(self) -> bool:
        """Whether every scene and chart of the subset was scored."""
        return not self.missing

    @property
    def truth_fingerprint(self) -> str:
        """Identity of the truth that was scored against; see ``compute_truth_fingerprint``."""
        digests = {scene.scene_id: str(scene.truth_sha256) for scene in self.scenes}
        return compute_truth_fingerprint(self.rule, digests)

    @property
    def mask_class_pixels(self) -> dict[str, int]:
        """Chart name to scored pixels predicted as the mask class (always wrong)."""
        return {name: int(counts[:, :, -1].sum()) for name, counts in self.histograms.items()}


def board_name(split: str, subset: str) -> str:
    """Leaderboard of a split (by its own name) and subset: ``official``, ``official-val``."""
    return split if subset == "test" else f"{split}-{subset}"


def evaluate(
    predictions: Predictions | Path | str,
    truth: Truth,
    *,
    split: str | Path = "official",
    subset: str = "test",
    allow_partial: bool = False,
    workers: int | None = 1,
    scheduler: str | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Count the joint histograms of predictions against a subset of a split.

    Args:
        predictions: an opened source or its path, in any accepted format.
        truth: a ``StoreTruth`` or ``RttTruth``.
        split: name of a split, or path of its JSON file.
        subset: ``train``, ``val`` or ``test``.
        allow_partial: score what is there; the result is not rankable.
        workers: processes, this one included; None for one per 100 Mpixel, at most one per core.
            With several, a script needs the usual ``if __name__ == "__main__"``.
        scheduler: address of a dask scheduler, or the file that it wrote, to run on instead; its
            workers must see the same paths.
        progress: called after each scene.

    Raises:
        PredictionError: a scene is missing or unknown, a chart is missing, or an array does not
            fit the truth.
        SplitError: the split is unknown or incomplete.
        ClusterError: the dask cluster is not there, or cannot do this work.
    """
    from autoice_bench.scoring.predictions.reading import open_predictions
    from autoice_bench.scoring.scene_map import map_scenes

    if isinstance(predictions, str | Path):
        predictions = open_predictions(Path(predictions))
    if scheduler is not None:  # workers run in other folders
        predictions, truth = predictions.in_any_folder(), truth.in_any_folder()
    scenes = truth.select(split, subset)
    missing, problems = _check_structure(predictions, scenes, allow_partial=allow_partial)
    if problems:
        shown = problems[:_MOST_PROBLEMS]
        rest = len(problems) - len(shown)
        raise PredictionError("\n".join([*shown, *([f"... and {rest} more"] if rest else [])]))
    present = [scene for scene in scenes if scene.scene_id in set(predictions.scene_ids)]
    count = partial(count_scene, predictions, truth)
    results = sorted(
        map_scenes(
            count, present, workers, scheduler, progress, partial(_files_of, predictions, truth)
        ),
        key=lambda counts: counts.scene.scene_id,
    )
    return Evaluation(
        split=truth.split_name(split),
        subset=subset,
        rule=truth.rule,
        simulated=truth.simulated,
        scenes=tuple(counts.scene for counts in results),
        histograms={
            name: np.stack([counts.histograms[name] for counts in results]) for name in CHART_NAMES
        },
        predictions_sha256=_hash_predictions(results),
        missing=tuple(missing),
    )


def _files_of(predictions: Predictions, truth: Truth, scene: TruthScene) -> tuple[Path, ...]:
    return (*predictions.files_of(scene.scene_id), *truth.files_of(scene.scene_id))


def count_scene(predictions: Predictions, truth: Truth, scene: TruthScene) -> SceneCounts:
    """Read one scene's truth and predictions and count its joint histograms.

    A chart that the predictions lack has a histogram of zeros.

    Raises:
        PredictionError: a predicted chart does not fit the truth.
    """
    with _ONE_SCENE:
        try:
            return _count_scene(predictions, truth, scene)
        except MemoryError as error:
            raise PredictionError(
                f"{predictions.path}: scene {scene.scene_id} asks for more memory than there is; "
                "fewer --workers leave more to each"
            ) from error


def _count_scene(predictions: Predictions, truth: Truth, scene: TruthScene) -> SceneCounts:
    charts = truth.read(scene.scene_id)
    present = predictions.read_shapes(scene.scene_id)
    where = f"{predictions.path}: scene {scene.scene_id}"
    histograms: dict[str, Histogram] = {}
    digest = hashlib.sha256()
    for chart in CHARTS:
        if chart.name not in present:
            histograms[chart.name] = np.zeros((chart.n_classes, chart.n_classes + 1), np.int64)
            continue
        truth_chart = charts[chart.name]
        values = predictions.read(scene.scene_id, chart.name)
        classes = validate_classes(values, chart, where=where, truth=truth_chart)
        classes = np.ascontiguousarray(classes)
        histograms[chart.name] = joint_histogram(truth_chart, classes, chart, where=where)
        digest.update(classes.data)
    if scene.truth_sha256 is None:
        scene = replace(scene, truth_sha256=hash_charts(charts))
    if scene.region is not None:  # of a file that somebody else may have written
        scene = replace(scene, region=make_visible(scene.region))
    return SceneCounts(scene, histograms, digest.hexdigest())


def _check_structure(
    predictions: Predictions, scenes: tuple[TruthScene, ...], *, allow_partial: bool
) -> tuple[list[str], list[str]]:
    """What is missing though allowed to be, and what is wrong: one line each."""
    missing: list[str] = []
    problems: list[str] = []
    wanted = {scene.scene_id for scene in scenes}
    unknown = sorted(set(predictions.scene_ids) - wanted)
    if unknown and not allow_partial:
        problems += [
            f"{predictions.path}: scene {scene_id} is not among the {len(wanted)} scenes of the "
            "subset; remove it or choose another --split or --subset"
            for scene_id in unknown
        ]
    for scene in scenes:
        if scene.scene_id not in predictions.scene_ids:
            missing.append(f"{predictions.path}: scene {scene.scene_id} is missing")
            continue
        where = f"{predictions.path}: scene {scene.scene_id}"
        shapes = predictions.read_shapes(scene.scene_id)
        missing += [f"{where} lacks {name}" for name in CHART_NAMES if name not in shapes]
        problems += [
            f"{where}: {name} has shape {shape}; the truth has {scene.shape}"
            f"{describe_shape(shape, scene.shape)}"
            for name, shape in shapes.items()
            if shape != scene.shape
        ]
    if len(missing) and wanted.isdisjoint(predictions.scene_ids):
        return [], [*problems, f"{predictions.path}: holds none of the subset's scenes"]
    if missing and not allow_partial:
        hint = " (--allow-partial scores what is there, unranked)"
        return [], [line + hint for line in missing] + problems
    return missing, problems


def _hash_predictions(results: list[SceneCounts]) -> str:
    digests = [[counts.scene.scene_id, counts.prediction_sha256] for counts in results]
    return hashlib.sha256(json.dumps(digests, separators=(",", ":")).encode()).hexdigest()
