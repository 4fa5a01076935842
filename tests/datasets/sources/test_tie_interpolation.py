from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoice_bench.datasets.sources.tie_points import compute_mean_weights
from autoice_bench.errors import SceneError


def test_weights_by_hand() -> None:
    # Raw pixels 0..5 between points at 0, 4, 5; pairs (0, 1), (2, 3), (4, 5) are averaged.
    # Pixel 1 is 3/4 of the first point, 1/4 of the second: the pair's mean is 7/8 and 1/8.
    weights = compute_mean_weights(np.array([0.0, 4.0, 5.0]), 6)

    expected = np.array([[7, 1, 0], [3, 5, 0], [0, 4, 4]]) / 8
    np.testing.assert_allclose(weights, expected, atol=1e-12)


def test_pixels_beyond_the_last_point_take_its_value() -> None:
    weights = compute_mean_weights(np.array([2.0, 3.0]), 9)

    assert weights.shape == (4, 2)  # the ninth raw pixel is dropped
    expected = np.array([[2, 0], [1, 1], [0, 2], [0, 2]]) / 2
    np.testing.assert_allclose(weights, expected, atol=1e-12)


@pytest.mark.parametrize("n_points", [0, 1])
def test_too_few_points_are_an_error(n_points: int) -> None:
    points = np.arange(n_points, dtype=np.float64)
    with pytest.raises(SceneError, match=f"{n_points} tie points .* needs at least 2"):
        compute_mean_weights(points, 10)


@given(
    st.lists(st.integers(0, 300), min_size=2, max_size=21, unique=True),
    st.integers(2, 300),
)
def test_weights_sum_to_one_and_keep_straight_lines(
    positions: list[int], n_raw_pixels: int
) -> None:
    points = np.sort(np.array(positions, np.float64))
    weights = compute_mean_weights(points, n_raw_pixels)

    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-6)
    raw = np.clip(np.arange(n_raw_pixels // 2 * 2), points[0], points[-1])
    np.testing.assert_allclose(weights @ points, (raw[0::2] + raw[1::2]) / 2, atol=1e-4)
