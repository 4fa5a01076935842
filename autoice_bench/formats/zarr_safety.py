"""Which Zarr arrays may be decoded: known formats, dtypes and codecs, in files that are files.

Predictions and stores come from strangers, and a Zarr array names the codecs that decode it: with
``pickle`` among them, reading it runs code. What is allowed is listed, since what is dangerous
grows with every release of a library. Every reader that hands an array to zarr or xarray asks here
first; the error is a ``ValueError``, which each turns into its own.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from autoice_bench.formats.plain_files import is_there, read_json, require_plain_tree
from autoice_bench.formats.shards import ZARR_METADATA

V2_METADATA: Final = ".zarray"
V2_GROUP_METADATA: Final = ".zgroup"

_V2_DTYPE = re.compile(r"\|b1|[|<>][iu]1|[<>][iu][248]|[<>]f[248]")
_NUMBERS: Final = frozenset(
    ["bool", "float16", "float32", "float64"]
    + [f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)]
)
_TEXTS: Final = frozenset(["string", "fixed_length_utf32"])
"""Data types of names, such as those of channels."""

_NUMCODECS: Final = frozenset(
    [
        *("blosc", "bz2", "gzip", "lz4", "lzma", "zlib", "zstd"),
        *("bitround", "delta", "fixedscaleoffset", "packbits", "quantize", "shuffle"),
        *("adler32", "crc32", "crc32c", "fletcher32", "jenkins_lookup3"),
    ]
)
"""Codecs from bytes to bytes or from numbers to numbers, by their ids in numcodecs."""
_CODECS: Final = frozenset(["blosc", "bytes", "crc32c", "gzip", "transpose", "zstd"]) | {
    f"numcodecs.{name}" for name in _NUMCODECS
}
_CHUNK_KEY: Final = re.compile(r"(?:c[./]?)?\d+(?:[./]\d+)*|c")
_SHARDING: Final = "sharding_indexed"
_TEXT_CODEC: Final = "vlen-utf8"
_REMEDY: Final = "write it again with plain settings"


def require_safe_array(folder: Path, *, v2: bool = False, texts: bool = False) -> None:
    """Check that decoding an array only computes.

    Args:
        folder: the array's folder.
        v2: whether it may be of Zarr format 2.
        texts: whether it may hold texts in place of numbers.

    Raises:
        ValueError: it is no array, or of another format, dtype or codec than those allowed.
        OSError: its metadata cannot be read, or something in its folder is no file.
    """
    found = [folder / name for name in (ZARR_METADATA, V2_METADATA) if is_there(folder / name)]
    if not found:
        raise ValueError(f"{folder}: no {ZARR_METADATA} of a Zarr array here")
    # Where both formats are there, zarr chooses: both must be harmless.
    for path in found:
        document = _read_document(path)
        if path.name == V2_METADATA:
            if not v2:
                raise ValueError(f"{path}: Zarr format 2; expected format 3")
            _require_safe_v2(document, path)
        else:
            _require_safe_v3(document, path, texts=texts)
    require_plain_tree(folder)


def require_safe_group(folder: Path) -> None:
    """Check that decoding any array of a group of a store only computes.

    Both descriptions are checked of what the group holds: the consolidated one, which readers
    prefer, and those in the arrays' own folders.

    Raises:
        ValueError: the group, or an array in it, is not of Zarr format 3, or of another dtype or
            codec than those allowed.
        OSError: metadata cannot be read, or something in an array's folder is no file.
    """
    path = folder / ZARR_METADATA
    group = _read_document(path)
    _require_format_3(group, path)
    consolidated = group.get("consolidated_metadata")
    described = consolidated.get("metadata") if isinstance(consolidated, Mapping) else {}
    if not isinstance(described, Mapping):
        raise ValueError(f"{path}: damaged: consolidated_metadata holds no object 'metadata'")
    for name, document in described.items():
        where = f"{path}: {name}"
        _require_format_3(document, where)
        if document.get("node_type") != "group":
            _require_safe_v3(document, where, texts=True)
    for child in sorted(folder.iterdir()):
        if is_there(child / ZARR_METADATA):
            document = _read_document(child / ZARR_METADATA)
            if document.get("node_type") != "group":
                _require_safe_v3(document, child / ZARR_METADATA, texts=True)
                require_plain_tree(child)


def _read_document(path: Path) -> dict[str, Any]:
    try:
        document = read_json(path)
    except ValueError as error:
        raise ValueError(f"{path}: damaged: {error}") from None
    if not isinstance(document, dict):
        raise ValueError(f"{path}: damaged: holds a {type(document).__name__}; expected an object")
    return document


def _require_format_3(document: object, where: Path | str) -> None:
    found = document.get("zarr_format") if isinstance(document, Mapping) else None
    if type(found) is not int or found != 3:
        raise ValueError(f"{where}: zarr_format {found!r}; expected 3")


def _require_safe_v3(document: Mapping[str, Any], where: Path | str, *, texts: bool) -> None:
    _require_format_3(document, where)
    if document.get("node_type") != "array":
        raise ValueError(f"{where}: node_type {document.get('node_type')!r}; expected 'array'")
    kind = _name_of(document.get("data_type"))
    if kind not in (_NUMBERS | _TEXTS if texts else _NUMBERS):
        expected = "bool, int, uint or float" + (" or string" if texts else "")
        raise ValueError(
            f"{where}: data_type {document.get('data_type')!r}; expected {expected}; {_REMEDY}"
        )
    if document.get("storage_transformers"):
        raise ValueError(f"{where}: storage_transformers; expected none; {_REMEDY}")
    for codec in _nested_codecs(document.get("codecs"), where):
        if codec not in _CODECS and not (kind == "string" and codec == _TEXT_CODEC):
            raise ValueError(
                f"{where}: codec {codec!r}; expected {_SHARDING}, {', '.join(sorted(_CODECS))}; "
                f"{_REMEDY}"
            )


def require_chunk_files(array: Path, n_dims: int) -> None:
    """Check that no folder lies where an array keeps a chunk: Zarr takes it for a chunk that lacks.

    Args:
        array: folder of a Zarr array, of either format.
        n_dims: dimensions of the array.

    Raises:
        ValueError: one does.
    """
    for parent, folders, _ in os.walk(array):
        for name in folders:
            path = Path(parent, name)
            key = _CHUNK_KEY.fullmatch(str(path.relative_to(array)))
            if key is not None and len(re.findall(r"\d+", key[0])) == n_dims:
                raise ValueError(f"{path} is a folder; expected the file of a chunk")


def _nested_codecs(codecs: object, where: Path | str) -> Iterator[object]:
    """Names of codecs, those within shards and of their indexes included."""
    if not isinstance(codecs, list):
        raise ValueError(f"{where}: codecs {codecs!r}; expected a list")
    for codec in codecs:
        name = _name_of(codec)
        if name == _SHARDING and isinstance(codec, Mapping):
            configuration = codec.get("configuration")
            for key in ("codecs", "index_codecs"):
                inner = configuration.get(key) if isinstance(configuration, Mapping) else None
                yield from _nested_codecs(inner, f"{where}: {_SHARDING}")
        else:
            yield name


def _name_of(extension: object) -> object:
    """A codec or data type is a name, or an object with one."""
    name = extension.get("name") if isinstance(extension, Mapping) else extension
    # A list has no place in a set, and a dangerous one has no name.
    return name if isinstance(name, str) else repr(name)


def _require_safe_v2(document: Mapping[str, Any], where: Path) -> None:
    if type(document.get("zarr_format")) is not int or document["zarr_format"] != 2:
        raise ValueError(f"{where}: zarr_format {document.get('zarr_format')!r}; expected 2")
    dtype = document.get("dtype")
    if not isinstance(dtype, str) or _V2_DTYPE.fullmatch(dtype) is None:
        raise ValueError(f"{where}: dtype {dtype!r}; expected bool, int, uint or float; {_REMEDY}")
    filters = document.get("filters") or []
    if not isinstance(filters, list):
        raise ValueError(f"{where}: filters {filters!r}; expected a list or null")
    compressor = document.get("compressor")
    for codec in filters if compressor is None else [*filters, compressor]:
        name = codec.get("id") if isinstance(codec, Mapping) else codec
        if not isinstance(name, str) or name not in _NUMCODECS:
            raise ValueError(
                f"{where}: codec {name!r}; expected {', '.join(sorted(_NUMCODECS))}; {_REMEDY}"
            )
