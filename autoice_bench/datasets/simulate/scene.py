"""One simulated scene in memory: everything its files will hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from autoice_bench.charts import FILL_VALUE
from autoice_bench.datasets.simulate.amsr2 import make_brightness_temperatures
from autoice_bench.datasets.simulate.era5 import make_weather, make_wind
from autoice_bench.datasets.simulate.fields import Array
from autoice_bench.datasets.simulate.geometry import incidence_parts, tie_point_grid
from autoice_bench.datasets.simulate.ice_chart import IceChart, make_ice_chart
from autoice_bench.datasets.simulate.land import Ground, distance_zones, make_ground
from autoice_bench.datasets.simulate.polygon_ice import make_polygon_ice
from autoice_bench.datasets.simulate.polygons import Polygons, make_polygons
from autoice_bench.datasets.simulate.scene_spec import SceneSpec
from autoice_bench.datasets.simulate.speckle import Speckle
from autoice_bench.datasets.simulate.surface import (
    STRIP_LINES,
    SurfaceModel,
    cell_fractions,
    make_surface,
    render_strip,
)
from autoice_bench.formats.variables import VARIABLES

_MAX_BORDER_SHARE: Final = 0.006


@dataclass(frozen=True)
class SwathTimes:
    """The AMSR2 swaths behind a scene.

    Attributes:
        names: file names of the swaths, nearest in time first.
        delays_s: their time minus the SAR image's, seconds.
    """

    names: tuple[str, ...]
    delays_s: tuple[int, ...]


@dataclass(frozen=True)
class SimulatedScene:
    """A simulated scene, in physical units and before any masking.

    Attributes:
        spec: what was asked for.
        hh, hv: backscatter, dB, float32 (sar_lines, sar_samples), land included.
        incidence: incidence angle as (line part, sample part), degrees; their sum is the angle.
        zones: distance-to-land zones, uint8 (sar_lines, sar_samples).
        uncharted: land or beyond the chart limit.
        no_signal: SAR border, where the instrument has no data.
        polygons: polygon index of every pixel.
        chart: egg codes and labels of the polygons.
        fields_2km: AMSR2 (K) and ERA5 variables by name, float32 on the 2 km grid.
        latitude, longitude: tie points, degrees, float64, lines first.
        swaths: AMSR2 swaths.
    """

    spec: SceneSpec
    hh: Array
    hv: Array
    incidence: tuple[NDArray[np.float64], NDArray[np.float64]]
    zones: NDArray[np.uint8]
    uncharted: NDArray[np.bool_]
    no_signal: NDArray[np.bool_]
    polygons: Polygons
    chart: IceChart
    fields_2km: dict[str, Array]
    latitude: NDArray[np.float64]
    longitude: NDArray[np.float64]
    swaths: SwathTimes

    @property
    def masked(self) -> NDArray[np.bool_]:
        """Where RTT files hold neither chart nor SAR."""
        return self.uncharted | self.no_signal

    def charts(self) -> NDArray[np.uint8]:
        """SIC, SOD, FLOE: uint8 (3, sar_lines, sar_samples), 255 without a label."""
        rasters = self.chart.labels[:, self.polygons.index]
        rasters[:, self.masked] = FILL_VALUE
        return rasters


def simulate_scene(spec: SceneSpec) -> SimulatedScene:
    """Simulate one scene; the same spec gives the same scene, bit for bit."""
    rng = spec.rng()
    season = spec.climatology.season
    ground = make_ground(rng, spec.shape, spec.land, 1 - spec.charted)
    polygons = make_polygons(rng, spec.shape)
    chart = make_ice_chart(
        rng,
        polygons,
        ground,
        spec.climatology,
        spec.open_water,
        ambiguous_stage=spec.case == "ambiguous stage",
    )
    ice = make_polygon_ice(rng, chart, melt=season == "summer", freeze_up=season == "autumn")
    wind = make_wind(rng, spec.grid_2km, spec.wind_quantile)
    incidence = incidence_parts(spec.n_tie_lines, spec.raw_shape)
    model = make_surface(rng, polygons, ice, ground, wind, incidence)
    no_signal = _swath_border(rng, spec.shape)
    rendered = _render(rng, model, ground)
    fractions = cell_fractions(rendered.kinds, rendered.weights, spec.grid_2km)
    weather = make_weather(rng, wind, fractions.ice, fractions.land, season, spec.latitude)
    temperatures = make_brightness_temperatures(rng, fractions, weather, melt=season == "summer")
    latitude, longitude = tie_point_grid(
        (spec.latitude, spec.longitude), spec.heading, spec.raw_shape, spec.n_tie_lines
    )
    return SimulatedScene(
        spec=spec,
        hh=rendered.hh,
        hv=rendered.hv,
        incidence=incidence,
        zones=rendered.zones,
        uncharted=rendered.uncharted,
        no_signal=no_signal,
        polygons=polygons,
        chart=chart,
        fields_2km=_within_released_extrema(
            {
                **temperatures,
                "u10m_rotated": weather.u10m,
                "v10m_rotated": weather.v10m,
                "t2m": weather.t2m,
                "skt": weather.skt,
                "tcwv": weather.tcwv,
                "tclw": weather.tclw,
            }
        ),
        latitude=latitude,
        longitude=longitude,
        swaths=_draw_swaths(rng, spec),
    )


@dataclass(frozen=True)
class _Rendered:
    hh: Array
    hv: Array
    zones: NDArray[np.uint8]
    uncharted: NDArray[np.bool_]
    kinds: NDArray[np.uint8]
    weights: Array


def _render(rng: np.random.Generator, model: SurfaceModel, ground: Ground) -> _Rendered:
    """Render strip by strip: only the results are ever held at full size."""
    shape = ground.height.shape
    hh, hv = np.empty(shape, np.float32), np.empty(shape, np.float32)
    zones, uncharted = np.empty(shape, np.uint8), np.empty(shape, bool)
    speckle = Speckle(rng.spawn(1)[0], shape[1]), Speckle(rng.spawn(1)[0], shape[1])
    kinds, weights = [], []
    for start in range(0, shape[0], STRIP_LINES):
        stop = min(start + STRIP_LINES, shape[0])
        strip = render_strip(model, speckle, start, stop)
        hh[start:stop], hv[start:stop] = strip.hh, strip.hv
        uncharted[start:stop] = strip.uncharted
        zones[start:stop] = distance_zones(ground.distance_km.rows(start, stop), strip.land)
        kinds.append(strip.kinds)
        weights.append(strip.weights)
    return _Rendered(hh, hv, zones, uncharted, np.concatenate(kinds), np.concatenate(weights))


def _within_released_extrema(fields: dict[str, Array]) -> dict[str, Array]:
    """Fields limited to what the released scenes hold: rare tails of the draws are cut."""
    limits = {name: (VARIABLES[name].raw_min, VARIABLES[name].raw_max) for name in fields}
    return {name: field.clip(*limits[name]) for name, field in fields.items()}


def _swath_border(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Wedges without signal along the near and far edges, in about half of the scenes."""
    border = np.zeros(shape, bool)
    for edge in range(2):
        if rng.random() < 0.5:
            continue
        first, last = (float(end) * shape[1] for end in rng.uniform(0, _MAX_BORDER_SHARE, 2))
        width = np.rint(np.linspace(first, last, shape[0]))[:, None]
        samples = np.arange(shape[1])[None, :]
        border |= (samples if edge == 0 else shape[1] - 1 - samples) < width
    return border


def _draw_swaths(rng: np.random.Generator, spec: SceneSpec) -> SwathTimes:
    n_swaths = 2 if spec.case == "two swaths" or rng.random() < 0.15 else 1
    delays = sorted((int(delay) for delay in rng.integers(-25_000, 25_000, n_swaths)), key=abs)
    start = spec.scene_id.acquisition_time
    path = "A" if spec.ascending else "D"
    names = tuple(
        f"GW1AM2_{start:%Y%m%d%H%M}_{int(rng.integers(1, 250)):03d}{path}_L1SGRTBR_2220220.h5"
        for _ in delays
    )
    return SwathTimes(names, tuple(delays))
