from __future__ import annotations

import math

import numpy as np
import pytest

from autoice_bench.datasets.simulate.geometry import (
    incidence_parts,
    incidence_profile,
    offset_position,
    tie_incidence,
    tie_point_grid,
    track_heading,
)

METRES_PER_DEGREE = math.pi * 6_371_000 / 180


def test_heading_at_the_equator_is_the_inclination() -> None:
    # cos(98.18 deg) = -0.1423: 8.18 degrees west of north going up, of south coming down.
    assert track_heading(0, ascending=True) == pytest.approx(351.82, abs=0.01)
    assert track_heading(0, ascending=False) == pytest.approx(188.18, abs=0.01)


def test_heading_turns_west_towards_the_pole() -> None:
    # sin(heading) = -0.1423 / cos(75 deg) = -0.550: 33.4 degrees west of north.
    assert track_heading(75, ascending=True) == pytest.approx(326.6, abs=0.1)


def test_offset_north_and_east() -> None:
    latitude, longitude = offset_position(
        70.0, -50.0, 0.0, np.array([METRES_PER_DEGREE, 0.0]), np.array([0.0, METRES_PER_DEGREE])
    )
    assert latitude[0] == pytest.approx(71.0)
    assert longitude[0] == pytest.approx(-50.0)
    # One degree of arc east at 70 degrees north: tan(dlon) = tan(1 deg) / cos(70 deg).
    expected = math.degrees(math.atan(math.tan(math.radians(1)) / math.cos(math.radians(70))))
    assert longitude[1] == pytest.approx(-50 + expected)


def test_tie_points_lie_40_m_per_raw_pixel_apart() -> None:
    latitude, longitude = tie_point_grid((78.0, -10.0), 320.0, (2000, 2092), 21)
    assert latitude.shape == longitude.shape == (21, 21)
    points = np.radians(np.stack([latitude, longitude]))
    cosine = np.sin(points[0, :-1]) * np.sin(points[0, 1:]) + np.cos(points[0, :-1]) * np.cos(
        points[0, 1:]
    ) * np.cos(points[1, 1:] - points[1, :-1])
    distance = 6_371_000 * np.arccos(cosine)
    # Along lines, tie points are 100 raw pixels of 40 m apart; the last is at 1999, not 2000.
    np.testing.assert_allclose(distance[:-1], 4000, rtol=1e-3)
    np.testing.assert_allclose(distance[-1], 99 * 40, rtol=1e-3)


def test_incidence_spans_the_swath() -> None:
    profile = incidence_profile(np.linspace(0, 1, 50))
    assert profile[0] == pytest.approx(18.9)
    assert profile[-1] == pytest.approx(47.0)
    assert (np.diff(profile) > 0).all()


def test_incidence_at_80_m_is_the_mean_of_raw_pairs() -> None:
    # 600 raw lines in 20 steps of 30: line 30 is the first tie point after line 0, so raw lines
    # 0 and 1 lie at 0 and 1/30 of the step; their mean is 1/60 of it.
    at_ties, _ = tie_incidence(21, (600, 654))
    lines, samples = incidence_parts(21, (600, 654))
    assert lines.shape == (300,)
    assert samples.shape == (327,)
    assert lines[0] == pytest.approx(at_ties[0] + (at_ties[1] - at_ties[0]) / 60)


def test_an_odd_last_raw_line_is_dropped() -> None:
    lines, samples = incidence_parts(21, (601, 655))
    assert (lines.size, samples.size) == (300, 327)
