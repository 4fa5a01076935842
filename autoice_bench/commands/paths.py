"""Paths as people type them: ``~``, ``file://`` addresses, other addresses, odd names.

Every option and argument that takes a path uses ``PATH``, or ``NAME_OR_PATH`` where a name will do
as well, so that all of them understand and refuse the same.
"""

from __future__ import annotations

import errno
import os
import re
import sys
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import unquote

import click

from autoice_bench.wording import make_visible

_ADDRESS: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.:-]*)://")
_FILE_ADDRESS: Final = re.compile(r"file:(?://(?:localhost)?(?=/)|(?=/(?!/)))", re.IGNORECASE)
_ANY_FILE_ADDRESS: Final = re.compile(r"file:", re.IGNORECASE)


class PathError(click.ClickException):
    """A path that cannot be used as it was typed: one line, and the status of wrong usage."""

    exit_code = 2

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"error: {self.message}", file=file or sys.stderr)


def parse_path(text: str) -> Path:
    """The local path that a user means.

    Args:
        text: a path, which may begin with ``~`` or ``~user``, or a ``file://`` address, in which
            ``%20`` stands for a space and so on.

    Raises:
        PathError: it is empty, an address of another kind or on another machine, or not UTF-8.
    """
    if not text:
        raise PathError("a path is empty; was a variable of the shell not set?")
    path = _from_address(text)
    if path.startswith("~"):
        try:
            path = str(Path(path).expanduser())
        except RuntimeError:  # no such user, or one without a home
            raise PathError(
                f"path {make_visible(text)}: there is no such home folder; write the path in full, "
                f"or ./{make_visible(text)} for a name that begins with ~"
            ) from None
    _require_utf8(path)
    _require_no_ring(path)
    return Path(path)


def _from_address(text: str) -> str:
    """A ``file:`` address as a path; what is no address stays as it is."""
    shown = make_visible(text)
    local = _FILE_ADDRESS.match(text)
    if local is not None:
        return unquote(text[local.end() :], errors="surrogateescape")
    found = _ADDRESS.match(text)
    if found is None:
        return text
    if _ANY_FILE_ADDRESS.match(text):
        raise PathError(f"address {shown}: expected a file of this machine, file:///folder/name")
    raise PathError(
        f"address {shown}: {found[1]}:// is not supported; expected a path of this machine, or "
        "file:///folder/name (mount what lies elsewhere, or copy it here)"
    )


def _require_no_ring(path: str) -> None:
    """Refuse a link that leads to itself: some of Python's own functions end in a traceback."""
    try:
        Path(path).stat()
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise PathError(f"path {make_visible(path)}: is a link that leads to itself") from None


def _require_utf8(path: str) -> None:
    """Refuse names that are not UTF-8: NetCDF and Zarr know no others."""
    folder = ""
    if not path.startswith("/"):
        try:
            folder = f"{Path.cwd()}/"
        except OSError:  # it was removed; a command that needs it says so
            folder = ""
    for text, what in ((path, "path"), (folder, "the current folder")):
        try:
            if text.encode() == os.fsencode(text):
                continue
        except UnicodeEncodeError:
            pass
        raise PathError(
            f"{what} {make_visible(text)}: not UTF-8, which the files' libraries need; rename it, "
            "or make a link to it with another name (where the system's language is at fault, "
            "PYTHONUTF8=1 helps)"
        )


class PathType(click.Path):
    """A local path, as ``parse_path`` understands it."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return super().convert(parse_path(os.fspath(value)), param, ctx)


class NameOrPathType(click.Path):
    """A name of something, or the path of its file; the text, with ``~`` and ``file:`` resolved."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = str(value)
        path = parse_path(text)
        return str(path) if text.startswith("~") or _ANY_FILE_ADDRESS.match(text) else text
