"""Rounding to float16: nearest, but nothing except 0 becomes 0."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from autoice_bench.datasets.sources.float16 import round_to_float16


def rounded(
    values: list[float] | NDArray[Any], dtype: Any = np.float32
) -> tuple[list[float], float]:
    exact = np.asarray(values, dtype)
    out = np.empty(exact.shape, np.float16)
    error = round_to_float16(exact, out)
    return out.astype(np.float64).ravel().tolist(), error


def test_rounding_known_values() -> None:
    # 1 + 2^-11 lies half way between 1 and 1 + 2^-10; ties go to the even one, 1.
    assert rounded([1 + 2**-11]) == ([1.0], 2**-11)
    assert rounded([65504.0]) == ([65504.0], 0.0)  # the largest float16
    assert rounded([0.0, 0.5, -0.25]) == ([0.0, 0.5, -0.25], 0.0)


@pytest.mark.parametrize("sign", [1, -1])
def test_nothing_but_zero_becomes_zero(sign: int) -> None:
    # Half the smallest subnormal, 2^-25, rounds to even, which is 0; all below do too.
    for value in (2.0**-25, 2.0**-26, 1e-30, 1e-45):
        out, error = rounded([sign * value, 1.0])
        assert out == [sign * 2.0**-24, 1.0]
        assert error == float(np.float32(2.0**-24) - np.float32(value))
    # More than half of it rounds up by itself; zeros of either sign stay.
    assert rounded([sign * 2.0**-25 * 1.001])[0] == [sign * 2.0**-24]
    assert rounded([sign * 0.0, sign * 1e-9])[0] == [0.0, sign * 2.0**-24]


def test_rounding_into_a_window_of_a_larger_array() -> None:
    out = np.full((4, 6), 7, np.float16)
    round_to_float16(np.full((2, 3), 1e-9, np.float32), out[1:3, 2:5])
    assert (out[1:3, 2:5] == np.float16(2**-24)).all()
    assert (out == 7).sum() == 24 - 6


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e6])
def test_what_float16_cannot_hold_has_no_finite_error(value: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not np.isfinite(rounded([0.5, value])[1])


@settings(max_examples=200, deadline=None)
@given(
    hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=6),
        elements=st.one_of(
            st.floats(-65504, 65504, width=32),
            st.floats(-(2.0**-22), 2.0**-22, width=32, allow_subnormal=True),
            st.just(0.0),
        ),
    )
)
def test_rounding_properties(values: NDArray[np.float32]) -> None:
    out = np.empty(values.shape, np.float16)
    error = round_to_float16(values, out)
    np.testing.assert_array_equal(out == 0, values == 0)
    differences = np.abs(out.astype(np.float64) - values.astype(np.float64))
    assert error == pytest.approx(differences.max(), rel=1e-6, abs=1e-45)
    plain = values.astype(np.float16)
    np.testing.assert_array_equal(out[plain != 0], plain[plain != 0])
    vanished = (plain == 0) & (values != 0)
    np.testing.assert_array_equal(np.abs(out[vanished]), np.float16(2**-24))
    np.testing.assert_array_equal(np.sign(out), np.sign(values))


@settings(max_examples=200, deadline=None)
@given(
    hnp.arrays(np.float32, st.integers(1, 6), elements=st.floats(-9, 9, width=32)),
    st.sampled_from([0.0, 2.0**-24, 2.0**-14, 2.0**-11, 2.0**-9]),
)
def test_error_is_the_largest_although_measured_only_where_needed(
    values: NDArray[np.float32], known: float
) -> None:
    out = np.empty(values.shape, np.float16)
    error = round_to_float16(values, out, float(np.abs(values).max()), known)
    measured = np.abs(out.astype(np.float64) - values.astype(np.float64)).max()
    assert error == pytest.approx(max(measured, known), rel=1e-6)
