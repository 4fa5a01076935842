"""Scores of predicted charts, counted on the device and added up over scenes."""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from autoice_bench.baselines.tasks.chart_loss import MultiTaskLoss
from autoice_bench.baselines.tasks.chart_outputs import Outputs, to_classes
from autoice_bench.baselines.tasks.contract import Maps, Validation
from autoice_bench.charts import CHARTS, FILL_VALUE
from autoice_bench.scoring.metrics.formulas import chart_score, official_combined, official_score
from autoice_bench.scoring.metrics.histograms import Histogram

_BINS: Final = 16
"""A pair of classes is one number: truth times this plus prediction."""

_MASKED_BIN: Final = _BINS * _BINS - 1


class ChartValidationCounts:
    """Loss sums and joint histograms of predicted charts, counted on the device.

    Args:
        loss: the training loss.
        device: where the maps are.
    """

    def __init__(self, loss: MultiTaskLoss, device: torch.device) -> None:
        n = len(CHARTS)
        self._loss = loss
        self._sums = torch.zeros(n, dtype=torch.float64, device=device)
        self._pixels = torch.zeros(n, dtype=torch.int64, device=device)
        self._pairs = torch.zeros(n, _BINS * _BINS, dtype=torch.int64, device=device)

    def add(self, maps: Maps, labels: Tensor) -> None:
        """Count some lines of a scene.

        Args:
            maps: of the network, at full size.
            labels: (B, 3, lines, samples) uint8, 255 where there is none.
        """
        sums, pixels = self._loss.chart_sums(maps, labels)
        self._sums += sums
        self._pixels += pixels
        self._pairs += count_pairs(labels, to_classes(Outputs(*maps)))

    def tensors(self) -> tuple[Tensor, ...]:
        """Loss sums (3,), labelled pixels (3,) and pairs of classes (3, 256)."""
        return self._sums, self._pixels, self._pairs

    def summarise(self, tensors: tuple[Tensor, ...]) -> Validation:
        """Pooled loss and official scores of the sums over all processes."""
        sums, pixels, pairs = tensors
        total, losses = self._loss.pool(sums, pixels)
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


def count_pairs(truth: Tensor, prediction: Tensor) -> Tensor:
    """Count pairs of classes on the device: ``scoring.metrics.histograms`` without the transfer.

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
