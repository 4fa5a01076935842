"""Backscatter and surface fractions of a scene, computed in strips of lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from autoice_bench.charts import FILL_VALUE
from autoice_bench.datasets.simulate.amsr2 import CellFractions
from autoice_bench.datasets.simulate.backscatter import (
    DB_TO_LOG,
    REFERENCE_ANGLE_DEG,
    noise_floor_db,
    subtracted_noise,
    water_hh,
    water_hv,
)
from autoice_bench.datasets.simulate.fields import (
    Array,
    CoarseField,
    power_law_field,
    unit_variance,
)
from autoice_bench.datasets.simulate.floes import (
    BIG_SPACING_PX,
    MAX_TILE,
    VAST_SPACING_PX,
    FloePattern,
    make_deformation,
    make_floe_pattern,
)
from autoice_bench.datasets.simulate.land import Ground
from autoice_bench.datasets.simulate.polygon_ice import PolygonIce, concentration_field
from autoice_bench.datasets.simulate.polygons import Polygons
from autoice_bench.datasets.simulate.speckle import Speckle

STRIP_LINES: Final = 200
"""Lines worked on at a time: a multiple of the 25 lines of a 2 km cell."""
_SAMPLE_STRIDE: Final = 5
MIN_INTENSITY: Final = 1e-5
"""Floor of a denoised intensity (-50 dB), as subtracting noise can leave less than nothing."""


@dataclass(frozen=True)
class SurfaceModel:
    """Everything that ``render_strip`` needs."""

    polygons: Polygons
    ice: PolygonIce
    ground: Ground
    concentration: CoarseField
    water: tuple[CoarseField, CoarseField]
    patterns: tuple[FloePattern, FloePattern]
    deformation: Array
    terrain: Array
    incidence: tuple[NDArray[np.float64], NDArray[np.float64]]
    noise: tuple[Array, Array]
    subtracted: tuple[Array, Array]


@dataclass(frozen=True)
class SurfaceStrip:
    """Some lines of a scene.

    Attributes:
        hh, hv: dB, float32, land included.
        land: land mask.
        uncharted: land or beyond the chart limit.
        kinds: uint8 at every fifth line and sample: 0 water, 1-5 SOD class, 255 land.
        weights: float32 at the same pixels: ice share.
    """

    hh: Array
    hv: Array
    land: NDArray[np.bool_]
    uncharted: NDArray[np.bool_]
    kinds: NDArray[np.uint8]
    weights: Array


def water_fields(
    shape: tuple[int, int],
    wind: tuple[Array, Array],
    incidence: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> tuple[CoarseField, CoarseField]:
    """Open-water HH and HV intensity on 2 km cells, from wind and incidence angle."""
    cells = wind[0].shape
    lines = np.minimum(np.arange(cells[0]) * 25 + 12, shape[0] - 1)
    samples = np.minimum(np.arange(cells[1]) * 25 + 12, shape[1] - 1)
    angle = incidence[0][lines][:, None] + incidence[1][samples][None, :]
    speed = np.hypot(*wind)
    # Samples increase in the look direction: wind along +u blows away from the radar.
    direction = np.degrees(np.arctan2(wind[1], -wind[0]))
    hh = water_hh(speed, direction, angle).astype(np.float32)
    hv = water_hv(speed, angle).astype(np.float32)
    return CoarseField(hh, 25, shape), CoarseField(hv, 25, shape)


def make_surface(
    rng: np.random.Generator,
    polygons: Polygons,
    ice: PolygonIce,
    ground: Ground,
    wind: tuple[Array, Array],
    incidence: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> SurfaceModel:
    """Draw floes, textures, water and noise of a scene."""
    shape = ground.height.shape
    tile = min(MAX_TILE, max(shape))
    big_tile = min(MAX_TILE // 2, tile)
    patterns = (
        make_floe_pattern(rng, big_tile, BIG_SPACING_PX, shift_px=12),
        make_floe_pattern(rng, tile, VAST_SPACING_PX, shift_px=30, step=2),
    )
    sample_angle = incidence[1]
    noise = [10 ** (noise_floor_db(sample_angle, hv) / 10) for hv in (False, True)]
    subtracted = [subtracted_noise(rng, power, sample_angle) for power in noise]
    return SurfaceModel(
        polygons=polygons,
        ice=ice,
        ground=ground,
        concentration=concentration_field(rng, polygons, ice),
        water=water_fields(shape, wind, incidence),
        patterns=patterns,
        deformation=make_deformation(rng, big_tile),
        terrain=_make_terrain(rng, big_tile),
        incidence=incidence,
        noise=(noise[0].astype(np.float32), noise[1].astype(np.float32)),
        subtracted=(subtracted[0].astype(np.float32), subtracted[1].astype(np.float32)),
    )


def _make_terrain(rng: np.random.Generator, size: int) -> Array:
    """Periodic relief texture, deviation 1, without the large forms that would show the period."""
    relief = power_law_field(rng, (size, size), 2.0)
    return unit_variance(relief - ndimage.gaussian_filter(relief, 30, mode="wrap"))


def render_strip(
    model: SurfaceModel, speckle: tuple[Speckle, Speckle], start: int, stop: int
) -> SurfaceStrip:
    """Backscatter and surface kinds of the lines ``start`` to ``stop``."""
    share, key = _ice_share_and_type(model, start, stop)
    land, uncharted = model.ground.uncharted_rows(start, stop)
    n_samples = share.shape[1]
    size = model.deformation.shape[0]
    tile = np.ix_(np.arange(start, stop) % size, np.arange(n_samples) % size)
    texture = model.ice.texture[key] * model.deformation[tile]
    angle = model.incidence[0][start:stop, None] + model.incidence[1][None, :]
    angle = (angle - REFERENCE_ANGLE_DEG).astype(np.float32)
    terrain = model.terrain[tile][land]
    images = []
    for at in range(2):
        level = model.ice.slope[at][key] * angle
        level += model.ice.level[at][key]
        level += texture
        intensity = np.exp(np.float32(DB_TO_LOG) * level)
        intensity *= share
        # Ice damps the waves around it: water between floes is darker than the open sea.
        water = (1 - share) * (1 - np.float32(0.65) * np.sqrt(share.clip(0, 1)))
        intensity += water * model.water[at].rows(start, stop)
        land_db = (-9.5, -18.5)[at] + 2.4 * terrain - 0.12 * angle[land]
        intensity[land] = np.exp(np.float32(DB_TO_LOG) * land_db)
        intensity += model.noise[at]
        intensity *= speckle[at].rows(stop - start)
        intensity -= model.subtracted[at]
        np.maximum(intensity, np.float32(MIN_INTENSITY), out=intensity)
        images.append(np.float32(1 / DB_TO_LOG) * np.log(intensity))
    every = slice(_SAMPLE_STRIDE // 2, None, _SAMPLE_STRIDE)
    kinds = model.ice.sod[key[every, every]]
    kinds[land[every, every]] = FILL_VALUE
    return SurfaceStrip(images[0], images[1], land, uncharted, kinds, share[every, every].copy())


def _ice_share_and_type(
    model: SurfaceModel, start: int, stop: int
) -> tuple[Array, NDArray[np.intp]]:
    """Ice share of each pixel, and ``3 * polygon + type`` of its ice."""
    index, ice = model.polygons.index, model.ice
    n_lines, n_samples = index.shape
    own = index[start:stop]
    threshold, draw, shift = model.patterns[0].rows(start, stop, n_samples)
    vast = ice.pattern[own] == 2
    if vast.any():
        large = model.patterns[1].rows(start, stop, n_samples)
        threshold = np.where(vast, large[0], threshold)
        draw = np.where(vast, large[1], draw)
        shift = np.where(vast[None], large[2], shift)
    lines = np.clip(np.arange(start, stop)[:, None] + shift[0], 0, n_lines - 1)
    samples = np.clip(np.arange(n_samples)[None, :] + shift[1], 0, n_samples - 1)
    source = index[lines, samples]
    kind = (draw > ice.split[0][source]).astype(np.intp)
    kind += draw > ice.split[1][source]
    share = model.concentration.rows(start, stop)
    resolved = ice.resolved[own]
    share += resolved * ((threshold < share) - share)
    return share, 3 * source.astype(np.intp) + kind


def cell_fractions(
    kinds: NDArray[np.uint8], weights: Array, cells: tuple[int, int]
) -> CellFractions:
    """Shares of each 2 km cell from samples of surface kind and ice share, 5 x 5 per cell.

    Samples beyond the last whole cell are left out.
    """
    used = slice(5 * cells[0]), slice(5 * cells[1])
    kinds, weights = kinds[used], weights[used]

    def share(mask: NDArray[np.bool_], amount: Array | None = None) -> Array:
        values = mask.astype(np.float32) if amount is None else mask * amount
        return np.asarray(values.reshape(cells[0], 5, cells[1], 5).mean(axis=(1, 3)))

    return CellFractions(
        land=share(kinds == FILL_VALUE),
        thin=share((kinds == 1) | (kinds == 2), weights),
        first_year=share((kinds == 3) | (kinds == 4), weights),
        multi_year=share(kinds == 5, weights),
    )
