"""Every check on a scene, with the words a user reads; rounding; classes."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from autoice_bench.charts import CHART_NAMES, CHARTS, FLOE, SIC
from autoice_bench.datasets.scenes import (
    count_classes,
    read_attributes,
    read_scene,
    round_to_float16,
    whole_classes,
)
from autoice_bench.datasets.sources import SceneFile, find_scenes
from autoice_bench.datasets.variables import (
    AMSR2_VARIABLES,
    DISTANCE_MAP,
    ERA5_VARIABLES,
    RTT_VARIABLE_ORDER,
    SAR_DIMS,
    SAR_VARIABLES,
    STANDARDISED_VARIABLES,
    TIE_POINT_VARIABLES,
)
from autoice_bench.errors import SceneError
from tests.datasets.rtt_file_writer import (
    CELLS,
    SCENE_ID,
    SHAPE,
    RttContent,
    RttVariable,
    encode_zones,
    make_content,
    write_rtt_file,
    write_scene_file,
)

HH, HV, ANGLE = (variable.name for variable in SAR_VARIABLES)


@pytest.fixture
def content() -> RttContent:
    return make_content()


def expect_error(folder: Path, content: RttContent, words: str, **options: Any) -> None:
    """Reading the scene must fail with exactly ``scene <id>: <words>``, and without warnings."""
    scene = write_scene_file(folder, content, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(SceneError) as caught:
            read_scene(scene)
    assert str(caught.value) == f"scene {SCENE_ID}: {words}"
    assert "\n" not in str(caught.value)


def warnings_of(folder: Path, content: RttContent, **options: Any) -> tuple[str, ...]:
    return read_scene(write_scene_file(folder, content, **options)).warnings


# --- a sound scene


def test_sound_scene(tmp_path: Path, content: RttContent) -> None:
    arrays = read_scene(write_scene_file(tmp_path, content), "float32")
    assert arrays.warnings == ()
    assert arrays.rounding_error == 0
    np.testing.assert_array_equal(arrays.sar, [content.values(name) for name in (HH, HV, ANGLE)])
    assert arrays.charts is not None
    assert arrays.class_counts is not None
    np.testing.assert_array_equal(arrays.charts, [content.values(name) for name in CHART_NAMES])
    # 3 masked lines of 76; below, 49 lines: 40 samples of ice, 36 of water.
    assert arrays.class_counts[0, 255] == 3 * 76
    assert arrays.class_counts[0, 7] == arrays.class_counts[1, 5] == arrays.class_counts[2, 6]
    assert arrays.class_counts[0, 7] == 49 * 40
    assert arrays.class_counts[0, 0] == 49 * 36
    assert arrays.distance_map.dtype == np.uint8
    np.testing.assert_array_equal(
        encode_zones(arrays.distance_map), content.values(DISTANCE_MAP.name)
    )
    assert (arrays.amsr2.shape, arrays.era5.shape) == ((14, *CELLS), (6, *CELLS))
    np.testing.assert_array_equal(arrays.amsr2[3], content.values(AMSR2_VARIABLES[3].name))
    np.testing.assert_array_equal(arrays.era5[5], content.values(ERA5_VARIABLES[5].name))
    np.testing.assert_array_equal(arrays.latitude, content.values(TIE_POINT_VARIABLES[0]))
    # 52 lines are 104 raw lines: step ceil(104 / 20) = 6, last at 103.
    assert arrays.tie_line[[0, 1, -1]].tolist() == [-0.25, 2.75, 51.25]
    assert arrays.tie_sample[-1] == (151 - 0.5) / 2
    assert arrays.attributes["flip"] == 0


def test_float16_is_the_nearest_and_its_error_is_recorded(
    tmp_path: Path, content: RttContent
) -> None:
    arrays = read_scene(write_scene_file(tmp_path, content))
    exact = np.stack([content.values(name) for name in (HH, HV, ANGLE)])
    np.testing.assert_array_equal(arrays.sar, exact.astype(np.float16))
    assert arrays.rounding_error == np.abs(arrays.sar.astype(np.float32) - exact).max()
    # Between 1 and 2 float16 is spaced 2^-10: rounding is off by half of that at most.
    assert 0 < arrays.rounding_error <= 2**-11


def test_simulated_scenes_are_sound(rtt_source: Path) -> None:
    for scene in find_scenes(rtt_source).scenes:
        arrays = read_scene(scene)
        assert arrays.warnings == ()
        assert arrays.charts is not None
        nodata = (arrays.sar == 0).all(axis=0)
        assert (arrays.charts[0][nodata] == 255).all()


# --- files


def test_missing_file(tmp_path: Path) -> None:
    scene = SceneFile(SCENE_ID, tmp_path / "absent_prep.nc", None, "train", None)
    with pytest.raises(SceneError, match=rf"scene {SCENE_ID}: cannot be read as NetCDF: .*absent"):
        read_scene(scene)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_truncated_file(tmp_path: Path, content: RttContent, share: float) -> None:
    scene = write_scene_file(tmp_path, content)
    whole = scene.path.read_bytes()
    scene.path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(SceneError, match=r"cannot be read as NetCDF: .*truncated or corrupt\?"):
        read_scene(scene)
    with pytest.raises(SceneError, match=r"_prep\.nc cannot be read as NetCDF: .*truncated\?"):
        read_attributes(scene.path)


def corrupt_chunk(path: Path, name: str) -> None:
    import h5py

    with h5py.File(path) as file:
        info = file[name].id.get_chunk_info(0)
        middle = int(info.byte_offset + info.size // 2)
    damaged = bytearray(path.read_bytes())
    damaged[middle] ^= 0xFF
    path.write_bytes(damaged)


@pytest.mark.parametrize("name", [HV, "SOD", "t2m", "distance_map"])
def test_corrupt_chunk_names_file_and_variable(
    tmp_path: Path, content: RttContent, name: str
) -> None:
    scene = write_scene_file(tmp_path, content)
    corrupt_chunk(scene.path, name)
    with pytest.raises(SceneError, match=rf"{scene.path.name}: variable {name}: "):
        read_scene(scene)


def test_corrupt_reference_is_named_not_the_scene(tmp_path: Path, content: RttContent) -> None:
    scene = write_scene_file(
        tmp_path,
        content.without(*CHART_NAMES),
        reference=content.only(*CHART_NAMES),
        subset="test",
    )
    assert scene.reference is not None
    corrupt_chunk(scene.reference, "FLOE")
    with pytest.raises(SceneError, match=r"_prep_reference\.nc: variable FLOE: chunk"):
        read_scene(scene)


# --- variables, dimensions and types


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        (("t2m",), "t2m missing; expected the 29 variables of a ready-to-train file"),
        (
            TIE_POINT_VARIABLES,
            "sar_grid2d_latitude, sar_grid2d_longitude missing; expected the 29 variables of a "
            "ready-to-train file",
        ),
        (
            tuple(variable.name for variable in AMSR2_VARIABLES),
            "btemp_6_9h, btemp_6_9v, btemp_7_3h, btemp_7_3v, btemp_10_7h and 9 more missing; "
            "expected the 29 variables of a ready-to-train file",
        ),
    ],
)
def test_missing_variables(
    tmp_path: Path, content: RttContent, missing: tuple[str, ...], words: str
) -> None:
    expect_error(tmp_path, content.without(*missing), words)


def test_transposed_variable(tmp_path: Path, content: RttContent) -> None:
    variable = content.variables[HV]
    content.variables[HV] = replace(
        variable, dims=tuple(reversed(SAR_DIMS)), values=variable.values.T
    )
    expect_error(
        tmp_path,
        content,
        f"{HV} is (sar_samples, sar_lines) 76x52; expected (sar_lines, sar_samples) 52x76 as the "
        "rest of the 80m grid",
    )


def test_three_dimensions(tmp_path: Path, content: RttContent) -> None:
    variable = content.variables["skt"]
    content.variables["skt"] = replace(
        variable, dims=("time", *variable.dims), values=variable.values[None]
    )
    expect_error(
        tmp_path,
        content,
        "skt has dimensions ('time', '2km_grid_lines', '2km_grid_samples'); expected "
        "('2km_grid_lines', '2km_grid_samples')",
    )


def test_variable_of_another_grid(tmp_path: Path, content: RttContent) -> None:
    content.variables[ANGLE] = replace(
        content.variables[ANGLE], dims=("y", "x"), values=np.zeros((26, 38), np.float32)
    )
    expect_error(
        tmp_path,
        content,
        f"{ANGLE} is (y, x) 26x38; expected (sar_lines, sar_samples) 52x76 as the rest of the 80m "
        "grid",
    )


def test_2km_grid_that_does_not_fit(tmp_path: Path, content: RttContent) -> None:
    for variable in (*AMSR2_VARIABLES, *ERA5_VARIABLES):
        content.variables[variable.name].values = np.zeros((2, 4), np.float32)
    expect_error(
        tmp_path,
        content,
        "2 km grid is (2, 4) for 52x76 pixels; expected (2, 3) (25 pixels to a cell)",
    )


@pytest.mark.parametrize("dtype", ["int16", "float64"])
def test_type_that_is_not_float32(tmp_path: Path, content: RttContent, dtype: str) -> None:
    content.variables[HH].values = content.values(HH).astype(dtype)
    expect_error(tmp_path, content, f"{HH} is {dtype}; expected float32")


def test_packed_variable(tmp_path: Path, content: RttContent) -> None:
    content.variables["t2m"].attributes = {"scale_factor": 0.01, "add_offset": 273.15}
    expect_error(
        tmp_path,
        content,
        "t2m is packed (scale_factor, add_offset); expected plain standardised values",
    )


def test_big_endian_scene_is_read(tmp_path: Path, content: RttContent) -> None:
    expected = read_scene(write_scene_file(tmp_path, content))
    for variable in STANDARDISED_VARIABLES:
        stored = content.variables[variable.name]
        stored.values = stored.values.astype(">f4")
        stored.storage = {"zlib": True, "endian": "big"}
    arrays = read_scene(write_scene_file(tmp_path / "big", content))
    np.testing.assert_array_equal(arrays.sar, expected.sar)
    np.testing.assert_array_equal(arrays.amsr2, expected.amsr2)
    assert arrays.rounding_error == expected.rounding_error
    assert arrays.amsr2.dtype.isnative


def test_unknown_variables_are_left_out_with_a_note(tmp_path: Path, content: RttContent) -> None:
    for name in ("my_mask", "other"):
        content.variables[name] = RttVariable(SAR_DIMS, np.zeros(SHAPE, np.uint8))
    scene = write_scene_file(tmp_path, content)
    arrays = read_scene(scene)
    assert arrays.warnings == ("unknown variables left out: my_mask, other",)
    assert sorted(arrays.variable_attributes) == sorted(RTT_VARIABLE_ORDER)


# --- values


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


# --- charts


@pytest.mark.parametrize(
    ("chart", "value", "words"),
    [
        ("SIC", 11, "SIC holds class 11 in 6 pixels; expected 0-10 or fill 255"),
        ("SOD", 6, "SOD holds class 6 in 6 pixels; expected 0-5 or fill 255"),
        ("FLOE", 7, "FLOE holds class 7 in 6 pixels; expected 0-6 or fill 255"),
        ("FLOE", 254, "FLOE holds class 254 in 6 pixels; expected 0-6 or fill 255"),
    ],
)
def test_class_out_of_range(
    tmp_path: Path, content: RttContent, chart: str, value: int, words: str
) -> None:
    content.values(chart)[20, 10:16] = value
    expect_error(tmp_path, content, words)


def test_several_classes_out_of_range(tmp_path: Path, content: RttContent) -> None:
    content.values("SOD")[20, :3] = [99, 7, 6]
    expect_error(
        tmp_path, content, "SOD holds class 6, 7, 99 in 3 pixels; expected 0-5 or fill 255"
    )


def test_float_charts_with_nan(tmp_path: Path, content: RttContent) -> None:
    expected = np.stack([content.values(name) for name in CHART_NAMES])
    for name in CHART_NAMES:
        values = content.values(name).astype(np.float32)
        content.variables[name].values = np.where(values == 255, np.float32(np.nan), values)
    arrays = read_scene(write_scene_file(tmp_path, content))
    assert arrays.charts is not None
    np.testing.assert_array_equal(arrays.charts, expected)
    assert arrays.warnings == ()


def test_float_chart_with_half_a_class(tmp_path: Path, content: RttContent) -> None:
    content.variables["SIC"].values = content.values("SIC").astype(np.float32)
    content.values("SIC")[5, 5] = 3.5
    expect_error(tmp_path, content, "SIC holds class 254 in 1 pixels; expected 0-10 or fill 255")


def test_text_chart(tmp_path: Path, content: RttContent) -> None:
    content.variables["SOD"] = RttVariable(SAR_DIMS, np.full(SHAPE, b"x", "S1"), storage={})
    expect_error(tmp_path, content, "SOD is |S1; expected uint8")


def test_chart_of_another_shape(tmp_path: Path, content: RttContent) -> None:
    content.variables["FLOE"] = RttVariable(("y", "x"), np.zeros((52, 75), np.uint8))
    expect_error(tmp_path, content, "FLOE is (52, 75); expected (52, 76)")


def test_training_scene_without_charts(tmp_path: Path, content: RttContent) -> None:
    expect_error(
        tmp_path,
        content.without(*CHART_NAMES),
        f"{SCENE_ID}_prep.nc holds no SIC, SOD, FLOE; expected them in a training scene (a test "
        "scene belongs into a folder named test)",
    )


def test_training_scene_that_lacks_one_chart(tmp_path: Path, content: RttContent) -> None:
    expect_error(
        tmp_path,
        content.without("SOD"),
        f"{SCENE_ID}_prep.nc holds no SOD; expected them in a training scene (a test scene "
        "belongs into a folder named test)",
    )


def test_class_0_that_differs_between_charts_is_a_warning(
    tmp_path: Path, content: RttContent
) -> None:
    content.values("FLOE")[10, 10] = 0  # ice of class 0, which no released scene has
    # 49 lines of 36 samples are water in all three.
    assert warnings_of(tmp_path, content) == (
        "class-0 pixels differ between charts (SIC 1764, SOD 1764, FLOE 1765); equal in released "
        "scenes",
    )


# --- test scenes


def test_charts_come_from_the_reference(tmp_path: Path, content: RttContent) -> None:
    reference = content.only(*CHART_NAMES)
    scene = write_scene_file(
        tmp_path, content.without(*CHART_NAMES), reference=reference, subset="test"
    )
    arrays = read_scene(scene)
    assert arrays.warnings == ()
    assert arrays.charts is not None
    np.testing.assert_array_equal(arrays.charts[2], content.values("FLOE"))


def test_reference_counts_where_the_file_carries_charts_too(
    tmp_path: Path, content: RttContent
) -> None:
    reference = make_content().only(*CHART_NAMES)
    for name in CHART_NAMES:
        content.values(name)[...] = 255
    arrays = read_scene(write_scene_file(tmp_path, content, reference=reference, subset="test"))
    assert arrays.charts is not None
    np.testing.assert_array_equal(arrays.charts[0], reference.values("SIC"))


def test_reference_that_lacks_a_chart(tmp_path: Path, content: RttContent) -> None:
    expect_error(
        tmp_path,
        content.without(*CHART_NAMES),
        "FLOE is missing from the reference",
        reference=content.only("SIC", "SOD"),
        subset="test",
    )


def test_reference_of_another_shape(tmp_path: Path, content: RttContent) -> None:
    reference = content.only(*CHART_NAMES)
    cut = RttContent(
        {
            name: replace(variable, values=variable.values[:50])
            for name, variable in reference.variables.items()
        }
    )
    expect_error(
        tmp_path,
        content.without(*CHART_NAMES),
        "SIC is (50, 76); expected (52, 76)",
        reference=cut,
        subset="test",
    )


def test_test_scene_without_reference(tmp_path: Path, content: RttContent) -> None:
    scene = write_scene_file(tmp_path, content.without(*CHART_NAMES), subset="test")
    arrays = read_scene(scene)
    assert arrays.charts is None
    assert arrays.class_counts is None
    assert arrays.warnings == ("no reference file: stored without charts",)


def test_test_scene_that_carries_its_charts(tmp_path: Path, content: RttContent) -> None:
    arrays = read_scene(write_scene_file(tmp_path, content, subset="test"))
    assert arrays.warnings == ()
    assert arrays.charts is not None


def test_test_scene_whose_charts_are_all_255(tmp_path: Path, content: RttContent) -> None:
    for name in CHART_NAMES:
        content.values(name)[...] = 255
    arrays = read_scene(write_scene_file(tmp_path, content, subset="test"))
    assert arrays.charts is None
    assert arrays.class_counts is None
    assert arrays.warnings == (
        "every label is 255 and there is no reference: stored without charts",
    )


def test_training_scene_whose_sod_is_all_255_is_kept(tmp_path: Path, content: RttContent) -> None:
    content.values("SOD")[content.values("SOD") > 0] = 255
    arrays = read_scene(write_scene_file(tmp_path, content))
    assert arrays.warnings == ()
    assert arrays.class_counts is not None
    assert arrays.class_counts[1, 1:6].sum() == 0


# --- attributes


def test_attributes_that_disagree_with_the_name(tmp_path: Path, content: RttContent) -> None:
    content.attributes |= {"scene_id": "20300101T000000_cis_prep.nc", "ice_service": "CIS"}
    assert warnings_of(tmp_path, content) == (
        f"attribute scene_id says 20300101T000000_cis, the file name {SCENE_ID}; the name counts",
        "attribute ice_service says cis, the file name dmi",
    )


def test_absent_attributes_are_no_warning(tmp_path: Path, content: RttContent) -> None:
    content.attributes.clear()
    assert warnings_of(tmp_path, content) == ()


def test_attributes_are_json(tmp_path: Path, content: RttContent) -> None:
    content.attributes |= {
        "number": np.float32(1.5),
        "numbers": np.array([1.0, np.nan, np.inf, -np.inf]),
        "whole": np.array([1, 2], np.int16),
        "one": np.array([3], np.int64),
    }
    content.variables["t2m"].attributes = {"_FillValue": np.float32(np.nan), "units": "K"}
    scene = write_scene_file(tmp_path, content)
    arrays = read_scene(scene)
    assert arrays.attributes == read_attributes(scene.path)
    assert arrays.attributes["number"] == 1.5
    # JSON has no NaN: the words of the Zarr specification stand for it.
    assert arrays.attributes["numbers"] == [1.0, "NaN", "Infinity", "-Infinity"]
    assert arrays.attributes["whole"] == [1, 2]
    assert arrays.attributes["one"] == 3  # NetCDF does not tell one value from a list of one
    assert arrays.variable_attributes["t2m"] == {"_FillValue": "NaN", "units": "K"}


def test_netcdf3_scene_is_read(tmp_path: Path, content: RttContent) -> None:
    expected = read_scene(write_scene_file(tmp_path, content))
    for variable in content.variables.values():
        variable.storage = {}
    path = write_rtt_file(
        tmp_path / "old" / f"{SCENE_ID}_prep.nc", content, format="NETCDF3_64BIT_DATA"
    )
    arrays = read_scene(SceneFile(SCENE_ID, path, None, "train", None))
    np.testing.assert_array_equal(arrays.sar, expected.sar)
    np.testing.assert_array_equal(arrays.distance_map, expected.distance_map)
    assert arrays.charts is not None
    np.testing.assert_array_equal(arrays.class_counts, expected.class_counts)


# --- rounding


def rounded(
    values: list[float] | NDArray[Any], dtype: Any = np.float32
) -> tuple[list[float], float]:
    exact = np.asarray(values, dtype)
    out = np.empty(exact.shape, np.float16)
    error = round_to_float16(exact, out)
    return out.astype(np.float64).ravel().tolist(), error


def test_rounding_known_values() -> None:
    # 1 + 2^-11 lies half way between 1 and 1 + 2^-10; ties go to the even one, 1.
    assert rounded([1 + 2**-11]) == ([1.0], 2**-11)
    assert rounded([65504.0]) == ([65504.0], 0.0)  # the largest float16
    assert rounded([0.0, 0.5, -0.25]) == ([0.0, 0.5, -0.25], 0.0)


@pytest.mark.parametrize("sign", [1, -1])
def test_nothing_but_zero_becomes_zero(sign: int) -> None:
    # Half the smallest subnormal, 2^-25, rounds to even, which is 0; all below do too.
    for value in (2.0**-25, 2.0**-26, 1e-30, 1e-45):
        out, error = rounded([sign * value, 1.0])
        assert out == [sign * 2.0**-24, 1.0]
        assert error == float(np.float32(2.0**-24) - np.float32(value))
    # More than half of it rounds up by itself; zeros of either sign stay.
    assert rounded([sign * 2.0**-25 * 1.001])[0] == [sign * 2.0**-24]
    assert rounded([sign * 0.0, sign * 1e-9])[0] == [0.0, sign * 2.0**-24]


def test_rounding_into_a_window_of_a_larger_array() -> None:
    out = np.full((4, 6), 7, np.float16)
    round_to_float16(np.full((2, 3), 1e-9, np.float32), out[1:3, 2:5])
    assert (out[1:3, 2:5] == np.float16(2**-24)).all()
    assert (out == 7).sum() == 24 - 6


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e6])
def test_what_float16_cannot_hold_has_no_finite_error(value: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not np.isfinite(rounded([0.5, value])[1])


@settings(max_examples=200, deadline=None)
@given(
    hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=6),
        elements=st.one_of(
            st.floats(-65504, 65504, width=32),
            st.floats(-(2.0**-22), 2.0**-22, width=32, allow_subnormal=True),
            st.just(0.0),
        ),
    )
)
def test_rounding_properties(values: NDArray[np.float32]) -> None:
    out = np.empty(values.shape, np.float16)
    error = round_to_float16(values, out)
    np.testing.assert_array_equal(out == 0, values == 0)
    differences = np.abs(out.astype(np.float64) - values.astype(np.float64))
    assert error == pytest.approx(differences.max(), rel=1e-6, abs=1e-45)
    plain = values.astype(np.float16)
    np.testing.assert_array_equal(out[plain != 0], plain[plain != 0])
    vanished = (plain == 0) & (values != 0)
    np.testing.assert_array_equal(np.abs(out[vanished]), np.float16(2**-24))
    np.testing.assert_array_equal(np.sign(out), np.sign(values))


@settings(max_examples=200, deadline=None)
@given(
    hnp.arrays(np.float32, st.integers(1, 6), elements=st.floats(-9, 9, width=32)),
    st.sampled_from([0.0, 2.0**-24, 2.0**-14, 2.0**-11, 2.0**-9]),
)
def test_error_is_the_largest_although_measured_only_where_needed(
    values: NDArray[np.float32], known: float
) -> None:
    out = np.empty(values.shape, np.float16)
    error = round_to_float16(values, out, float(np.abs(values).max()), known)
    measured = np.abs(out.astype(np.float64) - values.astype(np.float64)).max()
    assert error == pytest.approx(max(measured, known), rel=1e-6)


# --- classes


def test_whole_classes() -> None:
    values = np.array([0, 10, 255, np.nan, 3.5, -1, 256, 1e9, np.inf])
    assert whole_classes(values).tolist() == [0, 10, 255, 255, 254, 254, 254, 254, 254]
    assert whole_classes(np.array([-1, 3, 255, 300], np.int16)).tolist() == [254, 3, 255, 254]
    untouched = np.array([1, 2], np.uint8)
    assert whole_classes(untouched) is untouched


@settings(max_examples=50, deadline=None)
@given(
    hnp.arrays(np.uint8, hnp.array_shapes(max_dims=2, max_side=20)),
    st.sampled_from(CHARTS),
)
def test_count_classes_equals_a_naive_count(values: NDArray[np.uint8], chart: Any) -> None:
    counts = count_classes(values, chart)
    assert counts.shape == (256,)
    for value in range(256):
        assert counts[value] == sum(int(found) == value for found in values.ravel())


def test_count_classes_known_values() -> None:
    counts = count_classes(np.array([[0, 10, 10], [255, 0, 0]], np.uint8), SIC)
    assert {value: int(counts[value]) for value in np.flatnonzero(counts)} == {0: 3, 10: 2, 255: 1}
    # 10 is no class of FLOE and is counted all the same.
    assert count_classes(np.array([10, 6], np.uint8), FLOE)[[6, 10]].tolist() == [1, 1]
