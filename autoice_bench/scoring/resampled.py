"""Bootstrap histograms and chart scores of groups of scenes, drawn once and shared by metrics."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from autoice_bench.charts import Chart
from autoice_bench.scoring import metrics
from autoice_bench.scoring.groups import Group
from autoice_bench.scoring.uncertainty import draw_weights, resample


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
        self._counts: dict[str, NDArray[np.float64]] = {}
        self._scores: dict[tuple[Group, str], NDArray[np.float64]] = {}

    def counts(self, group: Group, chart: Chart) -> NDArray[np.float64]:
        """(resamples, C, C + 1) pooled histograms of a group."""
        if group.kind != "all":
            return self._draw(group, chart)
        if chart.name not in self._counts:
            self._counts[chart.name] = self._draw(group, chart)
        return self._counts[chart.name]

    def chart_scores(self, group: Group, chart: Chart) -> NDArray[np.float64]:
        """(resamples,) scores of a chart, as fractions; see ``metrics.chart_score``."""
        key = (group, chart.name)
        if key not in self._scores:
            self._scores[key] = metrics.chart_score(self.counts(group, chart), chart)
        return self._scores[key]

    def _draw(self, group: Group, chart: Chart) -> NDArray[np.float64]:
        n_scenes = len(group.members)
        if n_scenes not in self._weights:
            weights = draw_weights(n_scenes, resamples=self._resamples, seed=self._seed)
            self._weights[n_scenes] = weights
        members = self._histograms[chart.name][list(group.members)]
        return resample(members, self._weights[n_scenes])
