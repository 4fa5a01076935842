"""Memory for batches that the system refuses."""

from __future__ import annotations

import os
import resource

import numpy as np
import pytest

from autoice_bench.datasets.batches.ring import BatchRing
from autoice_bench.datasets.patches.windows import Field
from autoice_bench.errors import PatchError

FIELDS = {"sar": Field((3, 64, 64), np.dtype("float16"))}


def test_limit_on_the_size_of_files_holds_for_memory_files_too() -> None:
    before = sorted(os.listdir("/proc/self/fd"))  # noqa: PTH208
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        # 3 x 64 x 64 x 2 bytes are six pages a patch: 4 x 2 x 24,576 bytes in all.
        with pytest.raises(PatchError, match=r"memory of 0\.197 MB .*File too large.*ulimit -f"):
            BatchRing(FIELDS, batch_size=2, n_slots=4)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert sorted(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_memory_that_cannot_be_mapped(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("autoice_bench.datasets.batches.ring.mmap.mmap", refuse)
    with pytest.raises(PatchError, match="for the batches is refused"):
        BatchRing(FIELDS, batch_size=2, n_slots=4)
