"""``baseline study``: the ASPP study again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from autoice_bench.commands.base import NAME_OR_PATH, AutoIceCommand
from autoice_bench.commands.baseline.options import (
    collect_study_settings,
    study_options,
    usage_errors,
)
from autoice_bench.commands.baseline.work import do_study, require_torch


@click.command("study", cls=AutoIceCommand)
@study_options
@click.option(
    "--recipe",
    type=NAME_OR_PATH,
    default="aspp",
    show_default=True,
    help="What experiments start from.",
)
@click.option("--extended", is_flag=True, help="Also rates 3,6,9 and 24,48,72.")
@click.option(
    "--tile",
    metavar="none|PIXELS",
    help="Side of the tiles that are scored beside whole scenes; none leaves them out. "
    "[default: the patch size]",
)
def study(
    *,
    recipe: str,
    store: Path,
    split: str,
    only: str | None,
    extended: bool,
    epochs: str | None,
    settings: tuple[str, ...],
    tile: str | None,
    **options: Any,
) -> None:
    """Run the ASPP study again: 3 rates, 6 feature groups, 2 seeds.

    Trains what is not trained yet, goes on where a run was interrupted, and prints scores beside
    those of Vahedi et al. 2025, Table 3, with differences. A second table holds the scores of
    predictions in tiles: a network sees as much there as in training, which tells what context
    adds from what large rates lose. With --split cross-region it is the study's one experiment
    from Canada to Greenland.
    """
    require_torch(recipe)
    from autoice_bench.baselines.experiments.study import Tiled, choose_tiling
    from autoice_bench.baselines.experiments.study_plan import plan_aspp_study, select_part
    from autoice_bench.baselines.inference.tiles import Tiling
    from autoice_bench.baselines.recipes.loading import load_recipe
    from autoice_bench.formats.split_file import read_split

    name = read_split(store, split).name
    with usage_errors():
        chosen = collect_study_settings(settings, epochs)
        tiling = choose_tiling(load_recipe(recipe, chosen))
        if tile not in (None, "none"):
            size = _parse_tile(str(tile))
            tiling = Tiling(size, min(tiling.overlap, size // 64 * 32))
        planned = select_part(plan_aspp_study(recipe, chosen, split=name, extended=extended), only)
    second = None if tile == "none" else Tiled(tiling)
    do_study(planned, second, store=store, split=split, **options)


def _parse_tile(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise click.BadParameter(f"--tile {text!r}; expected none or pixels, such as 768") from None
