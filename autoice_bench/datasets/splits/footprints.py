"""Scene footprints in a polar stereographic plane, and how much two of them overlap.

A footprint is the convex hull of a scene's border. The projection is the north polar stereographic
one of a sphere (Snyder 1987, Map Projections: A Working Manual, USGS PP 1395, eq. 21-1 to 21-4):
x = rho sin(lambda), y = -rho cos(lambda), rho = 2 R tan(pi/4 - phi/2), true to scale at the pole.
It has no seam at the date line. Its scale varies slowly, so shares of a scene's area are right to
a few percent, which is all that a leak check asks.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from autoice_bench.errors import SplitError

EARTH_RADIUS_M: Final = 6_371_229.0

MIN_AREA_M2: Final = 1.0
"""Less is a line: rounding of coordinates gives it some thousandths."""

Point = tuple[float, float]

_POLYGON = re.compile(r"\s*POLYGON\s*\(\(([^()]+)\)\)\s*", re.IGNORECASE)


@dataclass(frozen=True)
class Footprint:
    """A convex polygon in the plane.

    Attributes:
        hull: corners in metres, counter-clockwise, the first not repeated.
        area_m2: its area in the plane.
    """

    hull: tuple[Point, ...]
    area_m2: float


def project_polar(longitude_deg: float, latitude_deg: float) -> Point:
    """North polar stereographic x and y in metres."""
    rho = 2 * EARTH_RADIUS_M * math.tan(math.pi / 4 - math.radians(latitude_deg) / 2)
    longitude = math.radians(longitude_deg)
    return rho * math.sin(longitude), -rho * math.cos(longitude)


def parse_footprint(wkt: str) -> Footprint:
    """Read ``POLYGON ((lon lat, ...))`` in degrees.

    Raises:
        SplitError: the text is not a polygon with finite coordinates and an area.
    """
    match = _POLYGON.fullmatch(wkt)
    try:
        if match is None:
            raise ValueError
        pairs = [tuple(map(float, corner.split())) for corner in match[1].split(",")]
        points = [project_polar(longitude, latitude) for longitude, latitude in pairs]
    except ValueError:
        raise SplitError(
            f"footprint {wkt[:60]!r} is not a WKT polygon; expected POLYGON ((lon lat, ...))"
        ) from None
    hull = convex_hull(points)
    area = polygon_area(hull)
    if not MIN_AREA_M2 < area < math.inf:
        raise SplitError(f"footprint {wkt[:60]!r} has no area; expected a border around a scene")
    return Footprint(tuple(hull), area)


def _turn(origin: Point, a: Point, b: Point) -> float:
    """Twice the signed area of a triangle: positive where it turns left."""
    return (a[0] - origin[0]) * (b[1] - origin[1]) - (a[1] - origin[1]) * (b[0] - origin[0])


def convex_hull(points: Sequence[Point]) -> list[Point]:
    """Convex hull, counter-clockwise, without points on its edges (Andrew 1979)."""
    ordered = sorted(set(points))

    def chain(candidates: Sequence[Point]) -> list[Point]:
        kept: list[Point] = []
        for point in candidates:
            while len(kept) > 1 and _turn(kept[-2], kept[-1], point) <= 0:
                kept.pop()
            kept.append(point)
        return kept[:-1]

    return chain(ordered) + chain(ordered[::-1]) if len(ordered) > 2 else ordered


def polygon_area(corners: Sequence[Point]) -> float:
    """Area of a polygon by the shoelace formula; positive where it is counter-clockwise."""
    if len(corners) < 3:
        return 0.0
    return 0.5 * sum(_turn(corners[0], a, b) for a, b in pairwise(corners[1:]))


def intersect_convex(a: Sequence[Point], b: Sequence[Point]) -> list[Point]:
    """Intersection of two convex counter-clockwise polygons (Sutherland and Hodgman 1974)."""
    kept = list(a)
    for start, end in zip(b, [*b[1:], b[0]], strict=True):
        corners, kept = kept, []
        for previous, corner in zip([*corners[-1:], *corners[:-1]], corners, strict=True):
            before, after = _turn(start, end, previous), _turn(start, end, corner)
            if (before < 0) != (after < 0):
                share = before / (before - after)
                kept.append(
                    (
                        previous[0] + share * (corner[0] - previous[0]),
                        previous[1] + share * (corner[1] - previous[1]),
                    )
                )
            if after >= 0:
                kept.append(corner)
        if not kept:
            return []
    return kept


def compute_overlap(a: Footprint, b: Footprint) -> float:
    """Common area as a share (0 .. 1) of the smaller footprint."""
    shared = polygon_area(intersect_convex(a.hull, b.hull))
    return min(1.0, max(0.0, shared / min(a.area_m2, b.area_m2)))
