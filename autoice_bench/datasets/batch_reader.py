"""Batches of patches in a fixed order, read ahead by processes, by threads, or not at all."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Final, Literal, Protocol, Self

from numpy.typing import NDArray

from autoice_bench.datasets.batch_ring import BatchRing
from autoice_bench.datasets.patch_reader import PatchReader
from autoice_bench.errors import PatchError

Mode = Literal["process", "thread"]

_AHEAD: Final = 2
"""Batches that each worker has in hand: one being read, one to go on with."""
_HELD: Final = 2
"""Batches that the caller may still use: the last one given and the one before."""


@dataclass(frozen=True)
class NumpyBatch:
    """One batch.

    Attributes:
        slot: its place in the ring.
        arrays: views of the ring, (batch size, ...); they stay valid until the batch after the
            next is asked for.
        scene_ids: scene of each patch.
    """

    slot: int
    arrays: dict[str, NDArray[Any]]
    scene_ids: list[str]


class _Worker(Protocol):
    def request(self, slot: int, epoch: int, indices: Sequence[int]) -> None: ...

    def answer(self) -> list[str]: ...

    def close(self) -> None: ...


class _Here:
    """Reads in the calling process, when the batch is asked for."""

    def __init__(self, reader: PatchReader, ring: BatchRing) -> None:
        self._reader, self._ring = reader, ring
        self._requests: deque[tuple[int, int, Sequence[int]]] = deque()

    def request(self, slot: int, epoch: int, indices: Sequence[int]) -> None:
        self._requests.append((slot, epoch, indices))

    def answer(self) -> list[str]:
        slot, epoch, indices = self._requests.popleft()
        return self._reader.read_batch(epoch, indices, self._ring.views(slot))

    def close(self) -> None:
        self._requests.clear()


class _Thread:
    def __init__(self, reader: PatchReader, ring: BatchRing) -> None:
        self._reader, self._ring = reader, ring
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="patches")
        self._answers: deque[Future[list[str]]] = deque()

    def request(self, slot: int, epoch: int, indices: Sequence[int]) -> None:
        views = self._ring.views(slot)
        self._answers.append(self._executor.submit(self._reader.read_batch, epoch, indices, views))

    def answer(self) -> list[str]:
        return self._answers.popleft().result()

    def close(self) -> None:
        self._executor.shutdown(cancel_futures=True)


class _Process:
    def __init__(self, reader: PatchReader, ring: BatchRing, batch_size: int) -> None:
        ours, theirs = socket.socketpair()
        # The worker finds what this process can import, and nothing of it is imported.
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        with theirs:
            descriptors = (theirs.fileno(), ring.descriptor)
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "autoice_bench.datasets.batch_worker",
                    *map(str, descriptors),
                ],
                pass_fds=descriptors,
                env=environment,
                stdin=subprocess.DEVNULL,
            )
        self._connection = Connection(ours.detach())
        self._send((reader, batch_size, ring.n_slots))

    def request(self, slot: int, epoch: int, indices: Sequence[int]) -> None:
        self._send((slot, epoch, list(indices)))

    def answer(self) -> list[str]:
        try:
            answer = self._connection.recv()
        except (EOFError, OSError):
            raise self._death() from None
        if isinstance(answer, Exception):
            raise answer
        return list(answer)

    def close(self) -> None:
        self._connection.close()
        self._process.wait()

    def _send(self, message: object) -> None:
        try:
            self._connection.send(message)
        except OSError:
            raise self._death() from None

    def _death(self) -> PatchError:
        self._connection.close()
        status = self._process.wait()
        how = f"killed by signal {-status}" if status < 0 else f"ended with status {status}"
        return PatchError(
            f"a reading process was {how}; was memory short? Try fewer workers or smaller batches"
        )


class BatchReader:
    """Reads the batches of an epoch in order, `workers` of them ahead.

    What a batch holds depends on seed, epoch and step alone. The last patches of an epoch that do
    not fill a batch are left out.

    Args:
        reader: reads patches.
        batch_size: patches per batch (and rank).
        workers: processes or threads that read; 0 reads in the calling process.
        mode: processes, or threads (for pixels in memory, which a process would have to copy).
        rank, world_size: this process's share: batches are cut from `world_size` times as many
            patches.

    Raises:
        PatchError: an epoch does not fill a single batch.
    """

    def __init__(
        self,
        reader: PatchReader,
        batch_size: int,
        *,
        workers: int = 2,
        mode: Mode = "process",
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self._reader, self._batch_size = reader, batch_size
        self._rank, self._world_size = rank, world_size
        if not len(self):
            raise PatchError(
                f"an epoch of {len(reader)} patches does not fill one batch of "
                f"{batch_size * world_size}; lower the batch size or draw more patches per scene"
            )
        self._ahead = _AHEAD * workers if workers else 1
        self._ring = BatchRing(reader.fields, batch_size, self._ahead + _HELD)
        self._workers: list[_Worker] = []
        for _ in range(max(workers, 1)):
            if not workers:
                self._workers.append(_Here(reader, self._ring))
            elif mode == "thread":
                self._workers.append(_Thread(reader, self._ring))
            else:
                self._workers.append(_Process(reader, self._ring, batch_size))

    def __len__(self) -> int:
        """Batches in an epoch."""
        return len(self._reader) // (self._batch_size * self._world_size)

    @property
    def ring(self) -> BatchRing:
        """The buffers that batches are views of."""
        return self._ring

    def epoch(
        self, epoch: int, start: int = 0, before_reuse: Callable[[int], None] | None = None
    ) -> Iterator[NumpyBatch]:
        """The batches of an epoch, from batch `start` on.

        Args:
            epoch: from 0.
            start: batches to pass over, without reading them.
            before_reuse: called with a slot before it is filled again.

        Raises:
            StoreError: a scene is damaged.
            PatchError: a reading process died.
        """
        outstanding: deque[tuple[_Worker, int]] = deque()
        requested = start

        def request() -> None:
            nonlocal requested
            if requested < len(self):
                worker = self._workers[requested % len(self._workers)]
                slot = requested % self._ring.n_slots
                if before_reuse is not None:
                    before_reuse(slot)
                worker.request(slot, epoch, self._indices(requested))
                outstanding.append((worker, slot))
                requested += 1

        try:
            for _ in range(self._ahead):
                request()
            while outstanding:
                worker, slot = outstanding.popleft()
                scene_ids = worker.answer()
                yield NumpyBatch(slot, self._ring.views(slot), scene_ids)
                request()
        finally:
            # Left early: the answers still to come must not be taken for those of another epoch.
            for worker, _ in outstanding:
                with contextlib.suppress(Exception):
                    worker.answer()

    def _indices(self, step: int) -> range:
        first = (step * self._world_size + self._rank) * self._batch_size
        return range(first, first + self._batch_size)

    def close(self) -> None:
        """End the workers."""
        for worker in self._workers:
            worker.close()
        self._workers.clear()
        self._ring.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
