"""Write the raw (40 m) counterpart of simulated scenes, in the released raw layout.

Taking the raw file to 80 m gives the simulated RTT scene back: labels exactly, backscatter within
float32 rounding. Within each 2 x 2 block backscatter varies with mean zero, some pixels belong to
the neighbouring polygon where the block's maximum hides it, and masks cover blocks in part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import netCDF4
import numpy as np
from numpy.typing import NDArray

from autoice_bench.datasets.labels.egg_codes import Padding, format_polygon_codes
from autoice_bench.datasets.simulate.fields import Array
from autoice_bench.datasets.simulate.geometry import N_TIE_POINTS, tie_incidence
from autoice_bench.datasets.simulate.netcdf_files import (
    COMPRESSION_LEVEL,
    Attributes,
    add_variable,
    write_netcdf,
)
from autoice_bench.datasets.simulate.rtt_files import (
    ERA5_ATTRIBUTES,
    describe_channel,
    global_attributes,
    swath_attributes,
    zone_attributes,
)
from autoice_bench.datasets.simulate.scene import SimulatedScene
from autoice_bench.datasets.sources.tie_points import compute_raw_tie_positions
from autoice_bench.formats.variables import (
    AMSR2_VARIABLES,
    DISTANCE_MAP,
    ERA5_VARIABLES,
    GRID_2KM_DIMS,
    SAR_DIMS,
    SAR_VARIABLES,
)

STRIP_LINES: Final = 128
"""80 m lines written at a time: one row of chunks of the raw variables."""
SUBPIXEL_DB: Final = 0.83
"""Deviation within a block: 40 m speckle of 1.36 dB less the 1.08 dB of its 2 x 2 means."""

_GRID_POINTS: Final = "sar_grid_points"
_PADDINGS: Final[tuple[Padding, ...]] = ("zero", "bare", "space")


@dataclass(frozen=True)
class PolygonStorage:
    """How ``polygon_icechart`` is stored: the released files hold more than one form.

    Attributes:
        dtype: on disk.
        fill_value: stored where there is no polygon; None where NaN says so itself.
    """

    dtype: np.dtype[Any]
    fill_value: int | None

    @property
    def outside(self) -> float:
        """The stored value of pixels without polygon."""
        return np.nan if self.fill_value is None else self.fill_value


STORAGES: Final = (
    PolygonStorage(np.dtype(np.float32), None),
    PolygonStorage(np.dtype(np.int16), -32767),
    PolygonStorage(np.dtype(np.uint8), 255),
)
"""Taken in turn by scene index."""


def write_raw(scene: SimulatedScene, path: Path, provenance: str) -> None:
    """Write the raw file of a scene.

    Args:
        scene: the scene; its index chooses how polygons are stored and codes are padded.
        path: the file; it appears whole or not at all.
        provenance: value of the ``simulation`` attribute.
    """

    def fill(dataset: netCDF4.Dataset) -> None:
        _create_dimensions(dataset, scene)
        _add_images(dataset, scene)
        _add_tie_points(dataset, scene)
        _add_2km(dataset, scene)
        codes = dataset.createVariable("polygon_codes", str, ("polygon_codes",))
        codes[:] = np.array(polygon_rows(scene), object)

    attributes = {
        name: value
        for name, value in global_attributes(scene, provenance).items()
        if name not in {"scene_id", "pixel_spacing"}
    }
    write_netcdf(path, {**attributes, "pixel_spacing": 40}, fill)


def polygon_rows(scene: SimulatedScene) -> tuple[str, ...]:
    """The strings of ``polygon_codes``, header first, padded in one of three ways."""
    padding = _PADDINGS[scene.spec.index % len(_PADDINGS)]
    return format_polygon_codes(scene.chart.egg_codes, padding=padding)


def polygon_storage(scene: SimulatedScene) -> PolygonStorage:
    """How the scene's ``polygon_icechart`` is stored."""
    return STORAGES[scene.spec.index // len(_PADDINGS) % len(STORAGES)]


def split_pixels(rng: np.random.Generator, values: Array) -> Array:
    """40 m values whose 2 x 2 means are ``values``; float32 (2m, 2n)."""
    lines, samples = values.shape
    variation = rng.standard_normal((lines, 2, samples, 2), dtype=np.float32)
    variation -= variation.mean(axis=(1, 3), keepdims=True)
    # Taking the mean out leaves three quarters of the variance.
    variation *= np.float32(SUBPIXEL_DB / np.sqrt(0.75))
    variation += values[:, None, :, None]
    return variation.reshape(2 * lines, 2 * samples)


def enlarge_mask(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A 40 m mask that touches exactly the 2 x 2 blocks of ``mask``: its right edge is thinner."""
    doubled = mask.repeat(2, axis=0).repeat(2, axis=1)
    doubled[:, :-1] &= doubled[:, 1:]
    return doubled


def enlarge_polygons(index: NDArray[np.uint8], labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A 40 m polygon raster whose 2 x 2 maxima of every chart equal those of ``index``.

    Beside a polygon with no higher class in any chart, one pixel in four is the neighbour's.

    Args:
        index: uint8 (m, n), polygon of each 80 m pixel.
        labels: uint8 (3, polygons).
    """
    doubled = index.repeat(2, axis=0).repeat(2, axis=1)
    lower = np.logical_and.reduce(labels[:, None, :] <= labels[:, :, None])
    left, right = index[:, :-1], index[:, 1:]
    hidden = lower[left, right]
    corner = doubled[1::2, 1:-1:2]
    corner[hidden] = right[hidden]
    return doubled


def _create_dimensions(dataset: netCDF4.Dataset, scene: SimulatedScene) -> None:
    sizes = {
        **dict(zip(SAR_DIMS, scene.spec.raw_shape, strict=True)),
        _GRID_POINTS: scene.latitude.size,
        "polygon_codes": len(scene.chart.egg_codes) + 1,
        **dict(zip(GRID_2KM_DIMS, scene.spec.grid_2km, strict=True)),
    }
    for name, size in sizes.items():
        dataset.createDimension(name, size)


def _add_images(dataset: netCDF4.Dataset, scene: SimulatedScene) -> None:
    """SAR, polygons and distance, strip by strip: no raw image is ever held whole."""
    upstream = scene.spec.original_id.partition("_icechart_")[0]
    rng = np.random.default_rng(
        np.random.SeedSequence(scene.spec.seed, spawn_key=(2, scene.spec.index))
    )
    for variable, values, polarisation in zip(
        SAR_VARIABLES, (scene.hh, scene.hv), ("HH", "HV"), strict=False
    ):
        attributes = {
            "polarisation": polarisation,
            "upstream_id": upstream,
            "description": "Sigma0 in dB",
        }

        def backscatter(rows: slice, values: Array = values) -> Array:
            raw = split_pixels(rng, values[rows])
            raw[enlarge_mask(scene.no_signal[rows])] = np.nan
            return raw

        _add_image(dataset, scene, variable.name, np.dtype(np.float32), attributes, backscatter)
    storage = polygon_storage(scene)
    ids = np.array([code.poly_id for code in scene.chart.egg_codes]).astype(storage.dtype)

    def polygons(rows: slice) -> NDArray[Any]:
        raw = ids[enlarge_polygons(scene.polygons.index[rows], scene.chart.labels)]
        raw[enlarge_mask(scene.uncharted[rows])] = storage.outside
        return raw

    def distance(rows: slice) -> NDArray[Any]:
        return scene.zones[rows].repeat(2, axis=0).repeat(2, axis=1).astype(np.float32)

    chart = {
        "description": "Ice chart polygons: row of polygon_codes by poly_id",
        "icechart_id": scene.spec.original_id.partition("_icechart_")[2].removesuffix(".nc"),
    }
    _add_image(
        dataset, scene, "polygon_icechart", storage.dtype, chart, polygons, storage.fill_value
    )
    _add_image(dataset, scene, DISTANCE_MAP.name, np.dtype(np.float32), zone_attributes(), distance)


def _add_image(
    dataset: netCDF4.Dataset,
    scene: SimulatedScene,
    name: str,
    dtype: np.dtype[Any],
    attributes: Attributes,
    read_rows: Callable[[slice], NDArray[Any]],
    fill_value: int | None = None,
) -> None:
    lines, samples = scene.spec.raw_shape
    variable = dataset.createVariable(
        name,
        dtype,
        SAR_DIMS,
        zlib=True,
        complevel=COMPRESSION_LEVEL,
        chunksizes=(min(2 * STRIP_LINES, lines), samples),
        fill_value=fill_value,
    )
    variable.set_auto_maskandscale(False)
    variable.setncatts(dict(attributes))
    for rows in _strips(scene.spec.shape[0]):
        raw = read_rows(rows)
        # An odd last line or sample repeats the one before it: it has no 80 m pixel.
        extra = lines - 2 * rows.stop if rows.stop == scene.spec.shape[0] else 0
        raw = np.pad(raw, [(0, extra), (0, samples - raw.shape[1])], "edge")
        variable[2 * rows.start : 2 * rows.start + len(raw)] = raw


def _strips(n_lines: int) -> Iterator[slice]:
    for start in range(0, n_lines, STRIP_LINES):
        yield slice(start, min(start + STRIP_LINES, n_lines))


def _add_tie_points(dataset: netCDF4.Dataset, scene: SimulatedScene) -> None:
    n_lines, raw_shape = scene.spec.n_tie_lines, scene.spec.raw_shape
    lines = compute_raw_tie_positions(n_lines, raw_shape[0])
    samples = compute_raw_tie_positions(N_TIE_POINTS, raw_shape[1])
    angle_lines, angle_samples = tie_incidence(n_lines, raw_shape)
    values = {
        "line": np.repeat(lines, samples.size),
        "sample": np.tile(samples, lines.size),
        "latitude": scene.latitude,
        "longitude": scene.longitude,
        "incidenceangle": angle_lines[:, None] + angle_samples[None, :],
        "height": np.zeros(scene.latitude.size),
    }
    for name, array in values.items():
        flat = np.asarray(array, np.float64).ravel()
        add_variable(dataset, f"sar_grid_{name}", (_GRID_POINTS,), flat, {})


def _add_2km(dataset: netCDF4.Dataset, scene: SimulatedScene) -> None:
    swaths = swath_attributes(scene)
    for variable in AMSR2_VARIABLES:
        values = scene.fields_2km[variable.name].astype(np.float64)
        attributes = {**swaths, "description": describe_channel(variable.name)}
        add_variable(dataset, variable.name, GRID_2KM_DIMS, values, attributes)
    shape = scene.spec.grid_2km
    n_swaths = len(scene.swaths.names)
    # The second swath fills the samples that the nearer one does not reach.
    swath_map = np.ones(shape, np.uint8)
    swath_map[:, shape[1] * 2 // 3 :] = n_swaths
    add_variable(dataset, "amsr2_swath_map", GRID_2KM_DIMS, swath_map, {})
    add_variable(dataset, "swath_segmentation", GRID_2KM_DIMS, swath_map - 1, {})
    for variable in ERA5_VARIABLES:
        units, long_name = ERA5_ATTRIBUTES[variable.name]
        values = scene.fields_2km[variable.name].astype(np.float64)
        attributes = {"units": units, "long_name": long_name}
        add_variable(dataset, variable.name, GRID_2KM_DIMS, values, attributes)
