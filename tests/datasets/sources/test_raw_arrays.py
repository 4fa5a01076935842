from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from autoice_bench.charts import CHARTS, FILL_VALUE
from autoice_bench.datasets.sources.raw_conversion import convert_raw_scene, read_raw_scene
from autoice_bench.datasets.sources.scenes import find_raw_scenes
from autoice_bench.errors import SceneError
from autoice_bench.formats.rtt_folder import SceneFile
from tests.datasets.raw_file_writer import (
    HEADER,
    ICE_ROW,
    RAW_NAME,
    SCENE_ID,
    RawContent,
    write_raw_file,
)

CELL = np.full((50, 50), -15, np.float32)  # 25x25 pixels at 80 m: exactly one 2 km cell


def _scene(path: Path, *, subset: str = "train") -> SceneFile:
    return SceneFile(SCENE_ID, path, None, "test" if subset == "test" else "train", None)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_arrays_equal_the_converted_scene(tmp_path: Path, dtype: str) -> None:
    primary = CELL.copy()
    primary[0, 0] = np.nan
    path = write_raw_file(tmp_path, RawContent(primary=primary))
    arrays = read_raw_scene(_scene(path), dtype="float16" if dtype == "float16" else "float32")
    converted = convert_raw_scene(path)

    assert arrays.sar.dtype == dtype
    np.testing.assert_array_equal(arrays.sar, converted.sar.astype(dtype))
    difference = np.abs(arrays.sar.astype(np.float32) - converted.sar).max()
    assert arrays.rounding_error == pytest.approx(difference)
    assert arrays.charts is not None
    assert converted.charts is not None
    np.testing.assert_array_equal(arrays.charts, converted.charts)
    assert arrays.warnings == ()
    assert arrays.attributes["original_id"] == RAW_NAME
    assert arrays.class_counts is not None
    # 25x25 pixels: one masked, 12 full columns and one mixed one (raw columns 24 | 25) of ice.
    assert arrays.class_counts[0, 10] == 25 * 13 - 1
    assert arrays.class_counts[0, FILL_VALUE] == 1
    assert arrays.class_counts.sum(axis=1).tolist() == [625] * len(CHARTS)


def test_problems_become_warnings(tmp_path: Path) -> None:
    rows = (
        HEADER,
        ICE_ROW.replace("93", "94"),  # stage outside the table
        "30;50;40;93;05;40;91;05;-9;-9;-9;-9;-9;-9;I",  # 4 + 4 of 5 tenths
    )
    path = write_raw_file(tmp_path, RawContent(primary=CELL, rows=rows))
    warnings = read_raw_scene(_scene(path)).warnings

    assert warnings == (
        "polygon codes: unknown code in 1 polygon: SA 94 (1x)",
        "polygon codes: partials exceed total in 1 polygon: CT 50 < 40 + 40 (1x)",
        "polygon_icechart: 1 id without a row in polygon_codes (76) in 1250 pixels at 40 m, masked",
    )


def test_scene_without_polygons_must_be_a_test_scene(tmp_path: Path) -> None:
    content = RawContent(primary=CELL, left_out=("polygon_icechart", "polygon_codes"))
    path = write_raw_file(tmp_path, content)

    assert read_raw_scene(_scene(path, subset="test")).charts is None
    with pytest.raises(SceneError, match=f"scene {SCENE_ID}: .* holds no polygons"):
        read_raw_scene(_scene(path))


def test_2km_grid_must_fit(tmp_path: Path) -> None:
    path = write_raw_file(tmp_path, RawContent(primary=np.full((100, 50), -15, np.float32)))
    with pytest.raises(SceneError, match=r"2 km grid is \(1, 1\) for 50x25 pixels .* \(2, 1\)"):
        read_raw_scene(_scene(path))


def test_infinite_sar_is_an_error(tmp_path: Path) -> None:
    primary = CELL.copy()
    primary[3, 3] = np.inf
    path = write_raw_file(tmp_path, RawContent(primary=primary))
    with pytest.raises(SceneError, match="nersc_sar_primary holds infinite or huge values"):
        read_raw_scene(_scene(path))


def test_listing_tells_subset_and_region(tmp_path: Path) -> None:
    (tmp_path / "test").mkdir()
    write_raw_file(tmp_path, RawContent())
    other = RAW_NAME.replace("20180607T184326_2", "20190607T184326_2")
    write_raw_file(tmp_path / "test", RawContent(), name=other)
    official = RAW_NAME.replace("20180607T184326_2", "20180124T194759_2")
    write_raw_file(tmp_path, RawContent(), name=official.replace(".nc", "_testdata.nc"))
    withdrawn = RAW_NAME.replace("20180607T184326_2", "20200625T081801_2")
    write_raw_file(tmp_path, RawContent(), name=withdrawn)

    listing = find_raw_scenes(tmp_path)

    assert [(scene.scene_id, scene.subset, scene.region) for scene in listing.scenes] == [
        ("20180124T194759_dmi", "test", "CentralEast"),
        (SCENE_ID, "train", "CentralEast"),
        ("20190607T184326_dmi", "test", "CentralEast"),
    ]
    assert len(listing.notes) == 1
    assert "20200625T081801_dmi: withdrawn" in listing.notes[0]
