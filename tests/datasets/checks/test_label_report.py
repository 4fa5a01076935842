from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from autoice_bench.cli import main
from autoice_bench.commands import progress
from autoice_bench.datasets.checks.label_report import (
    REFERENCE_RULE,
    ChartCounts,
    LabelReport,
    Tally,
    add_reports,
    list_rules,
    report_scene,
    report_source,
)
from autoice_bench.errors import LabelError
from autoice_bench.formats.label_rule import LabelRule, parse_threshold
from autoice_bench.text.labels import format_class_shares, format_label_report
from tests.datasets.raw_file_writer import (
    HEADER,
    RAW_NAME,
    SCENE_ID,
    WATER_ROW,
    RawContent,
    write_raw_file,
)

OTHER_NAME = RAW_NAME.replace("20180607T184326_2", "20190607T184326_2")
OTHER_ID = "20190607T184326_dmi"
# 26: 6 of 10 tenths old ice (labelled from 60 % down). 33: A's partial is missing beside a filled
# B, so the released rule says old ice and the sum says first-year ice (7 of 9 = 78 %).
MIXED_ROW = "26;91;60;97;05;40;93;04;-9;-9;-9;-9;-9;05-9;I"
MISSING_ROW = "33;90;-9;95;5;70;93;4;-9;-9;-9;-9;-9;-9;I"


@pytest.fixture
def mixed_file(tmp_path: Path) -> Path:
    """8x10 pixels: 30 of polygon 26, 20 of 33, 10 of water, 5 without a row, 15 uncharted."""
    polygons = np.full(80, np.nan, np.float32)
    polygons[:30], polygons[30:50], polygons[50:60], polygons[60:65] = 26, 33, 76, 99
    content = RawContent(
        primary=np.full((8, 10), -15, np.float32),
        polygons=polygons.reshape(8, 10),
        rows=(HEADER, MIXED_ROW, MISSING_ROW, WATER_ROW),
    )
    return write_raw_file(tmp_path, content)


def _report(path: Path, *thresholds: tuple[int, int]) -> LabelReport:
    report = report_scene(path, list_rules(thresholds))
    assert report is not None
    return report


def test_counts_of_polygons_and_pixels(mixed_file: Path) -> None:
    report = _report(mixed_file, (65, 65), (50, 65))

    assert (report.title, report.polygons, report.pixels) == (SCENE_ID, 3, 60)
    assert (report.uncharted_pixels, report.ids_without_row, report.pixels_without_row) == (
        (15, 1, 5)
    )
    released = report.counts[REFERENCE_RULE]["SOD"]
    assert released.polygons == Tally(labelled=2, masked=1, relabelled=0)
    assert released.pixels == Tally(labelled=30, masked=30, relabelled=0)
    assert released.class_pixels == (10, 0, 0, 0, 0, 20)
    loose = report.counts[LabelRule(sod_threshold=50)]
    assert loose["SOD"].pixels == Tally(labelled=60, masked=0, relabelled=0)
    assert loose["FLOE"] == report.counts[REFERENCE_RULE]["FLOE"]
    summed = report.counts[LabelRule("dominant-sum")]["SOD"]
    assert summed.polygons == Tally(labelled=2, masked=1, relabelled=1)
    assert summed.pixels == Tally(labelled=30, masked=30, relabelled=20)
    assert summed.class_pixels == (10, 0, 0, 0, 20, 0)
    # SIC 10 for polygon 26, 9 for 33, 0 for water, whatever the rule.
    expected = (10, *[0] * 8, 20, 30)
    assert {counts["SIC"].class_pixels for counts in report.counts.values()} == {expected}


def test_reference_rule_comes_first_and_once() -> None:
    rules = list_rules([(50, 50), (65, 65)])

    assert [str(rule) for rule in rules] == [
        "autoice-2022, SOD 65 %, FLOE 65 %",
        "autoice-2022, SOD 50 %, FLOE 50 %",
        "dominant-sum, SOD 50 %, FLOE 50 %",
        "dominant-sum, SOD 65 %, FLOE 65 %",
    ]


def test_problems_are_counted(tmp_path: Path) -> None:
    rows = (
        HEADER,
        "26;79;-9;94;05;-9;-9;-9;-9;-9;-9;-9;-9;-9;I",  # interval CT, unknown stage
        "27;90;-9;94;05;-9;-9;-9;-9;-9;-9;-9;-9;-9;I",
        "28;50;40;93;05;40;91;05;-9;-9;-9;-9;-9;-9;I",  # partials exceed CT
        "29;30;-9;80;00;-9;-9;-9;-9;-9;-9;-9;-9;-9;I",  # ice of no stage
        "30;90;-9;93;05;-9;-9;-9;-9;-9;-9;-9;-9;-9;I",
        "30;90;-9;93; 5;-9;-9;-9;-9;-9;-9;98;-9;-9;i",  # the same ice again
        "31;90;-9;93;05;-9;-9;-9;-9;-9;-9;-9;-9;-9;I",
        "31;90;-9;95;05;-9;-9;-9;-9;-9;-9;-9;-9;-9;I",  # which one?
    )
    report = _report(write_raw_file(tmp_path, RawContent(rows=rows)))

    assert report.problems == {
        "conflicting id": 1,
        "ice without class": 1,
        "partials exceed total": 1,
        "repeated id": 1,
        "unknown code": 2,
    }
    assert report.unknown_codes == {"CT 79": 1, "SA 94": 2}
    # Masked in SOD: 26 and 27 (stage unknown), 28 (4 + 4 of 5 tenths, each 80 %: A wins), 31.
    assert report.counts[REFERENCE_RULE]["SOD"].polygons.masked == 3
    assert "unknown code: 2 polygons (CT 79 in 1, SA 94 in 2)" in format_label_report(report)


def test_adding_reports() -> None:
    counts = {
        name: ChartCounts(Tally(1, 2, 3), Tally(10, 20, 30), tuple(range(n)))
        for name, n in (("SIC", 11), ("SOD", 6), ("FLOE", 7))
    }
    one = LabelReport(
        "a", 3, 30, 5, 2, 1, {"repeated id": 1}, {"SA 94": 1}, {REFERENCE_RULE: counts}
    )
    total = add_reports([one, one])

    assert (total.title, total.polygons, total.pixels, total.problems) == (
        ("2 scenes", 6, 60, {"repeated id": 2})
    )
    assert total.counts[REFERENCE_RULE]["SOD"] == ChartCounts(
        Tally(2, 4, 6), Tally(20, 40, 60), (0, 2, 4, 6, 8, 10)
    )


def test_damaged_scene_does_not_stop_the_others(mixed_file: Path) -> None:
    folder = mixed_file.parent
    write_raw_file(folder, RawContent(rows=(HEADER, "26;x")), name=OTHER_NAME)
    test_name = RAW_NAME.replace("20180607T184326_2", "20200607T184326_2")
    without = RawContent(left_out=("polygon_icechart", "polygon_codes"))
    write_raw_file(folder, without, name=test_name)
    seen: list[tuple[str | None, int, int]] = []

    def look(report: LabelReport | None, number: int, n_scenes: int) -> None:
        seen.append((report.title if report else None, number, n_scenes))

    found = report_source(folder, list_rules([]), on_scene=look)

    assert [report.title for report in found.scenes] == [SCENE_ID]
    assert found.without_polygons == ("20200607T184326_dmi",)
    assert list(found.failures) == [OTHER_ID]
    assert "polygon_codes row 1" in found.failures[OTHER_ID]
    assert seen == [(SCENE_ID, 1, 3), (None, 2, 3), (None, 3, 3)]


def test_text_lists_every_threshold_once(mixed_file: Path) -> None:
    report = _report(mixed_file, (50, 65), (50, 50))
    lines = format_label_report(report).splitlines()

    assert lines[0] == f"{SCENE_ID}: 3 polygons, 60 charted pixels at 40 m (75.00 %)"
    assert [line.split()[:3] for line in lines[2:9]] == [
        ["SIC", "every", "rule"],
        ["SOD", "autoice-2022", "65"],
        ["SOD", "autoice-2022", "50"],
        ["SOD", "dominant-sum", "50"],
        ["FLOE", "autoice-2022", "65"],
        ["FLOE", "autoice-2022", "50"],
        ["FLOE", "dominant-sum", "65"],
    ]
    assert lines[-1] == "  no row in polygon_codes: 1 id, 5 pixels, masked by every rule"
    # SOD at 65 %: 10 of 60 pixels water, 20 old ice, 30 masked.
    shares = [line for line in format_class_shares(report).splitlines() if "2022 65" in line]
    assert shares[0].split()[2:] == ["16.67", "0.00", "0.00", "0.00", "0.00", "33.33", "50.00"]


def test_command_prints_tables(mixed_file: Path) -> None:
    result = CliRunner().invoke(main, ["labels", str(mixed_file), "--thresholds", "0.5,70/60"])

    assert result.exit_code == 0
    assert f"{SCENE_ID}: 3 polygons" in result.output
    assert "dominant-sum 70" in result.output
    assert result.output.count("3 polygons") == 1  # one scene needs no total


def test_command_json_and_exit_status(mixed_file: Path) -> None:
    write_raw_file(mixed_file.parent, RawContent(rows=(HEADER, "26;x")), name=OTHER_NAME)
    result = CliRunner().invoke(main, ["labels", str(mixed_file.parent), "--json"])

    assert result.exit_code == 1
    assert f"error: scene {OTHER_ID}: polygon_codes row 1" in result.stderr
    answer = json.loads(result.stdout)
    assert answer["total"]["polygons"] == 3
    rules = answer["scenes"][0]["rules"]
    assert [(r["label_rule"], r["sod_threshold"]) for r in rules] == [
        ("autoice-2022", 65),
        ("autoice-2022", 50),
        ("dominant-sum", 65),
        ("dominant-sum", 50),
    ]
    assert rules[0]["charts"]["SOD"]["class_pixels"] == [10, 0, 0, 0, 0, 20]


def test_json_counts_scenes_that_fail_in_its_progress(
    mixed_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = RAW_NAME.replace("20180607T184326_2", "20170607T184326_2")  # the first of three
    write_raw_file(mixed_file.parent, RawContent(rows=(HEADER, "26;x")), name=broken)
    no_polygons = RawContent(left_out=("polygon_icechart", "polygon_codes"))
    write_raw_file(mixed_file.parent, no_polygons, name=OTHER_NAME)
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_LINES", 0.0)
    result = CliRunner().invoke(main, ["labels", str(mixed_file.parent), "--json"])

    lines = [line for line in result.stderr.splitlines() if line.startswith("reading polygons: ")]
    assert [line.split(": ")[1].split(",")[0] for line in lines] == [
        "1 of 3 scenes",
        "2 of 3 scenes",
        "3 of 3 scenes",
    ]


@pytest.mark.parametrize("source", ["absent", "."])
def test_command_without_raw_scene(tmp_path: Path, source: str) -> None:
    result = CliRunner().invoke(main, ["labels", str(tmp_path / source)])

    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    assert "expected NetCDF files with sar_grid_line" in result.stderr


def test_command_with_bad_threshold(mixed_file: Path) -> None:
    result = CliRunner().invoke(main, ["labels", str(mixed_file), "--thresholds", "65,x"])

    assert result.exit_code == 2
    assert "threshold 'x'; expected whole percent" in result.stderr


@pytest.mark.parametrize(
    ("text", "percent"),
    [("65", 65), ("0.65", 65), (".5", 50), (" 7 ", 7), ("1", 1), ("1.0", 100), ("0.29", 29)],
)
def test_thresholds_are_percent_or_shares(text: str, percent: int) -> None:
    # 100 * 0.29 is 28.999... in floating point; decimals keep it whole.
    assert parse_threshold(text) == percent


@pytest.mark.parametrize("text", ["", "x", "0", "101", "0.655", "65.5", "-5", "nan", "inf"])
def test_other_thresholds_are_errors(text: str) -> None:
    with pytest.raises(LabelError, match="expected whole percent"):
        parse_threshold(text)
