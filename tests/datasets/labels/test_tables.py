from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from autoice_bench.charts import FILL_VALUE
from autoice_bench.datasets.labels import tables as label_tables
from autoice_bench.datasets.labels.egg_codes import EggCode
from autoice_bench.datasets.labels.rules import derive_labels
from autoice_bench.datasets.labels.tables import (
    MAX_POLYGON_ID,
    NO_POLYGON,
    LabelTable,
    build_label_table,
    count_problems,
    polygon_slots,
    rasterise_labels,
    row_blocks,
)
from autoice_bench.errors import LabelError
from autoice_bench.formats.label_rule import AUTOICE_2022, LabelRule

OLD = EggCode(3, 90, sa=95, fa=5)
YOUNG = EggCode(7, 50, sa=84, fa=3)
WATER = EggCode(12, 2, poly_type="W")


def _table(*egg_codes: EggCode, rule: LabelRule = AUTOICE_2022) -> LabelTable:
    return build_label_table(egg_codes, rule, where="scene x")


def test_table_is_sorted_by_id() -> None:
    table = _table(WATER, OLD, YOUNG)

    assert table.polygon_ids.tolist() == [3, 7, 12]
    assert table.labels.tolist() == [[9, 5, 4], [5, 2, 2], [0, 0, 0]]
    assert table.ice_types.tolist() == [7, 2, 0]
    assert table.n_slots == 12 + 3  # no polygon, ids 0 to 12, ids beyond
    spread = table.over_slots(table.labels[:, 0])
    assert spread.tolist() == [*[255] * 4, 9, *[255] * 3, 5, *[255] * 4, 0, 255]


def test_empty_table_masks_everything() -> None:
    table = _table()

    charts = rasterise_labels(np.array([[0, 5], [np.nan, 1e9]], np.float32), table)

    assert (charts == FILL_VALUE).all()


def test_raster_by_hand() -> None:
    ids = np.array([[3, 7, 12], [np.nan, 4, 13]], np.float32)  # 4 and 13 have no row

    charts = rasterise_labels(ids, _table(OLD, YOUNG, WATER))

    np.testing.assert_array_equal(charts[0], [[9, 5, 0], [255, 255, 255]])
    np.testing.assert_array_equal(charts[1], [[5, 2, 0], [255, 255, 255]])
    np.testing.assert_array_equal(charts[2], [[4, 2, 0], [255, 255, 255]])


@pytest.mark.parametrize("strange", [-1, -50, 3.5, 16_777_217, np.inf, -np.inf])
def test_ids_that_no_row_can_name_share_the_last_slot(strange: float) -> None:
    table = _table(OLD)

    slots = polygon_slots(np.array([3, strange, np.nan]), table.n_slots)

    assert slots.tolist() == [4, table.n_slots - 1, NO_POLYGON]


@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "i4", "f4", "f8"])
def test_every_dtype_of_ids(dtype: str) -> None:
    table = _table(OLD, YOUNG)
    ids = np.array([3, 7, 100, 0], dtype)

    slots = polygon_slots(ids, table.n_slots, fill_value=0)

    assert slots.tolist() == [4, 8, table.n_slots - 1, NO_POLYGON]


@given(
    arrays(np.int16, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(-2, 20)),
    st.sampled_from(["i2", "f4"]),
)
def test_raster_agrees_with_a_loop_over_pixels(ids: np.ndarray[Any, Any], dtype: str) -> None:
    known = {egg_code.poly_id: derive_labels(egg_code) for egg_code in (OLD, YOUNG, WATER)}
    no_label = (FILL_VALUE,) * 3
    expected = np.array([[known.get(int(i), no_label) for i in row] for row in ids])

    charts = rasterise_labels(ids.astype(dtype), _table(OLD, YOUNG, WATER))

    np.testing.assert_array_equal(charts, np.moveaxis(expected, -1, 0))


def test_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = np.random.default_rng(0).choice([3, 7, 12, 5, np.nan], (41, 6)).astype(np.float32)
    whole = rasterise_labels(ids, _table(OLD, YOUNG, WATER))

    monkeypatch.setattr(label_tables, "BLOCK_PIXELS", 24)
    assert len(list(row_blocks(*ids.shape))) == 11  # 4 lines of 6 each, the last of one

    np.testing.assert_array_equal(rasterise_labels(ids, _table(OLD, YOUNG, WATER)), whole)


@given(st.integers(1, 5000), st.integers(1, 3_000_000))
def test_row_blocks_cover_every_line_once_and_stay_even(lines: int, samples: int) -> None:
    blocks = list(row_blocks(lines, samples))

    assert blocks[0].start == 0
    assert blocks[-1].stop == lines
    for block, following in pairwise(blocks):
        assert block.stop == following.start
        assert (block.stop - block.start) % 2 == 0


def test_input_is_left_alone() -> None:
    ids = np.array([[3, np.nan]], np.float32)
    rasterise_labels(ids, _table(OLD))

    np.testing.assert_array_equal(ids, [[3, np.nan]])


def test_ids_beyond_float32_are_an_error() -> None:
    for poly_id in (-1, MAX_POLYGON_ID + 1):
        with pytest.raises(LabelError, match=f"scene x: polygon_codes holds poly_id {poly_id}"):
            _table(EggCode(poly_id, 90))


def test_conflicting_rows_mask_the_polygon_in_every_chart() -> None:
    table = _table(OLD, EggCode(3, 90, sa=93, fa=5), YOUNG)

    assert table.labels.tolist() == [[255, 255, 255], [5, 2, 2]]
    assert count_problems(table.problems) == {"conflicting id": 1}


def test_unfilled_total_is_an_unknown_code() -> None:
    (problem,) = _table(EggCode(3, -9, sa=95, fa=5)).problems

    assert (problem.kind, problem.poly_id, problem.detail) == ("unknown code", 3, "CT -9")
