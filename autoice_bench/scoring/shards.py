"""Reading a uint8 array that lies in one Zarr v3 shard, about five times as fast as zarr-python.

Charts are read whole, and a store keeps them as some 1,600 small chunks in one file; what zarr
spends on each chunk is most of the time. Anything but the layout that ``prepare`` writes is left to
zarr: ``read_shard`` returns None.

Source: https://zarr-specs.readthedocs.io/en/latest/v3/codecs/sharding-indexed/index.html
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any, Final

import google_crc32c
import numpy as np
from numcodecs import blosc
from numpy.typing import NDArray

_CRC_BYTES: Final = 4
_ABSENT: Final = 2**64 - 1
"""Offset of an inner chunk that was not written: all fill value."""


def read_shard(folder: Path, metadata: Mapping[str, Any]) -> NDArray[np.uint8] | None:
    """Read an array.

    Args:
        folder: the array's folder.
        metadata: its parsed ``zarr.json``.

    Returns:
        The array, or None if its layout is another than one shard of blosc chunks with crc32c.

    Raises:
        ValueError: a chunk or the index does not have its checksum, or cannot be decoded.
        OSError: the shard cannot be read.
    """
    inner = _inner_chunk_of_known_layout(metadata)
    if inner is None:
        return None
    shape = tuple(metadata["shape"])
    content = (folder / "c" / "/".join("0" for _ in shape)).read_bytes()
    grid = tuple(-(-size // edge) for size, edge in zip(shape, inner, strict=True))
    values = np.empty(shape, np.uint8)
    chunk = np.empty(inner, np.uint8)
    view = memoryview(content)
    for position, (offset, length) in zip(
        product(*map(range, grid)), _read_index(view, grid).tolist(), strict=True
    ):
        starts = [at * edge for at, edge in zip(position, inner, strict=True)]
        window = values[
            tuple(slice(start, start + edge) for start, edge in zip(starts, inner, strict=True))
        ]
        if offset == _ABSENT:
            window[...] = metadata["fill_value"]
            continue
        encoded = _checked(view[offset : offset + length], f"chunk {position}")
        try:
            blosc.decompress(encoded, chunk)
        except (RuntimeError, ValueError) as error:
            raise ValueError(f"{folder}: chunk {position} cannot be decoded: {error}") from error
        window[...] = chunk[tuple(map(slice, window.shape))]
    return values


def _read_index(content: memoryview, grid: tuple[int, ...]) -> NDArray[np.uint64]:
    """(n_chunks, 2) offset and length of each inner chunk."""
    n_bytes = int(np.prod(grid)) * 16 + _CRC_BYTES
    if len(content) < n_bytes:
        raise ValueError(f"the shard holds {len(content)} bytes, less than its index")
    index = _checked(content[len(content) - n_bytes :], "the index")
    return np.frombuffer(index, "<u8").reshape(-1, 2)


def _checked(content: memoryview, what: str) -> bytes:
    """The bytes before their crc32c.

    Raises:
        ValueError: the checksum is another.
    """
    body = bytes(content[:-_CRC_BYTES])
    if (
        len(content) <= _CRC_BYTES
        or google_crc32c.value(body) != struct.unpack("<I", content[-_CRC_BYTES:])[0]
    ):
        raise ValueError(f"{what} of the shard is damaged: its checksum differs")
    return body


def _inner_chunk_of_known_layout(metadata: Mapping[str, Any]) -> tuple[int, ...] | None:
    match metadata:
        case {
            "data_type": "uint8",
            "shape": shape,
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": shard}},
            "chunk_key_encoding": {"name": "default"},
            "codecs": [
                {
                    "name": "sharding_indexed",
                    "configuration": {
                        "chunk_shape": inner,
                        "codecs": [{"name": "bytes"}, {"name": "blosc"}, {"name": "crc32c"}],
                        "index_codecs": [
                            {"name": "bytes", "configuration": {"endian": "little"}},
                            {"name": "crc32c"},
                        ],
                    } as sharding,
                }
            ],
        }:
            encoding = metadata["chunk_key_encoding"].get("configuration", {})
            one_shard = all(
                -(-size // edge) * edge == whole
                for size, edge, whole in zip(shape, inner, shard, strict=True)
            )
            at_end = sharding.get("index_location", "end") == "end"
            if one_shard and at_end and encoding.get("separator", "/") == "/":
                return tuple(inner)
    return None
