from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from autoice_bench.charts import FILL_VALUE
from autoice_bench.datasets.labels import tables as label_tables
from autoice_bench.datasets.labels.egg_codes import EggCode
from autoice_bench.datasets.labels.rasters import DerivedCharts, PolygonRaster, derive_charts
from autoice_bench.datasets.labels.rules import derive_labels
from autoice_bench.datasets.labels.tables import row_blocks
from autoice_bench.formats.label_rule import AUTOICE_2022

OLD = EggCode(3, 90, sa=95, fa=5)
YOUNG = EggCode(7, 50, sa=84, fa=3)
WATER = EggCode(12, 2, poly_type="W")

Ids = np.ndarray[Any, Any]


def _derive(ids: Ids, *egg_codes: EggCode) -> DerivedCharts:
    return derive_charts(PolygonRaster(ids, None), egg_codes, AUTOICE_2022, where="scene x")


def _label(ids: Ids, *egg_codes: EggCode) -> Ids:
    """Charts of ids at 80 m: each one fills its 2x2 block, so the maximum changes nothing."""
    return _derive(ids.repeat(2, axis=0).repeat(2, axis=1), *egg_codes).charts


def test_empty_table_masks_everything() -> None:
    charts = _label(np.array([[0, 5], [np.nan, 1e9]], np.float32))

    assert (charts == FILL_VALUE).all()


def test_raster_by_hand() -> None:
    ids = np.array([[3, 7, 12], [np.nan, 4, 13]], np.float32)  # 4 and 13 have no row

    charts = _label(ids, OLD, YOUNG, WATER)

    np.testing.assert_array_equal(charts[0], [[9, 5, 0], [255, 255, 255]])
    np.testing.assert_array_equal(charts[1], [[5, 2, 0], [255, 255, 255]])
    np.testing.assert_array_equal(charts[2], [[4, 2, 0], [255, 255, 255]])


@given(
    arrays(np.int16, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(-2, 20)),
    st.sampled_from(["i2", "f4"]),
)
def test_raster_agrees_with_a_loop_over_pixels(ids: Ids, dtype: str) -> None:
    known = {egg_code.poly_id: derive_labels(egg_code) for egg_code in (OLD, YOUNG, WATER)}
    no_label = (FILL_VALUE,) * 3
    expected = np.array([[known.get(int(i), no_label) for i in row] for row in ids])

    charts = _label(ids.astype(dtype), OLD, YOUNG, WATER)

    np.testing.assert_array_equal(charts, np.moveaxis(expected, -1, 0))


@given(
    arrays(np.int16, st.tuples(st.integers(2, 9), st.integers(2, 9)), elements=st.integers(-2, 20))
)
def test_a_pixel_takes_the_largest_label_of_its_block(ids: Ids) -> None:
    whole = ids[: len(ids) // 2 * 2, : ids.shape[1] // 2 * 2]
    labels = _label(whole.astype(np.float32), OLD, YOUNG, WATER)
    expected = labels.reshape(3, len(whole) // 2, 2, -1, 2).max(axis=(2, 4))

    charts = _derive(ids.astype(np.float32), OLD, YOUNG, WATER).charts

    np.testing.assert_array_equal(charts, expected)


def test_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = np.random.default_rng(0).choice([3, 7, 12, 5, np.nan], (41, 6)).astype(np.float32)
    whole = _derive(ids, OLD, YOUNG, WATER)

    monkeypatch.setattr(label_tables, "BLOCK_PIXELS", 24)
    assert len(list(row_blocks(*ids.shape))) == 11  # 4 lines of 6 each, the last of one

    blocks = _derive(ids, OLD, YOUNG, WATER)
    np.testing.assert_array_equal(blocks.rasters, whole.rasters)
    np.testing.assert_array_equal(blocks.uncharted, whole.uncharted)
    np.testing.assert_array_equal(blocks.census.slot_counts, whole.census.slot_counts)
    assert blocks.census.ids_without_row == whole.census.ids_without_row


def test_input_is_left_alone() -> None:
    ids = np.array([[3, np.nan]] * 2, np.float32)
    _derive(ids, OLD)

    np.testing.assert_array_equal(ids, [[3, np.nan]] * 2)
