"""A bounded number of files that stay open for reading, shared by all threads of a process.

Opening a file again for every window costs as much as reading a small one; a thousand shards open
at the same time run into the limit of the system. Files are read with ``pread`` only, so threads
and forked processes that share a descriptor do not disturb each other.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from autoice_bench.formats.plain_files import require_file

MAX_OPEN_FILES: Final = 64


@dataclass
class _OpenFile:
    descriptor: int
    n_users: int = 0


class OpenFiles:
    """Descriptors by key; the one unused for longest is closed first.

    A descriptor in use is never closed, so there may be one beyond ``limit`` for each thread.
    """

    def __init__(self, limit: int = MAX_OPEN_FILES) -> None:
        self.limit = limit
        self._files: OrderedDict[object, _OpenFile] = OrderedDict()  # used last stands last
        self._dropped: deque[object] = deque()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._files)

    @contextmanager
    def open(self, key: object, path: Path) -> Iterator[int]:
        """A descriptor for the time of a ``with`` block.

        Args:
            key: identifies the file; the path alone does not, since a file may be replaced.
            path: opened if no descriptor with this key is open.

        Raises:
            OSError: the file cannot be opened.
        """
        file = self._acquire(key, path)
        try:
            yield file.descriptor
        finally:
            with self._lock:
                file.n_users -= 1

    def drop(self, key: object) -> None:
        """Have a file that nobody uses any more closed, at the next ``open`` of any file.

        Takes no lock: the garbage collector calls this, and may run while this thread holds it.
        """
        self._dropped.append(key)

    def after_fork(self) -> None:
        """Forget the parent's other threads, one of which may have held the lock."""
        self._lock = threading.Lock()
        # The threads that used them do not exist here. The descriptors themselves stay good.
        for file in self._files.values():
            file.n_users = 0

    def _acquire(self, key: object, path: Path) -> _OpenFile:
        with self._lock:
            # Closed here and not in ``drop``, which may run in the middle of this very function.
            while self._dropped:
                dropped = self._files.pop(self._dropped.popleft(), None)
                if dropped is not None:
                    os.close(dropped.descriptor)
            file = self._files.get(key)
            if file is None:
                self._make_room()
                # Not for programs that this process starts, such as reading processes.
                descriptor = os.open(require_file(path), os.O_RDONLY | os.O_CLOEXEC)
                file = self._files[key] = _OpenFile(descriptor)
            else:
                self._files.move_to_end(key)
            file.n_users += 1
            return file

    def _make_room(self) -> None:
        """Close what has to go for one more file."""
        surplus = len(self._files) + 1 - self.limit
        if surplus > 0:
            # None may be unused where there are more threads than files: then the limit gives way.
            unused = [key for key, file in self._files.items() if not file.n_users]
            for key in unused[:surplus]:
                os.close(self._files.pop(key).descriptor)
