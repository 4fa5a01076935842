from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoice_bench.datasets.simulate.land import ZONE_LIMITS_KM, distance_zones, make_ground
from autoice_bench.datasets.simulate.rtt_files import zone_description


def test_zones_of_known_distances() -> None:
    # Limits as the released attribute spells them: 0.5, 1, 2 .. 20 km, then wider steps.
    distance = np.array([[0.3, 0.7, 1.5, 19.5, 21.0, 47.0, 95.0, 290.0, 301.0, 0.0]], np.float32)
    land = np.zeros_like(distance, bool)
    land[0, -1] = True
    assert distance_zones(distance, land).tolist() == [[1, 2, 3, 21, 22, 27, 32, 40, 41, 0]]


def test_zone_table_is_spelt_as_released() -> None:
    lines = zone_description().split("\n")
    assert lines[:4] == ["dist_id; dist_range_km", "0; land", "1; 0 -> 0.5", "2; 0.5 -> 1"]
    assert "21; 19 -> 20" in lines
    assert "27; 45 -> 50" in lines
    assert "32; 90 -> 100" in lines
    assert lines[-2:] == ["40; 275 -> 300", "41; 300 -> inf"]
    assert len(ZONE_LIMITS_KM) == 40


@settings(max_examples=15, deadline=None)
@given(
    st.floats(0, 0.5),
    st.floats(0, 0.4),
    st.integers(0, 2**32 - 1),
)
def test_ground_has_the_wanted_shares(land: float, outside: float, seed: int) -> None:
    ground = make_ground(np.random.default_rng(seed), (220, 260), land, land + outside)
    is_land, uncharted = ground.uncharted_rows(0, 220)
    assert is_land.mean() == pytest.approx(land, abs=0.04)
    assert uncharted.mean() == pytest.approx(land + outside, abs=0.06)
    assert not (is_land & ~uncharted).any()
    zones = distance_zones(ground.distance_km.rows(0, 220), is_land)
    np.testing.assert_array_equal(zones == 0, is_land)
    assert zones.max() <= 41
