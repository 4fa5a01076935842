"""Where the tie points of a scene lie, what each weighs in a pixel, and the footprint they span.

Tie point k of n along a raw axis of N pixels (40 m) lies at raw pixel min(k * ceil(N / (n - 1)),
N - 1): equal steps, the last one cut short at the edge. RTT pixels are 2x2 means of raw pixels, so
raw position p is RTT position (p - 0.5) / 2. An even spacing would be off by up to 9 RTT pixels at
the far edge.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import make_interp_spline

from autoice_bench.errors import SceneError

_BORDER_POINTS: Final = 5
"""Footprint vertices along one edge, corners included: enough to follow its curvature."""


def compute_raw_tie_positions(n_points: int, n_raw_pixels: int) -> NDArray[np.int64]:
    """Raw pixel index of each tie point along one axis.

    Args:
        n_points: tie points along the axis, at least 2.
        n_raw_pixels: raw (40 m) pixels along the axis.

    Returns:
        (n_points,) int64, increasing; axes of some hundred pixels may end in equal positions.
    """
    step = -(-n_raw_pixels // (n_points - 1))
    return np.minimum(np.arange(n_points, dtype=np.int64) * step, n_raw_pixels - 1)


def compute_tie_positions(n_points: int, n_pixels: int) -> NDArray[np.float64]:
    """Position of each tie point along one RTT axis, in RTT pixels (pixel centres are whole).

    The raw size is taken as twice the RTT size: an odd raw line or sample leaves no trace in the
    RTT file; it moves a position by at most half an RTT pixel.

    Args:
        n_points: tie points along the axis, at least 2.
        n_pixels: RTT (80 m) pixels along the axis.

    Returns:
        (n_points,) float64, increasing.
    """
    raw = compute_raw_tie_positions(n_points, 2 * n_pixels)
    return (raw - 0.5) / 2


def compute_mean_weights(positions: NDArray[np.float64], n_raw_pixels: int) -> NDArray[np.float64]:
    """Weights of the tie points along one axis in each 80 m pixel, by linear interpolation.

    Args:
        positions: (tie_points,) float64 raw pixels (40 m), increasing.
        n_raw_pixels: raw pixels along the axis; an odd last one is dropped.

    Returns:
        (n_raw_pixels // 2, tie_points) float64; each row sums to 1. Pixels beyond the outer points
        take their value.

    Raises:
        SceneError: fewer than two points.
    """
    if positions.size < 2:
        raise SceneError(
            f"{positions.size} tie points along an axis; linear interpolation needs at least 2"
        )
    spline = make_interp_spline(positions, np.eye(positions.size), k=1)
    pixels = np.arange(n_raw_pixels // 2 * 2)
    weights = spline(np.clip(pixels, positions[0], positions[-1]))
    mean: NDArray[np.float64] = (weights[0::2] + weights[1::2]) / 2
    return mean


def compute_footprint(latitude: NDArray[np.float64], longitude: NDArray[np.float64]) -> str:
    """Outline of a scene as WKT, ``POLYGON ((lon lat, ...))`` in degrees, closed.

    Args:
        latitude, longitude: (tie_lines, tie_samples) float64, degrees.
    """
    lines, samples = (
        np.unique(np.linspace(0, size - 1, _BORDER_POINTS).round().astype(int))
        for size in latitude.shape
    )
    last_line, last_sample = lines[-1], samples[-1]
    border = [
        *((lines[0], sample) for sample in samples[:-1]),
        *((line, last_sample) for line in lines[:-1]),
        *((last_line, sample) for sample in samples[:0:-1]),
        *((line, samples[0]) for line in lines[:0:-1]),
    ]
    points = [f"{longitude[at]:.4f} {latitude[at]:.4f}" for at in [*border, border[0]]]
    return f"POLYGON (({', '.join(points)}))"
