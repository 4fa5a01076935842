"""Periodic floe patterns: which pixel of a floe field is ice at a given concentration.

A pattern is a torus of floes (a warped Voronoi diagram). Its ``threshold`` is uniform between 0
and 1, so the pixels with ``threshold < c`` cover exactly the share ``c``: at high concentration
only cracks and leads between floes are open, at low concentration single eroded floes are left.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from autoice_bench.datasets.simulate.fields import Array, smooth_field, unit_variance

VAST_SPACING_PX: Final = 60.0
"""Mean distance of vast floes, 4.8 km: vast floes measure 2 to 10 km."""
BIG_SPACING_PX: Final = 14.0
"""Mean distance of big floes, 1.1 km: big floes measure 0.5 to 2 km."""
MAX_TILE: Final = 1536


@dataclass(frozen=True)
class FloePattern:
    """A torus of floes.

    Attributes:
        threshold: float32 (n, n), uniform in 0..1; ice where it is below the concentration.
        draw: float32 (n, n), one uniform number per floe: chooses the floe's ice type.
        shift: int16 (2, n, n), one displacement per floe in pixels (line, sample): a floe takes
            its ice from that far away, so borders between ice types run along floes.
    """

    threshold: Array
    draw: Array
    shift: NDArray[np.int16]

    def rows(self, start: int, stop: int, n_samples: int) -> tuple[Array, Array, NDArray[np.int16]]:
        """(threshold, draw, shift) of full-resolution lines, the pattern repeated."""
        size = self.threshold.shape[0]
        window = np.ix_(np.arange(start, stop) % size, np.arange(n_samples) % size)
        return self.threshold[window], self.draw[window], self.shift[:, window[0], window[1]]


def make_floe_pattern(
    rng: np.random.Generator, size: int, spacing: float, shift_px: float, step: int = 1
) -> FloePattern:
    """Draw a pattern.

    Args:
        rng: source of the draws.
        size: pixels along one side of the torus.
        spacing: mean distance of floe centres, in pixels.
        shift_px: largest displacement of a floe, in pixels.
        step: pixels per computed cell; a coarse pattern of large floes is repeated to pixels.
    """
    cells = -(-size // step)
    span = cells / (spacing / step)
    n_floes = max(8, round(span**2))
    tree = cKDTree(rng.random((n_floes, 2)), boxsize=1.0)
    at = (np.arange(cells) + 0.5) / cells
    warp = 0.16 / span
    points = np.stack(
        [
            at[:, None] + warp * smooth_field(rng, (cells, cells), cells / span / 5, "wrap"),
            at[None, :] + warp * smooth_field(rng, (cells, cells), cells / span / 5, "wrap"),
        ],
        axis=-1,
    )
    distance, floe = tree.query(points.reshape(-1, 2) % 1.0, k=2)
    edge = ((distance[:, 1] - distance[:, 0]) * span).astype(np.float32)
    nearest = floe[:, 0]
    order = 0.45 * rng.random(n_floes, dtype=np.float32)[nearest]
    order += 0.75 * np.clip(1 - edge / 0.45, 0, 1)
    order += 0.02 * rng.random(order.size, dtype=np.float32)
    threshold = _uniform(order).reshape(cells, cells)
    draw = rng.random(n_floes, dtype=np.float32)[nearest].reshape(cells, cells)
    shifts = np.rint(rng.uniform(-shift_px, shift_px, (2, n_floes))).astype(np.int16)
    shift = shifts[:, nearest].reshape(2, cells, cells)
    grow = np.repeat(np.arange(cells), step)[:size]
    window = np.ix_(grow, grow)
    return FloePattern(threshold[window], draw[window], shift[:, window[0], window[1]])


def _uniform(values: Array) -> Array:
    """Rank-transform to a uniform distribution on 0..1, through 2,000 quantiles."""
    levels = np.linspace(0, 1, 2001, dtype=np.float32)
    return np.interp(values, np.quantile(values, levels), levels).astype(np.float32)


def make_deformation(rng: np.random.Generator, size: int) -> Array:
    """Periodic texture of deformed ice, mean 0 and deviation 1: ridges, hummocks, level patches."""
    line = smooth_field(rng, (size, size), 5.0, "wrap")
    ridges = np.exp(-((line / 0.12) ** 2))
    rough = smooth_field(rng, (size, size), 1.2, "wrap")
    patches = smooth_field(rng, (size, size), 14.0, "wrap")
    return unit_variance(0.8 * unit_variance(ridges) + 0.5 * rough + 0.7 * patches)
