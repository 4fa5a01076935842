"""Write one scene of a store: its arrays as shards, its attributes, its provenance.

Nothing here depends on time, host, number of workers or file-system order: the same source, options
and package version give the same bytes.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from autoice_bench import __version__
from autoice_bench.charts import CHARTS, FILL_VALUE
from autoice_bench.datasets.sources.scene_arrays import SceneArrays
from autoice_bench.datasets.sources.tie_points import compute_footprint
from autoice_bench.datasets.store.overviews import write_overviews
from autoice_bench.datasets.store.root import StoreOptions
from autoice_bench.errors import SceneError, StoreError
from autoice_bench.formats.plain_files import require_file
from autoice_bench.formats.rtt_folder import SceneFile
from autoice_bench.formats.scene_document import add_digest
from autoice_bench.formats.shard_writer import (
    ArraySpec,
    Codec,
    Shuffle,
    WrittenArray,
    dump_json,
    group_metadata,
    write_array,
    write_strings,
)
from autoice_bench.formats.shards import ZARR_METADATA
from autoice_bench.formats.store_layout import (
    INNER_CHUNK,
    INNER_CHUNK_CELLS,
    SCENE_ARRAYS,
    VALID_COUNTS_ARRAY,
    ArrayGrid,
    SceneArray,
)
from autoice_bench.formats.variables import PIXEL_SPACING_M
from autoice_bench.formats.whole_files import exchange_folders, sync_folder
from autoice_bench.scene_id import parse_original_id, parse_scene_id

# Pixels are not shuffled: lz4 alone decodes them at memory speed for some more bytes
# (benchmarks/layout.py). The other arrays are small and read seldom: size counts.
_INNER_EDGES: Final[dict[ArrayGrid, int]] = {"pixels": INNER_CHUNK, "cells": INNER_CHUNK_CELLS}


@dataclass(frozen=True)
class FileDigest:
    """Identity of a source file: name without folder, size in bytes, SHA-256."""

    name: str
    n_bytes: int
    sha256: str


def read_digest(path: Path) -> FileDigest:
    """Hash a file."""
    with require_file(path).open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        return FileDigest(path.name, os.fstat(file.fileno()).st_size, sha256)


def write_scene(
    folder: Path,
    scene: SceneFile,
    arrays: SceneArrays,
    options: StoreOptions,
    source: FileDigest,
    reference: FileDigest | None,
) -> None:
    """Write a scene into an empty folder; its ``zarr.json``, which makes it a scene, comes last.

    Args:
        folder: existing and empty.
        scene: what the source folder tells of the scene.
        arrays: the scene's values.
        options: the store's options.
        source, reference: identity of the files the values come from.

    Raises:
        OSError: the file system is full or read-only.
    """
    described = _describe(scene, arrays, options, source, reference)
    written = list(_write_arrays(folder, arrays))
    documents = {array.name: array.metadata for array in written}
    written += write_overviews(folder, options.overviews, arrays.by_name(), documents)
    files = {file.path: file for array in written for file in array.files}
    attributes = {
        **described,
        "files": {
            path: {"bytes": file.n_bytes, "sha256": file.sha256} for path, file in files.items()
        },
    }
    (folder / ZARR_METADATA).write_bytes(dump_json(add_digest(group_metadata(attributes, written))))


def commit_scene(folder: Path, target: Path, *, replace: bool = False) -> bool:
    """Move a written scene to its place.

    Args:
        folder: the complete scene, on the same file system as ``target``, and durable: a scene that
            exists must be whole after a power cut, too.
        target: ``scenes/<scene_id>``.
        replace: take the place of a scene that is there, in one step; ``folder`` then holds the old
            one.

    Returns:
        False where ``target`` exists already (another worker was first) and is not to be replaced;
        ``folder`` stays.

    Raises:
        StoreError: something else than a scene is in its place.
        OSError: the move failed for another reason.
    """
    if _is_scene(target):
        if replace:
            exchange_folders(folder, target)
            sync_folder(target.parent)
        return replace
    target.parent.mkdir(exist_ok=True)
    # A rename never replaces a folder that holds something, so of two workers the first wins.
    try:
        folder.rename(target)
    except OSError:
        if _is_scene(target):
            return False
        raise
    sync_folder(target.parent)  # the name has to last as well as what it names
    return True


def _is_scene(target: Path) -> bool:
    """Whether a scene is there; what is there without being one must not pass for it."""
    if not target.exists():
        return False
    if not (target / ZARR_METADATA).is_file():
        raise StoreError(
            f"store {target.parent.parent}: scenes/{target.name} has no {ZARR_METADATA}, so it is "
            "no scene; remove it and run the same command again"
        )
    return True


def _describe(
    scene: SceneFile,
    arrays: SceneArrays,
    options: StoreOptions,
    source: FileDigest,
    reference: FileDigest | None,
) -> dict[str, Any]:
    scene_id = parse_scene_id(scene.scene_id)
    platform, orbit, data_take, region = _pass_of(arrays.attributes.get("original_id"))
    lines, samples = arrays.sar.shape[1:]
    return {
        "scene_id": scene.scene_id,
        "subset": scene.subset,
        "ice_service": scene_id.ice_service,
        "region": scene.region or region,
        "platform": platform,
        "orbit": orbit,
        "data_take": data_take,
        "acquisition_time": scene_id.acquisition_time.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "sar_lines": lines,
        "sar_samples": samples,
        "pixel_spacing_m": PIXEL_SPACING_M,
        "footprint": compute_footprint(arrays.latitude, arrays.longitude),
        **options.to_attributes(),
        "class_counts": _class_counts(arrays),
        "truth_sha256": _truth_sha256(arrays.charts),
        "rounding_error": arrays.rounding_error,
        "distance_zones_whole": arrays.distance_map.dtype == np.uint8,
        "warnings": list(arrays.warnings),
        "source": _digest_attributes(source),
        "reference": None if reference is None else _digest_attributes(reference),
        "source_attributes": arrays.attributes,
        "source_variable_attributes": arrays.variable_attributes,
        "autoice_bench_version": __version__,
    }


def _pass_of(
    original_id: object,
) -> tuple[str | None, int | None, str | None, str | None]:
    """Platform, orbit, data-take and region; all None where ``original_id`` does not tell."""
    try:
        original = parse_original_id(str(original_id))
    except SceneError:
        return None, None, None, None
    return original.platform, original.absolute_orbit, original.data_take, original.region


def _digest_attributes(file: FileDigest) -> dict[str, Any]:
    return {"name": file.name, "bytes": file.n_bytes, "sha256": file.sha256}


def _class_counts(arrays: SceneArrays) -> dict[str, dict[str, int]] | None:
    if arrays.class_counts is None:
        return None
    return {
        chart.name: {str(value): int(counts[value]) for value in chart.values}
        for chart, counts in zip(CHARTS, arrays.class_counts, strict=True)
    }


def _truth_sha256(charts: NDArray[np.uint8] | None) -> str | None:
    """SHA-256 over the bytes of SIC, then SOD, then FLOE."""
    return None if charts is None else hashlib.sha256(charts.data).hexdigest()


def count_valid(sic: NDArray[np.uint8], chunk: int) -> NDArray[np.uint32]:
    """Labelled SIC pixels in each ``chunk`` x ``chunk`` block; edge blocks count what is there.

    Args:
        sic: (lines, samples) uint8.
        chunk: edge of a block, pixels.

    Returns:
        (ceil(lines / chunk), ceil(samples / chunk)) uint32.
    """
    grid = tuple(-(-size // chunk) for size in sic.shape)
    counts = np.empty(grid, np.uint32)
    edges = np.arange(0, sic.shape[1], chunk)
    for row in range(grid[0]):
        valid = sic[row * chunk : (row + 1) * chunk] != FILL_VALUE
        counts[row] = np.add.reduceat(valid.sum(axis=0, dtype=np.uint32), edges)
    return counts


def _write_arrays(folder: Path, arrays: SceneArrays) -> Iterator[WrittenArray]:
    """Write every array of the scene and its channel coordinates."""
    values = arrays.by_name()
    if arrays.charts is not None:
        values[VALID_COUNTS_ARRAY.name] = count_valid(arrays.charts[0], INNER_CHUNK)
    for array in SCENE_ARRAYS:
        if array.name in values:
            yield _write_array(folder, array, values[array.name])
            if array.channel_dim is not None:
                dim, described = array.channel_dim, {"long_name": array.channels_are}
                yield write_strings(folder, dim, dim, array.channels, described)


def _write_array(folder: Path, array: SceneArray, values: NDArray[Any]) -> WrittenArray:
    if values.dtype.name not in array.dtypes:
        raise TypeError(f"{array.name} is {values.dtype}; expected {' or '.join(array.dtypes)}")
    edge = _INNER_EDGES.get(array.grid)
    # Small arrays are one chunk; a chunk of the large ones spans all channels of its window.
    inner = values.shape if edge is None else (*values.shape[:-2], edge, edge)
    shuffle: Shuffle = "noshuffle" if array.grid == "pixels" else "shuffle"
    codec = Codec(shuffle=shuffle)
    spec = ArraySpec(array.name, array.dims, inner, array.fill_value, codec, array.attributes)
    return write_array(folder, values, spec)
