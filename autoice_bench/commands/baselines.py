"""``baseline``: fit a baseline and predict."""

from __future__ import annotations

from pathlib import Path

import click

from autoice_bench.commands.base import (
    PATH,
    SPLIT_OPTION,
    STORE_OPTION,
    SUBSET_OPTION,
    AutoIceCommand,
    scene_progress,
)


@click.command(cls=AutoIceCommand)
@click.argument("recipe", default="majority")
@STORE_OPTION
@SPLIT_OPTION
@SUBSET_OPTION
@click.option("--out", type=PATH, help="Folder for the predictions. [default: preds/RECIPE]")
@click.option("--overwrite", is_flag=True, help="Replace the predictions in that folder.")
def baseline(
    *, recipe: str, store: Path, split: str, subset: str, out: Path | None, overwrite: bool
) -> None:
    """Predict with a baseline fitted on training scenes.

    RECIPE is fitted on the split's training scenes and predicts a subset:

    \b
    majority         the most frequent class everywhere
    amsr2-threshold  one threshold per chart on the 18.7 GHz polarisation ratio
    """
    from autoice_bench.baselines.floors import FLOORS, predict_floor

    if recipe not in FLOORS:
        raise click.UsageError(f"no recipe {recipe!r}; expected one of {', '.join(FLOORS)}")
    target = Path("preds") / recipe if out is None else out
    with scene_progress(f"predicting {recipe}") as progress:
        fitted = predict_floor(
            recipe,
            store,
            target,
            split=split,
            subset=subset,
            overwrite=overwrite,
            progress=progress,
        )
    for name, values in fitted.items():
        click.echo(f"{name}: " + ", ".join(f"{key} {value}" for key, value in values.items()))
    click.echo(f"predictions written to {target}")
