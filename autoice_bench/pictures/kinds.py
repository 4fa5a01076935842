"""What a pixel of a chart, of a prediction or of their difference is, and its colour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from autoice_bench.charts import FILL_VALUE, Chart

LAND: Final = 254
"""Value of a pixel without a label on land."""

LAND_COLOUR: Final = "#8f8672"
MASK_COLOUR: Final = "#000000"


@dataclass(frozen=True)
class Kind:
    """One entry of a colour key.

    Attributes:
        label: what it is.
        colour: `#rrggbb`.
    """

    label: str
    colour: str


_MASK_CLASS: Final = Kind("mask class", MASK_COLOUR)
_SIC_STEPS: Final = (
    (5, "+50 % or above", "#b2182b"),
    (3, "+30 or +40 %", "#d6604d"),
    (2, "+20 %", "#f4a582"),
    (1, "+10 %", "#fddbc7"),
    (0, "right", "#eeeeee"),
    (-1, "−10 %", "#d1e5f0"),
    (-2, "−20 %", "#92c5de"),
    (-4, "−30 or −40 %", "#4393c3"),
    (-10, "−50 % or below", "#2166ac"),
)
"""Lowest difference in classes (prediction - chart), label and colour, from too much ice down."""

_OTHER_STEPS: Final = (
    ("right", "#eeeeee"),
    ("wrong ice class", "#f1a340"),
    ("ice for water", "#b2182b"),
    ("water for ice", "#2166ac"),
)


def chart_kinds(chart: Chart) -> tuple[Kind, ...]:
    """The classes of a chart, then its mask class: the index is the value of a pixel."""
    classes = zip(chart.class_names, chart.colours, strict=True)
    return (*(Kind(name, colour) for name, colour in classes), _MASK_CLASS)


def error_kinds(chart: Chart) -> tuple[Kind, ...]:
    """What a prediction's pixel may be: right, wrong in one way or another, or the mask class.

    SIC: the signed difference in percent of ice. SOD and FLOE: right or wrong, and whether ice or
    water was mistaken.
    """
    if chart.metric == "r2":
        return (*(Kind(label, colour) for _, label, colour in _SIC_STEPS), _MASK_CLASS)
    return (*(Kind(label, colour) for label, colour in _OTHER_STEPS), _MASK_CLASS)


def build_error_table(chart: Chart) -> NDArray[np.uint8]:
    """Index into `error_kinds` by truth and predicted class.

    Returns:
        (n_classes, n_classes + 1) uint8, the mask class in the last column, like a joint histogram.
    """
    truth = np.arange(chart.n_classes)[:, np.newaxis]
    predicted = np.arange(chart.n_classes + 1)
    if chart.metric == "r2":
        # The lowest difference of each kind, ascending: kinds are listed from the highest down.
        bounds = [step for step, _, _ in _SIC_STEPS][::-1]
        found = np.searchsorted(bounds, predicted - truth, side="right") - 1
        table = len(bounds) - 1 - found
    else:
        table = np.select([predicted == truth, truth == 0, predicted == 0], [0, 2, 3], default=1)
    table[:, chart.mask_class] = len(error_kinds(chart)) - 1
    return table.astype(np.uint8)


def find_errors(
    truth: NDArray[np.uint8], prediction: NDArray[np.uint8], chart: Chart
) -> NDArray[np.uint8]:
    """Index into `error_kinds` of every pixel; 255 where the chart has no label."""
    table = np.full((256, 256), FILL_VALUE, np.uint8)
    table[: chart.n_classes, : chart.n_classes + 1] = build_error_table(chart)
    return table[truth, prediction]


def mark_land(values: NDArray[np.uint8], land: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Classes with `LAND` in the unlabelled pixels that are land."""
    return np.where(land & (values == FILL_VALUE), np.uint8(LAND), values)


def colour_pixels(values: NDArray[np.uint8], kinds: Sequence[Kind]) -> NDArray[np.uint8]:
    """RGBA of classes or errors: (lines, samples, 4) uint8; transparent where there is no label."""
    table = np.zeros((256, 4), np.uint8)
    for value, kind in enumerate(kinds):
        table[value] = _rgba(kind.colour)
    table[LAND] = _rgba(LAND_COLOUR)
    return table[values]


def _rgba(colour: str) -> tuple[int, ...]:
    return (*bytes.fromhex(colour.removeprefix("#")), 255)


def shares(counts: Any) -> list[float]:
    """Counts as percent of their sum; zeros where there is none."""
    total = float(np.sum(counts))
    return [100 * float(count) / total if total else 0.0 for count in counts]
