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
from autoice_bench.charts import CHART_NAMES, CHARTS, FILL_VALUE
from autoice_bench.datasets.labels.ice_types import ICE_TYPES
from autoice_bench.datasets.sources.scene_arrays import SceneArrays
from autoice_bench.datasets.sources.tie_points import compute_footprint
from autoice_bench.datasets.store.downscaling import DOWNSCALED_ARRAYS
from autoice_bench.datasets.store.overviews import write_overviews
from autoice_bench.datasets.store.root import StoreOptions
from autoice_bench.datasets.store.scene_dataset import chart_attributes
from autoice_bench.errors import SceneError, StoreError
from autoice_bench.formats.rtt_folder import SceneFile
from autoice_bench.formats.shard_writer import (
    METADATA_NAME,
    ArraySpec,
    Codec,
    Shuffle,
    WrittenArray,
    dump_json,
    group_metadata,
    write_array,
    write_strings,
)
from autoice_bench.formats.variables import (
    AMSR2_VARIABLES,
    ERA5_VARIABLES,
    GRID_2KM_DIMS,
    PIXEL_SPACING_M,
    SAR_DIMS,
    SAR_NODATA,
    SAR_VARIABLES,
    Variable,
)
from autoice_bench.formats.whole_files import sync_folder, sync_tree
from autoice_bench.scene_id import parse_original_id, parse_scene_id

# Chosen by benchmarks/layout.py: small chunks waste few pixels around a patch, all channels of a
# window decode together, and lz4 without shuffling decodes at memory speed for some more bytes.
INNER_CHUNK: Final = 128
_INNER_CHUNK_2KM: Final = 64


@dataclass(frozen=True)
class FileDigest:
    """Identity of a source file: name without folder, size in bytes, SHA-256."""

    name: str
    n_bytes: int
    sha256: str


def read_digest(path: Path) -> FileDigest:
    """Hash a file."""
    with path.open("rb") as file:
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
    pixels = {name: getattr(arrays, name) for name in DOWNSCALED_ARRAYS if name in documents}
    written += write_overviews(folder, options.overviews, pixels, documents)
    files = {file.path: file for array in written for file in array.files}
    attributes = {
        **described,
        "files": {
            path: {"bytes": file.n_bytes, "sha256": file.sha256} for path, file in files.items()
        },
    }
    (folder / METADATA_NAME).write_bytes(dump_json(group_metadata(attributes, written)))


def commit_scene(folder: Path, target: Path) -> bool:
    """Make a written scene durable and move it to its place, unless another one is there.

    Args:
        folder: the complete scene, on the same file system as ``target``.
        target: ``scenes/<scene_id>``.

    Returns:
        False where ``target`` exists already (another worker was first); ``folder`` stays.

    Raises:
        StoreError: something else than a scene is in its place.
        OSError: the move failed for another reason.
    """
    sync_tree(folder)
    if _is_scene(target):
        return False
    target.parent.mkdir(exist_ok=True)
    try:
        folder.rename(target)
    except OSError:
        if _is_scene(target):
            return False
        raise
    sync_folder(target.parent)
    return True


def _is_scene(target: Path) -> bool:
    """Whether a scene is there; what is there without being one must not pass for it."""
    if not target.exists():
        return False
    if not (target / METADATA_NAME).is_file():
        raise StoreError(
            f"store {target.parent.parent}: scenes/{target.name} has no {METADATA_NAME}, so it is "
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
    yield _write_stack(folder, "sar", "sar_channel", arrays.sar, SAR_VARIABLES)
    if arrays.charts is not None:
        yield _write_charts(folder, arrays.charts)
        yield write_strings(folder, "chart", "chart", CHART_NAMES, {"long_name": "ice chart"})
        valid = ("valid_counts", ("chunk_lines", "chunk_samples"), "labelled SIC pixels per chunk")
        if arrays.ice_type is not None:
            yield _write_ice_type(folder, arrays.ice_type)
        counts = count_valid(arrays.charts[0], INNER_CHUNK)
        yield _write_plain(folder, *valid, counts, "1", chunk_pixels=INNER_CHUNK)
    yield _write_distance_map(folder, arrays.distance_map)
    yield _write_stack(folder, "amsr2", "amsr2_channel", arrays.amsr2, AMSR2_VARIABLES)
    yield _write_stack(folder, "era5", "era5_channel", arrays.era5, ERA5_VARIABLES)
    for name, table in (
        ("sar_channel", SAR_VARIABLES),
        ("amsr2_channel", AMSR2_VARIABLES),
        ("era5_channel", ERA5_VARIABLES),
    ):
        names = [variable.name for variable in table]
        yield write_strings(folder, name, name, names, {"long_name": "variable in the source"})
    tie_dims = ("tie_lines", "tie_samples")
    for name, values, units in (
        ("latitude", arrays.latitude, "degrees_north"),
        ("longitude", arrays.longitude, "degrees_east"),
    ):
        yield _write_plain(folder, name, tie_dims, name, values, units, standard_name=name)
    for name, dim, values in (
        ("tie_line", "tie_lines", arrays.tie_line),
        ("tie_sample", "tie_samples", arrays.tie_sample),
    ):
        yield _write_plain(
            folder, name, (dim,), "position of the tie points, in pixels", values, "1"
        )


def _write_stack(
    folder: Path,
    name: str,
    channel_dim: str,
    values: NDArray[Any],
    variables: tuple[Variable, ...],
) -> WrittenArray:
    """Write standardised channels stacked along their first axis."""
    is_full_grid = variables[0].grid == "80m"
    edge = INNER_CHUNK if is_full_grid else _INNER_CHUNK_2KM
    shuffle: Shuffle = "noshuffle" if is_full_grid else "shuffle"
    attributes: dict[str, Any] = {
        "long_name": f"{name} channels, standardised: (x - mean) / std",
        "units": "1",
        "channels": [variable.name for variable in variables],
        "standardisation_mean": [variable.mean for variable in variables],
        "standardisation_std": [variable.std for variable in variables],
        "standardisation_units": [variable.units for variable in variables],
    }
    if is_full_grid:
        attributes["nodata"] = SAR_NODATA
    dims = (channel_dim, *(SAR_DIMS if is_full_grid else GRID_2KM_DIMS))
    inner = (len(variables), edge, edge)
    spec = ArraySpec(name, dims, inner, 0.0, Codec(shuffle=shuffle), attributes)
    return write_array(folder, values, spec)


def _write_charts(folder: Path, charts: NDArray[np.uint8]) -> WrittenArray:
    attributes: dict[str, Any] = {
        "long_name": "ice charts: classes",
        "channels": list(CHART_NAMES),
        "fill": FILL_VALUE,
    }
    for chart in CHARTS:
        described = chart_attributes(chart)
        attributes |= {
            f"{chart.name}_{key}": described[key]
            for key in ("long_name", "flag_values", "flag_meanings")
        }
    inner = (len(CHARTS), INNER_CHUNK, INNER_CHUNK)
    spec = ArraySpec("charts", ("chart", *SAR_DIMS), inner, FILL_VALUE, Codec(), attributes)
    return write_array(folder, charts, spec)


def _write_ice_type(folder: Path, ice_type: NDArray[np.uint8]) -> WrittenArray:
    attributes = {
        "long_name": "ice type of the dominant stage of development",
        "flag_values": list(range(len(ICE_TYPES))),
        "flag_meanings": " ".join(kind.abbreviation for kind in ICE_TYPES),
        "fill": FILL_VALUE,
    }
    inner = (INNER_CHUNK, INNER_CHUNK)
    spec = ArraySpec("ice_type", SAR_DIMS, inner, FILL_VALUE, Codec(), attributes)
    return write_array(folder, ice_type, spec)


def _write_distance_map(folder: Path, zones: NDArray[Any]) -> WrittenArray:
    attributes = {
        "long_name": "distance to land, in zones",
        "units": "1",
        "comment": "0 land, then rings of 0.5, 0.5, 1 (to 20), 5 (to 50), 10 (to 100), 25 (to 300) "
        "km, 41 beyond",
    }
    inner = (INNER_CHUNK, INNER_CHUNK)
    return write_array(
        folder, zones, ArraySpec("distance_map", SAR_DIMS, inner, 0, Codec(), attributes)
    )


def _write_plain(
    folder: Path,
    name: str,
    dims: tuple[str, ...],
    long_name: str,
    values: NDArray[Any],
    units: str,
    **attributes: str | int,
) -> WrittenArray:
    """Write a small array as one chunk."""
    described = {"long_name": long_name, "units": units, **attributes}
    fill = 0.0 if values.dtype.kind == "f" else 0
    spec = ArraySpec(name, dims, values.shape, fill, Codec(shuffle="shuffle"), described)
    return write_array(folder, values, spec)
