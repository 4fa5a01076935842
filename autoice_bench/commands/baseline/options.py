"""Options that several subcommands of ``baseline`` share, and how they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from autoice_bench.commands.base import IMPORT_OPTION, PATH, SPLIT_OPTION, STORE_OPTION
from autoice_bench.errors import BaselineError


def parse_seeds_option(_: click.Context, __: click.Parameter, value: str) -> tuple[int, ...]:
    """Read different whole numbers of 0 or more, such as 0,1."""
    try:
        seeds = tuple(int(part) for part in value.split(","))
    except ValueError:
        raise click.BadParameter(f"{value!r}; expected whole numbers such as 0,1") from None
    if min(seeds) < 0 or len(set(seeds)) < len(seeds):
        raise click.BadParameter(f"{value!r}; expected different numbers of 0 or more")
    return seeds


YES_OPTION = click.option(
    "--yes", is_flag=True, help="Begin without asking where a CPU would take more than a day."
)

Function = TypeVar("Function", bound=Callable[..., Any])

_STUDY_OPTIONS = (
    STORE_OPTION,
    IMPORT_OPTION,
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
    YES_OPTION,
    click.option("--dry-run", is_flag=True, help="List the runs, and where each stands."),
    click.option("--json", "as_json", is_flag=True, help="Print JSON."),
)


def study_options(function: Function) -> Function:
    """The options that every study has."""
    for option in reversed(_STUDY_OPTIONS):
        function = option(function)
    return function


@contextmanager
def usage_errors() -> Iterator[None]:
    """What is wrong with options is wrong usage."""
    try:
        yield
    except BaselineError as error:
        raise click.UsageError(str(error)) from None


def collect_study_settings(settings: tuple[str, ...], epochs: str | None) -> dict[str, str]:
    """Settings of every experiment by field.

    Raises:
        BaselineError: a setting has no ``=``.
        click.UsageError: epochs are given twice.
    """
    from autoice_bench.baselines.recipes.loading import parse_settings

    chosen = parse_settings(settings)
    if epochs is not None:
        if "epochs" in chosen:
            raise click.UsageError("--epochs and --set epochs: give one of them")
        chosen["epochs"] = epochs
    return chosen
