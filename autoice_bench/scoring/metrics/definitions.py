"""Which metrics are reported for which chart, under which name and unit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from autoice_bench.charts import SIC, SOD, Chart
from autoice_bench.scoring.metrics import formulas as metrics
from autoice_bench.scoring.metrics.formulas import Counts, Values

PERCENT: Final = "percent"
CONCENTRATION: Final = "percent concentration"

SIC_BANDS: Final = {"water": (0, 0), "intermediate": (1, 9), "full": (10, 10)}
"""Open water, 10-90 % and fully packed ice."""

ORDINAL_FLOES: Final = (1, 5)
"""Cake ice to vast floe. Open water (0) and bergs (6) are not sizes of floes."""


@dataclass(frozen=True)
class Metric:
    """One reported metric of a chart.

    Attributes:
        name: name in the table of scores.
        compute: (..., C, C + 1) counts to (...) values, or (..., C) if ``per_class``.
        undefined: why a value is NaN although there are valid pixels.
        unit: unit of the reported value.
        scale: reported value per computed value.
        per_class: whether there is one value per class.
    """

    name: str
    compute: Callable[[Counts], Values]
    undefined: str
    unit: str = PERCENT
    scale: float = 100.0
    per_class: bool = False


_CLASS_METRICS: Final = (
    ("precision", metrics.precision, "class never predicted"),
    ("recall", metrics.recall, "class absent from the truth"),
    ("f1", metrics.f1, "class absent from truth and prediction"),
    ("iou", metrics.iou, "class absent from truth and prediction"),
)


def headline_metric(chart: Chart) -> str:
    """Name of the challenge's metric of a chart: ``r2`` or ``f1_weighted``."""
    return "r2" if chart.metric == "r2" else "f1_weighted"


def chart_metrics(chart: Chart) -> tuple[Metric, ...]:
    """Every metric of a chart, the challenge's first."""
    common = (
        Metric("f1_weighted", metrics.f1_weighted, "no valid pixels"),
        Metric("f1_macro", metrics.f1_macro, "no valid pixels"),
        Metric("accuracy", metrics.accuracy, "no valid pixels"),
    )
    per_class = tuple(
        Metric(name, compute, undefined, per_class=True)
        for name, compute, undefined in _CLASS_METRICS
    )
    if chart == SIC:
        r2 = Metric("r2", metrics.r2, "the truth holds one class")
        return (r2, *common, *_concentration_metrics(), *per_class)
    first, last = (0, SOD.n_classes - 1) if chart == SOD else ORDINAL_FLOES
    within_one = Metric(
        "within_one_class",
        partial(metrics.within_one_class, first=first, last=last),
        f"the truth holds no class {first}-{last}",
    )
    return (*common, within_one, *per_class)


def _concentration_metrics() -> tuple[Metric, ...]:
    step = metrics.PERCENT_PER_SIC_CLASS
    errors = (
        Metric("mae", metrics.mean_absolute_error, "no valid pixels", CONCENTRATION, step),
        Metric("bias", metrics.bias, "no valid pixels", CONCENTRATION, step),
        Metric("band_accuracy", _on_bands(metrics.accuracy), "no valid pixels"),
    )
    bands = tuple(
        Metric(f"{band}_{name}", _on_bands(compute, index), undefined.replace("class", "band"))
        for index, band in enumerate(SIC_BANDS)
        for name, compute, undefined in _CLASS_METRICS
    )
    return errors + bands


def _on_bands(
    compute: Callable[[Counts], Values], index: int | None = None
) -> Callable[[Counts], Values]:
    """``compute`` on the histogram merged to the SIC bands; of band ``index`` if per class."""
    bands = tuple(SIC_BANDS.values())

    def compute_on_bands(counts: Counts) -> Values:
        values = compute(metrics.merge_classes(counts, bands))
        return values if index is None else values[..., index]

    return compute_on_bands
