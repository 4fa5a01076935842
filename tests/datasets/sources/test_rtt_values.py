"""Values of a scene that are refused or remarked on, in the words a user reads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from autoice_bench.datasets.sources.rtt import read_scene
from autoice_bench.formats.variables import (
    DISTANCE_MAP,
    SAR_VARIABLES,
    STANDARDISED_VARIABLES,
    TIE_POINT_VARIABLES,
)
from tests.datasets.rtt_file_writer import (
    SHAPE,
    RttContent,
    encode_zones,
    expect_error,
    make_content,
    warnings_of,
    write_scene_file,
)

HH, HV, ANGLE = (variable.name for variable in SAR_VARIABLES)


@pytest.fixture
def content() -> RttContent:
    return make_content()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", [HH, ANGLE, "btemp_36_5v", "tclw", "distance_map"])
def test_values_that_are_not_finite(
    tmp_path: Path, content: RttContent, name: str, value: float
) -> None:
    content.values(name)[-1, -1] = value
    expect_error(
        tmp_path,
        content,
        f"{name} holds values that are not finite; expected none in a ready-to-train file",
    )


def test_values_beyond_any_standardised_one(tmp_path: Path, content: RttContent) -> None:
    # The fill value of NetCDF for floats, where nobody wrote: 9.97e36.
    content.values("skt")[0, 0] = 9.969209968386869e36
    expect_error(
        tmp_path,
        content,
        "skt reaches 9.96921e+36; expected standardised values (a few tens at most)",
    )


def test_values_outside_the_released_extrema_are_a_warning(
    tmp_path: Path, content: RttContent
) -> None:
    # HH: (25.2 + 14.508) / 5.66 = 7.02 is the largest released value. 10 stands for 42.09 dB.
    content.values(HH)[10, 10] = 10
    content.values(HH)[11, 11] = -2
    assert warnings_of(tmp_path, content) == (
        "nersc_sar_primary spans -25.83 to 42.09 dB; released scenes stay within -380 to 25.2",
    )


def test_extrema_themselves_are_no_warning(tmp_path: Path, content: RttContent) -> None:
    for variable in STANDARDISED_VARIABLES:
        if variable is not DISTANCE_MAP:
            values = content.values(variable.name)
            values[-1, 0] = (variable.raw_min - variable.mean) / variable.std
            values[-1, 1] = (variable.raw_max - variable.mean) / variable.std
    assert warnings_of(tmp_path, content) == ()


@pytest.mark.parametrize(
    ("index", "value", "words"),
    [
        (0, np.nan, "latitude holds values that are not finite or beyond 90"),
        (0, 90.5, "latitude holds values that are not finite or beyond 90"),
        (1, -361.0, "longitude holds values that are not finite or beyond 360"),
        (1, np.inf, "longitude holds values that are not finite or beyond 360"),
    ],
)
def test_tie_points_that_are_no_degrees(
    tmp_path: Path, content: RttContent, index: int, value: float, words: str
) -> None:
    content.values(TIE_POINT_VARIABLES[index])[3, 4] = value
    expect_error(tmp_path, content, f"tie-point {words}; expected degrees")


def test_tie_points_of_too_few_lines(tmp_path: Path, content: RttContent) -> None:
    for name in TIE_POINT_VARIABLES:
        content.variables[name].values = content.values(name)[:1]
    expect_error(
        tmp_path,
        content,
        "tie points are (1, 21) and (1, 21); expected two equal grids of at least 2 x 2",
    )


def test_short_frame_has_fewer_tie_lines(tmp_path: Path, content: RttContent) -> None:
    for name in TIE_POINT_VARIABLES:
        content.variables[name].values = content.values(name)[:6]
    arrays = read_scene(write_scene_file(tmp_path, content))
    assert arrays.latitude.shape == (6, 21)
    # 104 raw lines: step ceil(104 / 5) = 21; 0, 21, 42, 63, 84, 103.
    np.testing.assert_array_equal(arrays.tie_line, (np.array([0, 21, 42, 63, 84, 103]) - 0.5) / 2)


# --- distance zones


@pytest.mark.parametrize(("zone", "span"), [(42, "0 to 42"), (-1, "-1 to 41")])
def test_zones_out_of_range(tmp_path: Path, content: RttContent, zone: int, span: str) -> None:
    zones = np.tile(np.arange(SHAPE[1]) % 42, (SHAPE[0], 1))
    zones[20, 20] = zone
    content.variables["distance_map"].values = encode_zones(zones)
    expect_error(tmp_path, content, f"distance_map decodes to zones {span}; expected 0-41")


def test_zones_that_are_not_whole_stay_float32(tmp_path: Path, content: RttContent) -> None:
    zones = np.full(SHAPE, 3.0)
    zones[40, 40] = 3.5
    content.variables["distance_map"].values = encode_zones(zones)
    arrays = read_scene(write_scene_file(tmp_path, content))
    assert arrays.warnings == ("distance zones are not whole numbers; kept as float32",)
    assert arrays.distance_map.dtype == np.float32
    np.testing.assert_allclose(arrays.distance_map, zones, atol=1e-5)


def test_zones_as_noisy_as_released_ones_are_whole(tmp_path: Path, content: RttContent) -> None:
    # "z * std + mean is within 0.01 of an integer"
    zones = np.tile(np.arange(SHAPE[1]) % 42, (SHAPE[0], 1))
    content.variables["distance_map"].values = encode_zones(zones + 0.0099)
    arrays = read_scene(write_scene_file(tmp_path, content))
    assert arrays.warnings == ()
    np.testing.assert_array_equal(arrays.distance_map, zones)


def test_nan_behind_zones_that_are_not_whole_is_found(tmp_path: Path, content: RttContent) -> None:
    zones = np.full(SHAPE, 3.5)
    zones[-1, -1] = np.nan
    content.variables["distance_map"] = replace(
        content.variables["distance_map"],
        values=encode_zones(zones),
        storage={"zlib": True, "chunksizes": (10, 10)},
    )
    expect_error(
        tmp_path,
        content,
        "distance_map holds values that are not finite; expected none in a ready-to-train file",
    )
