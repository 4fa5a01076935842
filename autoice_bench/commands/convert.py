"""``convert``: predictions from one accepted format to another."""

from __future__ import annotations

from pathlib import Path

import click

from autoice_bench.commands.base import PATH, AutoIceCommand, scene_progress


@click.command(cls=AutoIceCommand)
@click.argument("predictions", type=PATH)
@click.argument("out", type=PATH)
@click.option(
    "--format",
    "format_name",
    type=click.Choice(["netcdf", "upload-package", "zarr"]),
    help="Format of OUT. [default: upload-package for .nc, zarr for .zarr, else netcdf]",
)
def convert(predictions: Path, out: Path, format_name: str | None) -> None:
    """Convert predictions into another format.

    OUT must not exist. netcdf is a folder of SCENE_ID.nc files, upload-package one NetCDF file as
    the challenge took it, zarr one group per scene. Tie points are kept where the format has room
    for them.
    """
    from autoice_bench.scoring.predictions import writing
    from autoice_bench.scoring.predictions.reading import open_predictions

    source = open_predictions(predictions)
    chosen = format_name or writing.guess_format(out)
    with scene_progress("converting") as progress:
        writing.convert(source, out, format_name=chosen, progress=progress)
    click.echo(f"{out}: {len(source.scene_ids)} scenes, {chosen}")
