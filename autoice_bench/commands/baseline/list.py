"""``baseline list``: runs, where each stands, their scores."""

from __future__ import annotations

from pathlib import Path

import click

from autoice_bench.commands.base import PATH, AutoIceCommand, echo_json


@click.command("list", cls=AutoIceCommand)
@click.option(
    "--runs", type=PATH, default=Path("runs"), show_default=True, help="Folder of the runs."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_runs_command(runs: Path, as_json: bool) -> None:
    """List the runs: state, epochs, scores, time."""
    from autoice_bench.baselines.runs.listing import list_runs
    from autoice_bench.text.runs import format_runs

    rows = list_runs(runs)
    if as_json:
        echo_json(rows)
    elif rows:
        click.echo(format_runs(rows))
    else:
        click.echo(f"no runs in {runs}; autoice-bench baseline makes one")
