"""Standard streams as a process may find them: closed, full, or with nobody at the other end.

A closed stream is dangerous: the next file that is opened gets its number, and what is meant for a
person lands in it. What cannot be shown on standard error never stops the work.
"""

from __future__ import annotations

import os
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import click

from autoice_bench.wording import make_lines_visible


def open_standard_streams() -> None:
    """Lead the standard streams that this process was started without to nowhere."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # The lowest free number is this one. Processes started from here shall have it, too.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
        elif getattr(stream, "errors", None) == "strict":
            # In a language without our signs, one of them must not end the command.
            with suppress(AttributeError):
                stream.reconfigure(errors="backslashreplace")


def remark(text: str) -> None:
    """Print lines on standard error, if that takes them; what would steer a terminal is escaped."""
    try:
        click.echo(make_lines_visible(text), err=True)
    except OSError:
        let_go(sys.stderr)


def is_of_echo(error: OSError) -> bool:
    """Whether an error arose as something was shown, rather than in the work itself."""
    frames = traceback.walk_tb(error.__traceback__)
    return any(frame.f_code is click.echo.__code__ for frame, _ in frames)


def let_go(stream: IO[Any]) -> None:
    """Lead a stream to nowhere, so that the interpreter's end does not trip over what is in it."""
    with suppress(OSError, ValueError):  # of a stream without a file
        number = stream.fileno()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, number)
        os.close(nowhere)
