"""What the benchmark scripts share: one function alone in a process, the machine, a table.

Run the scripts as modules from the project's root, such as ``python -m benchmarks.prepare``.
"""

from __future__ import annotations

import multiprocessing
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psutil

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Measurement:
    """One timed call in a process of its own.

    Attributes:
        seconds: wall-clock time of the call; imports and arguments apart.
        peak_bytes: largest resident memory of the process.
        written_bytes: bytes the process passed to ``write`` during the call.
        value: what the call returned.
    """

    seconds: float
    peak_bytes: int
    written_bytes: int
    value: Any


def measure_alone(
    function: Callable[..., Any],
    *arguments: Any,
    cores: Sequence[int] | None = None,
    warm_up: Sequence[Any] | None = None,
) -> Measurement:
    """Call a module-level function in a fresh process.

    Args:
        function: what to time; its result must be picklable.
        arguments: its arguments.
        cores: cores to pin the process to.
        warm_up: arguments of an untimed call before, which loads libraries and touches memory.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_call, args=(theirs, function, arguments, cores, warm_up))
    process.start()
    theirs.close()
    try:
        measurement: Measurement = ours.recv()
    except EOFError:
        raise RuntimeError(f"{function.__name__} failed in its process") from None
    finally:
        process.join()
    return measurement


def _call(
    pipe: Connection,
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
    cores: Sequence[int] | None,
    warm_up: Sequence[Any] | None,
) -> None:
    if cores is not None:
        os.sched_setaffinity(0, cores)
    if warm_up is not None:
        function(*warm_up)
    before = read_written_bytes()
    started = time.perf_counter()
    value = function(*arguments)
    seconds = time.perf_counter() - started
    pipe.send(Measurement(seconds, read_peak_bytes(), read_written_bytes() - before, value))


def read_peak_bytes() -> int:
    """Largest resident memory of this process so far (VmHWM)."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def read_written_bytes() -> int:
    """Bytes this process has passed to ``write`` so far."""
    return int(psutil.Process().io_counters().write_chars)


def describe_machine() -> str:
    """Processor, cores, memory, system and date, in one line."""
    cpu = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            cpu = line.split(":", 1)[1].strip()
            break
    cores = os.cpu_count()
    memory = psutil.virtual_memory().total / 2**30
    date = datetime.now(UTC).date().isoformat()
    return (
        f"{cpu}, {cores} cores, {memory:.0f} GiB, {platform.system()}, "
        f"Python {platform.python_version()}; {date}"
    )


def format_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A markdown table; the first column to the left, the others to the right."""
    rule = ["---", *("---:" for _ in columns[1:])]
    return "\n".join("| " + " | ".join(row) + " |" for row in [columns, rule, *rows])


def write_result(name: str, *paragraphs: str) -> Path:
    """Write ``benchmarks/results/<name>.md``, the machine and the date first."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.md"
    path.write_text("\n\n".join([paragraphs[0], describe_machine(), *paragraphs[1:]]) + "\n")
    return path
