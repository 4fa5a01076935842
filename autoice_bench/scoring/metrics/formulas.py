"""Scores from joint histograms, and only from them.

Every function takes ``counts`` of shape (..., C, C + 1): truth class by predicted class, the mask
class in the last column (see ``histograms``). Leading axes are independent: scenes, groups or
bootstrap resamples. Results are fractions (1.0 is perfect) and NaN where undefined.

Equal to scikit-learn on the pooled pixels within 1e-9 (``r2_score``, ``f1_score``,
``accuracy_score``), which is what the challenge's evaluation calls. Definitions with sources:
docs/scores.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from autoice_bench.charts import CHARTS, Chart

Counts = NDArray[Any]
Values = NDArray[np.float64]

PERCENT_PER_SIC_CLASS: Final = 10.0
"""SIC class k stands for a concentration of 10 k percent."""

OFFICIAL_DECIMALS: Final = 3


def true_positives(counts: Counts) -> NDArray[Any]:
    """Correct pixels of each class: (..., C)."""
    diagonal: NDArray[Any] = np.diagonal(counts, axis1=-2, axis2=-1)
    return diagonal


def support(counts: Counts) -> NDArray[Any]:
    """Pixels of each class in the truth: (..., C)."""
    sums: NDArray[Any] = counts.sum(axis=-1)
    return sums


def predicted(counts: Counts) -> NDArray[Any]:
    """Pixels of each class in the prediction, the mask class left out: (..., C)."""
    sums: NDArray[Any] = counts.sum(axis=-2)[..., :-1]
    return sums


def r2(counts: Counts) -> Values:
    """Coefficient of determination of the class index, R2 = 1 - SS_res / SS_tot.

    The mask class counts as its number (11 for SIC), as it does in the official evaluation. NaN
    where the truth holds fewer than two classes (``sklearn.metrics.r2_score`` returns 1 or 0).
    """
    truth_class = np.arange(counts.shape[-2], dtype=np.float64)
    predicted_class = np.arange(counts.shape[-1], dtype=np.float64)
    in_truth = support(counts)
    mean = _divide((in_truth * truth_class).sum(axis=-1), in_truth.sum(axis=-1))
    # Deviations from the mean, not a difference of sums of squares, which cancels badly.
    deviation = truth_class - mean[..., np.newaxis]
    total = (in_truth * deviation**2).sum(axis=-1)
    residual = _weigh(counts, (truth_class[:, np.newaxis] - predicted_class) ** 2)
    several = (in_truth > 0).sum(axis=-1) > 1
    result: Values = np.where(several, 1.0 - _divide(residual, total), np.nan)
    return result


def precision(counts: Counts) -> Values:
    """True positives over predicted pixels, per class: (..., C)."""
    return _divide(true_positives(counts), predicted(counts))


def recall(counts: Counts) -> Values:
    """True positives over pixels in the truth, per class: (..., C)."""
    return _divide(true_positives(counts), support(counts))


def f1(counts: Counts) -> Values:
    """F1 = 2 TP / (2 TP + FP + FN) per class, (..., C); NaN where truth and prediction lack it."""
    return _divide(2 * true_positives(counts), support(counts) + predicted(counts))


def iou(counts: Counts) -> Values:
    """Intersection over union, TP / (TP + FP + FN), per class: (..., C)."""
    hits = true_positives(counts)
    return _divide(hits, support(counts) + predicted(counts) - hits)


def f1_weighted(counts: Counts) -> Values:
    """F1 averaged over the classes with their support as weight (``average="weighted"``)."""
    weights = support(counts)
    scores = np.where(weights > 0, f1(counts), 0.0)
    return _divide((scores * weights).sum(axis=-1), weights.sum(axis=-1))


def f1_macro(counts: Counts) -> Values:
    """F1 averaged over the classes that truth or prediction hold (``average="macro"``).

    A predicted mask class is one of them, with F1 = 0.
    """
    scores = f1(counts)
    n_classes = np.isfinite(scores).sum(axis=-1) + (counts[..., -1].sum(axis=-1) > 0)
    some = counts.sum(axis=(-2, -1)) > 0
    return np.where(some, _divide(np.nansum(scores, axis=-1), n_classes), np.nan)


def accuracy(counts: Counts) -> Values:
    """Share of the pixels with the right class."""
    return _divide(true_positives(counts).sum(axis=-1), counts.sum(axis=(-2, -1)))


def mean_absolute_error(counts: Counts) -> Values:
    """Mean |predicted - true| class index; the mask class counts as its number."""
    return _mean_of_difference(counts, absolute=True)


def bias(counts: Counts) -> Values:
    """Mean predicted - true class index; the mask class counts as its number."""
    return _mean_of_difference(counts, absolute=False)


def within_one_class(counts: Counts, *, first: int, last: int) -> Values:
    """Share of pixels of truth classes ``first``..``last`` predicted at most one class off.

    The prediction must lie in the same range: the classes outside it are not on the ordinal scale
    (the mask class never is).
    """
    block = counts[..., first : last + 1, first : last + 1]
    index = np.arange(last - first + 1)
    near = np.abs(index[:, np.newaxis] - index) <= 1
    considered = counts[..., first : last + 1, :].sum(axis=(-2, -1))
    return _divide((block * near).sum(axis=(-2, -1)), considered)


def merge_classes(counts: Counts, bands: tuple[tuple[int, int], ...]) -> Counts:
    """Histogram of merged classes: band k holds the classes ``bands[k][0]``..``bands[k][1]``.

    Returns:
        (..., K, K + 1); the mask class stays last.
    """
    rows = [counts[..., first : last + 1, :].sum(axis=-2) for first, last in bands]
    merged_rows = np.stack(rows, axis=-2)
    columns = [merged_rows[..., first : last + 1].sum(axis=-1) for first, last in bands]
    return np.stack([*columns, merged_rows[..., -1]], axis=-1)


def chart_score(counts: Counts, chart: Chart) -> Values:
    """The challenge's metric of a chart, as a fraction: R2 for SIC, weighted F1 for SOD, FLOE."""
    return r2(counts) if chart.metric == "r2" else f1_weighted(counts)


def combined_score(scores: Mapping[str, NDArray[Any] | float]) -> Values:
    """Mean of the three chart scores weighted (2, 2, 1); NaN where one of them is.

    Args:
        scores: chart name to score; all in the same unit, broadcastable.
    """
    total = sum(np.asarray(scores[chart.name], np.float64) * chart.weight for chart in CHARTS)
    return np.asarray(total / sum(chart.weight for chart in CHARTS), np.float64)


def official_score(score: NDArray[Any] | float) -> Values:
    """A fraction as the official evaluation prints it: percent, rounded to 3 decimals.

    Halves go to the even digit (``numpy.round``).
    """
    return np.round(np.asarray(score, np.float64) * 100, OFFICIAL_DECIMALS)


def official_combined(official: Mapping[str, NDArray[Any] | float]) -> Values:
    """The official combined score: from the *rounded* chart scores (percent), rounded again."""
    return np.round(combined_score(official), OFFICIAL_DECIMALS)


def _divide(numerator: NDArray[Any], denominator: NDArray[Any]) -> Values:
    """Quotient, NaN where the denominator is 0."""
    # Laid out in memory as what is divided: resamples lie side by side.
    result = np.empty_like(np.broadcast_arrays(numerator, denominator)[0], np.float64)
    result.fill(np.nan)
    np.divide(numerator, denominator, out=result, where=denominator != 0)
    return result


def _weigh(counts: Counts, weights: NDArray[Any]) -> NDArray[Any]:
    """Sum over the cells with a weight for each; exact for whole weights, in any order."""
    sums: NDArray[Any] = np.tensordot(counts, weights, axes=([-2, -1], [0, 1]))
    return sums


def _mean_of_difference(counts: Counts, *, absolute: bool) -> Values:
    difference = np.arange(counts.shape[-1]) - np.arange(counts.shape[-2])[:, np.newaxis]
    values = np.abs(difference) if absolute else difference
    return _divide(_weigh(counts, values), counts.sum(axis=(-2, -1)))
