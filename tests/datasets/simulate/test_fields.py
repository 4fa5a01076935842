from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoice_bench.datasets.simulate.fields import (
    CoarseField,
    coarse_shape,
    interpolate_at,
    power_law_field,
    smooth_field,
    unit_variance,
)


def test_coarse_field_is_linear_between_cell_centres() -> None:
    # Two cells of 4 pixels with centres at pixel 1.5 and 5.5: a slope of 1/4 per pixel between
    # them, constant beyond.
    field = CoarseField(np.array([[0.0, 1.0]], np.float32), 4, (1, 8))
    expected = [0, 0, 0.125, 0.375, 0.625, 0.875, 1, 1]
    np.testing.assert_allclose(field.rows(0, 1)[0], expected, atol=1e-6)


@given(st.integers(1, 29), st.integers(0, 2**32 - 1))
def test_strips_join_without_seam(cut: int, seed: int) -> None:
    values = np.random.default_rng(seed).standard_normal((4, 5), dtype=np.float32)
    field = CoarseField(values, 8, (30, 37))
    whole = field.rows(0, 30)
    assert whole.shape == (30, 37)
    assert whole.dtype == np.float32
    np.testing.assert_array_equal(np.concatenate([field.rows(0, cut), field.rows(cut, 30)]), whole)


def test_interpolation_hits_nodes_and_clamps() -> None:
    field = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)
    lines, samples = np.array([0.0, 1.0, 0.5, -3.0]), np.array([0.0, 1.0, 0.5, 9.0])
    np.testing.assert_allclose(interpolate_at(field, lines, samples), [1, 4, 2.5, 2])


@pytest.mark.parametrize("exponent", [2.0, 3.2])
def test_random_fields_have_unit_variance(exponent: float) -> None:
    rng = np.random.default_rng(1)
    for field in (smooth_field(rng, (40, 50), 3.0), power_law_field(rng, (40, 50), exponent)):
        assert field.shape == (40, 50)
        assert abs(float(field.mean())) < 1e-5
        assert float(field.std()) == pytest.approx(1, abs=1e-4)


def test_periodic_field_has_no_seam() -> None:
    field = smooth_field(np.random.default_rng(2), (64, 64), 4.0, "wrap")
    inside = np.abs(np.diff(field, axis=1)).max()
    assert np.abs(field[:, 0] - field[:, -1]).max() <= inside


def test_constant_field_becomes_zero() -> None:
    np.testing.assert_array_equal(unit_variance(np.full((2, 3), 7.0)), np.zeros((2, 3)))


def test_coarse_shape_covers_partial_cells() -> None:
    assert coarse_shape((16, 17), 8) == (2, 3)
