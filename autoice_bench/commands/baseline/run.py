"""``baseline RECIPE``: train a baseline, predict with it, score it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from autoice_bench.commands.base import (
    IMPORT_OPTION,
    NAME_OR_PATH,
    PATH,
    SPLIT_OPTION,
    STORE_OPTION,
    SUBSET_OPTION,
    AutoIceCommand,
    echo_json,
    scene_progress,
)
from autoice_bench.commands.baseline.options import YES_OPTION, parse_seeds_option
from autoice_bench.commands.baseline.work import confirm_long_run, report_work, require_torch
from autoice_bench.commands.streams import remark
from autoice_bench.errors import AutoIceError, BaselineError

if TYPE_CHECKING:
    from autoice_bench.baselines.experiments.plan import PlannedRun
    from autoice_bench.baselines.experiments.run import RunReport
    from autoice_bench.formats.split_file import Subset

_RECIPE_SUFFIXES = (".toml", ".json")
_OF_FLOORS = {"recipe", "store", "split", "subset", "out", "overwrite"}
_OF_NETWORKS = "only majority and amsr2-threshold have it; recipes of networks write to --preds"


def _recipe_option(flag: str, metavar: str, text: str) -> Callable[[Any], Any]:
    """An option that is short for ``--set`` of the field of its name."""
    return click.option(flag, metavar=metavar, help=text)


@click.command("run", cls=AutoIceCommand)
@click.argument("recipe", type=NAME_OR_PATH, default="aspp")
@STORE_OPTION
@SPLIT_OPTION
@SUBSET_OPTION
@IMPORT_OPTION
@_recipe_option("--rates", "N,N,...", "Atrous rates of every decoder (aspp). [recipe: 6,12,18]")
@_recipe_option("--rates-sic", "N,N,...", "Atrous rates of the SIC decoder, in place of --rates.")
@_recipe_option("--rates-sod", "N,N,...", "The same for SOD.")
@_recipe_option("--rates-floe", "N,N,...", "The same for FLOE.")
@_recipe_option(
    "--features",
    "GROUP",
    "Feature group, channels, or several joined by +, such as sar or sar+era5.",
)
@click.option(
    "--weights",
    type=NAME_OR_PATH,
    metavar="SOURCE",
    help="Start of the encoder: imagenet, none or a file (aspp).",
)
@_recipe_option("--epochs", "N", "Most epochs.")
@_recipe_option("--val", "SPEC", "Validation scenes: split (its own), or random:N, drawn by seed.")
@_recipe_option("--compat", "NAME", "starter-kit: misalign 2 km variables as that one does.")
@click.option("--config", type=click.IntRange(1, 9), help="Configuration 1 to 9 of unet.")
@click.option(
    "--set",
    "settings",
    metavar="FIELD=VALUE",
    multiple=True,
    help="Set any field of the recipe (--dry-run --json shows them). May be repeated.",
)
@click.option(
    "--seeds",
    callback=parse_seeds_option,
    default="0",
    show_default=True,
    metavar="N,N,...",
    help="One run per seed; several give mean and spread.",
)
@click.option("--name", help="Name of the run, before -seedN. [default: recipe and settings]")
@click.option(
    "--runs", type=PATH, default=Path("runs"), show_default=True, help="Folder of the runs."
)
@click.option(
    "--preds", type=PATH, default=Path("preds"), show_default=True, help="Folder of predictions."
)
@click.option("--out", type=PATH, help="Folder for the predictions of a floor. [preds/RECIPE]")
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="What computes.",
)
@click.option("--devices", type=click.IntRange(min=1), default=1, help="GPUs per node.")
@click.option("--nodes", type=click.IntRange(min=1), default=1, help="Nodes.")
@click.option(
    "--overwrite",
    is_flag=True,
    help="Begin the run anew; its predictions are replaced when the new ones are complete.",
)
@YES_OPTION
@click.option("--describe", is_flag=True, help="Show the network in figures and exit.")
@click.option("--dry-run", is_flag=True, help="Show what would be done, and how long it takes.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def run(
    ctx: click.Context,
    /,
    *,
    recipe: str,
    store: Path,
    split: str,
    subset: Subset,
    config: int | None,
    settings: tuple[str, ...],
    seeds: tuple[int, ...],
    name: str | None,
    runs: Path,
    preds: Path,
    out: Path | None,
    device: str,
    devices: int,
    nodes: int,
    overwrite: bool,
    yes: bool,
    describe: bool,
    dry_run: bool,
    as_json: bool,
    **shorthands: str | None,
) -> None:
    """Train RECIPE (default: aspp), predict and score; what `baseline RECIPE` does."""
    from autoice_bench.baselines.floors.predict import FLOORS

    if recipe in FLOORS:
        _refuse_options_of_networks(ctx, recipe)
        _run_floor(recipe, store, split, subset, out or preds / recipe, overwrite)
        return
    if out is not None:
        raise click.UsageError(f"--out: {_OF_NETWORKS}")
    require_torch(recipe)
    recipe = _resolve_name(recipe, config)
    chosen = _collect_settings(recipe, settings, shorthands)
    if describe:
        _describe(recipe, chosen, as_json)
        return

    from autoice_bench.baselines.experiments.plan import plan_runs

    planned = plan_runs(
        recipe,
        chosen,
        store=store,
        split=split,
        seeds=seeds,
        runs=runs,
        preds=preds,
        name=name,
    )
    if not overwrite:
        for each in planned:
            each.require_same()
    if dry_run:
        _show_plan(planned, device, devices * nodes, as_json)
        return
    _do_runs(planned, subset, device, devices, nodes, overwrite, yes, as_json)


def _refuse_options_of_networks(ctx: click.Context, recipe: str) -> None:
    allowed = _OF_FLOORS | {"preds"}
    for parameter in ctx.command.get_params(ctx):
        source = ctx.get_parameter_source(str(parameter.name))
        given = source is ParameterSource.COMMANDLINE
        if given and parameter.expose_value and parameter.name not in allowed:
            raise click.UsageError(f"{parameter.opts[0]} goes with recipes of networks: {recipe}")


def _run_floor(
    recipe: str, store: Path, split: str, subset: Subset, target: Path, overwrite: bool
) -> None:
    from autoice_bench.baselines.floors.predict import predict_floor

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
    for chart, values in fitted.items():
        click.echo(f"{chart}: " + ", ".join(f"{key} {value}" for key, value in values.items()))
    click.echo(f"predictions written to {target}")


def _resolve_name(recipe: str, config: int | None) -> str:
    """The recipe's name, with the configuration of the U-Net.

    Raises:
        click.UsageError: there is no such recipe, or a configuration of something else.
    """
    from autoice_bench.baselines.floors.predict import FLOORS
    from autoice_bench.baselines.recipes.loading import recipe_names
    from autoice_bench.baselines.settings.values import suggest

    if not recipe.endswith(_RECIPE_SUFFIXES) and recipe not in recipe_names():
        known = [*FLOORS, *recipe_names()]
        raise click.UsageError(f"no recipe {recipe!r}{suggest(recipe, known)}")
    if config is None:
        return recipe
    if recipe != "unet":
        raise click.UsageError(f"--config goes with unet; the recipe is {recipe}")
    return recipe if config == 1 else f"unet-{config}"


def _collect_settings(
    recipe: str, settings: tuple[str, ...], shorthands: Mapping[str, str | None]
) -> dict[str, str]:
    """Settings by field, checked.

    Raises:
        click.UsageError: a setting of a published recipe is not usable, or is given twice.
        BaselineError: the recipe's own file is not usable.
    """
    from autoice_bench.baselines.recipes.loading import load_recipe, parse_settings

    short = {field: text for field, text in shorthands.items() if text is not None}
    if recipe.endswith(_RECIPE_SUFFIXES):
        load_recipe(recipe)
    try:
        chosen = parse_settings(settings)
        twice = sorted(short.keys() & chosen.keys())
        if twice:
            flag = f"--{twice[0].replace('_', '-')}"
            raise click.UsageError(f"{flag} and --set {twice[0]}: give one of them")
        load_recipe(recipe, chosen | short)
    except AutoIceError as error:
        raise click.UsageError(str(error)) from None
    return chosen | short


def _describe(recipe_name: str, settings: Mapping[str, str], as_json: bool) -> None:
    import torch

    from autoice_bench.baselines.inputs.features import parse_features
    from autoice_bench.baselines.insight.describe import describe
    from autoice_bench.baselines.recipes.loading import load_recipe
    from autoice_bench.text.network import format_description

    recipe = load_recipe(recipe_name, settings)
    n_channels = parse_features(recipe.features).n_channels
    with torch.device("meta"):
        network = recipe.build_network(n_channels)
    description = describe(
        network,
        n_channels,
        recipe.patch_size,
        downscale=recipe.downscale,
        outputs=[output.name for output in recipe.task.outputs],
    )
    if as_json:
        echo_json({"recipe": recipe.name, **description.to_dict()})
    else:
        click.echo(f"recipe: {recipe.name}, {recipe.description}")
        click.echo(format_description(description))


def _show_plan(planned: list[PlannedRun], device: str, n_devices: int, as_json: bool) -> None:
    from autoice_bench.baselines.experiments.projection import project_runs
    from autoice_bench.baselines.settings.values import format_value
    from autoice_bench.text.runs import format_plan, format_projection

    try:
        projection, reason = project_runs(planned, device, n_devices), None
    except BaselineError as error:
        projection, reason = None, str(error)
    if as_json:
        projected = None if projection is None else projection.to_dict()
        echo_json([{**each.to_dict(), "projected": projected} for each in planned])
        return
    for each in planned:
        click.echo(format_plan(each))
    click.echo(f"channels: {', '.join(planned[0].features.channels)}")
    click.echo("recipe:")
    for field, value in planned[0].recipe.values().items():
        click.echo(f"  {field} = {format_value(value)}")
    if projection is not None:
        click.echo(format_projection(projection, planned[0].recipe))
    else:
        click.echo(f"no projection: {reason}")


def _do_runs(
    planned: list[PlannedRun],
    subset: Subset,
    device: str,
    devices: int,
    nodes: int,
    overwrite: bool,
    yes: bool,
    as_json: bool,
) -> None:
    from autoice_bench.baselines.experiments.projection import project_runs
    from autoice_bench.baselines.experiments.run import (
        do_run,
        require_start_weights,
        summarise_seeds,
    )
    from autoice_bench.baselines.machine.devices import open_fabric
    from autoice_bench.text.runs import (
        format_plan,
        format_projection,
        format_run_report,
        format_seeds,
        suggest_next,
    )

    fabric = open_fabric(
        device, precision=planned[0].recipe.precision, devices=devices, num_nodes=nodes
    )
    is_first = fabric.is_global_zero
    is_work = any(overwrite or not each.is_finished for each in planned)
    if is_first and is_work:
        require_start_weights(planned, overwrite=overwrite)
    if is_first:
        # Before what takes seconds: a reader sees at once what was understood.
        remark("\n".join(map(format_plan, planned)))
    if is_first and is_work:
        projection = project_runs(planned, fabric.device.type, fabric.world_size)
        remark(format_projection(projection, planned[0].recipe))
        confirm_long_run(projection.seconds, fabric.device.type, yes)
    reports: list[RunReport] = []
    for each in planned:
        reports.append(do_run(each, fabric, report_work, subset=subset, overwrite=overwrite))
        if is_first and not as_json:
            click.echo(format_run_report(reports[-1], subset=subset))
        if reports[-1].training == "interrupted":
            break
    if not is_first:
        return
    interrupted = reports[-1].training == "interrupted"
    if as_json:
        runs = [report.to_dict() for report in reports]
        echo_json({"runs": runs, "over_seeds": summarise_seeds(reports)})
    elif not interrupted:
        spread = format_seeds(summarise_seeds(reports), len(reports))
        click.echo("\n".join(filter(None, [spread, suggest_next(reports, subset=subset)])))
    if interrupted:
        raise SystemExit(1)
