"""Where the 2 km cells lie on the full grid: does a cell's value stand for its corner or centre?

Cell (i, j) covers the pixels 25i..25i+24 and 25j..25j+24, but the format does not say whether its
AMSR2 values were taken at pixel (25i, 25j) or at the cell's centre, 12 pixels on. The estimate
compares the 36.5 GHz brightness temperature, where open water is some 90 K colder than ice and
land, with a map of ice and land from the charts: smoothed to the antenna's footprint, the map is
sampled at shifted cell positions, and the shift with the highest correlation wins. Ice drifts
between the two sensors, so one scene says little; take the median over many.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from autoice_bench.charts import CHARTS, FILL_VALUE, SIC
from autoice_bench.formats.variables import AMSR2_VARIABLES, PIXEL_SPACING_M, PIXELS_PER_CELL

AnchorVerdict = Literal["corner", "centre", "undecided"]

CENTRE_OFFSET: Final = (PIXELS_PER_CELL - 1) / 2
"""Offset of a cell's centre from its corner pixel, in 80 m pixels."""

BAND: Final = "btemp_36_5h"
_STEP: Final = 5
"""Pixels per side of the blocks that the map is averaged to, and between trial shifts."""
_SHIFTS: Final = np.arange(-30.0, 55.0, _STEP)
# 36.5 GHz sees 7x12 km; the charts are drawn more coarsely than a pixel, whence the larger figure.
_FOOTPRINT_M: Final = 10_000
_SIGMA: Final = _FOOTPRINT_M / 2.355 / (_STEP * PIXEL_SPACING_M)
_LEAST_WEIGHT: Final = 0.9
_LEAST_CELLS: Final = 400
_LEAST_CONTRAST: Final = 0.15
"""Standard deviation of the smoothed map below which a scene has no edge to align."""


@dataclass(frozen=True)
class GridOffset:
    """Estimated offset of the 2 km values from their cells' corner pixels, in 80 m pixels.

    Attributes:
        lines, samples: 0 for the corner, 12 for the centre.
        correlation: of map and brightness temperature at that shift.
    """

    lines: float
    samples: float
    correlation: float


@dataclass(frozen=True)
class AnchorEstimate:
    """The offset over several scenes.

    Attributes:
        anchor: the nearer of corner and centre; undecided where the standard error does not keep
            them apart.
        lines, samples: median offsets, in 80 m pixels; None without scenes.
        standard_error: of the mean of both, by the scatter between scenes; None below two scenes.
        n_scenes: scenes that gave an offset.
    """

    anchor: AnchorVerdict
    lines: float | None
    samples: float | None
    standard_error: float | None
    n_scenes: int


def estimate_grid_offset(
    charts: NDArray[np.uint8], distance_zones: NDArray[np.uint8], amsr2: NDArray[np.float32]
) -> GridOffset | None:
    """Estimate the offset in one scene.

    Args:
        charts: uint8 (3, lines, samples): SIC, SOD, FLOE.
        distance_zones: (lines, samples), 0 is land.
        amsr2: float32 (14, 2 km lines, 2 km samples), standardised or in K.

    Returns:
        The offset; None where the scene has too few charted cells or no edge of ice or land, or
        where the best shift is the largest tried.
    """
    sic = charts[CHARTS.index(SIC)]
    warm, weight = _smooth_map(sic, distance_zones)
    names = [variable.name for variable in AMSR2_VARIABLES]
    kelvin = amsr2[names.index(BAND)].astype(np.float64)
    margin = int(np.ceil(np.abs(_SHIFTS).max() / PIXELS_PER_CELL))
    rows = np.arange(margin, kelvin.shape[0] - margin) * PIXELS_PER_CELL
    columns = np.arange(margin, kelvin.shape[1] - margin) * PIXELS_PER_CELL
    if rows.size * columns.size < _LEAST_CELLS:
        return None
    inner = kelvin[margin:-margin, margin:-margin]
    # A cell counts only if it is charted at every shift, so that all shifts see the same cells.
    worst = ndimage.minimum_filter(weight, size=int(np.ptp(_SHIFTS)) // _STEP + 1)
    middle = _SHIFTS.mean()
    usable = _sample(worst, rows + middle, columns + middle) > _LEAST_WEIGHT
    if np.count_nonzero(usable) < _LEAST_CELLS or np.ptp(inner[usable]) == 0:
        return None
    if warm[weight > _LEAST_WEIGHT].std() < _LEAST_CONTRAST:
        return None
    scores = np.empty((_SHIFTS.size, _SHIFTS.size))
    for at in np.ndindex(*scores.shape):
        shifted = rows + _SHIFTS[at[0]], columns + _SHIFTS[at[1]]
        scores[at] = _correlate(_sample(warm, *shifted), inner, usable)
    return _peak(scores)


def combine_offsets(offsets: Sequence[GridOffset]) -> AnchorEstimate:
    """Take the median over scenes and say which anchor it means."""
    if not offsets:
        return AnchorEstimate("undecided", None, None, None, 0)
    pairs = np.array([(offset.lines, offset.samples) for offset in offsets])
    lines, samples = np.median(pairs, axis=0)
    both = pairs.mean(axis=1)
    error = float(both.std(ddof=1) / np.sqrt(both.size)) if both.size > 1 else None
    distance = (lines + samples) / 2
    anchor: AnchorVerdict = "corner" if distance < CENTRE_OFFSET / 2 else "centre"
    # Two standard errors must not reach the halfway line.
    if error is None or abs(distance - CENTRE_OFFSET / 2) < 2 * error:
        anchor = "undecided"
    return AnchorEstimate(anchor, float(lines), float(samples), error, both.size)


def _smooth_map(
    sic: NDArray[np.uint8], zones: NDArray[np.uint8]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Share of ice and land, and of charted surface, in 5x5 blocks smoothed to the footprint."""
    land = zones == 0
    charted = sic != FILL_VALUE
    share = np.where(land, 1.0, np.where(charted, sic / np.float64(SIC.n_classes - 1), 0.0))
    known = (land | charted).astype(np.float64)
    seen, weight = (
        ndimage.gaussian_filter(_block_means(values), _SIGMA, mode="constant")
        for values in (share, known)
    )
    return seen / np.maximum(weight, 1e-6), weight


def _block_means(values: NDArray[np.float64]) -> NDArray[np.float64]:
    lines, samples = (size // _STEP for size in values.shape)
    blocks = values[: lines * _STEP, : samples * _STEP].reshape(lines, _STEP, samples, _STEP)
    means: NDArray[np.float64] = blocks.mean(axis=(1, 3))
    return means


def _sample(
    blocks: NDArray[np.float64], rows: NDArray[np.float64], columns: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Values of the block map at pixel positions, (rows, columns); linear between block centres."""
    at_row, at_column = ((pixels - (_STEP - 1) / 2) / _STEP for pixels in (rows, columns))
    grid = np.meshgrid(at_row, at_column, indexing="ij")
    sampled: NDArray[np.float64] = ndimage.map_coordinates(blocks, grid, order=1, mode="nearest")
    return sampled


def _correlate(
    warm: NDArray[np.float64], kelvin: NDArray[np.float64], usable: NDArray[np.bool_]
) -> float:
    return float(np.corrcoef(warm[usable], kelvin[usable])[0, 1])


def _peak(scores: NDArray[np.float64]) -> GridOffset | None:
    """The maximum, refined by a parabola along each axis."""
    at_line, at_sample = np.unravel_index(int(np.nanargmax(scores)), scores.shape)
    last = _SHIFTS.size - 1
    if not (0 < at_line < last and 0 < at_sample < last):
        return None
    lines = _SHIFTS[at_line] + _STEP * _vertex(scores[at_line - 1 : at_line + 2, at_sample])
    samples = _SHIFTS[at_sample] + _STEP * _vertex(scores[at_line, at_sample - 1 : at_sample + 2])
    return GridOffset(float(lines), float(samples), float(scores[at_line, at_sample]))


def _vertex(three: NDArray[np.float64]) -> float:
    """Where the parabola through three equidistant values peaks, in steps from the middle one."""
    curvature = three[0] - 2 * three[1] + three[2]
    return 0.0 if curvature == 0 else float((three[0] - three[2]) / (2 * curvature))
