"""Write simulated scenes in the official ready-to-train (RTT) layout."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import netCDF4
import numpy as np
from numpy.typing import NDArray

from autoice_bench.charts import CHARTS, FILL_VALUE
from autoice_bench.datasets.simulate.land import ZONE_LIMITS_KM
from autoice_bench.datasets.simulate.netcdf_files import Attributes, add_variable, write_netcdf
from autoice_bench.datasets.simulate.scene import SimulatedScene
from autoice_bench.formats.plain_files import require_file
from autoice_bench.formats.variables import (
    AMSR2_VARIABLES,
    DISTANCE_MAP,
    ERA5_VARIABLES,
    GRID_2KM_DIMS,
    PIXEL_SPACING_M,
    RTT_VARIABLE_ORDER,
    SAR_DIMS,
    SAR_NODATA,
    SAR_VARIABLES,
    TIE_POINT_DIMS,
    TIE_POINT_VARIABLES,
    standardise,
)

PROVENANCE: Final = "simulation"
"""Global attribute that says how a simulated file was made."""

_WIND_NAME: Final = "ERA5 10m {}-component of wind rotated to account for S-1 flight direction"
ERA5_ATTRIBUTES: Final = {
    "u10m_rotated": ("m/s", _WIND_NAME.format("u")),
    "v10m_rotated": ("m/s", _WIND_NAME.format("v")),
    "t2m": ("K", "ERA5 2m air temperature"),
    "skt": ("K", "ERA5 skin temperature"),
    "tcwv": ("kg/m2", "ERA5 total column water vapour"),
    "tclw": ("kg/m2", "ERA5 total cloud liquid water"),
}  # fmt: skip


def write_rtt(scene: SimulatedScene, path: Path, provenance: str, *, with_charts: bool) -> None:
    """Write ``*_prep.nc``: 29 variables, or 26 without the charts.

    Args:
        scene: the scene.
        path: the file; it appears whole or not at all.
        provenance: value of the ``simulation`` attribute.
        with_charts: False for test scenes, whose charts are in the reference file.
    """
    charts = scene.charts() if with_charts else None

    def fill(dataset: netCDF4.Dataset) -> None:
        _create_dimensions(dataset, scene)
        for name, dims, values, attributes in _rtt_variables(scene, charts):
            add_variable(dataset, name, dims, values, attributes)

    write_netcdf(path, global_attributes(scene, provenance), fill)


def write_reference(scene: SimulatedScene, path: Path, provenance: str) -> None:
    """Write ``*_prep_reference.nc``: the three charts of a test scene."""
    charts = scene.charts()

    def fill(dataset: netCDF4.Dataset) -> None:
        for name, size in zip(SAR_DIMS, scene.spec.shape, strict=True):
            dataset.createDimension(name, size)
        for chart, values in zip(CHARTS, charts, strict=True):
            attributes = {"polygon": chart.rtt_description, "chart_fill_value": FILL_VALUE}
            add_variable(dataset, chart.name, SAR_DIMS, values, attributes)

    write_netcdf(path, global_attributes(scene, provenance), fill)


def global_attributes(scene: SimulatedScene, provenance: str) -> Attributes:
    """Global attributes of an RTT file, and what marks it as simulated."""
    spec = scene.spec
    return {
        "scene_id": f"{spec.scene_id}_prep.nc",
        "original_id": spec.original_id,
        "ice_service": spec.scene_id.ice_service,
        "flip": spec.flip,
        "pixel_spacing": PIXEL_SPACING_M,
        "simulated": 1,
        PROVENANCE: provenance,
    }


def read_provenance(path: Path) -> str | None:
    """The ``simulation`` attribute of a file; None where it is not a simulated NetCDF file."""
    try:
        with netCDF4.Dataset(require_file(path)) as dataset:
            simulated = getattr(dataset, "simulated", 0)
            return str(getattr(dataset, PROVENANCE, "")) if simulated == 1 else None
    except OSError:
        return None


def swath_attributes(scene: SimulatedScene) -> Attributes:
    """AMSR2 swath names and delays: plain values for one swath, lists as text for two."""
    names, delays = list(scene.swaths.names), list(scene.swaths.delays_s)
    single = len(names) == 1
    return {
        "AMSR2_swaths": names[0] if single else str(names),
        "AMSR2_S1_delays": delays[0] if single else str(delays),
    }


def zone_description() -> str:
    """The table of distance zones, as the released files spell it."""
    limits = ["0", *(f"{limit:g}" for limit in ZONE_LIMITS_KM), "inf"]
    ranges = [f"{zone}; {limits[zone - 1]} -> {limits[zone]}" for zone in range(1, len(limits))]
    return "\n".join(["dist_id; dist_range_km", "0; land", *ranges])


def zone_attributes() -> Attributes:
    """Attributes of ``distance_map``."""
    return {
        "long_name": "Distance to land zones numbered with ids ranging from 0 to 41",
        "zonal_range_description": zone_description(),
    }


def describe_channel(name: str) -> str:
    """The ``description`` attribute of a brightness temperature such as ``btemp_18_7h``."""
    band = name.removeprefix("btemp_").replace("_", ".")
    polarisation = {"h": "horizontal", "v": "vertical"}[band[-1]]
    return f"Brightness temperature in K at {band[:-1]}GHz. Polarization: {polarisation}."


def _extrema(values: NDArray[np.floating]) -> Attributes:
    return {"min": float(values.min()), "max": float(values.max())}


def _rtt_variables(
    scene: SimulatedScene, charts: NDArray[np.uint8] | None
) -> Iterator[tuple[str, tuple[str, ...], NDArray[Any], Attributes]]:
    """Name, dimensions, values and attributes of each variable, in file order."""
    made = {chart.name: at for at, chart in enumerate(CHARTS)} if charts is not None else {}
    for name in RTT_VARIABLE_ORDER:
        if charts is not None and name in made:
            chart = CHARTS[made[name]]
            attributes: Attributes = {
                "polygon": chart.rtt_description,
                "chart_fill_value": FILL_VALUE,
            }
            yield name, SAR_DIMS, charts[made[name]], attributes
        elif name in TIE_POINT_VARIABLES:
            values = scene.latitude if name.endswith("latitude") else scene.longitude
            yield name, TIE_POINT_DIMS, values, {}
    yield from _full_resolution(scene)
    yield from _grid_2km(scene)


def _full_resolution(
    scene: SimulatedScene,
) -> Iterator[tuple[str, tuple[str, ...], NDArray[Any], Attributes]]:
    upstream = scene.spec.original_id.partition("_icechart_")[0]
    for variable, values, polarisation in zip(
        SAR_VARIABLES, (scene.hh, scene.hv), ("HH", "HV"), strict=False
    ):
        attributes = {
            "polarisation": polarisation,
            "upstream_id": upstream,
            "description": "Sigma0 in dB",
            **_extrema(values),
            "variable_fill_value": 0,
        }
        yield variable.name, SAR_DIMS, _masked_z(standardise(variable, values), scene), attributes
    angle = SAR_VARIABLES[2]
    lines, samples = ((part / angle.std) for part in scene.incidence)
    z = (lines[:, None] + (samples - angle.mean / angle.std)[None, :]).astype(np.float32)
    yield angle.name, SAR_DIMS, _masked_z(z, scene), {"variable_fill_value": 0}
    zones = ((np.arange(256) - DISTANCE_MAP.mean) / DISTANCE_MAP.std).astype(np.float32)[
        scene.zones
    ]
    yield DISTANCE_MAP.name, SAR_DIMS, zones, zone_attributes()


def _masked_z(z: NDArray[np.floating], scene: SimulatedScene) -> NDArray[np.floating]:
    z[scene.masked] = SAR_NODATA
    return z


def _grid_2km(
    scene: SimulatedScene,
) -> Iterator[tuple[str, tuple[str, ...], NDArray[Any], Attributes]]:
    swaths = swath_attributes(scene)
    for variable in AMSR2_VARIABLES:
        values = scene.fields_2km[variable.name]
        attributes = {**swaths, **_extrema(values), "description": describe_channel(variable.name)}
        yield variable.name, GRID_2KM_DIMS, standardise(variable, values), attributes
    for variable in ERA5_VARIABLES:
        units, long_name = ERA5_ATTRIBUTES[variable.name]
        z = standardise(variable, scene.fields_2km[variable.name])
        yield variable.name, GRID_2KM_DIMS, z, {"units": units, "long_name": long_name}


def _create_dimensions(dataset: netCDF4.Dataset, scene: SimulatedScene) -> None:
    names = (*SAR_DIMS, *TIE_POINT_DIMS, *GRID_2KM_DIMS)
    sizes = (*scene.spec.shape, *scene.latitude.shape, *scene.spec.grid_2km)
    for name, size in zip(names, sizes, strict=True):
        dataset.createDimension(name, size)
