"""ERA5-like weather on the 2 km grid, consistent with season, latitude and ice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import ndimage

from autoice_bench.datasets.simulate.fields import (
    Array,
    coarse_shape,
    interpolate_at,
    smooth_field,
)

NATIVE_CELLS: Final = 8
"""Smallest structure, in 2 km cells: ERA5 resolves some 30 km, here half of it."""
SEA_FREEZING_K: Final = 271.35

SEASON_T2M_K: Final = {"winter": 257.0, "spring": 262.5, "summer": 275.5, "autumn": 270.5}
"""Mean 2 m temperature at 70 degrees north; judged, to pool to the released mean of 268.6."""


@dataclass(frozen=True)
class Weather:
    """Weather fields, each float32 (2km_grid_lines, 2km_grid_samples).

    Attributes:
        u10m, v10m: wind along the image's samples and lines, m/s.
        t2m, skt: air and skin temperature, K.
        tcwv, tclw: water vapour and cloud liquid water, kg/m2.
    """

    u10m: Array
    v10m: Array
    t2m: Array
    skt: Array
    tcwv: Array
    tclw: Array

    @property
    def speed(self) -> Array:
        """Wind speed, m/s."""
        return np.hypot(self.u10m, self.v10m)


def make_wind(
    rng: np.random.Generator, shape: tuple[int, int], quantile: float
) -> tuple[Array, Array]:
    """Wind components (u, v), m/s: a scene mean of Rayleigh-distributed speed and eddies.

    ``quantile`` (0..1) places the scene's mean speed in its distribution.
    """
    speed = 4.6 * np.sqrt(-2 * np.log1p(-min(quantile, 0.985))) + 0.5
    heading = rng.uniform(0, 2 * np.pi)
    eddies = [1.5 * _weather_field(rng, shape) for _ in range(2)]
    return (
        (speed * np.cos(heading) + eddies[0] + 0.5).astype(np.float32),
        (speed * np.sin(heading) + eddies[1] + 0.5).astype(np.float32),
    )


def make_weather(
    rng: np.random.Generator,
    wind: tuple[Array, Array],
    ice_share: Array,
    land_share: Array,
    season: str,
    latitude: float,
) -> Weather:
    """Temperatures and water around a given wind, ice and land (shares of each 2 km cell)."""
    shape = ice_share.shape
    cold = {"winter": 1.0, "spring": 0.6, "summer": 0.1, "autumn": 0.4}[season]
    mean = SEASON_T2M_K[season] - 0.55 * (latitude - 70) + rng.normal(0, 3.0)
    marine = 1 - _weather_scale(ice_share + land_share)
    t2m = mean + 6 * cold * (marine - 0.4) + 1.2 * _weather_field(rng, shape)
    t2m = np.clip(t2m, 231, 291).astype(np.float32)
    sea = np.maximum(SEA_FREEZING_K + 0.3, 0.6 * t2m + 0.4 * 275)
    ice_surface = np.minimum(t2m - 2.0 * cold, 273.15)
    solid = np.minimum(ice_share + land_share, 1)
    skt = solid * np.where(land_share > 0.5, t2m - 1.0 * cold, ice_surface) + (1 - solid) * sea
    vapour = 5.2 * np.exp(0.062 * (t2m.mean() - 265)) * np.exp(0.22 * _weather_field(rng, shape))
    vapour *= np.exp(rng.normal(0, 0.3))
    cloud = 0.055 * np.exp(1.1 * _weather_field(rng, shape) - 0.8 + rng.normal(0, 0.7))
    return Weather(
        u10m=wind[0],
        v10m=wind[1],
        t2m=t2m,
        skt=np.clip(skt, 222, 298).astype(np.float32),
        tcwv=np.clip(vapour, 0.3, 38).astype(np.float32),
        tclw=np.clip(cloud * (0.5 + marine), 0, 1.1).astype(np.float32),
    )


def _weather_field(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Synoptic field, deviation 1, smooth over some 60 km."""
    padded = (shape[0] + 8 * NATIVE_CELLS, shape[1] + 8 * NATIVE_CELLS)
    coarse = coarse_shape(padded, NATIVE_CELLS)
    field = smooth_field(rng, coarse, 2.0)
    lines = (np.arange(shape[0])[:, None] + 3.5 * NATIVE_CELLS) / NATIVE_CELLS
    samples = (np.arange(shape[1])[None, :] + 3.5 * NATIVE_CELLS) / NATIVE_CELLS
    return interpolate_at(field, lines, samples)


def _weather_scale(share: Array) -> Array:
    """A 2 km field smoothed to what ERA5 resolves."""
    smoothed = ndimage.gaussian_filter(share, NATIVE_CELLS, mode="nearest")
    return np.asarray(np.clip(smoothed, 0, 1), np.float32)
