"""Interruption: SIGTERM and SIGINT end a run at its next step, with everything saved.

Elsewhere SIGTERM ends the process by way of its clean-up, as SIGINT does by itself.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Final, Self

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class StopRequest:
    """Notes that the process was asked to end; used as a context manager.

    A second SIGINT acts at once, as Ctrl-C does elsewhere. Signals are left alone outside the
    main thread, where Python cannot handle them.

    Attributes:
        signal_name: ``SIGTERM`` or ``SIGINT`` once one has come, else None.
    """

    def __init__(self) -> None:
        self.signal_name: str | None = None
        self._former: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                self._former[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)
        self._former.clear()

    def __bool__(self) -> bool:
        return self.signal_name is not None

    def _note(self, number: int, _: FrameType | None) -> None:
        # Python runs a handler between any two operations, in the middle of a checkpoint too: so it
        # only takes note, and the loop asks where it is safe to stop. Only the impatient second
        # Ctrl-C may break in anywhere; whole files survive that.
        if self.signal_name == "SIGINT" == signal.Signals(number).name:
            raise KeyboardInterrupt
        self.signal_name = signal.Signals(number).name


@contextmanager
def clean_termination() -> Iterator[None]:
    """Let SIGTERM raise SystemExit in the main thread, so that nothing half written stays."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # By default SIGTERM ends a process without its `finally` clauses, and what was half written
    # would stay.
    former = signal.signal(signal.SIGTERM, _exit)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)


def _exit(number: int, _: FrameType | None) -> None:
    raise SystemExit(128 + number)
