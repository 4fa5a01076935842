from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from autoice_bench.datasets.labels.rules import derive_labels
from autoice_bench.datasets.simulate.climatology import read_climatology, season_of
from autoice_bench.datasets.simulate.ice_chart import IceChart, make_ice_chart
from autoice_bench.datasets.simulate.land import make_ground
from autoice_bench.datasets.simulate.polygons import Polygons, make_polygons

SHAPE = (260, 243)


def make_chart(
    open_water: float, seed: int = 0, *, ambiguous: bool = False
) -> tuple[IceChart, Polygons]:
    rng = np.random.default_rng(seed)
    ground = make_ground(rng, SHAPE, 0.1, 0.3)
    polygons = make_polygons(rng, SHAPE)
    chart = make_ice_chart(
        rng, polygons, ground, read_climatology()[0], open_water, ambiguous_stage=ambiguous
    )
    return chart, polygons


def test_polygons_are_few_and_compact() -> None:
    polygons = make_polygons(np.random.default_rng(3), SHAPE)
    assert polygons.index.shape == SHAPE
    assert polygons.index.max() < len(polygons.sites)
    pieces = sum(ndimage.label(polygons.index == number)[1] for number in np.unique(polygons.index))
    # Warping may cut an island off here and there, never into confetti.
    assert pieces <= 2 * len(np.unique(polygons.index))


def test_every_polygon_has_its_own_id_and_its_rules_labels() -> None:
    chart, polygons = make_chart(0.4)
    ids = [code.poly_id for code in chart.egg_codes]
    assert len(set(ids)) == len(ids) == len(polygons.sites)
    assert ids == sorted(ids)
    derived = [derive_labels(code) for code in chart.egg_codes]
    np.testing.assert_array_equal(chart.labels.T, derived)


@pytest.mark.parametrize(("share", "water"), [(0.0, False), (1.0, True)])
def test_extreme_shares_are_exact(share: float, water: bool) -> None:
    chart, _ = make_chart(share)
    assert ((chart.labels[0] == 0) == water).all()


@settings(max_examples=20, deadline=None)
@given(st.floats(0.01, 0.99), st.integers(0, 20))
def test_class_0_is_the_same_in_all_charts(share: float, seed: int) -> None:
    chart, _ = make_chart(share, seed)
    np.testing.assert_array_equal(chart.labels[0] == 0, chart.labels[1] == 0)
    np.testing.assert_array_equal(chart.labels[0] == 0, chart.labels[2] == 0)


def test_ambiguous_stage_everywhere() -> None:
    chart, _ = make_chart(0.0, ambiguous=True)
    assert (chart.labels[1] == 255).all()
    assert (chart.labels[0] > 0).all()


def test_no_new_or_young_ice_in_summer() -> None:
    for row in read_climatology():
        if row.season == "summer":
            assert sum(row.sod[:2]) < 0.001
        assert sum(row.sic) == pytest.approx(1)
        assert sum(row.floe) == pytest.approx(1)


@pytest.mark.parametrize(
    ("month", "season"),
    [(12, "winter"), (2, "winter"), (3, "spring"), (8, "summer"), (9, "autumn")],
)
def test_seasons(month: int, season: str) -> None:
    assert season_of(month) == season
