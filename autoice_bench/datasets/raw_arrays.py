"""Raw scenes as ``prepare`` reads scenes: listed as source files, delivered as ``SceneArrays``."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from autoice_bench.charts import CHARTS
from autoice_bench.datasets.attributes import to_json_attributes
from autoice_bench.datasets.float16 import round_to_float16
from autoice_bench.datasets.label_tables import CodeProblem, row_blocks
from autoice_bench.datasets.labels import AUTOICE_2022, LabelRule
from autoice_bench.datasets.polygon_charts import DerivedCharts
from autoice_bench.datasets.raw_files import find_raw_files
from autoice_bench.datasets.raw_scenes import ConvertedScene, convert_raw_scene
from autoice_bench.datasets.scene_charts import count_classes
from autoice_bench.datasets.scenes import SarDtype, SceneArrays
from autoice_bench.datasets.sources import SceneFile, SourceListing, Subset, official_subset
from autoice_bench.datasets.variables import PIXELS_PER_CELL, SAR_VARIABLES
from autoice_bench.errors import SceneError
from autoice_bench.official import WITHDRAWN
from autoice_bench.scene_id import is_scene_name, parse_original_id
from autoice_bench.wording import format_count, format_listing

_TEST_STEM_SUFFIX: Final = "_testdata"
_MOST_SHOWN: Final = 5


def find_raw_scenes(source: Path) -> SourceListing:
    """List the raw scenes at ``source`` (a file or a folder), sorted by id.

    Raises:
        SceneError: nothing is there, it holds no raw scene, or one scene twice.
    """
    files = find_raw_files(source)
    scenes = tuple(
        SceneFile(scene_id, path, None, _subset(scene_id, path, source), _region(path), "raw")
        for scene_id, path in files.items()
        if scene_id not in WITHDRAWN
    )
    notes = tuple(
        f"scene {scene_id}: withdrawn by the data set's authors (its chart lost its ice); left out"
        for scene_id in files
        if scene_id in WITHDRAWN
    )
    return SourceListing(scenes, notes)


def read_raw_scene(
    scene: SceneFile,
    rule: LabelRule = AUTOICE_2022,
    dtype: SarDtype = "float16",
    *,
    ice_types: bool = False,
) -> SceneArrays:
    """Read one raw scene as the ready-to-train scene it stands for.

    Args:
        scene: the raw file.
        rule: label rule and thresholds.
        dtype: dtype of the SAR channels.
        ice_types: also derive the ten ice types.

    Raises:
        SceneError: the file is damaged, no raw scene, or breaks the format.
        LabelError: ``polygon_codes`` cannot be read.
    """
    converted = convert_raw_scene(scene.path, rule, ice_types=ice_types)
    _validate_2km_grid(converted)
    sar, rounding_error = _round_sar(converted, np.dtype(dtype))
    charts, derived = converted.charts, converted.derived
    counts = None
    if charts is not None:
        pairs = zip(charts, CHARTS, strict=True)
        counts = np.stack([count_classes(values, chart) for values, chart in pairs])
    elif scene.subset == "train":
        raise SceneError(
            f"scene {scene.scene_id}: {scene.path.name} holds no polygons; expected them in a "
            "training scene (a test scene belongs into a folder named test)"
        )
    return SceneArrays(
        scene_id=scene.scene_id,
        sar=sar,
        distance_map=converted.distance_zones,
        charts=charts,
        class_counts=counts,
        amsr2=converted.amsr2,
        era5=converted.era5,
        latitude=converted.latitude,
        longitude=converted.longitude,
        tie_line=converted.tie_line,
        tie_sample=converted.tie_sample,
        attributes=to_json_attributes(converted.attributes),
        variable_attributes={
            name: to_json_attributes(values)
            for name, values in converted.variable_attributes.items()
        },
        rounding_error=rounding_error,
        warnings=() if derived is None else describe_label_problems(derived),
        ice_type=None if derived is None else derived.ice_type,
    )


def describe_label_problems(derived: DerivedCharts) -> tuple[str, ...]:
    """One line per kind of problem with a scene's polygons and codes."""
    by_kind: dict[str, list[CodeProblem]] = {}
    for problem in derived.table.problems:
        by_kind.setdefault(problem.kind, []).append(problem)
    lines = []
    for kind, problems in by_kind.items():
        polygons = len({problem.poly_id for problem in problems})
        shown = Counter(problem.detail for problem in problems).most_common(_MOST_SHOWN)
        details = ", ".join(f"{detail} ({number}x)" for detail, number in shown)
        lines.append(f"polygon codes: {kind} in {format_count(polygons, 'polygon')}: {details}")
    missing = derived.census.ids_without_row
    if missing:
        ids = format_listing(f"{poly_id:.9g}" for poly_id in sorted(missing))
        lines.append(
            f"polygon_icechart: {format_count(len(missing), 'id')} without a row in polygon_codes "
            f"({ids}) in {format_count(sum(missing.values()), 'pixel')} at 40 m, masked"
        )
    return tuple(lines)


def _subset(scene_id: str, path: Path, source: Path) -> Subset:
    is_test_file = path.stem.endswith(_TEST_STEM_SUFFIX)
    return "test" if is_test_file else official_subset(scene_id, path, source)


def _region(path: Path) -> str | None:
    return None if is_scene_name(path.name) else parse_original_id(path.name).region


def _validate_2km_grid(converted: ConvertedScene) -> None:
    lines, samples = converted.sar.shape[1:]
    cells = (lines // PIXELS_PER_CELL, samples // PIXELS_PER_CELL)
    found = converted.amsr2.shape[1:]
    if min(*cells, 1) < 1 or found != cells:
        raise SceneError(
            f"scene {converted.scene_id}: 2 km grid is {found} for {lines}x{samples} pixels of "
            f"80 m; expected {cells} ({PIXELS_PER_CELL} pixels to a cell)"
        )


def _round_sar(
    converted: ConvertedScene, dtype: np.dtype[Any]
) -> tuple[NDArray[np.floating], float]:
    """SAR channels in ``dtype`` and the largest rounding error."""
    rounded = np.empty(converted.sar.shape, np.float16)
    worst = 0.0
    for variable, values, out in zip(SAR_VARIABLES, converted.sar, rounded, strict=True):
        errors = [round_to_float16(values[rows], out[rows]) for rows in row_blocks(*values.shape)]
        error = float(np.max(errors))
        if not np.isfinite(error):
            raise SceneError(
                f"scene {converted.scene_id}: {variable.name} holds infinite or huge values; "
                f"expected {variable.units} from {variable.raw_min:g} to {variable.raw_max:g}, "
                "NaN for nodata"
            )
        worst = max(worst, error)
    return (rounded, worst) if dtype == np.float16 else (converted.sar, 0.0)
