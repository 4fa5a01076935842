from __future__ import annotations

import numpy as np
import pytest

from autoice_bench.datasets.simulate.backscatter import (
    SIGNATURES,
    noise_floor_db,
    subtracted_noise,
    water_hh,
    water_hv,
)
from autoice_bench.datasets.simulate.floes import make_floe_pattern
from autoice_bench.datasets.simulate.speckle import SPECKLE_LOOKS, Speckle


def in_db(values: np.ndarray) -> np.ndarray:
    return np.asarray(10 * np.log10(values))


@pytest.mark.parametrize(("speed", "hh", "hv"), [(5.0, -19.0, -31.0), (10.0, -14.0, -28.0)])
def test_open_water_levels_at_35_degrees(speed: float, hh: float, hv: float) -> None:
    wind, angle = np.full(8, speed), np.full(8, 35.0)
    direction = np.arange(0, 360, 45.0)
    # Judged levels of the numbers page, plus or minus 3 dB.
    assert in_db(water_hh(wind, direction, angle)).mean() == pytest.approx(hh, abs=3)
    assert in_db(water_hv(wind, angle)).mean() == pytest.approx(hv, abs=3)


def test_open_water_falls_with_angle_and_rises_with_wind() -> None:
    angle = np.linspace(25, 45, 21)
    hh = in_db(water_hh(np.full(21, 7.0), np.zeros(21), angle))
    # About -0.7 dB per degree.
    assert np.polyfit(angle, hh, 1)[0] == pytest.approx(-0.7, abs=0.25)
    speeds = np.linspace(3, 15, 13)
    assert (np.diff(water_hh(speeds, np.zeros(13), np.full(13, 35.0))) > 0).all()


def test_upwind_is_brighter_than_crosswind() -> None:
    upwind, crosswind = water_hh(np.full(2, 10.0), np.array([0.0, 90.0]), np.full(2, 35.0))
    assert upwind > crosswind


def test_old_ice_is_brightest_and_new_ice_darkest() -> None:
    levels = {sod: signature.hv_db for sod, signature in SIGNATURES.items()}
    assert max(levels, key=levels.__getitem__) == 5
    assert min(levels, key=levels.__getitem__) == 1


def test_noise_floor_is_highest_in_the_first_subswath() -> None:
    noise = noise_floor_db(np.array([23.5, 31.0, 36.0, 41.0, 45.0]), hv=True)
    assert noise.argmax() == 0
    assert noise.max() <= -22
    # Sub-swath edges are worse than their centres.
    assert noise_floor_db(np.array([28.2]), hv=True) > noise_floor_db(np.array([23.6]), hv=True)


def test_noise_errors_are_small_steps() -> None:
    angle = np.linspace(18.9, 47, 400)
    power = np.full(400, 1e-3)
    error = in_db((subtracted_noise(np.random.default_rng(0), power, angle) + 0.5e-3) / power)
    assert np.abs(error).max() <= 0.3 + 1e-6
    assert np.abs(error).min() >= 0.1 - 1e-6
    assert len(np.unique(error.round(6))) <= 5


def test_speckle_statistics_and_seamless_strips() -> None:
    whole = Speckle(np.random.default_rng(5), 300).rows(400)
    strips = Speckle(np.random.default_rng(5), 300)
    parts = np.concatenate([strips.rows(150), strips.rows(250)])
    np.testing.assert_array_equal(whole, parts)
    assert whole.mean() == pytest.approx(1, abs=0.005)
    assert whole.mean() ** 2 / whole.var() == pytest.approx(SPECKLE_LOOKS, rel=0.06)
    assert in_db(whole).std() == pytest.approx(1.07, abs=0.08)
    neighbours = np.corrcoef(whole[:, 1:].ravel(), whole[:, :-1].ravel())[0, 1]
    assert 0.15 < neighbours < 0.45


@pytest.mark.parametrize("concentration", [0.2, 0.5, 0.9])
def test_floes_cover_the_wanted_share(concentration: float) -> None:
    pattern = make_floe_pattern(np.random.default_rng(0), 200, 14.0, shift_px=5)
    assert (pattern.threshold < concentration).mean() == pytest.approx(concentration, abs=0.01)
    assert np.abs(pattern.shift).max() <= 5


def test_floe_pattern_repeats() -> None:
    pattern = make_floe_pattern(np.random.default_rng(0), 64, 14.0, shift_px=5)
    threshold, draw, shift = pattern.rows(60, 70, 130)
    assert threshold.shape == draw.shape == shift.shape[1:] == (10, 130)
    np.testing.assert_array_equal(threshold[:, :64], threshold[:, 64:128])
    np.testing.assert_array_equal(threshold[4], pattern.rows(0, 1, 130)[0][0])
