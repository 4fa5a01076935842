"""Prove a store: bytes against digests, arrays against counts, values against their source.

Digests, from the top: the root's attributes carry their own digest and that of ``scenes.parquet``;
the index carries the digest of each scene's ``zarr.json``; that carries the digest of every other
file of the scene. Decoding goes through zarr-python, the reference reader, and not through the code
that wrote the arrays; comparing with the source goes through the netCDF library.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from autoice_bench.charts import CHARTS
from autoice_bench.cluster.processes import process_pool
from autoice_bench.datasets.checks.source_comparison import compare_with_source
from autoice_bench.datasets.sources.scenes import list_source
from autoice_bench.datasets.store.index import (
    build_index,
    fingerprint_scenes,
    read_index_table,
    read_times,
)
from autoice_bench.datasets.store.overviews import check_overviews, overviews_from_attributes
from autoice_bench.datasets.store.root import Store, open_store
from autoice_bench.datasets.store.scene_writer import count_valid
from autoice_bench.errors import AutoIceError, SplitError, StoreError
from autoice_bench.formats.chart_values import count_classes
from autoice_bench.formats.decoding import decoding
from autoice_bench.formats.plain_files import (
    NotAFileError,
    parse_json,
    read_bytes,
    read_json,
    require_file,
)
from autoice_bench.formats.rtt_folder import SceneFile
from autoice_bench.formats.scene_document import OVERVIEWS, SceneDocument, read_scene_document
from autoice_bench.formats.shard_writer import dump_json
from autoice_bench.formats.shards import ZARR_METADATA
from autoice_bench.formats.split_file import split_names, validate_split_file
from autoice_bench.formats.store_layout import (
    CHARTS_ARRAY,
    INDEX_NAME,
    INNER_CHUNK,
    SAR_ARRAY,
    VALID_COUNTS_ARRAY,
)
from autoice_bench.formats.zarr_safety import require_safe_array
from autoice_bench.scene_id import is_scene_id
from autoice_bench.worker_rule import choose_workers


@dataclass(frozen=True)
class SceneCheck:
    """What verifying one scene found.

    Attributes:
        scene_id: its id.
        n_bytes: bytes hashed.
        problems: what is wrong, one line each; empty for a sound scene.
        compared: whether its values were compared with the source.
    """

    scene_id: str
    n_bytes: int
    problems: tuple[str, ...]
    compared: bool


@dataclass(frozen=True)
class VerifyReport:
    """What verifying a store found.

    Attributes:
        n_scenes: scenes verified.
        n_compared: scenes compared with their source.
        n_bytes: bytes hashed.
        problems: what is wrong, one line each, each naming scene and file.
        notes: remarks that are no faults.
    """

    n_scenes: int
    n_compared: int
    n_bytes: int
    problems: tuple[str, ...]
    notes: tuple[str, ...]


def verify_store(
    path: Path | str,
    *,
    source: Path | str | None = None,
    workers: int | None = 1,
    on_start: Callable[[int], None] | None = None,
    on_scene: Callable[[SceneCheck], None] | None = None,
) -> VerifyReport:
    """Check everything a store promises.

    Args:
        path: the store's folder.
        source: also compare every value with the scenes in this folder.
        workers: processes; 1 stays in this one, None is for as many as the work is worth.
        on_start: called with the number of scenes.
        on_scene: called with each scene's check, as they finish.

    Returns:
        Problems and totals; the store is sound where there are no problems.

    Raises:
        StoreError: the store cannot be opened at all.
        SceneError: the source folder is missing or empty.
    """
    store = open_store(path)
    ids = store.scene_ids()
    files = {} if source is None else _source_files(Path(source))
    check = partial(check_scene, store)
    jobs = [(scene_id, files.get(scene_id)) for scene_id in ids]
    if on_start is not None:
        on_start(len(ids))
    checks: list[SceneCheck] = []
    for result in _run(check, jobs, choose_workers(workers, len(ids), _count_pixels(store))):
        checks.append(result)
        if on_scene is not None:
            on_scene(result)
    problems = [problem for result in checks for problem in result.problems]
    problems += _check_root(store)
    absent = sorted(set(files).difference(ids))
    problems += [f"scene {scene_id}: in the source, but not in the store" for scene_id in absent]
    notes = [] if store.state == "complete" else ["the store is unfinished: run `prepare` again"]
    if source is not None:
        unknown = [scene_id for scene_id in ids if scene_id not in files]
        notes += [f"scene {scene_id}: no source to compare with" for scene_id in unknown]
    return VerifyReport(
        n_scenes=len(ids),
        n_compared=sum(result.compared for result in checks),
        n_bytes=sum(result.n_bytes for result in checks),
        problems=tuple(sorted(problems)),
        notes=tuple(notes),
    )


def check_scene(store: Store, scene_id: str, source: SceneFile | None) -> SceneCheck:
    """Verify one scene; never raises for what is wrong with it."""
    folder = store.scene_path(scene_id)
    problems: list[str] = []
    n_bytes = 0
    try:
        document = _read_document(folder)
        attributes = document.attributes
        if attributes["scene_id"] != scene_id:
            problems.append(f"{ZARR_METADATA} is that of scene {attributes['scene_id']}")
        problems += [
            f"{name} is {attributes.get(name)}; the store's is {value}"
            for name, value in store.options.without_overviews.to_attributes().items()
            if attributes.get(name) != value
        ]
        for problem, size in _check_files(folder, attributes):
            n_bytes += size
            if problem is not None:
                problems.append(problem)
        # Arrays whose bytes are damaged may decode to anything; their digests have said it already.
        if not problems:
            arrays = _decode(folder, document)
            problems += _check_values(attributes, arrays)
            overviews = overviews_from_attributes(attributes)
            problems += check_overviews(overviews, arrays)
            problems += [
                f"overview {how} of the store is missing; run `autoice-bench prepare` again"
                for how in store.options.overviews
                if how not in overviews
            ]
            if source is not None:
                problems += compare_with_source(source, attributes, arrays)
    except AutoIceError as error:
        problems.append(str(error).removeprefix(f"scene {scene_id}: "))
    return SceneCheck(
        scene_id,
        n_bytes,
        tuple(f"scene {scene_id}: {problem}" for problem in problems),
        source is not None and not problems,
    )


def _run(
    check: Callable[[str, SceneFile | None], SceneCheck],
    jobs: Sequence[tuple[str, SceneFile | None]],
    workers: int,
) -> Iterator[SceneCheck]:
    if workers == 1 or len(jobs) < 2:
        for job in jobs:
            yield check(*job)
        return
    with process_pool(min(workers, len(jobs)), StoreError) as pool:
        for future in as_completed([pool.submit(check, *job) for job in jobs]):
            yield future.result()


def _count_pixels(store: Store) -> int:
    """Pixels of all scenes by the index; 0 where it does not tell."""
    table = read_index_table(store)
    if table is None:
        return 0
    sizes = (table.column(name).to_pylist() for name in ("sar_lines", "sar_samples"))
    return sum((lines or 0) * (samples or 0) for lines, samples in zip(*sizes, strict=True))


def _source_files(source: Path) -> dict[str, SceneFile]:
    return {scene.scene_id: scene for scene in list_source(source.resolve()).scenes}


def _check_root(store: Store) -> list[str]:
    """Index, fingerprint and splits against the scenes; what lies among them and is none."""
    ids = set(store.scene_ids())
    present = sorted(store.scenes_path.iterdir()) if store.scenes_path.is_dir() else []
    problems = [
        f"scenes/{path.name} {_explain_no_scene(path)}, so it is no scene; remove it"
        for path in present
        if path.name not in ids
    ]
    if store.state == "complete":
        problems += _check_index(store)
    for name in split_names(store.path):
        try:
            validate_split_file(store.path, name)
        except SplitError as error:
            problems.append(str(error))
    return problems


def _explain_no_scene(path: Path) -> str:
    return f"has no {ZARR_METADATA}" if is_scene_id(path.name) else "has no scene id for a name"


def _check_index(store: Store) -> list[str]:
    try:
        content = read_bytes(store.index_path)
    except NotAFileError as error:
        return [f"{INDEX_NAME} {error.strerror}"]
    except OSError:
        return [f"{INDEX_NAME} is missing; `autoice-bench prepare` makes it again"]
    problems = []
    if hashlib.sha256(content).hexdigest() != store.index_sha256:
        problems.append(f"{INDEX_NAME} does not match its digest: it was damaged or edited")
    recorded = read_index_table(store)
    if problems or recorded is None:
        return problems or [f"{INDEX_NAME} has other columns than expected"]
    try:
        rebuilt = build_index(store, read_times(store))
    except StoreError:  # the scene's own check has said so
        return problems
    if fingerprint_scenes(store, rebuilt) != store.fingerprint:
        problems.append(
            "store_fingerprint does not follow from the scenes: some are missing or foreign"
        )
    return [*problems, *_differing_rows(recorded.to_pylist(), rebuilt.to_pylist())]


def _differing_rows(recorded: list[dict[str, Any]], rebuilt: list[dict[str, Any]]) -> Iterator[str]:
    """Compare the index with the scenes, row by row."""
    listed = {row["scene_id"]: row for row in recorded}
    present = {row["scene_id"]: row for row in rebuilt}
    for scene_id in sorted(listed.keys() | present.keys()):
        if scene_id not in present:
            yield f"scene {scene_id}: listed in {INDEX_NAME}, but there is no such folder"
        elif scene_id not in listed:
            yield f"scene {scene_id}: not listed in {INDEX_NAME}"
        elif listed[scene_id] != present[scene_id]:
            fields = [
                name for name, value in listed[scene_id].items() if value != present[scene_id][name]
            ]
            yield f"scene {scene_id}: {', '.join(fields)} in {INDEX_NAME} disagree with the scene"


def _read_document(folder: Path) -> SceneDocument:
    try:
        document = read_scene_document(folder)
    except OSError:  # it was there when the scenes were listed
        raise StoreError(f"{ZARR_METADATA} is missing") from None
    with decoding(StoreError, ZARR_METADATA):
        rewritten = dump_json(parse_json(document.content))
    if rewritten != document.content:
        raise StoreError(f"{ZARR_METADATA} is damaged: it is not as it was written")
    return document


def _check_files(folder: Path, attributes: dict[str, Any]) -> Iterator[tuple[str | None, int]]:
    """Hash every file of a scene; yield what is wrong with it, if anything, and its size."""
    expected: dict[str, dict[str, Any]] = attributes["files"]
    for name, digest in sorted(expected.items()):
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            yield f"files names {name!r}; expected a path inside the scene", 0
            continue
        try:
            with require_file(folder / name).open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                if size != digest["bytes"]:
                    yield f"{name} holds {size} bytes; expected {digest['bytes']}", 0
                elif hashlib.file_digest(file, "sha256").hexdigest() != digest["sha256"]:
                    yield f"{name} does not match its SHA-256: it was damaged or edited", size
                else:
                    yield None, size
        except FileNotFoundError:
            yield f"{name} is missing", 0
        except OSError as error:
            yield f"{name} cannot be read: {error.strerror}", 0
    present = {
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()
    }
    for name in sorted(present - {ZARR_METADATA, *expected}):
        yield f"{name} does not belong to the scene", 0


def _decode(folder: Path, document: SceneDocument) -> dict[str, NDArray[Any]]:
    """Decode every array of a scene with zarr-python.

    Raises:
        StoreError: an array cannot be decoded, or its folder and the scene's document describe it
            differently.
    """
    arrays: dict[str, NDArray[Any]] = {}
    for name in sorted(_array_names(folder)):
        with decoding(StoreError, f"array {name}"):
            require_safe_array(folder / name, texts=True)
            # The sizes of the scene's own document have been checked.
            if read_json(folder / name / ZARR_METADATA) != document.metadata.get(name):
                raise StoreError(f"array {name}: its {ZARR_METADATA} differs from the scene's")
            array = zarr.open_array(folder / name, mode="r", zarr_format=3)
            arrays[name] = np.asarray(array[...])
    absent = sorted(
        name
        for name, node in document.metadata.items()
        if node["node_type"] == "array"
        and not {name, name.partition("/")[0]} & {*arrays, OVERVIEWS}
    )
    if absent:
        raise StoreError(f"array {absent[0]} is missing")
    return arrays


def _array_names(folder: Path) -> Iterator[str]:
    """Paths of a scene's arrays, those of its overviews included."""
    for path in folder.iterdir():
        if path.is_dir() and path.name != OVERVIEWS:
            yield path.name
    for path in folder.glob(f"{OVERVIEWS}/*/*/"):
        yield path.relative_to(folder).as_posix()


def _check_values(attributes: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Iterator[str]:
    """Class counts, digests and valid counts against the decoded arrays."""
    if not np.isfinite(arrays[SAR_ARRAY.name]).all():
        yield f"{SAR_ARRAY.name} holds values that are not finite"
    counts = attributes["class_counts"]
    if (CHARTS_ARRAY.name in arrays) != (counts is not None):
        yield "charts and class_counts must both be there, or neither"
    elif counts is not None:
        counted = arrays.get(VALID_COUNTS_ARRAY.name)
        yield from _check_charts(attributes, arrays[CHARTS_ARRAY.name], counted)


def _check_charts(
    attributes: dict[str, Any], charts: NDArray[np.uint8], valid_counts: NDArray[np.uint32] | None
) -> Iterator[str]:
    for chart, values in zip(CHARTS, charts, strict=True):
        found = count_classes(values, chart)
        recorded = {int(k): n for k, n in attributes["class_counts"][chart.name].items()}
        if {int(value): int(found[value]) for value in np.flatnonzero(found)} != {
            value: n for value, n in recorded.items() if n
        }:
            yield f"{chart.name} class counts disagree with class_counts in the attributes"
    digest = hashlib.sha256(np.ascontiguousarray(charts).data).hexdigest()
    if digest != attributes.get("truth_sha256"):
        yield "charts do not match truth_sha256"
    found_counts = count_valid(charts[0], INNER_CHUNK)
    if valid_counts is None or not np.array_equal(found_counts, valid_counts):
        yield "valid_counts disagree with SIC"
