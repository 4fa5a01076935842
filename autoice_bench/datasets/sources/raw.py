"""Open raw AI4Arctic scenes: 40 m SAR, ice-chart polygons with their codes, 2 km variables.

Raw files (doi:10.11583/DTU.c.6244065.v2, articles 21284967 and 21762848) are named after the
Sentinel-1 image and the chart, ``S1B_EW_GRDM_1SDH_..._icechart_dmi_....nc``, and are told from
ready-to-train files by their content. Test files come without polygons.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from autoice_bench.datasets.labels.egg_codes import EggCode, parse_polygon_codes
from autoice_bench.datasets.labels.rasters import PolygonRaster
from autoice_bench.errors import LabelError, NoSceneError, SceneError
from autoice_bench.formats.netcdf import NetcdfFile, UnfitNetcdfError, explain, open_netcdf
from autoice_bench.formats.rtt_folder import walk_netcdf_files
from autoice_bench.formats.variables import (
    AMSR2_VARIABLES,
    DISTANCE_MAP,
    ERA5_VARIABLES,
    GRID_2KM_DIMS,
    LATITUDE_LIMIT,
    LONGITUDE_LIMIT,
    MOST_TIE_POINTS,
    PIXELS_PER_CELL,
    SAR_DIMS,
    SAR_VARIABLES,
    describe_unlikely_size,
    possible_range,
)
from autoice_bench.scene_id import (
    is_original_name,
    is_scene_name,
    parse_scene_id,
    scene_id_of_original,
)

POLYGONS: Final = "polygon_icechart"
POLYGON_CODES: Final = "polygon_codes"
BACKSCATTER_NAMES: Final = tuple(variable.name for variable in SAR_VARIABLES[:2])
TIE_POINT_NAMES: Final = (
    *("sar_grid_line", "sar_grid_sample"),
    *("sar_grid_latitude", "sar_grid_longitude", "sar_grid_incidenceangle"),
)
_FULL_RESOLUTION: Final = (*BACKSCATTER_NAMES, DISTANCE_MAP.name)
_2KM_NAMES: Final = tuple(variable.name for variable in (*AMSR2_VARIABLES, *ERA5_VARIABLES))

REQUIRED_VARIABLES: Final = (*_FULL_RESOLUTION, *TIE_POINT_NAMES, *_2KM_NAMES)
"""Variables every raw scene must have; ``polygon_icechart`` and ``polygon_codes`` come together or
not at all; ``amsr2_swath_map``, ``swath_segmentation`` and ``sar_grid_height`` are not read."""

_PIXELS_PER_SIDE: Final = 2
"""40 m pixels along a side of one 80 m pixel."""
_MOST_CODE_CHARACTERS: Final = 2**24
"""Strings or characters that ``polygon_codes`` may declare; real charts have some hundred rows."""
_INCIDENCE_ANGLE: Final = SAR_VARIABLES[2]


@dataclass(frozen=True, eq=False)
class RawTiePoints:
    """The tie-point grid of a raw scene.

    Attributes:
        lines: float64 (tie_lines,), raw pixels, increasing.
        samples: float64 (tie_samples,), raw pixels, increasing.
        latitude, longitude, incidence_angle: float64 (tie_lines, tie_samples), degrees.
    """

    lines: NDArray[np.float64]
    samples: NDArray[np.float64]
    latitude: NDArray[np.float64]
    longitude: NDArray[np.float64]
    incidence_angle: NDArray[np.float64]


@dataclass(frozen=True)
class RawFile:
    """A raw scene open for reading, its variables and shapes checked.

    Attributes:
        path: the file.
        scene_id: such as ``20180607T184326_dmi``.
        shape: (lines, samples) at 40 m.
        shape_2km: (lines, samples) of the 2 km grid.
        has_charts: whether it holds polygons.
        netcdf: the open file.
    """

    path: Path
    scene_id: str
    shape: tuple[int, int]
    shape_2km: tuple[int, int]
    has_charts: bool
    netcdf: NetcdfFile

    def read(self, name: str) -> NDArray[Any]:
        """Read a variable of numbers, decoded; NaN where it has no data.

        Raises:
            SceneError: the file is truncated or corrupt there, or the variable holds no numbers.
        """
        with self._reading():
            return self.netcdf.decoded(name)

    def read_float32(self, name: str) -> NDArray[np.float32]:
        """Read a 2-D variable as float32, decoded, NaN where it has no data."""
        values = np.empty(self.netcdf.shape(name), np.float32)
        with self._reading(), np.errstate(over="ignore"):
            # Strip by strip: unpacked, a whole channel would take a gigabyte of float64.
            for strip in self.netcdf.decoded_strips(name):
                values[strip.lines, strip.samples] = strip.values
        return values

    def read_polygons(self) -> PolygonRaster:
        """Read the raster of polygon ids."""
        with self._reading():
            encoding = self.netcdf.encoding(POLYGONS)
            if encoding.is_packed or len(encoding.missing) > 1:
                return PolygonRaster(self.netcdf.decoded(POLYGONS), None)
            # As it is stored, a quarter of the memory and of the time.
            ids = encoding.reinterpret(self.netcdf.read(POLYGONS))
        return PolygonRaster(ids, float(encoding.missing[0]) if encoding.missing else None)

    def read_egg_codes(self) -> tuple[EggCode, ...]:
        """Read the polygons' codes.

        Raises:
            LabelError: ``polygon_codes`` cannot be read; see ``parse_polygon_codes``.
        """
        shape = self.netcdf.shape(POLYGON_CODES)
        if len(shape) not in (1, 2) or math.prod(shape) > _MOST_CODE_CHARACTERS:
            raise LabelError(
                f"scene {self.scene_id}: {POLYGON_CODES} has shape {shape}; expected a list of "
                f"strings of at most {_MOST_CODE_CHARACTERS:,}"
            )
        with self._reading():
            rows = self.netcdf.read(POLYGON_CODES)
        if rows.dtype.kind == "S" and rows.ndim == 2:  # written as a character array
            rows = np.array([b"".join(row) for row in rows], object)
        if rows.ndim != 1 or not all(isinstance(row, str | bytes) for row in rows):
            raise LabelError(
                f"scene {self.scene_id}: {POLYGON_CODES} holds {rows.dtype} values of shape "
                f"{rows.shape}; expected a list of strings"
            )
        return parse_polygon_codes(list(rows), where=f"scene {self.scene_id}")

    def read_tie_points(self) -> RawTiePoints:
        """Read the tie-point grid, of any size from 2x2.

        Raises:
            SceneError: the points are no grid with lines slow and samples fast.
        """
        sizes = [math.prod(self.netcdf.shape(name)) for name in TIE_POINT_NAMES]
        if len(set(sizes)) > 1 or sizes[0] > MOST_TIE_POINTS:
            raise SceneError(
                f"scene {self.scene_id}: {', '.join(TIE_POINT_NAMES)} hold {sizes} values; "
                f"expected as many in each, at most {MOST_TIE_POINTS:,}"
            )
        line, sample, latitude, longitude, angle = (
            self.read(name).astype(np.float64).ravel() for name in TIE_POINT_NAMES
        )
        lines, samples = np.unique(line), np.unique(sample)
        shape = (lines.size, samples.size)
        is_grid = min(shape) >= 2 and line.size == lines.size * samples.size
        if not (
            is_grid
            and np.array_equal(line, np.repeat(lines, samples.size))
            and np.array_equal(sample, np.tile(samples, lines.size))
        ):
            raise SceneError(
                f"scene {self.scene_id}: sar_grid_line and sar_grid_sample hold {line.size} points "
                f"on {lines.size} lines and {samples.size} samples; expected a full grid of at "
                "least 2x2, lines slow"
            )
        values = [array.reshape(shape) for array in (latitude, longitude, angle)]
        limits = (
            (-LATITUDE_LIMIT, LATITUDE_LIMIT),
            (-LONGITUDE_LIMIT, LONGITUDE_LIMIT),
            possible_range(_INCIDENCE_ANGLE),
        )
        for name, array, (least, most) in zip(TIE_POINT_NAMES[2:], values, limits, strict=True):
            _validate_degrees(f"scene {self.scene_id}: {name}", array, least, most)
        return RawTiePoints(lines, samples, *values)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            what = "cannot be read" if isinstance(error, UnfitNetcdfError) else "is damaged"
            raise SceneError(
                f"scene {self.scene_id}: {self.path} {what}: {explain(error)}"
            ) from error


def is_raw_scene(path: Path) -> bool:
    """Whether a NetCDF file is a raw scene, by its content: it has the 1-D tie points."""
    try:
        with open_netcdf(path) as netcdf:
            return {TIE_POINT_NAMES[0], BACKSCATTER_NAMES[0]} <= set(netcdf.variable_names)
    except OSError:
        return False


@contextmanager
def open_raw_file(path: Path) -> Iterator[RawFile]:
    """Open a raw scene for the time of a ``with`` block.

    Raises:
        SceneError: the file is missing, damaged or no raw scene, its name gives no scene id, a
            required variable is missing, or shapes disagree.
    """
    with ExitStack() as stack:
        try:
            netcdf = stack.enter_context(open_netcdf(path))
        except OSError as error:
            raise SceneError(f"raw scene {path} cannot be read: {explain(error)}") from error
        yield _validate_raw_file(path, netcdf)


def find_raw_files(source: Path) -> dict[str, Path]:
    """List the raw scenes at ``source``: a file, or a folder and everything below it.

    A file that cannot be opened is listed where its name is that of a raw scene, so that a
    truncated download fails when it is read instead of going missing.

    Returns:
        Scene id to path, sorted by id.

    Raises:
        NoSceneError: nothing is there, or it holds no raw scene.
        SceneError: it holds one scene twice, or one whose name tells no scene id.
    """
    paths = walk_netcdf_files(source) if source.is_dir() else [source] if source.exists() else []
    found: dict[str, Path] = {}
    for path in paths:
        if not (is_raw_scene(path) or _is_damaged_raw_scene(path)):
            continue
        scene_id = _scene_id(path)
        if scene_id in found:
            raise SceneError(
                f"scene {scene_id}: found two raw files ({found[scene_id]}, {path}); "
                "expected one: move the other away"
            )
        found[scene_id] = path
    if not found:
        kind = "a file that is no raw scene" if source.is_file() else "no raw scene"
        raise NoSceneError(
            f"{source}: found {kind if source.exists() else 'nothing'}; expected NetCDF files with "
            f"{TIE_POINT_NAMES[0]} and {BACKSCATTER_NAMES[0]}, "
            "named S1x_EW_GRDM_1SDH_..._icechart_<service>_....nc"
        )
    return dict(sorted(found.items()))


def _is_damaged_raw_scene(path: Path) -> bool:
    """Whether a file is named as a raw scene but is no NetCDF file that can be opened."""
    if not is_original_name(path.name):
        return False
    try:
        with open_netcdf(path):
            return False
    except OSError:
        return True


def _scene_id(path: Path) -> str:
    if is_scene_name(path.name):
        return str(parse_scene_id(path.name))
    try:
        return str(scene_id_of_original(path.name))
    except SceneError as error:
        raise SceneError(f"raw scene {path}: {error}; rename it") from None


def _validate_raw_file(path: Path, netcdf: NetcdfFile) -> RawFile:
    scene_id = _scene_id(path)
    names = set(netcdf.variable_names)
    missing = [name for name in REQUIRED_VARIABLES if name not in names]
    if missing:
        raise SceneError(
            f"scene {scene_id}: {path.name} lacks {', '.join(missing)}; expected a raw scene with "
            f"{', '.join(REQUIRED_VARIABLES)}"
        )
    charts = {POLYGONS, POLYGON_CODES} & names
    if len(charts) == 1:
        raise SceneError(
            f"scene {scene_id}: {path.name} holds {charts.pop()} alone; expected {POLYGONS} and "
            f"{POLYGON_CODES}, or neither"
        )
    shape = _common_shape(netcdf, scene_id, (*_FULL_RESOLUTION, *(charts - {POLYGON_CODES})))
    shape_2km = _common_shape(netcdf, scene_id, _2KM_NAMES)
    if min(shape) < 2:
        raise SceneError(
            f"scene {scene_id}: {SAR_DIMS[0]} x {SAR_DIMS[1]} is {shape[0]}x{shape[1]}; "
            "expected at least 2x2"
        )
    unlikely = describe_unlikely_size(shape, _PIXELS_PER_SIDE)
    if unlikely is not None:
        raise SceneError(f"scene {scene_id}: {BACKSCATTER_NAMES[0]} is {unlikely}")
    most = tuple(max(1, size // PIXELS_PER_CELL) for size in shape)
    if shape_2km[0] > most[0] or shape_2km[1] > most[1]:
        raise SceneError(
            f"scene {scene_id}: 2 km grid is {shape_2km} for {shape[0]}x{shape[1]} pixels of "
            f"40 m; expected {PIXELS_PER_CELL * _PIXELS_PER_SIDE} pixels to a cell"
        )
    return RawFile(path, scene_id, shape, shape_2km, bool(charts), netcdf)


def _common_shape(netcdf: NetcdfFile, scene_id: str, names: tuple[str, ...]) -> tuple[int, int]:
    first = netcdf.shape(names[0])
    for name in names:
        shape = netcdf.shape(name)
        if len(shape) != 2 or shape != first:
            dims = GRID_2KM_DIMS if name in _2KM_NAMES else SAR_DIMS
            raise SceneError(
                f"scene {scene_id}: {name} has shape {shape}; expected ({', '.join(dims)}), "
                f"as {names[0]} with {first}"
            )
    return first[0], first[1]


def _validate_degrees(where: str, degrees: NDArray[np.float64], least: float, most: float) -> None:
    if not np.isfinite(degrees).all():
        raise SceneError(
            f"{where} holds {np.sum(~np.isfinite(degrees))} values that are not finite; "
            "expected none"
        )
    low, high = degrees.min(), degrees.max()
    if low < least or high > most:
        raise SceneError(
            f"{where} spans {low:.6g} to {high:.6g}; expected degrees from {least:g} to {most:g}"
        )
