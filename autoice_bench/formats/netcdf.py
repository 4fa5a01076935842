"""NetCDF variables read chunk by chunk, inflated with libdeflate instead of zlib.

The HDF5 library inflates a chunk with zlib and undoes the byte shuffle over the whole chunk; doing
both here, the shuffle in cache-sized strips, takes about half the time and never builds more than
one chunk. What this path does not understand (other filters, missing chunks, foreign byte order,
NetCDF-3) is read by the netCDF library, with the same result.

``decoded`` and ``decoded_strips`` give what the values mean (``formats.cf``); where nothing is
packed or missing that costs nothing. ``read`` and ``strips`` give what is stored, and are for who
does not ask what it means.
"""

from __future__ import annotations

import math
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

from autoice_bench.formats.cf import CfEncoding, parse_encoding
from autoice_bench.formats.decoding import reason_of
from autoice_bench.formats.plain_files import require_file
from autoice_bench.wording import make_visible

STRIP_ELEMENTS: Final = 32768
"""Elements per strip: 128 KiB of float32, which stays in a core's second-level cache."""

MOST_ELEMENTS: Final = 2**30
"""Values that one variable may declare: ten times those of the largest raw scene's."""

# Numbers that HDF5 gives its filters (H5Zpublic.h).
_H5Z_DEFLATE: Final = 1
_H5Z_SHUFFLE: Final = 2
_TYPES: Final = (h5py.h5t.INTEGER, h5py.h5t.FLOAT, h5py.h5t.STRING, h5py.h5t.ENUM)
# Those by which HDF5 and the netCDF library know dimensions (H5DSpublic.h); followed as pointers.
_RESERVED_ATTRIBUTES: Final = {
    b"DIMENSION_LIST": h5py.h5t.VLEN,
    b"REFERENCE_LIST": h5py.h5t.COMPOUND,
    b"CLASS": h5py.h5t.STRING,
    b"NAME": h5py.h5t.STRING,
    b"_Netcdf4Dimid": h5py.h5t.INTEGER,
    b"_Netcdf4Coordinates": h5py.h5t.INTEGER,
}
_ONE_FILE: Final = (
    "expected one file that holds all of its data: write it again as such (`nccopy`, `h5repack`)"
)
# In the order in which the writer applied them.
_DIRECT_FILTERS: Final = ((_H5Z_DEFLATE,), (_H5Z_SHUFFLE, _H5Z_DEFLATE))
# Filters that libraries lack most often, by the numbers that The HDF Group registered for them.
_FILTER_NAMES: Final = {
    4: "szip",
    307: "bzip2",
    32000: "LZF",
    32001: "Blosc",
    32004: "LZ4",
    32008: "bitshuffle",
    32013: "ZFP",
    32015: "Zstandard",
    32026: "Blosc2",
}

Array = NDArray[Any]


class UnfitNetcdfError(OSError):
    """A sound file that cannot be read here, or may not be; the message says what to do."""


@dataclass(frozen=True)
class NetcdfStrip:
    """Some whole rows of one chunk of a 2-D variable.

    Attributes:
        lines, samples: where the values belong in the variable.
        values: (lines, samples); overwritten when the next strip is read.
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
    """A NetCDF file open for reading."""

    def __init__(self, path: Path, *, direct: bool = True) -> None:
        """Open ``path``; without ``direct``, everything is read by the netCDF library.

        Raises:
            OSError: the file is missing, truncated or not NetCDF, or no file.
            UnfitNetcdfError: part of it lies in other files.
        """
        self._path = require_file(path)
        if path.stat().st_size == 0:
            raise OSError(f"{path.name}: is empty (0 bytes)")
        self._direct = direct
        self._encodings: dict[str, CfEncoding] = {}
        # The file is opened twice. The netCDF library knows dimensions, attributes and every
        # filter; only h5py hands out a chunk as it lies in the file, still deflated. h5py comes
        # first: the netCDF library would open what links name while it lists the file.
        self._hdf5 = _open_hdf5(path)
        try:
            with _naming(path.name):
                self._dataset = netCDF4.Dataset(str(path), "r")
        except OSError:
            # Nobody else can close it: the caller gets no object.
            if self._hdf5 is not None:
                self._hdf5.close()
            raise
        # As stored: what attributes make of values is decided in one place, for both libraries.
        self._dataset.set_auto_maskandscale(False)
        self._dataset.set_auto_chartostring(False)

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
        """Of the values as they are stored."""
        with self._naming(name):
            dtype: np.dtype[Any] = np.dtype(self._dataset.variables[name].dtype)
        return dtype

    def attributes(self, name: str | None = None) -> dict[str, Any]:
        """Attributes of a variable, or of the file; numpy scalars and arrays as they are."""
        owner = self._dataset if name is None else self._dataset.variables[name]
        with _naming(f"{self._path.name}: attributes of {name or 'the file'}"):
            return {key: owner.getncattr(key) for key in owner.ncattrs()}

    def encoding(self, name: str) -> CfEncoding:
        """How a variable is stored.

        Raises:
            UnfitNetcdfError: it holds no numbers, or its attributes cannot be understood.
        """
        found = self._encodings.get(name)
        if found is None:
            attributes = self.attributes(name)
            try:
                found = parse_encoding(self.dtype(name), attributes)
            except ValueError as error:
                raise UnfitNetcdfError(f"{self._path.name}: variable {name}: {error}") from None
            self._encodings[name] = found
        return found

    def is_direct(self, name: str) -> bool:
        """Whether the variable's chunks can be inflated here, without the netCDF library."""
        return self._direct_layout(name) is not None

    def read(self, name: str) -> Array:
        """Read a whole variable of any type as stored, in its own shape and native byte order.

        Raises:
            OSError: a chunk is truncated or corrupt.
            UnfitNetcdfError: the variable is too large, or compressed by what this machine lacks.
        """
        self._require_size(name)
        layout = self._direct_layout(name)
        with self._naming(name):
            if layout is None:
                values = self._dataset.variables[name][...]
                return np.asarray(values, dtype=values.dtype.newbyteorder("="))
            values = np.empty(self.shape(name), self.dtype(name))
            for strip in _direct_strips(layout):
                values[strip.lines, strip.samples] = strip.values
            return values

    def strips(self, name: str) -> Iterator[NetcdfStrip]:
        """Read a 2-D variable as strips of stored values, each once, in no particular order.

        Raises:
            OSError: as ``read``.
        """
        self._require_size(name)
        layout = self._direct_layout(name)
        with self._naming(name):
            yield from _strips_of(self.read(name)) if layout is None else _direct_strips(layout)

    def decoded(self, name: str) -> Array:
        """Read what a whole variable of numbers means: unpacked, NaN where a value is missing.

        Raises:
            OSError: as ``read``.
            UnfitNetcdfError: as ``read`` and ``encoding``.
        """
        encoding = self.encoding(name)
        if not encoding.is_packed or len(self.shape(name)) != 2:
            return encoding.decode(self.read(name))
        values = np.empty(self.shape(name), encoding.decoded_dtype)
        for strip in self.decoded_strips(name):  # never both whole
            values[strip.lines, strip.samples] = strip.values
        return values

    def decoded_strips(self, name: str) -> Iterator[NetcdfStrip]:
        """As ``strips``, of what the values mean: unpacked, NaN where one is missing.

        Raises:
            OSError: as ``decoded``.
        """
        encoding = self.encoding(name)
        if encoding.is_plain and encoding.dtype == self.dtype(name).newbyteorder("="):
            yield from self.strips(name)
            return
        for strip in self.strips(name):
            yield NetcdfStrip(strip.lines, strip.samples, encoding.decode(strip.values))

    def _require_size(self, name: str) -> None:
        shape = self.shape(name)
        if math.prod(shape) > MOST_ELEMENTS:
            raise UnfitNetcdfError(
                f"{self._path.name}: variable {name} declares {' x '.join(map(str, shape))} "
                f"values; expected at most {MOST_ELEMENTS:,}"
            )

    def _direct_layout(self, name: str) -> _DirectLayout | None:
        """Where the variable's chunks are, if their layout fits the direct path."""
        if self._hdf5 is None or not self._direct:
            return None
        with self._naming(name):
            dataset = self._hdf5.get(name)
            # Along an unlimited dimension a variable may be shorter in HDF5 than in NetCDF; the
            # type may be one that the two libraries show in different ways.
            if not isinstance(dataset, h5py.Dataset) or dataset.shape != self.shape(name):
                return None
            return _find_direct_layout(dataset) if dataset.dtype == self.dtype(name) else None

    @contextmanager
    def _naming(self, name: str) -> Iterator[None]:
        try:
            with _naming(f"{self._path.name}: variable {name}"):
                yield
        except OSError:
            lacking = self._lacking_filters(name)
            if not lacking:
                raise
            filters = " and ".join(
                f"{number} ({_FILTER_NAMES.get(number, 'unknown')})" for number in lacking
            )
            raise UnfitNetcdfError(
                f"{self._path.name}: variable {name} is compressed with HDF5 filter {filters}, "
                "which this machine lacks; `pip install hdf5plugin`, set HDF5_PLUGIN_PATH to its "
                "PLUGIN_PATH, or write the file again with zlib (`nccopy -d 1` where the filter is)"
            ) from None

    def _lacking_filters(self, name: str) -> list[int]:
        """Numbers of the filters of a variable that HDF5 does not find."""
        try:
            dataset = None if self._hdf5 is None else self._hdf5.get(name)
            if not isinstance(dataset, h5py.Dataset):
                return []
            properties = dataset.id.get_create_plist()
            numbers = (properties.get_filter(i)[0] for i in range(properties.get_nfilters()))
            return [number for number in numbers if not h5py.h5z.filter_avail(number)]
        except Exception:  # a damaged header: the first error tells more
            return []


def explain(error: OSError) -> str:
    """What kept a NetCDF file from being read, and what to do."""
    if isinstance(error, UnfitNetcdfError):
        return str(error)
    return f"{error}; truncated or corrupt? Download the file again or remove it"


def _open_hdf5(path: Path) -> h5py.File | None:
    """The file as HDF5, None where it is an older NetCDF.

    Raises:
        UnfitNetcdfError: part of the file lies elsewhere: what would be read is not what was
            hashed, and a stranger's file could name any file of this machine; or it is built as no
            NetCDF is, of which the netCDF library takes no care: it crashes, or never ends.
    """
    with _naming(path.name):
        if not h5py.is_hdf5(path):
            return None
        # h5py has an HDF5 library of its own, loaded maybe before the variable above was set.
        file = h5py.File(path, "r", locking=False)
    try:
        with _naming(path.name):
            fault = _find_fault(file)
    except OSError:
        file.close()
        raise
    if fault is not None:
        file.close()
        raise UnfitNetcdfError(f"{path.name}: {make_visible(fault)}")
    return file


def _find_fault(file: h5py.File) -> str | None:
    """What is wrong with the first part that leaves the file, or that no NetCDF has, in words."""
    links: list[tuple[bytes, int]] = []
    # Listed first: an error within the library's callback would lose its words.
    file.id.links.visit(lambda name, link: links.append((name, link.type)), info=True)
    groups = {h5py.h5o.get_info(file.id).addr}
    for name, link_type in links:
        shown = name.decode("utf-8", "replace")
        # A soft link stays in the file, unless its path passes through a link that is seen here.
        if link_type == h5py.h5l.TYPE_SOFT:
            if _leads_to_group(file, name):
                return f"{shown} is a link to a group; expected groups without rings"
            continue
        if link_type != h5py.h5l.TYPE_HARD:
            return f"{shown} is a link to another file; {_ONE_FILE}"
        found = h5py.h5o.get_info(file.id, name)
        if found.type == h5py.h5o.TYPE_GROUP:
            if found.addr in groups:
                return f"{shown} is a group that is there before; expected groups without rings"
            groups.add(found.addr)
        if found.type == h5py.h5o.TYPE_DATASET:
            fault = _find_fault_of_variable(h5py.h5d.open(file.id, name))
            if fault is not None:
                return f"{shown} {fault}"
    return None


def _leads_to_group(file: h5py.File, name: bytes) -> bool:
    try:
        return bool(h5py.h5o.get_info(file.id, name).type == h5py.h5o.TYPE_GROUP)
    except Exception:  # it leads nowhere: whoever reads it is told
        return False


def _find_fault_of_variable(dataset: h5py.h5d.DatasetID) -> str | None:
    properties = dataset.get_create_plist()
    if properties.get_external_count():
        return f"has its values in another file; {_ONE_FILE}"
    if properties.get_layout() == h5py.h5d.VIRTUAL:
        return f"is a virtual data set, put together from others; {_ONE_FILE}"
    kind = dataset.get_type()
    if kind.get_class() not in _TYPES:
        return "holds no numbers or texts; expected a variable that NetCDF has"
    if kind.get_class() == h5py.h5t.FLOAT and kind.get_size() not in (4, 8):
        bits = 8 * kind.get_size()
        return f"holds floats of {bits} bits, which NetCDF does not have; write it as float32"
    for attribute, allowed in _RESERVED_ATTRIBUTES.items():
        if h5py.h5a.exists(dataset, attribute):
            kind = h5py.h5a.open(dataset, attribute).get_type()
            is_list = kind.get_class() == h5py.h5t.VLEN
            if kind.get_class() != allowed or (is_list and not _is_of_references(kind)):
                return f"has an attribute {attribute.decode()} of another type than HDF5's own"
    return None


def _is_of_references(kind: h5py.h5t.TypeID) -> bool:
    return bool(kind.get_super().get_class() == h5py.h5t.REFERENCE)


@contextmanager
def _naming(what: str) -> Iterator[None]:
    """Turn what the libraries raise for bytes they cannot read into an OSError that says where."""
    try:
        yield
    except (FileNotFoundError, UnfitNetcdfError):
        raise
    except MemoryError as error:
        raise UnfitNetcdfError(f"{what} asks for more memory than there is") from error
    except Exception as error:
        raise OSError(f"{what}: {reason_of(error)}") from error


@contextmanager
def open_netcdf(path: Path, *, direct: bool = True) -> Iterator[NetcdfFile]:
    """Open a NetCDF file for the time of a ``with`` block.

    Args:
        path: the file.
        direct: inflate chunks here where their layout allows; otherwise leave all reading to the
            netCDF library.

    Raises:
        OSError: the file is missing, truncated or not NetCDF; ``explain`` words it.
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


def _strips_of(values: Array) -> Iterator[NetcdfStrip]:
    lines, samples = values.shape
    step = max(1, STRIP_ELEMENTS // max(1, samples))
    for start in range(0, lines, step):
        rows = slice(start, min(start + step, lines))
        yield NetcdfStrip(rows, slice(0, samples), values[rows])


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
