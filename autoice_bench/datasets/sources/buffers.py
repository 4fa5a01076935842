"""Memory that is used again from scene to scene.

The kernel clears every page of fresh memory when it is first touched, which for the arrays of a
full-size scene takes about a quarter of the time it takes to prepare it.
"""

from __future__ import annotations

import ctypes
import functools
import math
from typing import Any, Final

import numpy as np
from numpy.typing import DTypeLike, NDArray

# Parameters of glibc's mallopt (malloc.h), which Python has no other way to reach.
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8
_KEPT_BYTES: Final = 32 << 20  # glibc refuses a larger M_MMAP_THRESHOLD


class BufferPool:
    """Large arrays by purpose; the next request for the same purpose gets the same memory.

    Not safe to share between scenes that are in use at the same time.
    """

    def __init__(self) -> None:
        self._buffers: dict[str, NDArray[np.uint8]] = {}

    def empty(self, purpose: str, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """An uninitialised array; it invalidates the one given before for the same purpose."""
        # Kept as bytes, so that the next scene may ask for another shape or dtype.
        n_bytes = math.prod(shape) * np.dtype(dtype).itemsize
        buffer = self._buffers.get(purpose)
        if buffer is None or buffer.size < n_bytes:
            # Let go of the old memory first, so that both never exist together.
            self._buffers.pop(purpose, None)
            del buffer
            buffer = self._buffers[purpose] = np.empty(n_bytes, np.uint8)
        return buffer[:n_bytes].view(dtype).reshape(shape)


@functools.cache
def keep_freed_memory() -> None:
    """Let this process keep up to 32 MiB that it frees, for the next chunk to be inflated into.

    By default glibc hands large blocks back to the kernel, and dask asks it to hand back all of
    them; both cost a cleared page for every 4 KiB inflated. Threads share what is kept, if they are
    started after the first call. No effect with another C library.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return
    # One arena for all threads: each would otherwise keep memory of its own.
    mallopt(_M_ARENA_MAX, 1)
    # Blocks above the first size are mapped and unmapped one by one; free memory above the second
    # is handed back.
    mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES)
    mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
