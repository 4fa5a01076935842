"""Charts of a raw scene from its polygons: label look-up at 40 m, 2x2 maximum, pixel census."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autoice_bench.charts import CHARTS
from autoice_bench.datasets.labels.egg_codes import EggCode
from autoice_bench.datasets.labels.tables import (
    NO_POLYGON,
    LabelTable,
    build_label_table,
    polygon_slots,
    row_blocks,
)
from autoice_bench.formats.label_rule import LabelRule


@dataclass(frozen=True, eq=False)
class PolygonRaster:
    """Polygon ids as stored: (lines, samples), NaN or ``fill_value`` outside polygons."""

    ids: NDArray[Any]
    fill_value: float | None


@dataclass(frozen=True, eq=False)
class PolygonCensus:
    """Pixels of a polygon raster.

    Attributes:
        slot_counts: int64 (slots,), 40 m pixels per slot of the label table.
        ids_without_row: 40 m pixels per polygon id that the label table lacks.
    """

    slot_counts: NDArray[np.int64]
    ids_without_row: dict[float, int]


@dataclass(frozen=True, eq=False)
class DerivedCharts:
    """What the polygons of a scene give.

    Attributes:
        table: labels per polygon.
        rasters: uint8 (3 or 4, lines, samples) at 80 m: SIC, SOD, FLOE and, if asked for, the index
            into ``ICE_TYPES``; 255 where masked.
        uncharted: bool (lines, samples) at 80 m; True where a 40 m pixel has no polygon.
        census: 40 m pixels per polygon.
    """

    table: LabelTable
    rasters: NDArray[np.uint8]
    uncharted: NDArray[np.bool_]
    census: PolygonCensus

    @property
    def charts(self) -> NDArray[np.uint8]:
        """uint8 (3, lines, samples): SIC, SOD, FLOE."""
        return self.rasters[: len(CHARTS)]

    @property
    def ice_type(self) -> NDArray[np.uint8] | None:
        """uint8 (lines, samples); None unless asked for."""
        return self.rasters[-1] if len(self.rasters) > len(CHARTS) else None


def derive_charts(
    polygons: PolygonRaster,
    egg_codes: Sequence[EggCode],
    rule: LabelRule,
    *,
    where: str,
    ice_types: bool = False,
) -> DerivedCharts:
    """Derive a raw scene's charts at 80 m from its polygons; SAR nodata masks nothing yet.

    Args:
        polygons: polygon ids at 40 m; an odd last line or sample is dropped.
        egg_codes: a row per polygon.
        rule: label rule and thresholds.
        where: for messages, such as ``scene 20180607T184326_dmi``.
        ice_types: also derive the ten ice types.

    Raises:
        LabelError: two rows have one id.
    """
    table = build_label_table(egg_codes, rule, where=where)
    shape = polygons.ids.shape
    lines, samples = shape[0] // 2, shape[1] // 2
    lookups = [table.over_slots(table.labels[:, chart]) for chart in range(len(CHARTS))]
    if ice_types:
        lookups.append(table.over_slots(table.ice_types))
    rasters = np.empty((len(lookups), lines, samples), np.uint8)
    uncharted = np.empty((lines, samples), bool)
    census = _Census(table)
    for rows in row_blocks(*shape):
        slots = polygon_slots(polygons.ids[rows], table.n_slots, fill_value=polygons.fill_value)
        census.add(slots, polygons.ids[rows])
        whole = slots[: len(slots) // 2 * 2, : 2 * samples]
        out = slice(rows.start // 2, rows.start // 2 + len(whole) // 2)
        for lookup, raster in zip(lookups, rasters, strict=True):
            raster[out] = max_2x2(lookup.take(whole, mode="clip"))
        uncharted[out] = max_2x2(whole == NO_POLYGON)
    return DerivedCharts(table, rasters, uncharted, census.result())


def count_polygon_pixels(polygons: PolygonRaster, table: LabelTable) -> PolygonCensus:
    """Count the 40 m pixels of every polygon, block by block."""
    census = _Census(table)
    for rows in row_blocks(*polygons.ids.shape):
        ids = polygons.ids[rows]
        census.add(polygon_slots(ids, table.n_slots, fill_value=polygons.fill_value), ids)
    return census.result()


def max_2x2(values: NDArray[Any]) -> NDArray[Any]:
    """Maximum of each 2x2 block of (2m, 2n) values; (m, n), same dtype."""
    rows = np.maximum(values[0::2], values[1::2])
    blocks: NDArray[Any] = np.maximum(rows[:, 0::2], rows[:, 1::2])
    return blocks


class _Census:
    """Counts pixels per slot, and per id those that have no row."""

    def __init__(self, table: LabelTable) -> None:
        self._has_row = table.has_row()
        self._counts = np.zeros(table.n_slots, np.int64)
        self._ids_without_row: dict[float, int] = {}

    def add(self, slots: NDArray[np.intp], ids: NDArray[Any]) -> None:
        counts = np.bincount(slots.ravel(), minlength=self._counts.size)
        self._counts += counts
        strange = (counts > 0) & ~self._has_row
        strange[NO_POLYGON] = False
        if strange.any():
            values, numbers = np.unique(ids[strange[slots]], return_counts=True)
            for value, number in zip(values.tolist(), numbers.tolist(), strict=True):
                self._ids_without_row[value] = self._ids_without_row.get(value, 0) + number

    def result(self) -> PolygonCensus:
        return PolygonCensus(self._counts, self._ids_without_row)
