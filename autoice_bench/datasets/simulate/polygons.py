"""Chart polygons: cells of a warped Voronoi diagram, ten to fifty kilometres wide."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from autoice_bench.datasets.simulate.fields import (
    Array,
    coarse_shape,
    interpolate_at,
    smooth_field,
)

LABEL_FACTOR: Final = 8
"""Pixels per cell of the first, coarse labelling; borders are then refined to the pixel."""
MAX_POLYGONS: Final = 250
"""Few enough for unsigned 8-bit indices and ids."""


@dataclass(frozen=True)
class Polygons:
    """Polygon index of every pixel of a scene.

    Attributes:
        index: uint8 (sar_lines, sar_samples), 0 .. n - 1.
        sites: float64 (n, 2), line and sample of each polygon's site.
        spacing: mean distance of sites, in pixels.
    """

    index: NDArray[np.uint8]
    sites: NDArray[np.float64]
    spacing: float


def polygon_spacing(shape: tuple[int, int]) -> float:
    """Typical polygon width in pixels: an eighth of the scene, within 3 and 50 km."""
    return float(np.clip(np.sqrt(shape[0] * shape[1]) / 8, 3 / 0.08, 50 / 0.08))


def make_polygons(rng: np.random.Generator, shape: tuple[int, int]) -> Polygons:
    """Partition a scene into contiguous polygons."""
    spacing = polygon_spacing(shape)
    sites = _draw_sites(rng, shape, spacing)
    coarse = coarse_shape(shape, LABEL_FACTOR)
    cells = spacing / LABEL_FACTOR
    warp = [
        np.float32(spacing)
        * (
            0.28 * smooth_field(rng, coarse, cells / 3)
            + 0.07 * smooth_field(rng, coarse, cells / 12)
        )
        for _ in range(2)
    ]
    tree = cKDTree(sites)
    lines = np.arange(coarse[0]) * LABEL_FACTOR + (LABEL_FACTOR - 1) / 2
    samples = np.arange(coarse[1]) * LABEL_FACTOR + (LABEL_FACTOR - 1) / 2
    warped = np.stack([lines[:, None] + warp[0], samples[None, :] + warp[1]], axis=-1)
    labels = tree.query(warped.reshape(-1, 2))[1].astype(np.uint8).reshape(coarse)
    index = labels.repeat(LABEL_FACTOR, axis=0).repeat(LABEL_FACTOR, axis=1)
    index = np.ascontiguousarray(index[: shape[0], : shape[1]])
    _refine_borders(index, labels, tree, warp)
    return Polygons(index, sites, spacing)


def _draw_sites(
    rng: np.random.Generator, shape: tuple[int, int], spacing: float
) -> NDArray[np.float64]:
    """Random sites, at least 0.55 spacings apart, reaching half a spacing beyond the scene."""
    span = np.array(shape) + spacing
    wanted = min(MAX_POLYGONS, max(4, round(span.prod() / spacing**2)))
    candidates = rng.random((30 * wanted, 2)) * span - spacing / 2
    sites: list[NDArray[np.float64]] = []
    for candidate in candidates:
        if all(np.hypot(*(candidate - site)) > 0.55 * spacing for site in sites):
            sites.append(candidate)
        if len(sites) == wanted:
            break
    return np.array(sites)


def _refine_borders(
    index: NDArray[np.uint8], labels: NDArray[np.uint8], tree: cKDTree, warp: list[Array]
) -> None:
    """Label again, pixel by pixel and in place, the coarse cells beside another polygon."""
    mixed = ndimage.maximum_filter(labels, 3) != ndimage.minimum_filter(labels, 3)
    for line in range(mixed.shape[0]):
        columns = np.flatnonzero(mixed[line])
        if columns.size == 0:
            continue
        rows = np.arange(line * LABEL_FACTOR, min((line + 1) * LABEL_FACTOR, index.shape[0]))
        samples = (columns[:, None] * LABEL_FACTOR + np.arange(LABEL_FACTOR)).ravel()
        samples = samples[samples < index.shape[1]]
        at_line = (rows[:, None] + 0.5) / LABEL_FACTOR - 0.5
        at_sample = (samples[None, :] + 0.5) / LABEL_FACTOR - 0.5
        warped = np.stack(
            [
                rows[:, None] + interpolate_at(warp[0], at_line, at_sample),
                samples[None, :] + interpolate_at(warp[1], at_line, at_sample),
            ],
            axis=-1,
        )
        nearest = tree.query(warped.reshape(-1, 2))[1]
        index[rows[0] : rows[-1] + 1, samples] = nearest.reshape(len(rows), -1)
