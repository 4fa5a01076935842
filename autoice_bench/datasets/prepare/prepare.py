"""``prepare``: a folder of scenes becomes a store; interrupted at any moment, it resumes.

Planning reads the source folder and the store and decides scene by scene; execution runs one job
per scene. A scene that exists is exchanged in one step for a new one that is ready, and only with
``overwrite``; a store of other options grows beside the old one (``replacement``). Whatever
happens, ``scenes/`` holds whole scenes only.
"""

from __future__ import annotations

import errno
import os
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
from autoice_bench.datasets.prepare.plan import (
    Plan,
    PrepareRequest,
    lacking_overviews,
    make_plan,
)
from autoice_bench.datasets.prepare.replacement import (
    begin_replacement,
    discard_replacement,
    put_in_place,
    replacement_path,
)
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
from autoice_bench.wording import format_count, format_size

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
        scheduler: address of a dask scheduler, or the file that it wrote, to use instead of local
            processes.
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
            differ; the old ones stay until the new ones are ready.
        on_plan: called once before the first scene is read.
        on_scene: called for every scene as it is committed.
        on_extended: called with the id of every scene that was there, as it gets its overviews.

    Returns:
        What was done.

    Raises:
        SceneError: the source folder has no scenes, or a scene is bad and ``on_error`` is "stop".
        LabelError: labels or ice types that only raw scenes can give.
        StoreError: the store is busy, has other options, or the disk is full.
        ClusterError: the dask cluster is not there, or cannot do this work.
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
            opened = _take_store(plan, run, part, grid_anchor, times)
            if on_plan is not None:
                on_plan(plan)
            with _executor(workers, scheduler, len(plan.to_write)) as execute:
                results, failed = _execute(plan, run, execute, on_error, on_scene)
            extended = _extend(plan, opened, run, failed, workers, on_extended)
            times |= plan.times_of_done
            times |= {result.scene_id: result.times for result in results}
            waits = _why_it_waits(plan, part, failed)
            if plan.replaces_store and waits is None:
                opened = _replace_store(plan, opened, run, failed)
            elif waits is not None:
                opened = open_store(plan.store_path)
            splits: tuple[NamedSplitResult, ...] = ()
            if part is None and waits is None:
                opened, splits = _complete(opened, times)
            notes = (*plan.notes, *run.notes, *([waits] if waits else []))
    except OSError as error:
        raise _explain_os_error(error, plan) from error
    return PrepareReport(
        store=opened,
        written=tuple(sorted(result.scene_id for result in results if result.written)),
        done=plan.done,
        extended=extended,
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
    # A time stands for the scene that is there; if this run is killed just after it exchanged the
    # scene, the old time must not vouch for the new one.
    for scene in plan.to_write:
        times.pop(scene.scene_id, None)
    run.record(times)
    if part is None:
        remove_dead_runs(plan.store_path, run.folder, replacement_path(plan.store_path))
    return times


def _take_store(
    plan: Plan,
    run: Run,
    part: Part | None,
    grid_anchor: GridAnchor | None,
    times: Mapping[str, SourceTimes],
) -> Store:
    """Open or create the store that scenes go to.

    Its state is ``preparing`` if there is anything to do; a store that is to be replaced as a whole
    stays as it is, and its replacement is opened.
    """
    if not (plan.store_path / ZARR_METADATA).exists():
        return create_store(plan.store_path, plan.options, grid_anchor or "centre")
    store = open_store(plan.store_path)
    anchor = grid_anchor or store.grid_anchor
    if plan.replaces_store:
        ids = None if part is not None else {*plan.done, *(one.scene_id for one in plan.to_write)}
        return begin_replacement(plan.store_path, plan.options, anchor, run.folder, ids)
    same = replace(store.options, overviews=plan.options.overviews) == plan.options
    if not same or not {*store.options.overviews}.issubset(plan.options.overviews):
        raise StoreError(f"store {plan.store_path}: another run changed it; run the command again")
    if part is None:
        discard_replacement(plan.store_path, run.folder)
    wanted = replace(store, options=plan.options, grid_anchor=anchor)
    if plan.to_write or plan.to_extend:
        wanted = replace(wanted, state="preparing", fingerprint=None, index_sha256=None)
    if wanted != store:
        write_root(wanted)
    if plan.replaced:  # the index on disk must not vouch for them either
        write_index(wanted, build_index(wanted, times))
    return wanted


def _execute(
    plan: Plan,
    run: Run,
    execute: Executor,
    on_error: OnError,
    on_scene: Callable[[SceneResult], None] | None,
) -> tuple[list[SceneResult], dict[str, str]]:
    """Run the jobs; return what was committed and what failed."""
    jobs = [
        SceneJob(scene, plan.target_path, run.folder, plan.options, scene.scene_id in plan.replaced)
        for scene in plan.to_write
    ]
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
    failed: Mapping[str, str],
    workers: int | None,
    on_extended: Callable[[str], None] | None,
) -> tuple[str, ...]:
    """Add overviews to scenes that are there; in threads, since decoding needs no interpreter.

    Returns:
        Ids of the scenes that got them.
    """
    # A scene that could not be replaced stays, and is one of the store's like the others.
    stays = [scene_id for scene_id in plan.replaced if scene_id in failed]
    lacking = lacking_overviews(store, stays, plan.options.overviews)
    to_extend = (*plan.to_extend, *lacking)
    if not to_extend:
        return ()

    def extend(scene_id: str) -> str:
        extend_scene(store, scene_id, plan.options.overviews, run.folder)
        return scene_id

    n_threads = min(workers or len(os.sched_getaffinity(0)), _MOST_THREADS)
    with ThreadPoolExecutor(n_threads, thread_name_prefix="overviews") as pool:
        try:
            for scene_id in pool.map(extend, to_extend):
                if on_extended is not None:
                    on_extended(scene_id)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return to_extend


def _why_it_waits(plan: Plan, part: Part | None, failed: Mapping[str, str]) -> str | None:
    """Why a replacement does not take its place yet; None where it does, or there is none."""
    if not plan.replaces_store:
        return None
    if part is not None:
        return (
            "the old store stays until all parts are done; run `prepare --overwrite` with the same "
            "options, without --part, to put the new one in its place"
        )
    lost = set(open_store(plan.store_path).scene_ids()).intersection(failed)
    if not lost:
        return None
    return (
        f"{format_count(len(lost), 'scene')} of the store could not be prepared anew: it stays, "
        "and the others wait beside it; mend their sources, or take them out of the source folder, "
        "and run the same command again"
    )


def _replace_store(plan: Plan, replacement: Store, run: Run, failed: Mapping[str, str]) -> Store:
    wanted = {*plan.done, *(scene.scene_id for scene in plan.to_write)}.difference(failed)
    if set(replacement.scene_ids()) != wanted:
        raise StoreError(f"store {plan.store_path}: another run changed it; run the command again")
    return put_in_place(replacement, plan.store_path, run.folder)


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
    present = _present(plan.target_path, plan.to_write)
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
