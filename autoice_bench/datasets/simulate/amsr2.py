"""AMSR2 brightness temperatures on the 2 km grid from cell fractions of water, ice and land.

Tie points: Ivanova et al. 2015 (The Cryosphere 9, 1797), northern hemisphere. Their scatter, the
effects of wind, atmosphere and melt, and the land values are judged; see docs/simulation.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from autoice_bench.datasets.simulate.era5 import Weather
from autoice_bench.datasets.simulate.fields import Array, smooth_field

CELL_KM: Final = 2.0
_FWHM_TO_SIGMA: Final = 1 / 2.355


@dataclass(frozen=True)
class Band:
    """One AMSR2 frequency; pairs are (H, V).

    Attributes:
        name: as in variable names, ``6_9``.
        water, first_year, multi_year: tie points, K.
        footprint_km: full width at half power, (across, along).
        noise_k: radiometric noise.
        wind_k: K per m/s over water.
        vapour_k: K per kg/m2 of water vapour above 4 kg/m2, over water.
        cloud_k: K per kg/m2 of cloud liquid water, over water.
        scatter_k: deviation of the tie points between scenes: water (H, V), first-year, multi-year.
    """

    name: str
    water: tuple[float, float]
    first_year: tuple[float, float]
    multi_year: tuple[float, float]
    footprint_km: tuple[float, float]
    noise_k: float
    wind_k: tuple[float, float]
    vapour_k: tuple[float, float]
    cloud_k: tuple[float, float]
    scatter_k: tuple[float, float, float, float]


_WIND: Final = (1.0, 0.3)
BANDS: Final = (
    Band("6_9", (82.13, 161.35), (232.08, 251.99), (221.19, 246.04), (35, 62), 0.34,
         _WIND, (0.1, 0.05), (4, 2), (4, 3, 4, 5)),
    Band("7_3", (83.13, 162.05), (233.08, 252.69), (222.19, 246.74), (35, 62), 0.43,
         _WIND, (0.1, 0.05), (5, 2.5), (4, 3, 4, 5)),
    Band("10_7", (88.26, 167.34), (234.01, 251.34), (216.31, 239.61), (24, 42), 0.7,
         _WIND, (0.2, 0.1), (10, 5), (4, 3, 4, 6)),
    Band("18_7", (108.46, 183.72), (237.54, 252.15), (207.78, 226.26), (14, 22), 0.7,
         _WIND, (0.9, 0.5), (30, 15), (5, 3, 4, 8)),
    Band("23_8", (128.23, 196.41), (236.72, 250.87), (199.60, 216.67), (15, 26), 0.6,
         _WIND, (2.2, 1.2), (40, 20), (6, 4, 4, 8)),
    Band("36_5", (145.29, 209.81), (235.01, 247.13), (184.94, 196.91), (7, 12), 0.7,
         _WIND, (0.9, 0.5), (90, 45), (8, 4, 5, 10)),
    Band("89_0", (196.94, 243.20), (222.39, 232.01), (178.90, 187.60), (3, 5), 1.2,
         _WIND, (2.4, 1.1), (150, 60), (13, 6, 5, 12)),
)  # fmt: skip


@dataclass(frozen=True)
class CellFractions:
    """Shares of each 2 km cell, float32 (2km_grid_lines, 2km_grid_samples); they add up to 1.

    Attributes:
        land: land.
        thin: new and young ice.
        first_year: thin and thick first-year ice.
        multi_year: old ice.
        The rest is open water.
    """

    land: Array
    thin: Array
    first_year: Array
    multi_year: Array

    @property
    def ice(self) -> Array:
        """All ice."""
        return self.thin + self.first_year + self.multi_year

    @property
    def water(self) -> Array:
        """Open water."""
        return np.asarray(np.clip(1 - self.land - self.ice, 0, 1))


def make_brightness_temperatures(
    rng: np.random.Generator, fractions: CellFractions, weather: Weather, *, melt: bool
) -> dict[str, Array]:
    """Brightness temperatures (K) of the 14 channels by variable name, float32 on the 2 km grid.

    Args:
        rng: source of the draws.
        fractions: what the cells hold at the SAR's time; the swath sees the ice displaced.
        weather: wind, temperature and water above the cells.
        melt: melt season: multi-year ice looks like first-year ice, ponds look like water.
    """
    seen = _drift(rng, fractions)
    ponds = rng.uniform(0.0, 0.25) if melt else 0.0
    thin_weight = rng.uniform(0.6, 0.8)
    anomalies = rng.standard_normal(4)
    patches = [smooth_field(rng, seen.land.shape, 6.0) for _ in range(2)]
    channels = {}
    for band in BANDS:
        for at, polarisation in enumerate("hv"):
            own = 0.8 * anomalies + 0.6 * rng.standard_normal(4)
            surface = _surface(band, at, seen, weather, own, patches, melt, ponds, thin_weight)
            channel = _instrument(rng, band, surface)
            channels[f"btemp_{band.name}{polarisation}"] = channel
    return channels


def _drift(rng: np.random.Generator, fractions: CellFractions) -> CellFractions:
    """The ice as the swath sees it: up to 7 hours at up to 800 m per hour away."""
    distance_km = rng.uniform(0, 7) * rng.uniform(0.1, 0.8)
    angle = rng.uniform(0, 2 * np.pi)
    shift = distance_km / CELL_KM * np.array([np.sin(angle), np.cos(angle)])
    sea = 1 - fractions.land

    def moved(share: Array) -> Array:
        at_sea = share / np.maximum(sea, 0.05)
        shifted = ndimage.shift(at_sea, shift, order=1, mode="nearest") * sea
        return np.asarray(np.clip(shifted, 0, 1), np.float32)

    return CellFractions(
        fractions.land,
        moved(fractions.thin),
        moved(fractions.first_year),
        moved(fractions.multi_year),
    )


def _surface(
    band: Band,
    at: int,
    seen: CellFractions,
    weather: Weather,
    anomalies: NDArray[np.float64],
    patches: list[Array],
    melt: bool,
    ponds: float,
    thin_weight: float,
) -> Array:
    """Brightness temperature of each cell before the antenna smooths it, K."""
    scatter_water, scatter_ice = band.scatter_k[at], band.scatter_k[2:]
    water = band.water[at] + 0.7 * scatter_water * anomalies[0]
    water = water + band.wind_k[at] * (weather.speed - 5)
    water = water + band.vapour_k[at] * (weather.tcwv - 4) + band.cloud_k[at] * weather.tclw
    warm = 0.3 * np.clip(weather.skt - 262, -15, 8)
    first_year = (
        band.first_year[at] + scatter_ice[0] * (0.8 * anomalies[1] + 0.9 * patches[0]) + warm
    )
    multi_year = (
        band.multi_year[at] + scatter_ice[1] * (0.8 * anomalies[2] + 0.9 * patches[1]) + warm
    )
    if melt:
        multi_year = 0.4 * multi_year + 0.6 * first_year
    thin = water + thin_weight * (first_year - water)
    emissivity = (0.89, 0.94)[at] - 0.03 * (band.name == "89_0")
    land = emissivity * weather.skt + 2 * anomalies[3]
    ice = seen.thin * thin + seen.first_year * first_year + seen.multi_year * multi_year
    ice = (1 - ponds) * ice + ponds * seen.ice * water
    return np.asarray(seen.land * land + ice + seen.water * water, np.float32)


def _instrument(rng: np.random.Generator, band: Band, surface: Array) -> Array:
    """Smooth to the footprint (land spills over with it) and add radiometric noise."""
    across, along = (width * _FWHM_TO_SIGMA / CELL_KM for width in band.footprint_km)
    smoothed = ndimage.gaussian_filter(surface, (along, across), mode="nearest", truncate=3.0)
    noise = band.noise_k * rng.standard_normal(surface.shape, dtype=np.float32)
    return np.asarray(smoothed + noise, np.float32)
