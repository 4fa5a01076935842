"""What label rules and thresholds do to raw scenes, before anything is prepared or trained.

Per scene and rule: how many polygons, and how many of their 40 m pixels, have a label in each
chart, are masked, or have another label than the reference rule gives. Counts are of the polygons,
before the 2x2 reduction and the masking by SAR; they add up over scenes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from autoice_bench.charts import CHARTS, FILL_VALUE
from autoice_bench.datasets.labels.rasters import count_polygon_pixels
from autoice_bench.datasets.labels.tables import (
    NO_POLYGON,
    LabelTable,
    build_label_table,
    count_problems,
)
from autoice_bench.datasets.sources.raw import find_raw_files, open_raw_file
from autoice_bench.errors import AutoIceError
from autoice_bench.formats.label_rule import AUTOICE_2022, RULE_NAMES, LabelRule
from autoice_bench.wording import format_count

REFERENCE_RULE: Final = AUTOICE_2022
"""The rule that others are compared with: the released labels."""


@dataclass(frozen=True)
class Tally:
    """Polygons, or pixels, of one chart under one rule.

    Attributes:
        labelled: with a class.
        masked: without.
        relabelled: with a class where the reference rule gives another class.
    """

    labelled: int = 0
    masked: int = 0
    relabelled: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.labelled + other.labelled,
            self.masked + other.masked,
            self.relabelled + other.relabelled,
        )


@dataclass(frozen=True)
class ChartCounts:
    """One chart under one rule.

    Attributes:
        polygons: tally of polygons.
        pixels: tally of the polygons' 40 m pixels.
        class_pixels: 40 m pixels per class.
    """

    polygons: Tally
    pixels: Tally
    class_pixels: tuple[int, ...]

    def __add__(self, other: ChartCounts) -> ChartCounts:
        pairs = zip(self.class_pixels, other.class_pixels, strict=True)
        return ChartCounts(
            self.polygons + other.polygons, self.pixels + other.pixels, tuple(map(sum, pairs))
        )


@dataclass(frozen=True)
class LabelReport:
    """The labels of one scene, or of several added up.

    Attributes:
        title: scene id, or how many scenes were added.
        polygons: rows of ``polygon_codes``, each id once.
        pixels: 40 m pixels inside polygons that have a row.
        uncharted_pixels: 40 m pixels outside polygons.
        pixels_without_row: 40 m pixels of ids that have no row; masked under every rule.
        ids_without_row: how many such ids.
        problems: polygons per kind of odd codes.
        unknown_codes: polygons per code outside the tables, such as ``SA 94``.
        counts: rule to chart name to counts; the reference rule comes first.
    """

    title: str
    polygons: int
    pixels: int
    uncharted_pixels: int
    pixels_without_row: int
    ids_without_row: int
    problems: Mapping[str, int]
    unknown_codes: Mapping[str, int]
    counts: Mapping[LabelRule, Mapping[str, ChartCounts]]

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {
            "title": self.title,
            "polygons": self.polygons,
            "pixels": self.pixels,
            "uncharted_pixels": self.uncharted_pixels,
            "pixels_without_row": self.pixels_without_row,
            "ids_without_row": self.ids_without_row,
            "problems": dict(self.problems),
            "unknown_codes": dict(self.unknown_codes),
            "rules": [
                {
                    "label_rule": rule.name,
                    "sod_threshold": rule.sod_threshold,
                    "floe_threshold": rule.floe_threshold,
                    "charts": {name: _chart_to_dict(chart) for name, chart in charts.items()},
                }
                for rule, charts in self.counts.items()
            ],
        }


@dataclass(frozen=True)
class SourceReport:
    """The labels of all raw scenes of a source.

    Attributes:
        scenes: one report per scene that could be read, by scene id.
        without_polygons: scenes that have none.
        failures: scene id to what went wrong.
    """

    scenes: tuple[LabelReport, ...]
    without_polygons: tuple[str, ...]
    failures: Mapping[str, str]

    @property
    def total(self) -> LabelReport | None:
        """All scenes added up; None if there are none."""
        return add_reports(self.scenes) if self.scenes else None

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {
            "scenes": [report.to_dict() for report in self.scenes],
            "total": None if self.total is None else self.total.to_dict(),
            "without_polygons": list(self.without_polygons),
            "failures": dict(self.failures),
        }


def list_rules(thresholds: Iterable[tuple[int, int]]) -> tuple[LabelRule, ...]:
    """The reference rule, then every rule at each pair of SOD and FLOE thresholds (percent)."""
    rules = [LabelRule(name, sod, floe) for name in RULE_NAMES for sod, floe in thresholds]
    return tuple(dict.fromkeys([REFERENCE_RULE, *rules]))


def report_source(
    source: Path,
    rules: Sequence[LabelRule],
    *,
    on_scene: Callable[[LabelReport | None, int, int], None] | None = None,
) -> SourceReport:
    """Report every raw scene at ``source``; a scene that cannot be read does not stop the others.

    Args:
        source: a raw file, or a folder and everything below it.
        rules: rules to compare; the first is the reference.
        on_scene: called after each scene with its report, None where it has no polygons or cannot
            be read; its number from 1; and how many scenes there are.

    Raises:
        SceneError: ``source`` holds no raw scene, or one scene twice.
    """
    files = find_raw_files(source)
    reports, without_polygons, failures = [], [], {}
    for number, (scene_id, path) in enumerate(files.items(), start=1):
        report = None
        try:
            report = report_scene(path, rules)
            if report is None:
                without_polygons.append(scene_id)
            else:
                reports.append(report)
        except AutoIceError as error:
            failures[scene_id] = str(error)
        if on_scene is not None:
            on_scene(report, number, len(files))
    return SourceReport(tuple(reports), tuple(without_polygons), failures)


def report_scene(path: Path, rules: Sequence[LabelRule]) -> LabelReport | None:
    """Count what each rule does to one raw scene; reads its polygons only.

    Args:
        path: the raw file.
        rules: rules to compare; the first is the reference.

    Returns:
        The report; None where the file has no polygons, as the raw test files.

    Raises:
        SceneError: the file is damaged or no raw scene.
        LabelError: ``polygon_codes`` cannot be read.
    """
    with open_raw_file(path) as raw:
        if not raw.has_charts:
            return None
        egg_codes = raw.read_egg_codes()
        where = f"scene {raw.scene_id}"
        tables = [build_label_table(egg_codes, rule, where=where) for rule in rules]
        census = count_polygon_pixels(raw.read_polygons(), tables[0])
    pixels = census.slot_counts[tables[0].polygon_ids + 1]
    unknown = {(p.poly_id, p.detail) for p in tables[0].problems if p.kind == "unknown code"}
    return LabelReport(
        title=raw.scene_id,
        polygons=pixels.size,
        pixels=int(pixels.sum()),
        uncharted_pixels=int(census.slot_counts[NO_POLYGON]),
        pixels_without_row=sum(census.ids_without_row.values()),
        ids_without_row=len(census.ids_without_row),
        problems=dict(Counter[str](count_problems(tables[0].problems))),
        unknown_codes=dict(Counter(sorted(detail for _, detail in unknown))),
        counts={table.rule: _count_charts(table, tables[0], pixels) for table in tables},
    )


def add_reports(reports: Sequence[LabelReport]) -> LabelReport:
    """Add the reports of several scenes, all made with the same rules; at least one."""
    rules = reports[0].counts
    return LabelReport(
        title=format_count(len(reports), "scene"),
        polygons=sum(report.polygons for report in reports),
        pixels=sum(report.pixels for report in reports),
        uncharted_pixels=sum(report.uncharted_pixels for report in reports),
        pixels_without_row=sum(report.pixels_without_row for report in reports),
        ids_without_row=sum(report.ids_without_row for report in reports),
        problems=_add_counters(report.problems for report in reports),
        unknown_codes=_add_counters(report.unknown_codes for report in reports),
        counts={
            rule: {
                chart.name: reduce(
                    ChartCounts.__add__, [report.counts[rule][chart.name] for report in reports]
                )
                for chart in CHARTS
            }
            for rule in rules
        },
    )


def _count_charts(
    table: LabelTable, reference: LabelTable, pixels: NDArray[np.int64]
) -> dict[str, ChartCounts]:
    counts = {}
    for at, chart in enumerate(CHARTS):
        labels, expected = table.labels[:, at], reference.labels[:, at]
        class_pixels = np.bincount(labels, weights=pixels, minlength=FILL_VALUE + 1)
        counts[chart.name] = ChartCounts(
            polygons=_tally(labels, expected, np.ones_like(pixels)),
            pixels=_tally(labels, expected, pixels),
            class_pixels=tuple(int(count) for count in class_pixels[: chart.n_classes]),
        )
    return counts


def _tally(
    labels: NDArray[np.uint8], expected: NDArray[np.uint8], weights: NDArray[np.int64]
) -> Tally:
    masked = labels == FILL_VALUE
    relabelled = ~masked & (expected != FILL_VALUE) & (labels != expected)
    return Tally(
        int(weights[~masked].sum()), int(weights[masked].sum()), int(weights[relabelled].sum())
    )


def _add_counters(counters: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for counter in counters:
        total.update(counter)
    return dict(sorted(total.items()))


def _chart_to_dict(counts: ChartCounts) -> dict[str, Any]:
    return {
        "polygons": vars(counts.polygons).copy(),
        "pixels": vars(counts.pixels).copy(),
        "class_pixels": list(counts.class_pixels),
    }
