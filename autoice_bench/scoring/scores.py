"""Scores of one evaluation: the table (a row per chart, metric, group and class), its summary."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
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

if TYPE_CHECKING:
    import pandas as pd

COMBINED: Final = "combined"
"""Name of the combined score: in the column ``metric``, and in ``chart`` as that of all three."""

OFFICIAL: Final = "official"
"""Metric name of the values rounded as the official evaluation rounds them."""

NO_INTERVAL: Final = f"fewer than {FEWEST_SCENES} scenes: no interval"
NO_PIXELS: Final = "no valid pixels"
FEW_RESAMPLES: Final = "undefined in too many resamples: no interval"

NO_CLASS: Final = -1
"""Class index of a row of no class, in arrays."""


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
class _Block:
    """One metric of one chart: a row per group, and per class within it.

    Attributes:
        chart, metric, unit: as in ``ScoreRow``.
        groups: the G groups.
        values, ci_low, ci_high: float64 (G, K), with K classes, or 1.
        n_pixels: int64 (G, K).
        n_scenes: int64 (G,).
        reasons: object (G, K), strings or None.
        per_class: whether rows are of classes.
    """

    chart: str
    metric: str
    unit: str
    groups: tuple[Group, ...]
    values: NDArray[np.float64]
    ci_low: NDArray[np.float64]
    ci_high: NDArray[np.float64]
    n_pixels: NDArray[np.int64]
    n_scenes: NDArray[np.int64]
    reasons: NDArray[np.object_]
    per_class: bool = False

    def select(self, index: int, group: Group) -> _Block:
        """The rows of one group, under another name."""
        rows = slice(index, index + 1)
        return replace(
            self,
            groups=(group,),
            values=self.values[rows],
            ci_low=self.ci_low[rows],
            ci_high=self.ci_high[rows],
            n_pixels=self.n_pixels[rows],
            n_scenes=self.n_scenes[rows],
            reasons=self.reasons[rows],
        )


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
    import pandas as pd

    columns = build_score_columns(evaluation, submission, resamples=resamples, seed=seed)
    classes = pd.array(columns["class_index"], dtype="Int64")
    classes[columns["class_index"] == NO_CLASS] = pd.NA
    return pd.DataFrame({**columns, "class_index": classes})


def build_score_columns(
    evaluation: Evaluation, submission: str, *, resamples: int = RESAMPLES, seed: int = SEED
) -> dict[str, NDArray[Any]]:
    """The columns of ``build_scores`` as arrays; ``NO_CLASS`` stands for no class.

    Args:
        evaluation, submission, resamples, seed: as in ``build_scores``.

    Returns:
        Column name to (rows,) array, in the order of ``ScoreRow``; texts are objects.
    """
    blocks = _build_blocks(evaluation, resamples, seed)
    widths = [block.values.shape for block in blocks]
    sizes = [n_groups * n_columns for n_groups, n_columns in widths]

    def of_blocks(texts: Iterable[str]) -> NDArray[Any]:
        return np.repeat(np.array(list(texts), object), sizes)

    def of_groups(values: Callable[[_Block], Any], dtype: Any) -> NDArray[Any]:
        return np.concatenate(
            [
                np.repeat(np.asarray(values(block), dtype), n_columns)
                for block, (_, n_columns) in zip(blocks, widths, strict=True)
            ]
        )

    def of_cells(name: str) -> NDArray[Any]:
        return np.concatenate([getattr(block, name).reshape(-1) for block in blocks])

    n_rows = sum(sizes)
    return {
        "submission": np.full(n_rows, submission, object),
        "split": np.full(n_rows, evaluation.board, object),
        "chart": of_blocks(block.chart for block in blocks),
        "metric": of_blocks(block.metric for block in blocks),
        "group_kind": of_groups(lambda block: [group.kind for group in block.groups], object),
        "group_name": of_groups(lambda block: [group.name for group in block.groups], object),
        "class_index": np.concatenate(
            [
                np.tile(np.arange(n_columns), n_groups)
                if block.per_class
                else np.full(n_groups, NO_CLASS)
                for block, (n_groups, n_columns) in zip(blocks, widths, strict=True)
            ]
        ),
        "value": of_cells("values"),
        "unit": of_blocks(block.unit for block in blocks),
        "ci_low": of_cells("ci_low"),
        "ci_high": of_cells("ci_high"),
        "n_pixels": of_cells("n_pixels"),
        "n_scenes": of_groups(lambda block: block.n_scenes, np.int64),
        "reason": of_cells("reasons"),
        "truth_fingerprint": np.full(n_rows, evaluation.truth_fingerprint, object),
    }


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


def _build_blocks(evaluation: Evaluation, resamples: int, seed: int) -> list[_Block]:
    groups = group_scenes(evaluation.scenes)
    resampled = Resampled(evaluation.histograms, resamples=resamples, seed=seed)
    pooled = {
        chart.name: pool_groups(evaluation.histograms[chart.name], groups) for chart in CHARTS
    }
    combined = list(_combined_blocks(pooled, groups, resampled))
    charts = [
        block
        for chart in CHARTS
        for block in _chart_blocks(
            pooled[chart.name],
            chart,
            groups,
            _count_scenes(evaluation.histograms[chart.name], groups),
            resampled,
        )
    ]
    # The combined score and its official value stand side by side, group by group.
    by_group = [
        block.select(index, group) for index, group in enumerate(groups) for block in combined
    ]
    return [*by_group, *charts, *_worst_blocks([*combined, *charts])]


def _count_scenes(counts: formulas.Counts, groups: tuple[Group, ...]) -> NDArray[np.int64]:
    """Scenes of each group that have valid pixels: (G,)."""
    has_pixels = counts.sum(axis=(1, 2)) > 0
    return np.array([has_pixels[list(group.members)].sum() for group in groups], np.int64)


def _chart_blocks(
    pooled: formulas.Counts,
    chart: Chart,
    groups: tuple[Group, ...],
    n_scenes: NDArray[np.int64],
    resampled: Resampled,
) -> Iterator[_Block]:
    in_truth = formulas.support(pooled)
    totals = in_truth.sum(axis=-1, keepdims=True)
    for metric in chart_metrics(chart):
        values = (metric.compute(pooled) * metric.scale).reshape(len(groups), -1)
        n_pixels = in_truth if metric.per_class else totals
        reasons = _undefined(values, totals, metric.undefined)
        low, high = np.full((2, *values.shape), np.nan)
        is_headline = metric.name == headline_metric(chart)
        for index, group in enumerate(groups if is_headline else groups[:1]):
            defined = np.isfinite(values[index])
            if n_scenes[index] >= FEWEST_SCENES:
                drawn = (
                    resampled.chart_scores(group, chart)
                    if is_headline
                    else metric.formula(resampled.counts(group, chart, metric.bands))
                )
                bounds = compute_interval(drawn * metric.scale)
                low[index], high[index] = (np.where(defined, bound, np.nan) for bound in bounds)
                reasons[index][defined & np.isnan(low[index])] = FEW_RESAMPLES
            elif is_headline:
                reasons[index][defined] = NO_INTERVAL
        yield _Block(
            chart.name,
            metric.name,
            metric.unit,
            groups,
            values,
            low,
            high,
            n_pixels,
            n_scenes,
            reasons,
            metric.per_class,
        )
    official = formulas.official_score(formulas.chart_score(pooled, chart)).reshape(-1, 1)
    nowhere = np.full(official.shape, np.nan)
    reasons = _undefined(official, totals, _headline(chart).undefined)
    yield _Block(
        chart.name,
        OFFICIAL,
        PERCENT,
        groups,
        official,
        nowhere,
        nowhere,
        totals,
        n_scenes,
        reasons,
    )


def _headline(chart: Chart) -> Metric:
    name = headline_metric(chart)
    return next(metric for metric in chart_metrics(chart) if metric.name == name)


def _undefined(
    values: NDArray[np.float64], n_pixels: NDArray[np.int64], otherwise: str
) -> NDArray[np.object_]:
    """Why values are undefined, None where they are not: object (G, K)."""
    reasons = np.full(values.shape, None, object)
    undefined = ~np.isfinite(values)
    reasons[undefined] = otherwise
    reasons[undefined & (n_pixels == 0)] = NO_PIXELS
    return reasons


def _combined_blocks(
    pooled: Mapping[str, formulas.Counts], groups: tuple[Group, ...], resampled: Resampled
) -> Iterator[_Block]:
    scores = {chart.name: formulas.chart_score(pooled[chart.name], chart) for chart in CHARTS}
    values = (formulas.combined_score(scores) * 100).reshape(-1, 1)
    rounded = {name: formulas.official_score(score) for name, score in scores.items()}
    official = formulas.official_combined(rounded).reshape(-1, 1)
    n_pixels = sum(counts.sum(axis=(1, 2)) for counts in pooled.values())
    n_scenes = np.array([len(group.members) for group in groups], np.int64)
    low, high, nowhere = np.full((3, *values.shape), np.nan)
    reasons, no_intervals = np.full((2, *values.shape), None, object)
    for index, group in enumerate(groups):
        undefined = [name for name, score in scores.items() if np.isnan(score[index])]
        if undefined:
            reasons[index] = f"undefined for {', '.join(undefined)}"
        elif n_scenes[index] >= FEWEST_SCENES:
            low[index], high[index] = _combined_interval(group, resampled)
        else:
            no_intervals[index] = NO_INTERVAL
    why = np.where(no_intervals == None, reasons, no_intervals)  # noqa: E711  element by element
    shared = (groups, np.asarray(n_pixels).reshape(-1, 1), n_scenes)
    for metric, shown, bounds, why_not in (
        (COMBINED, values, (low, high), why),
        (OFFICIAL, official, (nowhere, nowhere), reasons),
    ):
        yield _Block(
            COMBINED, metric, PERCENT, shared[0], shown, *bounds, shared[1], shared[2], why_not
        )


def _combined_interval(group: Group, resampled: Resampled) -> tuple[float, float]:
    scores = {chart.name: resampled.chart_scores(group, chart) for chart in CHARTS}
    low, high = compute_interval(formulas.combined_score(scores) * 100)
    return float(low), float(high)


def _worst_blocks(blocks: Sequence[_Block]) -> Iterator[_Block]:
    """The lowest chart scores and combined score among the groups of each kind."""
    wanted = {(chart.name, headline_metric(chart)) for chart in CHARTS} | {(COMBINED, COMBINED)}
    headlines = sorted(
        (block for block in blocks if (block.chart, block.metric) in wanted),
        key=lambda block: (block.chart, block.metric),
    )
    for kind in GROUP_KINDS:
        for block in headlines:
            of_kind = np.array([group.kind == kind for group in block.groups])
            candidates = np.where(of_kind, block.values[:, 0], np.nan)
            if np.isfinite(candidates).any():
                worst = int(np.nanargmin(candidates))
                group = block.groups[worst]
                yield block.select(worst, Group(f"worst_{kind}", group.name, group.members))


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
