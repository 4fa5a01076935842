"""Write one array as one Zarr v3 shard, in one pass and byte for byte reproducible.

The bytes are those of the Zarr v3 core specification and of its sharding codec (ZEP 2): compressed
inner chunks one after another in C order, each with its crc32c, then the index of (offset, length)
pairs with a crc32c of its own. Writing them directly keeps one chunk in memory beside the array,
and the order of the bytes does not depend on threads or on a library's version.

Source: https://zarr-specs.readthedocs.io/en/latest/v3/codecs/sharding-indexed/index.html
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import FileIO
from itertools import product
from pathlib import Path
from typing import Any, Final, Literal

import google_crc32c
import numpy as np
from numcodecs import blosc
from numpy.typing import NDArray

from autoice_bench.formats.shards import ZARR_METADATA

Shuffle = Literal["noshuffle", "shuffle", "bitshuffle"]

SHUFFLES: Final[dict[Shuffle, int]] = {"noshuffle": 0, "shuffle": 1, "bitshuffle": 2}
_BYTES_LITTLE: Final = {"name": "bytes", "configuration": {"endian": "little"}}
_CRC32C: Final = {"name": "crc32c"}


@dataclass(frozen=True)
class Codec:
    """Blosc settings of the inner chunks. One thread always, so that bytes are reproducible."""

    cname: str = "lz4"
    clevel: int = 5
    shuffle: Shuffle = "noshuffle"


@dataclass(frozen=True)
class ArraySpec:
    """How an array is stored.

    Attributes:
        name: array name in its group.
        dims: dimension names.
        inner_chunk: shape of an inner chunk; clipped to the array's shape.
        fill_value: value that pads the edge chunks.
        codec: compression of the inner chunks.
        attributes: the array's attributes, JSON values.
    """

    name: str
    dims: tuple[str, ...]
    inner_chunk: tuple[int, ...]
    fill_value: float | int
    codec: Codec
    attributes: Mapping[str, Any]


@dataclass(frozen=True)
class WrittenFile:
    """A file as written: path relative to the group, size and SHA-256."""

    path: str
    n_bytes: int
    sha256: str


@dataclass(frozen=True)
class WrittenArray:
    """An array as written: its metadata document and its files."""

    name: str
    metadata: dict[str, Any]
    files: tuple[WrittenFile, ...]


def dump_json(document: object) -> bytes:
    """Serialise a metadata document, the same bytes for the same content.

    Raises:
        ValueError: it holds NaN or infinity, which strict readers of JSON refuse.
    """
    return json.dumps(
        document, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False
    ).encode()


def write_array(group: Path, values: NDArray[Any], spec: ArraySpec) -> WrittenArray:
    """Write ``values`` as the array ``spec.name`` of the Zarr group in the folder ``group``.

    Args:
        group: existing folder.
        values: any shape, native byte order.
        spec: how to store it.

    Raises:
        OSError: the file system is full or read-only.
    """
    inner = tuple(
        min(edge, size) for edge, size in zip(spec.inner_chunk, values.shape, strict=True)
    )
    grid = tuple(-(-size // edge) for size, edge in zip(values.shape, inner, strict=True))
    shard = tuple(n * edge for n, edge in zip(grid, inner, strict=True))
    metadata = _array_metadata(values, spec, inner, shard)
    chunk_path = "/".join([spec.name, "c", *("0" for _ in grid)])
    content = dump_json(metadata)
    metadata_path = f"{spec.name}/{ZARR_METADATA}"
    (group / chunk_path).parent.mkdir(parents=True, exist_ok=True)
    (group / metadata_path).write_bytes(content)
    # Unbuffered: chunks are large, and a buffer would copy every byte once more. "x": a shard is
    # written once, by one process; a second writer would be a mistake that corrupts it.
    with (group / chunk_path).open("xb", buffering=0) as file:
        n_bytes, digest = _write_shard(file, values, inner, grid, spec)
    return WrittenArray(
        spec.name,
        metadata,
        (
            WrittenFile(metadata_path, len(content), hashlib.sha256(content).hexdigest()),
            WrittenFile(chunk_path, n_bytes, digest),
        ),
    )


def write_strings(
    group: Path, name: str, dim: str, values: Sequence[str], attributes: Mapping[str, Any]
) -> WrittenArray:
    """Write a 1-D Zarr ``string`` array: channel names as a coordinate.

    Raises:
        OSError: the file system is full or read-only.
    """
    metadata = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": [len(values)],
        "data_type": "string",
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [len(values)]}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": "",
        "codecs": [{"name": "vlen-utf8"}, _CRC32C],
        "attributes": dict(attributes),
        "dimension_names": [dim],
        "storage_transformers": [],
    }
    encoded = [text.encode() for text in values]
    # The codec vlen-utf8: the number of texts, then each one's length in bytes and its bytes.
    chunk = struct.pack("<I", len(encoded)) + b"".join(
        struct.pack("<I", len(text)) + text for text in encoded
    )
    files = {f"{name}/{ZARR_METADATA}": dump_json(metadata), f"{name}/c/0": _with_crc32c(chunk)}
    for path, content in files.items():
        (group / path).parent.mkdir(parents=True, exist_ok=True)
        (group / path).write_bytes(content)
    return WrittenArray(
        name,
        metadata,
        tuple(
            WrittenFile(path, len(content), hashlib.sha256(content).hexdigest())
            for path, content in files.items()
        ),
    )


def group_metadata(
    attributes: Mapping[str, Any], arrays: Sequence[WrittenArray] | None = None
) -> dict[str, Any]:
    """Metadata document of a group, with its arrays' documents consolidated where given."""
    document: dict[str, Any] = {
        "zarr_format": 3,
        "node_type": "group",
        "attributes": dict(attributes),
    }
    if arrays is not None:
        document["consolidated_metadata"] = {
            "kind": "inline",
            "must_understand": False,
            "metadata": {array.name: array.metadata for array in arrays},
        }
    return document


def _array_metadata(
    values: NDArray[Any], spec: ArraySpec, inner: tuple[int, ...], shard: tuple[int, ...]
) -> dict[str, Any]:
    to_bytes = _BYTES_LITTLE if values.dtype.itemsize > 1 else {"name": "bytes"}
    compress = {
        "name": "blosc",
        "configuration": {
            "typesize": values.dtype.itemsize,
            "cname": spec.codec.cname,
            "clevel": spec.codec.clevel,
            "shuffle": spec.codec.shuffle,
            "blocksize": 0,
        },
    }
    sharding = {
        "name": "sharding_indexed",
        "configuration": {
            "chunk_shape": list(inner),
            "codecs": [to_bytes, compress, _CRC32C],
            "index_codecs": [_BYTES_LITTLE, _CRC32C],
            "index_location": "end",
        },
    }
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(values.shape),
        "data_type": values.dtype.name,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(shard)}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": spec.fill_value,
        "codecs": [sharding],
        "attributes": dict(spec.attributes),
        "dimension_names": list(spec.dims),
        "storage_transformers": [],
    }


def _write_shard(
    file: FileIO,
    values: NDArray[Any],
    inner: tuple[int, ...],
    grid: tuple[int, ...],
    spec: ArraySpec,
) -> tuple[int, str]:
    # It goes at the end: only there are all lengths known in a file that is written in one pass.
    index = np.empty((*grid, 2), "<u8")
    digest = hashlib.sha256()
    offset = 0
    for position, chunk in _inner_chunks(values, inner, grid, spec.fill_value):
        content = _with_crc32c(_compress(chunk, spec.codec))
        _write_fully(file, content)
        # Hashed as it is written, which spares reading the file back.
        digest.update(content)
        index[position] = offset, len(content)
        offset += len(content)
    content = _with_crc32c(index.tobytes())
    _write_fully(file, content)
    digest.update(content)
    return offset + len(content), digest.hexdigest()


def _write_fully(file: FileIO, content: bytes) -> None:
    """Write all of ``content``: an unbuffered file may take less at a time, on a filling disk."""
    rest = memoryview(content)
    while rest:
        rest = rest[file.write(rest) :]


def _inner_chunks(
    values: NDArray[Any],
    inner: tuple[int, ...],
    grid: tuple[int, ...],
    fill_value: float,
) -> Iterator[tuple[tuple[int, ...], NDArray[Any]]]:
    """Yield (grid position, contiguous chunk) in C order; the chunk is overwritten by the next."""
    chunk = np.empty(inner, values.dtype)
    for position in product(*map(range, grid)):
        window = values[
            tuple(
                slice(at * edge, (at + 1) * edge) for at, edge in zip(position, inner, strict=True)
            )
        ]
        if window.shape != inner:
            # A shard has one shape of chunks. What lies beyond the array must not be what the
            # buffer held before: it would be in the bytes.
            chunk.fill(fill_value)
        chunk[tuple(map(slice, window.shape))] = window
        yield position, chunk


def _compress(chunk: NDArray[Any], codec: Codec) -> bytes:
    # With several threads, blosc puts its blocks in the order in which they happen to be done.
    blosc.use_threads = False
    compressed: bytes = blosc.compress(
        chunk, codec.cname.encode(), codec.clevel, SHUFFLES[codec.shuffle], 0
    )
    return compressed


def _with_crc32c(content: bytes) -> bytes:
    return content + struct.pack("<I", google_crc32c.value(content))
