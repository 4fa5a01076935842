"""What a process of a test reads; apart, so that a fresh interpreter imports little."""

from __future__ import annotations

from typing import Any

import numpy as np

from autoice_bench.datasets.readers.arrays import ArrayReader

WINDOWS = [(line, sample, 20, 30) for line in range(0, 18, 6) for sample in range(0, 21, 10)]


def read_windows(array: ArrayReader) -> list[bytes]:
    """The bytes of every window."""
    found = []
    for line, sample, lines, samples in WINDOWS:
        out = np.full((*array.shape[:-2], lines, samples), 77, array.dtype)
        array.read(line, sample, out)
        found.append(out.tobytes())
    return found


def put_windows(array: ArrayReader, queue: Any) -> None:
    queue.put(read_windows(array))
