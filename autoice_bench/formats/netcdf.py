"""NetCDF variables read chunk by chunk, inflated with libdeflate instead of zlib.

The HDF5 library inflates a chunk with zlib and undoes the byte shuffle over the whole chunk; doing
both here, the shuffle in cache-sized strips, takes about half the time and never builds more than
one chunk. What this path does not understand (other filters, missing chunks, foreign byte order,
NetCDF-3) is read by the netCDF library, with the same result.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

# Sources may lie on read-only or network file systems where HDF5's locks fail. The netCDF library
# reads this once, when it is loaded.
os.environ.setdefault("HDF5_USE_FILE_LOCKING", "FALSE")

import deflate
import h5py
import netCDF4
import numpy as np
from numpy.typing import NDArray

from autoice_bench.formats.plain_files import require_file

STRIP_ELEMENTS: Final = 32768
"""Elements per strip: 128 KiB of float32, which stays in a core's second-level cache."""

# Numbers that HDF5 gives its filters (H5Zpublic.h).
_H5Z_DEFLATE: Final = 1
_H5Z_SHUFFLE: Final = 2
# In the order in which the writer applied them.
_DIRECT_FILTERS: Final = ((_H5Z_DEFLATE,), (_H5Z_SHUFFLE, _H5Z_DEFLATE))

Array = NDArray[Any]


@dataclass(frozen=True)
class NetcdfStrip:
    """Some whole rows of one chunk of a 2-D variable.

    Attributes:
        lines, samples: where the values belong in the variable.
        values: (lines, samples) in the variable's dtype; overwritten when the next strip is read.
    """

    lines: slice
    samples: slice
    values: Array


@dataclass(frozen=True)
class _DirectLayout:
    """A deflated 2-D HDF5 data set and the offsets of its chunks, every one present."""

    dataset: h5py.Dataset
    offsets: tuple[tuple[int, int], ...]


class NetcdfFile:
    """A NetCDF file open for reading. Values come as stored: no masking, scaling or decoding."""

    def __init__(self, path: Path, *, direct: bool = True) -> None:
        """Open ``path``; without ``direct``, everything is read by the netCDF library.

        Raises:
            OSError: the file is missing, truncated or not NetCDF, or no file.
        """
        self._path = require_file(path)
        # The file is opened twice. The netCDF library knows dimensions, attributes and every
        # filter; only h5py hands out a chunk as it lies in the file, still deflated.
        with _naming(path.name):
            self._dataset = netCDF4.Dataset(str(path), "r")
        # As stored: whether a fill value or a scale may be there is for the caller to judge.
        self._dataset.set_auto_maskandscale(False)
        self._dataset.set_auto_chartostring(False)
        use_hdf5 = direct and self._dataset.disk_format == "HDF5"
        try:
            with _naming(path.name):
                # h5py has an HDF5 library of its own, loaded maybe before the variable was set.
                self._hdf5 = h5py.File(path, "r", locking=False) if use_hdf5 else None
        except OSError:
            # Nobody else can close it: the caller gets no object.
            self._dataset.close()
            raise

    def close(self) -> None:
        self._dataset.close()
        if self._hdf5 is not None:
            self._hdf5.close()

    @property
    def variable_names(self) -> tuple[str, ...]:
        return tuple(self._dataset.variables)

    @property
    def sizes(self) -> dict[str, int]:
        """Dimension name to size."""
        return {name: dim.size for name, dim in self._dataset.dimensions.items()}

    def dims(self, name: str) -> tuple[str, ...]:
        return tuple(self._dataset.variables[name].dimensions)

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._dataset.variables[name].shape)

    def dtype(self, name: str) -> np.dtype[Any]:
        dtype: np.dtype[Any] = np.dtype(self._dataset.variables[name].dtype)
        return dtype

    def attributes(self, name: str | None = None) -> dict[str, Any]:
        """Attributes of a variable, or of the file; numpy scalars and arrays as they are."""
        owner = self._dataset if name is None else self._dataset.variables[name]
        with _naming(f"{self._path.name}: attributes of {name or 'the file'}"):
            return {key: owner.getncattr(key) for key in owner.ncattrs()}

    def is_direct(self, name: str) -> bool:
        """Whether the variable's chunks can be inflated here, without the netCDF library."""
        return self._direct_layout(name) is not None

    def read(self, name: str) -> Array:
        """Read a whole variable, in its own shape and native byte order.

        Raises:
            OSError: a chunk is truncated or corrupt.
        """
        if len(self.shape(name)) != 2 or not self.is_direct(name):
            return self._read_netcdf(name)
        values = np.empty(self.shape(name), self.dtype(name))
        for strip in self.strips(name):
            values[strip.lines, strip.samples] = strip.values
        return values

    def strips(self, name: str) -> Iterator[NetcdfStrip]:
        """Read a 2-D variable as strips, each value once, in no particular order.

        Raises:
            OSError: a chunk is truncated or corrupt.
        """
        layout = self._direct_layout(name)
        if layout is None:
            yield from self._netcdf_strips(name)
        else:
            with _naming(f"{self._path.name}: variable {name}"):
                yield from _direct_strips(layout)

    def _read_netcdf(self, name: str) -> Array:
        with _naming(f"{self._path.name}: variable {name}"):
            values = self._dataset.variables[name][...]
        return np.asarray(values, dtype=values.dtype.newbyteorder("="))

    def _netcdf_strips(self, name: str) -> Iterator[NetcdfStrip]:
        values = self._read_netcdf(name)
        lines, samples = values.shape
        step = max(1, STRIP_ELEMENTS // max(1, samples))
        for start in range(0, lines, step):
            rows = slice(start, min(start + step, lines))
            yield NetcdfStrip(rows, slice(0, samples), values[rows])

    def _direct_layout(self, name: str) -> _DirectLayout | None:
        """Where the variable's chunks are, if their layout fits the direct path."""
        if self._hdf5 is None:
            return None
        with _naming(f"{self._path.name}: variable {name}"):
            dataset = self._hdf5.get(name)
            # Along an unlimited dimension a variable may be shorter in HDF5 than in NetCDF.
            if dataset is None or dataset.shape != self.shape(name):
                return None
            return _find_direct_layout(dataset)


@contextmanager
def _naming(what: str) -> Iterator[None]:
    """Turn what the libraries raise for bytes they cannot read into an OSError that says where."""
    try:
        yield
    except FileNotFoundError:
        raise
    except (OSError, RuntimeError, KeyError, AttributeError, UnicodeDecodeError) as error:
        raise OSError(f"{what}: {error}") from error


@contextmanager
def open_netcdf(path: Path, *, direct: bool = True) -> Iterator[NetcdfFile]:
    """Open a NetCDF file for the time of a ``with`` block.

    Args:
        path: the file.
        direct: inflate chunks here where their layout allows; otherwise leave all reading to the
            netCDF library.

    Raises:
        OSError: the file is missing, truncated or not NetCDF.
    """
    file = NetcdfFile(path, direct=direct)
    try:
        yield file
    finally:
        file.close()


def _find_direct_layout(dataset: h5py.Dataset) -> _DirectLayout | None:
    if dataset.ndim != 2 or dataset.chunks is None or not dataset.dtype.isnative:
        return None
    # Only deflate, with or without shuffle, is undone here; whatever else HDF5 can do is left to
    # it, so that an unknown filter costs time and never gives wrong values.
    properties = dataset.id.get_create_plist()
    filters = tuple(properties.get_filter(i)[0] for i in range(properties.get_nfilters()))
    if filters not in _DIRECT_FILTERS:
        return None
    chunks: list[Any] = []
    dataset.id.chunk_iter(chunks.append)
    grid = [-(-size // edge) for size, edge in zip(dataset.shape, dataset.chunks, strict=True)]
    # A missing chunk stands for the fill value; a filter mask marks a chunk that skipped one.
    offsets = tuple(chunk.chunk_offset for chunk in chunks)
    n_present = len(set(offsets))
    if n_present != grid[0] * grid[1] or any(chunk.filter_mask for chunk in chunks):
        return None
    return _DirectLayout(dataset, offsets)


def _direct_strips(layout: _DirectLayout) -> Iterator[NetcdfStrip]:
    dataset = layout.dataset
    shuffled = dataset.shuffle
    chunk_lines, chunk_samples = dataset.chunks
    dtype = dataset.dtype
    n_elements = chunk_lines * chunk_samples
    step = max(1, STRIP_ELEMENTS // chunk_samples)
    # One buffer for all strips: it stays in the cache from the unshuffling to the caller's work.
    scratch = np.empty(step * chunk_samples, dtype)
    for offset, content in _inflated_chunks(layout, n_elements * dtype.itemsize):
        # HDF5 stores whole chunks, so those at the far edges hold more than the variable has.
        lines = min(chunk_lines, dataset.shape[0] - offset[0])
        samples = min(chunk_samples, dataset.shape[1] - offset[1])
        planes = content.reshape(dtype.itemsize, n_elements) if shuffled else None
        flat = content.view(dtype) if planes is None else None
        for row in range(0, lines, step):
            stop = min(row + step, lines)
            begin, end = row * chunk_samples, stop * chunk_samples
            if planes is not None:
                values = scratch[: end - begin]
                _unshuffle(planes[:, begin:end], values)
            else:
                assert flat is not None
                values = flat[begin:end]
            yield NetcdfStrip(
                slice(offset[0] + row, offset[0] + stop),
                slice(offset[1], offset[1] + samples),
                values.reshape(stop - row, chunk_samples)[:, :samples],
            )


def _inflated_chunks(
    layout: _DirectLayout, n_bytes: int
) -> Iterator[tuple[tuple[int, int], NDArray[np.uint8]]]:
    for offset in layout.offsets:
        _, content = layout.dataset.id.read_direct_chunk(offset)
        # libdeflate must be told the size beforehand; a chunk always inflates to its full shape.
        # It checks the checksum of zlib, so flipped bytes are an error and no wrong values.
        try:
            inflated = deflate.zlib_decompress(content, n_bytes)
        except deflate.DeflateError as error:
            raise OSError(f"chunk {offset} is corrupt: {error}") from error
        if len(inflated) != n_bytes:
            raise OSError(f"chunk {offset} holds {len(inflated)} bytes; expected {n_bytes}")
        yield offset, np.frombuffer(inflated, np.uint8)


def _unshuffle(planes: NDArray[np.uint8], values: Array) -> None:
    """Undo HDF5's byte shuffle: plane k holds byte k of every value."""
    itemsize = values.dtype.itemsize
    if itemsize == 1:
        values.view(np.uint8)[:] = planes[0]
        return
    # Shifting whole planes into place uses vector instructions; byte-wise strided copies do not.
    # The highest byte comes first and is shifted up by those that follow.
    words = values.view(f"<u{itemsize}")
    if not any(plane.max() for plane in planes[::-1]):  # masked land and sea, a third of a scene
        words.fill(0)
        return
    words[:] = planes[itemsize - 1]
    for plane in planes[itemsize - 2 :: -1]:
        np.left_shift(words, 8, out=words)
        np.bitwise_or(words, plane, out=words)
