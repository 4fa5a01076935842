"""Files that are files: what may be something else is looked at before it is opened.

Opening a FIFO waits for a writer, for ever; opening a device may do anything. Readers of what
others give ask here first. Links are followed: data may lie on another file system.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
import tomllib
from pathlib import Path
from typing import Any, Final

_KINDS: Final = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_MOST_LEVELS: Final = 100
_TOO_DEEP: Final = f"nested too deep; expected at most {_MOST_LEVELS} levels"


class NotAFileError(OSError):
    """Something is there, but no file; ``strerror`` says what it is and what was expected."""

    def __init__(self, path: Path, found: str) -> None:
        super().__init__(errno.EINVAL, f"is {found}; expected a file", str(path))

    def __reduce__(self) -> tuple[type[OSError], tuple[object, ...]]:
        # Errors of reading processes are pickled; the class's own arguments are others.
        return OSError, (self.errno, self.strerror, self.filename)

    def __str__(self) -> str:
        return f"{self.filename} {self.strerror}"


def require_file(path: Path) -> Path:
    """Return ``path`` if it is a file, or a link to one.

    Raises:
        NotAFileError: it is a folder, FIFO, socket or device, or a link to nothing.
        FileNotFoundError: nothing is there.
        OSError: it cannot be looked at.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        if path.is_symlink():
            raise NotAFileError(path, f"a link to {path.readlink()}, which is not there") from None
        raise
    if not stat.S_ISREG(mode):
        raise NotAFileError(path, _KINDS.get(stat.S_IFMT(mode), "something else"))
    return path


def require_plain_tree(folder: Path) -> None:
    """Check that a folder holds files and folders only, links to them included.

    Raises:
        NotAFileError: something else is in it or below it.
        OSError: a folder cannot be listed.
    """

    def refuse(error: OSError) -> None:
        raise error

    for parent, _, names in os.walk(folder, onerror=refuse):
        for name in names:
            require_file(Path(parent, name))


def is_there(path: Path) -> bool:
    """Whether anything is there, a link to nothing included."""
    return os.path.lexists(path)


def read_bytes(path: Path) -> bytes:
    """Content of a file; raises as ``require_file``."""
    return require_file(path).read_bytes()


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes, as hexadecimal; raises as ``require_file``."""
    with require_file(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_text(path: Path, encoding: str = "utf-8") -> str:
    """Text of a file; raises as ``require_file``, and ``UnicodeDecodeError``."""
    return require_file(path).read_text(encoding=encoding)


def read_json(path: Path) -> Any:
    """What a JSON file (UTF-8) holds.

    Raises:
        ValueError: it is not JSON, no text, or nested too deep.
        OSError: as ``require_file``.
    """
    return parse_json(read_text(path))


def parse_json(content: str | bytes) -> Any:
    """What JSON text holds.

    Raises:
        ValueError: it is not JSON, no text, or nested too deep.
    """
    try:
        return _require_shallow(json.loads(content))
    except RecursionError:  # who asks for ValueError alone would end with a traceback
        raise ValueError(_TOO_DEEP) from None


def parse_toml(text: str) -> dict[str, Any]:
    """What TOML text holds.

    Raises:
        ValueError: it is not TOML, or nested too deep.
    """
    try:
        document = tomllib.loads(text)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    _require_shallow(document)
    return document


def _require_shallow(document: Any) -> Any:
    """Return a document that its readers may walk: what a parser takes may be too deep for them."""
    level = [document]
    for _ in range(_MOST_LEVELS):
        level = [
            child
            for value in level
            if isinstance(value, dict | list)
            for child in (value.values() if isinstance(value, dict) else value)
        ]
        if not level:
            return document
    raise ValueError(_TOO_DEEP)
