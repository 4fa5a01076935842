"""Whether two processes, perhaps on two machines, see the same files under the same paths.

A path means what it means where it is opened: in a worker's own folder, on a disk of its own, or
on a copy from last week there may be other files of the same name, and results would be of those.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from autoice_bench.errors import ClusterError

_SAMPLE_BYTES: Final = 1 << 16
"""Read at either end of a file: headers and the last data; whole scenes would take too long."""
_SAME_TIME_NS: Final = 2_000_000_000
"""File servers round times, to 2 s at worst."""


@dataclass(frozen=True)
class FileStamp:
    """What is compared of a file.

    Attributes:
        path: absolute.
        n_bytes: size; -1 where there is no file.
        changed_ns: modification time, ns since 1970.
        digest: SHA-256 of its first and last 64 KiB.
    """

    path: str
    n_bytes: int
    changed_ns: int
    digest: str

    def is_same(self, other: FileStamp) -> bool:
        """Whether both may be of one file."""
        return (
            (self.path, self.n_bytes, self.digest) == (other.path, other.n_bytes, other.digest)
            and abs(self.changed_ns - other.changed_ns) <= _SAME_TIME_NS
        )  # fmt: skip

    def __str__(self) -> str:
        if self.n_bytes < 0:
            return "no file"
        when = datetime.fromtimestamp(self.changed_ns / 1e9, UTC)
        return f"{self.n_bytes} bytes of {when:%Y-%m-%d %H:%M:%S}, {self.digest[:8]}"


def stamp_files(paths: Iterable[Path]) -> tuple[FileStamp, ...]:
    """Stamps of files, and of everything in folders; sorted by path.

    Args:
        paths: absolute paths of files and folders; one that is not there has a stamp, too.
    """
    return tuple(_stamp(path) for path in sorted({*_files(paths)}))


def require_same_files(stamps: Iterable[FileStamp], where: str) -> None:
    """Check that the files are here what they are where the stamps were made.

    Args:
        stamps: made elsewhere.
        where: what this process is called in the message.

    Raises:
        ClusterError: a file is another one here.
    """
    for theirs in stamps:
        ours = _stamp(theirs.path)
        if not ours.is_same(theirs):
            raise ClusterError(
                f"{where} sees other files: {theirs.path} is {ours} there, {theirs} here; the "
                "workers of a cluster must see the same files under the same paths"
            )


def _files(paths: Iterable[Path]) -> Iterator[str]:
    for path in paths:
        if not path.is_dir():
            yield str(path)
        for parent, _, names in os.walk(path, followlinks=True):
            yield from (str(Path(parent, name)) for name in names)


def _stamp(path: str) -> FileStamp:
    # What cannot be opened is none: the work itself says what is wrong with it.
    try:
        if not Path(path).is_file():
            return FileStamp(path, -1, 0, "")
        with Path(path).open("rb") as file:
            status = os.fstat(file.fileno())
            digest = hashlib.sha256(file.read(_SAMPLE_BYTES))
            file.seek(max(0, status.st_size - _SAMPLE_BYTES))
            digest.update(file.read(_SAMPLE_BYTES))
    except OSError:
        return FileStamp(path, -1, 0, "")
    return FileStamp(path, status.st_size, status.st_mtime_ns, digest.hexdigest())
