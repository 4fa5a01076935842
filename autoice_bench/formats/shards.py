"""Zarr v3 arrays that lie in one shard of blosc chunks: layout, index, and reading one whole.

What zarr-python spends on each inner chunk is most of the time of reading a shard, so the scorer
(whole charts) and the data sets (windows) decode the layout that ``prepare`` writes themselves.
Anything else is left to zarr: ``parse_layout`` and ``read_shard`` return None.

Source: https://zarr-specs.readthedocs.io/en/latest/v3/codecs/sharding-indexed/index.html
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Final

import google_crc32c
import numpy as np
from numcodecs import blosc
from numpy.typing import NDArray

from autoice_bench.formats.plain_files import read_bytes

ZARR_METADATA: Final = "zarr.json"
"""Describes a group or an array, in its folder."""

ABSENT: Final = -1
"""Offset of an inner chunk that was not written: all fill value. In the file it is 2**64 - 1."""

_CRC_BYTES: Final = 4
_CRC_OF_CHECKED_BYTES: Final = 0x48674BC7
"""crc32c of any bytes followed by their own crc32c: a property of cyclic codes."""

_DTYPES: Final = frozenset(
    [f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)]
    + [f"float{bits}" for bits in (16, 32, 64)]
)


@dataclass(frozen=True)
class ShardLayout:
    """How an array lies in its only shard.

    Attributes:
        shape: shape of the array.
        inner: shape of an inner chunk; edge chunks are as large as the others.
        dtype: dtype of the values.
        fill_value: value of the chunks that were not written.
    """

    shape: tuple[int, ...]
    inner: tuple[int, ...]
    dtype: np.dtype[Any]
    fill_value: Any

    @property
    def grid(self) -> tuple[int, ...]:
        """Number of inner chunks along each dimension."""
        return tuple(-(-size // edge) for size, edge in zip(self.shape, self.inner, strict=True))

    @property
    def index_bytes(self) -> int:
        """Size of the index at the end of the shard."""
        return math.prod(self.grid) * 16 + _CRC_BYTES

    @property
    def path(self) -> str:
        """The shard's file, relative to the array's folder."""
        return "/".join(["c", *("0" for _ in self.shape)])


def parse_layout(metadata: Mapping[str, Any]) -> ShardLayout | None:
    """The layout of an array, or None if it is another than one shard of blosc chunks with crc32c.

    Args:
        metadata: the array's parsed ``zarr.json``.
    """
    # The pattern is strict: it names what `prepare` writes. A legal array that differs in anything
    # gives None and is read by zarr-python, which costs time and never gives wrong values.
    match metadata:
        case {
            "data_type": str(dtype),
            "shape": shape,
            "fill_value": fill_value,
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": shard}},
            "chunk_key_encoding": {"name": "default"} as encoding,
            "codecs": [
                {
                    "name": "sharding_indexed",
                    "configuration": {
                        "chunk_shape": inner,
                        "codecs": [
                            {"name": "bytes"} as to_bytes,
                            {"name": "blosc"},
                            {"name": "crc32c"},
                        ],
                        "index_codecs": [
                            {"name": "bytes", "configuration": {"endian": "little"}},
                            {"name": "crc32c"},
                        ],
                    } as sharding,
                }
            ],
        } if dtype in _DTYPES and _is_number(fill_value) and _are_sizes(shape, inner, shard):
            one_shard = all(
                -(-size // edge) * edge == whole
                for size, edge, whole in zip(shape, inner, shard, strict=True)
            )
            at_end = sharding.get("index_location", "end") == "end"
            little = _setting(to_bytes, "endian", "little") == "little"
            if one_shard and at_end and little and _setting(encoding, "separator", "/") == "/":
                stored = np.dtype(dtype).newbyteorder("<")
                return ShardLayout(tuple(shape), tuple(inner), stored, fill_value)
    return None


def _setting(extension: Mapping[str, Any], name: str, default: str) -> object:
    """A setting of a codec or of the names of chunks; None where its settings are no object."""
    configuration = extension.get("configuration", {})
    return configuration.get(name, default) if isinstance(configuration, Mapping) else None


def _are_sizes(shape: Any, inner: Any, shard: Any) -> bool:
    """Whether three lists of sizes fit each other: chunks that are larger than the array do not."""
    lists = (shape, inner, shard)
    if not all(isinstance(sizes, list) for sizes in lists) or len({*map(len, lists)}) != 1:
        return False
    if not all(type(size) is int and size > 0 for sizes in lists for size in sizes):
        return False
    return all(edge <= size for edge, size in zip(inner, shape, strict=True))


def _is_number(value: object) -> bool:
    """JSON has no NaN or infinity; Zarr writes them as strings, which are left to it."""
    return isinstance(value, bool | int | float)


def parse_index(content: NDArray[np.uint8], layout: ShardLayout, n_bytes: int) -> NDArray[np.int64]:
    """Parse the index of a shard.

    Args:
        content: its last ``layout.index_bytes`` bytes.
        layout: how the array lies in the shard.
        n_bytes: size of the shard.

    Returns:
        (*grid, 2) int64: offset and length of each inner chunk, checksum included; ``ABSENT`` for
        one that was not written.

    Raises:
        ValueError: the index does not have its checksum, or names bytes outside the shard.
    """
    if content.size < layout.index_bytes:
        raise ValueError(f"the shard holds {content.size} bytes, less than its index")
    try:
        body = _check_crc32c(content[-layout.index_bytes :])
    except ValueError as error:
        raise ValueError(f"the index of the shard {error}") from None
    index = np.frombuffer(body, "<i8").reshape(*layout.grid, 2)
    offset, length = index[..., 0], index[..., 1]
    # Not their sum, which may overflow.
    inside = (offset >= 0) & (length >= 0) & (length <= n_bytes) & (offset <= n_bytes - length)
    if not (inside | (offset == ABSENT)).all():
        raise ValueError("the index of the shard names bytes outside of it")
    return index


def decode_chunk(content: NDArray[np.uint8], chunk: NDArray[Any]) -> None:
    """Check an inner chunk and decode it.

    Args:
        content: its bytes in the shard, checksum included.
        chunk: filled; contiguous and of the size of an inner chunk.

    Raises:
        ValueError: "is damaged" or "cannot be decoded"; the caller knows which chunk it is.
    """
    body = _check_crc32c(content)
    # One thread: the threads of blosc do not survive a fork, and one chunk is too small for them.
    # Set each time, since it is a switch of the whole process that other code may have turned on.
    blosc.use_threads = False
    # What it says of its own size: fewer bytes would leave the rest of the chunk as it was.
    if int.from_bytes(body[4:8].tobytes(), "little") != chunk.nbytes:
        raise ValueError(f"cannot be decoded: it is not of {chunk.nbytes} bytes")
    try:
        blosc.decompress(body, chunk)
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"cannot be decoded: {error}") from error


def _check_crc32c(content: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The bytes before their crc32c."""
    # One pass over all bytes, the stored checksum included, spares cutting and comparing it.
    if content.size <= _CRC_BYTES or google_crc32c.value(content) != _CRC_OF_CHECKED_BYTES:
        raise ValueError("is damaged: its checksum differs")
    return content[:-_CRC_BYTES]


def read_shard(folder: Path, metadata: Mapping[str, Any]) -> NDArray[Any] | None:
    """Read a whole array, about five times as fast as zarr-python.

    Args:
        folder: the array's folder.
        metadata: its parsed ``zarr.json``.

    Returns:
        The array, or None if its layout is another than one shard of blosc chunks with crc32c.

    Raises:
        ValueError: a chunk or the index does not have its checksum, or cannot be decoded.
        OSError: the shard cannot be read.
    """
    layout = parse_layout(metadata)
    if layout is None:
        return None
    content = np.frombuffer(read_bytes(folder / layout.path), np.uint8)
    # Before memory is asked for: a shape that the file cannot hold is found out here.
    index = parse_index(content, layout, content.size).reshape(-1, 2).tolist()
    values = np.empty(layout.shape, layout.dtype)
    # Chunks are decoded into one small buffer and copied from there: those at the edges are larger
    # than their place in the array.
    chunk = np.empty(layout.inner, layout.dtype)
    for position, (offset, length) in zip(product(*map(range, layout.grid)), index, strict=True):
        window = values[
            tuple(
                slice(at * edge, (at + 1) * edge)
                for at, edge in zip(position, layout.inner, strict=True)
            )
        ]
        if offset == ABSENT:
            window[...] = layout.fill_value
            continue
        try:
            decode_chunk(content[offset : offset + length], chunk)
        except ValueError as error:
            raise ValueError(f"chunk {position} of the shard {error}") from error
        window[...] = chunk[tuple(map(slice, window.shape))]
    return values
