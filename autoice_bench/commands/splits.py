"""``splits``: list, create and check splits."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from autoice_bench.commands.base import NAME_OR_PATH, STORE_OPTION, ListingGroup, echo_json

if TYPE_CHECKING:
    import pandas as pd


@click.group(cls=ListingGroup)
def splits() -> None:
    """List, create and check splits of a store.

    Without a command, lists them. A split is a file STORE/splits/NAME.json.
    """


@splits.command("list")
@STORE_OPTION
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def splits_list(store: Path, as_json: bool) -> None:
    """List the splits of a store."""
    from autoice_bench.datasets.splits.named import explain_missing_splits
    from autoice_bench.formats.split_file import read_splits
    from autoice_bench.text.splits import format_splits
    from autoice_bench.wording import make_visible

    missing = explain_missing_splits(store, _read_scene_table(store))
    found = read_splits(store)
    if as_json:
        echo_json({"splits": [split.to_dict() for split in found], "missing": missing})
        return
    click.echo(format_splits(found))
    for name, reason in missing.items():
        click.echo(make_visible(f"not here: {name} ({reason.removeprefix(f'split {name}: ')})"))


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
    """Create a split NAME of the training scenes.

    The test is the official one. Satellite passes stay whole, and training scenes that share a
    pass with a test scene are left out.
    """
    from autoice_bench.datasets.splits.created import METHODS, create_splits
    from autoice_bench.datasets.splits.named import write_created_splits
    from autoice_bench.text.splits import format_splits

    if folds is not None and method != "kfold":
        raise click.UsageError("--folds goes with --method kfold")
    if n_val is not None and method not in ("stratified", "random"):
        raise click.UsageError("--val goes with --method stratified or random")
    created = create_splits(
        name,
        _read_scene_table(store),
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
@click.argument("name", type=NAME_OR_PATH)
@STORE_OPTION
@click.option(
    "--days",
    type=click.FloatRange(min=0),
    default=3.0,
    show_default=True,
    help="Compare footprints of scenes at most this many days apart.",
)
@click.option("--warn-only", is_flag=True, help="Exit with status 0 also when there are leaks.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def splits_check(name: str, store: Path, days: float, warn_only: bool, as_json: bool) -> None:
    """Report leaks: scenes on two sides that show the same ice.

    NAME is a split of the store or the path of a JSON file. Leaks in pass (one data-take), time
    (one satellite within ten minutes) and footprint (overlap within --days). The exit status is 1
    when there are leaks; the published splits have some and stay as published. Scripts that should
    go on say --warn-only.
    """
    from autoice_bench.datasets.splits.leaks import check_split
    from autoice_bench.formats.split_file import read_split

    split = read_split(store, name)
    leaks = check_split(split, _read_scene_table(store), max_days=days)
    if as_json:
        echo_json({"name": split.name, "leaks": [leak.to_dict() for leak in leaks]})
    else:
        for leak in leaks:
            click.echo(str(leak))
        click.echo(f"{split.name}: {len(leaks) or 'no'} leak{'' if len(leaks) == 1 else 's'}")
    if leaks and not warn_only:
        sys.exit(1)


def _read_scene_table(store: Path) -> pd.DataFrame:
    """The scenes of a complete store, as splits want them."""
    from autoice_bench.datasets.splits.scene_table import validate_split_index
    from autoice_bench.datasets.store.index import read_index
    from autoice_bench.datasets.store.root import open_store

    return validate_split_index(read_index(open_store(store, require_complete=True)))
