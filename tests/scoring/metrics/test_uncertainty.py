from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from autoice_bench.scoring.metrics.uncertainty import compute_interval, draw_weights, resample


def test_every_resample_draws_as_many_scenes_as_there_are() -> None:
    weights = draw_weights(7, resamples=500, seed=3)
    assert weights.shape == (500, 7)
    np.testing.assert_array_equal(weights.sum(axis=1), 7)
    # Each scene is drawn once on average; the standard error over 500 resamples is about 0.04.
    np.testing.assert_allclose(weights.mean(axis=0), 1.0, atol=0.2)


def test_seed_decides_the_draw() -> None:
    a, b = (draw_weights(5, resamples=20, seed=seed) for seed in (0, 1))
    np.testing.assert_array_equal(a, draw_weights(5, resamples=20, seed=0))
    assert (a != b).any()


def test_resample_weights_the_scenes() -> None:
    counts = np.arange(2 * 2 * 3).reshape(2, 2, 3)
    pooled = resample(counts, np.array([[1.0, 1.0], [2.0, 0.0]]))
    np.testing.assert_array_equal(pooled[0], counts[0] + counts[1])
    np.testing.assert_array_equal(pooled[1], 2 * counts[0])


@settings(deadline=None)
@given(hnp.arrays(np.float64, (23, 3), elements=st.floats(-1e3, 1e3)))
def test_interval_equals_numpy_quantiles(values: np.ndarray) -> None:
    low, high = compute_interval(values)
    np.testing.assert_allclose(low, np.quantile(values, 0.025, axis=0), atol=1e-9)
    np.testing.assert_allclose(high, np.quantile(values, 0.975, axis=0), atol=1e-9)


def test_interval_of_defined_resamples_if_nearly_all_are() -> None:
    values = np.arange(100.0)
    values[:5] = np.nan  # 95 % defined: the quantiles of 5..99
    low, high = compute_interval(values)
    assert float(low) == pytest.approx(np.quantile(values[5:], 0.025))
    assert float(high) == pytest.approx(np.quantile(values[5:], 0.975))
    values[5] = np.nan
    assert np.isnan(compute_interval(values)).all()


def test_interval_of_nothing_defined_is_undefined() -> None:
    assert np.isnan(compute_interval(np.full(10, np.nan))).all()
