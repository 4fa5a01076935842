"""The ice of each chart polygon: which classes, where, and with which egg code.

Polygons are ranked along an ice potential that rises from the open sea into the pack; the lowest
are open water, then comes the marginal ice zone, then the pack. Classes are laid along such ranks
in proportion to the climatology, so a set of scenes has the class shares of its regions and
seasons and every scene is contiguous.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from autoice_bench.charts import FILL_VALUE
from autoice_bench.datasets.labels.egg_codes import EggCode
from autoice_bench.datasets.labels.rules import derive_labels
from autoice_bench.datasets.simulate.climatology import Climatology
from autoice_bench.datasets.simulate.egg_builder import Wanted, build_ice_code, build_water_code
from autoice_bench.datasets.simulate.land import Ground
from autoice_bench.datasets.simulate.polygons import Polygons

SOD_ORDER: Final = (1, 2, 3, 4, 5)
FLOE_ORDER: Final = (6, 1, 2, 3, 4, 5)
_AREA_STRIDE: Final = 4
MAX_POLYGON_ID: Final = 254
"""Ids fit unsigned 8-bit files, one value left for the fill; ids are sorted, not contiguous."""


@dataclass(frozen=True)
class IceChart:
    """Egg codes and labels of a scene's polygons.

    Attributes:
        egg_codes: one per polygon, in polygon order; ``poly_id`` is the id in raw files.
        labels: uint8 (3, polygons): SIC, SOD, FLOE of each polygon.
    """

    egg_codes: tuple[EggCode, ...]
    labels: NDArray[np.uint8]


def make_ice_chart(
    rng: np.random.Generator,
    polygons: Polygons,
    ground: Ground,
    climatology: Climatology,
    open_water: float,
    *,
    ambiguous_stage: bool = False,
) -> IceChart:
    """Give every polygon its ice.

    Args:
        rng: source of the draws.
        polygons: the partition of the scene.
        ground: land and chart limit; only charted pixels count for the shares.
        climatology: class shares among ice.
        open_water: wanted share of open water among charted pixels.
        ambiguous_stage: make SOD 255 in every polygon, as in a few released scenes.
    """
    areas = _charted_areas(polygons, ground)
    potential = _ice_potential(rng, polygons, ground)
    water = _lowest_share(potential, areas, open_water)
    ice = np.flatnonzero(~water)
    noise = np.stack([_site_anomaly(rng, polygons) for _ in range(3)])
    wanted = _wanted_labels(rng, potential[ice], noise[:, ice], areas[ice], climatology)
    n_ids = max(len(areas), min(3 * len(areas), MAX_POLYGON_ID))
    ids = 1 + np.sort(rng.choice(n_ids, len(areas), replace=False))
    stages = tuple(sod for sod, share in zip(SOD_ORDER, climatology.sod, strict=False) if share > 0)
    codes: list[EggCode] = [build_water_code(rng, int(poly_id)) for poly_id in ids]
    for at, (sic, sod, floe) in zip(ice, wanted, strict=True):
        stage = FILL_VALUE if ambiguous_stage else sod
        codes[at] = build_ice_code(rng, int(ids[at]), Wanted(sic, stage, floe, stages or (4,)))
    labels = np.array([derive_labels(code) for code in codes], dtype=np.uint8).T
    return IceChart(tuple(codes), np.ascontiguousarray(labels))


def _charted_areas(polygons: Polygons, ground: Ground) -> NDArray[np.float64]:
    """Charted pixels of each polygon, counted on every fourth line and sample."""
    index = polygons.index[::_AREA_STRIDE, ::_AREA_STRIDE]
    sea = (ground.height.values <= 0) & (ground.chart_limit.values <= 0)
    charted = index[sea[: index.shape[0], : index.shape[1]]]
    return np.bincount(charted, minlength=len(polygons.sites)).astype(np.float64)


def _ice_potential(
    rng: np.random.Generator, polygons: Polygons, ground: Ground
) -> NDArray[np.float64]:
    """How deep in the ice each polygon lies: falls seaward, with a meandering edge."""
    position = polygons.sites @ np.array(ground.seaward)
    position = (position - position.mean()) / position.std()
    result: NDArray[np.float64] = -position + 0.5 * _site_anomaly(rng, polygons)
    return result


def _site_anomaly(rng: np.random.Generator, polygons: Polygons) -> NDArray[np.float64]:
    """One random number per polygon, alike in neighbours; deviation 1."""
    gaps = polygons.sites[:, None, :] - polygons.sites[None, :, :]
    weights = np.exp(-0.5 * (gaps**2).sum(axis=-1) / (1.2 * polygons.spacing) ** 2)
    anomaly = weights @ rng.standard_normal(len(polygons.sites))
    return np.asarray(anomaly / anomaly.std())


def _lowest_share(
    potential: NDArray[np.float64], areas: NDArray[np.float64], share: float
) -> NDArray[np.bool_]:
    """The polygons of lowest potential whose charted areas come closest to ``share``."""
    if share in {0.0, 1.0}:
        return np.full(len(potential), bool(share))
    order = np.argsort(potential)
    covered = np.concatenate([[0.0], np.cumsum(areas[order])]) / max(areas.sum(), 1)
    # Uncharted polygons add no area: the last of equal cuts makes those at sea water.
    cut = len(covered) - 1 - int(np.argmin(np.abs(covered - share)[::-1]))
    lowest = np.zeros(len(potential), bool)
    lowest[order[:cut]] = True
    return lowest


def _wanted_labels(
    rng: np.random.Generator,
    potential: NDArray[np.float64],
    noise: NDArray[np.float64],
    areas: NDArray[np.float64],
    climatology: Climatology,
) -> list[tuple[int, int, int]]:
    if len(potential) == 0:
        return []
    spread = max(float(potential.std()), 1e-6)
    noise = noise * spread
    insert = (int(rng.integers(0, 6)), int(rng.integers(1, 7)))
    sod_order = (*SOD_ORDER[: insert[0]], FILL_VALUE, *SOD_ORDER[insert[0] :])
    floe_order = (*FLOE_ORDER[: insert[1]], FILL_VALUE, *FLOE_ORDER[insert[1] :])
    sod_shares = dict(zip((*SOD_ORDER, FILL_VALUE), climatology.sod, strict=True))
    floe_shares = dict(zip((*range(1, 7), FILL_VALUE), climatology.floe, strict=True))
    sic_shares = dict(zip(range(1, 11), climatology.sic, strict=True))
    sic = _lay(rng, potential + 0.3 * noise[0], areas, tuple(range(1, 11)), sic_shares)
    sod = _lay(rng, 0.6 * potential + noise[1], areas, sod_order, sod_shares)
    floe = _lay(rng, potential + 0.7 * noise[2], areas, floe_order, floe_shares)
    return list(zip(sic, sod, floe, strict=True))


def _lay(
    rng: np.random.Generator,
    score: NDArray[np.float64],
    areas: NDArray[np.float64],
    order: tuple[int, ...],
    shares: dict[int, float],
) -> list[int]:
    """Classes in the order of ``score``, each on about its share of the area (systematic draw)."""
    rank = np.argsort(score)
    weights = areas[rank] + 1e-3
    upper = np.cumsum(weights) / weights.sum()
    at = upper - rng.random() * weights / weights.sum()
    limits = np.cumsum([shares[index] for index in order])
    picks = np.searchsorted(limits / limits[-1], at, side="right")
    classes = np.empty(len(score), int)
    classes[rank] = np.array(order)[np.minimum(picks, len(order) - 1)]
    return [int(index) for index in classes]
