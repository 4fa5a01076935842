"""Commands timed in processes of their own, as a user would start them."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class CommandRun:
    """One run of a command.

    Attributes:
        seconds: wall-clock time, start of Python and imports included.
        cpu_seconds: user and system time of it and the processes it started.
        peak_bytes: largest resident memory of one of its processes.
        status: exit status.
        output: what it printed on standard output.
    """

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    status: int
    output: str


def run_command(*arguments: object) -> CommandRun:
    """Run ``autoice-bench`` with these arguments and measure it."""
    command = [sys.executable, "-m", "autoice_bench", *map(str, arguments)]
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=output)
        # wait4 tells the use of this child alone; its children are counted once it waited for them.
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        return CommandRun(
            seconds,
            usage.ru_utime + usage.ru_stime,
            usage.ru_maxrss * 1024,
            process.returncode,
            output.read(),
        )


def run_often(repeats: int, *arguments: object, may_fail: bool = False) -> CommandRun:
    """The run of median time among several.

    Args:
        repeats: how many.
        arguments: of the command.
        may_fail: whether exit status 1 is an answer, such as that there are leaks.

    Raises:
        RuntimeError: one fails.
    """
    runs = sorted(
        (run_command(*arguments) for _ in range(repeats)), key=lambda run: run.cpu_seconds
    )
    for run in runs:
        if run.status > may_fail:
            raise RuntimeError(f"{' '.join(map(str, arguments))}: exit status {run.status}")
    return runs[len(runs) // 2]


def describe_load() -> str:
    """What else the machine does: seconds mean little where others wait for its cores."""
    return (
        f"Load average of the minutes before: {os.getloadavg()[1]:.1f} on {os.cpu_count()} cores; "
        "where it is above the cores, CPU seconds tell more than seconds."
    )


def format_row(name: str, run: CommandRun) -> list[str]:
    """Cells of a table: name, seconds, CPU seconds and peak memory."""
    return [name, f"{run.seconds:.1f}", f"{run.cpu_seconds:.1f}", f"{run.peak_bytes / 1e6:.0f}"]


COLUMNS = ["command", "s", "CPU s", "peak MB"]
