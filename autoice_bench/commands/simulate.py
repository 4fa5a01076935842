"""``simulate``: scenes in the official layout."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from autoice_bench.commands.base import PATH, AutoIceCommand, scene_progress


def _parse_size(_: click.Context, __: click.Parameter, value: str) -> tuple[int, int]:
    try:
        lines, samples = (int(part) for part in value.split(","))
    except ValueError:
        raise click.BadParameter(f"{value!r} is not LINES,SAMPLES, such as 1000,1046") from None
    return lines, samples


@click.command(cls=AutoIceCommand)
@click.argument("out", type=PATH, default="rtt")
@click.option(
    "--train",
    "n_train",
    type=click.IntRange(min=0),
    default=8,
    show_default=True,
    help="Training scenes.",
)
@click.option(
    "--test",
    "n_test",
    type=click.IntRange(min=0),
    default=2,
    show_default=True,
    help="Test scenes.",
)
@click.option(
    "--size",
    default="1000,1046",
    show_default=True,
    metavar="LINES,SAMPLES",
    callback=_parse_size,
    help="80 m pixels; a released scene has about 5000,5229.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Another seed, another data set.",
)
@click.option(
    "--cases",
    type=click.Choice(["auto", "all", "none"]),
    default="auto",
    show_default=True,
    help="Awkward scenes (odd size, short frame, all water, ...); auto: from 16 scenes on.",
)
@click.option("--raw", type=PATH, help="Also write the raw (40 m) scenes into this folder.")
@click.option(
    "--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Processes."
)
@click.option("--overwrite", is_flag=True, help="Replace simulated scenes of another run in OUT.")
def simulate(
    out: Path,
    n_train: int,
    n_test: int,
    size: tuple[int, int],
    seed: int,
    cases: Literal["auto", "all", "none"],
    raw: Path | None,
    workers: int,
    overwrite: bool,
) -> None:
    """Write simulated scenes in the official layout into OUT (default: rtt).

    OUT gets train/*_prep.nc, test/*_prep.nc without charts, test/*_prep_reference.nc and
    metadata.csv. The same options give the same bytes; repeating the command finishes an
    interrupted run. Scenes are dated from 2030 on and marked simulated = 1.
    """
    from autoice_bench.datasets.simulate.run import simulate as run

    with scene_progress("simulating") as progress:
        source = run(
            out,
            n_train=n_train,
            n_test=n_test,
            size=size,
            seed=seed,
            cases=cases,
            raw=raw,
            workers=workers,
            overwrite=overwrite,
            progress=progress,
        )
    kept = f", {source.n_kept} were there already" if source.n_kept else ""
    click.echo(f"{out}: {source.n_written} scenes simulated{kept}")
