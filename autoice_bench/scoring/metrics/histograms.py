"""Joint (truth x prediction) histograms of a chart: the sufficient statistic of every score.

Histograms of scenes add up to the histogram of the pooled pixels, so any order, chunking or number
of processes gives the same score.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from autoice_bench.charts import FILL_VALUE, Chart
from autoice_bench.errors import PredictionError

Histogram = NDArray[np.int64]
"""(n_classes, n_classes + 1) pixel counts: truth class by predicted class, the mask class last."""

BLOCK_PIXELS: Final = 1 << 18
"""Pixels per block: its keys and their index copy stay in a core's second-level cache."""

_NIBBLE: Final = 16
_FILL_NIBBLE: Final = FILL_VALUE & (_NIBBLE - 1)
_MASKED_WORD: Final = np.uint64(2**64 - 1)
"""Eight pixels of fill value 255."""


def joint_histogram(
    truth: NDArray[np.uint8],
    prediction: NDArray[np.uint8],
    chart: Chart,
    *,
    where: str = "prediction",
) -> Histogram:
    """Count the pixels of each pair (truth class, predicted class) where the truth is valid.

    Pixels whose truth is the fill value (255) are dropped; so is a 255 predicted there.

    Args:
        truth: classes or 255, uint8, any shape.
        prediction: classes, the chart's mask class or (where truth is 255) 255; uint8, same shape.
        chart: the chart both belong to.
        where: names the scene in error messages.

    Returns:
        (n_classes, n_classes + 1) int64; the last column is the mask class.

    Raises:
        PredictionError: shapes differ, the prediction holds another value, or 255 where the truth
            is valid; also if the truth itself holds a value that is no class.
    """
    if truth.shape != prediction.shape:
        raise PredictionError(
            f"{where}: {chart.name} has shape {prediction.shape}; the truth has {truth.shape}"
        )
    if truth.dtype != np.uint8 or prediction.dtype != np.uint8:
        raise TypeError(f"expected uint8 arrays, got {truth.dtype} and {prediction.dtype}")
    flat_truth, flat_prediction = np.ravel(truth), np.ravel(prediction)
    _require_range(flat_truth, chart, chart.n_classes - 1, f"{where}: the truth of")
    _require_range(flat_prediction, chart, chart.mask_class, f"{where}:")
    nibbles = _nibble_histogram(flat_truth, flat_prediction)
    n_missing = int(nibbles[: chart.n_classes, _FILL_NIBBLE].sum())
    if n_missing:
        raise PredictionError(
            f"{where}: {chart.name} is {FILL_VALUE} or NaN in {n_missing} pixels where the truth "
            f"is valid; expected a class 0-{chart.n_classes - 1} in each"
        )
    return nibbles[: chart.n_classes, : chart.mask_class + 1].copy()


def validate_classes(
    values: NDArray[Any], chart: Chart, *, where: str = "prediction"
) -> NDArray[np.uint8]:
    """Turn predicted values of any real dtype into uint8 classes; NaN becomes 255.

    Args:
        values: whole numbers, or floats that are whole; any shape.
        chart: the chart the values belong to.
        where: names the scene in error messages.

    Raises:
        PredictionError: a value is not whole, is infinite, or lies outside 0..255.
    """
    if values.dtype == np.uint8:
        return values
    if values.dtype.kind not in "iufb":
        raise PredictionError(
            f"{where}: {chart.name} has dtype {values.dtype}; expected whole numbers, best uint8"
        )
    classes = np.empty(values.shape, np.uint8)
    flat_values, flat_classes = np.ravel(values), classes.reshape(-1)
    for start in range(0, values.size, BLOCK_PIXELS):  # in blocks: float64 scenes are 200 MB
        block = slice(start, start + BLOCK_PIXELS)
        flat_classes[block] = _block_to_classes(flat_values[block], chart, where)
    return classes


def _require_range(values: NDArray[np.uint8], chart: Chart, highest: int, subject: str) -> None:
    # Adding 1 turns the fill value 255 into 0, so that one maximum checks classes and fill value.
    shifted = np.empty(min(BLOCK_PIXELS, values.size), np.uint8)
    for start in range(0, values.size, BLOCK_PIXELS):
        block = values[start : start + BLOCK_PIXELS]
        found = np.add(block, np.uint8(1), out=shifted[: block.size]).max()
        if found > highest + 1:
            classes = f"classes 0-{chart.n_classes - 1}"
            if highest == chart.mask_class:
                classes += f", mask class {chart.mask_class}"
            raise PredictionError(
                f"{subject} {chart.name} holds {int(found) - 1}; expected {classes} "
                f"or fill {FILL_VALUE}"
            )


def _nibble_histogram(truth: NDArray[np.uint8], prediction: NDArray[np.uint8]) -> Histogram:
    """(16, 16) counts by the low four bits of truth and prediction; the fill row is incomplete.

    ``np.bincount`` copies its argument to 8-byte integers, which is what it spends its time on. So
    eight pixels that are all masked (a word of ones) are left out before, and two pixels share one
    16-bit key, which halves the copy; the 65,536 bins are folded after.
    """
    n_words = truth.size // 8
    n_whole = n_words * 8
    truth_words = truth[:n_whole].view(np.uint64)
    prediction_words = prediction[:n_whole].view(np.uint64)
    pairs = np.zeros(256 * 256, np.int64)
    step = max(1, BLOCK_PIXELS // 8)
    for start in range(0, n_words, step):
        block = slice(start, start + step)
        kept = np.flatnonzero(truth_words[block] != _MASKED_WORD)
        keys = _pack(truth_words[block][kept], prediction_words[block][kept])
        pairs += np.bincount(keys.view(np.uint16), minlength=pairs.size)
    folded = pairs.reshape(256, 256)
    counts: Histogram = (folded.sum(axis=0) + folded.sum(axis=1)).reshape(_NIBBLE, _NIBBLE)
    rest = _pack(truth[n_whole:], prediction[n_whole:])
    counts += np.bincount(rest, minlength=counts.size).reshape(counts.shape)
    return counts


def _pack(truth: NDArray[Any], prediction: NDArray[Any]) -> NDArray[np.uint8]:
    """Key of each pixel: low bits of the truth above those of the prediction."""
    keys = np.left_shift(truth.view(np.uint8), 4)
    np.bitwise_or(keys, np.bitwise_and(prediction.view(np.uint8), _NIBBLE - 1), out=keys)
    return keys


def _block_to_classes(values: NDArray[Any], chart: Chart, where: str) -> NDArray[Any]:
    if values.dtype.kind == "f":
        values = np.where(np.isnan(values), values.dtype.type(FILL_VALUE), values)
        fractional = values != np.rint(values)
        if fractional.any():
            raise PredictionError(
                f"{where}: {chart.name} holds {float(values[fractional][0]):g}, which is not "
                "whole; expected classes (round them first)"
            )
    for value in (values.min(), values.max()):
        if not 0 <= value <= FILL_VALUE:
            raise PredictionError(
                f"{where}: {chart.name} holds {value:g}; expected classes "
                f"0-{chart.n_classes - 1} or fill {FILL_VALUE}"
            )
    return values
