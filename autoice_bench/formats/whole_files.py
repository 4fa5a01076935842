"""Files and folders that appear whole: written under another name, made durable, then renamed.

Whoever reads a name sees what was there before or all of what is new, also after a kill, a full
disk or a power cut. Files go through one of three doors: ``write_whole`` for bytes, ``whole_file``
and ``whole_folder`` for what a library or a loop writes. Scenes of a store, which many processes
write, have a way of their own (``datasets.store.scene_writer``); logs and journals only grow.

What is being written lies in a workplace, a hidden folder beside its target::

    .<name>.partial/        of a folder, and of whoever claims a name: one writer at a time
    .<name>.<hex>.partial/  of a file; writers do not wait for each other, the last one wins
      .gitignore            keeps git away from all of it; locked as long as its writer lives
      new                   what is being written
      new.old               what it displaces, on file systems that cannot exchange two folders

A killed writer's lock is free, by which whoever writes in the same folder next knows its workplace
and clears it away.
"""

from __future__ import annotations

import ctypes
import errno
import logging
import os
import re
import shutil
import socket
import stat
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, TypeVar

from autoice_bench.formats.locks import try_lock
from autoice_bench.formats.own_folders import require_own

PARTIAL_SUFFIX: Final = ".partial"
"""Ends the names under which something is being written; they begin with a dot."""
_DISPLACED_SUFFIX: Final = ".old"

_GUARD: Final = ".gitignore"
_GUARD_FLAGS: Final = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW: Final = "new"
_WORKPLACE: Final = re.compile(rf"\.(?P<name>.+){re.escape(PARTIAL_SUFFIX)}")

_TRIES: Final = 10
_PAUSE_S: Final = 0.02
_GRACE_S: Final = 0.2
"""A writer that ends now, or one that sweeps, holds a workplace for no longer."""
_REREADS: Final = 10

_AT_FDCWD: Final = -100
_RENAME_EXCHANGE: Final = 2  # of linux/fs.h
_NO_EXCHANGE: Final = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EPERM)
_NO_FOLDER_SYNC: Final = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS)
"""What file systems without it answer: SMB, shared folders of virtual machines, some of FUSE."""

_log: Final = logging.getLogger(__name__)
_remarked: Final[set[int]] = set()
"""Devices whose folders cannot be synced, of which the user has been told."""

_Read = TypeVar("_Read")


class BusyError(OSError):
    """Another process writes the same; ``strerror`` says who."""

    def __init__(self, path: Path, holder: str = "", advice: str = "") -> None:
        who = f" ({holder})" if holder else ""
        reason = f"another process{who} is writing it; wait for it or stop it{advice}"
        super().__init__(errno.EBUSY, reason, str(path))

    def __reduce__(self) -> tuple[type[OSError], tuple[object, ...]]:
        # Errors of worker processes are pickled; the class's own arguments are others.
        return OSError, (self.errno, self.strerror, self.filename)

    def __str__(self) -> str:
        return f"{self.filename}: {self.strerror}"


def write_whole(path: Path, content: bytes) -> None:
    """Write a file whole, in place of one that is there.

    Raises:
        OSError: the file system is full or read-only; what was there before stays.
    """
    with whole_file(path) as partial:
        partial.write_bytes(content)


@contextmanager
def whole_file(path: Path, *, alone: bool = False) -> Iterator[Path]:
    """A name to write a file under, which takes the place of ``path`` when all went well.

    The folder of ``path`` must exist.

    Args:
        path: the file.
        alone: refuse a second writer; without, the one that ends last wins.

    Raises:
        BusyError: another process writes it, and ``alone`` is set.
        OSError: as the write in the ``with`` block, or the renaming; ``path`` is as it was.
    """
    with _naming(path), _workplace(path, alone=alone) as place:
        partial = place / _NEW
        yield partial
        _sync_file(partial)
        partial.replace(path)
        sync_folder(path.parent)


@contextmanager
def whole_folder(path: Path, *, replace: bool = False, patience_s: float = 0.0) -> Iterator[Path]:
    """An empty folder to fill, which becomes ``path`` when all went well.

    Args:
        path: the folder; its parents are created.
        replace: take the place of a folder that is there, in one step where the system has one.
        patience_s: seconds to wait for another writer of the same folder.

    Raises:
        FileExistsError: something is there and ``replace`` is not set, or it is no folder.
        BusyError: another process writes the same folder.
        OSError: as the writes in the ``with`` block, or the renaming, or ``path`` is a link;
            ``path`` is as it was.
    """
    # "." has no name to rename. A link itself is not resolved: what it leads to is not ours.
    path = path.parent.resolve() / path.name if path.is_symlink() else path.resolve()
    require_own(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with _naming(path), _workplace(path, alone=True, patience_s=patience_s) as place:
        partial = place / _NEW
        partial.mkdir()
        yield partial
        sync_tree(partial)
        if replace and path.is_dir():
            exchange_folders(partial, path)
        else:
            _rename_new(partial, path)
        sync_folder(path.parent)


@contextmanager
def claim(path: Path) -> Iterator[None]:
    """Be the only one that claims a name, for what many files make up.

    Args:
        path: anything; its folder must exist. Nothing is written under this name.

    Raises:
        BusyError: another process has claimed it.
        OSError: its folder cannot be written.
    """
    with _workplace(path, alone=True):
        yield


def remove_folder(path: Path) -> None:
    """Remove a folder in one step: no part of it is seen or left, also after a kill.

    Raises:
        BusyError: another process writes it.
        OSError: it cannot be removed, or is a link.
    """
    require_own(path)
    with _workplace(path, alone=True) as place:
        path.rename(place / _NEW)
        sync_folder(path.parent)


def read_settled(folder: Path, read: Callable[[], _Read]) -> _Read:
    """Read several files of a folder that ``whole_folder`` may replace meanwhile.

    Args:
        folder: the folder.
        read: called again where the folder was replaced while it ran: the files would be of two.

    Returns:
        What ``read`` returns, or raises, for one and the same folder.
    """
    for _ in range(_REREADS):
        before = _identity(folder)
        try:
            found = read()
        except Exception:
            if _identity(folder) == before:
                raise
        else:
            if _identity(folder) == before:
                return found
    return read()


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
    moment between them in which nothing is at ``path``; ``remove_leftovers`` puts the old folder of
    a ``whole_folder`` back if a kill falls just there.

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


def remove_leftovers(folder: Path) -> None:
    """Clear away the workplaces of killed writers in a folder; those of living ones stay.

    A folder that was just displaced, with nothing in its place yet, is put back. What cannot be
    removed, such as leftovers of another user, stays as well.
    """
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.name.startswith(".")]
    except OSError:
        return  # whoever writes there next is told
    for name in names:
        match = _WORKPLACE.fullmatch(name)
        if match is not None and not (folder / name).is_symlink():
            _remove_dead(folder / name, folder / match["name"])


@contextmanager
def _workplace(path: Path, *, alone: bool = False, patience_s: float = 0.0) -> Iterator[Path]:
    """A folder of our own beside ``path`` to work in, its lock held, removed at the end."""
    until = time.monotonic() + max(patience_s, _GRACE_S)
    for _ in range(_TRIES):
        if not any(map(is_partial, path.parents)):  # in a workplace nothing is of others
            remove_leftovers(path.parent)
        if alone:
            place = path.with_name(f".{path.name}{PARTIAL_SUFFIX}")
            _make_single(place, path, until)
        else:
            place = path.with_name(f".{path.name}.{uuid.uuid4().hex}{PARTIAL_SUFFIX}")
            place.mkdir()
        descriptor = _guard(place)
        if descriptor is not None:
            break
    else:
        raise BusyError(path)
    try:
        yield place
    finally:
        _remove_place(place)
        os.close(descriptor)


def _make_single(place: Path, path: Path, until: float) -> None:
    """Make the workplace of whose name there is one only.

    Raises:
        BusyError: it is there, and stays until the time ``until``.
    """
    while True:
        require_own(place)
        try:
            place.mkdir()
        except FileExistsError:
            if time.monotonic() >= until:
                raise _explain_busy(path, place) from None
        else:
            return
        time.sleep(_PAUSE_S)
        remove_leftovers(place.parent)


def _guard(place: Path) -> int | None:
    """Keep a new workplace from git and from those who sweep.

    Returns:
        The descriptor that holds the lock; None where somebody swept the folder away just now.
    """
    guard = place / _GUARD
    try:
        # A program started meanwhile does not inherit the lock and keep it.
        descriptor = os.open(guard, _GUARD_FLAGS | os.O_CREAT | os.O_EXCL, 0o666)
    except (FileNotFoundError, FileExistsError):
        return None  # swept away, and perhaps made again by another
    except OSError:
        with suppress(OSError):
            place.rmdir()
        raise
    try:
        # Without locks (None) nobody takes it for dead, and nobody clears up after a kill.
        if try_lock(descriptor) is False or not _is_still(guard, descriptor):
            os.close(descriptor)
            return None
        os.write(descriptor, f"*\n# process {os.getpid()} on {socket.gethostname()}\n".encode())
    except BaseException:
        _remove_place(place)
        os.close(descriptor)
        raise
    return descriptor


def _is_still(path: Path, descriptor: int) -> bool:
    """Whether an open file still has its name: whoever holds the lock of another holds nothing."""
    try:
        return os.path.samestat(path.stat(follow_symlinks=False), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _explain_busy(path: Path, place: Path) -> BusyError:
    """Who works in a workplace, as far as its guard tells."""
    try:
        descriptor = os.open(place / _GUARD, _GUARD_FLAGS)
        with os.fdopen(descriptor, "rb") as file:
            has_locks = try_lock(file.fileno()) is not None
            text = file.read(256).decode(errors="replace")
    except OSError:
        has_locks, text = False, ""
    match = re.search(r"^# (process \d+ on \S+)$", text, re.MULTILINE)
    # Without a lock to ask it may be dead.
    advice = "" if has_locks else f"; if there is none any more, remove {place.name}"
    return BusyError(path, match[1] if match else "", advice)


def _remove_dead(place: Path, path: Path) -> None:
    """Remove a workplace whose writer is dead, and put back what it had displaced of ``path``."""
    guard = place / _GUARD
    try:
        descriptor = os.open(guard, _GUARD_FLAGS)
    except FileNotFoundError:
        with suppress(OSError):
            place.rmdir()  # killed before there was anything in it, or after
        return
    except OSError:
        return  # no folder, or of somebody else
    try:
        is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
        if not is_file or not try_lock(descriptor) or not _is_still(guard, descriptor):
            return
        displaced = place / f"{_NEW}{_DISPLACED_SUFFIX}"
        if displaced.is_dir() and not displaced.is_symlink() and not os.path.lexists(path):
            displaced.rename(path)
        _remove_place(place)
    except OSError:
        return  # the next one tries again
    finally:
        os.close(descriptor)


def _remove_place(place: Path) -> None:
    """Remove a workplace, the guard last: what a kill leaves, or an error, is guarded still."""
    with suppress(OSError):
        for child in place.iterdir():
            if child.is_dir() and not child.is_symlink():
                shutil.rmtree(child)
            elif child.name != _GUARD:
                child.unlink(missing_ok=True)
        (place / _GUARD).unlink(missing_ok=True)
        place.rmdir()


def _identity(folder: Path) -> tuple[int, int, int] | None:
    """What tells a folder from another that took its name; None where there is none."""
    try:
        status = folder.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_ctime_ns


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
def _naming(path: Path) -> Iterator[None]:
    """Let an error of the system name ``path`` if it names nothing, or part of its workplace.

    A full disk, met while writing through a descriptor or a library, has no name of its own.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None or not (error.filename is None or _is_at_work(error.filename, path)):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def _is_at_work(name: object, path: Path) -> bool:
    """Whether a name is a workplace of ``path``, or what is written in it: nobody knows it."""
    found = Path(str(name))
    return any(is_partial(each) and each.parent == path.parent for each in (found, found.parent))


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
