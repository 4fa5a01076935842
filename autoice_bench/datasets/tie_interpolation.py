"""Interpolate tie points to 80 m pixels, as the mean of interpolated 40 m pixels.

Interpolation on a grid is separable: values = W_lines @ tie_points @ W_samples.T. The mean over 2x2
blocks of 40 m pixels is then the same product with weights averaged in pairs, so the 40 m raster is
never made.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import make_interp_spline

from autoice_bench.errors import SceneError

Interpolation = Literal["linear", "cubic"]

_DEGREE: dict[str, int] = {"linear": 1, "cubic": 3}


def compute_mean_weights(
    positions: NDArray[np.float64], n_raw_pixels: int, method: Interpolation = "linear"
) -> NDArray[np.float64]:
    """Weights of the tie points along one axis in each 80 m pixel.

    Args:
        positions: (tie_points,) raw pixels (40 m), increasing.
        n_raw_pixels: raw pixels along the axis; an odd last one is dropped.
        method: ``linear``, or ``cubic`` for a cubic spline without knots at the second and the
            last but one point.

    Returns:
        (n_raw_pixels // 2, tie_points); each row sums to 1. Pixels beyond the outer points take
        their value.

    Raises:
        SceneError: fewer points than the method needs (2 or 4).
    """
    degree = _DEGREE[method]
    if positions.size <= degree:
        raise SceneError(
            f"{positions.size} tie points along an axis; {method} interpolation needs at least "
            f"{degree + 1}"
        )
    spline = make_interp_spline(positions, np.eye(positions.size), k=degree)
    pixels = np.arange(n_raw_pixels // 2 * 2)
    weights = spline(np.clip(pixels, positions[0], positions[-1]))
    mean: NDArray[np.float64] = (weights[0::2] + weights[1::2]) / 2
    return mean
