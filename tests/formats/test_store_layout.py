"""The table of a scene's arrays."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from autoice_bench.datasets.sources.scene_arrays import SceneArrays
from autoice_bench.formats.store_layout import (
    ARRAYS_BY_NAME,
    CELL_ARRAYS,
    PIXEL_ARRAYS,
    SCENE_ARRAYS,
    SOURCE_ARRAYS,
    TIE_ARRAYS,
    SceneArray,
)


def test_names_are_those_of_docs_store_md() -> None:
    assert PIXEL_ARRAYS == ("sar", "charts", "ice_type", "distance_map")
    assert CELL_ARRAYS == ("amsr2", "era5")
    assert TIE_ARRAYS == ("latitude", "longitude", "tie_line", "tie_sample")
    assert [array.name for array in SCENE_ARRAYS if not array.required] == [
        "charts",
        "ice_type",
        "valid_counts",
    ]


def test_every_name_occurs_once_and_lies_on_one_grid() -> None:
    assert len(ARRAYS_BY_NAME) == len(SCENE_ARRAYS)
    grouped = [*PIXEL_ARRAYS, *CELL_ARRAYS, *TIE_ARRAYS, "valid_counts"]
    assert sorted(grouped) == sorted(ARRAYS_BY_NAME)


def test_a_scene_in_memory_has_a_field_for_every_array_of_a_source() -> None:
    assert {field.name for field in dataclasses.fields(SceneArrays)}.issuperset(SOURCE_ARRAYS)


@pytest.mark.parametrize("array", SCENE_ARRAYS, ids=[array.name for array in SCENE_ARRAYS])
def test_rows_are_sound(array: SceneArray) -> None:
    assert len(array.dims) == len(set(array.dims))
    assert len(array.dims) == 2 + bool(array.channels) - (array.name in TIE_ARRAYS[2:])
    for dtype in array.dtypes:
        assert np.dtype(dtype).type(array.fill_value) == array.fill_value
    assert json.loads(json.dumps(array.attributes)) == array.attributes
    assert array.attributes["long_name"]
    if array.channels:
        assert array.attributes["channels"] == list(array.channels)


@pytest.mark.parametrize(
    ("name", "padding"),
    [
        ("sar", 0),
        ("charts", 255),
        ("ice_type", 255),  # 0 would be open water
        ("distance_map", 0),
        ("amsr2", None),
        ("latitude", None),
        ("valid_counts", None),
    ],
)
def test_what_lies_beyond_a_scene(name: str, padding: int | None) -> None:
    assert ARRAYS_BY_NAME[name].padding == padding
