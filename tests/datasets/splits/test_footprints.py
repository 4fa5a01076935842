from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from autoice_bench.datasets.splits.footprints import (
    EARTH_RADIUS_M,
    compute_overlap,
    convex_hull,
    intersect_convex,
    parse_footprint,
    polygon_area,
    project_polar,
)
from autoice_bench.errors import SplitError
from tests.datasets.split_tables import square

UNIT = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]
POINTS = st.lists(
    st.tuples(st.integers(-20, 20).map(float), st.integers(-20, 20).map(float)),
    min_size=3,
    max_size=12,
)


def test_pole_is_the_origin_and_greenwich_points_down() -> None:
    assert project_polar(-45.0, 90.0) == pytest.approx((0, 0), abs=1e-6)
    # At 0 E the ray runs along -y; 2 R tan(45 - 35) with latitude 70.
    assert project_polar(0.0, 70.0) == pytest.approx(
        (0, -2 * EARTH_RADIUS_M * math.tan(math.radians(10)))
    )
    assert project_polar(90.0, 70.0)[0] > 0


def test_degree_of_latitude_near_the_pole_is_true_to_scale() -> None:
    # R * 1 degree = 111.2 km on this sphere.
    assert math.dist(project_polar(0, 90), project_polar(0, 89)) == pytest.approx(111_199, rel=1e-3)


def test_hull_drops_inner_and_edge_points() -> None:
    points = [*UNIT, (0.5, 0.5), (0.5, 0.0), (0.0, 0.0)]
    assert sorted(convex_hull(points)) == sorted(UNIT)
    assert polygon_area(convex_hull(points)) == 1.0


def test_area_of_a_triangle() -> None:
    assert polygon_area([(0, 0), (4, 0), (0, 3)]) == 6.0
    assert polygon_area([(0, 0), (0, 3), (4, 0)]) == -6.0
    assert polygon_area([(0, 0), (1, 1)]) == 0.0


def test_intersection_of_shifted_squares() -> None:
    shifted = [(x + 0.5, y + 0.25) for x, y in UNIT]
    # 0.5 wide, 0.75 high
    assert polygon_area(intersect_convex(UNIT, shifted)) == pytest.approx(0.375)
    assert intersect_convex(UNIT, [(x + 2, y) for x, y in UNIT]) == []


def test_intersection_with_a_triangle() -> None:
    # x + y <= 1 cuts the unit square in half.
    assert polygon_area(intersect_convex(UNIT, [(0, 0), (1, 0), (0, 1)])) == pytest.approx(0.5)


@given(POINTS, POINTS)
def test_intersection_is_symmetric_and_inside_both(
    a: list[tuple[float, float]], b: list[tuple[float, float]]
) -> None:
    a, b = convex_hull(a), convex_hull(b)
    assume(polygon_area(a) > 0 and polygon_area(b) > 0)
    shared = polygon_area(intersect_convex(a, b))
    assert shared == pytest.approx(polygon_area(intersect_convex(b, a)), abs=1e-6)
    assert -1e-9 <= shared <= min(polygon_area(a), polygon_area(b)) + 1e-6


@given(POINTS)
def test_a_polygon_meets_itself_wholly(points: list[tuple[float, float]]) -> None:
    hull = convex_hull(points)
    assume(polygon_area(hull) > 0)
    assert polygon_area(intersect_convex(hull, hull)) == pytest.approx(polygon_area(hull))


def test_overlap_is_a_share_of_the_smaller() -> None:
    large = parse_footprint(square(-50, 72, half=2))
    small = parse_footprint(square(-50, 72, half=0.5))
    assert compute_overlap(large, small) == pytest.approx(1.0)
    assert compute_overlap(small, large) == pytest.approx(1.0)
    assert compute_overlap(small, parse_footprint(square(-50, 75, half=0.5))) == 0.0


def test_half_overlap_along_a_meridian() -> None:
    # Shifted by half its height northwards: half in common, less a little that meridians converge.
    first, second = parse_footprint(square(-50, 72)), parse_footprint(square(-50, 73))
    assert compute_overlap(first, second) == pytest.approx(0.5, abs=0.02)


def test_no_seam_at_the_date_line() -> None:
    east = "POLYGON ((178 70, -178 70, -178 72, 178 72, 178 70))"
    same = "POLYGON ((178 70, 182 70, 182 72, 178 72, 178 70))"
    assert compute_overlap(parse_footprint(east), parse_footprint(same)) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("wkt", "message"),
    [
        ("POINT (1 2)", "is not a WKT polygon"),
        ("POLYGON ((1 2, 3, 4 5))", "is not a WKT polygon"),
        ("POLYGON ((1 2, x y, 4 5))", "is not a WKT polygon"),
        ("POLYGON ((-50 70, -50 72, -50 71, -50 70))", "has no area"),
        ("POLYGON ((nan nan, nan nan, nan nan))", "has no area"),
    ],
)
def test_bad_footprints_are_refused(wkt: str, message: str) -> None:
    with pytest.raises(SplitError, match=message):
        parse_footprint(wkt)
