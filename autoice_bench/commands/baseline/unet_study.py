"""``baseline unet-study``: the nine configurations of the U-Net again."""

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


@click.command("unet-study", cls=AutoIceCommand)
@study_options
@click.option(
    "--recipe",
    type=NAME_OR_PATH,
    default="unet",
    show_default=True,
    help="What the configurations start from.",
)
def unet_study(
    *,
    recipe: str,
    store: Path,
    split: str,
    only: str | None,
    epochs: str | None,
    settings: tuple[str, ...],
    **options: Any,
) -> None:
    """Run the nine configurations of the U-Net again.

    Trains what is not trained yet, goes on where a run was interrupted, and prints scores by the
    protocol of Chen et al. 2024, against labels as coarse as the network's pixels, beside those of
    their Table 4, with differences and their standard deviations. A second table holds the
    official scores of the same runs, which alone are ranked.
    """
    require_torch(recipe)
    from autoice_bench.baselines.experiments.study import CoarseLabels
    from autoice_bench.baselines.experiments.study_plan import plan_unet_study, select_part
    from autoice_bench.formats.split_file import read_split

    name = read_split(store, split).name
    with usage_errors():
        chosen = collect_study_settings(settings, epochs)
        planned = select_part(plan_unet_study(recipe, chosen, split=name), only)
    do_study(planned, CoarseLabels(), store=store, split=split, **options)
