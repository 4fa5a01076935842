"""The variable table of ready-to-train (RTT) scenes: names, grids, units and standardisation.

RTT variables hold z = (x - mean) / std, with x in the units given here. Means, standard deviations
and raw extrema are those of the released data set (land included): AutoICE challenge, RTT
version 3, doi:10.11583/DTU.c.6244065.v2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from autoice_bench.charts import CHART_NAMES

Grid = Literal["80m", "2km"]
GridAnchor = Literal["centre", "corner"]
"""Which pixel of a 2 km cell its value belongs to; see docs/store.md."""

SAR_DIMS: Final = ("sar_lines", "sar_samples")
GRID_2KM_DIMS: Final = ("2km_grid_lines", "2km_grid_samples")
TIE_POINT_DIMS: Final = ("sar_sample_2dgrid_points", "sar_line_2dgrid_points")
"""Dimension names of the tie points. The first axis is lines, whatever its name says."""

PIXEL_SPACING_M: Final = 80
PIXELS_PER_CELL: Final = 25
"""80 m pixels along one side of a 2 km cell: cell (i, j) covers pixels 25i..25i+24, 25j..25j+24."""

SAR_NODATA: Final = 0.0
"""Nodata of the SAR channels: HH, HV and incidence angle are all 0 in a nodata pixel."""

MOST_TIE_POINTS: Final = 2**20
"""Tie points that a scene may have; the released ones have 441."""
LATITUDE_LIMIT: Final = 90.0
LONGITUDE_LIMIT: Final = 360.0
"""Largest magnitudes, degrees; longitudes count from -180 or from 0."""

EXTREMA_SLACK: Final = 0.02
"""Slack, in standard deviations, for the printed digits of the tabulated extrema."""

LARGEST_SIDE: Final = 32_768
"""80 m pixels along a side that a scene may have; the released ones have up to 5,312."""
MOST_PIXELS: Final = 2**28
"""80 m pixels that a scene may have: eight times those of the largest released one."""

N_DISTANCE_ZONES: Final = 42
"""Distance-to-land zones 0 (land) .. 41 (beyond 300 km)."""


@dataclass(frozen=True)
class Variable:
    """One standardised variable of an RTT scene.

    Attributes:
        name: variable name in the source.
        grid: native grid, ``80m`` (sar_lines, sar_samples) or ``2km``.
        units: units of the raw values, CF spelling.
        mean, std: standardisation constants, in ``units``.
        raw_min, raw_max: extrema of the raw values over the released scenes, in ``units``.
        long_name: human-readable name.
    """

    name: str
    grid: Grid
    units: str
    mean: float
    std: float
    raw_min: float
    raw_max: float
    long_name: str

    @property
    def dims(self) -> tuple[str, str]:
        """Dimension names in an RTT file."""
        return SAR_DIMS if self.grid == "80m" else GRID_2KM_DIMS


def describe_unlikely_size(shape: tuple[int, ...], pixels_per_side: int = 1) -> str | None:
    """What is wrong with the size that a scene declares, before memory is asked for it.

    Args:
        shape: (lines, samples).
        pixels_per_side: pixels along a side of one 80 m pixel: 2 at 40 m.

    Returns:
        Found and expected, or None where nothing is.
    """
    side, pixels = LARGEST_SIDE * pixels_per_side, MOST_PIXELS * pixels_per_side**2
    if len(shape) == 2 and min(shape) >= 1 and max(shape) <= side and math.prod(shape) <= pixels:
        return None
    found = " x ".join(map(str, shape)) or "a single value"
    return (
        f"{found}; expected lines x samples, at most {side:,} along a side and {pixels:,} pixels "
        "in all"
    )


def describe_disguised(variable: Variable, low: float, high: float) -> str | None:
    """What is wrong with the extrema of physical values that no instrument or model gives.

    Missing data that lost its fill value looks like data: 0 or 655.35 K, -9999 dB. So do values in
    other units.

    Args:
        variable: what is measured.
        low, high: smallest and largest value, in ``variable.units``.

    Returns:
        Found and expected, or None where they are possible.
    """
    least, most, hint = _possible(variable)
    if least <= low and high <= most:
        return None
    return (
        f"spans {low:.6g} to {high:.6g} {variable.units}; possible are {least:g} to {most:g}: "
        f"missing data without its _FillValue{hint}?"
    )


def possible_range(variable: Variable) -> tuple[float, float]:
    """Least and most that a physical value can be, in ``variable.units``."""
    return _possible(variable)[:2]


def describe_extrema(variable: Variable, low: float, high: float) -> str | None:
    """A remark on extrema beyond those of the released scenes, None where they are within.

    Args:
        variable: what is measured.
        low, high: smallest and largest value, in ``variable.units``.
    """
    allowed = EXTREMA_SLACK * variable.std
    if variable.raw_min - allowed <= low and high <= variable.raw_max + allowed:
        return None
    return (
        f"{variable.name} spans {low:.4g} to {high:.4g} {variable.units}; released scenes "
        f"stay within {variable.raw_min:g} to {variable.raw_max:g}"
    )


def _possible(variable: Variable) -> tuple[float, float, str]:
    """Least and most that a variable can be, and what else than missing data may lie beyond."""
    if variable.units == "dB":
        # The released HV reaches -463 dB in an artefact; nothing else is below -400.
        return min(_LEAST_SIGMA0_DB, variable.raw_min - 20), 100.0, ""
    if variable in AMSR2_VARIABLES:
        return 50.0, 350.0, ", or another unit than K"
    return _POSSIBLE[variable.units]


def standardise(variable: Variable, raw: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return z = (raw - mean) / std; same shape and dtype as ``raw``."""
    return np.asarray((raw - raw.dtype.type(variable.mean)) / raw.dtype.type(variable.std))


def destandardise(variable: Variable, z: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return raw = z * std + mean, in ``variable.units``; same shape and dtype as ``z``."""
    return np.asarray(z * z.dtype.type(variable.std) + z.dtype.type(variable.mean))


def _amsr2(band: str, mean: float, std: float, raw_min: float, raw_max: float) -> Variable:
    frequency, polarisation = band[:-1].replace("_", "."), band[-1]
    name = {"h": "horizontal", "v": "vertical"}[polarisation]
    long_name = f"brightness temperature at {frequency} GHz, {name} polarisation"
    return Variable(f"btemp_{band}", "2km", "K", mean, std, raw_min, raw_max, long_name)


SAR_VARIABLES: Final = (
    Variable("nersc_sar_primary", "80m", "dB",
             -14.5082551552228, 5.6597459193818676, -380.0, 25.2,
             "sigma0, HH polarisation"),
    Variable("nersc_sar_secondary", "80m", "dB",
             -24.701205147144236, 4.746759305258515, -463.0, 23.3,
             "sigma0, HV polarisation"),
    Variable("sar_incidenceangle", "80m", "degree",
             33.99801788456536, 8.322267212079046, 18.045, 47.405,
             "incidence angle"),
)  # fmt: skip
DISTANCE_MAP: Final = Variable(
    "distance_map", "80m", "1",
    23.627669500714102, 14.99018630794473, 0.0, 41.0,
    "distance to land, in zones",
)  # fmt: skip
AMSR2_VARIABLES: Final = (
    _amsr2("6_9h", 148.8469796145295, 61.64846862537627, 73.89, 267.38),
    _amsr2("6_9v", 203.51944545494723, 38.66643206594044, 145.38, 276.79),
    _amsr2("7_3h", 149.89896504342093, 61.67544463178433, 74.46, 261.03),
    _amsr2("7_3v", 204.20534015176978, 38.66622047733582, 145.59, 277.30),
    _amsr2("10_7h", 153.89169240998876, 60.875249835766844, 79.35, 264.84),
    _amsr2("10_7v", 208.90408657387925, 36.24495931413019, 151.61, 275.43),
    _amsr2("18_7h", 165.6802621430742, 52.617873035841676, 93.67, 273.21),
    _amsr2("18_7v", 218.5868342822609, 28.060389755926906, 162.40, 280.37),
    _amsr2("23_8h", 182.20893715257156, 42.88716195392868, 107.77, 279.16),
    _amsr2("23_8v", 226.39646658494573, 22.117582324875166, 163.88, 283.48),
    _amsr2("36_5h", 185.19472368457747, 38.6444384529263, 125.29, 279.56),
    _amsr2("36_5v", 228.20590185866286, 17.652645265307164, 149.89, 285.01),
    _amsr2("89_0h", 212.53745842027274, 22.584971395547413, 135.10, 285.74),
    _amsr2("89_0v", 241.25747874607808, 16.31096214404262, 141.05, 289.0),
)
ERA5_VARIABLES: Final = (
    Variable("u10m_rotated", "2km", "m s-1",
             0.6747986162545088, 4.749646758314658, -18.48, 19.10,
             "10 m wind, component along the image's samples"),
    Variable("v10m_rotated", "2km", "m s-1",
             0.6075565949388854, 5.196104947581429, -22.30, 19.57,
             "10 m wind, component along the image's lines"),
    Variable("t2m", "2km", "K",
             268.6265490976146, 9.469170769562306, 230.68, 292.47,
             "2 m air temperature"),
    Variable("skt", "2km", "K",
             268.91015184833424, 10.305256438427369, 221.91, 298.37,
             "skin temperature"),
    Variable("tcwv", "2km", "kg m-2",
             7.747741728107202, 5.268575011079001, 0.272, 38.95,
             "total column water vapour"),
    Variable("tclw", "2km", "kg m-2",
             0.041245511364735726, 0.07112806794202754, 0.0, 1.184,
             "total column cloud liquid water"),
)  # fmt: skip

STANDARDISED_VARIABLES: Final = (*SAR_VARIABLES, DISTANCE_MAP, *AMSR2_VARIABLES, *ERA5_VARIABLES)
"""Every standardised variable, in the order of an RTT file."""

VARIABLES: Final = {variable.name: variable for variable in STANDARDISED_VARIABLES}

_LEAST_SIGMA0_DB: Final = -400.0
_POSSIBLE: Final = {
    "K": (150.0, 350.0, ", or another unit than K"),  # of air and skin
    "m s-1": (-300.0, 300.0, ""),
    "kg m-2": (-5.0, 300.0, ""),  # interpolation may leave a little less than nothing
    "degree": (15.0, 50.0, ""),
}
"""Least and most by unit, and what else may lie beyond; see ``_possible`` for the others."""

TIE_POINT_VARIABLES: Final = ("sar_grid2d_latitude", "sar_grid2d_longitude")

RTT_VARIABLE_ORDER: Final = (
    *CHART_NAMES,
    *TIE_POINT_VARIABLES,
    *(variable.name for variable in STANDARDISED_VARIABLES),
)
"""All 29 variables of an RTT training file, in file order."""
