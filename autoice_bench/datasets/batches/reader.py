"""Batches of patches in a fixed order, read ahead by processes, by threads, or not at all."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Protocol, Self

from numpy.typing import NDArray

from autoice_bench.datasets.batches.ring import BatchRing
from autoice_bench.datasets.patches.windows import PatchReader
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


def batch_indices(step: int, batch_size: int, rank: int, world_size: int) -> range:
    """The patches of an epoch that make one process's batch of a step."""
    first = (step * world_size + rank) * batch_size
    return range(first, first + batch_size)


class _Worker(Protocol):
    def request(self, slot: int, epoch: int, indices: Sequence[int]) -> None: ...

    def answer(self) -> list[str]: ...

    def drain(self) -> None:
        """Wait for what was requested and not answered yet, and forget it."""

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

    def drain(self) -> None:
        self._requests.clear()

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
        wait([self._answers[0]])  # an interrupted wait leaves the answer to `drain`
        return self._answers.popleft().result()

    def drain(self) -> None:
        wait(self._answers)
        self._answers.clear()

    def close(self) -> None:
        self._executor.shutdown(cancel_futures=True)


@contextlib.contextmanager
def _blocked_signals() -> Iterator[None]:
    """Have a process that is started here not hear the signals that the trainer answers to."""
    # A new process inherits which signals are blocked, also through exec.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Process:
    def __init__(self, ring: BatchRing) -> None:
        # One socket for both directions; its end is seen when the other process dies, however.
        ours, theirs = socket.socketpair()
        # The worker finds what this process can import, and nothing of it is imported.
        paths = os.pathsep.join(path or str(Path.cwd()) for path in sys.path)
        environment = {**os.environ, "PYTHONPATH": paths}
        with theirs, _blocked_signals():
            descriptors = (theirs.fileno(), ring.descriptor)
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-P",  # a file of the working folder must not hide a library's
                    "-m",
                    "autoice_bench.datasets.batches.worker",
                    *map(str, descriptors),
                ],
                pass_fds=descriptors,
                env=environment,
                stdin=subprocess.DEVNULL,
            )
        self._connection = Connection(ours.detach())
        self._n_pending = 0

    def set_up(self, message: bytes) -> None:
        """Send what the worker needs to know before its first request, pickled."""
        self._send(message)

    def request(self, slot: int, epoch: int, indices: Sequence[int]) -> None:
        self._send(pickle.dumps((slot, epoch, list(indices))))
        self._n_pending += 1

    def answer(self) -> list[str]:
        try:
            answer = self._connection.recv()
        except (EOFError, OSError):
            raise self._death() from None
        self._n_pending -= 1
        if isinstance(answer, Exception):
            raise answer
        return list(answer)

    def drain(self) -> None:
        # An answer must be taken even if nobody wants it: the next one would be mistaken for it.
        while self._n_pending:
            with contextlib.suppress(Exception):
                self.answer()

    def close(self) -> None:
        if not self._connection.closed:
            # Closing is not enough: a child that the trainer forked may hold the socket, too.
            with (
                contextlib.suppress(OSError),
                socket.socket(fileno=os.dup(self._connection.fileno())) as both_ends,
            ):
                both_ends.shutdown(socket.SHUT_RDWR)
            self._connection.close()
        self._n_pending = 0
        # The worker ends when it finds the socket closed. Waiting leaves no zombie behind.
        self._process.wait()

    def _send(self, message: bytes) -> None:
        try:
            self._connection.send_bytes(message)
        except OSError:
            raise self._death() from None

    def _death(self) -> PatchError:
        self.close()
        status = self._process.returncode
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
        PatchError: an epoch does not fill a single batch, the batches do not fit in memory, or an
            argument is out of its range.
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
        if batch_size < 1 or workers < 0:
            raise PatchError(
                f"batch_size {batch_size}, workers {workers}: expected at least 1 and at least 0"
            )
        if not 0 <= rank < world_size:
            raise PatchError(f"rank {rank} of world_size {world_size}: ranks count from 0")
        self._reader, self._batch_size = reader, batch_size
        self._rank, self._world_size = rank, world_size
        if not len(self):
            raise PatchError(
                f"an epoch of {len(reader)} patches does not fill one batch of "
                f"{batch_size * world_size}; lower the batch size or draw more patches per scene"
            )
        self._ahead = _AHEAD * workers if workers else 1
        self._ring = BatchRing(reader.fields, batch_size, self._ahead + _HELD)
        self._next_slot = 0
        self._running: object = None
        self._workers: list[_Worker] = []
        try:
            self._start_workers(workers, mode)
        except BaseException:
            self.close()
            raise

    def _start_workers(self, workers: int, mode: Mode) -> None:
        if not workers:
            self._workers.append(_Here(self._reader, self._ring))
        elif mode == "thread":
            self._workers += [_Thread(self._reader, self._ring) for _ in range(workers)]
        else:
            # All at once: each imports for half a second before it listens.
            message = pickle.dumps((self._reader, self._batch_size, self._ring.n_slots))
            started: list[_Process] = []
            for _ in range(workers):
                started.append(_Process(self._ring))
                self._workers.append(started[-1])
            for process in started:
                process.set_up(message)

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
            PatchError: a reading process died, the reader is closed, or, in an iterator that is
                asked for more, another epoch was begun meanwhile.
        """
        if start < 0:
            raise PatchError(f"start {start}: batches count from 0")
        if not self._workers:
            raise PatchError("the batch reader is closed; make a new one")
        self._drain()  # of an epoch that was left, but whose iterator is still there
        running = self._running = object()
        outstanding: deque[tuple[_Worker, int]] = deque()
        # Not from slot 0: the caller may still use the last batches of the epoch before.
        offset = self._next_slot - start
        requested = start

        def request() -> None:
            nonlocal requested
            if requested < len(self):
                # In turn, not to whoever is free: the order of batches must not depend on speed.
                worker = self._workers[requested % len(self._workers)]
                slot = (requested + offset) % self._ring.n_slots
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
                self._next_slot = (slot + 1) % self._ring.n_slots
                yield NumpyBatch(slot, self._ring.views(slot), scene_ids)
                if self._running is not running:
                    raise PatchError(
                        f"epoch {epoch} cannot go on: another was begun, or the reader was closed"
                    )
                request()
        finally:
            # Left early: the answers still to come must not be taken for those of another epoch.
            if self._running is running:
                self._drain()

    def _drain(self) -> None:
        for worker in self._workers:
            worker.drain()

    def _indices(self, step: int) -> range:
        return batch_indices(step, self._batch_size, self._rank, self._world_size)

    def close(self) -> None:
        """End the workers."""
        self._running = None
        while self._workers:
            self._workers.pop().close()
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
