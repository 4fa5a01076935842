"""Which scenes a simulated data set holds: services, regions, dates, passes, sizes, cases."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, get_args

import numpy as np
from scipy.special import betaincinv

from autoice_bench.datasets.simulate.climatology import (
    Climatology,
    Region,
    read_climatology,
    regions_of,
)
from autoice_bench.datasets.simulate.geometry import (
    GROUND_SPEED_M_PER_S,
    N_TIE_POINTS,
    offset_position,
    track_heading,
)
from autoice_bench.errors import SceneError
from autoice_bench.scene_id import TIME_FORMAT, SceneId

Case = Literal[
    "odd size",
    "short frame",
    "all water",
    "ambiguous stage",
    "mostly masked",
    "two swaths",
    "smaller than a patch",
]
CASES: Final = get_args(Case)
"""Awkward scenes that the released data hold, one scene each."""

CasesOption = Literal["auto", "all", "none"]
AUTO_CASES_FROM: Final = 16
"""``auto`` adds the cases to sets of at least this many scenes."""

MIN_SIZE: Final = 200
"""Smallest size: with fewer lines the raw tie-point positions would coincide."""
FIRST_YEAR: Final = 2030
FRAME_INTERVAL_S: Final = 60

CIS_SHARE: Final = 0.4
_GOLDEN: Final = (math.sqrt(5) - 1) / 2
_SHARE_CONCENTRATION: Final = 2.0


@dataclass(frozen=True)
class SceneSpec:
    """One scene to simulate; everything about it follows from this and ``seed``.

    Attributes:
        index: position in the data set; with ``seed`` it selects the random numbers.
        seed: seed of the data set.
        subset: ``train`` or ``test``.
        scene_id: start time and ice service.
        original_id: name of the raw file the scene would come from.
        region: chart region.
        climatology: class shares of its region and season.
        latitude, longitude: centre, degrees.
        ascending: whether the satellite flies north.
        shape: lines and samples at 80 m.
        n_tie_lines: tie points along the lines (21; fewer in a short frame).
        open_water: wanted share of open water among charted pixels.
        charted: wanted share of charted pixels.
        land: wanted share of land pixels.
        wind_quantile: where the wind speed lies in its distribution.
        case: the awkward case it stands for, if any.
    """

    index: int
    seed: int
    subset: Literal["train", "test"]
    scene_id: SceneId
    original_id: str
    region: Region
    climatology: Climatology
    latitude: float
    longitude: float
    ascending: bool
    shape: tuple[int, int]
    n_tie_lines: int
    open_water: float
    charted: float
    land: float
    wind_quantile: float
    case: Case | None

    @property
    def heading(self) -> float:
        """Flight direction, degrees clockwise from north."""
        return track_heading(self.latitude, self.ascending)

    @property
    def flip(self) -> int:
        """The axis to flip for display, north up and east right."""
        return 0 if self.ascending else 1

    @property
    def grid_2km(self) -> tuple[int, int]:
        """Lines and samples of the 2 km grid."""
        return self.shape[0] // 25, self.shape[1] // 25

    def rng(self) -> np.random.Generator:
        """The scene's own random numbers: the same whatever else is simulated, and where."""
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(1, self.index)))


def plan_scenes(
    n_train: int, n_test: int, size: tuple[int, int], seed: int, cases: CasesOption
) -> tuple[SceneSpec, ...]:
    """Lay out a data set: training scenes first, then test scenes.

    Services alternate to 40 % CIS; region groups, seasons, shares of water and chart follow
    low-discrepancy sequences, so that even a few scenes cover the climatology evenly. Some scenes
    are the next frame of another scene's pass; the first test scene follows a training scene, as
    in the published split.

    Raises:
        SceneError: a count, the size or ``cases`` cannot be honoured.
    """
    _validate_plan(n_train, n_test, size, cases)
    n_scenes = n_train + n_test
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0,)))
    offsets = rng.random(6)
    placed = _place_cases(n_scenes, cases)
    specs: list[SceneSpec] = []
    for index in range(n_scenes):
        subset: Literal["train", "test"] = "train" if index < n_train else "test"
        # Even spacing in index for the first draw, golden-ratio and other irrational steps for
        # the rest: jointly well spread without a full design.
        u = (offsets + (index + 1) * np.array([_GOLDEN, 0.7548777, 0.5698403, 0.8191725, 0.6710436, 0.5497005])) % 1  # fmt: skip
        spec = _draw_spec(rng, index, seed, subset, size, u)
        if _follows(index, n_train, placed):
            spec = _next_frame(rng, specs[index - 1 if index != n_train else 0], spec)
        specs.append(_apply_case(spec, placed.get(index)))
    return tuple(_with_unique_times(specs))


def _validate_plan(n_train: int, n_test: int, size: tuple[int, int], cases: CasesOption) -> None:
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


def _place_cases(n_scenes: int, cases: CasesOption) -> dict[int, Case]:
    """Scene index of each case: spread evenly, none on the first scene unless it must."""
    wanted = cases == "all" or (cases == "auto" and n_scenes >= AUTO_CASES_FROM)
    if not wanted:
        return {}
    return {(k + 1) * n_scenes // len(CASES) - 1: case for k, case in enumerate(CASES)}


def _draw_spec(
    rng: np.random.Generator,
    index: int,
    seed: int,
    subset: Literal["train", "test"],
    size: tuple[int, int],
    u: np.ndarray,
) -> SceneSpec:
    service = "cis" if u[0] < CIS_SHARE else "dmi"
    climatology = _pick_climatology(service, float(u[1]))
    regions = regions_of(climatology.group)
    region = regions[int(rng.integers(len(regions)))]
    ascending = bool(rng.random() < 0.5)
    charted = float(np.clip(betaincinv(*_beta(0.95 * climatology.charted, 5.0), u[3]), 0.22, 0.97))
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
        open_water=float(betaincinv(*_beta(climatology.open_water, _SHARE_CONCENTRATION), u[2])),
        charted=charted,
        land=(1 - charted) * float(rng.uniform(0.3, 0.7)),
        wind_quantile=float(u[4]),
        case=None,
    )
    return _name_original(rng, spec, None)


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
    """Whether a scene is the next frame of an earlier one: every sixth, and the first test scene."""
    if index in placed or (index - 1 in placed and index != n_train):
        return False
    return (index == n_train and n_train > 0) or (index % 6 == 2 and index != n_train)


def _next_frame(rng: np.random.Generator, first: SceneSpec, spec: SceneSpec) -> SceneSpec:
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
    return _name_original(rng, moved, f"{parts[0]}_{parts[6]}_{parts[7]}")


def _apply_case(spec: SceneSpec, case: Case | None) -> SceneSpec:
    lines, samples = spec.shape
    if case == "odd size":
        return replace(spec, case=case, shape=(lines - 1 + lines % 2, samples - 1 + samples % 2))
    if case == "short frame":
        short = max(MIN_SIZE, round(lines * 0.6))
        return replace(spec, case=case, shape=(short, samples), n_tie_lines=13)
    if case == "all water":
        return replace(spec, case=case, open_water=1.0)
    if case == "ambiguous stage":
        return replace(spec, case=case, open_water=0.0)
    if case == "mostly masked":
        charted = min(0.1, 0.3 * 768**2 / (lines * samples))
        return replace(spec, case=case, charted=charted, land=0.55)
    if case == "smaller than a patch":
        smaller = tuple(max(MIN_SIZE, min(round(0.9 * n), limit)) for n, limit in zip(spec.shape, (700, 731), strict=True))  # fmt: skip
        return replace(spec, case=case, shape=(smaller[0], smaller[1]))
    return replace(spec, case=case)


def _with_unique_times(specs: list[SceneSpec]) -> list[SceneSpec]:
    """Refuse the (very unlikely) draw of two scenes with one name."""
    names = [str(spec.scene_id) for spec in specs]
    if len(set(names)) < len(names):
        raise SceneError(
            f"simulate: seed {specs[0].seed} gives two scenes one name; choose another seed"
        )
    return specs
