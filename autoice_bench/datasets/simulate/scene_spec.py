"""What one scene to simulate is: everything about it follows from its ``SceneSpec``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

import numpy as np

from autoice_bench.datasets.simulate.climatology import Climatology, Region
from autoice_bench.datasets.simulate.geometry import track_heading
from autoice_bench.formats.rtt_folder import OfficialSubset
from autoice_bench.formats.variables import PIXELS_PER_CELL
from autoice_bench.scene_id import SceneId

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


MIN_SIZE: Final = 200
"""Smallest size: with fewer lines the raw tie-point positions would coincide."""


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
    subset: OfficialSubset
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
    def raw_shape(self) -> tuple[int, int]:
        """Lines and samples at 40 m; the odd-size scene has an odd last line and sample there."""
        odd = int(self.case == "odd size")
        return 2 * self.shape[0] + odd, 2 * self.shape[1] + odd

    @property
    def grid_2km(self) -> tuple[int, int]:
        """Lines and samples of the 2 km grid."""
        return self.shape[0] // PIXELS_PER_CELL, self.shape[1] // PIXELS_PER_CELL

    def rng(self) -> np.random.Generator:
        """The scene's own random numbers: the same whatever else is simulated, and where."""
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(1, self.index)))
