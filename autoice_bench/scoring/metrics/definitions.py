"""The table of metrics: which charts have them, unit, better direction, and since when.

A new metric is one entry of ``METRICS``, with its formula in ``formulas``. Everything else follows:
the rows of ``scores.parquet``, the columns and the order of a board, and what a check asks of a
submission that was scored before the metric existed.

A metric for another chart is a new entry too, under the same name: ``since`` holds for all charts
of an entry, so a chart added to an old one would make older submissions invalid.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Literal

from autoice_bench.charts import CHART_NAMES, FLOE, SIC, SOD, Chart
from autoice_bench.scoring.metrics import formulas
from autoice_bench.scoring.metrics.formulas import Counts, Values, merge_classes

Direction = Literal["higher", "lower", "nearest-zero"]
"""Which values are the better ones."""

PERCENT: Final = "percent"
CONCENTRATION: Final = "percent concentration"

FIRST_VERSION: Final = "0.1.0"
"""The first version of the scorer; every submission has the metrics that it knew."""

SIC_BANDS: Final = {"water": (0, 0), "intermediate": (1, 9), "full": (10, 10)}
"""Open water, 10-90 % and fully packed ice."""

_SIC_BANDS: Final = tuple(SIC_BANDS.values())

ORDINAL_FLOES: Final = (1, 5)
"""Cake ice to vast floe. Open water (0) and bergs (6) are not sizes of floes."""


@dataclass(frozen=True)
class Metric:
    """One reported metric of one or several charts.

    Attributes:
        name: name in the table of scores.
        formula: (..., C, C + 1) counts to (...) values, or (..., C) if ``per_class``; of ``bands``
            if there are any.
        undefined: why a value is NaN although there are valid pixels.
        charts: names of the charts that have it.
        unit: unit of the reported value.
        scale: reported value per computed value.
        direction: which values are better.
        per_class: whether there is one value per class.
        since: version of the package that it came in; submissions of older ones lack it. Without a
            default: one that is left out would say that every submission ever must have it.
        bands: first and last class of each band that classes are merged to before.
    """

    name: str
    formula: Callable[[Counts], Values]
    undefined: str
    charts: tuple[str, ...] = CHART_NAMES
    unit: str = PERCENT
    scale: float = 100.0
    direction: Direction = "higher"
    per_class: bool = False
    since: str = field(kw_only=True)
    bands: tuple[tuple[int, int], ...] | None = None

    def compute(self, counts: Counts) -> Values:
        """(..., C, C + 1) counts to (...) values, or (..., C) if ``per_class``."""
        return self.formula(counts if self.bands is None else merge_classes(counts, self.bands))


def _of_band(formula: Callable[[Counts], Values], index: int) -> Callable[[Counts], Values]:
    """The value of one band of a formula that has one per class."""
    return lambda counts: formula(counts)[..., index]


def _within_one(first: int, last: int, chart: Chart) -> Metric:
    compute = partial(formulas.within_one_class, first=first, last=last)
    undefined = f"the truth holds no class {first}-{last}"
    return Metric("within_one_class", compute, undefined, charts=(chart.name,), since=FIRST_VERSION)


def _concentration(name: str, compute: Callable[[Counts], Values], direction: Direction) -> Metric:
    return Metric(
        name,
        compute,
        "no valid pixels",
        charts=(SIC.name,),
        unit=CONCENTRATION,
        scale=formulas.PERCENT_PER_SIC_CLASS,
        direction=direction,
        since=FIRST_VERSION,
    )


_OF_CLASSES: Final = tuple(
    Metric(name, compute, undefined, per_class=True, since=FIRST_VERSION)
    for name, compute, undefined in (
        ("precision", formulas.precision, "class never predicted"),
        ("recall", formulas.recall, "class absent from the truth"),
        ("f1", formulas.f1, "class absent from truth and prediction"),
        ("iou", formulas.iou, "class absent from truth and prediction"),
    )
)
_OF_BANDS: Final = tuple(
    Metric(
        f"{band}_{metric.name}",
        _of_band(metric.formula, index),
        metric.undefined.replace("class", "band"),
        charts=(SIC.name,),
        bands=_SIC_BANDS,
        since=metric.since,
    )
    for index, band in enumerate(SIC_BANDS)
    for metric in _OF_CLASSES
)

METRICS: tuple[Metric, ...] = (
    Metric("r2", formulas.r2, "the truth holds one class", charts=(SIC.name,), since=FIRST_VERSION),
    Metric("f1_weighted", formulas.f1_weighted, "no valid pixels", since=FIRST_VERSION),
    Metric("f1_macro", formulas.f1_macro, "no valid pixels", since=FIRST_VERSION),
    Metric("accuracy", formulas.accuracy, "no valid pixels", since=FIRST_VERSION),
    _concentration("mae", formulas.mean_absolute_error, "lower"),
    _concentration("bias", formulas.bias, "nearest-zero"),
    Metric(
        "band_accuracy",
        formulas.accuracy,
        "no valid pixels",
        charts=(SIC.name,),
        bands=_SIC_BANDS,
        since=FIRST_VERSION,
    ),
    *_OF_BANDS,
    _within_one(0, SOD.n_classes - 1, SOD),
    _within_one(*ORDINAL_FLOES, FLOE),
    *_OF_CLASSES,
)
"""Every metric, in the order of the rows of a chart."""


def chart_metrics(chart: Chart) -> tuple[Metric, ...]:
    """Every metric of a chart, the challenge's first."""
    return tuple(metric for metric in METRICS if chart.name in metric.charts)


def headline_metric(chart: Chart) -> str:
    """Name of the challenge's metric of a chart: ``r2`` or ``f1_weighted``."""
    return "r2" if chart.metric == "r2" else "f1_weighted"


def better_direction(name: str) -> Direction:
    """Which values of a metric are better; higher ones where the name is not in the table."""
    directions = (metric.direction for metric in METRICS if metric.name == name)
    return next(directions, "higher")


def is_newer(chart_name: str, name: str, version: str) -> bool:
    """Whether a chart got a metric after a version of the scorer, whose scores then lack it.

    What the first version knew is newer than no version, whatever a submission says of itself.

    Raises:
        ValueError: ``version`` is no version number.
    """
    known = max(parse_version(version), parse_version(FIRST_VERSION))
    return any(
        parse_version(metric.since) > known
        for metric in METRICS
        if metric.name == name and chart_name in metric.charts
    )


def parse_version(version: str) -> tuple[int, ...]:
    """The three numbers of a version; what follows them (``.dev1``, ``rc1``) is left out.

    Raises:
        ValueError: it does not begin with three numbers.
    """
    match = re.match(r"(\d{1,9})\.(\d{1,9})\.(\d{1,9})(?!\d)", version, re.ASCII)
    if match is None:
        raise ValueError(f"version {version!r}; expected three numbers, such as {FIRST_VERSION}")
    return tuple(int(number) for number in match.groups())
