"""Jobs on a dask cluster: handed out a few ahead, each proved to be of the client's own files."""

from __future__ import annotations

import itertools
import socket
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from autoice_bench import __version__
from autoice_bench.cluster.client import has_workers
from autoice_bench.cluster.same_files import FileStamp, require_same_files, stamp_files
from autoice_bench.errors import ClusterError

if TYPE_CHECKING:
    from distributed import Client

Job = TypeVar("Job")
Result = TypeVar("Result")

_LOOK_S: Final = 5.0
"""How often to see whether somebody still works."""
ALONE_S: Final = 20.0
"""How long to do without any worker: a nanny starts a new one in seconds."""


class WorkerLostError(Exception):
    """Every worker that took a job died; dask gives a job up after a few."""


@dataclass(frozen=True)
class _Sent(Generic[Job, Result]):
    """What goes to a worker: the job, the version and the files of who sends it."""

    function: Callable[[Job], Result]
    job: Job
    version: str
    stamps: tuple[FileStamp, ...]


def run_jobs(
    client: Client,
    function: Callable[[Job], Result],
    jobs: Sequence[Job],
    files_of: Callable[[Job], Iterable[Path]],
) -> Generator[tuple[Job, Result | BaseException], None, None]:
    """Run jobs on a cluster; yields each with its result, or with what it raised, as they finish.

    Args:
        client: of ``open_cluster``.
        function: of a module; what it is given and returns is pickled.
        jobs: their paths are absolute.
        files_of: absolute paths of the files and folders that a job reads.

    Raises:
        ClusterError: the scheduler is gone, or all workers are.
    """
    n_ahead = max(2, 2 * sum(client.nthreads().values()))
    waiting = iter(jobs)
    running: dict[Any, Job] = {}
    finished: SimpleQueue[Any] = SimpleQueue()

    def submit(count: int) -> None:
        for job in itertools.islice(waiting, count):
            sent = _Sent(function, job, __version__, stamp_files(files_of(job)))
            # Not pure: results depend on the disk, so nothing may be remembered by key.
            future = client.submit(_run, sent, pure=False)
            running[future] = job
            future.add_done_callback(finished.put)

    last_seen = time.monotonic()
    try:
        submit(n_ahead)
        while running:
            try:
                future = finished.get(timeout=_LOOK_S)
            except Empty:
                last_seen = _look(client, last_seen, len(running))
                continue
            job = running.pop(future)
            submit(1)
            yield job, _outcome(future)
            last_seen = time.monotonic()
    finally:
        # Not after a lost connection, where it would wait for an answer.
        if running and client.status == "running":
            client.cancel(list(running), force=True)


def _run(sent: _Sent[Job, Result]) -> Result:
    """On a worker; one that came after the others were looked at is looked at here."""
    where = f"worker on {socket.gethostname()}"
    if sent.version != __version__:
        raise ClusterError(
            f"{where} has autoice-bench {__version__}; expected {sent.version}, as here: install "
            "the same version in the environment of the cluster"
        )
    require_same_files(sent.stamps, where)
    return sent.function(sent.job)


def _look(client: Client, last_seen: float, n_running: int) -> float:
    """When a worker was last seen.

    Raises:
        ClusterError: that is too long ago, or the scheduler is gone.
    """
    now = time.monotonic()
    if has_workers(client):
        return now
    if now - last_seen >= ALONE_S:
        raise ClusterError(
            f"all workers of the dask cluster are gone, with {n_running} scenes begun; was memory "
            "short? Give each worker more, or start fewer on a machine"
        )
    return last_seen


def _outcome(future: Any) -> Any:
    from concurrent.futures import CancelledError

    from distributed import KilledWorker

    try:
        error = future.exception()
    except CancelledError:  # of the scheduler, or of another client
        raise ClusterError("the dask scheduler is gone, or cancelled the work") from None
    if isinstance(error, KilledWorker):
        return WorkerLostError()
    if isinstance(error, CancelledError):
        raise ClusterError("the dask scheduler is gone, or cancelled the work") from error
    if isinstance(error, ModuleNotFoundError) and "autoice_bench" in str(error):
        return ClusterError("a worker of the dask cluster has no autoice-bench; install it there")
    return future.result() if error is None else error
