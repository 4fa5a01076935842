from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoice_bench.datasets.labels.egg_codes import EggCode
from autoice_bench.datasets.labels.tables import (
    MAX_POLYGON_ID,
    NO_POLYGON,
    LabelTable,
    build_label_table,
    count_problems,
    polygon_slots,
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


@given(st.integers(1, 5000), st.integers(1, 3_000_000))
def test_row_blocks_cover_every_line_once_and_stay_even(lines: int, samples: int) -> None:
    blocks = list(row_blocks(lines, samples))

    assert blocks[0].start == 0
    assert blocks[-1].stop == lines
    for block, following in pairwise(blocks):
        assert block.stop == following.start
        assert (block.stop - block.start) % 2 == 0


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
