"""Writes tiny raw scenes for tests, in the layout of the released raw files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
from numpy.typing import NDArray

from autoice_bench.charts import CHART_NAMES
from autoice_bench.datasets.sources.scene_arrays import SceneArrays
from autoice_bench.formats.variables import (
    AMSR2_VARIABLES,
    DISTANCE_MAP,
    ERA5_VARIABLES,
    GRID_2KM_DIMS,
    SAR_DIMS,
    SAR_VARIABLES,
    TIE_POINT_DIMS,
    TIE_POINT_VARIABLES,
)

RAW_NAME = (
    "S1B_EW_GRDM_1SDH_20180607T184326_20180607T184426_011270_014B0F_3A7C"
    "_icechart_dmi_201806071845_CentralEast_RIC.nc"
)
SCENE_ID = "20180607T184326_dmi"
HEADER = "poly_id;CT;CA;SA;FA;CB;SB;FB;CC;SC;FC;CN;CD;CF;POLY_TYPE"
ICE_ROW = "26;91;-9;93;05;-9;-9;-9;-9;-9;-9;-9;-9;05-9;I"
WATER_ROW = "76;02;-9;98;10;-9;-9;-9;-9;-9;-9;-9;-9;10-9;W"


@dataclass(frozen=True)
class RawContent:
    """What goes into a raw file; the defaults make a valid 8x12 scene, ice left and water right."""

    primary: NDArray[np.float32] = field(default_factory=lambda: np.full((8, 12), -15, np.float32))
    secondary: NDArray[np.float32] | None = None
    polygons: NDArray[Any] | None = None
    polygon_attributes: Mapping[str, Any] = field(default_factory=dict)
    rows: Sequence[str] | None = (HEADER, ICE_ROW, WATER_ROW)
    distance: NDArray[np.float32] | None = None
    tie_lines: Sequence[float] = (0, 4, 7)
    tie_samples: Sequence[float] = (0, 6, 11)
    angles: NDArray[np.float64] | None = None
    kelvin: float = 250.0
    shape_2km: tuple[int, int] = (1, 1)
    left_out: Sequence[str] = ()

    @property
    def shape(self) -> tuple[int, int]:
        return self.primary.shape[0], self.primary.shape[1]


def ice_left_water_right(shape: tuple[int, int]) -> NDArray[np.float32]:
    polygons = np.full(shape, 26, np.float32)
    polygons[:, shape[1] // 2 :] = 76
    return polygons


def write_raw_file(folder: Path, content: RawContent, name: str = RAW_NAME) -> Path:
    """Write ``content`` to ``folder / name`` and return the path."""
    path = folder / name
    with netCDF4.Dataset(str(path), "w") as dataset:
        dataset.setncattr("product_version", "test")
        for dim, size in zip(SAR_DIMS, content.shape, strict=True):
            dataset.createDimension(dim, size)
        for dim, size in zip(GRID_2KM_DIMS, content.shape_2km, strict=True):
            dataset.createDimension(dim, size)
        _write_image(dataset, content)
        _write_polygons(dataset, content)
        _write_tie_points(dataset, content)
        for variable in (*AMSR2_VARIABLES, *ERA5_VARIABLES):
            _write(
                dataset,
                content,
                variable.name,
                np.full(
                    content.shape_2km, content.kelvin if variable.units == "K" else variable.mean
                ),
                GRID_2KM_DIMS,
            )
        for swath in ("amsr2_swath_map", "swath_segmentation"):
            _write(dataset, content, swath, np.ones(content.shape_2km, np.uint8), GRID_2KM_DIMS)
    return path


def write_rtt_twin(folder: Path, scene: SceneArrays) -> Path:
    """Write a converted scene as a ready-to-train file, the charts in it."""
    charts = () if scene.charts is None else scene.charts
    zones = DISTANCE_MAP.mean, DISTANCE_MAP.std
    distance = ((scene.distance_map - zones[0]) / zones[1]).astype(np.float32)
    images = [
        *zip(CHART_NAMES, charts, strict=False),
        *((variable.name, z) for variable, z in zip(SAR_VARIABLES, scene.sar, strict=True)),
        (DISTANCE_MAP.name, distance),
    ]
    variables = (*AMSR2_VARIABLES, *ERA5_VARIABLES)
    cells = zip(variables, [*scene.amsr2, *scene.era5], strict=True)
    ties = zip(TIE_POINT_VARIABLES, (scene.latitude, scene.longitude), strict=True)
    groups = (
        (SAR_DIMS, images),
        (GRID_2KM_DIMS, [(variable.name, z) for variable, z in cells]),
        (TIE_POINT_DIMS, [*ties]),
    )
    path = folder / f"{scene.scene_id}_prep.nc"
    with netCDF4.Dataset(str(path), "w") as dataset:
        for dims, named in groups:
            for dim, size in zip(dims, named[0][1].shape, strict=True):
                dataset.createDimension(dim, size)
            for name, values in named:
                dataset.createVariable(name, values.dtype, dims)[:] = values
    return path


def _write_image(dataset: Any, content: RawContent) -> None:
    secondary = content.primary - 10 if content.secondary is None else content.secondary
    distance = np.full(content.shape, 41.0) if content.distance is None else content.distance
    _write(
        dataset,
        content,
        "nersc_sar_primary",
        content.primary,
        SAR_DIMS,
        attributes={"polarisation": "HH"},
    )
    _write(dataset, content, "nersc_sar_secondary", secondary, SAR_DIMS)
    _write(dataset, content, "distance_map", distance.astype(np.float32), SAR_DIMS)


def _write_polygons(dataset: Any, content: RawContent) -> None:
    polygons = content.polygons
    if polygons is None:
        polygons = ice_left_water_right(content.shape)
    _write(
        dataset,
        content,
        "polygon_icechart",
        polygons,
        SAR_DIMS,
        attributes=content.polygon_attributes,
    )
    if content.rows is not None and "polygon_codes" not in content.left_out:
        dataset.createDimension("polygon_codes", len(content.rows))
        codes = dataset.createVariable("polygon_codes", str, ("polygon_codes",))
        for at, row in enumerate(content.rows):
            codes[at] = row


def _write_tie_points(dataset: Any, content: RawContent) -> None:
    line, sample = np.meshgrid(content.tie_lines, content.tie_samples, indexing="ij")
    dataset.createDimension("sar_grid_points", line.size)
    # One degree a sample, less where that would leave the swath.
    degrees = sample * min(1.0, 25 / sample.max())
    angles = 20.0 + degrees if content.angles is None else content.angles
    values = {
        "line": line,
        "sample": sample,
        "latitude": 70.0 - line / 100,
        "longitude": -30.0 + sample / 100,
        "incidenceangle": angles,
        "height": np.zeros(line.shape),
    }
    for name, value in values.items():
        points = np.asarray(value, np.float64).ravel()
        _write(dataset, content, f"sar_grid_{name}", points, ("sar_grid_points",))


def _write(
    dataset: Any,
    content: RawContent,
    name: str,
    values: NDArray[Any],
    dims: tuple[str, ...],
    *,
    attributes: Mapping[str, Any] | None = None,
) -> None:
    if name in content.left_out:
        return
    attributes = dict(attributes or {})
    variable = dataset.createVariable(
        name, values.dtype, dims, zlib=True, fill_value=attributes.pop("_FillValue", None)
    )
    variable.setncatts(attributes)
    variable.set_auto_maskandscale(False)
    variable[...] = values
