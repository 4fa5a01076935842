"""Where pixels lie: tie points, latitude and longitude, incidence angle.

Sources: Sentinel-1 orbit (inclination 98.18 degrees, altitude 693 km) and EW incidence range
(18.9 to 47.0 degrees) from the Sentinel-1 product definition; spherical Earth.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from autoice_bench.datasets.sources.tie_points import compute_raw_tie_positions

EARTH_RADIUS_M: Final = 6_371_000.0
ORBIT_ALTITUDE_M: Final = 693_000.0
ORBIT_INCLINATION_DEG: Final = 98.18
GROUND_SPEED_M_PER_S: Final = 6_700.0
INCIDENCE_RANGE_DEG: Final = (18.9, 47.0)
SUBSWATH_BOUNDARIES_DEG: Final = (28.3, 33.7, 38.8, 43.1)
N_TIE_POINTS: Final = 21
RAW_SPACING_M: Final = 40.0

Array = NDArray[np.float64]


def track_heading(latitude: float, ascending: bool) -> float:
    """Ground-track azimuth at a latitude, degrees clockwise from north."""
    sine = math.cos(math.radians(ORBIT_INCLINATION_DEG)) / math.cos(math.radians(latitude))
    azimuth = math.degrees(math.asin(max(-1.0, min(1.0, sine))))
    return azimuth % 360 if ascending else (180 - azimuth) % 360


def offset_position(
    latitude: float,
    longitude: float,
    heading: float,
    along_m: NDArray[np.floating],
    across_m: NDArray[np.floating],
) -> tuple[Array, Array]:
    """Latitude and longitude at ground offsets from a centre (azimuthal equidistant, sphere).

    Args:
        latitude, longitude: centre, degrees.
        heading: direction of ``along_m``, degrees clockwise from north; ``across_m`` is 90
            degrees to its right.
        along_m, across_m: ground distances, broadcast together.
    """
    distance = np.hypot(along_m, across_m) / EARTH_RADIUS_M
    azimuth = math.radians(heading) + np.arctan2(across_m, along_m)
    centre = math.radians(latitude)
    sine = math.sin(centre) * np.cos(distance)
    sine = sine + math.cos(centre) * np.sin(distance) * np.cos(azimuth)
    east = np.sin(azimuth) * np.sin(distance) * math.cos(centre)
    north = np.cos(distance) - math.sin(centre) * sine
    longitudes = longitude + np.degrees(np.arctan2(east, north))
    return np.degrees(np.arcsin(np.clip(sine, -1, 1))), (longitudes + 180) % 360 - 180


def tie_point_grid(
    centre: tuple[float, float], heading: float, raw_shape: tuple[int, int], n_tie_lines: int
) -> tuple[Array, Array]:
    """Latitude and longitude of the tie points, degrees, float64 (n_tie_lines, 21), lines first.

    Lines run along the flight direction and samples to its right, 40 m apart on the ground.

    Args:
        centre: latitude and longitude of the image centre, degrees.
        heading: flight direction, degrees clockwise from north.
        raw_shape: lines and samples at 40 m.
        n_tie_lines: tie points along the lines.
    """
    lines, samples = (
        RAW_SPACING_M * (compute_raw_tie_positions(n_points, size) - (size - 1) / 2)
        for n_points, size in zip((n_tie_lines, N_TIE_POINTS), raw_shape, strict=True)
    )
    return offset_position(*centre, heading, lines[:, None], samples[None, :])


def incidence_profile(fraction: Array) -> Array:
    """Incidence angle (degrees) at a fraction 0..1 of the ground swath, near to far range.

    The whole EW swath is spread over the image's samples whatever its width, so that a small
    simulated scene has all five sub-swaths, as every released scene has.
    """
    ratio = EARTH_RADIUS_M / (EARTH_RADIUS_M + ORBIT_ALTITUDE_M)
    near, far = (
        math.radians(angle) - math.asin(ratio * math.sin(math.radians(angle)))
        for angle in INCIDENCE_RANGE_DEG
    )
    centre_angle = near + np.asarray(fraction) * (far - near)
    look = np.arctan2(ratio * np.sin(centre_angle), 1 - ratio * np.cos(centre_angle))
    return np.degrees(look + centre_angle)


def tie_incidence(n_tie_lines: int, raw_shape: tuple[int, int]) -> tuple[Array, Array]:
    """Incidence angle at the tie points as (line part, sample part); their sum is the angle.

    The line part is the slow change of altitude along the orbit, 0.1 degree over a frame.
    """
    lines, samples = (
        compute_raw_tie_positions(n_points, size) / (size - 1)
        for n_points, size in zip((n_tie_lines, N_TIE_POINTS), raw_shape, strict=True)
    )
    return 0.1 * (lines - 0.5), incidence_profile(samples)


def incidence_parts(n_tie_lines: int, raw_shape: tuple[int, int]) -> tuple[Array, Array]:
    """Incidence angle at 80 m as (line part, sample part), float64; their sum is the angle.

    Linear between tie points on the raw grid, then the mean of each raw pair; an odd last raw
    line or sample is dropped.
    """
    parts = []
    for size, values in zip(raw_shape, tie_incidence(n_tie_lines, raw_shape), strict=True):
        positions = compute_raw_tie_positions(len(values), size)
        raw = np.interp(np.arange(size // 2 * 2), positions, values)
        parts.append(raw.reshape(-1, 2).mean(axis=1))
    return parts[0], parts[1]
