"""Chart values become classes, and their pixels are counted."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from autoice_bench.charts import CHARTS, FLOE, SIC
from autoice_bench.formats.chart_values import count_classes, whole_classes


def test_whole_classes() -> None:
    values = np.array([0, 10, 255, np.nan, 3.5, -1, 256, 1e9, np.inf])
    assert whole_classes(values).tolist() == [0, 10, 255, 255, 254, 254, 254, 254, 254]
    assert whole_classes(np.array([-1, 3, 255, 300], np.int16)).tolist() == [254, 3, 255, 254]
    untouched = np.array([1, 2], np.uint8)
    assert whole_classes(untouched) is untouched


@settings(max_examples=50, deadline=None)
@given(
    hnp.arrays(np.uint8, hnp.array_shapes(max_dims=2, max_side=20)),
    st.sampled_from(CHARTS),
)
def test_count_classes_equals_a_naive_count(values: NDArray[np.uint8], chart: Any) -> None:
    counts = count_classes(values, chart)
    assert counts.shape == (256,)
    for value in range(256):
        assert counts[value] == sum(int(found) == value for found in values.ravel())


def test_count_classes_known_values() -> None:
    counts = count_classes(np.array([[0, 10, 10], [255, 0, 0]], np.uint8), SIC)
    assert {value: int(counts[value]) for value in np.flatnonzero(counts)} == {0: 3, 10: 2, 255: 1}
    # 10 is no class of FLOE and is counted all the same.
    assert count_classes(np.array([10, 6], np.uint8), FLOE)[[6, 10]].tolist() == [1, 1]


@settings(max_examples=50, deadline=None)
@given(
    hnp.arrays(np.uint8, hnp.array_shapes(max_dims=2, max_side=20)),
    st.sampled_from(CHARTS),
    st.lists(st.integers(0, 255), max_size=5),
)
def test_likely_values_change_no_count(
    values: NDArray[np.uint8], chart: Any, likely: list[int]
) -> None:
    # Also where a value is named twice, or is no class.
    np.testing.assert_array_equal(
        count_classes(values, chart, likely), count_classes(values, chart)
    )
