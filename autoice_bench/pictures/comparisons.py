"""A prediction beside a scene's charts: classes to show, and the scorer's own scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from autoice_bench.charts import CHARTS
from autoice_bench.datasets.readers.scene import SceneReader
from autoice_bench.errors import PredictionError
from autoice_bench.formats.store_layout import CHARTS_ARRAY
from autoice_bench.pictures.rasters import cut, pick
from autoice_bench.pictures.views import ScenePicture
from autoice_bench.scoring.metrics import formulas
from autoice_bench.scoring.metrics.histograms import joint_histogram, validate_classes
from autoice_bench.scoring.predictions.names import scene_of
from autoice_bench.scoring.predictions.reading import NetcdfFolder, Predictions, open_predictions


@dataclass(frozen=True)
class Comparison:
    """A prediction of one scene.

    Attributes:
        path: where it came from.
        classes: chart name to (m, n) uint8 predicted classes, as the view's charts.
        histograms: chart name to the joint histogram of the *whole* scene; empty without labels.
    """

    path: Path
    classes: Mapping[str, NDArray[np.uint8]]
    histograms: Mapping[str, NDArray[np.int64]]

    @property
    def scores(self) -> dict[str, float]:
        """The challenge's metric of each chart compared, a fraction; NaN where undefined."""
        return {
            chart.name: float(formulas.chart_score(self.histograms[chart.name], chart))
            for chart in CHARTS
            if chart.name in self.histograms
        }

    @property
    def combined(self) -> float | None:
        """The combined score; None unless every chart was compared."""
        scores = self.scores
        return float(formulas.combined_score(scores)) if len(scores) == len(CHARTS) else None


def open_prediction_of(path: Path, scene_id: str) -> Predictions:
    """Open predictions in any accepted format, or the `<scene_id>.nc` of one scene.

    Raises:
        PredictionError: there are none, or none of the scene.
    """
    path = Path(path)
    of_file = scene_of(path.name)
    if path.is_file() and of_file is not None:
        predictions: Predictions = NetcdfFolder(path.parent, (of_file,), (path.name,))
    else:
        predictions = open_predictions(path)
    if scene_id not in predictions.scene_ids:
        raise PredictionError(
            f"{path}: scene {scene_id} is not among its {len(predictions.scene_ids)} scenes"
        )
    return predictions


def compare_scene(scene: SceneReader, view: ScenePicture, path: Path) -> Comparison:
    """Read a scene's prediction and compare it with the charts as the scorer does.

    Args:
        scene: the scene, open.
        view: what is shown of it.
        path: predictions in any accepted format.

    Raises:
        PredictionError: there is no prediction of the scene, or it does not fit the scene.
        StoreError: the charts are damaged.
    """
    predictions = open_prediction_of(path, view.scene_id)
    where = f"{path}: scene {view.scene_id}"
    truth = scene.read_whole(CHARTS_ARRAY.name) if CHARTS_ARRAY.name in scene else None
    shapes = predictions.read_shapes(view.scene_id)
    if not shapes:
        raise PredictionError(f"{where} holds none of {', '.join(chart.name for chart in CHARTS)}")
    classes, histograms = {}, {}
    for index, chart in enumerate(CHARTS):
        if chart.name not in shapes:
            continue
        if shapes[chart.name] != view.shape:
            raise PredictionError(
                f"{where}: {chart.name} has shape {shapes[chart.name]}; the scene has {view.shape}"
            )
        predicted = validate_classes(
            predictions.read(view.scene_id, chart.name),
            chart,
            where=where,
            truth=None if truth is None else truth[index],
        )
        if truth is not None:
            histograms[chart.name] = joint_histogram(truth[index], predicted, chart, where=where)
        classes[chart.name] = pick(cut(predicted, view.window), view.step)
    return Comparison(path, classes, histograms)
