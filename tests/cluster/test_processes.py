"""A pool of processes that starts, or says why not."""

from __future__ import annotations

import errno
import os

import pytest

from autoice_bench.cluster import processes
from autoice_bench.cluster.processes import process_pool
from autoice_bench.errors import SceneError, StoreError


def test_work_is_done_elsewhere() -> None:
    with process_pool(1, StoreError) as pool:
        assert pool.submit(os.getpid).result() != os.getpid()


def test_death_is_told() -> None:
    with (
        pytest.raises(StoreError, match="died, perhaps for lack of memory; --workers 1 needs"),
        process_pool(1, StoreError) as pool,
    ):
        pool.submit(os._exit, 9).result()


def test_what_the_work_raises_is_its_own() -> None:
    with pytest.raises(FileNotFoundError), process_pool(1, StoreError) as pool:
        pool.submit(os.stat, "no such file").result()


@pytest.mark.parametrize(
    "refusal",
    [
        OSError(errno.EMFILE, os.strerror(errno.EMFILE)),
        FileNotFoundError(errno.ENOENT, "No such file or directory"),  # no /dev/shm
        RuntimeError("can't start new thread"),
    ],
)
def test_pool_that_cannot_be_started(refusal: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise refusal

    monkeypatch.setattr(processes, "ProcessPoolExecutor", refuse)
    with (
        pytest.raises(
            SceneError, match=r"worker processes cannot be started \(.*\); try --workers 1"
        ),
        process_pool(2, SceneError),
    ):
        pass
