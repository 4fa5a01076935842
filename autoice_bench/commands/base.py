"""What the commands share: how errors show, how groups list, common options, progress, JSON."""

from __future__ import annotations

import errno
import json
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import click

from autoice_bench.commands.failures import explain_failure
from autoice_bench.commands.paths import NameOrPathType, PathType, parse_path
from autoice_bench.commands.streams import is_of_echo, let_go, open_standard_streams, remark
from autoice_bench.errors import AutoIceError
from autoice_bench.wording import escape_json, make_lines_visible, make_visible

PATH = PathType()
NAME_OR_PATH = NameOrPathType()


def parse_threshold_option(_: click.Context, __: click.Parameter, value: str) -> int:
    """Read a dominance threshold, whole percent or a share (65 or 0.65), as percent."""
    from autoice_bench.formats.label_rule import parse_threshold

    try:
        return parse_threshold(value)
    except AutoIceError as error:
        raise click.BadParameter(str(error)) from None


class AutoIceCommand(click.Command):
    """A command whose errors print as one line, also those of the system.

    ``--debug`` shows the traceback.
    """

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
        with _failures_in_one_line(debug=ctx.meta.get("autoice.debug", False)):
            return super().invoke(ctx)


@contextmanager
def _failures_in_one_line(*, debug: bool) -> Iterator[None]:
    """End the command for whatever is expected to go wrong, with one line and status 1."""
    try:
        yield
    except Exception as error:
        if isinstance(error, OSError) and is_of_echo(error):
            if error.errno == errno.EPIPE:
                raise  # nobody reads on, as with `| head`: click ends in silence
            let_go(sys.stdout)
            fail(f"standard output: {error.strerror}; nothing more can be shown")
        explained = explain_failure(error)
        if explained is None or debug or os.environ.get("AUTOICE_DEBUG"):
            raise
        fail(explained)


def _remember_debug(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    ctx.meta["autoice.debug"] = value or ctx.meta.get("autoice.debug", False)


def fail(message: str) -> NoReturn:
    """Print an error on standard error and exit with status 1."""
    remark(f"error: {message}")
    sys.exit(1)


class AutoIceGroup(click.Group):
    """Commands listed in the order of the workflow, not of the alphabet."""

    command_class = AutoIceCommand

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def main(self, args: Sequence[str] | None = None, *more: Any, **options: Any) -> Any:
        """As ``click`` does it, whatever the state of the standard streams."""
        open_standard_streams()
        _show_remarks()
        with _failures_in_one_line(debug="--debug" in (sys.argv if args is None else args)):
            return super().main(args, *more, **options)


AutoIceGroup.group_class = AutoIceGroup


class _Remarks(logging.Handler):
    """Shows what the library logs as a note."""

    def emit(self, record: logging.LogRecord) -> None:
        remark(f"note: {make_visible(record.getMessage())}")


def _show_remarks() -> None:
    log = logging.getLogger("autoice_bench")
    if not any(isinstance(handler, _Remarks) for handler in log.handlers):
        log.addHandler(_Remarks())
        log.propagate = False


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


def _parse_scheduler(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """An address such as ``tcp://host:8786`` as it is; what may be a file, as a path."""
    is_file = value is not None and (value.startswith(("file:", "~")) or "://" not in value)
    return str(parse_path(value)) if value is not None and is_file else value


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
    "--split",
    type=NAME_OR_PATH,
    default="official",
    show_default=True,
    help="Name of a split, or its JSON file.",
)
SCHEDULER_OPTION = click.option(
    "--scheduler",
    metavar="ADDRESS",
    callback=_parse_scheduler,
    help="Use the workers of this dask scheduler: its address, or the file that it wrote.",
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
