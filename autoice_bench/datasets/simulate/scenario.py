"""Which scenes a simulated data set holds: services, regions, dates, passes, sizes, cases."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv

from autoice_bench.datasets.simulate.cases import CasesOption, apply_case, place_cases
from autoice_bench.datasets.simulate.climatology import Climatology, read_climatology, regions_of
from autoice_bench.datasets.simulate.geometry import (
    GROUND_SPEED_M_PER_S,
    N_TIE_POINTS,
    offset_position,
)
from autoice_bench.datasets.simulate.scene_spec import CASES, MIN_SIZE, Case, SceneSpec
from autoice_bench.errors import SceneError
from autoice_bench.formats.rtt_folder import OfficialSubset
from autoice_bench.scene_id import TIME_FORMAT, SceneId

FIRST_YEAR: Final = 2030
FRAME_INTERVAL_S: Final = 60

CIS_SHARE: Final = 0.4
_STEPS: Final = 1.1673039782614187 ** -np.arange(1.0, 6.0)
"""Steps of the R5 low-discrepancy sequence: powers of the root of x ** 6 = x + 1."""
CHARTED_RANGE: Final = (0.22, 0.97)
"""Least and largest charted share of an ordinary scene."""
_WATER_CONCENTRATION: Final = 2.0
_CHART_CONCENTRATION: Final = 6.0


def plan_scenes(
    n_train: int, n_test: int, size: tuple[int, int], seed: int, cases: CasesOption
) -> tuple[SceneSpec, ...]:
    """Lay out a data set: training scenes first, then test scenes.

    Services alternate to 40 % CIS; region groups, seasons, shares of water and chart follow
    low-discrepancy sequences, so that even a few scenes cover the climatology evenly. Some scenes
    are the next frame of another scene's pass; the first test scene follows a training scene, as
    in the published split.

    Raises:
        SceneError: a count, the size, the seed or ``cases`` cannot be honoured.
    """
    _validate_plan(n_train, n_test, size, seed, cases)
    n_scenes = n_train + n_test
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0,)))
    offsets = rng.random(len(_STEPS))
    placed = place_cases(n_scenes, cases)
    specs: list[SceneSpec] = []
    for index in range(n_scenes):
        subset: OfficialSubset = "train" if index < n_train else "test"
        u = (offsets + (index + 1) * _STEPS) % 1
        spec = _draw_spec(rng, index, seed, subset, size, u)
        if _follows(index, n_train, placed):
            spec = _next_frame(rng, specs[index - 1 if index != n_train else 0], spec, u)
        specs.append(apply_case(spec, placed.get(index)))
    return tuple(_with_unique_times(specs))


def _validate_plan(
    n_train: int, n_test: int, size: tuple[int, int], seed: int, cases: CasesOption
) -> None:
    if seed < 0:
        raise SceneError(f"simulate: seed {seed}; expected 0 or more")
    if n_train < 0 or n_test < 0 or n_train + n_test == 0:
        raise SceneError(
            f"simulate: {n_train} training and {n_test} test scenes; expected at least one scene"
        )
    if min(size) < MIN_SIZE:
        raise SceneError(
            f"simulate: size {size[0]},{size[1]}; expected at least {MIN_SIZE} lines and samples"
        )
    if cases == "all" and n_train + n_test < len(CASES):
        raise SceneError(
            f"simulate: cases 'all' makes {len(CASES)} special scenes, but only "
            f"{n_train + n_test} are asked for; ask for more scenes or use cases 'none'"
        )


def _draw_spec(
    rng: np.random.Generator,
    index: int,
    seed: int,
    subset: OfficialSubset,
    size: tuple[int, int],
    u: NDArray[np.float64],
) -> SceneSpec:
    service = "cis" if u[0] < CIS_SHARE else "dmi"
    climatology = _pick_climatology(service, float(u[1]))
    regions = regions_of(climatology.group)
    region = regions[int(rng.integers(len(regions)))]
    ascending = bool(rng.random() < 0.5)
    spec = SceneSpec(
        index=index,
        seed=seed,
        subset=subset,
        scene_id=SceneId(_draw_time(rng, climatology.season, service, ascending), service),
        original_id="",
        region=region,
        climatology=climatology,
        latitude=region.latitude + float(rng.uniform(-0.9, 0.9)),
        longitude=region.longitude + float(rng.uniform(-3, 3)),
        ascending=ascending,
        shape=size,
        n_tie_lines=N_TIE_POINTS,
        open_water=0.0,
        charted=0.0,
        land=0.0,
        wind_quantile=float(u[4]),
        case=None,
    )
    return _name_original(rng, _with_shares(rng, spec, u), None)


def _with_shares(rng: np.random.Generator, spec: SceneSpec, u: NDArray[np.float64]) -> SceneSpec:
    """Shares of open water, chart and land: quantiles of beta laws around the climatology."""
    water = _beta(spec.climatology.open_water, _WATER_CONCENTRATION)
    chart = _beta(0.97 * spec.climatology.charted, _CHART_CONCENTRATION)
    charted = float(np.clip(betaincinv(*chart, u[3]), *CHARTED_RANGE))
    return replace(
        spec,
        open_water=float(betaincinv(*water, u[2])),
        charted=charted,
        land=(1 - charted) * float(rng.uniform(0.3, 0.7)),
    )


def _beta(mean: float, concentration: float) -> tuple[float, float]:
    return mean * concentration, (1 - mean) * concentration


def _pick_climatology(service: str, u: float) -> Climatology:
    """A region group and season in proportion to the released scenes of the service."""
    rows = [row for row in read_climatology() if row.group.startswith(service)]
    cumulative = np.cumsum([row.scenes for row in rows])
    return rows[int(np.searchsorted(cumulative / cumulative[-1], u, side="right"))]


def _draw_time(rng: np.random.Generator, season: str, service: str, ascending: bool) -> datetime:
    """A date of the season from 2030 on, at the hour the orbit passes the service's waters."""
    month = {"winter": (12, 1, 2), "spring": (3, 4, 5), "summer": (6, 7, 8), "autumn": (9, 10, 11)}
    hour = {("cis", True): 21.8, ("cis", False): 11.5, ("dmi", True): 20.2, ("dmi", False): 9.4}
    day = datetime(
        FIRST_YEAR + int(rng.integers(0, 4)),
        int(rng.choice(month[season])),
        int(rng.integers(1, 29)),
        tzinfo=UTC,
    )
    seconds = int((hour[service, ascending] + rng.uniform(-1.3, 1.3)) * 3600)
    return day + timedelta(seconds=seconds)


def _name_original(
    rng: np.random.Generator, spec: SceneSpec, platform_pass: str | None
) -> SceneSpec:
    """Give the spec its raw file name; ``platform_pass`` keeps platform, orbit and data-take."""
    start = spec.scene_id.acquisition_time
    stop = start + timedelta(seconds=spec.shape[0] * 80 / GROUND_SPEED_M_PER_S)
    if platform_pass is None:
        platform = "S1A" if rng.random() < 0.45 else "S1B"
        orbit, data_take = int(rng.integers(60_000, 99_000)), int(rng.integers(0x60000, 0xFFFFF))
        platform_pass = f"{platform}_{orbit:06d}_{data_take:06X}"
    platform, orbit_text, take_text = platform_pass.split("_")
    chart_time = start + timedelta(minutes=float(rng.uniform(-60, 60)))
    if spec.scene_id.ice_service == "cis":
        chart = f"{spec.region.name}_{chart_time:%Y%m%dT%H%MZ}_pl_a"
    else:
        chart = f"{chart_time:%Y%m%d%H%M}_{spec.region.name}_RIC"
    name = (
        f"{platform}_EW_GRDM_1SDH_{start.strftime(TIME_FORMAT)}_{stop.strftime(TIME_FORMAT)}"
        f"_{orbit_text}_{take_text}_{int(rng.integers(0x10000)):04X}"
        f"_icechart_{spec.scene_id.ice_service}_{chart}.nc"
    )
    return replace(spec, original_id=name)


def _follows(index: int, n_train: int, placed: dict[int, Case]) -> bool:
    """Whether a scene is the next frame of another: every sixth, and the first test scene."""
    if index in placed or (index - 1 in placed and index != n_train):
        return False
    return (index == n_train and n_train > 0) or (index % 6 == 2 and index != n_train)


def _next_frame(
    rng: np.random.Generator, first: SceneSpec, spec: SceneSpec, u: NDArray[np.float64]
) -> SceneSpec:
    """The frame 60 s after ``first`` in the same pass, service, region and season."""
    along = np.array([FRAME_INTERVAL_S * GROUND_SPEED_M_PER_S])
    latitude, longitude = offset_position(
        first.latitude, first.longitude, first.heading, along, np.zeros(1)
    )
    start = first.scene_id.acquisition_time + timedelta(seconds=FRAME_INTERVAL_S)
    parts = first.original_id.split("_")
    moved = replace(
        spec,
        scene_id=SceneId(start, first.scene_id.ice_service),
        region=first.region,
        climatology=first.climatology,
        latitude=float(latitude[0]),
        longitude=float(longitude[0]),
        ascending=first.ascending,
    )
    return _name_original(rng, _with_shares(rng, moved, u), f"{parts[0]}_{parts[6]}_{parts[7]}")


def _with_unique_times(specs: list[SceneSpec]) -> list[SceneSpec]:
    """Refuse the (very unlikely) draw of two scenes with one name."""
    names = [str(spec.scene_id) for spec in specs]
    if len(set(names)) < len(names):
        raise SceneError(
            f"simulate: seed {specs[0].seed} gives two scenes one name; choose another seed"
        )
    return specs
