"""A scene's ``zarr.json``: what it must hold, its digest, and the one way to read it.

Everybody who reads a scene of a store starts here, and may then rely on the types and sizes of what
the document says: it may be damaged, or come from a stranger. The document carries a digest of
itself; those that older versions wrote have none, and are checked all the same in everything else.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from autoice_bench.charts import CHARTS
from autoice_bench.errors import StoreError
from autoice_bench.formats.document_schema import (
    COUNT,
    SHA256,
    Entries,
    Fields,
    Flag,
    Items,
    Nullable,
    Number,
    OneOf,
    SceneId,
    Text,
    Time,
    Whole,
    digest_json,
    find_fault,
)
from autoice_bench.formats.plain_files import parse_json, read_bytes
from autoice_bench.formats.shards import ZARR_METADATA
from autoice_bench.formats.store_layout import (
    AMSR2_ARRAY,
    ARRAYS_BY_NAME,
    SCENE_ARRAYS,
    TIE_LINE_ARRAY,
    TIE_SAMPLE_ARRAY,
    VALID_COUNTS_ARRAY,
    SceneArray,
)
from autoice_bench.formats.variables import MOST_PIXELS
from autoice_bench.wording import make_visible

DIGEST: Final = "document_sha256"
"""The attribute that holds the digest of the document without it."""
OVERVIEWS: Final = "overviews"
"""Where a scene's overviews lie, and the attribute that says which there are."""

_REMEDY: Final = "remove the scene's folder and run `autoice-bench prepare` again"
_SOURCE_FILE: Final = Fields({"name": Text(), "bytes": COUNT, "sha256": SHA256})
_TEXT_OR_NULL: Final = Nullable(Text())
_SIZE: Final = Whole(1, MOST_PIXELS)
_CLASS_COUNTS: Final = Fields(
    {chart.name: Fields({str(value): COUNT for value in chart.values}) for chart in CHARTS}
)

OVERVIEWS_ATTRIBUTE: Final = Entries(Text(), keys=Text("[1-9][0-9]{0,4}", "a ratio such as 10"))
"""Of a scene and of a store: how it was downscaled, by ratio."""

_ATTRIBUTES: Final = Fields(
    {
        "scene_id": SceneId(),
        "subset": OneOf(("train", "test")),
        "acquisition_time": Time(),
        "sar_lines": _SIZE,
        "sar_samples": _SIZE,
        "class_counts": Nullable(_CLASS_COUNTS),
        "files": Entries(Fields({"bytes": COUNT, "sha256": SHA256})),
        "source": _SOURCE_FILE,
        "reference": Nullable(_SOURCE_FILE),
    },
    {
        **dict.fromkeys(("ice_service", "region", "platform", "data_take"), _TEXT_OR_NULL),
        "footprint": _TEXT_OR_NULL,
        "orbit": Nullable(Whole()),
        "truth_sha256": Nullable(SHA256),
        "rounding_error": Nullable(Number()),
        "distance_zones_whole": Nullable(Flag()),
        "warnings": Items(Text()),
        OVERVIEWS: OVERVIEWS_ATTRIBUTE,
        DIGEST: SHA256,
    },
)
"""Attributes that the code reads; of the optional ones some came with later versions."""

_ARRAY_ATTRIBUTES: Final = Fields({}, {"channels": Items(Text()), "chunk_pixels": _SIZE})
_ARRAY: Final = Fields(
    {"shape": Items(_SIZE), "data_type": Text()},
    {"attributes": _ARRAY_ATTRIBUTES, "dimension_names": Nullable(Items(_TEXT_OR_NULL))},
)
_NODES: Final = Entries(Fields({"node_type": OneOf(("array", "group"))}))
_DOCUMENT: Final = Fields(
    {"attributes": _ATTRIBUTES, "consolidated_metadata": Fields({"metadata": _NODES})}
)


@dataclass(frozen=True)
class SceneDocument:
    """What a scene's ``zarr.json`` says.

    Attributes:
        attributes: of the scene (docs/store.md).
        metadata: documents of its arrays and groups, by path.
        content: the bytes they were read from.
    """

    attributes: dict[str, Any]
    metadata: dict[str, dict[str, Any]]
    content: bytes


def read_scene_document(folder: Path) -> SceneDocument:
    """Read and check a scene's ``zarr.json``.

    Args:
        folder: the scene's; its name is the scene's id.

    Raises:
        FileNotFoundError: there is none (``NotADirectoryError`` if its folder is a file).
        StoreError: it cannot be read, or is damaged, or of a size that no scene has.
    """
    path = folder / ZARR_METADATA
    try:
        content = read_bytes(path)
        document = parse_json(content)
        fault = find_fault(document, _DOCUMENT) or find_array_fault(document)
        if fault is None and not has_its_digest(document):
            fault = "it does not match its own digest: it was damaged or edited"
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        raise StoreError(f"scene {folder.name}: {path}: {error.strerror}") from error
    except ValueError as error:  # of JSON, and of bytes that are no text
        fault = make_visible(str(error))
    if fault is not None:
        raise StoreError(f"scene {folder.name}: {path} is damaged: {fault}; {_REMEDY}")
    return SceneDocument(
        document["attributes"], document["consolidated_metadata"]["metadata"], content
    )


def add_digest(document: dict[str, Any]) -> dict[str, Any]:
    """A scene's document with the digest of itself among its attributes."""
    digest = _digest(document)
    return {**document, "attributes": {**document["attributes"], DIGEST: digest}}


def has_its_digest(document: Mapping[str, Any]) -> bool:
    """Whether a group's document is as it was written; older versions wrote no digest."""
    recorded = document["attributes"].get(DIGEST)
    return recorded is None or recorded == _digest(document)


def find_array_fault(document: Mapping[str, Any]) -> str | None:
    """What is wrong with the arrays of a scene's document: a kind, a size, one that is missing."""
    attributes = document["attributes"]
    metadata = document["consolidated_metadata"]["metadata"]
    for array in SCENE_ARRAYS:
        node = metadata.get(array.name, {"node_type": None if array.required else "array"})
        if node["node_type"] != "array":
            return f"it has no array {array.name}"
    for name, node in metadata.items():
        if node["node_type"] == "array":
            fault = find_fault(node, _ARRAY) or _find_kind_fault(name, node)
            if fault is not None:
                return f"array {make_visible(name)}: {fault}"
    return _find_grid_fault(attributes, metadata)


def _find_grid_fault(
    attributes: Mapping[str, Any], metadata: Mapping[str, Mapping[str, Any]]
) -> str | None:
    """What is wrong with how the shapes of a scene's arrays fit each other."""
    scene = (attributes["sar_lines"], attributes["sar_samples"])
    chunk = metadata.get(VALID_COUNTS_ARRAY.name, {}).get("attributes", {}).get("chunk_pixels", 1)
    grids = {
        "pixels": scene,
        "cells": _shape_of(metadata, AMSR2_ARRAY)[-2:],
        "chunks": tuple(-(-size // chunk) for size in scene),
    }
    positions = (TIE_LINE_ARRAY, TIE_SAMPLE_ARRAY)
    grids["ties"] = tuple(_shape_of(metadata, array)[0] for array in positions)
    for array in SCENE_ARRAYS:
        expected = grids[array.grid]
        if array.name in metadata and array not in positions:
            found = _shape_of(metadata, array)[-2:]
            if found != expected:
                return f"array {array.name} is {found}; expected {expected}"
    return None


def _shape_of(metadata: Mapping[str, Mapping[str, Any]], array: SceneArray) -> tuple[int, ...]:
    return tuple(metadata[array.name]["shape"])


def _find_kind_fault(path: str, node: Mapping[str, Any]) -> str | None:
    """What is wrong with an array by itself: its size, and of the known ones what they are."""
    shape = tuple(node["shape"])
    array = ARRAYS_BY_NAME.get(path.rpartition("/")[2])
    n_channels = 1 if array is None else max(1, len(array.channels))
    if math.prod(shape) > n_channels * MOST_PIXELS:
        return f"shape is {shape}, more than the {MOST_PIXELS:,} pixels that a scene may have"
    return None if array is None else _find_difference(array, node)


def _find_difference(array: SceneArray, node: Mapping[str, Any]) -> str | None:
    """Where an array's metadata differ from its row in the table of a scene's arrays."""
    n_dims, fill_value = len(node["shape"]), node.get("fill_value")
    channels = tuple(node.get("attributes", {}).get("channels", ()))
    if node["data_type"] not in array.dtypes:
        return f"data_type is {node['data_type']}; expected {' or '.join(array.dtypes)}"
    if n_dims != len(array.dims) or (array.channels and node["shape"][0] != len(array.channels)):
        of_channels = f", {len(array.channels)} of the first" if array.channels else ""
        return f"shape is {node['shape']}; expected {', '.join(array.dims)}{of_channels}"
    if isinstance(fill_value, bool) or fill_value != array.fill_value:
        return f"fill_value is {fill_value!r}; expected {array.fill_value}"
    if channels != array.channels:
        return f"its channels are {', '.join(channels)}; expected {', '.join(array.channels)}"
    return None


def _digest(document: Mapping[str, Any]) -> str:
    """SHA-256 of a document, its own digest left out."""
    attributes = {key: value for key, value in document["attributes"].items() if key != DIGEST}
    return digest_json({**document, "attributes": attributes})
