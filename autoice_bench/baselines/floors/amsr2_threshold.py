"""One threshold on AMSR2 per chart: what a two-class look at passive microwave is worth.

The feature is the polarisation ratio at 18.7 GHz, PR = (V - H) / (V + H) of brightness temperatures
in kelvin: about 0.26 over calm open water and 0.03 over sea ice (Cavalieri et al. 1984, J. Geophys.
Res. 89(D4), 5355). Each chart gets its own threshold and one class on either side.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from autoice_bench.charts import CHART_NAMES, CHARTS, FILL_VALUE, Chart
from autoice_bench.formats.store_layout import CHARTS_ARRAY
from autoice_bench.formats.variables import PIXELS_PER_CELL, VARIABLES, destandardise
from autoice_bench.scoring.metrics.formulas import chart_score

CHANNELS: Final = ("btemp_18_7v", "btemp_18_7h")

BIN_EDGES: Final = np.linspace(0.0, 0.4, 201)
"""Candidate thresholds; ratios beyond the ends fall into the first and last bin."""


@dataclass(frozen=True)
class Stump:
    """A threshold on the polarisation ratio and the class on either side of it."""

    threshold: float
    class_below: int
    class_above: int


def compute_polarisation_ratio(scene: xr.Dataset) -> NDArray[np.float64]:
    """(V - H) / (V + H) at 18.7 GHz on the scene's 2 km grid.

    Args:
        scene: a scene of a store, with the standardised array ``amsr2``.
    """
    names = [str(name) for name in scene["amsr2_channel"].values]
    vertical, horizontal = (
        destandardise(VARIABLES[name], scene["amsr2"].values[names.index(name)].astype(np.float64))
        for name in CHANNELS
    )
    return np.asarray((vertical - horizontal) / (vertical + horizontal))


def count_by_ratio(scene: xr.Dataset) -> dict[str, NDArray[np.int64]]:
    """Count each chart's classes by bin of the ratio, at the centre pixel of every 2 km cell.

    Returns:
        Chart name to (n_bins, n_classes) counts; the fill value is left out.
    """
    ratio = compute_polarisation_ratio(scene)
    bins = np.clip(np.digitize(ratio, BIN_EDGES) - 1, 0, BIN_EDGES.size - 2)
    stacked = scene[CHARTS_ARRAY.name].values
    names = [str(name) for name in scene["chart"].values]
    centre = slice(PIXELS_PER_CELL // 2, None, PIXELS_PER_CELL)
    counts = {}
    for chart in CHARTS:
        classes = stacked[names.index(chart.name)][centre, centre]
        lines, samples = np.minimum(classes.shape, bins.shape)
        classes, cells = classes[:lines, :samples], bins[:lines, :samples]
        table = np.zeros((BIN_EDGES.size - 1, chart.n_classes), np.int64)
        valid = classes != FILL_VALUE
        np.add.at(table, (cells[valid], classes[valid]), 1)
        counts[chart.name] = table
    return counts


def fit_stump(counts: NDArray[np.int64], chart: Chart) -> Stump:
    """The threshold and classes with the highest training score of the chart.

    Either side gets the class best for the chart's metric: the rounded mean for R2, the most
    frequent for F1.

    Args:
        counts: (n_bins, n_classes) of the training scenes.
        chart: the chart counted.
    """
    below = np.cumsum(counts, axis=0)[:-1]
    above = counts.sum(axis=0) - below
    class_below, class_above = _best_class(below, chart), _best_class(above, chart)
    cuts = np.arange(len(below))
    joint = np.zeros((len(below), chart.n_classes, chart.n_classes + 1), np.int64)
    joint[cuts, :, class_below] += below
    joint[cuts, :, class_above] += above
    best = int(np.argmax(np.nan_to_num(chart_score(joint, chart), nan=-np.inf)))
    return Stump(float(BIN_EDGES[best + 1]), int(class_below[best]), int(class_above[best]))


def _best_class(counts: NDArray[np.int64], chart: Chart) -> NDArray[np.int64]:
    if chart.metric == "f1":
        return np.asarray(counts.argmax(axis=1), np.int64)
    n_pixels = np.maximum(counts.sum(axis=1), 1)
    return np.asarray(np.rint(counts @ np.arange(chart.n_classes) / n_pixels), np.int64)


def predict_by_threshold(
    scene: xr.Dataset, stumps: Mapping[str, Stump]
) -> dict[str, NDArray[np.uint8]]:
    """Predict the three charts at 80 m; pixels beyond the last cell take its value.

    Returns:
        Chart name to (lines, samples) uint8 classes.
    """
    ratio = compute_polarisation_ratio(scene)
    shape = (scene.sizes["sar_lines"], scene.sizes["sar_samples"])
    lines, samples = (
        np.minimum(np.arange(size) // PIXELS_PER_CELL, cells - 1)
        for size, cells in zip(shape, ratio.shape, strict=True)
    )
    return {
        name: np.where(
            ratio < stumps[name].threshold,
            np.uint8(stumps[name].class_below),
            np.uint8(stumps[name].class_above),
        )[np.ix_(lines, samples)]
        for name in CHART_NAMES
    }
