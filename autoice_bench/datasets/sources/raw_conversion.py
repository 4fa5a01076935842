"""Raw scenes to ready-to-train (RTT) scenes: 40 m and polygons in, 80 m and labels out.

Charts are derived from the polygons at 40 m and reduced by a 2x2 maximum; SAR and incidence angle
are 2x2 means, of dB and degrees. A pixel with no polygon or no SAR in its 2x2 block is masked in
all of them; a polygon without a label does not mask SAR. An odd last line or sample is dropped.

Source: the released RTT scenes and the AutoICE data set manual (doi:10.11583/DTU.c.6244065.v2).
docs/labels.md says which steps are known and which are chosen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from autoice_bench.charts import CHARTS, FILL_VALUE
from autoice_bench.datasets.labels.rasters import DerivedCharts, derive_charts, max_2x2
from autoice_bench.datasets.labels.tables import CodeProblem, row_blocks
from autoice_bench.datasets.sources.float16 import round_to_float16
from autoice_bench.datasets.sources.raw import (
    BACKSCATTER_NAMES,
    POLYGONS,
    RawFile,
    RawTiePoints,
    open_raw_file,
)
from autoice_bench.datasets.sources.scene_arrays import (
    Json,
    SarDtype,
    SceneArrays,
    to_json_attributes,
)
from autoice_bench.datasets.sources.tie_points import compute_mean_weights
from autoice_bench.errors import SceneError
from autoice_bench.formats.cf import ENCODING_ATTRIBUTES
from autoice_bench.formats.chart_values import count_classes
from autoice_bench.formats.label_rule import AUTOICE_2022, LabelRule
from autoice_bench.formats.rtt_folder import SceneFile
from autoice_bench.formats.variables import (
    AMSR2_VARIABLES,
    DISTANCE_MAP,
    ERA5_VARIABLES,
    N_DISTANCE_ZONES,
    PIXEL_SPACING_M,
    PIXELS_PER_CELL,
    SAR_NODATA,
    SAR_VARIABLES,
    VARIABLES,
    Variable,
    describe_disguised,
    describe_extrema,
    standardise,
)
from autoice_bench.wording import format_count, format_listing

_INCIDENCE_ANGLE: Final = SAR_VARIABLES[2]
_MOST_ZEROS: Final = 10
"""Pixels of exactly 0 dB that may be measured."""
_ENOUGH_PIXELS: Final = 1000
"""Pixels of which one at least is darker than 0 dB in any real scene."""
_MOST_SHOWN: Final = 5
"""Details of a kind of problem that a warning names."""


def read_raw_scene(
    scene: SceneFile,
    rule: LabelRule = AUTOICE_2022,
    dtype: SarDtype = "float16",
    *,
    ice_types: bool = False,
) -> SceneArrays:
    """Read and validate one raw scene as the ready-to-train scene it stands for.

    Args:
        scene: the raw file.
        rule: label rule and thresholds.
        dtype: dtype of the SAR channels.
        ice_types: also derive the ten ice types.

    Raises:
        SceneError: the file is damaged, no raw scene, or breaks the format.
        LabelError: ``polygon_codes`` cannot be read.
    """
    arrays = convert_raw_scene(scene.path, rule, dtype, ice_types=ice_types)
    _validate_2km_grid(arrays)
    if arrays.charts is None and scene.subset == "train":
        raise SceneError(
            f"scene {scene.scene_id}: {scene.path.name} holds no polygons; expected them in a "
            "training scene (a test scene belongs into a folder named test)"
        )
    # The listing's id: it is what the caller asked for.
    return replace(arrays, scene_id=scene.scene_id)


def convert_raw_scene(
    path: Path,
    rule: LabelRule = AUTOICE_2022,
    dtype: SarDtype = "float32",
    *,
    ice_types: bool = False,
) -> SceneArrays:
    """Convert a raw file to what a ready-to-train file of the scene holds, of any size.

    Works through one variable at a time, in blocks of lines; a scene of 10,000x10,500 pixels peaks
    well below 3 GB.

    Args:
        path: the raw NetCDF file.
        rule: label rule and thresholds.
        dtype: dtype of the SAR channels.
        ice_types: also derive the raster of ten ice types.

    Returns:
        The scene. ``attributes`` are the raw file's, with ``scene_id``, ``original_id``,
        ``ice_service`` and ``pixel_spacing`` (80) as in an RTT file; those of ``polygon_icechart``
        stand under its own name. Polygons without a row, and odd codes, are among ``warnings``.

    Raises:
        SceneError: the file is damaged, no raw scene, or holds values out of range.
        LabelError: ``polygon_codes`` cannot be read.
    """
    warnings: list[str] = []
    with open_raw_file(path) as raw:
        tie_points = raw.read_tie_points()
        derived = _derive(raw, rule, ice_types=ice_types) if raw.has_charts else None
        sar = _reduce_sar(raw, tie_points, derived, warnings)
        rounded, rounding_error = _round_sar(raw.scene_id, sar, np.dtype(dtype))
        del sar
        charts = None if derived is None else derived.charts
        return SceneArrays(
            scene_id=raw.scene_id,
            sar=rounded,
            distance_map=_read_distance_zones(raw),
            charts=charts,
            class_counts=None if charts is None else _count_classes(charts),
            amsr2=_read_2km(raw, AMSR2_VARIABLES, warnings),
            era5=_read_2km(raw, ERA5_VARIABLES, warnings),
            latitude=tie_points.latitude,
            longitude=tie_points.longitude,
            tie_line=(tie_points.lines - 0.5) / 2,
            tie_sample=(tie_points.samples - 0.5) / 2,
            attributes=to_json_attributes(_global_attributes(raw)),
            variable_attributes=_variable_attributes(raw),
            rounding_error=rounding_error,
            warnings=(*warnings, *([] if derived is None else _describe_label_problems(derived))),
            ice_type=None if derived is None else derived.ice_type,
        )


def mean_2x2(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean of each 2x2 block of (2m, 2n) values; (m, n). A NaN in a block makes it NaN."""
    rows = values[0::2] + values[1::2]
    mean: NDArray[np.float32] = (rows[:, 0::2] + rows[:, 1::2]) * np.float32(0.25)
    return mean


def _derive(raw: RawFile, rule: LabelRule, *, ice_types: bool) -> DerivedCharts:
    where = f"scene {raw.scene_id}"
    codes, polygons = raw.read_egg_codes(), raw.read_polygons()
    return derive_charts(polygons, codes, rule, where=where, ice_types=ice_types)


def _reduce_sar(
    raw: RawFile,
    tie_points: RawTiePoints,
    derived: DerivedCharts | None,
    warnings: list[str],
) -> NDArray[np.float32]:
    """(3, lines, samples) standardised SAR at 80 m; it and the charts masked by each other."""
    shape = (raw.shape[0] // 2, raw.shape[1] // 2)
    masked = np.zeros(shape, bool) if derived is None else derived.uncharted.copy()
    sar = np.empty((len(SAR_VARIABLES), *shape), np.float32)
    for name, channel in zip(BACKSCATTER_NAMES, sar[:-1], strict=True):
        backscatter = raw.read_float32(name)
        _validate_backscatter(raw.scene_id, VARIABLES[name], backscatter, warnings)
        _reduce_backscatter(backscatter, VARIABLES[name], channel, masked)
    _interpolate_angle(tie_points, raw.shape, sar[-1])
    for channel in sar:
        channel[masked] = SAR_NODATA
    for raster in () if derived is None else derived.rasters:
        raster[masked] = FILL_VALUE
    return sar


def _validate_backscatter(
    scene_id: str, variable: Variable, values: NDArray[np.float32], warnings: list[str]
) -> None:
    """Look for nodata that is no NaN, and for sigma0 that is not in dB."""
    low, high, n_zeros, n_values = np.inf, -np.inf, 0, 0
    for rows in row_blocks(*values.shape):
        # fmin and fmax pass over NaN.
        low = min(low, float(np.fmin.reduce(values[rows], axis=None)))
        high = max(high, float(np.fmax.reduce(values[rows], axis=None)))
        n_zeros += int(np.count_nonzero(values[rows] == 0))
        n_values += int(np.count_nonzero(values[rows] == values[rows]))
    if not n_values or not np.isfinite(low + high):  # infinities are told later
        return
    problem = describe_disguised(variable, low, high)
    if problem is None and 0 <= low < high and n_values >= _ENOUGH_PIXELS:
        problem = (
            f"spans {low:.6g} to {high:.6g} dB, nothing below 0: linear sigma0? Expected dB, "
            "10 log10(sigma0), NaN for nodata"
        )
    if problem is not None:
        raise SceneError(f"scene {scene_id}: {variable.name} {problem}")
    remark = describe_extrema(variable, low, high)
    if remark is not None:
        warnings.append(remark)
    # A measured float32 is exactly 0 about once in a hundred scenes.
    if n_zeros > _MOST_ZEROS:
        warnings.append(
            f"{variable.name} is exactly 0 dB in {format_count(n_zeros, 'pixel')} of 40 m: nodata "
            "written as 0? It was taken for data; expected NaN (or _FillValue 0)"
        )


def _reduce_backscatter(
    raw: NDArray[np.float32],
    variable: Variable,
    out: NDArray[np.float32],
    masked: NDArray[np.bool_],
) -> None:
    """Fill ``out`` with standardised 2x2 means and add their nodata to ``masked``."""
    lines, samples = out.shape
    for rows in row_blocks(2 * lines, 2 * samples):
        mean = mean_2x2(raw[rows, : 2 * samples])
        block = slice(rows.start // 2, rows.stop // 2)
        out[block] = standardise(variable, mean)
        masked[block] |= np.isnan(mean)


def _interpolate_angle(
    tie_points: RawTiePoints,
    raw_shape: tuple[int, int],
    out: NDArray[np.float32],
) -> None:
    """Fill ``out`` with the standardised incidence angle at 80 m."""
    by_line = compute_mean_weights(tie_points.lines, raw_shape[0])
    by_sample = compute_mean_weights(tie_points.samples, raw_shape[1])
    along_samples = standardise(_INCIDENCE_ANGLE, tie_points.incidence_angle) @ by_sample.T
    for rows in row_blocks(*out.shape):
        out[rows] = by_line[rows] @ along_samples


def _round_sar(
    scene_id: str, sar: NDArray[np.float32], dtype: np.dtype[Any]
) -> tuple[NDArray[np.floating], float]:
    """SAR channels in ``dtype`` and the largest rounding error.

    Rounding also finds values that float16 cannot hold, which are refused whatever the dtype.
    """
    is_kept = dtype != np.float16
    rounded = sar if is_kept else np.empty(sar.shape, np.float16)
    worst = 0.0
    for variable, values, out in zip(SAR_VARIABLES, sar, rounded, strict=True):
        errors = [
            round_to_float16(
                values[rows], np.empty_like(values[rows], np.float16) if is_kept else out[rows]
            )
            for rows in row_blocks(*values.shape)
        ]
        error = float(np.max(errors))
        if not np.isfinite(error):
            raise SceneError(
                f"scene {scene_id}: {variable.name} holds infinite or huge values; "
                f"expected {variable.units} from {variable.raw_min:g} to {variable.raw_max:g}, "
                "NaN for nodata"
            )
        worst = max(worst, error)
    return rounded, 0.0 if is_kept else worst


def _read_distance_zones(raw: RawFile) -> NDArray[np.uint8]:
    """Distance zones at 80 m: the largest of each 2x2 block."""
    zones = raw.read_float32(DISTANCE_MAP.name)
    lines, samples = zones.shape[0] // 2, zones.shape[1] // 2
    reduced = np.empty((lines, samples), np.uint8)
    for rows in row_blocks(2 * lines, 2 * samples):
        block = max_2x2(zones[rows, : 2 * samples])
        if not (block.min() >= 0 and block.max() < N_DISTANCE_ZONES):  # NaN fails as well
            raise SceneError(
                f"scene {raw.scene_id}: {DISTANCE_MAP.name} holds {block.min()} to {block.max()}; "
                f"expected zones 0 to {N_DISTANCE_ZONES - 1} without gaps"
            )
        reduced[rows.start // 2 : rows.stop // 2] = np.rint(block)
    return reduced


def _read_2km(
    raw: RawFile, variables: tuple[Variable, ...], warnings: list[str]
) -> NDArray[np.float32]:
    channels = np.empty((len(variables), *raw.shape_2km), np.float32)
    for variable, channel in zip(variables, channels, strict=True):
        values = raw.read_float32(variable.name)
        if not np.isfinite(values).all():
            raise SceneError(
                f"scene {raw.scene_id}: {variable.name} holds "
                f"{np.sum(~np.isfinite(values))} values that are not finite; expected none"
            )
        low, high = float(values.min()), float(values.max())
        problem = describe_disguised(variable, low, high)
        if problem is not None:
            raise SceneError(f"scene {raw.scene_id}: {variable.name} {problem}")
        remark = describe_extrema(variable, low, high)
        if remark is not None:
            warnings.append(remark)
        channel[:] = standardise(variable, values)
    return channels


def _global_attributes(raw: RawFile) -> dict[str, Any]:
    attributes = raw.netcdf.attributes()
    return {
        **attributes,
        "scene_id": f"{raw.scene_id}_prep.nc",
        "original_id": attributes.get("original_id", raw.path.name),
        "ice_service": raw.scene_id.rpartition("_")[2],
        "pixel_spacing": PIXEL_SPACING_M,
    }


def _variable_attributes(raw: RawFile) -> dict[str, dict[str, Json]]:
    names = [*BACKSCATTER_NAMES, DISTANCE_MAP.name]
    names += [variable.name for variable in (*AMSR2_VARIABLES, *ERA5_VARIABLES)]
    names += [POLYGONS] if raw.has_charts else []
    return {
        name: to_json_attributes(
            {
                key: value
                for key, value in raw.netcdf.attributes(name).items()
                if key not in ENCODING_ATTRIBUTES
            }
        )
        for name in names
    }


def _count_classes(charts: NDArray[np.uint8]) -> NDArray[np.int64]:
    """(3, 256) pixels per chart value."""
    pairs = zip(charts, CHARTS, strict=True)
    return np.stack([count_classes(values, chart) for values, chart in pairs])


def _validate_2km_grid(arrays: SceneArrays) -> None:
    lines, samples = arrays.sar.shape[1:]
    cells = (lines // PIXELS_PER_CELL, samples // PIXELS_PER_CELL)
    found = arrays.amsr2.shape[1:]
    if min(*cells, 1) < 1 or found != cells:
        raise SceneError(
            f"scene {arrays.scene_id}: 2 km grid is {found} for {lines}x{samples} pixels of "
            f"80 m; expected {cells} ({PIXELS_PER_CELL} pixels to a cell)"
        )


def _describe_label_problems(derived: DerivedCharts) -> Iterator[str]:
    """One line per kind of problem with a scene's polygons and codes."""
    by_kind: dict[str, list[CodeProblem]] = {}
    for problem in derived.table.problems:
        by_kind.setdefault(problem.kind, []).append(problem)
    for kind, problems in by_kind.items():
        polygons = len({problem.poly_id for problem in problems})
        shown = Counter(problem.detail for problem in problems).most_common(_MOST_SHOWN)
        details = ", ".join(f"{detail} ({number}x)" for detail, number in shown)
        yield f"polygon codes: {kind} in {format_count(polygons, 'polygon')}: {details}"
    missing = derived.census.ids_without_row
    if missing:
        ids = format_listing(f"{poly_id:.9g}" for poly_id in sorted(missing))
        yield (
            f"polygon_icechart: {format_count(len(missing), 'id')} without a row in polygon_codes "
            f"({ids}) in {format_count(sum(missing.values()), 'pixel')} at 40 m, masked"
        )
