"""One scene from source to store: the unit of work of ``prepare``, run in any process.

In every process one scene at a time is read and encoded, which bounds memory; while its bytes are
being made durable, a second thread may already read the next.
"""

from __future__ import annotations

import shutil
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from autoice_bench.datasets.prepare.holding import TOKEN_NAME, holds_token
from autoice_bench.datasets.sources.buffers import BufferPool, keep_freed_memory
from autoice_bench.datasets.sources.scenes import read_source_scene
from autoice_bench.datasets.store.index import SourceTimes
from autoice_bench.datasets.store.root import StoreOptions
from autoice_bench.datasets.store.scene_writer import (
    FileDigest,
    commit_scene,
    read_digest,
    write_scene,
)
from autoice_bench.errors import SceneError, StoreError
from autoice_bench.formats.rtt_folder import SceneFile
from autoice_bench.formats.store_layout import SCENES
from autoice_bench.formats.whole_files import sync_tree

_COMPUTING: Final = threading.Lock()
_POOL: Final = BufferPool()
"""Memory of the scene being computed; used under the lock only."""


@dataclass(frozen=True)
class SceneJob:
    """What a worker needs to prepare one scene; paths are absolute and shared by all workers.

    Attributes:
        scene: what to prepare.
        store_path: the store that the scene joins.
        run_folder: of the run that holds the store.
        options: of the store.
        replaces: whether it takes the place of a scene that is there.
    """

    scene: SceneFile
    store_path: Path
    run_folder: Path
    options: StoreOptions
    replaces: bool = False


@dataclass(frozen=True)
class SceneResult:
    """A scene that is in the store now.

    Attributes:
        scene_id: its id.
        written: False where another worker had committed it first.
        source_bytes: size of its source files.
        times: modification times of its source files.
        warnings: remarks of the validation, one line each.
    """

    scene_id: str
    written: bool
    source_bytes: int
    times: SourceTimes
    warnings: tuple[str, ...]


def prepare_scene(job: SceneJob, before_commit: Callable[[], object] | None = None) -> SceneResult:
    """Read, validate, write and commit one scene.

    Args:
        job: what to do.
        before_commit: called when all that is left to do is to wait for the disk.

    Raises:
        SceneError: the source breaks the format, changed while being read, asks for more memory
            than there is, or is simulated where the store is not (or the reverse).
        StoreError: the run has been superseded.
        OSError: the store cannot be written; a full disk has ``errno`` ENOSPC.
    """
    keep_freed_memory()
    scene = job.scene
    times = read_times_of(scene)
    attempt = job.run_folder / f"{scene.scene_id}-{uuid.uuid4().hex[:8]}"
    try:
        with _COMPUTING:
            warnings = _write(job, attempt, times)
        if before_commit is not None:
            before_commit()
        sync_tree(attempt)
        # As late as possible: who took the store over has removed the tokens of earlier runs.
        if not holds_token(job.run_folder):
            raise StoreError(
                f"store {job.store_path}: this run was superseded by another; "
                f"scene {scene.scene_id} was not committed"
            )
        written = commit_scene(
            attempt, job.store_path / SCENES / scene.scene_id, replace=job.replaces
        )
    except MemoryError as error:  # a scene that is small may fit all the same
        raise SceneError(
            f"scene {scene.scene_id}: asks for more memory than there is; --workers 1 needs the "
            "least"
        ) from error
    finally:
        shutil.rmtree(attempt, ignore_errors=True)
    return SceneResult(scene.scene_id, written, scene.n_bytes, times, warnings)


def files_of_job(job: SceneJob) -> tuple[Path, ...]:
    """The files that whoever does a job must see as they are: its source, the run's token."""
    scene, token = job.scene, job.run_folder / TOKEN_NAME
    return (scene.path, token) if scene.reference is None else (scene.path, scene.reference, token)


def read_times_of(scene: SceneFile) -> SourceTimes:
    """Modification times of a scene's files.

    Raises:
        SceneError: a file is gone or cannot be read.
    """
    with _reading(scene):
        return SourceTimes(
            scene.path.stat().st_mtime_ns,
            None if scene.reference is None else scene.reference.stat().st_mtime_ns,
        )


def read_digests_of(scene: SceneFile) -> tuple[FileDigest, FileDigest | None]:
    """Hash a scene's files.

    Raises:
        SceneError: a file is gone or cannot be read.
    """
    with _reading(scene):
        reference = None if scene.reference is None else read_digest(scene.reference)
        return read_digest(scene.path), reference


@contextmanager
def _reading(scene: SceneFile) -> Iterator[None]:
    """What goes wrong with a source file is the scene's fault, not the store's."""
    try:
        yield
    except OSError as error:
        raise SceneError(f"scene {scene.scene_id}: its source cannot be read: {error}") from error


def _write(job: SceneJob, attempt: Path, times: SourceTimes) -> tuple[str, ...]:
    scene = job.scene
    # Hashing reads the file from the disk; the conversion then finds it in the page cache.
    source, reference = read_digests_of(scene)
    options = job.options
    arrays = read_source_scene(
        scene, options.dtype, options.label_rule, ice_types=options.ice_types, pool=_POOL
    )
    simulated = bool(arrays.attributes.get("simulated", 0))
    if simulated != job.options.simulated:
        kinds = {True: "simulated", False: "real"}
        raise SceneError(
            f"scene {scene.scene_id}: is {kinds[simulated]}, the store holds "
            f"{kinds[job.options.simulated]} scenes; they never share a store: use another one"
        )
    # Only now, so that a scene that is refused leaves nothing on the disk.
    attempt.mkdir()
    write_scene(attempt, scene, arrays, job.options, source, reference)
    # A file that was replaced meanwhile may have given digests of one and values of the other.
    if read_times_of(scene) != times:
        raise SceneError(
            f"scene {scene.scene_id}: {scene.path} changed while it was read; try again"
        )
    return arrays.warnings
