"""A store's report in words."""

from __future__ import annotations

from autoice_bench.charts import CHARTS
from autoice_bench.datasets.checks.store_report import StoreReport
from autoice_bench.wording import format_size, make_visible


def format_store_report(report: StoreReport) -> str:
    """The report as text for a terminal."""
    kind = "simulated scenes" if report.simulated else "scenes"
    without = f", {report.n_without_charts} without labels" if report.n_without_charts else ""
    lines = [
        f"{make_visible(report.path)}  {report.state}",
        f"  {report.n_scenes} {kind}{without}; {format_size(report.n_bytes)} "
        f"from {format_size(report.n_source_bytes)} of NetCDF; SAR {report.dtype}",
        f"  labels {report.label_rule}",
        *([f"  overviews {', '.join(report.overviews)}"] if report.overviews else []),
        f"  store_fingerprint {report.fingerprint or 'none until complete'}",
        "",
        *_group_lines(report),
    ]
    if report.valid_percent is not None:
        lines += [
            "",
            f"  valid SIC in {report.valid_percent:.1f} % of the pixels; percent of these:",
        ]
        for chart in CHARTS:
            lines += ["", *_class_lines(chart.name, report.class_percent[chart.name])]
    if report.splits:
        width = max(len(name) for name in report.splits)
        lines += ["", f"  {'split':<{width}}  train   val  test"]
        lines += [
            f"  {name:<{width}}  {sizes['train']:5d} {sizes['val']:5d} {sizes['test']:5d}"
            for name, sizes in report.splits.items()
        ]
    return "\n".join(lines)


def _group_lines(report: StoreReport) -> list[str]:
    groups = {
        "subset": report.by_subset,
        "ice service": report.by_service,
        "region": report.by_region,
        "year": report.by_year,
    }
    return [
        f"  {title:<12} {', '.join(f'{make_visible(name)} {n}' for name, n in counts.items())}"
        for title, counts in groups.items()
    ]


def _class_lines(chart: str, shares: dict[str, float]) -> list[str]:
    width = max(map(len, shares))
    return [
        f"  {chart if row == 0 else '':<5} {name:<{width}} {percent:6.2f}  {_bar(percent)}".rstrip()
        for row, (name, percent) in enumerate(shares.items())
    ]


def _bar(percent: float) -> str:
    return "#" * round(percent / 2)
