"""``baseline study`` and ``baseline unet-study``: published tables, run again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from autoice_bench.commands.base import (
    PATH,
    SPLIT_OPTION,
    STORE_OPTION,
    AutoIceCommand,
    echo_json,
    fail,
)
from autoice_bench.commands.baseline.run import parse_seeds_option, report_work, require_torch
from autoice_bench.errors import BaselineError
from autoice_bench.wording import format_duration

if TYPE_CHECKING:
    from autoice_bench.baselines.experiments.study import SecondScore, StudyRun
    from autoice_bench.baselines.experiments.study_plan import Study

Function = TypeVar("Function", bound=Callable[..., Any])

_OPTIONS = (
    STORE_OPTION,
    SPLIT_OPTION,
    click.option(
        "--only",
        metavar="K/N",
        help="Every N-th experiment only, from the K-th; with N experiments, the K-th. The whole "
        "table comes from a last run without it.",
    ),
    click.option("--epochs", metavar="N", help="Most epochs."),
    click.option(
        "--set",
        "settings",
        metavar="FIELD=VALUE",
        multiple=True,
        help="Set a field of every recipe. May be repeated.",
    ),
    click.option(
        "--seeds",
        callback=parse_seeds_option,
        default="0,1",
        show_default=True,
        metavar="N,N,...",
        help="One run of each experiment per seed.",
    ),
    click.option(
        "--runs", type=PATH, default=Path("runs"), show_default=True, help="Folder of the runs."
    ),
    click.option(
        "--preds", type=PATH, default=Path("preds"), show_default=True, help="And of predictions."
    ),
    click.option(
        "--device",
        type=click.Choice(["auto", "cpu", "cuda"]),
        default="auto",
        show_default=True,
        help="What computes.",
    ),
    click.option("--devices", type=click.IntRange(min=1), default=1, help="GPUs per node."),
    click.option("--nodes", type=click.IntRange(min=1), default=1, help="Nodes."),
    click.option("--dry-run", is_flag=True, help="List the runs, and where each stands."),
    click.option("--json", "as_json", is_flag=True, help="Print JSON."),
)


def _study_options(function: Function) -> Function:
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


@click.command("study", cls=AutoIceCommand)
@_study_options
@click.option("--recipe", default="aspp", show_default=True, help="What experiments start from.")
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
    with _usage_errors():
        chosen = _collect_settings(settings, epochs)
        tiling = choose_tiling(load_recipe(recipe, chosen))
        if tile not in (None, "none"):
            size = _parse_tile(str(tile))
            tiling = Tiling(size, min(tiling.overlap, size // 64 * 32))
        planned = select_part(plan_aspp_study(recipe, chosen, split=name, extended=extended), only)
    second = None if tile == "none" else Tiled(tiling)
    _do_study(planned, second, store=store, split=split, **options)


@click.command("unet-study", cls=AutoIceCommand)
@_study_options
@click.option(
    "--recipe", default="unet", show_default=True, help="What the configurations start from."
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
    with _usage_errors():
        chosen = _collect_settings(settings, epochs)
        planned = select_part(plan_unet_study(recipe, chosen, split=name), only)
    _do_study(planned, CoarseLabels(), store=store, split=split, **options)


@contextmanager
def _usage_errors() -> Iterator[None]:
    """What is wrong with options is wrong usage."""
    try:
        yield
    except BaselineError as error:
        raise click.UsageError(str(error)) from None


def _collect_settings(settings: tuple[str, ...], epochs: str | None) -> dict[str, str]:
    from autoice_bench.baselines.recipes.loading import parse_settings

    chosen = parse_settings(settings)
    if epochs is not None:
        if "epochs" in chosen:
            raise click.UsageError("--epochs and --set epochs: give one of them")
        chosen["epochs"] = epochs
    return chosen


def _parse_tile(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise click.BadParameter(f"--tile {text!r}; expected none or pixels, such as 768") from None


def _do_study(
    study: Study,
    second: SecondScore | None,
    *,
    store: Path,
    split: str,
    seeds: tuple[int, ...],
    runs: Path,
    preds: Path,
    device: str,
    devices: int,
    nodes: int,
    dry_run: bool,
    as_json: bool,
) -> None:
    from autoice_bench.baselines.experiments.study import (
        StudyResult,
        plan_study_runs,
        project_study,
        read_outcome,
        run_study,
    )
    from autoice_bench.baselines.experiments.study_plan import explain_incomparable
    from autoice_bench.baselines.experiments.study_table import to_record
    from autoice_bench.text.studies import describe_failures, describe_runs, format_result

    planned = plan_study_runs(study, store=store, split=split, seeds=seeds, runs=runs, preds=preds)
    incomparable = explain_incomparable(planned[0].planned.store, planned[0].planned.split)
    outcomes = tuple(read_outcome(run, second) for run in planned)
    is_first = True
    if not dry_run:
        from autoice_bench.baselines.machine.devices import open_fabric

        fabric = open_fabric(
            device,
            precision=planned[0].planned.recipe.precision,
            devices=devices,
            num_nodes=nodes,
        )
        is_first = fabric.is_global_zero
        if is_first:
            click.echo(describe_runs(outcomes), err=True)
            pending = [each.run for each in outcomes if each.state != "finished"]
            if pending:
                seconds = project_study(pending, fabric.device.type, fabric.world_size)
                text = f"projected: about {format_duration(seconds)} of training at most"
                click.echo(f"{text}, reading left out", err=True)
        outcomes = run_study(planned, fabric, report_work, second, begin=_announce)
    if not is_first:
        return
    result = StudyResult(study, outcomes, second, incomparable)
    if as_json:
        echo_json(to_record(result))
    elif dry_run:
        click.echo(describe_runs(outcomes))
    else:
        click.echo(format_result(result))
    if dry_run:
        return
    reasons = [f"failed:\n{describe_failures(outcomes)}"] if result.failed else []
    if result.is_interrupted:
        reasons.append("interrupted; the same command goes on")
    if reasons:
        fail("\n".join(reasons))


def _announce(run: StudyRun) -> None:
    from autoice_bench.text.runs import format_plan

    click.echo(format_plan(run.planned), err=True)
