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
from autoice_bench.formats.whole_numbers import round_to_whole, shown

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
            f"{_describe_turn(truth, prediction)}"
        )
    return nibbles[: chart.n_classes, : chart.mask_class + 1].copy()


def validate_classes(
    values: NDArray[Any],
    chart: Chart,
    *,
    where: str = "prediction",
    truth: NDArray[np.uint8] | None = None,
) -> NDArray[np.uint8]:
    """Turn predicted values of any real dtype into uint8 classes; NaN becomes 255.

    Args:
        values: whole numbers, or floats within a millionth of them; any shape.
        chart: the chart the values belong to.
        where: names the scene in error messages.
        truth: the true classes, same shape. With them, one value that is no class may stand for
            "no prediction" in pixels without a label; it becomes 255 as well.

    Raises:
        PredictionError: a value is not whole, is infinite, or lies outside 0..255; with ``truth``,
            a value is no class where there is a label, or there are two such values.
    """
    if truth is not None and truth.shape != values.shape:
        truth = None
    if values.dtype == np.uint8 and (truth is None or _highest(values) <= chart.mask_class):
        return values
    if values.dtype.kind not in "iufb":
        raise PredictionError(
            f"{where}: {chart.name} has dtype {values.dtype}; expected whole numbers, best uint8"
        )
    classes = np.empty(values.shape, np.uint8)
    flat_values, flat_classes = np.ravel(values), classes.reshape(-1)
    flat_truth = None if truth is None else np.ravel(truth)
    own_fill: Any = None
    for start in range(0, values.size, BLOCK_PIXELS):  # in blocks: float64 scenes are 200 MB
        block = slice(start, start + BLOCK_PIXELS)
        whole = _require_whole(flat_values[block], chart, where)
        if flat_truth is None:
            _require_bytes(whole, chart, where)
        else:
            whole, own_fill = _own_fill_to_255(whole, flat_truth[block], own_fill, chart, where)
        flat_classes[block] = whole
    return classes


def _highest(values: NDArray[np.uint8]) -> int:
    """The highest value; the fill value counts as lowest, -1."""
    # Adding 1 turns the fill value 255 into 0, so that one maximum checks classes and fill value.
    flat = np.ravel(values)
    shifted = np.empty(min(BLOCK_PIXELS, flat.size), np.uint8)
    highest = -1
    for start in range(0, flat.size, BLOCK_PIXELS):
        block = flat[start : start + BLOCK_PIXELS]
        found = np.add(block, np.uint8(1), out=shifted[: block.size]).max()
        highest = max(highest, int(found) - 1)
    return highest


def _require_range(values: NDArray[np.uint8], chart: Chart, highest: int, subject: str) -> None:
    found = _highest(values)
    if found > highest:
        raise PredictionError(
            f"{subject} {chart.name} holds {found}; expected {_legal(chart, highest)}"
        )


def _legal(chart: Chart, highest: int) -> str:
    mask = f", mask class {chart.mask_class}" if highest == chart.mask_class else ""
    return f"classes 0-{chart.n_classes - 1}{mask} or fill {FILL_VALUE}"


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


def _require_whole(values: NDArray[Any], chart: Chart, where: str) -> NDArray[Any]:
    """Values as whole numbers, NaN as 255."""
    if values.dtype.kind != "f":
        return values
    nearest, is_whole = round_to_whole(values)
    is_missing = np.isnan(values)
    fractional = values[~(is_whole | is_missing)]
    if fractional.size:
        raise PredictionError(
            f"{where}: {chart.name} holds {shown(fractional[0])}, which is not "
            "whole; expected classes (round them first)"
        )
    nearest[is_missing] = FILL_VALUE
    return nearest


def _require_bytes(whole: NDArray[Any], chart: Chart, where: str) -> None:
    for value in (whole.min(), whole.max()):
        if not 0 <= value <= FILL_VALUE:
            raise PredictionError(
                f"{where}: {chart.name} holds {shown(value)}; expected classes "
                f"0-{chart.n_classes - 1} or fill {FILL_VALUE}"
            )


def _own_fill_to_255(
    whole: NDArray[Any], truth: NDArray[np.uint8], own_fill: Any, chart: Chart, where: str
) -> tuple[NDArray[Any], Any]:
    """Replace the one value that is no class, where nothing is scored; it and what it was so far.

    Refused where a label is: there it is a wrong class, and none is made of it.
    """
    strange = ((whole < 0) | (whole > chart.mask_class)) & (whole != FILL_VALUE)
    if not strange.any():
        return whole, own_fill
    labelled = strange & (truth != FILL_VALUE)
    first = whole[labelled][0] if labelled.any() else whole[strange][0]
    if labelled.any():
        raise PredictionError(
            f"{where}: {chart.name} holds {shown(first)}; expected "
            f"{_legal(chart, chart.mask_class)}"
        )
    own_fill = first if own_fill is None else own_fill
    others = whole[strange & (whole != own_fill)]
    if others.size:
        raise PredictionError(
            f"{where}: {chart.name} holds {shown(own_fill)} and {shown(others[0])} where there is "
            f"no label; expected {_legal(chart, chart.mask_class)}, or one fill value of its own"
        )
    return np.where(strange, FILL_VALUE, whole), own_fill


def _describe_turn(truth: NDArray[np.uint8], prediction: NDArray[np.uint8]) -> str:
    """Whether the unpredicted pixels are the unlabelled ones, mirrored; the end of a message."""
    if truth.ndim != 2:
        return ""
    unlabelled, unpredicted = truth == FILL_VALUE, prediction == FILL_VALUE
    turned = {
        "upside down": unpredicted[::-1],
        "left to right": unpredicted[:, ::-1],
        "along both axes": unpredicted[::-1, ::-1],
    }
    ways = [way for way, mask in turned.items() if np.array_equal(mask, unlabelled)]
    if np.array_equal(unpredicted.T, unlabelled):
        return "; they are just the unlabelled ones of the transposed scene: write (lines, samples)"
    return f"; it seems mirrored {ways[0]}: its {FILL_VALUE} fit the truth so" if ways else ""
