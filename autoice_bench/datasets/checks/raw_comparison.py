"""Raw scenes against their released ready-to-train twins: does our conversion give the same?

Per scene: agreement of the charts, the largest difference of each channel, and an estimate of where
the 2 km cells lie on the full grid.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autoice_bench.charts import CHARTS, FILL_VALUE, Chart
from autoice_bench.datasets.checks.grid_anchor import (
    AnchorEstimate,
    GridOffset,
    combine_offsets,
    estimate_grid_offset,
)
from autoice_bench.datasets.labels.tables import row_blocks
from autoice_bench.datasets.sources.raw_conversion import read_raw_scene
from autoice_bench.datasets.sources.rtt import read_scene
from autoice_bench.datasets.sources.scene_arrays import SceneArrays
from autoice_bench.datasets.sources.scenes import find_raw_scenes
from autoice_bench.errors import AutoIceError, SceneError
from autoice_bench.formats.label_rule import AUTOICE_2022, LabelRule
from autoice_bench.formats.rtt_folder import SceneFile, find_scenes
from autoice_bench.formats.store_layout import AMSR2_ARRAY, SAR_ARRAY
from autoice_bench.formats.variables import (
    AMSR2_VARIABLES,
    ERA5_VARIABLES,
    SAR_NODATA,
    SAR_VARIABLES,
    Variable,
)


@dataclass(frozen=True)
class ChartAgreement:
    """One chart, ours against the released one; pixels at 80 m.

    Attributes:
        chart: ``SIC``, ``SOD`` or ``FLOE``.
        pixels: pixels compared.
        equal: pixels of equal value, class or 255.
        other_class: pixels that hold different classes.
        only_ours, only_released: pixels labelled in one of the two only.
    """

    chart: str
    pixels: int
    equal: int
    other_class: int
    only_ours: int
    only_released: int


@dataclass(frozen=True)
class ChannelDifference:
    """One standardised channel, ours against the released one.

    Attributes:
        name: variable name.
        units: units of ``largest``.
        largest: largest absolute difference, decoded, where both hold data.
        nodata_differs: pixels that are nodata in one of the two only; 0 for 2 km channels.
    """

    name: str
    units: str
    largest: float
    nodata_differs: int


@dataclass(frozen=True)
class SceneComparison:
    """One scene.

    Attributes:
        scene_id: its id.
        charts: agreement per chart; empty where one of the two has none.
        channels: SAR, then AMSR2, then ERA5.
        other_distance: pixels whose distance zone differs.
        largest_tie_offset_px: largest difference of tie-point positions, in 80 m pixels; None where
            the grids differ in size.
        grid_offset: estimate from this scene; None where it allows none.
    """

    scene_id: str
    charts: tuple[ChartAgreement, ...]
    channels: tuple[ChannelDifference, ...]
    other_distance: int
    largest_tie_offset_px: float | None
    grid_offset: GridOffset | None


@dataclass(frozen=True)
class RawComparison:
    """All scenes that are in both sources.

    Attributes:
        scenes: by scene id.
        anchor: where the 2 km values lie, over all scenes.
        failures: scene id to what went wrong.
        only_raw, only_released: ids that are in one source only.
    """

    scenes: tuple[SceneComparison, ...]
    anchor: AnchorEstimate
    failures: Mapping[str, str]
    only_raw: tuple[str, ...]
    only_released: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The comparison as JSON values."""
        return asdict(self)


def compare_raw_source(
    raw: Path,
    source: Path,
    rule: LabelRule = AUTOICE_2022,
    *,
    on_scene: Callable[[int, int], None] | None = None,
) -> RawComparison:
    """Convert every raw scene that has a released twin and compare the two.

    Args:
        raw: raw scenes, a file or a folder.
        source: folder of ready-to-train scenes.
        rule: rule of the released labels.
        on_scene: called after each scene with how many are done and how many there are.

    Raises:
        SceneError: one of the two holds no scene, or they have none in common.
    """
    raw_scenes = {scene.scene_id: scene for scene in find_raw_scenes(raw).scenes}
    released = {scene.scene_id: scene for scene in find_scenes(source).scenes}
    common = sorted(raw_scenes.keys() & released.keys())
    if not common:
        raise SceneError(
            f"{raw} and {source} have no scene in common; found {len(raw_scenes)} raw scenes from "
            f"{min(raw_scenes)} and {len(released)} released ones from {min(released)}"
        )
    comparisons, failures = [], {}
    for number, scene_id in enumerate(common, start=1):
        try:
            comparisons.append(compare_raw_scene(raw_scenes[scene_id], released[scene_id], rule))
        except AutoIceError as error:
            failures[scene_id] = str(error)
        if on_scene is not None:
            on_scene(number, len(common))
    offsets = [c.grid_offset for c in comparisons if c.grid_offset is not None]
    return RawComparison(
        scenes=tuple(comparisons),
        anchor=combine_offsets(offsets),
        failures=failures,
        only_raw=tuple(sorted(raw_scenes.keys() - released.keys())),
        only_released=tuple(sorted(released.keys() - raw_scenes.keys())),
    )


def compare_raw_scene(
    raw: SceneFile, released: SceneFile, rule: LabelRule = AUTOICE_2022
) -> SceneComparison:
    """Convert one raw scene and compare it with its released twin.

    Raises:
        SceneError: one of the files breaks its format, or their sizes differ.
        LabelError: ``polygon_codes`` cannot be read.
    """
    ours, theirs = read_raw_scene(raw, rule, "float32"), read_scene(released, "float32")
    for name in (SAR_ARRAY.name, AMSR2_ARRAY.name):
        shapes = getattr(ours, name).shape, getattr(theirs, name).shape
        if shapes[0] != shapes[1]:
            raise SceneError(
                f"scene {raw.scene_id}: {name} is {shapes[0]} from raw and {shapes[1]} in "
                f"{released.path.name}; expected the same"
            )
    offset = None
    if theirs.charts is not None:
        offset = estimate_grid_offset(theirs.charts, theirs.distance_map, theirs.amsr2)
    return SceneComparison(
        scene_id=raw.scene_id,
        charts=tuple(_compare_charts(ours, theirs)),
        channels=tuple(_compare_channels(ours, theirs)),
        other_distance=int(np.count_nonzero(ours.distance_map != theirs.distance_map)),
        largest_tie_offset_px=_compare_tie_points(ours, theirs),
        grid_offset=offset,
    )


def _compare_charts(ours: SceneArrays, theirs: SceneArrays) -> Iterator[ChartAgreement]:
    if ours.charts is None or theirs.charts is None:
        return
    for chart, own, released in zip(CHARTS, ours.charts, theirs.charts, strict=True):
        yield _compare_chart(chart, own, released)


def _compare_chart(
    chart: Chart, ours: NDArray[np.uint8], theirs: NDArray[np.uint8]
) -> ChartAgreement:
    has_ours, has_theirs = ours != FILL_VALUE, theirs != FILL_VALUE
    differs = ours != theirs
    return ChartAgreement(
        chart=chart.name,
        pixels=ours.size,
        equal=ours.size - int(np.count_nonzero(differs)),
        other_class=int(np.count_nonzero(differs & has_ours & has_theirs)),
        only_ours=int(np.count_nonzero(has_ours & ~has_theirs)),
        only_released=int(np.count_nonzero(has_theirs & ~has_ours)),
    )


def _compare_channels(ours: SceneArrays, theirs: SceneArrays) -> Iterator[ChannelDifference]:
    groups = (
        (SAR_VARIABLES, ours.sar, theirs.sar),
        (AMSR2_VARIABLES, ours.amsr2, theirs.amsr2),
        (ERA5_VARIABLES, ours.era5, theirs.era5),
    )
    for variables, own, released in groups:
        for variable, left, right in zip(variables, own, released, strict=True):
            yield _compare_channel(variable, left, right)


def _compare_channel(
    variable: Variable, ours: NDArray[np.floating], theirs: NDArray[np.floating]
) -> ChannelDifference:
    largest, nodata_differs = 0.0, 0
    is_sar = variable in SAR_VARIABLES
    for rows in row_blocks(*ours.shape):
        left, right = ours[rows], theirs[rows]
        difference = np.abs(left - right)
        if is_sar:
            empty, other_empty = left == SAR_NODATA, right == SAR_NODATA
            nodata_differs += int(np.count_nonzero(empty != other_empty))
            difference[empty | other_empty] = 0
        largest = max(largest, float(difference.max()))
    return ChannelDifference(variable.name, variable.units, largest * variable.std, nodata_differs)


def _compare_tie_points(ours: SceneArrays, theirs: SceneArrays) -> float | None:
    pairs = (ours.tie_line, theirs.tie_line), (ours.tie_sample, theirs.tie_sample)
    if any(left.shape != right.shape for left, right in pairs):
        return None
    return max(float(np.abs(left - right).max()) for left, right in pairs)
