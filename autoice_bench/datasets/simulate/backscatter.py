"""Sentinel-1 EW backscatter: ice types, open water, noise floor.

Sources, with confidence as in docs/simulation.md: slopes with incidence angle, Makynen and Karvonen
2017 (sure); levels at 35 degrees, judged; open water HH, CMOD5.N (Hersbach 2010) with the
polarisation ratio of Thompson et al. 1998; HV of open water, Vachon and Wolfe 2011; noise floor,
Sentinel-1 product specification and typical values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from autoice_bench.datasets.simulate.geometry import SUBSWATH_BOUNDARIES_DEG

Floats = NDArray[np.floating]

DB_TO_LOG: Final = float(np.log(10) / 10)
REFERENCE_ANGLE_DEG: Final = 35.0


@dataclass(frozen=True)
class IceSignature:
    """Backscatter of one ice type.

    Attributes:
        hh_db, hv_db: level at 35 degrees incidence.
        hh_slope, hv_slope: dB per degree of incidence.
        texture_db: standard deviation of the deformation texture.
        melt_db: change of level in the melt season (wet snow hides the ice below it).
    """

    hh_db: float
    hv_db: float
    hh_slope: float
    hv_slope: float
    texture_db: float
    melt_db: float


SIGNATURES: Final = {
    1: IceSignature(-21.0, -29.5, -0.25, -0.16, 0.8, 0.0),
    2: IceSignature(-13.5, -24.5, -0.25, -0.16, 1.0, 0.0),
    3: IceSignature(-16.0, -27.5, -0.25, -0.16, 1.0, 0.0),
    4: IceSignature(-13.8, -22.8, -0.24, -0.16, 1.6, -1.0),
    5: IceSignature(-10.5, -19.0, -0.17, -0.13, 1.5, -4.0),
}
"""By SOD class: new, young, thin first-year, thick (mostly deformed) first-year, old ice."""

HV_WATER_OFFSET_DB: Final = 2.0
"""Added to Vachon and Wolfe's HV of the sea, for -31 and -28 dB at 5 and 10 m/s (judged)."""
CALM_SPEED: Final = 2.0
"""Least effective wind, m/s: swell and gusts keep a calm sea from being a mirror; judged."""

RETAINED_NOISE: Final = 0.5
"""Share of the mean noise power that denoising puts back; judged."""

_CMOD5N: Final = (
    0.0, -0.6878, -0.7957, 0.3380, -0.1728, 0.0, 0.0040, 0.1103, 0.0159, 6.7329, 2.7713, -2.2885,
    0.4971, -0.7250, 0.0450, 0.0066, 0.3222, 0.0120, 22.7, 2.0813, 3.0, 8.3659, -3.3428, 1.3236,
    6.2437, 2.3893, 0.3249, 4.1590, 1.6930,
)  # fmt: skip


def cmod5n(speed: Floats, direction_deg: Floats, incidence_deg: Floats) -> Floats:
    """VV backscatter of the sea, linear, by CMOD5.N (Hersbach 2010, J. Atmos. Ocean. Technol. 27).

    Args:
        speed: equivalent neutral wind at 10 m, m/s.
        direction_deg: wind direction against the look direction (0: blowing towards the radar).
        incidence_deg: incidence angle, degrees.
    """
    c = _CMOD5N
    y0, power = c[19], c[20]
    a = y0 - (y0 - 1) / power
    b = 1 / (power * (y0 - 1) ** (power - 1))
    cosine = np.cos(np.radians(direction_deg))
    x = (incidence_deg - 40) / 25
    x2 = x * x
    a0 = c[1] + c[2] * x + c[3] * x2 + c[4] * x * x2
    a1 = c[5] + c[6] * x
    a2 = c[7] + c[8] * x
    gamma = c[9] + c[10] * x + c[11] * x2
    s0 = c[12] + c[13] * x
    s = a2 * speed
    s_clipped = np.maximum(s, s0)
    a3 = 1 / (1 + np.exp(-s_clipped))
    a3 = np.where(s < s0, a3 * (np.maximum(s, 1e-9) / s0) ** (s0 * (1 - a3)), a3)
    b0 = a3**gamma * 10 ** (a0 + a1 * speed)
    b1 = c[15] * speed * (0.5 + x - np.tanh(4 * (x + c[16] + c[17] * speed)))
    b1 = (c[14] * (1 + x) - b1) / (np.exp(0.34 * (speed - c[18])) + 1)
    v0 = c[21] + c[22] * x + c[23] * x2
    d1 = c[24] + c[25] * x + c[26] * x2
    d2 = c[27] + c[28] * x
    v2 = speed / v0 + 1
    v2 = np.where(v2 < y0, a + b * (v2 - 1) ** power, v2)
    b2 = (-d1 + d2 * v2) * np.exp(-v2)
    return np.asarray(b0 * (1 + b1 * cosine + b2 * (2 * cosine**2 - 1)) ** 1.6)


def water_hh(speed: Floats, direction_deg: Floats, incidence_deg: Floats) -> Floats:
    """HH backscatter of open water, linear: CMOD5.N over the Thompson et al. ratio (alpha 1)."""
    tangent = np.tan(np.radians(incidence_deg)) ** 2
    ratio = ((1 + 2 * tangent) / (1 + tangent)) ** 2
    return np.asarray(cmod5n(np.maximum(speed, CALM_SPEED), direction_deg, incidence_deg) / ratio)


def water_hv(speed: Floats, incidence_deg: Floats) -> Floats:
    """HV backscatter of open water, linear; linear in wind speed in dB (Vachon and Wolfe 2011)."""
    level = 0.592 * speed - 35.6 + HV_WATER_OFFSET_DB
    return np.asarray(10 ** ((level - 0.1 * (incidence_deg - REFERENCE_ANGLE_DEG)) / 10))


def noise_floor_db(incidence_deg: Floats, hv: bool) -> Floats:
    """Noise-equivalent sigma nought along a line, dB: one arch per sub-swath, highest at its edges.

    -25 dB in the first sub-swath and -28 to -31 dB elsewhere for HV; HH lies 1 dB lower.
    """
    edges = np.array([18.9, *SUBSWATH_BOUNDARIES_DEG, 47.0])
    swath = np.clip(np.searchsorted(edges, incidence_deg) - 1, 0, 4)
    centre, half = (edges[swath] + edges[swath + 1]) / 2, np.diff(edges)[swath] / 2
    level = np.array([-26.5, -30.0, -31.0, -31.5, -30.5])[swath]
    arch = 2.0 * ((incidence_deg - centre) / half) ** 2
    return np.asarray(level + arch - (0.0 if hv else 1.0))


def subtracted_noise(rng: np.random.Generator, power: Floats, incidence_deg: Floats) -> Floats:
    """What denoising takes from each sample of a line, linear.

    The estimated noise, wrong by 0.1 to 0.3 dB of either sign per sub-swath (the steps seen in
    dark HV scenes), less a constant that keeps intensities positive, as NERSC's denoising does.

    Args:
        rng: source of the errors.
        power: true noise power along a line, linear.
        incidence_deg: incidence angle along the line, degrees.
    """
    swath = np.searchsorted(np.array(SUBSWATH_BOUNDARIES_DEG), incidence_deg)
    error_db = rng.uniform(0.1, 0.3, 5) * rng.choice((-1, 1), 5)
    return np.asarray(power * 10 ** (error_db / 10)[swath] - RETAINED_NOISE * power.mean())
