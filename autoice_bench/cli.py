"""The command line. Commands are thin; heavy imports happen inside them, so ``--help`` is instant.

Exit status: 0 done, 1 done with failures that are listed (or an expected error, said in one line),
2 wrong usage.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, Literal, NoReturn

import click

from autoice_bench import __version__
from autoice_bench.errors import AutoIceError

PATH = click.Path(path_type=Path)


class AutoIceCommand(click.Command):
    """A command whose expected errors print as one line; ``--debug`` shows the traceback."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.append(
            click.Option(
                ["--debug"],
                is_flag=True,
                expose_value=False,
                help="Show the traceback of an error.",
                callback=_remember_debug,
            )
        )

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except AutoIceError as error:
            if ctx.meta.get("autoice.debug") or os.environ.get("AUTOICE_DEBUG"):
                raise
            _fail(str(error))


def _remember_debug(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    ctx.meta["autoice.debug"] = value or ctx.meta.get("autoice.debug", False)


def _fail(message: str) -> NoReturn:
    click.echo(f"error: {message}", err=True)
    sys.exit(1)


class AutoIceGroup(click.Group):
    """Commands listed in the order of the workflow, not of the alphabet."""

    command_class = AutoIceCommand

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


AutoIceGroup.group_class = AutoIceGroup


class ListingGroup(AutoIceGroup):
    """A group that lists when no command is named: ``splits --json`` is ``splits list --json``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        asks_help = bool(args) and args[0] in self.get_help_option_names(ctx)
        if not asks_help and (not args or args[0].startswith("-")):
            args = ["list", *args]
        return super().parse_args(ctx, args)


def echo_json(value: object) -> None:
    """Print ``value`` as indented JSON (the form of every ``--json`` answer)."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


@click.group(cls=AutoIceGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="autoice-bench")
def main() -> None:
    """Sea-ice mapping benchmark on the AutoICE / AI4Arctic scenes.

    Scenes go in, a store comes out; models read the store and write predictions; the scorer reads
    predictions and writes a leaderboard. With the defaults the plain commands follow each other in
    one folder:

    \b
      autoice-bench simulate     # or put the released scenes into rtt/
      autoice-bench prepare
      autoice-bench verify --source rtt
      autoice-bench score preds/
    """


def _parse_size(_: click.Context, __: click.Parameter, value: str) -> tuple[int, int]:
    try:
        lines, samples = (int(part) for part in value.split(","))
    except ValueError:
        raise click.BadParameter(f"{value!r} is not LINES,SAMPLES, such as 1000,1046") from None
    return lines, samples


@main.command()
@click.argument("out", type=PATH, default="rtt")
@click.option("--train", "n_train", default=8, show_default=True, help="Training scenes.")
@click.option("--test", "n_test", default=2, show_default=True, help="Test scenes.")
@click.option(
    "--size",
    default="1000,1046",
    show_default=True,
    metavar="LINES,SAMPLES",
    callback=_parse_size,
    help="80 m pixels; a released scene has about 5000,5229.",
)
@click.option("--seed", default=0, show_default=True, help="Another seed, another data set.")
@click.option(
    "--cases",
    type=click.Choice(["auto", "all", "none"]),
    default="auto",
    show_default=True,
    help="Awkward scenes (odd size, short frame, all water, ...); auto: from 16 scenes on.",
)
@click.option("--workers", default=1, show_default=True, help="Processes.")
@click.option("--overwrite", is_flag=True, help="Replace simulated scenes of another run in OUT.")
def simulate(
    out: Path,
    n_train: int,
    n_test: int,
    size: tuple[int, int],
    seed: int,
    cases: Literal["auto", "all", "none"],
    workers: int,
    overwrite: bool,
) -> None:
    """Write simulated scenes in the official layout into OUT (default: rtt).

    OUT gets train/*_prep.nc, test/*_prep.nc without charts, test/*_prep_reference.nc and
    metadata.csv. The same options give the same bytes; repeating the command finishes an
    interrupted run. Scenes are dated from 2030 on and marked simulated = 1.
    """
    from autoice_bench.datasets.simulate import simulate as run

    source = run(
        out,
        n_train=n_train,
        n_test=n_test,
        size=size,
        seed=seed,
        cases=cases,
        workers=workers,
        overwrite=overwrite,
        progress=lambda name, done, total: click.echo(f"{name}  {done} of {total}"),
    )
    kept = f", {source.n_kept} were there already" if source.n_kept else ""
    click.echo(f"{out}: {source.n_written} scenes simulated{kept}")


STORE_OPTION = click.option(
    "--store",
    type=PATH,
    default=Path("autoice.zarr"),
    show_default=True,
    envvar="AUTOICE_STORE",
    show_envvar=True,
    help="The store.",
)


@main.group(cls=ListingGroup)
def splits() -> None:
    """List, create and check splits of a store.

    Without a command, lists them. A split is a file STORE/splits/NAME.json.
    """


@splits.command("list")
@STORE_OPTION
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def splits_list(store: Path, as_json: bool) -> None:
    """List the splits of a store."""
    from autoice_bench.datasets.named_splits import explain_missing_splits
    from autoice_bench.datasets.split_index import read_split_index
    from autoice_bench.datasets.splits import format_splits, read_splits

    missing = explain_missing_splits(store, read_split_index(store))
    found = read_splits(store)
    if as_json:
        echo_json({"splits": [split.to_dict() for split in found], "missing": missing})
        return
    click.echo(format_splits(found))
    for name, reason in missing.items():
        click.echo(f"not here: {name} ({reason.removeprefix(f'split {name}: ')})")


@splits.command("create")
@click.argument("name")
@STORE_OPTION
@click.option(
    "--method",
    type=click.Choice(["stratified", "random", "kfold", "season"]),
    default="stratified",
    show_default=True,
    help="stratified: validation with the classes and months of training. random: drawn at "
    "random. kfold: NAME-0, NAME-1, ..., every scene validates once. season: NAME-winter, "
    "NAME-spring, ..., one season validates.",
)
@click.option(
    "--val",
    "n_val",
    type=click.IntRange(min=1),
    help="Validation scenes (stratified, random). [default: an eighth, at most 24]",
)
@click.option("--folds", type=click.IntRange(min=2), help="Number of folds (kfold). [default: 5]")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the draw.")
@click.option("--overwrite", is_flag=True, help="Replace splits of that name.")
@click.option("--json", "as_json", is_flag=True, help="Print the splits as JSON.")
def splits_create(
    *,
    name: str,
    store: Path,
    method: str,
    n_val: int | None,
    folds: int | None,
    seed: int,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Create a split NAME of the training scenes; the test is the official one.

    Satellite passes stay whole, and training scenes that share a pass with a test scene are left
    out.
    """
    from autoice_bench.datasets.created_splits import METHODS, create_splits
    from autoice_bench.datasets.named_splits import write_created_splits
    from autoice_bench.datasets.split_index import read_split_index
    from autoice_bench.datasets.splits import format_splits

    if folds is not None and method != "kfold":
        raise click.UsageError("--folds goes with --method kfold")
    if n_val is not None and method not in ("stratified", "random"):
        raise click.UsageError("--val goes with --method stratified or random")
    created = create_splits(
        name,
        read_split_index(store),
        method=METHODS[METHODS.index(method)],
        n_val=n_val,
        n_folds=5 if folds is None else folds,
        seed=seed,
    )
    write_created_splits(store, created, overwrite=overwrite)
    if as_json:
        echo_json([split.to_dict() for split in created])
    else:
        click.echo(format_splits(created))


@splits.command("check")
@click.argument("name")
@STORE_OPTION
@click.option(
    "--days",
    type=click.FloatRange(min=0),
    default=3.0,
    show_default=True,
    help="Compare footprints of scenes at most this many days apart.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def splits_check(name: str, store: Path, days: float, as_json: bool) -> None:
    """Report scenes on two sides of split NAME that show the same ice.

    NAME is a split of the store or the path of a JSON file. Leaks in pass (one data-take), time
    (one satellite within ten minutes) and footprint (overlap within --days). The exit status is 1
    when there are leaks; the published splits have some and stay as published.
    """
    from autoice_bench.datasets.leaks import check_split
    from autoice_bench.datasets.split_index import read_split_index
    from autoice_bench.datasets.splits import read_split

    split = read_split(store, name)
    leaks = check_split(split, read_split_index(store), max_days=days)
    if as_json:
        echo_json({"name": split.name, "leaks": [leak.to_dict() for leak in leaks]})
    else:
        for leak in leaks:
            click.echo(str(leak))
        click.echo(f"{split.name}: {len(leaks) or 'no'} leak{'' if len(leaks) == 1 else 's'}")
    if leaks:
        sys.exit(1)
