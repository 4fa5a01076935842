"""A scene's values in the store's dtypes, whatever they were read from.

A field that is stored has the name of its row in ``formats.store_layout.SCENE_ARRAYS``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from autoice_bench.formats.store_layout import SOURCE_ARRAYS

Json = Any
SarDtype = Literal["float16", "float32"]


@dataclass(frozen=True)
class SceneArrays:
    """One validated scene in memory, in the dtypes the store keeps.

    Attributes:
        scene_id: such as ``20180607T184326_dmi``.
        sar: (3, sar_lines, sar_samples) float16 or float32, standardised; HH, HV, incidence angle;
            0 is nodata.
        distance_map: (sar_lines, sar_samples) uint8 zones 0..41; float32 zones where the source's
            are not whole numbers.
        charts: (3, sar_lines, sar_samples) uint8 classes, fill 255; SIC, SOD, FLOE. None without.
        class_counts: (3, 256) int64 pixels per chart value. None without charts.
        amsr2: (14, 2km_grid_lines, 2km_grid_samples) float32, standardised.
        era5: (6, 2km_grid_lines, 2km_grid_samples) float32, standardised.
        latitude, longitude: (tie_lines, tie_samples) float64, degrees.
        tie_line, tie_sample: (tie_lines,) and (tie_samples,) float64, positions in RTT pixels.
        attributes: the source's global attributes.
        variable_attributes: the source's attributes per variable.
        rounding_error: largest absolute difference between ``sar`` and the source, standardised.
        warnings: remarks, one line each.
        ice_type: (sar_lines, sar_samples) uint8 index into ``ICE_TYPES``, fill 255; None unless
            asked for.
    """

    scene_id: str
    sar: NDArray[np.floating]
    distance_map: NDArray[Any]
    charts: NDArray[np.uint8] | None
    class_counts: NDArray[np.int64] | None
    amsr2: NDArray[np.float32]
    era5: NDArray[np.float32]
    latitude: NDArray[np.float64]
    longitude: NDArray[np.float64]
    tie_line: NDArray[np.float64]
    tie_sample: NDArray[np.float64]
    attributes: dict[str, Json]
    variable_attributes: dict[str, dict[str, Json]]
    rounding_error: float
    warnings: tuple[str, ...]
    ice_type: NDArray[np.uint8] | None = None

    def by_name(self) -> dict[str, NDArray[Any]]:
        """The arrays that the scene has, by their names in a store, in the order of its table."""
        values = {name: getattr(self, name) for name in SOURCE_ARRAYS}
        return {name: array for name, array in values.items() if array is not None}


def to_json_attributes(attributes: Mapping[str, Any]) -> dict[str, Json]:
    """Attributes sorted by name, their values as JSON.

    JSON has no NaN and no infinity, yet NaN is the usual ``_FillValue`` of a float variable: the
    words of the Zarr v3 specification, ``NaN``, ``Infinity`` and ``-Infinity``, stand for them.
    """
    return {name: _json_value(value) for name, value in sorted(attributes.items())}


def _json_value(value: Any) -> Json:
    if isinstance(value, np.ndarray | np.generic):
        return _json_value(value.tolist())
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, list | tuple):
        return [_json_value(item) for item in value]
    if isinstance(value, complex):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, "NaN")
    return value
