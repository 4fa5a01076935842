"""Two submissions side by side: paired bootstrap of the difference of their scores.

Both are resampled with the same scenes, so that what makes a scene hard for either cancels.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from autoice_bench.charts import CHARTS, Chart
from autoice_bench.errors import LeaderboardError
from autoice_bench.scoring.evaluate import Evaluation
from autoice_bench.scoring.metrics import formulas
from autoice_bench.scoring.metrics.definitions import headline_metric
from autoice_bench.scoring.metrics.groups import Group, group_scenes
from autoice_bench.scoring.metrics.uncertainty import (
    FEWEST_SCENES,
    RESAMPLES,
    SEED,
    compute_interval,
    draw_weights,
    resample,
)
from autoice_bench.scoring.scores import COMBINED

COMPARED_KINDS: Final = ("all", "ice_service", "region")


class Difference(NamedTuple):
    """One score of A and B; all in percent.

    Attributes:
        chart, metric, group_kind, group_name, class_index: as in ``scores.parquet``.
        a, b: the scores.
        difference: a - b.
        ci_low, ci_high: 95 % interval of the difference; NaN for fewer than three scenes.
        share_a_wins: share of the resamples in which A scores higher.
        beyond_chance: whether the interval excludes 0; None without an interval.
        n_scenes: scenes in the group.
    """

    chart: str
    metric: str
    group_kind: str
    group_name: str
    class_index: int | None
    a: float
    b: float
    difference: float
    ci_low: float
    ci_high: float
    share_a_wins: float
    beyond_chance: bool | None
    n_scenes: int


_Scores = dict[tuple[str, str, int | None], NDArray[np.float64]]


def compare(
    a: Evaluation, b: Evaluation, *, resamples: int = RESAMPLES, seed: int = SEED
) -> tuple[Difference, ...]:
    """Compare two evaluations of the same truth.

    Args:
        a, b: evaluations with equal truth fingerprints.
        resamples, seed: of the paired bootstrap.

    Returns:
        Combined and chart scores overall, per ice service and region; F1 of each class overall.

    Raises:
        LeaderboardError: they were scored against different truths.
    """
    if a.truth_fingerprint != b.truth_fingerprint:
        raise LeaderboardError(
            f"the submissions were scored against different truths ({a.truth_fingerprint[:12]} and "
            f"{b.truth_fingerprint[:12]}); only scores of the same scenes and labels compare"
        )
    return tuple(
        row
        for group in group_scenes(a.scenes)
        if group.kind in COMPARED_KINDS
        for row in _compare_group(a, b, group, resamples, seed)
    )


def _compare_group(
    a: Evaluation, b: Evaluation, group: Group, resamples: int, seed: int
) -> Iterator[Difference]:
    n_scenes = len(group.members)
    once = np.ones((1, n_scenes))
    pooled_a, pooled_b = _scores(a, group, once), _scores(b, group, once)
    if n_scenes >= FEWEST_SCENES:
        weights = draw_weights(n_scenes, resamples=resamples, seed=seed)
        drawn_a, drawn_b = _scores(a, group, weights), _scores(b, group, weights)
    for (chart, metric, class_index), value in pooled_a.items():
        key = (chart, metric, class_index)
        ours, theirs = float(value[0]), float(pooled_b[key][0])
        low = high = share = np.nan
        if n_scenes >= FEWEST_SCENES:
            difference = drawn_a[key] - drawn_b[key]
            low, high = (float(bound) for bound in compute_interval(difference))
            defined = difference[np.isfinite(difference)]
            share = float((defined > 0).mean()) if defined.size else np.nan
        yield Difference(
            chart,
            metric,
            group.kind,
            group.name,
            class_index,
            ours,
            theirs,
            ours - theirs,
            low,
            high,
            share,
            None if np.isnan(low) else bool(low > 0 or high < 0),
            n_scenes,
        )


def _scores(evaluation: Evaluation, group: Group, weights: NDArray[np.float64]) -> _Scores:
    """Each compared score (percent) of each resample, (resamples,)."""
    scores: _Scores = {}
    chart_scores = {}
    members = list(group.members)
    for chart in CHARTS:
        counts = resample(evaluation.histograms[chart.name][members], weights)
        chart_scores[chart.name] = formulas.chart_score(counts, chart) * 100
        scores[chart.name, headline_metric(chart), None] = chart_scores[chart.name]
        if group.kind == "all":
            scores |= _class_scores(counts, chart)
    return {(COMBINED, COMBINED, None): formulas.combined_score(chart_scores), **scores}


def _class_scores(counts: NDArray[np.float64], chart: Chart) -> _Scores:
    f1 = formulas.f1(counts) * 100
    return {(chart.name, "f1", index): f1[:, index] for index in range(chart.n_classes)}
