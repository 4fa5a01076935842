"""Running over scenes: one after another, in a pool of processes, or on a dask cluster."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from queue import SimpleQueue
from typing import TypeVar

from autoice_bench import worker_rule
from autoice_bench.callbacks import Progress
from autoice_bench.errors import AutoIceError
from autoice_bench.scoring.truth.protocol import TruthScene

Result = TypeVar("Result")


def map_scenes(
    count: Callable[[TruthScene], Result],
    scenes: list[TruthScene],
    workers: int | None,
    scheduler: str | None,
    progress: Progress | None,
) -> Iterator[Result]:
    """Apply a picklable function to each scene; results come in any order.

    Args:
        count: what to do with a scene.
        scenes: the scenes.
        workers: processes, this one included; None for ``choose_workers``.
        scheduler: address of a dask scheduler to run on instead.
        progress: called after each scene.

    Raises:
        AutoIceError: the scheduler cannot be reached or a process died.
    """
    if scheduler is not None:
        results = _map_dask(count, scenes, scheduler)
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
    # Fresh processes: they hold no thread or file of ours. They import while this one works.
    context = multiprocessing.get_context("spawn")
    waiting = deque(scenes)
    finished: SimpleQueue[Future[Result]] = SimpleQueue()

    with ProcessPoolExecutor(n_workers - 1, mp_context=context) as pool:

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
        except BrokenProcessPool as error:
            raise AutoIceError(
                "a worker process died, perhaps for lack of memory; --workers 1 needs the least"
            ) from error
        finally:
            waiting.clear()


def _map_dask(
    count: Callable[[TruthScene], Result], scenes: list[TruthScene], scheduler: str
) -> Iterator[Result]:
    from distributed import Client, as_completed  # slow to import, seldom needed

    try:
        client = Client(scheduler)
    except (OSError, ValueError) as error:
        raise AutoIceError(f"dask scheduler {scheduler}: cannot connect: {error}") from error
    with client:
        for future in as_completed(client.map(count, scenes, pure=False)):
            yield future.result()
