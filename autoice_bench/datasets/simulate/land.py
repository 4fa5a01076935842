"""Land, the limit of the chart, and distance to land."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from autoice_bench.datasets.simulate.fields import (
    Array,
    CoarseField,
    coarse_shape,
    power_law_field,
    unit_variance,
)

LAND_FACTOR: Final = 4
"""Pixels per cell of the land grid (320 m); the coast is a level line of its interpolation."""
PIXEL_KM: Final = 0.08

ZONE_LIMITS_KM: Final = np.concatenate(
    [[0.5, 1.0], np.arange(2, 21), np.arange(25, 51, 5), np.arange(60, 101, 10),
     np.arange(125, 301, 25)]
)  # fmt: skip
"""Upper limits of the distance zones 1..40; zone 41 has none. Zone 0 is land."""


@dataclass(frozen=True)
class Ground:
    """Land and chart limit of a scene.

    Attributes:
        height: terrain height in arbitrary units; land where it is above 0.
        distance_km: distance to land at the same cells, positive over land too.
        chart_limit: charted where it is below 0; a straight line across the scene.
        seaward: unit vector (line, sample) away from the main coast.
    """

    height: CoarseField
    distance_km: CoarseField
    chart_limit: CoarseField
    seaward: tuple[float, float]

    def uncharted_rows(self, start: int, stop: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Masks (land, uncharted) of full-resolution lines; uncharted includes land."""
        land = self.height.rows(start, stop) > 0
        return land, land | (self.chart_limit.rows(start, stop) > 0)


def make_ground(
    rng: np.random.Generator, shape: tuple[int, int], land_share: float, uncharted_share: float
) -> Ground:
    """Draw land of a given share, with a coast, and a chart limit that leaves out a given share.

    Args:
        rng: source of the draws.
        shape: lines and samples of the scene.
        land_share: share of land pixels.
        uncharted_share: share of pixels without chart, land included.
    """
    coarse = coarse_shape(shape, LAND_FACTOR)
    angle = rng.uniform(0, 2 * np.pi)
    seaward = (float(np.sin(angle)), float(np.cos(angle)))
    ramp = ramp_field(coarse, seaward)
    height = (
        0.8 * power_law_field(rng, (2 * coarse[0], 2 * coarse[1]), 3.2)[: coarse[0], : coarse[1]]
    )
    height = height - float(rng.uniform(0.6, 1.4)) * ramp
    height = _level_at_share(height, land_share)
    turn = angle + rng.uniform(-0.7, 0.7)
    limit = ramp_field(coarse, (float(np.sin(turn)), float(np.cos(turn))))
    at_sea = limit[height <= 0]
    excess = np.clip((uncharted_share - land_share) / max(1 - land_share, 1e-6), 0, 1)
    threshold = np.quantile(at_sea, 1 - excess) if excess > 0 and at_sea.size else limit.max() + 1
    return Ground(
        height=CoarseField(height, LAND_FACTOR, shape),
        distance_km=CoarseField(_distance(rng, height, ramp), LAND_FACTOR, shape),
        chart_limit=CoarseField((limit - threshold).astype(np.float32), LAND_FACTOR, shape),
        seaward=seaward,
    )


def ramp_field(shape: tuple[int, int], direction: tuple[float, float]) -> Array:
    """A plane rising along ``direction`` (line, sample); mean 0, deviation 1."""
    lines = np.arange(shape[0], dtype=np.float32)[:, None] * direction[0]
    return unit_variance(lines + np.arange(shape[1], dtype=np.float32)[None, :] * direction[1])


def _level_at_share(height: Array, share: float) -> Array:
    level = np.quantile(height, 1 - share) if share > 0 else height.max() + 0.5
    return (height - level).astype(np.float32)


def _distance(rng: np.random.Generator, height: Array, ramp: Array) -> Array:
    """Distance to the nearest land, in the scene or on a coast beyond its landward side, km."""
    cell_km = LAND_FACTOR * PIXEL_KM
    extent_km = np.hypot(*height.shape) * cell_km
    share = float((height > 0).mean())
    beyond = rng.uniform(5, 60) if share > 0.02 else rng.uniform(15, 350)
    outside = beyond + (ramp - ramp.min()) / np.ptp(ramp) * extent_km * 0.8
    if share == 0:
        return np.asarray(outside, np.float32)
    inside = ndimage.distance_transform_edt(height <= 0) * cell_km
    return np.asarray(np.minimum(inside, outside), np.float32)


def distance_zones(distance_km: Array, land: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Zones 0 (land) to 41 (beyond 300 km) of distances in km; same shape."""
    zones = np.searchsorted(ZONE_LIMITS_KM, distance_km.ravel(), side="left").astype(np.uint8) + 1
    zones = zones.reshape(distance_km.shape)
    zones[land] = 0
    return zones
