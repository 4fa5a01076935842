"""How far a score would move with other scenes: bootstrap over scenes, paired for comparisons.

Pixels of a scene are anything but independent, so scenes are what is drawn, with replacement, and
the pooled score of each draw is computed from its summed histograms (Efron & Tibshirani 1993, ch.
13: percentile intervals). Scenes of one satellite pass resemble each other: with such neighbours in
the test set the intervals are somewhat too narrow.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from autoice_bench.charts import Chart
from autoice_bench.scoring.metrics import formulas
from autoice_bench.scoring.metrics.groups import Group

RESAMPLES: Final = 2000
SEED: Final = 0
LEVEL: Final = 0.95
FEWEST_SCENES: Final = 3
"""No interval is given for fewer scenes: three draws of two scenes tell nothing."""

Bands = tuple[tuple[int, int], ...]
"""First and last class of each band; see ``formulas.merge_classes``."""

_MOST_KEPT: Final = 1 << 18
"""Largest array of weights that is kept for the next evaluation: 2 MB."""

_FEWEST_DEFINED: Final = 0.95
"""Share of the resamples in which a score must be defined for its interval to be given."""


class Resampled:
    """The resamples of one evaluation.

    Groups of equal size share their draw. What many metrics need again is kept: the histograms over
    all scenes, and the chart scores of every group (the combined score is made of them).
    """

    def __init__(
        self, histograms: Mapping[str, NDArray[np.int64]], *, resamples: int, seed: int
    ) -> None:
        """Prepare resampling; nothing is drawn yet.

        Args:
            histograms: chart name to (n_scenes, C, C + 1) counts.
            resamples: number of resamples.
            seed: seed of every draw.
        """
        self._histograms = histograms
        self._resamples = resamples
        self._seed = seed
        self._weights: dict[int, NDArray[np.float64]] = {}
        self._counts: dict[tuple[str, Bands | None], NDArray[np.float64]] = {}
        self._scores: dict[tuple[Group, str], NDArray[np.float64]] = {}

    def counts(self, group: Group, chart: Chart, bands: Bands | None = None) -> NDArray[np.float64]:
        """(resamples, C, C + 1) pooled histograms of a group, with classes merged to ``bands``."""
        if group.kind != "all":
            return self._draw(group, chart, bands)
        key = (chart.name, bands)
        if key not in self._counts:
            self._counts[key] = self._draw(group, chart, bands)
        return self._counts[key]

    def chart_scores(self, group: Group, chart: Chart) -> NDArray[np.float64]:
        """(resamples,) scores of a chart, as fractions; see ``formulas.chart_score``."""
        key = (group, chart.name)
        if key not in self._scores:
            self._scores[key] = formulas.chart_score(self.counts(group, chart), chart)
        return self._scores[key]

    def _draw(self, group: Group, chart: Chart, bands: Bands | None) -> NDArray[np.float64]:
        n_scenes = len(group.members)
        if n_scenes not in self._weights:
            draw = _draw_again if n_scenes * self._resamples <= _MOST_KEPT else draw_weights
            weights = draw(n_scenes, resamples=self._resamples, seed=self._seed)
            self._weights[n_scenes] = weights
        members = self._histograms[chart.name][list(group.members)]
        if bands is not None:  # sums of sums: few classes are drawn sooner than many
            members = formulas.merge_classes(members, bands)
        return resample(members, self._weights[n_scenes])


@lru_cache(maxsize=32)
def _draw_again(n_scenes: int, *, resamples: int, seed: int) -> NDArray[np.float64]:
    """``draw_weights``, kept: every submission to a board has the same draws."""
    weights = draw_weights(n_scenes, resamples=resamples, seed=seed)
    weights.setflags(write=False)
    return weights


def draw_weights(n_scenes: int, *, resamples: int, seed: int) -> NDArray[np.float64]:
    """How often each scene is drawn in each resample.

    Returns:
        (resamples, n_scenes) float64 whole numbers; each row sums to ``n_scenes``.
    """
    rng = np.random.default_rng(seed)
    share = np.full(n_scenes, 1.0 / n_scenes)
    return rng.multinomial(n_scenes, share, size=resamples).astype(np.float64)


def resample(counts: NDArray[np.int64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pooled histogram of each resample.

    Args:
        counts: (n_scenes, C, C + 1) of the scenes drawn from.
        weights: (resamples, n_scenes).

    Returns:
        (resamples, C, C + 1) float64; exact, the counts being far below 2**53. The resamples of
        one cell lie side by side in memory: what follows sums over classes and sorts resamples.
    """
    flat = counts.reshape(counts.shape[0], -1).astype(np.float64)
    cells = (flat.T @ weights.T).reshape(*counts.shape[1:], weights.shape[0])
    return np.moveaxis(cells, -1, 0)


def compute_interval(
    values: NDArray[Any], *, level: float = LEVEL
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Percentile interval along the first axis.

    Args:
        values: (resamples, ...); NaN where a resample leaves the score undefined.
        level: probability that the interval covers.

    Returns:
        Lower and upper bounds, each (...); NaN where under 95 % of the resamples are defined.
    """
    ordered = np.sort(values, axis=0)  # NaN goes last
    n_defined = np.isfinite(ordered).sum(axis=0)
    enough = n_defined >= _FEWEST_DEFINED * values.shape[0]
    tail = (1.0 - level) / 2.0
    low, high = (
        np.where(enough, _order_statistic(ordered, n_defined, q), np.nan) for q in (tail, 1 - tail)
    )
    return low, high


def _order_statistic(
    ordered: NDArray[Any], n_defined: NDArray[Any], quantile: float
) -> NDArray[np.float64]:
    """Quantile of the first ``n_defined`` entries, interpolated linearly as numpy does."""
    position = quantile * np.maximum(n_defined - 1, 0)
    below = np.floor(position).astype(np.int64)
    above = np.minimum(below + 1, np.maximum(n_defined - 1, 0))
    low, high = (_take(ordered, index) for index in (below, above))
    result: NDArray[np.float64] = low + (high - low) * (position - below)
    return result


def _take(ordered: NDArray[Any], index: NDArray[np.int64]) -> NDArray[np.float64]:
    """Entry ``index`` along the first axis, of each column its own."""
    first = int(index.flat[0]) if index.size else 0
    if (index == first).all():  # as good as always: every resample is defined
        taken: NDArray[np.float64] = ordered[first]
        return taken
    return np.take_along_axis(ordered, index[np.newaxis], axis=0)[0]
