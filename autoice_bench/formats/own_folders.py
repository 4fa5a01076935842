"""Folders and files of our own: what is written or removed there never goes through a link.

A store, run or leaderboard from somebody else may hold links in places where this package writes;
followed, they would have files of the user changed or removed elsewhere. The folder that a user
names may itself be a link, and reading through links goes on working: data may lie on another file
system.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from autoice_bench.formats.plain_files import NotAFileError, require_file


class LinkError(OSError):
    """A link stands where this package would write or remove something."""

    def __init__(self, path: Path) -> None:
        reason = f"{path.name} is a link, through which nothing is written or removed; remove it"
        super().__init__(errno.ELOOP, reason, str(path))

    def __reduce__(self) -> tuple[type[OSError], tuple[object, ...]]:
        # Errors of worker processes are pickled; the class's own arguments are others.
        return OSError, (self.errno, self.strerror, self.filename)

    def __str__(self) -> str:
        return f"{Path(self.filename).parent}: {self.strerror}"


def require_own(*paths: Path) -> None:
    """Check that folders inside ours, those that are there, are no links.

    Raises:
        LinkError: one is.
    """
    for path in paths:
        if path.is_symlink():
            raise LinkError(path)


def make_own_folder(path: Path) -> None:
    """Create a folder inside ours, and its parents, unless it is there; it must be no link.

    Raises:
        LinkError: it is one.
        OSError: it cannot be made, or a file is in its place.
    """
    require_own(path)
    path.mkdir(parents=True, exist_ok=True)


def open_own(path: Path, flags: int) -> int:
    """Open a file inside our folders to be written, created if absent; a link is not followed.

    Args:
        path: the file.
        flags: of ``os.open``; ``O_CREAT``, ``O_CLOEXEC`` and ``O_NOFOLLOW`` are added.

    Returns:
        The descriptor, for the caller to close.

    Raises:
        LinkError: it is a link.
        NotAFileError: it is no file.
        OSError: it cannot be opened.
    """
    require_own(path)
    if os.path.lexists(path):
        require_file(path)
    try:
        descriptor = os.open(path, flags | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        # Only if it was put there since the look above.
        raise LinkError(path) if error.errno == errno.ELOOP else error from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotAFileError(path, "something else")
    return descriptor
