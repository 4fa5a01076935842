"""The command line. Commands are thin; heavy imports happen inside them, so ``--help`` is instant.

Exit status: 0 done, 1 done with failures that are listed (or an expected error, said in one line),
2 wrong usage.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, NoReturn

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
