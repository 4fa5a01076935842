"""The U-Net's published protocol: scores against labels that were made coarse.

Chen et al. 2024 scored their test scenes against labels downscaled by ten and upscaled again, not
against the charts as released. What a network cannot resolve counts nothing then. The scores here
stand beside the official ones for comparison with that paper; they are never ranked.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from autoice_bench.callbacks import Progress
from autoice_bench.charts import CHARTS
from autoice_bench.scoring.metrics.histograms import Histogram, joint_histogram
from autoice_bench.scoring.predictions.reading import open_predictions
from autoice_bench.scoring.scores import compute_official_scores
from autoice_bench.scoring.truth.store_truth import StoreTruth


def make_labels_coarse(labels: NDArray[np.uint8], ratio: int) -> NDArray[np.uint8]:
    """Labels downscaled to every ``ratio``-th pixel and upscaled again to blocks of it.

    Args:
        labels: (lines, samples) classes, 255 where unlabelled.
        ratio: pixels along a side of a block; 1 changes nothing.

    Returns:
        (lines, samples): pixel (l, s) holds that of (l - l mod ratio, s - s mod ratio).
    """
    lines, samples = (np.arange(size) // ratio * ratio for size in labels.shape)
    coarse: NDArray[np.uint8] = labels[lines[:, None], samples]
    return coarse


def score_by_published_protocol(
    predictions: Path,
    store: Path,
    *,
    split: str,
    subset: str = "test",
    ratio: int = 10,
    progress: Progress | None = None,
) -> dict[str, float | None]:
    """Score predictions at 80 m against coarse labels, all scenes pooled.

    Args:
        predictions: folder of predictions, complete.
        store: the store's folder.
        split: name of a split, or its JSON file.
        subset: subset of the split.
        ratio: of the labels: the recipe's ``downscale``.
        progress: called after each scene.

    Returns:
        Percent, rounded as the official evaluation does: combined, then each chart; None where
        undefined. Not a submission's score: see the module's text.

    Raises:
        PredictionError: a scene is missing or does not fit the labels.
        SplitError, StoreError: the split or the store is not usable.
    """
    truth, source = StoreTruth(store), open_predictions(predictions)
    scenes = truth.select(split, subset)
    pooled: dict[str, Histogram] = {
        chart.name: np.zeros((chart.n_classes, chart.n_classes + 1), np.int64) for chart in CHARTS
    }
    for done, scene in enumerate(scenes, start=1):
        labels = truth.read(scene.scene_id)
        where = f"{predictions}: scene {scene.scene_id}"
        for chart in CHARTS:
            pooled[chart.name] += joint_histogram(
                make_labels_coarse(labels[chart.name], ratio),
                source.read(scene.scene_id, chart.name),
                chart,
                where=where,
            )
        if progress is not None:
            progress(done, len(scenes))
    return compute_official_scores(pooled)
