"""``labels``: what label rules and thresholds make of raw scenes."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from autoice_bench.commands.base import (
    PATH,
    AutoIceCommand,
    echo_json,
    parse_threshold_option,
    scene_progress,
)
from autoice_bench.commands.streams import remark


def _parse_thresholds(
    ctx: click.Context, param: click.Parameter, value: str
) -> list[tuple[int, int]]:
    pairs = []
    for item in value.split(","):
        sod, slash, floe = item.partition("/")
        shares = (sod, floe if slash else sod)
        sod_percent, floe_percent = (parse_threshold_option(ctx, param, text) for text in shares)
        pairs.append((sod_percent, floe_percent))
    return pairs


@click.command(cls=AutoIceCommand)
@click.argument("raw", type=PATH)
@click.option(
    "--thresholds",
    default="65,50",
    show_default=True,
    metavar="LIST",
    callback=_parse_thresholds,
    help="Thresholds to compare, in percent: N, or SOD/FLOE such as 70/50.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def labels(raw: Path, thresholds: list[tuple[int, int]], as_json: bool) -> None:
    """Report what label rules and thresholds make of raw scenes.

    RAW is a raw scene (40 m, ice-chart polygons) or a folder of them. Each rule, autoice-2022 (the
    released labels) and dominant-sum (the definition as stated), is applied at each threshold.
    Counted are polygons and their pixels at 40 m: labelled, masked, or labelled with another class
    than autoice-2022 at 65 %. Nothing is written.
    """
    from autoice_bench.datasets.checks.label_report import LabelReport, list_rules, report_source
    from autoice_bench.text.labels import format_class_shares, format_label_report

    with scene_progress("reading polygons") as progress:

        def show(report: LabelReport | None, number: int, n_scenes: int) -> None:
            if as_json:
                progress(number, n_scenes)
            elif report is not None:
                click.echo(f"{format_label_report(report)}\n")

        found = report_source(raw, list_rules(thresholds), on_scene=show)
    if as_json:
        echo_json(found.to_dict())
    elif found.total is not None:
        if len(found.scenes) > 1:
            click.echo(f"{format_label_report(found.total)}\n")
        click.echo(format_class_shares(found.total))
    for scene_id in found.without_polygons:
        remark(f"scene {scene_id}: no polygons, nothing to label")
    for message in found.failures.values():
        remark(f"error: {message}")
    if found.failures:
        sys.exit(1)
