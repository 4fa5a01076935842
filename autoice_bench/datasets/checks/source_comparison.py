"""Compare a scene of a store with the NetCDF files it was made from, value by value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from autoice_bench.charts import CHARTS
from autoice_bench.datasets.sources.scenes import read_source_scene
from autoice_bench.datasets.store.root import StoreOptions
from autoice_bench.errors import AutoIceError
from autoice_bench.formats.chart_values import whole_classes
from autoice_bench.formats.netcdf import NetcdfFile, explain, open_netcdf
from autoice_bench.formats.rtt_folder import SceneFile
from autoice_bench.formats.store_layout import (
    AMSR2_ARRAY,
    ARRAYS_BY_NAME,
    CELL_ARRAYS,
    CHARTS_ARRAY,
    DISTANCE_ARRAY,
    LATITUDE_ARRAY,
    LONGITUDE_ARRAY,
    SAR_ARRAY,
    SOURCE_ARRAYS,
)
from autoice_bench.formats.variables import (
    AMSR2_VARIABLES,
    DISTANCE_MAP,
    SAR_NODATA,
    SAR_VARIABLES,
    TIE_POINT_VARIABLES,
)

_ZONE_ROUNDING: Final = 0.02
"""Largest difference, in zones, that counts as the noise of standardising whole zones."""

_FLOAT32_ROUNDING: Final = 1e-5
"""Decoding zones that are not whole and encoding them again moves a float32 by less."""


def compare_with_source(
    scene: SceneFile, attributes: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
) -> list[str]:
    """Compare every value with the source.

    Ready-to-train files are read by the netCDF library: SAR agrees within the recorded rounding
    error, and is 0 (nodata) exactly where the source is; distance zones agree after decoding;
    everything else is equal. Raw files are converted again, and everything is equal.

    Args:
        scene: the source files.
        attributes: the stored scene's attributes.
        arrays: its decoded arrays, by name.

    Returns:
        What differs, one line each.
    """
    if scene.kind == "raw":
        return _compare_with_raw(scene, attributes, arrays)
    charts = arrays.get(CHARTS_ARRAY.name)
    try:
        with open_netcdf(scene.path, direct=False) as file:
            problems = _compare_shapes(file, arrays) or [*_compare_inputs(file, attributes, arrays)]
            if charts is not None and scene.reference is None:
                problems += _compare_charts(file, charts)
        if scene.reference is not None:
            with open_netcdf(scene.reference, direct=False) as reference:
                problems += _compare_charts(reference, charts)
    except (OSError, KeyError) as error:
        reason = explain(error) if isinstance(error, OSError) else f"no variable {error}"
        return [f"source {scene.path} cannot be read: {reason}"]
    return problems


def _compare_with_raw(
    scene: SceneFile, attributes: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
) -> list[str]:
    options = StoreOptions.from_attributes(attributes)
    try:
        again = read_source_scene(
            scene, options.dtype, options.label_rule, ice_types=options.ice_types
        )
    except AutoIceError as error:
        return [f"source {scene.path} cannot be converted: {error}"]
    expected = again.by_name()
    return [
        f"{name} differs from what the raw scene gives"
        for name in SOURCE_ARRAYS
        if not _equal(arrays.get(name), expected.get(name))
    ]


def _equal(stored: NDArray[Any] | None, expected: NDArray[Any] | None) -> bool:
    if stored is None or expected is None:
        return stored is expected
    return stored.dtype == expected.dtype and np.array_equal(stored, expected)


def _compare_shapes(file: NetcdfFile, arrays: Mapping[str, NDArray[Any]]) -> list[str]:
    """Whether the source has the stored grids at all."""
    pairs = (
        (SAR_ARRAY.name, SAR_VARIABLES[0].name),
        (AMSR2_ARRAY.name, AMSR2_VARIABLES[0].name),
        (LATITUDE_ARRAY.name, TIE_POINT_VARIABLES[0]),
    )
    return [
        f"{name} is {arrays[name].shape[-2:]}; the source has {file.shape(variable)}"
        for name, variable in pairs
        if arrays[name].shape[-2:] != file.shape(variable)
    ]


def _compare_inputs(
    file: NetcdfFile, attributes: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
) -> Iterator[str]:
    for stored, variable in zip(arrays[SAR_ARRAY.name], SAR_VARIABLES, strict=True):
        yield from _compare_sar(file, variable.name, stored, attributes["rounding_error"])
    yield from _compare_zones(file, arrays[DISTANCE_ARRAY.name])
    equal = [
        pair
        for name in CELL_ARRAYS
        for pair in zip(ARRAYS_BY_NAME[name].channels, arrays[name], strict=True)
    ]
    degrees = (arrays[LATITUDE_ARRAY.name], arrays[LONGITUDE_ARRAY.name])
    for name, stored in (*equal, *zip(TIE_POINT_VARIABLES, degrees, strict=True)):
        if not np.array_equal(file.decoded(name), stored):
            yield f"{name} differs from the source"


def _compare_sar(
    file: NetcdfFile, name: str, stored: NDArray[np.floating], rounding_error: float
) -> Iterator[str]:
    worst = 0.0
    nodata_differs = 0
    declares_missing = bool(file.encoding(name).missing)
    for strip in file.decoded_strips(name):
        values = strip.values
        if declares_missing:
            values[np.isnan(values)] = SAR_NODATA
        ours = stored[strip.lines, strip.samples].astype(values.dtype)
        # np.maximum, not max(): NaN must survive.
        worst = float(np.maximum(worst, np.abs(ours - values).max()))
        nodata_differs += int(np.count_nonzero((ours == 0) != (values == 0)))
    if not worst <= rounding_error:
        yield f"{name} differs from the source by {worst:.3g}; rounding gives {rounding_error:.3g}"
    if nodata_differs:
        yield f"{name}: {nodata_differs} pixels are nodata in only one of store and source"


def _compare_zones(file: NetcdfFile, stored: NDArray[Any]) -> Iterator[str]:
    allowed = _ZONE_ROUNDING if stored.dtype == np.uint8 else _FLOAT32_ROUNDING * DISTANCE_MAP.std
    worst = 0.0
    for strip in file.decoded_strips(DISTANCE_MAP.name):
        zones = strip.values.astype(np.float64) * DISTANCE_MAP.std + DISTANCE_MAP.mean
        difference = np.abs(zones - stored[strip.lines, strip.samples])
        worst = float(np.maximum(worst, difference.max()))
    if not worst <= allowed:
        yield f"{DISTANCE_MAP.name} differs from the source by {worst:.3g} zones"


def _compare_charts(file: NetcdfFile, stored: NDArray[np.uint8] | None) -> Iterator[str]:
    if stored is None:
        yield "charts are in the source, but not in the store"
        return
    for chart, values in zip(CHARTS, stored, strict=True):
        if file.shape(chart.name) != values.shape:
            yield f"{chart.name} is {values.shape}; the source has {file.shape(chart.name)}"
            continue
        differs = np.count_nonzero(whole_classes(file.decoded(chart.name)) != values)
        if differs:
            yield f"{chart.name} differs from the source in {differs} pixels"
