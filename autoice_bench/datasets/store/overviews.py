"""Overviews of a scene: `overviews/<ratio>/`, its full-grid arrays downscaled.

They follow from the scene, so they are no part of what identifies a store; readers may take them
instead of downscaling the scene and get the same values.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from autoice_bench.datasets.store.downscaling import (
    DOWNSCALED_ARRAYS,
    DownscaleMethod,
    Downscaling,
    downscale_array,
)
from autoice_bench.formats.own_folders import make_own_folder, require_own
from autoice_bench.formats.plain_files import parse_json
from autoice_bench.formats.scene_document import OVERVIEWS, add_digest
from autoice_bench.formats.shard_writer import (
    ArraySpec,
    Codec,
    WrittenArray,
    WrittenFile,
    dump_json,
    group_metadata,
    write_array,
)
from autoice_bench.formats.shards import ZARR_METADATA
from autoice_bench.formats.variables import PIXEL_SPACING_M

# Not those of the scene: the groups of a DataTree must agree in the size of a dimension.
_DIMS: Final = ("overview_lines", "overview_samples")
# Overviews are read whole, so at 800 m a scene is one chunk; finer ones are cut to fit a cache.
_INNER_CHUNK: Final = 1024


def overview_path(ratio: int, name: str = "") -> str:
    """Path in the scene's group of an overview, or of one of its arrays."""
    return f"{OVERVIEWS}/{ratio}/{name}".rstrip("/")


def overviews_to_attribute(overviews: Iterable[Downscaling]) -> dict[str, DownscaleMethod]:
    """The attribute `overviews`: method by ratio."""
    return {str(how.ratio): how.method for how in sorted(overviews)}


def overviews_from_attributes(attributes: Mapping[str, Any]) -> tuple[Downscaling, ...]:
    """The overviews that a scene or a store has; most have none and no such attribute.

    Raises:
        PatchError: the attribute is damaged.
    """
    recorded = attributes.get(OVERVIEWS, {})
    return tuple(sorted(Downscaling(int(ratio), method) for ratio, method in recorded.items()))


def write_overviews(
    folder: Path,
    overviews: Sequence[Downscaling],
    arrays: Mapping[str, NDArray[Any]],
    documents: Mapping[str, Mapping[str, Any]],
) -> Iterator[WrittenArray]:
    """Write overviews into a scene's folder.

    Args:
        folder: the scene's.
        overviews: which.
        arrays: the scene's by name, as stored; those that can be downscaled are.
        documents: their metadata documents.

    Yields:
        Groups and arrays as written, their names beginning with `overviews`.
    """
    if not overviews:
        return
    yield _write_group(folder, OVERVIEWS, {"long_name": "the scene's arrays, downscaled"}, None)
    for how in sorted(overviews):
        written = [
            _write_overview(folder, name, arrays[name], how, documents[name])
            for name in DOWNSCALED_ARRAYS
            if name in arrays
        ]
        yield from written
        attributes = {
            "downscale_ratio": how.ratio,
            "downscale_method": how.method,
            "pixel_spacing_m": how.ratio * PIXEL_SPACING_M,
        }
        yield _write_group(folder, overview_path(how.ratio), attributes, written)


def _write_overview(
    folder: Path,
    name: str,
    values: NDArray[Any],
    how: Downscaling,
    document: Mapping[str, Any],
) -> WrittenArray:
    spec = ArraySpec(
        name=overview_path(how.ratio, name),
        dims=(*document["dimension_names"][:-2], *_DIMS),
        inner_chunk=(*values.shape[:-2], _INNER_CHUNK, _INNER_CHUNK),
        fill_value=document["fill_value"],
        codec=Codec(),
        attributes=document["attributes"],
    )
    return write_array(folder, downscale_array(name, values, how), spec)


def _write_group(
    folder: Path,
    name: str,
    attributes: Mapping[str, Any],
    arrays: Sequence[WrittenArray] | None,
) -> WrittenArray:
    """Write a group's metadata, with those of its arrays in it so that it opens by itself.

    What is returned, for the scene's consolidated metadata, holds the group alone.
    """
    if arrays is not None:
        arrays = [
            WrittenArray(array.name.rpartition("/")[2], array.metadata, ()) for array in arrays
        ]
    content = dump_json(group_metadata(attributes, arrays))
    path = f"{name}/{ZARR_METADATA}"
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_bytes(content)
    file = WrittenFile(path, len(content), hashlib.sha256(content).hexdigest())
    return WrittenArray(name, group_metadata(attributes), (file,))


def check_overviews(
    overviews: Iterable[Downscaling], arrays: Mapping[str, NDArray[Any]]
) -> Iterator[str]:
    """What is wrong with a scene's overviews, computed again from its arrays.

    Args:
        overviews: those that the scene should have.
        arrays: decoded arrays by path, such as `sar` and `overviews/10/sar`.
    """
    for how in overviews:
        for name in DOWNSCALED_ARRAYS:
            path = overview_path(how.ratio, name)
            if (path in arrays) != (name in arrays):
                yield f"{path} and {name} must both be there, or neither"
            elif name in arrays and not _is_same(
                arrays[path], downscale_array(name, arrays[name], how)
            ):
                yield f"{path} is not {name} downscaled ({how.method})"


def _is_same(one: NDArray[Any], other: NDArray[Any]) -> bool:
    return one.dtype == other.dtype and np.array_equal(one, other)


def extend_document(
    content: bytes, overviews: Iterable[Downscaling], written: Sequence[WrittenArray]
) -> bytes:
    """A scene's `zarr.json` with overviews in it: the same bytes as if written with them.

    Args:
        content: `zarr.json` as it is.
        overviews: all overviews that the scene has now.
        written: groups and arrays that are new.
    """
    document = parse_json(content)
    attributes = document["attributes"]
    attributes[OVERVIEWS] = overviews_to_attribute(overviews)
    attributes["files"] |= {
        file.path: {"bytes": file.n_bytes, "sha256": file.sha256}
        for array in written
        for file in array.files
    }
    document["consolidated_metadata"]["metadata"] |= {
        array.name: array.metadata for array in written
    }
    return dump_json(add_digest(document))


def move_overviews(folder: Path, scene: Path, ratios: Iterable[int]) -> None:
    """Move written overviews into a scene that does not mention them yet.

    Args:
        folder: where they were written, on the same file system.
        scene: the scene's folder.
        ratios: which.
    """
    require_own(scene)
    make_own_folder(scene / OVERVIEWS)
    for ratio in ratios:
        # What an interrupted run left there belongs to nothing.
        shutil.rmtree(scene / overview_path(ratio), ignore_errors=True)
        (folder / overview_path(ratio)).rename(scene / overview_path(ratio))
    (folder / OVERVIEWS / ZARR_METADATA).replace(scene / OVERVIEWS / ZARR_METADATA)
