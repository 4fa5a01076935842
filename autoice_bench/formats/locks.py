"""Locks of the kernel (``flock``): they die with their process, so none is ever stale.

A file that merely exists would have to be judged: is its process alive, on which host, and was the
number given to another since? The kernel knows. Where a file system has no locks the work goes on
without one, and the caller says so.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from autoice_bench.formats.own_folders import open_own

_HELD: Final = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)
_NO_LOCKS: Final = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP)


class LockedError(Exception):
    """Another process holds the lock.

    Attributes:
        holder: who, such as ``process 4711 on node3``; empty where the file does not tell.
    """

    def __init__(self, holder: str) -> None:
        super().__init__(holder or "another process")
        self.holder = holder


def try_lock(descriptor: int, *, shared: bool = False) -> bool | None:
    """Take the lock of an open file, without waiting.

    Returns:
        True where it is held now, until the descriptor is closed; False where another process
        holds it; None on a file system that has no locks.

    Raises:
        OSError: the file cannot be locked.
    """
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HELD:
            return False
        if error.errno in _NO_LOCKS:
            return None
        raise
    return True


@contextmanager
def hold_lock(path: Path, *, shared: bool = False) -> Iterator[bool]:
    """Hold a lock for the time of a ``with`` block.

    Args:
        path: the lock's file, created if absent and never removed: two processes could lock a
            removed file, one of which opened it before.
        shared: several holders may share it; none may while one holds it alone.

    Yields:
        Whether the lock is held; False on a file system that has no locks.

    Raises:
        LockedError: another process holds it.
        OSError: the file cannot be opened or locked, or is a link or no file.
    """
    # Never through a link, whose target would be written over. A program started meanwhile does
    # not inherit the lock and keep it.
    descriptor = open_own(path, os.O_RDWR)
    try:
        is_held = try_lock(descriptor, shared=shared)
        if is_held is False:
            raise LockedError(os.read(descriptor, 256).decode(errors="replace").strip())
        # A courtesy to whoever is refused; a full disk must not prevent the work for it.
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
        except OSError:
            pass
        yield is_held is not None
    finally:
        os.close(descriptor)
