"""Run scene jobs: in this process, in local worker processes, or on a dask cluster.

All three yield ``(job, result or exception)`` as jobs finish, and hand out only a few jobs ahead,
so that a caller who stops early leaves little behind.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager

from autoice_bench.cluster.client import open_cluster
from autoice_bench.cluster.jobs import WorkerLostError, run_jobs
from autoice_bench.datasets.prepare.job import (
    SceneJob,
    SceneResult,
    files_of_job,
    prepare_scene,
)
from autoice_bench.datasets.prepare.worker_pool import (
    N_THREADS,
    WorkerDiedError,
    WorkerStartError,
    worker_pool,
)
from autoice_bench.datasets.sources.buffers import keep_freed_memory
from autoice_bench.errors import SceneError, StoreError

Outcome = SceneResult | BaseException
Outcomes = Generator[tuple[SceneJob, Outcome], None, None]
Executor = Callable[[Sequence[SceneJob]], Outcomes]


def run_in_process(jobs: Sequence[SceneJob]) -> Outcomes:
    """Run jobs one after another in this process, waiting for the disk in between in a thread."""
    keep_freed_memory()
    waiting = iter(jobs)
    with ThreadPoolExecutor(N_THREADS, thread_name_prefix="prepare") as pool:
        running: dict[Future[SceneResult], SceneJob] = {
            pool.submit(prepare_scene, job): job for job in itertools.islice(waiting, N_THREADS)
        }
        # A job is submitted when one ends, not all at once: who stops early has little to undo.
        try:
            while running:
                finished, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    job = running.pop(future)
                    for following in itertools.islice(waiting, 1):
                        running[pool.submit(prepare_scene, following)] = following
                    yield job, _outcome(future)
        finally:
            for future in running:
                future.cancel()


@contextmanager
def local_workers(n_workers: int) -> Iterator[Executor]:
    """Worker processes on this machine, for the time of a ``with`` block.

    Args:
        n_workers: 1 runs in this process; more start that many processes.

    Raises:
        StoreError: no processes can be started.
    """
    if n_workers == 1:
        yield run_in_process
        return
    try:
        with worker_pool(prepare_scene, n_workers) as run:
            yield lambda jobs: _name_deaths(run(jobs))
    except WorkerStartError as error:
        raise StoreError(
            f"{n_workers} worker processes cannot be started: {error}; try --workers 1 (and a "
            'script of your own needs `if __name__ == "__main__":`)'
        ) from error


def _name_deaths(outcomes: Outcomes) -> Outcomes:
    with closing(outcomes):
        for job, outcome in outcomes:
            died = isinstance(outcome, WorkerDiedError | WorkerLostError)
            yield job, _died(job) if died else outcome


def _died(job: SceneJob) -> SceneError:
    return SceneError(
        f"scene {job.scene.scene_id}: its worker process died several times (out of memory?)"
    )


@contextmanager
def dask_cluster(scheduler: str) -> Iterator[Executor]:
    """Workers of a running dask.distributed cluster; they must see the same paths.

    Args:
        scheduler: its address, such as ``tcp://10.0.0.1:8786``, or the file that it wrote.

    Raises:
        ClusterError: no scheduler answers, or its workers cannot do this work.
    """
    with open_cluster(scheduler) as client:
        yield lambda jobs: _name_deaths(
            run_jobs(client, _prepare_scene_on_dask, jobs, files_of_job)
        )


def _prepare_scene_on_dask(job: SceneJob) -> SceneResult:
    """Give the worker's thread to the next scene once this one only waits for the disk."""
    from distributed import secede

    return prepare_scene(job, before_commit=secede)


def _outcome(future: Future[SceneResult]) -> Outcome:
    error = future.exception()
    return future.result() if error is None else error
