"""Smooth random fields on coarse grids, and their evaluation on the full grid in strips.

Everything that varies slowly (wind, concentration, land height) is drawn on a coarse grid and
interpolated bilinearly, so a 5000 x 5200 scene never needs a full-size random field.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

Array = NDArray[np.float32]


def unit_variance(field: NDArray[np.floating]) -> Array:
    """Shift and scale a field to mean 0 and standard deviation 1 (all 0 where it is constant)."""
    centred = field - field.mean()
    deviation = centred.std()
    scaled: Array = (centred / deviation if deviation > 0 else centred).astype(np.float32)
    return scaled


def smooth_field(
    rng: np.random.Generator, shape: tuple[int, int], correlation: float, mode: str = "reflect"
) -> Array:
    """White noise smoothed by a Gaussian of ``correlation`` grid cells; mean 0, deviation 1.

    Args:
        rng: source of the noise.
        shape: lines and samples of the grid.
        correlation: standard deviation of the smoothing kernel, in cells.
        mode: boundary rule of ``scipy.ndimage.gaussian_filter``; ``wrap`` gives a periodic field.
    """
    noise = rng.standard_normal(shape, dtype=np.float32)
    return unit_variance(ndimage.gaussian_filter(noise, correlation, mode=mode, truncate=3.0))


def power_law_field(rng: np.random.Generator, shape: tuple[int, int], exponent: float) -> Array:
    """Periodic random field whose power spectrum falls as ``k ** -exponent``; mean 0, deviation 1.

    Exponents near 3 look like terrain and coastlines.
    """
    wave_y = fft.fftfreq(shape[0])[:, None] * shape[0]
    wave_x = fft.rfftfreq(shape[1])[None, :] * shape[0]
    wave = np.hypot(wave_y, wave_x)
    wave[0, 0] = np.inf
    spectrum = fft.rfft2(rng.standard_normal(shape)) * wave ** (-exponent / 2)
    return unit_variance(fft.irfft2(spectrum, s=shape))


def coarse_shape(shape: tuple[int, int], factor: int) -> tuple[int, int]:
    """Cells of ``factor`` pixels that cover ``shape``, the last ones in part."""
    return -(-shape[0] // factor), -(-shape[1] // factor)


def interpolate_at(
    field: Array, lines: NDArray[np.floating], samples: NDArray[np.floating]
) -> Array:
    """Bilinear values of ``field`` at broadcast fractional cell positions, clamped at the edge."""
    lines = np.clip(lines, 0, field.shape[0] - 1)
    samples = np.clip(samples, 0, field.shape[1] - 1)
    top = np.minimum(lines.astype(np.intp), max(field.shape[0] - 2, 0))
    left = np.minimum(samples.astype(np.intp), max(field.shape[1] - 2, 0))
    bottom = np.minimum(top + 1, field.shape[0] - 1)
    right = np.minimum(left + 1, field.shape[1] - 1)
    down, along = lines - top, samples - left
    upper = field[top, left] * (1 - along) + field[top, right] * along
    lower = field[bottom, left] * (1 - along) + field[bottom, right] * along
    values: Array = (upper * (1 - down) + lower * down).astype(np.float32)
    return values


@dataclass(frozen=True)
class CoarseField:
    """A field on cells of ``factor`` x ``factor`` pixels, read at full resolution in strips.

    Attributes:
        values: float32 (cells, cells); a value belongs to the centre of its cell.
        factor: pixels along one side of a cell.
        shape: lines and samples of the full grid.
    """

    values: Array
    factor: int
    shape: tuple[int, int]

    def rows(self, start: int, stop: int) -> Array:
        """Lines ``start`` to ``stop`` at full resolution, bilinear; float32 (lines, samples)."""
        lines, line_weight, next_line = _neighbours(np.arange(start, stop), self, 0)
        blended = self.values[lines] * (1 - line_weight)[:, None]
        blended += self.values[next_line] * line_weight[:, None]
        samples, weight, next_sample = _neighbours(np.arange(self.shape[1]), self, 1)
        strip: Array = blended.take(samples, axis=1)
        step = blended.take(next_sample, axis=1)
        step -= strip
        step *= weight
        strip += step
        return strip


def _neighbours(
    pixels: NDArray[np.integer], field: CoarseField, axis: int
) -> tuple[NDArray[np.intp], Array, NDArray[np.intp]]:
    last = field.values.shape[axis] - 1
    position = np.clip((pixels + 0.5) / field.factor - 0.5, 0, last)
    first = position.astype(np.intp)
    return first, (position - first).astype(np.float32), np.minimum(first + 1, last)
