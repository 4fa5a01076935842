"""``predict``: trained runs and scenes in, predictions out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from autoice_bench.commands.base import (
    IMPORT_OPTION,
    PATH,
    SPLIT_OPTION,
    STORE_OPTION,
    SUBSET_OPTION,
    AutoIceCommand,
    scene_progress,
)
from autoice_bench.commands.streams import remark
from autoice_bench.wording import format_count

if TYPE_CHECKING:
    from autoice_bench.baselines.runs.checkpoints import CheckpointName

_TYPED = ParameterSource.COMMANDLINE


def parse_tile_option(_: click.Context, __: click.Parameter, value: str) -> int | None:
    """Read ``none`` or a size in pixels."""
    if value == "none":
        return None
    try:
        return int(value)
    except ValueError:
        raise click.BadParameter(f"{value!r}; expected none or pixels, such as 768") from None


@click.command(cls=AutoIceCommand)
@click.argument("runs", metavar="RUN...", type=PATH, nargs=-1, required=True)
@STORE_OPTION
@SPLIT_OPTION
@SUBSET_OPTION
@IMPORT_OPTION
@click.option(
    "--scene",
    "files",
    metavar="FILE",
    type=PATH,
    multiple=True,
    help="Predict this ready-to-train file, without a store. May be repeated.",
)
@click.option("--out", type=PATH, help="Folder for the predictions. [default: preds/RUN]")
@click.option(
    "--tile",
    metavar="none|PIXELS",
    default="none",
    show_default=True,
    callback=parse_tile_option,
    help="Side of a tile, a multiple of 32 pixels of the network; none predicts whole scenes where "
    "memory allows.",
)
@click.option(
    "--overlap",
    metavar="PIXELS",
    type=int,
    help="Least overlap of tiles, a multiple of 32. [default: 128, at most half a tile]",
)
@click.option("--probabilities", is_flag=True, help="Also write SCENE_ID_probabilities.nc.")
@click.option(
    "--checkpoint",
    type=click.Choice(["best-combined", "best-loss", "last"]),
    help="Which network of the run. [default: the one that its recipe tests]",
)
@click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True,
    help="Where to compute.",
)  # fmt: skip
@click.option(
    "--precision",
    type=click.Choice(["auto", "bf16", "fp32"]),
    help="What to compute in. [default: the recipe's]",
)
@click.option("--overwrite", is_flag=True, help="Replace the predictions in that folder.")
def predict(
    *,
    runs: tuple[Path, ...],
    store: Path,
    split: str,
    subset: str,
    files: tuple[Path, ...],
    out: Path | None,
    tile: int | None,
    overlap: int | None,
    probabilities: bool,
    checkpoint: CheckpointName | None,
    device: str,
    precision: str | None,
    overwrite: bool,
) -> None:
    """Predict scenes with trained runs.

    RUN is the folder of a run, such as runs/aspp-seed0. Several runs predict together: their class
    probabilities are averaged.

    \b
      autoice-bench predict runs/aspp-seed0
      autoice-bench predict runs/aspp-seed0 runs/aspp-seed1 --out preds/aspp-mean
      autoice-bench predict runs/aspp-seed0 --scene 20180607T184326_dmi_prep.nc
    """
    from autoice_bench.baselines.inference import predict as predicting

    if files:
        _refuse("--scene predicts a file without a store", "store", "split", "subset")
    if out is None and len(runs) > 1:
        raise click.UsageError("several runs predict into one folder; name it with --out")
    target = out or Path("preds") / (runs[0].resolve().name + ("-scenes" if files else ""))
    with scene_progress("predicting") as progress:
        options: dict[str, Any] = {
            "out": target,
            "tile": tile,
            "overlap": overlap,
            "probabilities": probabilities,
            "checkpoint": checkpoint,
            "device": device,
            "precision": precision,
            "overwrite": overwrite,
            "progress": progress,
        }
        if files:
            result = predicting.predict_files(runs, files, **options)
        else:
            result = predicting.predict(runs, store, split=split, subset=subset, **options)
    for note in result.notes:
        remark(f"note: {note}")
    click.echo(f"predictions of {format_count(len(result.scene_ids), 'scene')} written to {target}")


def _refuse(reason: str, *names: str) -> None:
    """Refuse options that were typed, though they have no meaning beside another."""
    context = click.get_current_context()
    typed = [name for name in names if context.get_parameter_source(name) is _TYPED]
    if typed:
        raise click.UsageError(f"--{typed[0]}: {reason}")
