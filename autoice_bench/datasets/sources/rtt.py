"""Open and validate one ready-to-train scene: NetCDF in, checked arrays in the store's dtypes out.

Every value is read once. Casting, range checks, class counts and the rounding error are computed on
strips that fit a core's cache while the next chunk is inflated, so a scene costs about as much as
inflating it. Nothing is returned from a scene that breaks the format.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from autoice_bench.charts import FILL_VALUE
from autoice_bench.datasets.sources.buffers import BufferPool
from autoice_bench.datasets.sources.charts import read_charts
from autoice_bench.datasets.sources.float16 import round_to_float16
from autoice_bench.datasets.sources.scene_arrays import (
    Json,
    SarDtype,
    SceneArrays,
    to_json_attributes,
)
from autoice_bench.datasets.sources.tie_points import compute_tie_positions
from autoice_bench.errors import SceneError
from autoice_bench.formats.chart_values import missing_charts
from autoice_bench.formats.netcdf import NetcdfFile, UnfitNetcdfError, explain, open_netcdf
from autoice_bench.formats.rtt_folder import SceneFile
from autoice_bench.formats.store_layout import SAR_ARRAY
from autoice_bench.formats.variables import (
    AMSR2_VARIABLES,
    DISTANCE_MAP,
    ERA5_VARIABLES,
    LATITUDE_LIMIT,
    LONGITUDE_LIMIT,
    MOST_TIE_POINTS,
    N_DISTANCE_ZONES,
    PIXELS_PER_CELL,
    RTT_VARIABLE_ORDER,
    SAR_NODATA,
    SAR_VARIABLES,
    STANDARDISED_VARIABLES,
    TIE_POINT_VARIABLES,
    Variable,
    describe_extrema,
    describe_unlikely_size,
    destandardise,
)
from autoice_bench.scene_id import parse_original_id
from autoice_bench.wording import format_listing

_NOT_FINITE: Final = (
    "scene {}: {} holds values that are not finite; expected none in a ready-to-train file"
)
_ZONE_TOLERANCE: Final = 0.02
"""Released zones decode to within 0.01 of a whole number; more than twice that is another thing."""


def read_scene(
    scene: SceneFile, dtype: SarDtype = "float16", pool: BufferPool | None = None
) -> SceneArrays:
    """Read and validate one scene.

    Args:
        scene: the file and, for a test scene, its reference.
        dtype: dtype of the SAR channels.
        pool: where the large arrays take their memory from; the next scene read with the same pool
            overwrites them. None takes fresh memory.

    Raises:
        SceneError: the file cannot be read or breaks the format; the message names the scene, the
            variable, what was found and what was expected.
    """
    pool = pool or BufferPool()
    try:
        with open_netcdf(scene.path) as file:
            _require_variables(scene.scene_id, file)
            if scene.reference is not None:
                with open_netcdf(scene.reference) as reference:
                    return _read(scene, file, reference, np.dtype(dtype), pool)
            charts_file = None if missing_charts(file) else file
            return _read(scene, file, charts_file, np.dtype(dtype), pool)
    except OSError as error:
        raise SceneError(
            f"scene {scene.scene_id}: cannot be read as NetCDF: {explain(error)}"
        ) from error


def read_attributes(path: Path) -> dict[str, Json]:
    """Read the global attributes of a NetCDF file as JSON values.

    Raises:
        SceneError: the file cannot be read.
    """
    try:
        with open_netcdf(path) as file:
            return to_json_attributes(file.attributes())
    except OSError as error:
        reason = str(error) if isinstance(error, UnfitNetcdfError) else f"{error}; truncated?"
        raise SceneError(f"{path.name} cannot be read as NetCDF: {reason}") from error


def _read(
    scene: SceneFile,
    file: NetcdfFile,
    charts_file: NetcdfFile | None,
    dtype: np.dtype[Any],
    pool: BufferPool,
) -> SceneArrays:
    # What costs little comes first, so that a scene that breaks the format is refused early.
    scene_id = scene.scene_id
    shape = _validate_shapes(scene_id, file)
    warnings = list(_name_warnings(scene, file))
    latitude, longitude = _read_tie_points(scene_id, file)
    amsr2 = _read_2km(scene_id, file, AMSR2_VARIABLES, warnings)
    era5 = _read_2km(scene_id, file, ERA5_VARIABLES, warnings)
    charts, counts = None, None
    if charts_file is not None:
        charts, counts = read_charts(scene_id, charts_file, shape, warnings, pool)
        if scene.subset == "test" and scene.reference is None and not counts[:, :FILL_VALUE].any():
            charts, counts = None, None
            warnings.append("every label is 255 and there is no reference: stored without charts")
    elif scene.subset == "test":
        warnings.append("no reference file: stored without charts")
    else:
        raise SceneError(
            f"scene {scene_id}: {scene.path.name} holds no {format_listing(missing_charts(file))}; "
            "expected them in a training scene (a test scene belongs into a folder named test)"
        )
    distance_map = _read_distance_map(scene_id, file, warnings, pool)
    sar, rounding_error = _read_sar(scene_id, file, dtype, warnings, pool)
    return SceneArrays(
        scene_id=scene_id,
        sar=sar,
        distance_map=distance_map,
        charts=charts,
        class_counts=counts,
        amsr2=amsr2,
        era5=era5,
        latitude=latitude,
        longitude=longitude,
        tie_line=compute_tie_positions(latitude.shape[0], shape[0]),
        tie_sample=compute_tie_positions(latitude.shape[1], shape[1]),
        attributes=to_json_attributes(file.attributes()),
        variable_attributes={
            name: to_json_attributes(file.attributes(name))
            for name in RTT_VARIABLE_ORDER
            if name in file.variable_names
        },
        rounding_error=rounding_error,
        warnings=tuple(warnings),
    )


def _require_variables(scene_id: str, file: NetcdfFile) -> None:
    required = (*TIE_POINT_VARIABLES, *(variable.name for variable in STANDARDISED_VARIABLES))
    missing = [name for name in required if name not in file.variable_names]
    if missing:
        raise SceneError(
            f"scene {scene_id}: {format_listing(missing)} missing; expected the "
            f"{len(RTT_VARIABLE_ORDER)} variables of a ready-to-train file"
        )


def _validate_shapes(scene_id: str, file: NetcdfFile) -> tuple[int, int]:
    """Check every grid and return (sar_lines, sar_samples)."""
    shapes: dict[str, tuple[int, ...]] = {}
    for variable in STANDARDISED_VARIABLES:
        dims, shape = file.dims(variable.name), file.shape(variable.name)
        if len(dims) != 2:
            raise SceneError(
                f"scene {scene_id}: {variable.name} has dimensions {dims}; expected {variable.dims}"
            )
        expected = shapes.setdefault(variable.grid, shape)
        if shape != expected or dims != variable.dims:
            raise SceneError(
                f"scene {scene_id}: {variable.name} is {_dims(dims, shape)}; "
                f"expected {_dims(variable.dims, expected)} as the rest of the {variable.grid} grid"
            )
        if file.dtype(variable.name).newbyteorder("=") != np.float32:
            raise SceneError(
                f"scene {scene_id}: {variable.name} is {file.dtype(variable.name)}; "
                "expected float32"
            )
        # Unpacked, 0 may come back as 1e-8, and masked pixels would be data.
        if file.encoding(variable.name).is_packed:
            raise SceneError(
                f"scene {scene_id}: {variable.name} is packed (scale_factor, add_offset); "
                "expected plain standardised values"
            )
    unlikely = describe_unlikely_size(shapes["80m"])
    if unlikely is not None:
        raise SceneError(f"scene {scene_id}: {SAR_VARIABLES[0].name} is {unlikely}")
    lines, samples = shapes["80m"]
    cells = (lines // PIXELS_PER_CELL, samples // PIXELS_PER_CELL)
    if min(*cells, 1) < 1 or shapes["2km"] != cells:
        raise SceneError(
            f"scene {scene_id}: 2 km grid is {shapes['2km']} for {lines}x{samples} pixels; "
            f"expected {cells} (25 pixels to a cell)"
        )
    return lines, samples


def _name_warnings(scene: SceneFile, file: NetcdfFile) -> Iterable[str]:
    attributes = file.attributes()
    said = str(attributes.get("scene_id", "")).removesuffix(".nc").removesuffix("_prep")
    if said and said != scene.scene_id:
        yield f"attribute scene_id says {said}, the file name {scene.scene_id}; the name counts"
    service = str(attributes.get("ice_service", "")).strip().lower()
    if service and not scene.scene_id.endswith(service):
        yield f"attribute ice_service says {service}, the file name {scene.scene_id[-3:]}"
    if "original_id" in attributes:
        try:
            parse_original_id(str(attributes["original_id"]))
        except SceneError:
            yield "attribute original_id is not a raw file's name; platform, orbit, pass unknown"
    known = {*RTT_VARIABLE_ORDER}
    extra = [name for name in file.variable_names if name not in known]
    if extra:
        yield f"unknown variables left out: {format_listing(extra)}"


def _read_tie_points(
    scene_id: str, file: NetcdfFile
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    shape, other = (file.shape(name) for name in TIE_POINT_VARIABLES)
    if len(shape) != 2 or other != shape or min(shape) < 2:
        raise SceneError(
            f"scene {scene_id}: tie points are {shape} and {other}; "
            "expected two equal grids of at least 2 x 2"
        )
    if math.prod(shape) > MOST_TIE_POINTS:
        raise SceneError(
            f"scene {scene_id}: tie points are {shape}; expected at most {MOST_TIE_POINTS:,}"
        )
    latitude, longitude = (file.decoded(name).astype(np.float64) for name in TIE_POINT_VARIABLES)
    for name, degrees, limit in (
        ("latitude", latitude, LATITUDE_LIMIT),
        ("longitude", longitude, LONGITUDE_LIMIT),
    ):
        if not (np.isfinite(degrees).all() and np.abs(degrees).max() <= limit):
            raise SceneError(
                f"scene {scene_id}: tie-point {name} holds values that are not finite or beyond "
                f"{limit:g}; expected degrees"
            )
    return latitude, longitude


def _read_distance_map(
    scene_id: str, file: NetcdfFile, warnings: list[str], pool: BufferPool
) -> NDArray[Any]:
    """Distance zones as uint8, or as float32 where they are not whole numbers."""
    zones = pool.empty(DISTANCE_MAP.name, file.shape(DISTANCE_MAP.name), np.uint8)
    mean, std = np.float32(DISTANCE_MAP.mean), np.float32(DISTANCE_MAP.std)
    # The source holds standardised zones, whose whole numbers come back with float32's noise.
    for strip in file.decoded_strips(DISTANCE_MAP.name):
        decoded = strip.values.astype(np.float32, copy=True)  # worked on in place, in the cache
        with np.errstate(over="ignore", invalid="ignore"):
            decoded *= std
            decoded += mean
            nearest = np.rint(decoded)
            decoded -= nearest
        worst = max(float(decoded.max()), -float(decoded.min()))
        if not np.isfinite(worst):
            raise SceneError(_NOT_FINITE.format(scene_id, DISTANCE_MAP.name))
        if worst > _ZONE_TOLERANCE:
            # Rare enough to begin anew: uint8 cannot hold what was decoded so far.
            warnings.append("distance zones are not whole numbers; kept as float32")
            return _read_decoded_zones(scene_id, file)
        if nearest.min() < 0 or nearest.max() >= N_DISTANCE_ZONES:
            raise SceneError(
                f"scene {scene_id}: distance_map decodes to zones {nearest.min():g} to "
                f"{nearest.max():g}; expected 0-{N_DISTANCE_ZONES - 1}"
            )
        zones[strip.lines, strip.samples] = nearest
    return zones


def _read_decoded_zones(scene_id: str, file: NetcdfFile) -> NDArray[np.float32]:
    zones = file.decoded(DISTANCE_MAP.name).astype(np.float32)
    with np.errstate(over="ignore"):
        zones *= np.float32(DISTANCE_MAP.std)
        zones += np.float32(DISTANCE_MAP.mean)
    if not np.isfinite(zones).all():
        raise SceneError(_NOT_FINITE.format(scene_id, DISTANCE_MAP.name))
    return zones


def _read_2km(
    scene_id: str, file: NetcdfFile, variables: tuple[Variable, ...], warnings: list[str]
) -> NDArray[np.float32]:
    # Small, so read whole; the file's own order of channels does not matter.
    stack = np.stack([file.decoded(variable.name) for variable in variables]).astype(np.float32)
    for variable, values in zip(variables, stack, strict=True):
        _validate_range(scene_id, variable, float(values.min()), float(values.max()), warnings)
    return stack


def _read_sar(
    scene_id: str, file: NetcdfFile, dtype: np.dtype[Any], warnings: list[str], pool: BufferPool
) -> tuple[NDArray[np.floating], float]:
    """SAR channels in ``dtype`` and the largest rounding error."""
    shape = file.shape(SAR_VARIABLES[0].name)
    sar = pool.empty(SAR_ARRAY.name, (len(SAR_VARIABLES), *shape), dtype)
    rounding_error = 0.0
    for channel, variable in zip(sar, SAR_VARIABLES, strict=True):
        low, high = np.inf, -np.inf
        declares_missing = bool(file.encoding(variable.name).missing)
        for strip in file.decoded_strips(variable.name):
            values = strip.values
            if declares_missing:
                values[np.isnan(values)] = SAR_NODATA
            lowest, highest = float(values.min()), float(values.max())
            # np.minimum, not min(): a NaN must survive to the check below.
            low, high = float(np.minimum(low, lowest)), float(np.maximum(high, highest))
            stored = channel[strip.lines, strip.samples]
            # Masked land and sea, a third of a scene: nothing to round and no error to measure.
            if lowest == highest == SAR_NODATA:
                stored.fill(SAR_NODATA)
            elif dtype == np.float16:
                largest = max(-lowest, highest)
                rounding_error = round_to_float16(values, stored, largest, rounding_error)
            else:
                stored[...] = values
        _validate_range(scene_id, variable, low, high, warnings)
    return sar, rounding_error


def _validate_range(
    scene_id: str, variable: Variable, low: float, high: float, warnings: list[str]
) -> None:
    # A single NaN or infinity among the values shows here: it spreads to the extrema.
    if not (np.isfinite(low) and np.isfinite(high)):
        raise SceneError(_NOT_FINITE.format(scene_id, variable.name))
    if max(-low, high) > float(np.finfo(np.float16).max):
        raise SceneError(
            f"scene {scene_id}: {variable.name} reaches {max(low, high, key=abs):g}; expected "
            "standardised values (a few tens at most)"
        )
    lowest, highest = (float(z) for z in destandardise(variable, np.array([low, high])))
    remark = describe_extrema(variable, lowest, highest)
    if remark is not None:
        warnings.append(remark)


def _dims(dims: tuple[str, ...], shape: tuple[int, ...]) -> str:
    return f"({', '.join(dims)}) {'x'.join(map(str, shape))}"
