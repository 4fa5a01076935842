"""Memory that is used again from scene to scene."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray


class BufferPool:
    """Large arrays by purpose; the next request for the same purpose gets the same memory.

    The kernel clears every page of fresh memory when it is first touched, which for the arrays of a
    full-size scene takes about a quarter of the time it takes to prepare it. Not safe to share
    between scenes that are in use at the same time.
    """

    def __init__(self) -> None:
        self._buffers: dict[str, NDArray[np.uint8]] = {}

    def empty(self, purpose: str, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """An uninitialised array; it invalidates the one given before for the same purpose."""
        n_bytes = math.prod(shape) * np.dtype(dtype).itemsize
        buffer = self._buffers.get(purpose)
        if buffer is None or buffer.size < n_bytes:
            # Let go of the old memory first, so that both never exist together.
            self._buffers.pop(purpose, None)
            del buffer
            buffer = self._buffers[purpose] = np.empty(n_bytes, np.uint8)
        return buffer[:n_bytes].view(dtype).reshape(shape)
