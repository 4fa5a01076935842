"""Progress of a long command on standard error: a bar on a terminal, plain lines elsewhere.

Used by the command line only; the library reports through callbacks.
"""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from autoice_bench.commands.streams import remark
from autoice_bench.wording import make_visible

_SECONDS_BETWEEN_LINES: Final = 10.0


class Progress:
    """Scenes (or steps) done, MB/s and time left; nothing is shown before ``start``.

    Used as a context manager, so that the bar is gone before an error is printed.
    """

    def __init__(self, verb: str, noun: str = "scenes") -> None:
        """``verb``: what is being done, such as ``preparing``; ``noun``: what is counted."""
        self._verb, self._noun = verb, noun
        self._first = 0
        self._n_scenes = self._n_bytes = 0
        self._scenes_done = self._bytes_done = 0
        self._started = self._last_line = 0.0
        self._bar: RichProgress | None = None
        self._task = TaskID(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            with suppress(OSError):  # the terminal is gone
                self._bar.stop()

    def start(self, n_scenes: int, n_bytes: int = 0) -> None:
        """Begin: how many scenes there are and, where known, how many bytes."""
        self._n_scenes, self._n_bytes = n_scenes, n_bytes
        self._started = self._last_line = time.monotonic()
        if n_scenes and sys.stderr.isatty():
            self._bar = RichProgress(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.fields[state]}"),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._bar.start()
            self._task = self._bar.add_task(
                self._verb, total=n_bytes or n_scenes, state=self._state()
            )

    def reach(self, n_done: int, total: int) -> None:
        """Say how many are done of how many, in place of ``start`` and ``advance``.

        The first call begins: what was done before it took no time.
        """
        if not self._n_scenes:
            self.start(total)
            self._first = n_done - 1
        self._scenes_done = n_done - 1
        if self._bar is not None:
            self._bar.update(self._task, completed=n_done - 1)
        self.advance()

    def say(self, line: str) -> None:
        """Print a line on standard error, above the bar where there is one."""
        line = make_visible(line)
        if self._bar is None:
            remark(line)
        else:
            with suppress(OSError):  # the terminal is gone
                self._bar.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def advance(self, n_bytes: int = 0) -> None:
        """Count one more scene, and its bytes."""
        self._scenes_done += 1
        self._bytes_done += n_bytes
        if self._bar is not None:
            step = n_bytes if self._n_bytes else 1
            self._bar.update(self._task, advance=step, state=self._state())
        elif time.monotonic() - self._last_line >= _SECONDS_BETWEEN_LINES:
            self._last_line = time.monotonic()
            remark(f"{self._verb}: {self._state()}{self._left()}")

    def _state(self) -> str:
        seconds = time.monotonic() - self._started
        rate = f", {self._bytes_done / 1e6 / seconds:.0f} MB/s" if self._bytes_done else ""
        return f"{self._scenes_done} of {self._n_scenes} {self._noun}{rate}"

    def _left(self) -> str:
        share = (
            self._bytes_done / self._n_bytes
            if self._n_bytes
            else (self._scenes_done - self._first) / max(1, self._n_scenes - self._first)
        )
        if not 0 < share < 1:
            return ""
        return f", {(time.monotonic() - self._started) * (1 - share) / share:.0f} s left"
