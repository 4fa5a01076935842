"""``info``: what a store holds."""

from __future__ import annotations

from pathlib import Path

import click

from autoice_bench.commands.base import PATH, AutoIceCommand, echo_json


@click.command(cls=AutoIceCommand)
@click.argument("store", type=PATH, default="autoice.zarr", envvar="AUTOICE_STORE")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def info(*, store: Path, as_json: bool) -> None:
    """Show what STORE (default: autoice.zarr) holds.

    Scenes by service, region and year, class shares, sizes, splits and the fingerprint.
    """
    from dataclasses import asdict

    from autoice_bench.datasets.checks.store_report import report_store
    from autoice_bench.datasets.store.root import open_store
    from autoice_bench.text.store import format_store_report

    report = report_store(open_store(store))
    if as_json:
        echo_json(asdict(report))
    else:
        click.echo(format_store_report(report))
