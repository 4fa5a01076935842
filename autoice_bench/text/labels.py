"""A label report as text: a table of masks per scene, and class shares for the total."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from autoice_bench.charts import CHARTS, FLOE, SIC, Chart
from autoice_bench.datasets.checks.label_report import ChartCounts, LabelReport, Tally
from autoice_bench.formats.label_rule import LabelRule
from autoice_bench.wording import format_count, make_visible

_INDENT = "  "


def format_label_report(report: LabelReport) -> str:
    """What each rule labels, masks and labels differently: polygons, and share of the pixels."""
    names = ("labelled", "masked", "other")
    header = ("chart", "rule, threshold %", *names, *(f"{name} %" for name in names))
    rows = [
        (chart.name, name, *_tally_cells(counts, report.pixels))
        for chart in CHARTS
        for name, counts in _counts_by_name(report, chart)
    ]
    table = _align([header, *rows], n_text_columns=2)
    return "\n".join([_format_title(report), *table, *_format_problems(report)])


def format_class_shares(report: LabelReport) -> str:
    """Share of each class among the charted pixels, one table per chart."""
    return "\n\n".join("\n".join(_class_table(report, chart)) for chart in CHARTS)


def _format_title(report: LabelReport) -> str:
    everything = report.pixels + report.uncharted_pixels + report.pixels_without_row
    return (
        f"{make_visible(report.title)}: {format_count(report.polygons, 'polygon')}, "
        f"{report.pixels} charted pixels at 40 m ({_percent(report.pixels, everything)} %)"
    )


def _format_problems(report: LabelReport) -> Iterator[str]:
    for kind, polygons in report.problems.items():
        found = ", ".join(f"{code} in {n}" for code, n in report.unknown_codes.items())
        codes = f" ({found})" if kind == "unknown code" else ""
        yield f"{_INDENT}{kind}: {format_count(polygons, 'polygon')}{codes}"
    if report.ids_without_row:
        yield (
            f"{_INDENT}no row in polygon_codes: {format_count(report.ids_without_row, 'id')}, "
            f"{format_count(report.pixels_without_row, 'pixel')}, masked by every rule"
        )


def _class_table(report: LabelReport, chart: Chart) -> Iterator[str]:
    header = (f"{chart.name}, % of pixels", *chart.class_names, "masked")
    rows = []
    for name, counts in _counts_by_name(report, chart):
        numbers = (*counts.class_pixels, counts.pixels.masked)
        rows.append((name, *(_percent(number, report.pixels) for number in numbers)))
    return _align([header, *rows], n_text_columns=1)


def _counts_by_name(report: LabelReport, chart: Chart) -> list[tuple[str, ChartCounts]]:
    """Counts of one chart per rule and threshold of this chart, each pair once."""
    named = {_name_in_chart(rule, chart): found for rule, found in report.counts.items()}
    return [(name, found[chart.name]) for name, found in named.items()]


def _name_in_chart(rule: LabelRule, chart: Chart) -> str:
    if chart is SIC:
        return "every rule"
    return f"{rule.name} {rule.floe_threshold if chart is FLOE else rule.sod_threshold}"


def _tally_cells(counts: ChartCounts, pixels: int) -> list[str]:
    def numbers(tally: Tally) -> tuple[int, int, int]:
        return tally.labelled, tally.masked, tally.relabelled

    shares = [_percent(number, pixels) for number in numbers(counts.pixels)]
    return [*map(str, numbers(counts.polygons)), *shares]


def _percent(count: int, total: int) -> str:
    return f"{100 * count / total:.2f}" if total else "-"


def _align(rows: Sequence[Sequence[str]], *, n_text_columns: int) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            cell.ljust(width) if at < n_text_columns else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield (_INDENT + "  ".join(cells)).rstrip()
