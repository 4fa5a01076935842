"""Every variable of every kind of scene is decoded as its CF attributes say, or refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest

from autoice_bench.charts import CHART_NAMES
from autoice_bench.datasets.sources.raw import REQUIRED_VARIABLES, TIE_POINT_NAMES
from autoice_bench.datasets.sources.raw_conversion import convert_raw_scene
from autoice_bench.datasets.sources.rtt import read_scene
from autoice_bench.datasets.sources.scene_arrays import SceneArrays
from autoice_bench.datasets.sources.scenes import read_source_scene
from autoice_bench.errors import SceneError
from autoice_bench.formats.rtt_folder import SceneFile
from autoice_bench.formats.variables import (
    GRID_2KM_DIMS,
    SAR_DIMS,
    STANDARDISED_VARIABLES,
    TIE_POINT_DIMS,
    TIE_POINT_VARIABLES,
)
from tests.datasets.raw_file_writer import RAW_NAME, RawContent, write_raw_file
from tests.datasets.repacking import repack
from tests.datasets.rtt_file_writer import make_content, write_scene_file

NAN = float("nan")


def assert_same_scene(found: SceneArrays, expected: SceneArrays, atol: float = 1e-6) -> None:
    for name, values in expected.by_name().items():
        np.testing.assert_allclose(found.by_name()[name], values, atol=atol, err_msg=name)
    assert found.warnings == expected.warnings


# --- raw


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return write_raw_file(tmp_path, RawContent())


@pytest.mark.parametrize("order", "<>")
def test_packed_raw_tie_points(raw: Path, order: str) -> None:
    expected = convert_raw_scene(raw)
    # 70.04 degrees north is kept as 4 and 40.00 - 2.5 degrees of incidence as 1250.
    for name in TIE_POINT_NAMES:
        offset = 70.0 if "latitude" in name else 0.0
        repack(
            raw,
            name,
            lambda values, offset=offset: np.rint((values - offset) * 100).astype(f"{order}i2"),
            scale_factor=0.01,
            add_offset=offset,
        )
    assert_same_scene(convert_raw_scene(raw), expected)


@pytest.mark.parametrize("name", ["btemp_18_7h", "t2m", "nersc_sar_primary", "distance_map"])
@pytest.mark.parametrize(("dtype", "unsigned"), [("u2", False), ("i2", True), ("i8", False)])
def test_packed_raw_channels(raw: Path, name: str, dtype: str, unsigned: bool) -> None:
    expected = convert_raw_scene(raw)
    kept = {"_Unsigned": "true"} if unsigned else {}
    # 250 K is kept as 45000, which is -20536 in a signed variable; -15 dB as 18500.
    repack(
        raw,
        name,
        lambda values: np.rint((values + 200) * 100).astype("i8").astype("u2").astype(dtype),
        scale_factor=0.01,
        add_offset=-200.0,
        **kept,
    )
    assert_same_scene(convert_raw_scene(raw), expected, atol=1e-4)


def test_both_missing_values_of_raw_sar(raw: Path) -> None:
    def punched(values: Any) -> Any:
        values[0, 0], values[3, 7] = NAN, -9999
        return values

    repack(
        raw,
        "nersc_sar_primary",
        punched,
        _FillValue=np.float32(NAN),
        missing_value=np.float32(-9999),
    )
    scene = convert_raw_scene(raw)
    masked = np.zeros((4, 6), bool)
    masked[0, 0] = masked[1, 3] = True  # the 2x2 blocks of raw pixels (0, 0) and (3, 7)
    np.testing.assert_array_equal((scene.sar == 0).all(axis=0), masked)


def test_polygon_ids_in_signed_bytes(raw: Path) -> None:
    expected = convert_raw_scene(raw)
    # Ids 26 and 76 as 226 and 20 after 200 was added to the bytes.
    repack(
        raw,
        "polygon_icechart",
        lambda ids: (ids + 100).astype("u1").view("i1"),
        _FillValue=np.int8(-1),
        _Unsigned="true",
        add_offset=-100.0,
    )
    assert_same_scene(convert_raw_scene(raw), expected)


def test_polygon_ids_with_two_missing_values(raw: Path) -> None:
    def holed(ids: Any) -> Any:
        ids[0, 0], ids[2, 0] = 254, 255
        return ids.astype("u1")

    repack(raw, "polygon_icechart", holed, _FillValue=np.uint8(255), missing_value=np.uint8(254))
    scene = convert_raw_scene(raw)
    assert scene.charts is not None
    np.testing.assert_array_equal(scene.charts[0, :, 0], [255, 255, 10, 10])
    assert not any("without a row" in warning for warning in scene.warnings)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("sar_grid_latitude", 30_000, "sar_grid_latitude spans .* to 30000; expected degrees"),
        ("sar_grid_longitude", -361, "sar_grid_longitude spans -361 .* from -360 to 360"),
        ("sar_grid_incidenceangle", 4353, "angle spans .* to 4353; expected degrees from 15 to 50"),
        ("sar_grid_incidenceangle", 0.3, "angle spans 0.3 to .*; expected degrees from 15 to 50"),
        ("btemp_36_5v", 0, "btemp_36_5v spans 0 to 250 K; possible are 50 to 350"),
        ("btemp_36_5v", 655.35, "btemp_36_5v spans 250 to 655.35 K; possible are 50 to 350"),
        ("t2m", -5, "t2m spans -5 to 250 K; possible are 150 to 350: .*another unit than K"),
        ("skt", 149, "skt spans 149 to 250 K; possible are 150 to 350"),
        ("v10m_rotated", -9999, "v10m_rotated spans -9999 to .* possible are -300 to 300"),
        ("nersc_sar_primary", -9999, "nersc_sar_primary spans -9999 to -15 dB; possible are -400"),
    ],
)
def test_missing_data_in_disguise_is_refused(
    tmp_path: Path, name: str, value: float, message: str
) -> None:
    path = write_raw_file(tmp_path, RawContent(shape_2km=(1, 1)))
    content = RawContent(primary=np.full((100, 100), -15, np.float32), shape_2km=(2, 2))
    path = write_raw_file(tmp_path, content)

    def spoilt(values: Any) -> Any:
        values.flat[0] = value
        return values

    repack(path, name, spoilt)
    with pytest.raises(SceneError, match=message):
        convert_raw_scene(path)


def test_linear_sigma0_is_refused(tmp_path: Path) -> None:
    linear = np.random.default_rng(0).uniform(0.001, 0.9, (40, 40)).astype(np.float32)
    path = write_raw_file(tmp_path, RawContent(primary=linear))
    with pytest.raises(SceneError, match=r"nersc_sar_primary spans .* nothing below 0: linear"):
        convert_raw_scene(path)


def test_what_no_released_scene_reaches_is_a_remark(tmp_path: Path) -> None:
    primary = np.full((40, 40), -15, np.float32)
    primary[0, 0] = 40
    primary[:, -1] = 0  # nodata at the swath's border, written as 0
    path = write_raw_file(tmp_path, RawContent(primary=primary, secondary=primary - 50))
    warnings = convert_raw_scene(path).warnings
    assert "nersc_sar_primary spans -15 to 40 dB; released scenes stay within -380 to 25.2" in (
        warnings
    )
    (zeros,) = [warning for warning in warnings if "exactly 0 dB" in warning]
    assert zeros.startswith("nersc_sar_primary is exactly 0 dB in 40 pixels of 40 m: nodata")


def declare(path: Path, grids: Any, names: Any) -> None:
    """Write a file of some kB whose variables are as large as it says, without a value."""
    with netCDF4.Dataset(path, "w") as file:
        for dims, shape in grids.items():
            for dim, size in zip(dims, shape, strict=True):
                file.createDimension(dim, size)
        for name, dims in names:
            chunks = [min(1000, len(file.dimensions[dim])) for dim in dims]
            file.createVariable(name, "f4", dims, zlib=True, chunksizes=chunks)
    assert path.stat().st_size < 300_000


def test_raw_scene_that_declares_too_much(tmp_path: Path) -> None:
    path = tmp_path / RAW_NAME
    full = ("nersc_sar_primary", "nersc_sar_secondary", "distance_map")
    cells = [name for name in REQUIRED_VARIABLES if name not in (*full, *TIE_POINT_NAMES)]
    grids = {SAR_DIMS: (100_000, 100_000), GRID_2KM_DIMS: (2000, 2000), ("points",): (441,)}
    declare(
        path,
        grids,
        [
            *((name, SAR_DIMS) for name in full),
            *((name, GRID_2KM_DIMS) for name in cells),
            *((name, ("points",)) for name in TIE_POINT_NAMES),
        ],
    )
    with pytest.raises(SceneError, match="100000 x 100000; expected lines x samples, at most"):
        convert_raw_scene(path)


# --- ready-to-train


def test_packed_charts_and_tie_points(tmp_path: Path) -> None:
    scene = write_scene_file(tmp_path, make_content())
    expected = read_scene(scene)
    for name in CHART_NAMES:
        # Class 0 is kept as 1; 255, which stays no class, as the fill value.
        repack(
            scene.path,
            name,
            lambda classes: np.where(classes == 255, 0, classes + 1).astype("u1"),
            _FillValue=np.uint8(0),
            add_offset=-1,
        )
    for name in TIE_POINT_VARIABLES:
        repack(
            scene.path, name, lambda degrees: np.rint(degrees * 1e6).astype("i4"), scale_factor=1e-6
        )
    found = read_scene(scene)
    for name, values in expected.by_name().items():
        np.testing.assert_allclose(found.by_name()[name], values, atol=1e-6, err_msg=name)


def test_missing_2km_values_are_refused(tmp_path: Path) -> None:
    scene = write_scene_file(tmp_path, make_content())

    def punched(values: Any) -> Any:
        values[0, 0] = -9999
        return values

    repack(scene.path, "t2m", punched, missing_value=np.float32(-9999))
    with pytest.raises(SceneError, match="t2m holds values that are not finite; expected none"):
        read_scene(scene)


def test_declared_nodata_of_sar_is_nodata(tmp_path: Path) -> None:
    scene = write_scene_file(tmp_path, make_content())
    expected = read_scene(scene)
    for name in ("nersc_sar_primary", "nersc_sar_secondary", "sar_incidenceangle"):
        repack(scene.path, name, lambda values: values, _FillValue=np.float32(0))
    np.testing.assert_array_equal(read_scene(scene).sar, expected.sar)


def test_class_that_is_declared_missing_is_refused(tmp_path: Path) -> None:
    scene = write_scene_file(tmp_path, make_content())
    repack(scene.path, "SOD", lambda classes: classes, _FillValue=np.uint8(0))
    with pytest.raises(SceneError, match="SOD declares 0, a class, to be missing"):
        read_scene(scene)


def test_rtt_scene_that_declares_too_much(tmp_path: Path) -> None:
    path = tmp_path / "20180607T184326_dmi_prep.nc"
    grids = {
        SAR_DIMS: (100_000, 100_000),
        GRID_2KM_DIMS: (4000, 4000),
        TIE_POINT_DIMS: (21, 21),
    }
    declare(
        path,
        grids,
        [
            *((name, SAR_DIMS) for name in CHART_NAMES),
            *((variable.name, variable.dims) for variable in STANDARDISED_VARIABLES),
            *((name, TIE_POINT_DIMS) for name in TIE_POINT_VARIABLES),
        ],
    )
    with pytest.raises(SceneError, match="100000 x 100000; expected lines x samples, at most"):
        read_scene(SceneFile("20180607T184326_dmi", path, None, "train", None))


@pytest.mark.parametrize("kind", ["rtt", "raw"])
def test_lack_of_memory_is_the_scene_s_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Any
) -> None:
    def lacking(*_: Any, **__: Any) -> None:
        raise MemoryError

    for reader in ("read_scene", "read_raw_scene"):
        monkeypatch.setattr(f"autoice_bench.datasets.sources.scenes.{reader}", lacking)
    scene = SceneFile("20180607T184326_dmi", tmp_path / "x.nc", None, "train", None, kind)
    with pytest.raises(
        SceneError, match=r"x\.nc asks for more memory than there is; fewer workers"
    ):
        read_source_scene(scene, "float16")
