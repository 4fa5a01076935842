"""Worker processes of this machine: a pool that starts, or says in one line why it does not."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

from autoice_bench.errors import AutoIceError
from autoice_bench.formats.decoding import reason_of


@contextmanager
def process_pool(n_workers: int, error: type[AutoIceError]) -> Iterator[ProcessPoolExecutor]:
    """Fresh processes, which hold no thread or file of the caller's, for a ``with`` block.

    Args:
        n_workers: how many.
        error: what is raised for them.

    Raises:
        AutoIceError: as ``error``: they cannot be started (a limit on files, memory or processes,
            no shared memory for their locks), or one died at work.
    """
    pool = _start(n_workers, error)
    try:
        with pool:
            yield pool
    except BrokenProcessPool as cause:
        raise error(
            "a worker process died, perhaps for lack of memory; --workers 1 needs the least"
        ) from cause


def _start(n_workers: int, error: type[AutoIceError]) -> ProcessPoolExecutor:
    pool = None
    try:
        pool = ProcessPoolExecutor(n_workers, mp_context=multiprocessing.get_context("spawn"))
        # A process is started with each of the first jobs: here, where it can be explained.
        for _ in range(n_workers):
            pool.submit(int)
    except (OSError, RuntimeError, MemoryError) as cause:
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)
        raise error(
            f"worker processes cannot be started ({reason_of(cause)}); try --workers 1"
        ) from cause
    return pool
