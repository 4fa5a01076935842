from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from autoice_bench.charts import FILL_VALUE
from autoice_bench.datasets.checks.grid_anchor import GridOffset, combine_offsets
from autoice_bench.datasets.checks.raw_comparison import compare_raw_source
from autoice_bench.datasets.sources.raw_conversion import convert_raw_scene
from autoice_bench.datasets.sources.scene_arrays import SceneArrays
from autoice_bench.errors import SceneError
from autoice_bench.formats.variables import VARIABLES
from autoice_bench.text.raw_comparison import format_raw_comparison
from tests.datasets.raw_file_writer import (
    RAW_NAME,
    SCENE_ID,
    RawContent,
    write_raw_file,
    write_rtt_twin,
)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """A folder with one raw scene of 50x50 pixels, a nodata pixel in it."""
    folder = tmp_path / "raw"
    folder.mkdir()
    rng = np.random.default_rng(0)
    primary = rng.normal(-15, 3, (50, 50)).astype(np.float32)
    primary[0, 0] = np.nan
    # Ties at k * ceil(50 / 4), the last at 49, as the released files have them.
    ties = (0, 13, 26, 39, 49)
    write_raw_file(folder, RawContent(primary=primary, tie_lines=ties, tie_samples=ties))
    return folder


@pytest.fixture
def converted(raw: Path) -> SceneArrays:
    return convert_raw_scene(raw / RAW_NAME)


def _released(tmp_path: Path, scene: SceneArrays) -> Path:
    folder = tmp_path / "rtt"
    folder.mkdir()
    write_rtt_twin(folder, scene)
    return folder


def test_twin_is_equal(tmp_path: Path, raw: Path, converted: SceneArrays) -> None:
    comparison = compare_raw_source(raw, _released(tmp_path, converted))

    (scene,) = comparison.scenes
    assert [(chart.chart, chart.equal) for chart in scene.charts] == [
        ("SIC", 625),
        ("SOD", 625),
        ("FLOE", 625),
    ]
    assert len(scene.channels) == 3 + 14 + 6
    assert {(channel.largest, channel.nodata_differs) for channel in scene.channels} == {(0.0, 0)}
    assert (scene.other_distance, scene.largest_tie_offset_px) == (0, 0.0)
    assert comparison.anchor.anchor == "undecided"  # one cell tells nothing
    text = format_raw_comparison(comparison)
    assert f"{SCENE_ID}: equal SIC 100.0000 %, SOD 100.0000 %, FLOE 100.0000 %" in text
    assert "no scene allows an estimate" in text


def test_differences_are_found(tmp_path: Path, raw: Path, converted: SceneArrays) -> None:
    assert converted.charts is not None
    charts = converted.charts.copy()
    charts[0, 5, 5] = 3  # 10 in ours: another class
    charts[1, 6, 6] = FILL_VALUE  # a label in ours only
    charts[2, 0, 0] = 2  # nodata in ours
    sar = converted.sar.copy()
    sar[0, 8, 8] += 0.5
    sar[1, 9, 9] = 0
    amsr2 = converted.amsr2 + np.float32(0.25)
    changed = replace(converted, charts=charts, sar=sar, amsr2=amsr2)

    (scene,) = compare_raw_source(raw, _released(tmp_path, changed)).scenes

    sic, sod, floe = scene.charts
    assert (sic.equal, sic.other_class, sic.only_ours, sic.only_released) == (624, 1, 0, 0)
    assert (sod.equal, sod.other_class, sod.only_ours, sod.only_released) == (624, 0, 1, 0)
    assert (floe.equal, floe.other_class, floe.only_ours, floe.only_released) == (624, 0, 0, 1)
    channels = {channel.name: channel for channel in scene.channels}
    # Decoded: 0.5 and 0.25 standard deviations.
    hh = channels["nersc_sar_primary"]
    assert hh.largest == pytest.approx(0.5 * VARIABLES["nersc_sar_primary"].std, rel=1e-5)
    assert hh.units == "dB"
    assert channels["nersc_sar_secondary"].nodata_differs == 1
    expected = 0.25 * VARIABLES["btemp_89_0v"].std
    assert channels["btemp_89_0v"].largest == pytest.approx(expected, rel=1e-5)
    assert channels["t2m"].largest == 0


def test_damaged_scene_is_a_failure(tmp_path: Path, raw: Path, converted: SceneArrays) -> None:
    source = _released(tmp_path, converted)
    (raw / RAW_NAME).unlink()
    content = RawContent(primary=np.full((50, 50), -15, np.float32), distance=np.full((50, 50), 99))
    write_raw_file(raw, content)

    comparison = compare_raw_source(raw, source)

    assert comparison.scenes == ()
    assert "distance_map holds 99.0" in comparison.failures[SCENE_ID]


def test_sizes_must_agree(tmp_path: Path, raw: Path, converted: SceneArrays) -> None:
    source = _released(tmp_path, converted)
    (raw / RAW_NAME).unlink()
    write_raw_file(raw, RawContent(primary=np.full((52, 50), -15, np.float32)))

    comparison = compare_raw_source(raw, source)

    assert "sar is (3, 26, 25) from raw and (3, 25, 25)" in comparison.failures[SCENE_ID]


def test_sources_without_common_scene(tmp_path: Path, raw: Path, converted: SceneArrays) -> None:
    source = _released(tmp_path, replace(converted, scene_id="20190607T184326_dmi"))

    with pytest.raises(SceneError, match="no scene in common; found 1 raw scenes from 20180607"):
        compare_raw_source(raw, source)


def test_text_names_what_differs(tmp_path: Path, raw: Path, converted: SceneArrays) -> None:
    sar = converted.sar.copy()
    sar[0, 8, 8] += 1
    sar[1, 9, 9] = 0
    zones = converted.distance_map.copy()
    zones[3, 3:5] = 7
    changed = replace(converted, sar=sar, distance_map=zones)
    comparison = compare_raw_source(raw, _released(tmp_path, changed))
    anchor = combine_offsets([GridOffset(11.5, 12.5, 0.9), GridOffset(12.5, 11.5, 0.9)])

    text = format_raw_comparison(replace(comparison, anchor=anchor)).splitlines()

    # One standard deviation of HH is 5.66 dB.
    assert text[0] == (
        f"{SCENE_ID}: equal SIC 100.0000 %, SOD 100.0000 %, FLOE 100.0000 %; largest difference "
        "nersc_sar_primary 5.7 dB, nersc_sar_secondary 0 dB, sar_incidenceangle 0 degree, "
        "1 nodata pixels differ, 2 distance zones differ"
    )
    assert "  nersc_sar_primary: at most 5.66 dB" in text
    assert text[-1] == (
        "2 km grid: values lie 12.0 lines and 12.0 samples +- 0.0 from their cell's corner pixel "
        "(corner 0, centre 12; 2 scenes): centre"
    )


def test_scenes_of_one_source_only_and_progress(
    tmp_path: Path, raw: Path, converted: SceneArrays
) -> None:
    source = _released(tmp_path, converted)
    write_rtt_twin(source, replace(converted, scene_id="20190607T184326_dmi"))
    other = RAW_NAME.replace("20180607T184326_2", "20170607T184326_2")
    write_raw_file(raw, RawContent(), name=other)
    seen: list[tuple[int, int]] = []

    comparison = compare_raw_source(raw, source, on_scene=lambda *at: seen.append(at))

    assert comparison.only_raw == ("20170607T184326_dmi",)
    assert comparison.only_released == ("20190607T184326_dmi",)
    assert seen == [(1, 1)]
    assert format_raw_comparison(comparison).splitlines()[-3:-1] == [
        "not compared: 1 scene only among the raw scenes: 20170607T184326_dmi",
        "not compared: 1 scene only among the released scenes: 20190607T184326_dmi",
    ]
    assert comparison.to_dict()["scenes"][0]["scene_id"] == SCENE_ID
