"""``prepare``: a folder of scenes becomes a store."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from autoice_bench.commands.base import (
    PATH,
    SCHEDULER_OPTION,
    AutoIceCommand,
    echo_json,
    parse_threshold_option,
)
from autoice_bench.errors import AutoIceError

if TYPE_CHECKING:
    from autoice_bench.datasets.prepare.plan import PrepareRequest
    from autoice_bench.datasets.prepare.prepare import PrepareReport
    from autoice_bench.datasets.store.downscaling import Downscaling


def _parse_part(_: click.Context, __: click.Parameter, value: str | None) -> tuple[int, int] | None:
    if value is None:
        return None
    try:
        number, count = (int(part) for part in value.split("/"))
    except ValueError:
        raise click.BadParameter(f"{value!r} is not K/N, such as 3/8") from None
    if not 1 <= number <= count:
        raise click.BadParameter(f"{value!r}: K counts from 1 to N")
    return number, count


def _parse_overviews(
    _: click.Context, __: click.Parameter, values: tuple[str, ...]
) -> tuple[Downscaling, ...]:
    if not values:
        return ()
    from autoice_bench.datasets.store.downscaling import parse_downscaling

    try:
        overviews = [parse_downscaling(value) for value in values]
    except AutoIceError as error:
        raise click.BadParameter(str(error)) from None
    if len({how.ratio for how in overviews}) < len(overviews):
        raise click.BadParameter("a ratio is given twice; there is one overview of each")
    return tuple(overviews)


@click.command(cls=AutoIceCommand)
@click.argument("source", type=PATH, default="rtt")
@click.argument("store", type=PATH, default="autoice.zarr", envvar="AUTOICE_STORE")
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="Processes on this machine. [default: all cores; 1 stays in this process]",
)
@SCHEDULER_OPTION
@click.option(
    "--part",
    metavar="K/N",
    callback=_parse_part,
    help="Prepare every N-th scene only, beside other parts; a last run without it completes "
    "the store.",
)
@click.option(
    "--dtype",
    type=click.Choice(["float16", "float32"]),
    default="float16",
    show_default=True,
    help="Of the SAR channels.",
)
@click.option(
    "--label-rule",
    type=click.Choice(["autoice-2022", "dominant-sum"]),
    default="autoice-2022",
    show_default=True,
    help="How polygon codes become labels; raw scenes only.",
)
@click.option(
    "--sod-threshold",
    callback=parse_threshold_option,
    metavar="PERCENT",
    default="65",
    show_default=True,
    help="Share of the ice, in percent, that makes a stage of development dominant (65 or 0.65); "
    "raw scenes only.",
)
@click.option(
    "--floe-threshold",
    callback=parse_threshold_option,
    metavar="PERCENT",
    default="65",
    show_default=True,
    help="The same for floe sizes; raw scenes only.",
)
@click.option("--ice-types", is_flag=True, help="Also store the ten ice types; raw scenes only.")
@click.option(
    "--overviews",
    metavar="RATIO[:METHOD]",
    multiple=True,
    callback=_parse_overviews,
    help="Also store the scenes downscaled, such as 10 (every tenth pixel) or 10:area (means); may "
    "be repeated. Scenes that are there get what they lack.",
)
@click.option(
    "--grid-anchor",
    type=click.Choice(["centre", "corner"]),
    help="Pixel of its cell that a 2 km value belongs to. [default: centre, or as recorded]",
)
@click.option(
    "--on-error",
    type=click.Choice(["stop", "skip"]),
    default="stop",
    show_default=True,
    help="At a bad scene: stop, or go on, list it at the end and exit with status 1.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be done, with sizes and time.")
@click.option(
    "--overwrite",
    is_flag=True,
    help="Replace scenes whose source changed, or all of them if the options differ.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
def prepare(
    *,
    source: Path,
    store: Path,
    workers: int | None,
    scheduler: str | None,
    part: tuple[int, int] | None,
    dtype: Literal["float16", "float32"],
    label_rule: Literal["autoice-2022", "dominant-sum"],
    sod_threshold: int,
    floe_threshold: int,
    ice_types: bool,
    overviews: tuple[Downscaling, ...],
    grid_anchor: Literal["centre", "corner"] | None,
    on_error: Literal["stop", "skip"],
    dry_run: bool,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Convert the scenes under SOURCE (default: rtt) into the store STORE (autoice.zarr).

    Every layout of the data set is understood; raw scenes are told by their content, and only they
    can be labelled by another rule. Run the same command again after an interruption: it finishes
    what is missing and skips what is done. AUTOICE_STORE overrides the default store.
    """
    from autoice_bench.datasets.prepare.estimate import estimate
    from autoice_bench.datasets.prepare.holding import Part
    from autoice_bench.datasets.prepare.plan import PrepareRequest
    from autoice_bench.formats.label_rule import LabelRule
    from autoice_bench.text.prepare import format_estimate, format_prepare_report

    if scheduler is not None and workers is not None:
        raise click.UsageError("--workers starts processes here, --scheduler has its own: give one")
    request = PrepareRequest(
        source=source,
        store=store,
        part=None if part is None else Part(*part),
        dtype=dtype,
        label_rule=LabelRule(label_rule, sod_threshold, floe_threshold),
        ice_types=ice_types,
        overviews=overviews,
        overwrite=overwrite,
    )
    if dry_run:
        found = estimate(request, workers)
        echo_json(found.to_dict()) if as_json else click.echo(format_estimate(found))
        return
    report = _run(request, workers, scheduler, grid_anchor, on_error)
    echo_json(report.to_dict()) if as_json else click.echo(format_prepare_report(report))
    if report.failed:
        sys.exit(1)


def _run(
    request: PrepareRequest,
    workers: int | None,
    scheduler: str | None,
    grid_anchor: Literal["centre", "corner"] | None,
    on_error: Literal["stop", "skip"],
) -> PrepareReport:
    """Prepare, showing progress."""
    from autoice_bench.commands.progress import Progress
    from autoice_bench.datasets.prepare.prepare import run_request

    with Progress("preparing") as progress:
        return run_request(
            request,
            workers=workers,
            scheduler=scheduler,
            grid_anchor=grid_anchor,
            on_error=on_error,
            on_plan=lambda plan: progress.start(
                len(plan.to_write) + len(plan.to_extend), plan.source_bytes
            ),
            on_scene=lambda result: progress.advance(result.source_bytes),
            on_extended=lambda _: progress.advance(),
        )
