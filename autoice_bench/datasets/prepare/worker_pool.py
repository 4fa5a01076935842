"""Worker processes of this machine: jobs go out and results come back through inherited pipes.

Nothing listens, so nobody else can hand work to them: a dask scheduler, even on loopback, runs
whatever any local user sends it. Unlike ``ProcessPoolExecutor``, the pool replaces a worker that
was killed and goes on with what it had.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import signal
import traceback
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing import connection
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from threading import Lock
from typing import Any, Final, Generic, TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")

N_THREADS: Final = 2
"""Jobs that a worker has at a time: one computes while the other waits for the disk."""
_MOST_DEATHS: Final = 3
"""Workers that may die over a job before it is given up."""
_READY: Final = "ready"
_ONE_THREAD: Final = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class WorkerDiedError(Exception):
    """Every worker process that took a job died."""


class WorkerStartError(Exception):
    """Worker processes cannot be started, or die before they take a job."""


@contextmanager
def worker_pool(
    function: Callable[[Job], Result], n_workers: int
) -> Iterator[Callable[[Sequence[Job]], Generator[tuple[Job, Result | BaseException], None, None]]]:
    """Processes that run ``function``, for the time of a ``with`` block.

    What the block yields takes jobs and yields each with its result, or with what it raised, as
    they finish; ``WorkerDiedError`` where its workers died. Jobs are handed out a few at a time, so
    that a caller who stops early leaves little behind.

    Args:
        function: of a module, so that a worker can import it; must bear being stopped anywhere.
        n_workers: number of processes.

    Raises:
        WorkerStartError: at once, or from the generator: no worker starts.
    """
    workers: list[_Worker[Job]] = []
    try:
        workers += (_Worker(function) for _ in range(n_workers))
        yield lambda jobs: _run(workers, jobs)
    finally:
        for worker in workers:
            worker.stop()


class _Worker(Generic[Job]):
    """A process, the parent's end of its pipe, and the jobs that it has."""

    def __init__(self, function: Callable[[Job], Any]) -> None:
        self.function = function
        self.jobs: dict[int, Job] = {}
        self.is_ready = False
        # Spawned, not forked: threads and libraries of the caller do not bear a fork.
        context = multiprocessing.get_context("spawn")
        try:
            self.pipe, theirs = context.Pipe()
            with theirs:
                self.process: BaseProcess = context.Process(
                    target=_serve, args=(theirs,), daemon=True
                )
                with _interrupts_held_back():
                    self.process.start()
        except OSError as error:
            raise WorkerStartError(str(error)) from error
        with suppress(OSError):  # it died: reading says so
            self.pipe.send(function)

    def start(self, number: int, job: Job) -> None:
        self.jobs[number] = job
        with suppress(OSError):  # it died: reading says so
            self.pipe.send((number, job))

    def stop(self) -> None:
        # A worker may be stopped anywhere, as by a kill; waiting for its job would take long.
        self.process.kill()
        self.process.join()
        self.pipe.close()


def _run(
    workers: list[_Worker[Job]], jobs: Sequence[Job]
) -> Generator[tuple[Job, Any], None, None]:
    """Hand out jobs and yield their results; replaces workers that die, in the list."""
    waiting = deque(enumerate(jobs))
    deaths: Counter[int] = Counter()
    failed_starts = 0
    while waiting or any(worker.jobs for worker in workers):
        _hand_out(workers, waiting, deaths)
        by_pipe: dict[Any, int] = {worker.pipe: at for at, worker in enumerate(workers)}
        for pipe in connection.wait(list(by_pipe)):
            worker = workers[by_pipe[pipe]]
            try:
                message = worker.pipe.recv()
            except (EOFError, OSError):
                worker.stop()
                failed_starts += not worker.is_ready
                if failed_starts > _MOST_DEATHS:
                    raise WorkerStartError("they die as they start") from None
                workers[by_pipe[pipe]] = _Worker(worker.function)
                for number, job in worker.jobs.items():
                    deaths[number] += worker.is_ready
                    if deaths[number] > _MOST_DEATHS:
                        yield job, WorkerDiedError()
                    else:
                        waiting.appendleft((number, job))
                continue
            if message == _READY:
                worker.is_ready, failed_starts = True, 0
                continue
            number, outcome = message
            yield worker.jobs.pop(number), outcome


def _hand_out(
    workers: Sequence[_Worker[Job]], waiting: deque[tuple[int, Job]], deaths: Counter[int]
) -> None:
    """Give every worker a job, then one ahead; a job whose worker died runs alone."""
    for most in range(1, N_THREADS + 1):
        for worker in workers:
            if not waiting:
                return
            number, job = waiting[0]
            # Alone, so that no other is given up with the one that kills workers.
            is_suspect = deaths[number] > 0 or any(deaths[other] for other in worker.jobs)
            if len(worker.jobs) < (1 if is_suspect else most):
                waiting.popleft()
                worker.start(number, job)


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Ctrl-C reaches every process of a terminal; a child started here leaves it to its parent."""
    # Blocked, not ignored: a child inherits it from its first instruction on, threads can do it,
    # and one that arrives meanwhile is not lost.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(pipe: Connection) -> None:
    """What a worker process does: run the jobs that come, until the pipe ends."""
    # Before numpy is imported with the function: only processes add up.
    os.environ |= dict.fromkeys(_ONE_THREAD, "1")
    # What is to be remarked, of the file system say, the parent remarks itself, once.
    logging.getLogger("autoice_bench").setLevel(logging.ERROR)
    # Locks that libraries make (numcodecs) then have no name in the system, which would outlive a
    # worker that is killed and have Python warn of a leak.
    multiprocessing.set_start_method("fork", force=True)
    function = pipe.recv()
    sending = Lock()

    def run(number: int, job: Any) -> None:
        try:
            outcome = function(job)
        except BaseException as error:
            outcome = _sendable(error)
        with sending, suppress(OSError):  # nobody is left to tell
            pipe.send((number, outcome))

    pipe.send(_READY)
    with ThreadPoolExecutor(N_THREADS) as pool:
        while True:
            try:
                number, job = pipe.recv()
            except (EOFError, OSError):
                # The parent is gone, and its lock with it: do not finish what another may repeat.
                os._exit(1)
            pool.submit(run, number, job)


def _sendable(error: BaseException) -> BaseException:
    """An exception as it crosses the pipe, with its traceback as a note."""
    lines = "".join(traceback.format_exception(error))
    error.add_note(f"In a worker process:\n{lines}")
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # whatever the exception's own class raises
        return RuntimeError(lines)
    return error
