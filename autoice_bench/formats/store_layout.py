"""The layout of a store on disk: format, version, names, and the table of a scene's arrays.

``SCENE_ARRAYS`` is the one place that knows which arrays a scene has, how they lie and how they are
described (docs/store.md). To store another one, add a row, and its values to ``SceneArrays``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from autoice_bench.charts import CHART_NAMES, CHARTS, FILL_VALUE, ICE_TYPES, Chart
from autoice_bench.formats.variables import (
    AMSR2_VARIABLES,
    DISTANCE_MAP,
    ERA5_VARIABLES,
    GRID_2KM_DIMS,
    SAR_DIMS,
    SAR_NODATA,
    SAR_VARIABLES,
    Variable,
)

FORMAT_NAME: Final = "autoice-bench store"
FORMAT_VERSION: Final = 1

SCENES: Final = "scenes"
SPLITS: Final = "splits"
PARTIAL: Final = ".partial"
CACHE: Final = ".cache"
"""What readers found out and keep for themselves; no part of the store, may be removed."""
INDEX_NAME: Final = "scenes.parquet"

TIE_DIMS: Final = ("tie_lines", "tie_samples")
CHUNK_DIMS: Final = ("chunk_lines", "chunk_samples")

# Chosen by benchmarks/layout.py: small chunks waste few pixels around a patch, and all channels of
# a window decode together.
INNER_CHUNK: Final = 128
"""Pixels along a side of an inner chunk."""
INNER_CHUNK_CELLS: Final = 64
"""The same of the 2 km arrays, in cells."""

ArrayGrid = Literal["pixels", "cells", "ties", "chunks"]
"""What the last dimensions of an array count: pixels of 80 m, cells of 2 km, tie points, or inner
chunks of pixels."""


@dataclass(frozen=True)
class SceneArray:
    """One array of a scene: what its writer and its readers must agree on.

    Attributes:
        name: of the array in the scene's group, and of its field in ``SceneArrays``.
        grid: what its last dimensions count.
        dims: dimension names; that of the channels, if it has any, comes first.
        dtypes: what it may be stored as, the usual dtype first.
        fill_value: value of what is not stored.
        required: False where a scene may be without it.
        channels: names along the first dimension, in order; empty without channels.
        channels_are: what the channel names are, for people.
        attributes: what is stored with the array to describe it, JSON values.
    """

    name: str
    grid: ArrayGrid
    dims: tuple[str, ...]
    dtypes: tuple[str, ...]
    fill_value: float | int
    required: bool = True
    channels: tuple[str, ...] = ()
    channels_are: str = "variable in the source"
    attributes: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @property
    def channel_dim(self) -> str | None:
        """Name of the channels' dimension and coordinate; None without channels."""
        return self.dims[0] if self.channels else None

    @property
    def padding(self) -> float | int | None:
        """Value beyond the scene: nodata, or no label. None where nothing is read beyond.

        2 km arrays repeat their edge cells instead, and the others are read whole.
        """
        return self.fill_value if self.grid == "pixels" else None


def channel_attributes(variable: Variable) -> dict[str, Any]:
    """Attributes of a standardised channel: what it is and how to undo the standardisation."""
    return {
        "long_name": f"standardised {variable.long_name}",
        "units": "1",
        "standardisation_mean": variable.mean,
        "standardisation_std": variable.std,
        "standardisation_units": variable.units,
    }


def chart_attributes(chart: Chart) -> dict[str, Any]:
    """CF attributes of a chart: flag values and meanings, and the value of unlabelled pixels."""
    return {
        "long_name": chart.long_name,
        "flag_values": list(range(chart.n_classes)),
        "flag_meanings": " ".join(_flag_word(name) for name in chart.class_names),
        "missing_value": FILL_VALUE,
    }


def hash_charts(charts: Mapping[str, NDArray[np.uint8]]) -> str:
    """SHA-256 over the bytes of SIC, then SOD, then FLOE (C order), as hexadecimal."""
    digest = hashlib.sha256()
    for name in CHART_NAMES:
        digest.update(np.ascontiguousarray(charts[name]).data)
    return digest.hexdigest()


def _flag_word(name: str) -> str:
    return name.replace(" %", "_percent").replace(" ", "_").replace("-", "_")


def _stack(
    name: str, dims: tuple[str, ...], variables: tuple[Variable, ...], dtypes: tuple[str, ...]
) -> SceneArray:
    """Standardised variables of one grid, stacked along their first dimension."""
    is_pixels = variables[0].grid == "80m"
    attributes: dict[str, Any] = {
        "long_name": f"{name} channels, standardised: (x - mean) / std",
        "units": "1",
        "channels": [variable.name for variable in variables],
        "standardisation_mean": [variable.mean for variable in variables],
        "standardisation_std": [variable.std for variable in variables],
        "standardisation_units": [variable.units for variable in variables],
    }
    if is_pixels:
        attributes["nodata"] = SAR_NODATA
    return SceneArray(
        name,
        "pixels" if is_pixels else "cells",
        (f"{name}_channel", *dims),
        dtypes,
        SAR_NODATA,
        channels=tuple(variable.name for variable in variables),
        attributes=attributes,
    )


def _stacked_chart_attributes() -> dict[str, Any]:
    """CF has no flags of stacked charts: those of each chart stand under its name."""
    attributes: dict[str, Any] = {
        "long_name": "ice charts: classes",
        "channels": list(CHART_NAMES),
        "fill": FILL_VALUE,
    }
    for chart in CHARTS:
        described = chart_attributes(chart)
        for key in ("long_name", "flag_values", "flag_meanings"):
            attributes[f"{chart.name}_{key}"] = described[key]
    return attributes


SAR_ARRAY: Final = _stack("sar", SAR_DIMS, SAR_VARIABLES, ("float16", "float32"))
CHARTS_ARRAY: Final = SceneArray(
    "charts",
    "pixels",
    ("chart", *SAR_DIMS),
    ("uint8",),
    FILL_VALUE,
    required=False,
    channels=CHART_NAMES,
    channels_are="ice chart",
    attributes=_stacked_chart_attributes(),
)
ICE_TYPE_ARRAY: Final = SceneArray(
    "ice_type",
    "pixels",
    SAR_DIMS,
    ("uint8",),
    FILL_VALUE,
    required=False,
    attributes={
        "long_name": "ice type of the dominant stage of development",
        "flag_values": list(range(len(ICE_TYPES))),
        "flag_meanings": " ".join(kind.abbreviation for kind in ICE_TYPES),
        "fill": FILL_VALUE,
    },
)
VALID_COUNTS_ARRAY: Final = SceneArray(
    "valid_counts",
    "chunks",
    CHUNK_DIMS,
    ("uint32",),
    0,
    required=False,
    attributes={
        "long_name": "labelled SIC pixels per chunk",
        "units": "1",
        "chunk_pixels": INNER_CHUNK,
    },
)
DISTANCE_ARRAY: Final = SceneArray(
    DISTANCE_MAP.name,
    "pixels",
    SAR_DIMS,
    ("uint8", "float32"),
    0,
    attributes={
        "long_name": "distance to land, in zones",
        "units": "1",
        "comment": "0 land, then rings of 0.5, 0.5, 1 (to 20), 5 (to 50), 10 (to 100), 25 (to 300) "
        "km, 41 beyond",
    },
)
AMSR2_ARRAY: Final = _stack("amsr2", GRID_2KM_DIMS, AMSR2_VARIABLES, ("float32",))
ERA5_ARRAY: Final = _stack("era5", GRID_2KM_DIMS, ERA5_VARIABLES, ("float32",))
LATITUDE_ARRAY: Final = SceneArray(
    "latitude",
    "ties",
    TIE_DIMS,
    ("float64",),
    0.0,
    attributes={"long_name": "latitude", "units": "degrees_north", "standard_name": "latitude"},
)
LONGITUDE_ARRAY: Final = SceneArray(
    "longitude",
    "ties",
    TIE_DIMS,
    ("float64",),
    0.0,
    attributes={"long_name": "longitude", "units": "degrees_east", "standard_name": "longitude"},
)
_TIE_POSITION: Final = {"long_name": "position of the tie points, in pixels", "units": "1"}
TIE_LINE_ARRAY: Final = SceneArray(
    "tie_line", "ties", TIE_DIMS[:1], ("float64",), 0.0, attributes=_TIE_POSITION
)
TIE_SAMPLE_ARRAY: Final = SceneArray(
    "tie_sample", "ties", TIE_DIMS[1:], ("float64",), 0.0, attributes=_TIE_POSITION
)

SCENE_ARRAYS: Final = (
    SAR_ARRAY,
    CHARTS_ARRAY,
    ICE_TYPE_ARRAY,
    VALID_COUNTS_ARRAY,
    DISTANCE_ARRAY,
    AMSR2_ARRAY,
    ERA5_ARRAY,
    LATITUDE_ARRAY,
    LONGITUDE_ARRAY,
    TIE_LINE_ARRAY,
    TIE_SAMPLE_ARRAY,
)
"""Every array that a scene may have, in the order in which they are written."""

ARRAYS_BY_NAME: Final = {array.name: array for array in SCENE_ARRAYS}
PIXEL_ARRAYS: Final = tuple(array.name for array in SCENE_ARRAYS if array.grid == "pixels")
CELL_ARRAYS: Final = tuple(array.name for array in SCENE_ARRAYS if array.grid == "cells")
TIE_ARRAYS: Final = tuple(array.name for array in SCENE_ARRAYS if array.grid == "ties")
SOURCE_ARRAYS: Final = tuple(array.name for array in SCENE_ARRAYS if array.grid != "chunks")
"""Names of the arrays that a source gives; what is counted per chunk follows from them."""
