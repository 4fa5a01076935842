"""Files and folders that appear whole: written under another name, made durable, then renamed.

Whoever reads a name sees what was there before or all of what is new, also after a kill, a full
disk or a power cut. Files go through one of three doors: ``write_whole`` for bytes, ``whole_file``
and ``whole_folder`` for what a library or a loop writes. Scenes of a store, which many processes
write, have a way of their own (``datasets.store.scene_writer``); logs and journals only grow.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import logging
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from autoice_bench.formats.own_folders import require_own

PARTIAL_SUFFIX: Final = ".partial"
"""Ends the names under which something is being written; they begin with a dot."""
_DISPLACED_SUFFIX: Final = ".old"

_TRIES: Final = 10

_AT_FDCWD: Final = -100
_RENAME_EXCHANGE: Final = 2  # of linux/fs.h
_NO_EXCHANGE: Final = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EPERM)
_NO_FOLDER_SYNC: Final = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS)
"""What file systems without it answer: SMB, shared folders of virtual machines, some of FUSE."""

_log: Final = logging.getLogger(__name__)
_remarked: Final[set[int]] = set()
"""Devices whose folders cannot be synced, of which the user has been told."""


def write_whole(path: Path, content: bytes) -> None:
    """Write a file whole, in place of one that is there.

    Raises:
        OSError: the file system is full or read-only; what was there before stays.
    """
    with whole_file(path) as partial:
        partial.write_bytes(content)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A name to write a file under, which takes the place of ``path`` when all went well.

    The folder of ``path`` must exist.

    Raises:
        OSError: as the write in the ``with`` block, or the renaming; ``path`` is as it was.
    """
    partial = _partial_of(path)
    try:
        with _naming(path, partial):
            yield partial
            _sync_file(partial)
            partial.replace(path)
    finally:
        with suppress(OSError):  # of a read-only file system, though nothing was written
            partial.unlink()
    sync_folder(path.parent)


@contextmanager
def whole_folder(path: Path, *, replace: bool = False) -> Iterator[Path]:
    """An empty folder to fill, which becomes ``path`` when all went well.

    Args:
        path: the folder; its parents are created.
        replace: take the place of a folder that is there, in one step where the system has one.

    Raises:
        FileExistsError: something is there and ``replace`` is not set, or it is no folder.
        OSError: as the writes in the ``with`` block, or the renaming, or ``path`` is a link;
            ``path`` is as it was.
    """
    # "." has no name to rename. A link itself is not resolved: what it leads to is not ours.
    path = path.parent.resolve() / path.name if path.is_symlink() else path.resolve()
    require_own(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(path)
    partial, descriptor = _make_partial(path)
    try:
        with _naming(path):
            yield partial
            sync_tree(partial)
            if replace and path.is_dir():
                exchange_folders(partial, path)
            else:
                _rename_new(partial, path)
            sync_folder(path.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        if descriptor is not None:
            os.close(descriptor)


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable; where a file system cannot, remark it once and go on.

    Raises:
        OSError: the disk failed, or the folder is gone; names the folder.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _fsync(descriptor, path)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise
        device = os.fstat(descriptor).st_dev
        if device not in _remarked:
            _remarked.add(device)
            _log.warning(
                "%s: this file system cannot make the names in a folder durable (%s); after a "
                "power cut, look whether the last files are there",
                path,
                error.strerror,
            )
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Make a folder and everything in it durable."""
    for parent, _, names in os.walk(folder):
        for name in names:
            _sync_file(Path(parent, name))
        sync_folder(Path(parent))


def exchange_folders(partial: Path, path: Path) -> None:
    """Swap two folders in one step; what was at ``path`` is at ``partial`` then.

    Python has no such call. File systems without it (NFS, some others) get two renames, with a
    moment between them in which nothing is at ``path``; ``whole_folder`` puts the old folder back
    if a kill falls just there.

    Raises:
        OSError: as the renaming; both are as they were.
    """
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is not None:
        names = (os.fsencode(partial), os.fsencode(path))
        if renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) == 0:
            return
        number = ctypes.get_errno()
        if number not in _NO_EXCHANGE:
            raise OSError(number, os.strerror(number), str(path))
    displaced = partial.with_suffix(_DISPLACED_SUFFIX)
    path.rename(displaced)
    try:
        partial.rename(path)
    except OSError:
        displaced.rename(path)
        raise
    displaced.rename(partial)


def is_partial(path: Path) -> bool:
    """Whether a name is one under which a file or folder is, or was, being written."""
    return path.name.startswith(".") and path.name.endswith(PARTIAL_SUFFIX)


def remove_partial_files(folder: Path) -> None:
    """Remove what killed writers left in a folder that nobody else writes in now."""
    for path in folder.glob(f".*{PARTIAL_SUFFIX}"):
        if path.is_file():
            path.unlink(missing_ok=True)


def _partial_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.{uuid.uuid4().hex}{PARTIAL_SUFFIX}")


def _make_partial(path: Path) -> tuple[Path, int | None]:
    """An empty folder to fill, and its lock; None on a file system without locks.

    The lock is held while the folder is being filled, so that the next writer knows it from a dead
    one's. One that sweeps between the two steps here takes it for dead: then another is made.
    """
    for _ in range(_TRIES):
        partial = _partial_of(path)
        partial.mkdir()
        descriptor = _lock_folder(partial)
        if partial.is_dir():
            break
        if descriptor is not None:
            os.close(descriptor)
    return partial, descriptor


def _sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        _fsync(descriptor, path)
    finally:
        os.close(descriptor)


def _fsync(descriptor: int, path: Path) -> None:
    """As ``os.fsync``; its errors tell no name, and what did not last must be told by name."""
    with _naming(path):
        os.fsync(descriptor)


@contextmanager
def _naming(path: Path, partial: Path | None = None) -> Iterator[None]:
    """Let an error of the system name ``path`` if it names nothing, or the partial file.

    A full disk, met while writing through a descriptor or a library, has no name of its own.
    """
    try:
        yield
    except OSError as error:
        anonymous = error.errno is not None and error.filename is None
        if anonymous or (partial is not None and str(error.filename) == str(partial)):
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


def _rename_new(partial: Path, path: Path) -> None:
    """Rename a folder to a free name; an empty folder in its place passes for free."""
    try:
        partial.rename(path)
    except (FileExistsError, NotADirectoryError):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
    except OSError as error:
        if error.errno != errno.ENOTEMPTY:
            raise
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None


def _sweep(path: Path) -> None:
    """Clear away what killed writers of a folder left; put back what one had just displaced.

    What a living writer holds stays: it has the lock of the folder that it fills, which is at
    ``path`` already while the one it displaced waits to be removed.
    """
    names = re.compile(
        rf"\.{re.escape(path.name)}\.[0-9a-f]{{32}}"
        rf"({re.escape(PARTIAL_SUFFIX)}|{re.escape(_DISPLACED_SUFFIX)})"
    )
    found = [left for left in path.parent.iterdir() if names.fullmatch(left.name)]
    for old in found:
        if old.suffix != _DISPLACED_SUFFIX or old.is_symlink():  # a link is of somebody else
            continue
        if _is_held(old.with_suffix(PARTIAL_SUFFIX)) or _is_held(path):
            continue
        if path.exists():
            shutil.rmtree(old, ignore_errors=True)
        else:
            with suppress(OSError):
                old.rename(path)
    for left in found:
        if left.suffix != PARTIAL_SUFFIX:
            continue
        descriptor = _lock_folder(left)
        if descriptor is not None:  # nobody is filling it
            shutil.rmtree(left, ignore_errors=True)
            os.close(descriptor)


def _is_held(folder: Path) -> bool:
    """Whether somebody holds the lock of a folder that is there."""
    if not folder.is_dir():
        return False
    descriptor = _lock_folder(folder)
    if descriptor is None:
        return True
    os.close(descriptor)
    return False


def _lock_folder(folder: Path) -> int | None:
    """Hold a folder's kernel lock; None where another process does, or there are no locks."""
    descriptor = None
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        if descriptor is not None:
            os.close(descriptor)
        return None
    return descriptor
