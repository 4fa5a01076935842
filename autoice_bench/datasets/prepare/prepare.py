"""``prepare``: a folder of scenes becomes a store; interrupted at any moment, it resumes.

Planning reads the source folder and the store and decides scene by scene; execution runs one job
per scene and never touches a scene that exists. Whatever happens, ``scenes/`` holds whole scenes
only.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

from autoice_bench.datasets.prepare.executors import Executor, Outcome, dask_cluster, local_workers
from autoice_bench.datasets.prepare.extension import extend_scene
from autoice_bench.datasets.prepare.holding import (
    Part,
    Run,
    read_journals,
    remove_dead_runs,
    start_run,
)
from autoice_bench.datasets.prepare.job import SceneJob, SceneResult
from autoice_bench.datasets.prepare.plan import Plan, PrepareRequest, make_plan
from autoice_bench.datasets.sources.scene_arrays import SarDtype
from autoice_bench.datasets.splits.named import NamedSplitResult, write_named_splits
from autoice_bench.datasets.splits.scene_table import validate_split_index
from autoice_bench.datasets.store.downscaling import Downscaling
from autoice_bench.datasets.store.index import (
    SourceTimes,
    build_index,
    fingerprint_scenes,
    read_index,
    read_times,
    write_index,
)
from autoice_bench.datasets.store.root import (
    Store,
    create_store,
    mark_complete,
    open_store,
    write_root,
)
from autoice_bench.errors import AutoIceError, LabelError, SceneError, StoreError
from autoice_bench.formats.label_rule import AUTOICE_2022, LabelRule
from autoice_bench.formats.rtt_folder import SceneFile
from autoice_bench.formats.shards import ZARR_METADATA
from autoice_bench.formats.variables import GridAnchor
from autoice_bench.wording import format_size

OnError = Literal["stop", "skip"]

_MOST_THREADS: Final = 4
"""Threads that add overviews; each holds a scene."""


@dataclass(frozen=True)
class PrepareReport:
    """What a run did.

    Attributes:
        store: the store as it is now.
        written: ids of the scenes written.
        done: ids of the scenes that were there, unchanged.
        extended: ids of the scenes that were there and got overviews.
        failed: scene id to what is wrong with it, one line each (``on_error="skip"``).
        warnings: scene id to remarks.
        splits: what became of each named split; empty for a part.
        notes: remarks about the source folder and the store.
    """

    store: Store
    written: tuple[str, ...]
    done: tuple[str, ...]
    extended: tuple[str, ...]
    failed: Mapping[str, str]
    warnings: Mapping[str, tuple[str, ...]]
    splits: tuple[NamedSplitResult, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The outcome as JSON values."""
        return {
            "store": str(self.store.path),
            "state": self.store.state,
            "store_fingerprint": self.store.fingerprint,
            "written": list(self.written),
            "done": list(self.done),
            "overviews_added": list(self.extended),
            "failed": dict(self.failed),
            "warnings": {scene_id: list(lines) for scene_id, lines in self.warnings.items()},
            "splits": [split.name for split in self.splits if split.reason is None],
            "notes": list(self.notes),
        }


def prepare(
    source: Path | str,
    store: Path | str,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    part: Part | None = None,
    dtype: SarDtype = "float16",
    label_rule: LabelRule = AUTOICE_2022,
    ice_types: bool = False,
    overviews: Sequence[Downscaling] = (),
    grid_anchor: GridAnchor | None = None,
    on_error: OnError = "stop",
    overwrite: bool = False,
    on_plan: Callable[[Plan], None] | None = None,
    on_scene: Callable[[SceneResult], None] | None = None,
    on_extended: Callable[[str], None] | None = None,
) -> PrepareReport:
    """Convert every scene under ``source`` into the store, or finish what an earlier run began.

    Args:
        source: folder of ready-to-train or of raw scenes, in any layout; may be read-only.
        store: folder of the store; made if absent.
        workers: local processes; None for all cores, 1 for this process.
        scheduler: address of a dask scheduler to use instead of local processes.
        part: prepare only this part of the scenes, beside other parts; the store is completed by a
            last run without ``part``.
        dtype: dtype of the SAR channels.
        label_rule: rule and thresholds of the labels; other than the default for raw scenes only.
        ice_types: also store the ten ice types, for raw scenes only.
        overviews: also store the scenes downscaled like this; scenes that are there get what they
            lack, and keep what they have.
        grid_anchor: which pixel of its cell a 2 km value belongs to, for the store to record; None
            for what it records already, or ``centre``.
        on_error: at a bad scene, ``stop``, or ``skip`` it and list it in the report.
        overwrite: replace scenes whose source has changed, or the whole store if its options
            differ.
        on_plan: called once before the first scene is read.
        on_scene: called for every scene as it is committed.
        on_extended: called with the id of every scene that was there, as it gets its overviews.

    Returns:
        What was done.

    Raises:
        SceneError: the source folder has no scenes, or a scene is bad and ``on_error`` is "stop".
        LabelError: labels or ice types that only raw scenes can give.
        StoreError: the store is busy, has other options, or the disk is full.
    """
    request = PrepareRequest(
        source=Path(source),
        store=Path(store),
        part=part,
        dtype=dtype,
        label_rule=label_rule,
        ice_types=ice_types,
        overviews=tuple(overviews),
        overwrite=overwrite,
    )
    return run_request(
        request,
        workers=workers,
        scheduler=scheduler,
        grid_anchor=grid_anchor,
        on_error=on_error,
        on_plan=on_plan,
        on_scene=on_scene,
        on_extended=on_extended,
    )


def run_request(
    request: PrepareRequest,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    grid_anchor: GridAnchor | None = None,
    on_error: OnError = "stop",
    on_plan: Callable[[Plan], None] | None = None,
    on_scene: Callable[[SceneResult], None] | None = None,
    on_extended: Callable[[str], None] | None = None,
) -> PrepareReport:
    """What ``prepare`` does, with the wanted store as one value; its arguments, its errors."""
    plan, part = make_plan(request), request.part
    try:
        with start_run(plan.store_path, part) as run:
            times = _inherit_times(plan, run, part)
            opened = _take_store(plan, run, grid_anchor)
            if on_plan is not None:
                on_plan(plan)
            with _executor(workers, scheduler, len(plan.to_write)) as execute:
                results, failed = _execute(plan, run, execute, on_error, on_scene)
            _extend(plan, opened, run, workers, on_extended)
            times |= plan.times_of_done
            times |= {result.scene_id: result.times for result in results}
            splits: tuple[NamedSplitResult, ...] = ()
            if part is None:
                opened, splits = _complete(opened, times)
            notes = (*plan.notes, *run.notes)
    except OSError as error:
        raise _explain_os_error(error, plan) from error
    return PrepareReport(
        store=opened,
        written=tuple(sorted(result.scene_id for result in results if result.written)),
        done=plan.done,
        extended=plan.to_extend,
        failed=failed,
        warnings={result.scene_id: result.warnings for result in results if result.warnings},
        splits=splits,
        notes=notes,
    )


def _inherit_times(plan: Plan, run: Run, part: Part | None) -> dict[str, SourceTimes]:
    """Take over what earlier runs recorded, before what is left of them is removed."""
    times: dict[str, SourceTimes] = {}
    if (plan.store_path / ZARR_METADATA).is_file():
        times = read_times(open_store(plan.store_path)) | read_journals(plan.store_path)
    run.record(times)
    if part is None:
        remove_dead_runs(plan.store_path, run)
    return times


def _take_store(plan: Plan, run: Run, grid_anchor: GridAnchor | None) -> Store:
    """Open or create the store; its state is ``preparing`` if there is anything to do."""
    _remove_replaced(plan, run)
    if not (plan.store_path / ZARR_METADATA).exists():
        return create_store(plan.store_path, plan.options, grid_anchor or "centre")
    store = open_store(plan.store_path)
    same = replace(store.options, overviews=plan.options.overviews) == plan.options
    if not same or not {*store.options.overviews}.issubset(plan.options.overviews):
        raise StoreError(f"store {plan.store_path}: another run changed it; run the command again")
    wanted = replace(store, options=plan.options, grid_anchor=grid_anchor or store.grid_anchor)
    if plan.to_write or plan.to_extend:
        wanted = replace(wanted, state="preparing", fingerprint=None, index_sha256=None)
    if wanted != store:
        write_root(wanted)
    return wanted


def _execute(
    plan: Plan,
    run: Run,
    execute: Executor,
    on_error: OnError,
    on_scene: Callable[[SceneResult], None] | None,
) -> tuple[list[SceneResult], dict[str, str]]:
    """Run the jobs; return what was committed and what failed."""
    jobs = [SceneJob(scene, plan.store_path, run.folder, plan.options) for scene in plan.to_write]
    results: list[SceneResult] = []
    failed: dict[str, str] = {}
    with closing(execute(jobs)) as outcomes:
        for job, outcome in outcomes:
            if isinstance(outcome, SceneResult):
                results.append(outcome)
                run.record({outcome.scene_id: outcome.times})
                if on_scene is not None:
                    on_scene(outcome)
            else:
                failed |= _handle_failure(job, outcome, on_error)
    return results, failed


def _extend(
    plan: Plan,
    store: Store,
    run: Run,
    workers: int | None,
    on_extended: Callable[[str], None] | None,
) -> None:
    """Add overviews to scenes that are there; in threads, since decoding needs no interpreter."""
    if not plan.to_extend:
        return

    def extend(scene_id: str) -> str:
        extend_scene(store, scene_id, plan.options.overviews, run.folder)
        return scene_id

    n_threads = min(workers or len(os.sched_getaffinity(0)), _MOST_THREADS)
    with ThreadPoolExecutor(n_threads, thread_name_prefix="overviews") as pool:
        try:
            for scene_id in pool.map(extend, plan.to_extend):
                if on_extended is not None:
                    on_extended(scene_id)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _executor(
    workers: int | None, scheduler: str | None, n_jobs: int
) -> AbstractContextManager[Executor]:
    if scheduler is not None and n_jobs:
        return dask_cluster(scheduler)
    cores = len(os.sched_getaffinity(0))
    return local_workers(max(1, min(workers or cores, n_jobs)))


def _handle_failure(job: SceneJob, outcome: Outcome, on_error: OnError) -> dict[str, str]:
    """Return what to report of a bad scene, or raise what must end the run."""
    assert isinstance(outcome, BaseException)
    if not isinstance(outcome, SceneError | LabelError):
        raise outcome
    if on_error == "stop":
        raise type(outcome)(
            f"{outcome}. Stopped; what is done is kept: run the same command again, or with "
            "--on-error skip to go on without such scenes"
        )
    return {job.scene.scene_id: str(outcome)}


def _remove_replaced(plan: Plan, run: Run) -> None:
    """With ``overwrite``: take away what the plan replaces, so that no reader sees half of it."""
    store = Store(plan.store_path, plan.options)
    for scene_id in store.scene_ids() if plan.replaces_store else plan.replaced:
        old = run.folder / f"replaced-{scene_id}"
        # In one step it is no scene any more; removing it takes time.
        store.scene_path(scene_id).rename(old)
        shutil.rmtree(old)
    if plan.replaces_store:
        # The root goes last: until then an interrupted run finds the old options and goes on.
        shutil.rmtree(store.scenes_path, ignore_errors=True)
        store.index_path.unlink(missing_ok=True)
        (store.path / ZARR_METADATA).unlink()


def _complete(
    store: Store, times: Mapping[str, SourceTimes]
) -> tuple[Store, tuple[NamedSplitResult, ...]]:
    """Write the index, the named splits and the fingerprint, and mark the store complete."""
    # The root comes last: until it says "complete", readers do not trust the index.
    table = build_index(store, times)
    index_sha256 = write_index(store, table)
    fingerprint = fingerprint_scenes(store, table)
    splits = write_named_splits(store.path, validate_split_index(read_index(store)))
    return mark_complete(store, fingerprint, index_sha256), tuple(splits)


def _explain_os_error(error: OSError, plan: Plan) -> AutoIceError:
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return StoreError(f"store {plan.store_path}: cannot be written: {error}")
    present = _present(plan.store_path, plan.to_write)
    remaining = [scene for scene in plan.to_write if scene.scene_id not in present]
    needed = plan.estimate_stored_bytes(remaining)
    return StoreError(
        f"store {plan.store_path}: the disk is full; {len(present) + len(plan.done)} scenes are "
        f"done and kept, the other {len(remaining)} need about {format_size(needed)} more; free "
        "some space and run the same command again"
    )


def _present(store_path: Path, scenes: Iterable[SceneFile]) -> set[str]:
    ids = (
        set(open_store(store_path).scene_ids()) if (store_path / ZARR_METADATA).is_file() else set()
    )
    return ids & {scene.scene_id for scene in scenes}
