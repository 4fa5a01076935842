from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from autoice_bench.charts import FILL_VALUE
from autoice_bench.datasets.checks.grid_anchor import (
    BAND,
    CENTRE_OFFSET,
    GridOffset,
    combine_offsets,
    estimate_grid_offset,
)
from autoice_bench.formats.variables import AMSR2_VARIABLES

_CHANNEL = [variable.name for variable in AMSR2_VARIABLES].index(BAND)
Array = np.ndarray[Any, np.dtype[Any]]


def _scene(offset: float, seed: int = 0) -> tuple[Array, Array, Array]:
    """Charts, zones and AMSR2 whose cells were sampled ``offset`` pixels from their corner."""
    lines, samples = 800, 850
    rng = np.random.default_rng(seed)
    pattern = ndimage.gaussian_filter(rng.standard_normal((lines, samples)), 60)
    sic = np.where(pattern > 0, 10, 0).astype(np.uint8)
    zones = np.full((lines, samples), 30, np.uint8)
    zones[pattern > 2 * pattern.std()] = 0
    # 36.5 GHz: 145 K over water, 235 K over ice, seen through an antenna of 10 km.
    seen = ndimage.gaussian_filter(145.0 + 9.0 * sic, 10_000 / 2.355 / 80, mode="nearest")
    sic[zones == 0] = FILL_VALUE
    at = [np.arange(size // 25) * 25 + offset for size in (lines, samples)]
    amsr2 = np.zeros((14, lines // 25, samples // 25), np.float32)
    amsr2[_CHANNEL] = ndimage.map_coordinates(seen, np.meshgrid(*at, indexing="ij"), order=1)
    return np.stack([sic, sic, sic]), zones, amsr2


@pytest.mark.parametrize("offset", [0.0, CENTRE_OFFSET])
def test_offset_of_a_made_up_scene_is_found(offset: float) -> None:
    found = estimate_grid_offset(*_scene(offset))

    assert found is not None
    # An edge of the scene apart, the map is what AMSR2 saw: well within half a trial step.
    assert found.lines == pytest.approx(offset, abs=2)
    assert found.samples == pytest.approx(offset, abs=2)
    assert found.correlation > 0.99


def test_scene_without_edges_gives_no_offset() -> None:
    charts, zones, amsr2 = _scene(0.0)

    assert estimate_grid_offset(np.zeros_like(charts), np.full_like(zones, 41), amsr2) is None
    nothing = np.full_like(charts, FILL_VALUE)
    assert estimate_grid_offset(nothing, np.full_like(zones, 41), amsr2) is None
    assert estimate_grid_offset(charts, zones, np.zeros_like(amsr2)) is None
    assert estimate_grid_offset(charts[:, :200, :200], zones[:200, :200], amsr2[:, :8, :8]) is None


def test_scenes_vote_with_their_median() -> None:
    # Mean of both axes: 11, 13, 12; their deviation is 1, the standard error 1 / sqrt(3).
    offsets = [GridOffset(10, 12, 0.9), GridOffset(14, 12, 0.9), GridOffset(12, 12, 0.9)]
    found = combine_offsets(offsets)

    assert (found.anchor, found.lines, found.samples, found.n_scenes) == ("centre", 12, 12, 3)
    assert found.standard_error == pytest.approx(3**-0.5)
    assert combine_offsets([GridOffset(o.lines - 12, 0, 0.9) for o in offsets]).anchor == "corner"


def test_scatter_or_too_few_scenes_leave_it_undecided() -> None:
    assert combine_offsets([]).anchor == "undecided"
    assert combine_offsets([GridOffset(12, 12, 0.9)]).anchor == "undecided"
    wide = [GridOffset(-20, -20, 0.9), GridOffset(12, 12, 0.9), GridOffset(40, 40, 0.9)]
    assert combine_offsets(wide).anchor == "undecided"
