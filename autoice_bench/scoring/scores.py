"""Scores of one evaluation: the table (a row per chart, metric, group and class), its summary."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autoice_bench.charts import CHARTS, Chart
from autoice_bench.scoring.evaluate import Evaluation
from autoice_bench.scoring.metrics import formulas
from autoice_bench.scoring.metrics.definitions import (
    PERCENT,
    Metric,
    chart_metrics,
    headline_metric,
)
from autoice_bench.scoring.metrics.groups import GROUP_KINDS, Group, group_scenes, pool_groups
from autoice_bench.scoring.metrics.histograms import Histogram
from autoice_bench.scoring.metrics.uncertainty import (
    FEWEST_SCENES,
    RESAMPLES,
    SEED,
    Resampled,
    compute_interval,
)

COMBINED: Final = "combined"
"""Name of the combined score: in the column ``metric``, and in ``chart`` as that of all three."""

OFFICIAL: Final = "official"
"""Metric name of the values rounded as the official evaluation rounds them."""

NO_INTERVAL: Final = f"fewer than {FEWEST_SCENES} scenes: no interval"
NO_PIXELS: Final = "no valid pixels"


Interval = tuple[float, float]
_UNKNOWN: Final = (np.nan, np.nan)


class ScoreRow(NamedTuple):
    """One row of ``scores.parquet``; see docs/scores.md for the columns."""

    submission: str
    split: str
    chart: str
    metric: str
    group_kind: str
    group_name: str
    class_index: int | None
    value: float
    unit: str
    ci_low: float
    ci_high: float
    n_pixels: int
    n_scenes: int
    reason: str | None
    truth_fingerprint: str


@dataclass(frozen=True)
class _Cell:
    """A score before it knows its submission."""

    chart: str
    metric: str
    group: Group
    value: float
    unit: str
    interval: Interval
    n_pixels: int
    n_scenes: int
    reason: str | None
    class_index: int | None = None


def build_scores(
    evaluation: Evaluation, submission: str, *, resamples: int = RESAMPLES, seed: int = SEED
) -> pd.DataFrame:
    """Every score of an evaluation, as rows.

    Percent and unrounded, except the metric ``official``. Intervals (95 %, bootstrap over scenes)
    are given for every metric over all scenes, and for the chart scores and the combined score of
    each group of at least three scenes.

    Args:
        evaluation: joint histograms of the submission.
        submission: its name.
        resamples: bootstrap resamples.
        seed: seed of the bootstrap.

    Returns:
        One row per ``ScoreRow``, in a fixed order.
    """
    groups = group_scenes(evaluation.scenes)
    resampled = Resampled(evaluation.histograms, resamples=resamples, seed=seed)
    cells = [
        *_combined_cells(evaluation.histograms, groups, resampled),
        *(
            cell
            for chart in CHARTS
            for cell in _chart_cells(evaluation.histograms[chart.name], chart, groups, resampled)
        ),
    ]
    cells += _worst_cells(cells)
    fingerprint = evaluation.truth_fingerprint
    rows = [
        ScoreRow(
            submission,
            evaluation.board,
            cell.chart,
            cell.metric,
            cell.group.kind,
            cell.group.name,
            cell.class_index,
            cell.value,
            cell.unit,
            *cell.interval,
            cell.n_pixels,
            cell.n_scenes,
            cell.reason,
            fingerprint,
        )
        for cell in cells
    ]
    table = pd.DataFrame(rows, columns=list(ScoreRow._fields))
    return table.astype({"class_index": "Int64"})


def compute_official_scores(pooled: Mapping[str, Histogram]) -> dict[str, float | None]:
    """Official scores in percent, the combined first; None where undefined.

    Args:
        pooled: joint histogram of each chart, all scenes together.
    """
    charts = {
        chart.name: float(formulas.official_score(formulas.chart_score(pooled[chart.name], chart)))
        for chart in CHARTS
    }
    scores = {COMBINED: float(formulas.official_combined(charts)), **charts}
    return {name: value if math.isfinite(value) else None for name, value in scores.items()}


def summarise(
    evaluation: Evaluation, scores: pd.DataFrame, name: str, folder: Path | None
) -> dict[str, Any]:
    """The scores over all scenes as a record that JSON can hold.

    Args:
        evaluation: what was counted.
        scores: its table, see ``build_scores``.
        name: the submission's name.
        folder: where the submission was written, if it was.
    """
    overall = scores[scores["group_kind"] == "all"]
    charts = [(chart.name, headline_metric(chart)) for chart in CHARTS]
    return {
        "submission": name,
        "split": evaluation.board,
        "simulated": evaluation.simulated,
        "truth_fingerprint": evaluation.truth_fingerprint,
        "label_rule": asdict(evaluation.rule),
        "predictions_sha256": evaluation.predictions_sha256,
        "n_scenes": len(evaluation.scenes),
        "rankable": evaluation.rankable,
        "missing": list(evaluation.missing),
        "mask_class_pixels": evaluation.mask_class_pixels,
        "scores": [
            _summarise_score(overall, chart, metric)
            for chart, metric in [(COMBINED, COMBINED), *charts]
        ],
        "folder": None if folder is None else str(folder),
    }


def _scenes_with_pixels(counts: formulas.Counts, group: Group) -> int:
    return int((counts[list(group.members)].sum(axis=(1, 2)) > 0).sum())


def _chart_cells(
    counts: formulas.Counts, chart: Chart, groups: tuple[Group, ...], resampled: Resampled
) -> Iterator[_Cell]:
    pooled = pool_groups(counts, groups)
    n_scenes = [_scenes_with_pixels(counts, group) for group in groups]
    for metric in chart_metrics(chart):
        values = metric.compute(pooled) * metric.scale
        for index, group in enumerate(groups):
            yield from _metric_cells(
                metric,
                chart,
                group,
                pooled=pooled[index],
                values=values[index],
                bounds=_bounds(metric, chart, group, n_scenes[index], resampled),
                n_scenes=n_scenes[index],
            )
    official = formulas.official_score(formulas.chart_score(pooled, chart))
    for index, group in enumerate(groups):
        n_pixels = int(pooled[index].sum())
        reason = _undefined(official[index], n_pixels, _headline(chart).undefined)
        value = float(official[index])
        yield _Cell(
            chart.name, OFFICIAL, group, value, PERCENT, _UNKNOWN, n_pixels, n_scenes[index], reason
        )


def _headline(chart: Chart) -> Metric:
    name = headline_metric(chart)
    return next(metric for metric in chart_metrics(chart) if metric.name == name)


def _bounds(
    metric: Metric, chart: Chart, group: Group, n_scenes: int, resampled: Resampled
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    if n_scenes < FEWEST_SCENES:
        return None
    if metric.name == headline_metric(chart):
        return compute_interval(resampled.chart_scores(group, chart) * metric.scale)
    if group.kind == "all":
        return compute_interval(metric.compute(resampled.counts(group, chart)) * metric.scale)
    return None


def _metric_cells(
    metric: Metric,
    chart: Chart,
    group: Group,
    *,
    pooled: formulas.Counts,
    values: NDArray[np.float64],
    bounds: tuple[NDArray[np.float64], NDArray[np.float64]] | None,
    n_scenes: int,
) -> Iterator[_Cell]:
    in_truth = formulas.support(pooled)
    total = int(in_truth.sum())
    for position, value in enumerate(np.atleast_1d(values)):
        reason = _undefined(value, total, metric.undefined)
        interval = _UNKNOWN
        if bounds is not None and reason is None:
            low, high = (float(np.atleast_1d(bound)[position]) for bound in bounds)
            interval = (low, high)
            if np.isnan(low):
                reason = "undefined in too many resamples: no interval"
        elif reason is None and metric.name == headline_metric(chart):
            reason = NO_INTERVAL
        yield _Cell(
            chart.name,
            metric.name,
            group,
            float(value),
            metric.unit,
            interval,
            int(in_truth[position]) if metric.per_class else total,
            n_scenes,
            reason,
            position if metric.per_class else None,
        )


def _undefined(value: float, n_pixels: int, otherwise: str) -> str | None:
    if np.isfinite(value):
        return None
    return NO_PIXELS if n_pixels == 0 else otherwise


def _combined_cells(
    histograms: Mapping[str, formulas.Counts], groups: tuple[Group, ...], resampled: Resampled
) -> Iterator[_Cell]:
    pooled = {chart.name: pool_groups(histograms[chart.name], groups) for chart in CHARTS}
    scores = {chart.name: formulas.chart_score(pooled[chart.name], chart) for chart in CHARTS}
    values = formulas.combined_score(scores) * 100
    rounded = {name: formulas.official_score(score) for name, score in scores.items()}
    official = formulas.official_combined(rounded)
    for index, group in enumerate(groups):
        n_pixels = sum(int(counts[index].sum()) for counts in pooled.values())
        n_scenes = len(group.members)
        undefined = [name for name, score in scores.items() if np.isnan(score[index])]
        reason = f"undefined for {', '.join(undefined)}" if undefined else None
        interval = _UNKNOWN
        if reason is None and n_scenes >= FEWEST_SCENES:
            interval = _combined_interval(group, resampled)
        no_interval = NO_INTERVAL if n_scenes < FEWEST_SCENES else None
        for metric, value, bounds, why in (
            (COMBINED, values[index], interval, reason or no_interval),
            (OFFICIAL, official[index], _UNKNOWN, reason),
        ):
            yield _Cell(
                COMBINED, metric, group, float(value), PERCENT, bounds, n_pixels, n_scenes, why
            )


def _combined_interval(group: Group, resampled: Resampled) -> Interval:
    scores = {chart.name: resampled.chart_scores(group, chart) for chart in CHARTS}
    low, high = compute_interval(formulas.combined_score(scores) * 100)
    return float(low), float(high)


def _worst_cells(cells: list[_Cell]) -> Iterator[_Cell]:
    """The lowest chart scores and combined score among the groups of each kind."""
    wanted = {(chart.name, headline_metric(chart)) for chart in CHARTS} | {(COMBINED, COMBINED)}
    for kind in GROUP_KINDS:
        for chart_name, metric in sorted(wanted):
            defined = [
                cell
                for cell in cells
                if (cell.chart, cell.metric, cell.group.kind) == (chart_name, metric, kind)
                and np.isfinite(cell.value)
            ]
            if defined:
                worst = min(defined, key=lambda cell: cell.value)
                group = Group(f"worst_{kind}", worst.group.name, worst.group.members)
                yield _Cell(
                    worst.chart,
                    worst.metric,
                    group,
                    worst.value,
                    worst.unit,
                    worst.interval,
                    worst.n_pixels,
                    worst.n_scenes,
                    worst.reason,
                )


def _summarise_score(overall: pd.DataFrame, chart: str, metric: str) -> dict[str, Any]:
    rows = overall[(overall["chart"] == chart) & overall["class_index"].isna()]
    row = rows[rows["metric"] == metric].iloc[0]
    official = rows[rows["metric"] == OFFICIAL].iloc[0]
    numbers = {
        "official": official["value"],
        "value": row["value"],
        "ci_low": row["ci_low"],
        "ci_high": row["ci_high"],
    }
    return {
        "chart": chart,
        "metric": metric,
        **{key: float(number) if np.isfinite(number) else None for key, number in numbers.items()},
        "reason": row["reason"] if isinstance(row["reason"], str) else None,
    }
