"""``demo``: the whole workflow on simulated scenes."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import time
from pathlib import Path

import click

from autoice_bench.commands.base import PATH, AutoIceCommand
from autoice_bench.errors import AutoIceError

_BEFORE = (
    ("Scenes, simulated in the official layout", "simulate --train 24 --test 6 --size 500,523"),
    ("The store: labels, SAR, AMSR2 and ERA5 of every scene as sharded Zarr", "prepare"),
    ("Proof that the store is whole and equals its source", "verify --source rtt"),
    ("What it holds", "info"),
    ("A floor: the training set's majority classes everywhere", "baseline majority --overwrite"),
    ("A better floor: one AMSR2 threshold per chart", "baseline amsr2-threshold --overwrite"),
)
_TRAINING = (
    ("A small DeepLab with atrous pyramids: train, predict, score", "baseline demo"),
    ("A small U-Net on downscaled scenes", "baseline unet-demo"),
)
_AFTER = (
    ("Scores of all, as the challenge scored", "score preds --overwrite"),
    ("The leaderboard", "leaderboard"),
)


@click.command(cls=AutoIceCommand)
@click.argument("folder", metavar="[DIR]", type=PATH, default="autoice-demo")
@click.pass_context
def demo(ctx: click.Context, folder: Path) -> None:
    """Run the whole workflow on simulated scenes in DIR (default: autoice-demo).

    Every step is an ordinary command, shown before it runs. Repeating the demo goes on where an
    earlier one was interrupted.
    """
    os.environ.pop("AUTOICE_STORE", None)
    command_line = ctx.find_root().command
    started = time.monotonic()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AutoIceError(f"folder {folder} cannot be made: {error}") from error
    can_train = importlib.util.find_spec("lightning_fabric") is not None
    with contextlib.chdir(folder):
        for title, arguments in (*_BEFORE, *(_TRAINING if can_train else ()), *_AFTER):
            click.echo(f"\n# {title}\n$ autoice-bench {arguments}")
            command_line.main(arguments.split(), prog_name="autoice-bench", standalone_mode=False)
        scene = min(Path("preds", "amsr2-threshold").glob("*.nc")).stem
    best = "demo-seed0" if can_train else "majority"
    if not can_train:
        click.echo("\nNo network was trained: that needs pip install 'autoice-bench[train]'.")
    click.echo(
        f"\nDone in {time.monotonic() - started:.0f} s, all of it in {folder}. With the released "
        "scenes in rtt/ the same commands\nmake the real store and real scores. Next, in that "
        "folder:\n"
        f"  autoice-bench leaderboard compare {best} amsr2-threshold\n"
        f"  autoice-bench show {scene} --prediction preds/{best} --out scene.png\n"
        "  autoice-bench score --expect             # the formats of predictions of your own\n"
        "  autoice-bench splits check official      # which scenes show the same ice\n"
        '  python -c "import xarray; print(xarray.open_zarr('
        f"'autoice.zarr/scenes/{scene}'))\""
    )
