"""Tie-point positions against hand values and a naive loop; closed footprints."""

from __future__ import annotations

import math
import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoice_bench.datasets.sources.tie_points import (
    compute_footprint,
    compute_raw_tie_positions,
    compute_tie_positions,
)


def test_21_points_on_10000_raw_pixels() -> None:
    # ceil(10000 / 20) = 500; the last point would be 10000, one beyond the edge.
    raw = compute_raw_tie_positions(21, 10000)
    np.testing.assert_array_equal(raw, [*range(0, 10000, 500), 9999])


def test_6_points_on_2550_raw_pixels() -> None:
    # ceil(2550 / 5) = 510
    np.testing.assert_array_equal(
        compute_raw_tie_positions(6, 2550), [0, 510, 1020, 1530, 2040, 2549]
    )


def test_steps_round_up_so_that_the_last_one_is_short() -> None:
    # ceil(10372 / 20) = 519; 19 * 519 = 9861, then 510 to the last pixel.
    raw = compute_raw_tie_positions(21, 10372)
    assert raw[:2].tolist() == [0, 519]
    assert raw[-2:].tolist() == [9861, 10371]


def test_positions_in_rtt_pixels() -> None:
    # 5000 lines are 10000 raw lines. RTT pixel i is the mean of raw 2i and 2i + 1, centred at
    # raw 2i + 0.5: raw 0 lies a quarter pixel before the centre of pixel 0.
    positions = compute_tie_positions(21, 5000)
    assert positions[0] == -0.25
    assert positions[1] == (500 - 0.5) / 2 == 249.75
    assert positions[-1] == (9999 - 0.5) / 2 == 4999.25
    assert positions.dtype == np.float64


def test_even_spacing_would_be_off_at_the_far_edge() -> None:
    # 5186 samples: the second-last point is raw 9861, even spacing puts it at 9852.45.
    positions = compute_tie_positions(21, 5186)
    even = np.linspace(positions[0], positions[-1], 21)
    assert np.abs(positions - even).max() == pytest.approx((9861 - 10371 * 19 / 20) / 2)


@given(st.integers(2, 40), st.integers(2, 12000))
def test_positions_equal_a_naive_loop(n_points: int, n_raw: int) -> None:
    step = math.ceil(n_raw / (n_points - 1))
    expected = [min(k * step, n_raw - 1) for k in range(n_points)]
    raw = compute_raw_tie_positions(n_points, n_raw)
    assert raw.tolist() == expected
    assert raw[0] == 0
    assert raw[-1] == n_raw - 1
    assert (np.diff(raw) >= 0).all()


@given(st.integers(2, 40), st.integers(1600, 12000))
def test_positions_increase_on_axes_of_usual_size(n_points: int, n_raw: int) -> None:
    # With n - 1 steps of ceil(N / (n - 1)), the point before the last is on the edge only where
    # N <= (n - 1)(n - 2) or so: at most 38 * 39 = 1482 here.
    assert (np.diff(compute_raw_tie_positions(n_points, n_raw)) > 0).all()


def corners(footprint: str) -> list[tuple[float, float]]:
    inner = re.fullmatch(r"POLYGON \(\((.*)\)\)", footprint)
    assert inner is not None
    return [(float(x), float(y)) for x, y in (point.split() for point in inner[1].split(", "))]


def test_footprint_of_four_points() -> None:
    latitude = np.array([[70.0, 70.5], [69.0, 69.5]])
    longitude = np.array([[-30.0, -28.0], [-30.5, -28.5]])
    # Around the border: along the first line, down the last sample, back, and closed.
    assert compute_footprint(latitude, longitude) == (
        "POLYGON ((-30.0000 70.0000, -28.0000 70.5000, -28.5000 69.5000, "
        "-30.5000 69.0000, -30.0000 70.0000))"
    )


@given(st.integers(2, 21), st.integers(2, 21))
def test_footprint_is_closed_and_goes_once_around_the_border(lines: int, samples: int) -> None:
    latitude, longitude = np.meshgrid(
        80 - np.arange(float(lines)), 10 + np.arange(float(samples)), indexing="ij"
    )
    ring = corners(compute_footprint(latitude, longitude))
    assert ring[0] == ring[-1]
    assert len(set(ring)) == len(ring) - 1 == 2 * (min(lines, 5) - 1) + 2 * (min(samples, 5) - 1)
    for longitude_deg, latitude_deg in ring:
        assert longitude_deg in (10, 9 + samples) or latitude_deg in (80, 81 - lines)
    # Shoelace: the area of the ring is that of the grid.
    area = sum(a[0] * b[1] - b[0] * a[1] for a, b in pairwise(ring)) / 2
    assert abs(area) == pytest.approx((lines - 1) * (samples - 1))
