"""Random windows of an array, decoded from its shard.

An array in the layout that ``prepare`` writes is read by ``ShardReader``: one ``pread`` per row of
inner chunks into memory that is used again, checksum, decoding, one copy. Any other layout is left
to zarr-python.

Why not a library: on one core this reads patches 1.6 to 2.2 times as fast as tensorstore, four to
five times as fast as zarrs and 20 to 34 times as zarr-python (benchmarks/results/patches.md); and
tensorstore aborts and zarrs hangs in a forked worker once the parent has read. zarr-python knows
every layout, survives forks, and is required anyway.
"""

from __future__ import annotations

import math
import os
import threading
import weakref
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from itertools import pairwise, product
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from autoice_bench.datasets.readers.open_files import OpenFiles
from autoice_bench.errors import StoreError
from autoice_bench.formats.decoding import decoding
from autoice_bench.formats.shards import (
    ABSENT,
    ShardLayout,
    decode_chunk,
    parse_index,
    parse_layout,
    read_shard,
)
from autoice_bench.formats.store_layout import SCENE_ARRAYS, SCENES
from autoice_bench.formats.variables import MOST_PIXELS
from autoice_bench.formats.zarr_safety import require_safe_array

_REMEDY: Final = "remove the scene's folder and run `autoice-bench prepare` again"

_MOST_VALUES: Final = MOST_PIXELS * max(len(array.channels) or 1 for array in SCENE_ARRAYS)
_MAX_KNOWN: Final = 1024
"""Small chunks that a decoder remembers before it forgets them all."""

OPEN_FILES: Final = OpenFiles()
# A fork copies a lock as it is: one that another thread held just then would never be released in
# the child.
os.register_at_fork(after_in_child=OPEN_FILES.after_fork)


class ArrayReader(ABC):
    """Reads windows of one array, along its last two dimensions.

    Safe in threads and after a fork; can be pickled, and opens its file again in the new process.

    Attributes:
        shape: shape of the array.
        dtype: dtype of its values.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def read(self, line: int, sample: int, out: NDArray[Any]) -> None:
        """Read a window.

        Args:
            line, sample: first element of the window, along the last two dimensions.
            out: filled; the array's dtype, its leading dimensions, and the size of the window. It
                need not be contiguous.

        Raises:
            ValueError: the window is not inside the array, or ``out`` does not fit.
            StoreError: the file is missing or damaged. Part of ``out`` may have been filled.
        """
        lines, samples = out.shape[-2:]
        if (
            not 0 <= line <= line + lines <= self.shape[-2]
            or not 0 <= sample <= sample + samples <= self.shape[-1]
        ):
            raise ValueError(
                f"window of {lines}x{samples} at ({line}, {sample}) is not inside "
                f"{self.shape[-2]}x{self.shape[-1]}"
            )
        if out.shape[:-2] != self.shape[:-2] or out.dtype != self.dtype:
            raise ValueError(
                f"out is {out.shape} {out.dtype}; expected {self.shape[:-2]} + window {self.dtype}"
            )
        if out.size:
            self._read(line, sample, out)

    @abstractmethod
    def _read(self, line: int, sample: int, out: NDArray[Any]) -> None: ...


def open_array(folder: Path, metadata: Mapping[str, Any], label: str) -> ArrayReader:
    """Open an array; nothing is read before the first window.

    Args:
        folder: the array's folder.
        metadata: its parsed ``zarr.json``.
        label: what errors call the array.

    Returns:
        A ``ShardReader``, or a ``ZarrReader`` where the layout is another than ``prepare``'s.
    """
    layout = parse_layout(metadata)
    if layout is None or len(layout.shape) < 2 or layout.inner[:-2] != layout.shape[:-2]:
        return ZarrReader(folder, label)
    return ShardReader(folder, layout, label)


def read_array(folder: Path, metadata: Mapping[str, Any], label: str) -> NDArray[Any]:
    """Read a whole array of any number of dimensions; arguments as for ``open_array``.

    Raises:
        StoreError: the file is missing or damaged.
    """
    try:
        with decoding(StoreError, f"{label}: {folder}", _REMEDY):
            values = read_shard(folder, metadata)
    except FileNotFoundError as error:
        raise _missing(label, Path(error.filename)) from None
    return ZarrReader(folder, label).read_whole() if values is None else values


class _ChunkDecoder:
    """Decodes inner chunks of one shape and dtype into memory that is used again.

    Chunks of one value, or of one value per channel, are frequent: land, open sea, masked pixels.
    Their few bytes are remembered, which saves decoding and copying them.
    """

    def __init__(self, inner: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._chunk = np.empty(inner, dtype)
        # Bits, because -0.0 equals 0.0.
        self._bits = self._chunk.view(f"u{dtype.itemsize}")
        # lz4 stores a run in 1/255 of its length, so a chunk of few values is smaller than this;
        # a larger one is not worth hashing and comparing.
        self._small = self._chunk.nbytes // 128
        self._known: dict[bytes, NDArray[Any] | None] = {}

    def decode(self, content: NDArray[np.uint8]) -> NDArray[Any]:
        """Decode a chunk.

        Returns:
            The chunk, valid until the next call; or its value per channel, (..., 1, 1).

        Raises:
            ValueError: it is damaged.
        """
        if content.size > self._small:
            decode_chunk(content, self._chunk)
            return self._chunk
        key = content.tobytes()
        known = self._known.get(key)
        if known is not None:
            return known
        decode_chunk(content, self._chunk)
        if key not in self._known:
            if len(self._known) == _MAX_KNOWN:
                self._known.clear()
            first = self._bits[..., :1, :1]
            is_flat = bool((self._bits == first).all())
            self._known[key] = self._chunk[..., :1, :1].copy() if is_flat else None
        return self._chunk


class _Scratch(threading.local):
    """Memory that one thread uses again from window to window.

    Fresh memory would cost a page fault for every 4 KiB read and decoded. It belongs to a thread,
    because reading and decoding let other threads run meanwhile.
    """

    def __init__(self) -> None:
        self._encoded = np.empty(0, np.uint8)
        self._decoders: dict[tuple[tuple[int, ...], np.dtype[Any]], _ChunkDecoder] = {}

    def encoded(self, n_bytes: int) -> NDArray[np.uint8]:
        """Memory for bytes of a file."""
        if self._encoded.size < n_bytes:
            self._encoded = np.empty(n_bytes, np.uint8)
        return self._encoded[:n_bytes]

    def decoder(self, layout: ShardLayout) -> _ChunkDecoder:
        """The decoder of chunks of this kind."""
        kind = layout.inner, layout.dtype
        decoder = self._decoders.get(kind)
        if decoder is None:
            decoder = self._decoders[kind] = _ChunkDecoder(*kind)
        return decoder


_SCRATCH: Final = _Scratch()


class ShardReader(ArrayReader):
    """An array in one shard whose inner chunks span all leading dimensions."""

    def __init__(self, folder: Path, layout: ShardLayout, label: str) -> None:
        self._folder = folder
        self._layout = layout
        self._label = label
        self._path = folder / layout.path
        self._index: NDArray[np.int64] | None = None
        # Not the path: a store that was prepared anew has other files under the same names.
        self._key = object()
        self.shape, self.dtype = layout.shape, layout.dtype
        # Without this, the file of a reader that is gone would stay open until others push it out.
        weakref.finalize(self, OPEN_FILES.drop, self._key)

    # A descriptor means nothing in another process: only what opens the file is pickled.
    def __reduce__(self) -> tuple[type[ShardReader], tuple[Path, ShardLayout, str]]:
        return ShardReader, (self._folder, self._layout, self._label)

    def _read(self, line: int, sample: int, out: NDArray[Any]) -> None:
        try:
            with OPEN_FILES.open(self._key, self._path) as descriptor:
                # Two threads may both find no index; they read the same one, so no lock is needed.
                if self._index is None:
                    self._index = self._read_index(descriptor)
                self._read_window(descriptor, self._index, line, sample, out)
        except FileNotFoundError:
            raise _missing(self._label, self._path) from None
        except OSError as error:
            raise StoreError(f"{self._label}: {self._path}: {error.strerror}") from error

    def _read_window(
        self,
        descriptor: int,
        index: NDArray[np.int64],
        line: int,
        sample: int,
        out: NDArray[Any],
    ) -> None:
        lines, samples = out.shape[-2:]
        chunk_lines, chunk_samples = self._layout.inner[-2:]
        decoder = _SCRATCH.decoder(self._layout)
        first, last = sample // chunk_samples, (sample + samples - 1) // chunk_samples
        for row in range(line // chunk_lines, (line + lines - 1) // chunk_lines + 1):
            top = row * chunk_lines - line
            to_lines = slice(max(top, 0), min(top + chunk_lines, lines))
            from_lines = slice(to_lines.start - top, to_lines.stop - top)
            contents = _read_chunks(descriptor, index[row, first : last + 1].tolist())
            for column, content in enumerate(contents, first):
                left = column * chunk_samples - sample
                begin, end = max(left, 0), min(left + chunk_samples, samples)
                window = out[..., to_lines, begin:end]
                if content is None:
                    window[...] = self._layout.fill_value
                    continue
                try:
                    chunk = decoder.decode(content)
                except ValueError as error:
                    raise self._damaged(f"chunk ({row}, {column}) of the shard {error}") from error
                if chunk.shape == self._layout.inner:
                    chunk = chunk[..., from_lines, begin - left : end - left]
                window[...] = chunk

    def _read_index(self, descriptor: int) -> NDArray[np.int64]:
        """(chunk rows, chunk columns, 2) offset and length."""
        n_bytes = self._layout.index_bytes
        start = max(0, os.fstat(descriptor).st_size - n_bytes)
        try:
            content = _read_bytes(descriptor, start, n_bytes)
            index = parse_index(content, self._layout, start + len(content))
        except ValueError as error:
            raise self._damaged(str(error)) from error
        # A copy: the bytes lie in memory that is used again.
        return index.reshape(*self._layout.grid[-2:], 2).copy()

    def _damaged(self, found: str) -> StoreError:
        return StoreError(f"{self._label}: {found} ({self._path}); {_REMEDY}")


class ZarrReader(ArrayReader):
    """An array of any layout, read with zarr-python."""

    def __init__(self, folder: Path, label: str) -> None:
        import zarr

        self._folder = folder
        self._label = label
        try:
            with decoding(StoreError, f"{label}: {folder}", _REMEDY):
                require_safe_array(folder, texts=True)
                self._array = zarr.open_array(folder, mode="r", zarr_format=3)
        except FileNotFoundError as error:
            raise StoreError(f"{label}: {folder} cannot be opened: {error}") from error
        if math.prod(self._array.shape) > _MOST_VALUES:
            raise StoreError(
                f"{label}: {folder}: shape is {self._array.shape}, more than a scene may have; "
                f"{_REMEDY}"
            )
        self.shape, self.dtype = self._array.shape, np.dtype(self._array.dtype)

    def __reduce__(self) -> tuple[type[ZarrReader], tuple[Path, str]]:
        return ZarrReader, (self._folder, self._label)

    def read_whole(self) -> NDArray[Any]:
        """Read the array, of any number of dimensions.

        Raises:
            StoreError: a file is missing or damaged.
        """
        return self._select(tuple(slice(0, size) for size in self.shape))

    def _read(self, line: int, sample: int, out: NDArray[Any]) -> None:
        lines, samples = out.shape[-2:]
        leading = (slice(0, size) for size in self.shape[:-2])
        out[...] = self._select(
            (*leading, slice(line, line + lines), slice(sample, sample + samples))
        )

    def _select(self, window: tuple[slice, ...]) -> NDArray[Any]:
        edges = self._array.shards or self._array.chunks
        for position in product(
            *(
                range(part.start // edge, (part.stop - 1) // edge + 1)
                for part, edge in zip(window, edges, strict=True)
            )
        ):
            # zarr takes a missing file for fill values; a store holds every chunk.
            path = self._folder / self._array.metadata.encode_chunk_key(position)
            if not path.is_file():
                raise _missing(self._label, path)
        where = ", ".join(f"{part.start}:{part.stop}" for part in window)
        what = f"{self._label}: window [{where}] of {self._folder}"
        with decoding(StoreError, what, _REMEDY):
            return np.asarray(self._array[window])


def _missing(label: str, path: Path) -> StoreError:
    if any(parent.name == SCENES and not parent.is_dir() for parent in path.parents):
        return StoreError(f"{label}: {path} is not there any more; was the store moved or removed?")
    return StoreError(f"{label}: {path} is missing; {_REMEDY}")


def _read_chunks(
    descriptor: int, entries: Sequence[tuple[int, int]]
) -> list[NDArray[np.uint8] | None]:
    """The bytes of inner chunks, valid until the next read in this thread; None for absent ones."""
    # The writer puts the chunks of a row one after another, so one read usually gets them all.
    start, stop = entries[0][0], sum(entries[-1])
    in_a_row = all(sum(entry) == following[0] for entry, following in pairwise(entries))
    if in_a_row and start != ABSENT:
        content = _read_bytes(descriptor, start, stop - start)
        return [content[offset - start : offset - start + length] for offset, length in entries]
    return [
        None if offset == ABSENT else _read_bytes(descriptor, offset, length).copy()
        for offset, length in entries
    ]


def _read_bytes(descriptor: int, start: int, n_bytes: int) -> NDArray[np.uint8]:
    """Bytes of a file, fewer at its end, in memory that the next call in this thread uses again."""
    content = _SCRATCH.encoded(n_bytes)
    done = 0
    while done < n_bytes:  # a read may return less than what is there
        # Read at a place, not from a file position: threads and forked processes share it.
        n_read = os.preadv(descriptor, [content.data[done:]], start + done)
        if not n_read:
            break
        done += n_read
    return content[:done]
