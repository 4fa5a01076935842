"""The actual ice behind each charted polygon: types, backscatter, floes, concentration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from autoice_bench.charts import FILL_VALUE
from autoice_bench.datasets.labels.egg_codes import EggCode
from autoice_bench.datasets.labels.rules import FLOE_CLASSES, SIC_CLASSES, SOD_CLASSES
from autoice_bench.datasets.simulate.backscatter import SIGNATURES
from autoice_bench.datasets.simulate.egg_builder import FAST_ICE, type_fractions
from autoice_bench.datasets.simulate.fields import Array, CoarseField, coarse_shape, smooth_field
from autoice_bench.datasets.simulate.ice_chart import IceChart
from autoice_bench.datasets.simulate.polygons import Polygons

CONCENTRATION_FACTOR: Final = 8
"""Pixels per cell of the concentration grid (640 m)."""
EDGE_SHIFT: Final = 0.06
"""Deviation of charted from real edges, in polygon widths: charts are drawn on the SAR image."""


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
    shape = polygons.index.shape
    factor = CONCENTRATION_FACTOR
    index = polygons.index[factor // 2 :: factor, factor // 2 :: factor]
    coarse = coarse_shape((shape[0], shape[1]), factor)
    index = np.pad(
        index, [(0, coarse[0] - index.shape[0]), (0, coarse[1] - index.shape[1])], "edge"
    )
    reach = polygons.spacing / factor
    moved = [
        np.arange(coarse[axis]).reshape((-1, 1) if axis == 0 else (1, -1))
        + EDGE_SHIFT * reach * smooth_field(rng, coarse, max(reach / 8, 1.0))
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
