"""Scores of predicted charts, counted on the device and added up over scenes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from autoice_bench.baselines.tasks.chart_loss import MultiTaskLoss
from autoice_bench.charts import CHARTS, FILL_VALUE
from autoice_bench.scoring.metrics.formulas import chart_score, official_combined, official_score
from autoice_bench.scoring.metrics.histograms import Histogram

_BINS: Final = 16
"""A pair of classes is one number: truth times this plus prediction."""

_MASKED_BIN: Final = _BINS * _BINS - 1


@dataclass(frozen=True)
class Validation:
    """What validation found.

    Attributes:
        loss: the recipe's weighted sum of the charts' losses.
        losses: loss of each chart, mean over its labelled pixels; 0 without any.
        scores: official score of each chart, percent; NaN where undefined.
        combined: official combined score, percent; NaN where a chart's is.
        histograms: (n_classes, n_classes + 1) pixel counts of each chart.
    """

    loss: float
    losses: dict[str, float]
    scores: dict[str, float]
    combined: float
    histograms: dict[str, Histogram]


def count_pairs(truth: Tensor, prediction: Tensor) -> Tensor:
    """Count pairs of classes on the device: ``scoring.histograms`` without moving the pixels.

    Args:
        truth: (B, 3, H, W) uint8 classes or 255.
        prediction: (B, 3, H, W) uint8 classes.

    Returns:
        (3, 256) int64 pixel counts by truth * 16 + prediction; the last holds those without truth.
    """
    keys = truth.to(torch.int64) * _BINS + prediction
    keys = torch.where(truth == FILL_VALUE, _MASKED_BIN, keys)
    by_chart = keys.transpose(0, 1).flatten(1)
    return torch.stack([torch.bincount(chart, minlength=_BINS * _BINS) for chart in by_chart])


def to_histograms(pairs: NDArray[np.int64]) -> dict[str, Histogram]:
    """The joint histogram of each chart from the counts of ``count_pairs``."""
    return {
        chart.name: pairs[k].reshape(_BINS, _BINS)[: chart.n_classes, : chart.n_classes + 1].copy()
        for k, chart in enumerate(CHARTS)
    }


def _summarise(loss: MultiTaskLoss, sums: Tensor, counts: Tensor, pairs: Tensor) -> Validation:
    total, losses = loss.pool(sums, counts)
    histograms = to_histograms(pairs.cpu().numpy())
    scores = {
        chart.name: float(official_score(chart_score(histograms[chart.name], chart)))
        for chart in CHARTS
    }
    return Validation(
        loss=float(total),
        losses={name: float(value) for name, value in losses.items()},
        scores=scores,
        combined=float(official_combined(scores)),
        histograms=histograms,
    )
