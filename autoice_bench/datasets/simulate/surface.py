"""Backscatter and surface fractions of a scene, computed in strips of lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from autoice_bench.charts import FILL_VALUE
from autoice_bench.datasets.egg_codes import EggCode
from autoice_bench.datasets.labels import FLOE_CLASSES, SIC_CLASSES, SOD_CLASSES
from autoice_bench.datasets.simulate.amsr2 import CellFractions
from autoice_bench.datasets.simulate.backscatter import (
    DB_TO_LOG,
    REFERENCE_ANGLE_DEG,
    SIGNATURES,
    noise_floor_db,
    noise_residual,
    water_hh,
    water_hv,
)
from autoice_bench.datasets.simulate.egg_builder import FAST_ICE, type_fractions
from autoice_bench.datasets.simulate.fields import (
    Array,
    CoarseField,
    coarse_shape,
    power_law_field,
    smooth_field,
)
from autoice_bench.datasets.simulate.floes import (
    BIG_SPACING_PX,
    MAX_TILE,
    VAST_SPACING_PX,
    FloePattern,
    make_deformation,
    make_floe_pattern,
)
from autoice_bench.datasets.simulate.ice_chart import IceChart
from autoice_bench.datasets.simulate.land import Ground
from autoice_bench.datasets.simulate.polygons import Polygons

STRIP_LINES: Final = 200
"""Lines worked on at a time: a multiple of the 25 lines of a 2 km cell."""
SPECKLE_LOOKS: Final = 17.0
"""Equivalent looks at 80 m (a 2 x 2 mean of correlated 40 m pixels has 15 to 20)."""
_SPECKLE_TAP: Final = 0.15
_SAMPLE_STRIDE: Final = 5
_CONCENTRATION_FACTOR: Final = 8
RETAINED_NOISE: Final = np.float32(0.5)
"""Share of the noise power that denoising leaves, so that few pixels fall below zero; judged."""
MIN_INTENSITY: Final = 1e-5
"""Floor of a denoised intensity (-50 dB), as subtracting noise can leave less than nothing."""


@dataclass(frozen=True)
class PolygonIce:
    """Properties per polygon and ice type; look-up arrays for rasters of polygon indices.

    Attributes:
        split: float32 (2, polygons): a floe with ``draw`` above the first value is of type B or
            C, above the second of type C.
        level: float32 (2, 3 * polygons): HH and HV at 35 degrees, dB.
        slope: float32 (2, 3 * polygons), dB per degree.
        texture: float32 (3 * polygons), dB.
        sod: uint8 (3 * polygons): class of the type, as if determined.
        pattern: uint8 (polygons): 0 small floes, 1 big floes, 2 vast floes.
        resolved: float32 (polygons): how far single floes show at 80 m.
        concentration: float32 (polygons): actual ice share.
    """

    split: Array
    level: Array
    slope: Array
    texture: Array
    sod: NDArray[np.uint8]
    pattern: NDArray[np.uint8]
    resolved: Array
    concentration: Array


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
    residual: tuple[Array, Array]


@dataclass(frozen=True)
class Strip:
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


class Speckle:
    """Correlated multiplicative noise of mean 1, drawn strip by strip without seams."""

    def __init__(self, rng: np.random.Generator, n_samples: int) -> None:
        self._rng = rng
        self._n_samples = n_samples
        self._carry = self._normal(2)

    def _normal(self, n_lines: int) -> Array:
        return self._rng.standard_normal((n_lines, self._n_samples + 2), dtype=np.float32)

    def rows(self, n_lines: int) -> Array:
        """The next ``n_lines`` lines; float32 (n_lines, samples), lognormal."""
        noise = np.concatenate([self._carry, self._normal(n_lines)])
        self._carry = noise[-2:].copy()
        tap = np.float32(_SPECKLE_TAP)
        noise = noise[1:-1] + tap * (noise[:-2] + noise[2:])
        noise = noise[:, 1:-1] + tap * (noise[:, :-2] + noise[:, 2:])
        deviation = float(np.sqrt(np.log1p(1 / SPECKLE_LOOKS)))
        noise *= np.float32(deviation / (1 + 2 * _SPECKLE_TAP**2))
        noise -= np.float32(deviation**2 / 2)
        return np.exp(noise, out=noise)


def make_polygon_ice(
    rng: np.random.Generator, chart: IceChart, *, melt: bool, freeze_up: bool
) -> PolygonIce:
    """Draw the actual ice behind each polygon's egg code."""
    scene_offset = rng.normal(0, 0.8, (2, 6))
    rows = [_polygon_row(rng, code, melt, freeze_up, scene_offset) for code in chart.egg_codes]
    types = [kind for row in rows for kind in row[1]]
    cumulative = np.cumsum([row[0] for row in rows], axis=1)
    return PolygonIce(
        split=cumulative.T[:2].astype(np.float32),
        level=np.array([[kind[1], kind[2]] for kind in types], np.float32).T.copy(),
        slope=np.array(
            [[SIGNATURES[kind[0]].hh_slope, SIGNATURES[kind[0]].hv_slope] for kind in types],
            np.float32,
        ).T.copy(),
        texture=np.array([SIGNATURES[kind[0]].texture_db for kind in types], np.float32),
        sod=np.array([kind[0] for kind in types], np.uint8),
        pattern=np.array([row[2] for row in rows], np.uint8),
        resolved=np.array([row[3] for row in rows], np.float32),
        concentration=np.array([row[4] for row in rows], np.float32),
    )


def _polygon_row(
    rng: np.random.Generator,
    code: EggCode,
    melt: bool,
    freeze_up: bool,
    scene_offset: NDArray[np.float64],
) -> tuple[tuple[float, ...], list[tuple[int, float, float]], int, float, float]:
    """(type shares, (sod, HH, HV) per type, pattern, resolved, concentration) of one polygon."""
    kinds = []
    for stage in code.stages:
        sod = SOD_CLASSES.get(stage, FILL_VALUE)
        if sod not in SIGNATURES:
            sod = 1 if freeze_up else 4
        signature = SIGNATURES[sod]
        melting = signature.melt_db if melt else 0.0
        own = rng.normal(0, 0.9) + np.array([0.0, rng.normal(0, 0.5)])
        hh, hv = np.array([signature.hh_db, signature.hv_db]) + melting + own + scene_offset[:, sod]
        kinds.append((sod, float(hh), float(hv)))
    sic = 0 if code.poly_type == "W" else SIC_CLASSES[code.ct]
    form = max((FLOE_CLASSES.get(form, 0) for form in code.forms if form != FAST_ICE), default=0)
    form = 0 if form == FILL_VALUE else form
    fast = FAST_ICE in code.forms and sic == 10
    pattern, resolved = {4: (1, 1.0), 5: (2, 1.0), 3: (0, 0.7), 6: (0, 0.5)}.get(form, (0, 0.25))
    concentration = _actual_concentration(rng, sic, fast)
    return type_fractions(code), kinds, pattern, resolved, concentration


def _actual_concentration(rng: np.random.Generator, sic: int, fast: bool) -> float:
    """Ice share behind a charted class: analysts round, and err by a tenth now and then."""
    if sic == 0:
        return float(0.06 * rng.random() ** 4)
    if sic == 10:
        return 1.0 if fast else float(1 - 0.05 * rng.random())
    return float(np.clip(sic / 10 + rng.normal(0, 0.07), 0.04, 0.98))


def concentration_field(
    rng: np.random.Generator, polygons: Polygons, ice: PolygonIce
) -> CoarseField:
    """Actual ice share of every 640 m cell.

    Real edges are displaced from the charted ones, gradual, and uneven inside a polygon.
    """
    from scipy import ndimage

    shape = polygons.index.shape
    factor = _CONCENTRATION_FACTOR
    index = polygons.index[factor // 2 :: factor, factor // 2 :: factor]
    coarse = coarse_shape((shape[0], shape[1]), factor)
    index = np.pad(
        index, [(0, coarse[0] - index.shape[0]), (0, coarse[1] - index.shape[1])], "edge"
    )
    reach = polygons.spacing / factor
    moved = [
        np.arange(coarse[axis]).reshape((-1, 1) if axis == 0 else (1, -1))
        + 0.13 * reach * smooth_field(rng, coarse, max(reach / 8, 1.0))
        for axis in range(2)
    ]
    lines = np.clip(np.rint(moved[0]), 0, coarse[0] - 1).astype(np.intp)
    samples = np.clip(np.rint(moved[1]), 0, coarse[1] - 1).astype(np.intp)
    share = ndimage.gaussian_filter(ice.concentration[index[lines, samples]], max(reach / 25, 0.8))
    uneven = smooth_field(rng, coarse, max(reach / 6, 1.5))
    share = share + 0.55 * uneven * share * (1 - share)
    return CoarseField(
        np.clip(share, 0, 1).astype(np.float32), factor, (int(shape[0]), int(shape[1]))
    )


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
    residual = [noise_residual(rng, sample_angle) for _ in range(2)]
    return SurfaceModel(
        polygons=polygons,
        ice=ice,
        ground=ground,
        concentration=concentration_field(rng, polygons, ice),
        water=water_fields(shape, wind, incidence),
        patterns=patterns,
        deformation=make_deformation(rng, big_tile),
        terrain=power_law_field(rng, (big_tile, big_tile), 2.0),
        incidence=incidence,
        noise=(noise[0].astype(np.float32), noise[1].astype(np.float32)),
        residual=(residual[0].astype(np.float32), residual[1].astype(np.float32)),
    )


def render_strip(
    model: SurfaceModel, speckle: tuple[Speckle, Speckle], start: int, stop: int
) -> Strip:
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
        intensity -= (1 - RETAINED_NOISE) * model.noise[at] * (1 - model.residual[at])
        np.maximum(intensity, np.float32(MIN_INTENSITY), out=intensity)
        images.append(np.float32(1 / DB_TO_LOG) * np.log(intensity))
    every = slice(_SAMPLE_STRIDE // 2, None, _SAMPLE_STRIDE)
    kinds = model.ice.sod[key[every, every]]
    kinds[land[every, every]] = FILL_VALUE
    return Strip(images[0], images[1], land, uncharted, kinds, share[every, every].copy())


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
    kinds, weights = kinds[: 5 * cells[0], : 5 * cells[1]], weights[: 5 * cells[0], : 5 * cells[1]]

    def share(mask: NDArray[np.bool_], amount: Array | None = None) -> Array:
        values = mask.astype(np.float32) if amount is None else mask * amount
        return values.reshape(cells[0], 5, cells[1], 5).mean(axis=(1, 3))

    return CellFractions(
        land=share(kinds == FILL_VALUE),
        thin=share((kinds == 1) | (kinds == 2), weights),
        first_year=share((kinds == 3) | (kinds == 4), weights),
        multi_year=share(kinds == 5, weights),
    )
