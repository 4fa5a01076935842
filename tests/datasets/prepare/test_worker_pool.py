"""Worker processes: results, errors, deaths, and a caller who stops early."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest

from autoice_bench.datasets.prepare.executors import local_workers
from autoice_bench.datasets.prepare.worker_pool import (
    WorkerDiedError,
    WorkerStartError,
    worker_pool,
)
from autoice_bench.errors import StoreError


def square(number: int) -> int:
    if number < 0:
        raise ValueError(f"{number} is negative")
    return number * number


def die_of_three(number: int) -> int:
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.02)
    return number


def die_once(marker: Path) -> str:
    if not marker.exists():
        marker.touch()
        os._exit(1)
    return marker.name


class AwkwardError(Exception):
    def __init__(self, first: str, second: str) -> None:
        super().__init__(first + second)


def raise_awkwardly(number: int) -> int:
    raise AwkwardError("not to be", f" unpickled {number}")


def linger(folder: Path) -> None:
    (folder / str(os.getpid())).touch()
    time.sleep(60)


_locks: list[Any] = []


def make_lock(number: int) -> bool:
    _locks.append(multiprocessing.Lock())
    return number == 0


def environment(name: str) -> str | None:
    return os.environ.get(name)


def test_every_job_has_its_result_or_its_error() -> None:
    with worker_pool(square, 2) as run:
        outcomes = dict(run([*range(20), -1]))
    error = outcomes.pop(-1)
    assert outcomes == {number: number * number for number in range(20)}
    assert isinstance(error, ValueError)
    assert str(error) == "-1 is negative"
    assert "in square" in error.__notes__[0]


def test_job_that_kills_its_worker_is_given_up_alone() -> None:
    with worker_pool(die_of_three, 2) as run:
        outcomes = dict(run(range(8)))
    assert isinstance(outcomes.pop(3), WorkerDiedError)
    assert outcomes == {number: number for number in range(8) if number != 3}


def test_job_of_a_worker_that_died_is_done_again(tmp_path: Path) -> None:
    with worker_pool(die_once, 1) as run:
        assert dict(run([tmp_path / "a", tmp_path / "b"])) == {
            tmp_path / "a": "a",
            tmp_path / "b": "b",
        }


def test_error_that_cannot_cross_the_pipe_is_told_all_the_same() -> None:
    with worker_pool(raise_awkwardly, 1) as run:
        ((_, error),) = run([1])
    assert isinstance(error, RuntimeError)
    assert "not to be unpickled 1" in str(error)


def test_who_stops_early_leaves_no_process(tmp_path: Path) -> None:
    with worker_pool(linger, 2) as run, closing(run([tmp_path] * 4)):
        started = time.monotonic()
    assert time.monotonic() - started < 20
    own = psutil.Process()
    assert not [each for each in own.children() if "spawn_main" in " ".join(each.cmdline())]


def test_workers_use_one_thread_of_numeric_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    with worker_pool(environment, 1) as run:
        assert dict(run(["OPENBLAS_NUM_THREADS"])) == {"OPENBLAS_NUM_THREADS": "1"}
    assert "OPENBLAS_NUM_THREADS" not in os.environ


def test_killed_workers_leave_nothing_that_python_warns_of(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Locks of numcodecs, made in a spawned process, are named semaphores by default."""
    script = (
        "from autoice_bench.datasets.prepare.worker_pool import worker_pool\n"
        "from tests.datasets.prepare.test_worker_pool import make_lock\n"
        "if __name__ == '__main__':\n"
        "    with worker_pool(make_lock, 1) as run:\n"
        "        print(list(run([0])))\n"
    )
    root = Path(__file__).parents[3]
    subprocess.run([sys.executable, "-c", script], cwd=root, check=True, timeout=120)
    assert capfd.readouterr() == ("[(0, True)]\n", "")


def test_workers_that_cannot_start_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: object) -> None:
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr("multiprocessing.context.SpawnProcess.start", refuse)
    with (
        pytest.raises(StoreError, match=r"2 worker processes cannot be started: .*--workers 1"),
        local_workers(2),
    ):
        pass


def test_workers_that_die_as_they_start_are_not_started_for_ever(tmp_path: Path) -> None:
    # A script without the guard runs again in every worker, and fails there.
    script = tmp_path / "script.py"
    script.write_text(
        "from autoice_bench.datasets.prepare.worker_pool import *\n"
        "try:\n"
        "    with worker_pool(abs, 1) as run:\n"
        "        print(list(run([-1])))\n"
        "except WorkerStartError as error:\n"
        "    print('refused:', error)\n"
    )
    result = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=120, check=False
    )
    assert result.stdout == "refused: they die as they start\n"
    assert issubclass(WorkerStartError, Exception)
