"""A ring of batch buffers in memory that processes share.

A fresh tensor for every batch costs a page fault for every 4 KiB of it, more than reading the
pixels does; a ring is used again and again. It lies in an anonymous memory file, not in `/dev/shm`,
which containers keep small.
"""

from __future__ import annotations

import errno
import math
import mmap
import os
import weakref
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from autoice_bench.datasets.patches.windows import Field
from autoice_bench.datasets.readers.available_memory import available_bytes
from autoice_bench.errors import PatchError
from autoice_bench.formats.decoding import reason_of
from autoice_bench.wording import format_size

_ALIGNMENT: Final = 4096
"""A page: no two arrays share one, and every one is aligned for any dtype."""


class BatchRing:
    """Slots of equal size, each with the arrays of one batch.

    Args:
        fields: arrays of one patch.
        batch_size: patches per batch.
        n_slots: batches.
        descriptor: the memory file of a ring that another process made; None makes one.

    Attributes:
        n_slots: batches.
        descriptor: file descriptor of the memory, to hand to another process.

    Raises:
        PatchError: a new ring does not fit in memory.
    """

    def __init__(
        self,
        fields: Mapping[str, Field],
        batch_size: int,
        n_slots: int,
        descriptor: int | None = None,
    ) -> None:
        self.n_slots = n_slots
        self._fields = fields
        self._batch_size = batch_size
        self._offsets, self._slot_bytes = _lay_out(fields, batch_size)
        n_bytes = self._slot_bytes * n_slots
        if descriptor is None:
            # Asked beforehand: memory that is mapped and not there kills the process at the first
            # write, without an exception that could be explained.
            available = available_bytes()
            if available is not None and n_bytes > available:
                raise PatchError(
                    f"{n_slots} batches of {batch_size} patches take {format_size(n_bytes)} of "
                    f"memory, {format_size(available)} are available; lower the batch size or the "
                    "number of workers"
                )
            descriptor = _make_memory(n_bytes)
        self.descriptor = descriptor
        self._close_descriptor = weakref.finalize(self, os.close, descriptor)
        try:
            self._memory = np.frombuffer(mmap.mmap(descriptor, n_bytes), np.uint8)
        except (OSError, MemoryError) as error:
            self._close_descriptor()
            raise PatchError(_explain(n_bytes, error)) from error

    @property
    def memory(self) -> NDArray[np.uint8]:
        """All bytes of the ring."""
        return self._memory

    def views(self, slot: int) -> dict[str, NDArray[Any]]:
        """The arrays of a slot, (batch_size, ...) each."""
        start = slot * self._slot_bytes
        views = {}
        for name, field in self._fields.items():
            shape = (self._batch_size, *field.shape)
            begin = start + self._offsets[name]
            n_bytes = math.prod(shape) * field.dtype.itemsize
            views[name] = self._memory[begin : begin + n_bytes].view(field.dtype).reshape(shape)
        return views

    def close(self) -> None:
        """Let go of the memory; it stays for as long as an array of it is in use."""
        # A view keeps the mapping alive, and a mapping keeps the memory without its descriptor.
        self._memory = np.empty(0, np.uint8)
        self._close_descriptor()
        self.descriptor = -1


def _make_memory(n_bytes: int) -> int:
    """Descriptor of an anonymous memory file.

    Pages are taken when they are first written, and go with the last process that maps them.

    Raises:
        PatchError: the system refuses; a limit on the size of files holds for these, too.
    """
    descriptor = None
    try:
        descriptor = os.memfd_create("autoice-bench-batches")
        os.ftruncate(descriptor, n_bytes)
    except OSError as error:
        if descriptor is not None:
            os.close(descriptor)
        raise PatchError(_explain(n_bytes, error)) from error
    return descriptor


def _explain(n_bytes: int, error: BaseException) -> str:
    limit = "ulimit -f" if getattr(error, "errno", None) == errno.EFBIG else "ulimit -v"
    if getattr(error, "errno", None) in (errno.EMFILE, errno.ENFILE):
        limit = "ulimit -n"
    return (
        f"memory of {format_size(n_bytes)} for the batches is refused ({reason_of(error)}); raise "
        f"the limit ({limit}), or lower the batch size or the number of workers"
    )


def _lay_out(fields: Mapping[str, Field], batch_size: int) -> tuple[dict[str, int], int]:
    """Where each array begins in a slot, and the size of a slot, in bytes."""
    offsets, end = {}, 0
    for name, field in fields.items():
        offsets[name] = end
        n_bytes = batch_size * math.prod(field.shape) * field.dtype.itemsize
        end += -(-n_bytes // _ALIGNMENT) * _ALIGNMENT
    return offsets, end
