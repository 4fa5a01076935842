"""Running over scenes: one after another, in a pool of processes, or on a dask cluster."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import closing, suppress
from pathlib import Path
from queue import SimpleQueue
from typing import TypeVar

from autoice_bench import worker_rule
from autoice_bench.callbacks import Progress
from autoice_bench.cluster.client import open_cluster
from autoice_bench.cluster.jobs import WorkerLostError, run_jobs
from autoice_bench.cluster.processes import process_pool
from autoice_bench.errors import AutoIceError, ClusterError
from autoice_bench.scoring.truth.protocol import TruthScene

Result = TypeVar("Result")


def map_scenes(
    count: Callable[[TruthScene], Result],
    scenes: list[TruthScene],
    workers: int | None,
    scheduler: str | None,
    progress: Progress | None,
    files_of: Callable[[TruthScene], Iterable[Path]] = lambda _: (),
) -> Iterator[Result]:
    """Apply a picklable function to each scene; results come in any order.

    Args:
        count: what to do with a scene.
        scenes: the scenes.
        workers: processes, this one included; None for ``choose_workers``.
        scheduler: address of a dask scheduler, or the file that it wrote, to run on instead.
        progress: called after each scene.
        files_of: absolute paths of the files and folders that are read for a scene; a scheduler's
            workers must see the same.

    Raises:
        AutoIceError: a process died.
        ClusterError: the scheduler cannot be reached, or its workers cannot do this work.
    """
    if scheduler is not None:
        results = _map_dask(count, scenes, scheduler, files_of)
    elif (n_workers := choose_workers(scenes, workers)) > 1:
        results = _map_pool(count, scenes, n_workers)
    else:
        results = map(count, scenes)
    for done, counts in enumerate(results, start=1):
        if progress is not None:
            progress(done, len(scenes))
        yield counts


def choose_workers(scenes: list[TruthScene], workers: int | None) -> int:
    """Processes to use for these scenes; see ``worker_rule``."""
    n_pixels = sum(scene.shape[0] * scene.shape[1] for scene in scenes)
    return worker_rule.choose_workers(workers, len(scenes), n_pixels)


def _map_pool(
    count: Callable[[TruthScene], Result], scenes: list[TruthScene], n_workers: int
) -> Iterator[Result]:
    waiting = deque(scenes)
    finished: SimpleQueue[Future[Result]] = SimpleQueue()

    with process_pool(n_workers - 1, AutoIceError) as pool:  # they import while this one works

        def submit_next() -> None:
            with suppress(IndexError):
                pool.submit(count, waiting.popleft()).add_done_callback(finish)

        def finish(future: Future[Result]) -> None:
            finished.put(future)
            if not future.cancelled() and future.exception() is None:
                submit_next()

        try:
            for _ in range(n_workers - 1):
                submit_next()
            # One scene at a time for the others: what waits is there for whoever is free, this
            # process included, which works from the other end while the others start.
            for _ in scenes:
                scene = None
                if finished.empty():
                    with suppress(IndexError):
                        scene = waiting.pop()
                yield finished.get().result() if scene is None else count(scene)
        finally:
            waiting.clear()


def _map_dask(
    count: Callable[[TruthScene], Result],
    scenes: list[TruthScene],
    scheduler: str,
    files_of: Callable[[TruthScene], Iterable[Path]],
) -> Iterator[Result]:
    with (
        open_cluster(scheduler) as client,
        closing(run_jobs(client, count, scenes, files_of)) as outcomes,
    ):
        for scene, outcome in outcomes:
            if isinstance(outcome, WorkerLostError):
                raise ClusterError(
                    f"scene {scene.scene_id}: its workers died one after the other, perhaps for "
                    "lack of memory; give each more, or start fewer on a machine"
                )
            if isinstance(outcome, BaseException):
                raise outcome
            yield outcome
