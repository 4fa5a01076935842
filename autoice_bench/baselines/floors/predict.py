"""Floors: baselines without a network, which any model should beat.

``majority`` predicts the training scenes' most frequent class everywhere; ``amsr2-threshold`` puts
one threshold per chart on passive microwave. Both are fitted on the split's training scenes only.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from autoice_bench import __version__
from autoice_bench.baselines.floors import amsr2_threshold
from autoice_bench.baselines.machine.interruption import clean_termination
from autoice_bench.callbacks import Progress
from autoice_bench.charts import CHARTS
from autoice_bench.datasets.store.index import read_index
from autoice_bench.datasets.store.root import Store, open_store
from autoice_bench.datasets.store.scene_dataset import open_stacked
from autoice_bench.errors import StoreError
from autoice_bench.formats.shards import ZARR_METADATA
from autoice_bench.formats.split_file import read_split
from autoice_bench.scoring.predictions.reading import TIE_POINT_NAMES
from autoice_bench.scoring.predictions.writing import (
    Classes,
    require_replaceable,
    whole_predictions,
    write_description,
    write_prediction,
)

Predictor = Callable[[xr.Dataset], Classes]
"""A scene of the store to its predicted classes, (lines, samples) each."""


def fit_majority(store: Store, train: Sequence[str]) -> tuple[Predictor, dict[str, Any]]:
    """Fit ``majority``: each chart's most frequent class over the training scenes.

    Returns:
        The predictor and what was fitted.

    Raises:
        StoreError: the index lacks a training scene.
    """
    index = read_index(store).set_index("scene_id")
    absent = sorted(set(train) - set(index.index))
    if absent:
        raise StoreError(f"{store.index_path}: lacks scene {absent[0]} of the split")
    scenes = index.loc[list(train)]
    classes = {
        chart.name: int(
            np.argmax([scenes[f"{chart.name}_{k}"].sum() for k in range(chart.n_classes)])
        )
        for chart in CHARTS
    }
    return partial(_predict_constant, classes=classes), {"classes": classes}


def _predict_constant(scene: xr.Dataset, classes: dict[str, int]) -> Classes:
    shape = (scene.sizes["sar_lines"], scene.sizes["sar_samples"])
    return {name: np.full(shape, value, np.uint8) for name, value in classes.items()}


def fit_threshold(store: Store, train: Sequence[str]) -> tuple[Predictor, dict[str, Any]]:
    """Fit ``amsr2-threshold``; see ``amsr2_threshold``.

    Returns:
        The predictor and what was fitted.

    Raises:
        StoreError: a training scene is not in the store.
    """
    totals: dict[str, NDArray[np.int64]] = {}
    for scene_id in train:
        with _open_scene(store, scene_id) as scene:
            for name, counts in amsr2_threshold.count_by_ratio(scene).items():
                totals[name] = totals.get(name, 0) + counts
    stumps = {chart.name: amsr2_threshold.fit_stump(totals[chart.name], chart) for chart in CHARTS}
    fitted = {name: asdict(stump) for name, stump in stumps.items()}
    return partial(amsr2_threshold.predict_by_threshold, stumps=stumps), fitted


FLOORS: Final = {"majority": fit_majority, "amsr2-threshold": fit_threshold}


def predict_floor(
    name: str,
    store: Path,
    out: Path,
    *,
    split: str = "official",
    subset: str = "test",
    overwrite: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Fit a floor on a split's training scenes and write its predictions of a subset.

    Args:
        name: a key of ``FLOORS``.
        store: the store's folder.
        out: folder for ``<scene_id>.nc`` and ``description.json``.
        split: name of a split of the store, or path of its JSON file.
        subset: subset to predict.
        overwrite: replace the predictions that ``out`` holds, once the new ones are all there.
        progress: called after each scene.

    Returns:
        What was fitted: classes, or thresholds with the class on either side.

    Raises:
        PredictionError: ``out`` exists and ``overwrite`` is not set, or it holds something else.
        SplitError, StoreError: the split or the store is not usable.
    """
    require_replaceable(out, overwrite=overwrite)
    opened = open_store(store, require_complete=True)
    chosen = read_split(store, split)
    scene_ids = chosen.require_scenes(subset)
    predict, fitted = FLOORS[name](opened, chosen.require_scenes("train"))
    attributes = {"title": f"autoice-bench {name}", "source": f"autoice-bench {__version__}"}
    description = {
        "description": f"{name} floor of autoice-bench {__version__}, fitted: "
        + json.dumps(fitted, separators=(", ", ": ")),
        "recipe": name,
        "store_fingerprint": opened.fingerprint,
        "trained_on_test": "no",
    }
    with clean_termination(), whole_predictions(out, overwrite=overwrite) as partial:
        for done, scene_id in enumerate(scene_ids, start=1):
            with _open_scene(opened, scene_id) as scene:
                tie_points = {key: scene[key].values for key in TIE_POINT_NAMES}
                write_prediction(partial, scene_id, predict(scene), tie_points, attributes)
            if progress is not None:
                progress(done, len(scene_ids))
        write_description(partial, description)
    return fitted


def _open_scene(store: Store, scene_id: str) -> xr.Dataset:
    folder = store.scene_path(scene_id)
    if not (folder / ZARR_METADATA).is_file():
        raise StoreError(f"{store.path}: scene {scene_id} of the split is not in the store")
    return open_stacked(store, scene_id)
