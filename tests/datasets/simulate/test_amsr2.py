from __future__ import annotations

import numpy as np
import pytest

from autoice_bench.datasets.simulate.amsr2 import (
    BANDS,
    CellFractions,
    make_brightness_temperatures,
)
from autoice_bench.datasets.simulate.era5 import Weather, make_weather, make_wind
from autoice_bench.datasets.simulate.surface import cell_fractions
from autoice_bench.formats.variables import AMSR2_VARIABLES

SHAPE = (40, 42)


def constant(value: float) -> np.ndarray:
    return np.full(SHAPE, value, np.float32)


def calm_weather() -> Weather:
    return Weather(
        u10m=constant(5), v10m=constant(0), t2m=constant(262), skt=constant(262),
        tcwv=constant(4), tclw=constant(0),
    )  # fmt: skip


def temperatures(kind: str, seed: int = 0) -> dict[str, np.ndarray]:
    shares = {
        name: constant(float(name == kind)) for name in ("land", "thin", "first_year", "multi_year")
    }
    rng = np.random.default_rng(seed)
    return make_brightness_temperatures(rng, CellFractions(**shares), calm_weather(), melt=False)


@pytest.mark.parametrize("kind", ["water", "first_year", "multi_year"])
def test_pure_surfaces_average_to_their_tie_points(kind: str) -> None:
    runs = [temperatures(kind, seed) for seed in range(30)]
    for band in BANDS:
        for at, polarisation in enumerate("hv"):
            name = f"btemp_{band.name}{polarisation}"
            mean = np.mean([run[name].mean() for run in runs])
            scatter = (
                band.scatter_k[at]
                if kind == "water"
                else band.scatter_k[2 + (kind == "multi_year")]
            )
            # Scene scatter averages out over 30 scenes to well within one deviation.
            assert mean == pytest.approx(getattr(band, kind)[at], abs=max(scatter, 2))


def test_channels_are_those_of_the_format() -> None:
    channels = temperatures("water")
    assert list(channels) == [variable.name for variable in AMSR2_VARIABLES]
    assert all(channel.dtype == np.float32 for channel in channels.values())


def test_low_frequencies_are_smoother() -> None:
    land, zero = constant(0), constant(0)
    ice = constant(0)
    ice[:, 21:] = 1
    rng = np.random.default_rng(0)
    channels = make_brightness_temperatures(
        rng, CellFractions(land, zero, ice, zero), calm_weather(), melt=False
    )

    def steepest(name: str) -> float:
        profile = channels[name].mean(axis=0)
        return float(np.diff(profile).max() / (profile[-1] - profile[0]))

    assert steepest("btemp_6_9h") < steepest("btemp_18_7h") < steepest("btemp_89_0h")


def test_fractions_of_known_cells() -> None:
    kinds = np.zeros((6, 11), np.uint8)
    weights = np.ones((6, 11), np.float32)
    kinds[:5, :5] = 5
    weights[:5, :5] = 0.5
    kinds[:5, 5:10] = [255, 1, 2, 3, 4]
    kinds[5:] = 255  # beyond the last whole cell
    fractions = cell_fractions(kinds, weights, (1, 2))
    np.testing.assert_allclose(fractions.multi_year, [[0.5, 0]])
    np.testing.assert_allclose(fractions.land, [[0, 0.2]])
    np.testing.assert_allclose(fractions.thin, [[0, 0.4]])
    np.testing.assert_allclose(fractions.first_year, [[0, 0.4]])
    np.testing.assert_allclose(fractions.water, [[0.5, 0]])


def test_weather_is_consistent() -> None:
    rng = np.random.default_rng(0)
    ice = constant(0)
    ice[:, :20] = 1
    wind = make_wind(rng, SHAPE, 0.5)
    weather = make_weather(rng, wind, ice, constant(0), "winter", 75.0)
    # Sea cannot be colder than its freezing point, winter ice is colder than the sea.
    assert weather.skt[:, 21:].min() >= 271.35
    assert weather.skt[:, :20].max() < 271.35
    assert weather.tcwv.min() > 0
    assert weather.tclw.min() >= 0
    np.testing.assert_allclose(weather.speed, np.hypot(*wind))


def test_wind_grows_with_its_quantile() -> None:
    speeds = [
        np.hypot(*make_wind(np.random.default_rng(1), SHAPE, q)).mean() for q in (0.1, 0.5, 0.9)
    ]
    assert speeds == sorted(speeds)
