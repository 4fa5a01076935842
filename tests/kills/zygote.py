"""A process that has imported everything and forks one child per command, to be killed at a step.

``python -m tests.kills.zygote MODULE ...`` imports the modules and reads requests, one JSON object
a line, from standard input; it answers each with a line. A *step* is a call that changes the file
system or makes a change durable: opening for writing, mkdir, rename, unlink, rmdir, fsync, the
exchange of two folders. The child kills itself (SIGKILL) just before the step of the given number,
so that every state between two changes can be seen. What C libraries write is not counted; the
kernel kills at a moment of CPU time (SIGPROF) for that.
"""

from __future__ import annotations

import importlib
import json
import mmap
import os
import signal
import struct
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGES = frozenset(
    {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate", "os.link", "os.symlink"}
)


class Steps:
    """Counts the steps of this process in memory that its parent shares."""

    def __init__(self, shared: mmap.mmap, kill_at: int | None, folder: str) -> None:
        self._shared = shared
        self._kill_at = kill_at
        self._folder = folder
        self._lock = threading.Lock()
        self._n = 0

    def count(self) -> None:
        with self._lock:
            self._n += 1
            struct.pack_into("q", self._shared, 0, self._n)
            if self._n == self._kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
                time.sleep(60)  # the signal is on its way

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in _CHANGES:
            if self._is_ours(arguments[0]):
                self.count()
        elif event == "open":
            path, mode, flags = arguments
            writes = bool(set(mode or "") & set("wax+")) or bool((flags or 0) & _WRITING)
            if writes and self._is_ours(path):
                self.count()
        elif event == "ctypes.dlsym" and arguments[1] == "renameat2":
            self.count()

    def _is_ours(self, path: object) -> bool:
        """Whether a path is below the folder; other files, such as caches, come and go."""
        if not isinstance(path, str | bytes | os.PathLike):
            return False
        return os.path.abspath(os.fsdecode(path)).startswith(self._folder)  # noqa: PTH100

    def install(self) -> None:
        def counted(real: Callable[[Any], None]) -> Callable[[Any], None]:
            def call(descriptor: Any) -> None:
                self.count()
                real(descriptor)

            return call

        os.fsync = counted(os.fsync)  # type: ignore[assignment]
        sys.addaudithook(self.hear)


def _run_child(request: dict[str, Any], shared: mmap.mmap) -> None:
    """What the child does; never returns."""
    code = 70
    try:
        output = os.open(request["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.chdir(request["folder"])
        from autoice_bench.cli import main

        sys.argv = ["autoice-bench", *request["arguments"]]
        Steps(shared, request["kill_at"], request["folder"]).install()
        if request["cpu_s"] is not None:
            signal.signal(signal.SIGPROF, signal.SIG_DFL)
            signal.setitimer(signal.ITIMER_PROF, request["cpu_s"])
        main(request["arguments"], prog_name="autoice-bench")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
            Path(f"{request['output']}.modules").write_text("\n".join(sys.modules))
        os._exit(code)


def _learn(path: Path) -> None:
    """Import what a child imported, so that the next one has it already."""
    if path.exists():
        for name in path.read_text().split():
            if name not in sys.modules:
                with suppress(Exception):
                    importlib.import_module(name)
        path.unlink()


def _serve() -> None:
    shared = mmap.mmap(-1, mmap.PAGESIZE)
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        request = json.loads(line)
        struct.pack_into("q", shared, 0, 0)
        child = os.fork()
        if child == 0:
            _run_child(request, shared)
        _, status, used = os.wait4(child, 0)
        _learn(Path(f"{request['output']}.modules"))
        answer = {
            "status": os.waitstatus_to_exitcode(status),
            "steps": struct.unpack_from("q", shared, 0)[0],
            "cpu_s": used.ru_utime + used.ru_stime,
            "output": Path(request["output"]).read_text(),
        }
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    for name in sys.argv[1:]:
        importlib.import_module(name)
    _serve()
