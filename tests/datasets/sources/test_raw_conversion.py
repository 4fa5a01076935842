from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from autoice_bench.charts import FILL_VALUE
from autoice_bench.datasets.labels.rasters import max_2x2
from autoice_bench.datasets.sources.raw import find_raw_files, is_raw_scene, open_raw_file
from autoice_bench.datasets.sources.raw_conversion import convert_raw_scene, mean_2x2
from autoice_bench.datasets.sources.scene_arrays import SceneArrays
from autoice_bench.errors import LabelError, SceneError
from autoice_bench.formats.label_rule import LabelRule
from autoice_bench.formats.variables import VARIABLES, destandardise
from tests.datasets.raw_file_writer import (
    HEADER,
    ICE_ROW,
    RAW_NAME,
    SCENE_ID,
    WATER_ROW,
    RawContent,
    ice_left_water_right,
    write_raw_file,
)


def _read(folder: Path, content: RawContent, **options: Any) -> SceneArrays:
    return convert_raw_scene(write_raw_file(folder, content), **options)


def _charts(scene: SceneArrays) -> np.ndarray[Any, np.dtype[np.uint8]]:
    assert scene.charts is not None
    return scene.charts


def test_default_scene_becomes_an_rtt_scene(tmp_path: Path) -> None:
    scene = _read(tmp_path, RawContent())

    assert scene.scene_id == SCENE_ID
    assert scene.sar.shape == (3, 4, 6)  # 8x12 raw pixels at 40 m
    assert scene.sar.dtype == np.float32
    # CT 91 is class 10, stage 93 thick first-year ice 4, form 5 big floe 4; water is all 0.
    for chart, label in zip(_charts(scene), (10, 4, 4), strict=True):
        assert (chart[:, :3] == label).all()
    assert not _charts(scene)[:, :, 3:].any()
    assert (scene.distance_map == 41).all()
    hh = destandardise(VARIABLES["nersc_sar_primary"], scene.sar[0])
    np.testing.assert_allclose(hh, -15, atol=1e-5)
    # z = (x - mean) / std of the variable table, here for 18.7 GHz H at 250 K.
    expected = (250 - 165.6802621430742) / 52.617873035841676
    assert scene.amsr2.shape == (14, 1, 1)
    np.testing.assert_allclose(scene.amsr2[6, 0, 0], expected, rtol=1e-6)
    assert scene.era5.shape == (6, 1, 1)
    assert scene.attributes["scene_id"] == f"{SCENE_ID}_prep.nc"
    assert scene.attributes["original_id"] == RAW_NAME
    assert scene.attributes["pixel_spacing"] == 80
    assert scene.attributes["product_version"] == "test"
    assert scene.variable_attributes["nersc_sar_primary"] == {"polarisation": "HH"}


def test_tie_points_keep_their_place_in_80_m_pixels(tmp_path: Path) -> None:
    scene = _read(tmp_path, RawContent())

    # Raw pixel 0 is the upper left quarter of RTT pixel 0, whose centre lies at raw 0.5.
    np.testing.assert_array_equal(scene.tie_line, [-0.25, 1.75, 3.25])
    np.testing.assert_array_equal(scene.tie_sample, [-0.25, 2.75, 5.25])
    assert scene.latitude.shape == (3, 3)
    assert scene.latitude[2, 0] == 70.0 - 7 / 100


def test_linear_incidence_angle_is_the_mean_of_40_m_pixels(tmp_path: Path) -> None:
    scene = _read(tmp_path, RawContent())

    # The angle is 20 + raw sample, so RTT sample j averages raw 2j and 2j + 1: 20.5 + 2j.
    angle = destandardise(VARIABLES["sar_incidenceangle"], scene.sar[2])
    np.testing.assert_allclose(angle, np.tile(20.5 + 2 * np.arange(6), (4, 1)), rtol=1e-6)


def test_odd_last_line_and_sample_are_dropped(tmp_path: Path) -> None:
    primary = np.full((9, 13), -15, np.float32)
    primary[-1], primary[:, -1] = np.nan, np.nan  # must leave no trace
    scene = _read(tmp_path, RawContent(primary=primary))

    assert scene.sar.shape == (3, 4, 6)
    assert _charts(scene).shape == (3, 4, 6)
    assert (scene.sar != 0).all()


def test_nodata_of_chart_and_sar_mask_each_other(tmp_path: Path) -> None:
    primary = np.full((8, 12), -15, np.float32)
    primary[0, 0] = np.nan
    secondary = np.full((8, 12), -25, np.float32)
    secondary[3, 11] = np.nan
    polygons = ice_left_water_right((8, 12))
    polygons[6, 4] = np.nan
    content = RawContent(primary=primary, secondary=secondary, polygons=polygons)
    scene = _read(tmp_path, content)

    masked = np.zeros((4, 6), bool)
    masked[0, 0] = masked[1, 5] = masked[3, 2] = True  # one bad raw pixel masks its 2x2 block
    np.testing.assert_array_equal((scene.sar == 0).all(axis=0), masked)
    np.testing.assert_array_equal((_charts(scene) == FILL_VALUE).all(axis=0), masked)
    assert (scene.distance_map == 41).all()


def test_polygon_without_label_does_not_mask_sar(tmp_path: Path) -> None:
    # Total concentration unknown: SIC 255; a sole type still gives SOD 4. Form 8 has no class.
    rows = (HEADER, "26;99;-9;93;08;-9;-9;-9;-9;-9;-9;-9;-9;08-9;I", WATER_ROW)
    scene = _read(tmp_path, RawContent(rows=rows))

    np.testing.assert_array_equal(_charts(scene)[:, 0, 0], [255, 4, 255])
    assert (scene.sar != 0).all()


def test_id_without_row_is_masked_and_counted(tmp_path: Path) -> None:
    scene = _read(tmp_path, RawContent(rows=(HEADER, ICE_ROW)))

    assert (_charts(scene)[:, :, 3:] == FILL_VALUE).all()
    assert (scene.sar != 0).all()
    # The right half: 8 x 6 raw pixels.
    assert scene.warnings == (
        "polygon_icechart: 1 id without a row in polygon_codes (76) in 48 pixels at 40 m, masked",
    )


def test_block_of_two_polygons_takes_the_larger_class_of_each_chart(tmp_path: Path) -> None:
    polygons = ice_left_water_right((8, 12))
    polygons[0, 11] = 26  # a single raw pixel of ice in the water
    scene = _read(tmp_path, RawContent(polygons=polygons))

    np.testing.assert_array_equal(_charts(scene)[:, 0, 5], [10, 4, 4])


@pytest.mark.parametrize(("dtype", "fill"), [("i2", -1), ("u1", 0), ("i1", -128), ("f4", -999.0)])
def test_integer_polygons_with_fill_value_give_the_charts_of_float_ones(
    tmp_path: Path, dtype: str, fill: float
) -> None:
    polygons = ice_left_water_right((8, 12))
    polygons[2:4, 2:4] = np.nan
    expected = _charts(_read(tmp_path, RawContent(polygons=polygons)))
    stored = np.nan_to_num(polygons, nan=fill).astype(dtype)
    attributes = {"_FillValue": np.array(fill, dtype)}
    scene = _read(tmp_path, RawContent(polygons=stored, polygon_attributes=attributes))

    np.testing.assert_array_equal(_charts(scene), expected)
    assert (_charts(scene)[:, 1, 1] == FILL_VALUE).all()


def test_raw_test_scene_has_no_charts(tmp_path: Path) -> None:
    content = RawContent(left_out=("polygon_icechart", "polygon_codes"))
    scene = _read(tmp_path, content)

    assert scene.charts is None
    assert (scene.sar != 0).all()


def test_ice_types_and_thresholds_are_options(tmp_path: Path) -> None:
    # 6 of 10 tenths multi-year ice: 60 % labels at 60, not at 65.
    rows = (HEADER, "26;91;60;97;05;40;93;05;-9;-9;-9;-9;-9;05-9;I", WATER_ROW)
    strict = _read(tmp_path, RawContent(rows=rows), ice_types=True)
    loose = _read(tmp_path, RawContent(rows=rows), rule=LabelRule(sod_threshold=60), ice_types=True)

    assert strict.ice_type is not None
    assert loose.ice_type is not None
    assert (_charts(strict)[1, 0, 0], strict.ice_type[0, 0]) == (255, 255)
    assert (_charts(loose)[1, 0, 0], loose.ice_type[0, 0]) == (5, 9)
    assert loose.ice_type[0, 5] == 0


def test_distance_zones_take_the_largest_of_a_block(tmp_path: Path) -> None:
    distance = np.full((8, 12), 3, np.float32)
    distance[0, 0] = 4
    scene = _read(tmp_path, RawContent(distance=distance))

    assert scene.distance_map[0, 0] == 4
    assert (scene.distance_map.ravel()[1:] == 3).all()


@pytest.mark.parametrize("bad", [np.nan, 42.0, -1.0])
def test_distance_outside_the_zones_is_an_error(tmp_path: Path, bad: float) -> None:
    with pytest.raises(SceneError, match=f"scene {SCENE_ID}: distance_map holds .* zones 0 to 41"):
        _read(tmp_path, RawContent(distance=np.full((8, 12), bad, np.float32)))


def test_2km_variable_with_nan_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SceneError, match=f"scene {SCENE_ID}: btemp_6_9h holds 1 values .* finite"):
        _read(tmp_path, RawContent(kelvin=float("nan")))


@pytest.mark.parametrize("name", ["nersc_sar_primary", "sar_grid_line", "btemp_89_0v"])
def test_missing_variable_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(SceneError, match=f"scene {SCENE_ID}: .* lacks {name}"):
        _read(tmp_path, RawContent(left_out=(name,)))


def test_polygons_without_codes_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(SceneError, match="holds polygon_icechart alone"):
        _read(tmp_path, RawContent(left_out=("polygon_codes",)))


def test_optional_swath_variables_may_be_missing(tmp_path: Path) -> None:
    scene = _read(tmp_path, RawContent(left_out=("amsr2_swath_map", "swath_segmentation")))

    assert scene.sar.shape == (3, 4, 6)


def test_tie_points_that_are_no_grid_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(SceneError, match="9 points on 3 lines and 2 samples; expected a full grid"):
        _read(tmp_path, RawContent(tie_samples=(0, 6, 6)))


def test_malformed_row_names_scene_and_row(tmp_path: Path) -> None:
    rows = (HEADER, ICE_ROW, WATER_ROW.replace("98", "x"))
    with pytest.raises(LabelError, match=f"scene {SCENE_ID}: polygon_codes row 2 .* SA 'x'"):
        _read(tmp_path, RawContent(rows=rows))


def test_shapes_that_disagree_are_an_error(tmp_path: Path) -> None:
    # distance_map of another size needs its own dimension, so the file is made by hand.
    path = write_raw_file(tmp_path, RawContent(left_out=("distance_map",)))
    import netCDF4

    with netCDF4.Dataset(str(path), "a") as dataset:
        dataset.createDimension("other", 5)
        dataset.createVariable("distance_map", "f4", ("sar_lines", "other"))[...] = 1
    with pytest.raises(SceneError, match=r"distance_map has shape \(8, 5\); .* \(8, 12\)"):
        convert_raw_scene(path)


def test_damaged_file_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / RAW_NAME
    path.write_bytes(b"not NetCDF")
    with pytest.raises(SceneError, match=f"raw scene .*{RAW_NAME} cannot be read"):
        convert_raw_scene(path)


def test_damaged_chunk_is_an_error(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(-15, 3, (64, 64)).astype(np.float32)
    path = write_raw_file(tmp_path, RawContent(primary=noise, secondary=noise))
    content = bytearray(path.read_bytes())
    middle = content.find(b"\x78\x5e") + 2000  # inside the first deflated chunk
    content[middle : middle + 500] = bytes(500)
    path.write_bytes(content)

    with pytest.raises(SceneError, match=f"scene {SCENE_ID}: .* is damaged: "):
        convert_raw_scene(path)


def test_tie_points_must_be_finite(tmp_path: Path) -> None:
    angles = np.full((3, 3), 30.0)
    angles[1, 1] = np.nan
    with pytest.raises(SceneError, match=r"sar_grid_incidenceangle holds 1 values .* not finite"):
        _read(tmp_path, RawContent(angles=angles))


def test_find_raw_files_goes_by_content(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    path = write_raw_file(tmp_path / "sub", RawContent())
    (tmp_path / "notes.nc").write_bytes(b"text")
    other = write_raw_file(
        tmp_path, RawContent(left_out=("sar_grid_line",)), name="20190101T000000_cis_prep.nc"
    )

    assert find_raw_files(tmp_path) == {SCENE_ID: path}
    assert find_raw_files(path) == {SCENE_ID: path}
    (tmp_path / "sub" / "circle").symlink_to(tmp_path)
    assert find_raw_files(tmp_path) == {SCENE_ID: path}
    assert is_raw_scene(path)
    assert not is_raw_scene(other)


def test_truncated_file_is_a_failed_scene_and_no_missing_one(tmp_path: Path) -> None:
    path = write_raw_file(tmp_path, RawContent())
    path.write_bytes(path.read_bytes()[:2000])

    assert find_raw_files(tmp_path) == {SCENE_ID: path}
    with pytest.raises(SceneError, match="cannot be read"):
        convert_raw_scene(path)


def test_find_raw_files_errors(tmp_path: Path) -> None:
    with pytest.raises(SceneError, match="found nothing"):
        find_raw_files(tmp_path / "absent")
    with pytest.raises(SceneError, match="found no raw scene"):
        find_raw_files(tmp_path)
    (tmp_path / "sub").mkdir()
    odd = write_raw_file(tmp_path / "sub", RawContent(), name="scene.nc")
    with pytest.raises(SceneError, match=r"sub/scene\.nc: .* is not a raw scene name.*rename it"):
        find_raw_files(tmp_path)
    odd.unlink()
    write_raw_file(tmp_path, RawContent())
    write_raw_file(tmp_path, RawContent(), name=f"{SCENE_ID}.nc")
    with pytest.raises(SceneError, match=f"scene {SCENE_ID}: found two raw files"):
        find_raw_files(tmp_path)


def test_scene_below_two_pixels_is_an_error(tmp_path: Path) -> None:
    path = write_raw_file(tmp_path, RawContent(primary=np.zeros((1, 12), np.float32)))
    with pytest.raises(SceneError, match="is 1x12; expected at least 2x2"), open_raw_file(path):
        pass


@settings(max_examples=50, deadline=None)
@given(
    arrays(
        np.float32,
        st.tuples(st.integers(1, 6), st.integers(1, 6)).map(lambda s: (2 * s[0], 2 * s[1])),
        elements=st.one_of(st.floats(-100, 30, width=32), st.just(np.nan)),
    )
)
def test_2x2_reductions_agree_with_reshaped_blocks(values: np.ndarray[Any, Any]) -> None:
    lines, samples = values.shape
    blocks = values.reshape(lines // 2, 2, samples // 2, 2)
    np.testing.assert_allclose(
        mean_2x2(values), blocks.mean(axis=(1, 3), dtype=np.float64), rtol=1e-5, atol=1e-4
    )
    codes = np.nan_to_num(np.abs(values)).astype(np.uint8)
    expected = codes.reshape(blocks.shape).max(axis=(1, 3))
    np.testing.assert_array_equal(max_2x2(codes), expected)


@st.composite
def small_scenes(draw: st.DrawFn) -> RawContent:
    """Random sizes, polygons with holes and ids without rows, SAR with gaps."""
    shape = draw(st.tuples(st.integers(2, 7), st.integers(2, 7)))
    ids = st.sampled_from([26.0, 76.0, 99.0, np.nan])
    decibels = st.one_of(st.floats(-40, 5, width=32), st.just(np.nan))
    return RawContent(
        primary=draw(arrays(np.float32, shape, elements=decibels)),
        secondary=draw(arrays(np.float32, shape, elements=decibels)),
        polygons=draw(arrays(np.float32, shape, elements=ids)),
        tie_lines=(0, shape[0] - 1),
        tie_samples=(0, shape[1] - 1),
    )


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(content=small_scenes())
def test_conversion_agrees_with_a_loop_over_pixels(tmp_path: Path, content: RawContent) -> None:
    labels = {26.0: (10, 4, 4), 76.0: (0, 0, 0)}
    scene = _read(tmp_path, content)
    assert content.polygons is not None
    assert content.secondary is not None
    for line, sample in np.ndindex(content.shape[0] // 2, content.shape[1] // 2):
        block = np.s_[2 * line : 2 * line + 2, 2 * sample : 2 * sample + 2]
        ids = content.polygons[block].ravel().tolist()
        hh, hv = content.primary[block].mean(), content.secondary[block].mean()
        if np.isnan([*ids, hh, hv]).any():
            assert (scene.sar[:, line, sample] == 0).all()
            assert (_charts(scene)[:, line, sample] == FILL_VALUE).all()
            continue
        expected = np.max([labels.get(i, (FILL_VALUE,) * 3) for i in ids], axis=0)
        np.testing.assert_array_equal(_charts(scene)[:, line, sample], expected)
        raw = [
            destandardise(VARIABLES[name], scene.sar[channel, line, sample])
            for channel, name in enumerate(("nersc_sar_primary", "nersc_sar_secondary"))
        ]
        np.testing.assert_allclose(raw, [hh, hv], atol=1e-4)
        # The angle is 20 + raw sample.
        angle = destandardise(VARIABLES["sar_incidenceangle"], scene.sar[2, line, sample])
        assert angle == pytest.approx(20.5 + 2 * sample, abs=1e-4)


def test_packed_polygons_and_codes_as_characters(tmp_path: Path) -> None:
    import netCDF4

    path = write_raw_file(tmp_path, RawContent(left_out=("polygon_icechart", "polygon_codes")))
    rows = [HEADER, ICE_ROW, WATER_ROW]
    stored = np.nan_to_num(ice_left_water_right((8, 12)) / 2).astype("i1")
    stored[0, 0] = -1
    with netCDF4.Dataset(str(path), "a") as dataset:
        dims = ("sar_lines", "sar_samples")
        polygons = dataset.createVariable("polygon_icechart", "i1", dims, fill_value=-1)
        polygons.set_auto_maskandscale(False)
        polygons.scale_factor = 2.0  # ids 26 and 76 are kept as 13 and 38
        polygons[:] = stored
        dataset.createDimension("polygon_codes", len(rows))
        dataset.createDimension("width", max(map(len, rows)))
        codes = dataset.createVariable("polygon_codes", "S1", ("polygon_codes", "width"))
        codes[:] = netCDF4.stringtochar(np.array(rows, "S"))

    charts = _charts(convert_raw_scene(path))

    np.testing.assert_array_equal(charts[:, 0, 0], [255, 255, 255])
    np.testing.assert_array_equal(charts[:, 1, 0], [10, 4, 4])
    np.testing.assert_array_equal(charts[:, 1, 5], [0, 0, 0])


@pytest.mark.slow
def test_full_size_scene_stays_below_3_gb(tmp_path: Path) -> None:
    from benchmarks.measure import measure_alone
    from benchmarks.raw_scenes import NAME, convert, write_raw_scene

    path = tmp_path / NAME
    measure_alone(write_raw_scene, path, 10_000, 10_500)

    assert measure_alone(convert, path).peak_bytes < 3e9
