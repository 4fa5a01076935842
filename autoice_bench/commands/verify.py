"""``verify`` and ``info``: prove a store, show what it holds."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from autoice_bench.commands.base import PATH, AutoIceCommand, echo_json, scene_progress
from autoice_bench.commands.streams import remark


@click.command(cls=AutoIceCommand)
@click.argument("store", type=PATH, default="autoice.zarr", envvar="AUTOICE_STORE")
@click.option("--source", type=PATH, metavar="RTT", help="Also compare every value with RTT.")
@click.option(
    "--raw",
    type=PATH,
    metavar="RAW",
    help="Instead of a store: convert the scenes in RAW and compare them with those in --source.",
)
@click.option(
    "--workers", type=click.IntRange(min=1), help="Processes. [default: all cores, if worth it]"
)
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
@click.pass_context
def verify(
    ctx: click.Context,
    /,
    *,
    store: Path,
    source: Path | None,
    raw: Path | None,
    workers: int | None,
    as_json: bool,
) -> None:
    """Prove that STORE (default: autoice.zarr) is whole.

    Every file is hashed and every array decoded; counts, index, splits and fingerprint must agree.
    With --source every value is compared with the NetCDF it came from. What is wrong is listed,
    and the exit status is 1.

    With --raw and --source no store is read: each raw scene is converted and compared with the
    released one. Shown are agreement per chart, the largest difference per channel, and where in
    its cell a 2 km value lies (for `prepare --grid-anchor`).
    """
    from dataclasses import asdict

    if raw is not None:
        if source is None:
            raise click.UsageError("--raw needs --source, the released scenes to compare with")
        given = click.core.ParameterSource.COMMANDLINE
        if any(ctx.get_parameter_source(name) == given for name in ("store", "workers")):
            raise click.UsageError(
                "--raw compares --raw with --source, one scene after the other: "
                "give neither STORE nor --workers"
            )
        _compare_raw(raw, source, as_json=as_json)
        return

    from autoice_bench.commands.progress import Progress
    from autoice_bench.datasets.checks.verify import verify_store
    from autoice_bench.wording import format_count, format_size, make_visible

    with Progress("verifying") as progress:
        report = verify_store(
            store,
            source=source,
            workers=workers,
            on_start=progress.start,
            on_scene=lambda check: progress.advance(check.n_bytes),
        )
    if as_json:
        echo_json(asdict(report))
    else:
        for line in (*report.notes, *report.problems):
            click.echo(make_visible(line))
        compared = f", {report.n_compared} compared with {source}" if source is not None else ""
        verdict = format_count(len(report.problems), "problem") if report.problems else "no problem"
        click.echo(
            f"{store}: {report.n_scenes} scenes, {format_size(report.n_bytes)}{compared}: {verdict}"
        )
    if report.problems:
        sys.exit(1)


def _compare_raw(raw: Path, source: Path, *, as_json: bool) -> None:
    """Compare raw scenes with their released twins and print what was found."""
    from autoice_bench.datasets.checks.raw_comparison import compare_raw_source
    from autoice_bench.text.raw_comparison import format_raw_comparison

    with scene_progress("comparing") as progress:
        comparison = compare_raw_source(raw, source, on_scene=progress)
    if as_json:
        echo_json(comparison.to_dict())
    else:
        click.echo(format_raw_comparison(comparison))
    for failure in comparison.failures.values():
        remark(f"failed: {failure}")
    if comparison.failures:
        sys.exit(1)
