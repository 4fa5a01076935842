"""Every check on a scene, with the words a user reads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from autoice_bench.charts import CHART_NAMES
from autoice_bench.datasets.sources.rtt import read_attributes, read_scene
from autoice_bench.errors import SceneError
from autoice_bench.formats.rtt_folder import SceneFile, find_scenes
from autoice_bench.formats.variables import (
    AMSR2_VARIABLES,
    DISTANCE_MAP,
    ERA5_VARIABLES,
    RTT_VARIABLE_ORDER,
    SAR_DIMS,
    SAR_VARIABLES,
    STANDARDISED_VARIABLES,
    TIE_POINT_VARIABLES,
)
from tests.datasets.rtt_file_writer import (
    CELLS,
    SCENE_ID,
    SHAPE,
    RttContent,
    RttVariable,
    encode_zones,
    expect_error,
    make_content,
    warnings_of,
    write_rtt_file,
    write_scene_file,
)

HH, HV, ANGLE = (variable.name for variable in SAR_VARIABLES)


@pytest.fixture
def content() -> RttContent:
    return make_content()


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


def test_malformed_original_id(tmp_path: Path, content: RttContent) -> None:
    content.attributes["original_id"] = "S1B_something.nc"
    assert warnings_of(tmp_path, content) == (
        "attribute original_id is not a raw file's name; platform, orbit, pass unknown",
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
