"""Charts of a scene: what is refused, in which words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from autoice_bench.charts import CHART_NAMES
from autoice_bench.datasets.sources.rtt import read_scene
from autoice_bench.formats.variables import SAR_DIMS
from tests.datasets.rtt_file_writer import (
    SCENE_ID,
    SHAPE,
    RttContent,
    RttVariable,
    expect_error,
    make_content,
    warnings_of,
    write_scene_file,
)


@pytest.fixture
def content() -> RttContent:
    return make_content()


@pytest.mark.parametrize(
    ("chart", "value", "words"),
    [
        ("SIC", 11, "SIC holds 11 in 6 pixels; expected 0-10 or fill 255"),
        ("SOD", 6, "SOD holds 6 in 6 pixels; expected 0-5 or fill 255"),
        ("FLOE", 7, "FLOE holds 7 in 6 pixels; expected 0-6 or fill 255"),
        ("FLOE", 254, "FLOE holds 254 in 6 pixels; expected 0-6 or fill 255"),
    ],
)
def test_class_out_of_range(
    tmp_path: Path, content: RttContent, chart: str, value: int, words: str
) -> None:
    content.values(chart)[20, 10:16] = value
    expect_error(tmp_path, content, words)


def test_several_classes_out_of_range(tmp_path: Path, content: RttContent) -> None:
    content.values("SOD")[20, :3] = [99, 7, 6]
    expect_error(tmp_path, content, "SOD holds 99 and others in 3 pixels; expected 0-5 or fill 255")


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
    expect_error(tmp_path, content, "SIC holds 3.5 in 1 pixel; expected 0-10 or fill 255")


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
