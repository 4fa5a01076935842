"""What the commands share: how errors show, how groups list, common options, progress, JSON."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import click

from autoice_bench.errors import AutoIceError
from autoice_bench.wording import escape_json, make_lines_visible

PATH = click.Path(path_type=Path)


def parse_threshold_option(_: click.Context, __: click.Parameter, value: str) -> int:
    """Read a dominance threshold, whole percent or a share (65 or 0.65), as percent."""
    from autoice_bench.formats.label_rule import parse_threshold

    try:
        return parse_threshold(value)
    except AutoIceError as error:
        raise click.BadParameter(str(error)) from None


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
            fail(str(error))


def _remember_debug(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    ctx.meta["autoice.debug"] = value or ctx.meta.get("autoice.debug", False)


def fail(message: str) -> NoReturn:
    """Print an error on standard error and exit with status 1."""
    click.echo(make_lines_visible(f"error: {message}"), err=True)
    sys.exit(1)


class AutoIceGroup(click.Group):
    """Commands listed in the order of the workflow, not of the alphabet."""

    command_class = AutoIceCommand

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


AutoIceGroup.group_class = AutoIceGroup


class ListingGroup(AutoIceGroup):
    """A group that lists when no command is named: ``splits --json`` is ``splits list --json``."""

    default_command = "list"

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        asks_help = bool(args) and args[0] in self.get_help_option_names(ctx)
        if not asks_help and (not args or args[0].startswith("-")):
            args = [self.default_command, *args]
        return super().parse_args(ctx, args)


class ShowingGroup(ListingGroup):
    """A group that shows when no command is named."""

    default_command = "show"


def echo(text: str) -> None:
    """Print lines on standard output; what would steer a terminal is made visible."""
    click.echo(make_lines_visible(text))


def echo_json(value: object) -> None:
    """Print ``value`` as indented JSON (the form of every ``--json`` answer)."""
    click.echo(escape_json(json.dumps(value, indent=2, ensure_ascii=False)))


STORE_OPTION = click.option(
    "--store",
    type=PATH,
    default=Path("autoice.zarr"),
    show_default=True,
    envvar="AUTOICE_STORE",
    show_envvar=True,
    help="The store.",
)


SPLIT_OPTION = click.option(
    "--split", default="official", show_default=True, help="Name of a split, or its JSON file."
)
SUBSET_OPTION = click.option(
    "--subset",
    type=click.Choice(["train", "val", "test"]),
    default="test",
    show_default=True,
    help="Subset of the split.",
)


def _allow_imports(_: click.Context, __: click.Parameter, modules: tuple[str, ...]) -> None:
    from autoice_bench.baselines.networks.foreign import allow_imports

    allow_imports(modules)


IMPORT_OPTION = click.option(
    "--import",
    "modules",
    metavar="MODULE",
    multiple=True,
    expose_value=False,
    callback=_allow_imports,
    help="Let recipes and runs use networks of this Python module. May be repeated.",
)
LEADERBOARD_OPTION = click.option(
    "--leaderboard",
    type=PATH,
    default=Path("leaderboard"),
    show_default=True,
    help="The leaderboard's folder.",
)


@contextmanager
def scene_progress(verb: str) -> Iterator[Callable[[int, int], None]]:
    """A callback (scenes done, scenes in all) that shows progress on standard error."""
    from autoice_bench.commands.progress import Progress

    with Progress(verb) as progress:
        yield progress.reach
