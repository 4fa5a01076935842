"""What a run of ``prepare`` would do, with sizes and time."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass
from typing import Any, Final

from autoice_bench.datasets.prepare.plan import Plan, PrepareRequest, make_plan
from autoice_bench.datasets.sources.scenes import read_source_scene
from autoice_bench.errors import AutoIceError

_WHOLE_PER_READ: Final = 1.6
"""Time for a scene beside the time to read and validate it (benchmarks/prepare.py)."""


@dataclass(frozen=True)
class Estimate:
    """What a run would do.

    Attributes:
        plan: the decisions, scene by scene.
        n_workers: processes that would share the work.
        stored_bytes: bytes that would be written, about.
        free_bytes: free space where the store lies or would lie.
        seconds: time it would take, about, from reading one scene here; None with nothing to do or
            where the first scene cannot be read.
    """

    plan: Plan
    n_workers: int
    stored_bytes: float
    free_bytes: int
    seconds: float | None

    @property
    def without_charts(self) -> tuple[str, ...]:
        """Test scenes without a reference; whether a file has charts itself shows on reading."""
        return tuple(
            scene.scene_id
            for scene in self.plan.to_write
            if scene.kind == "rtt" and scene.subset == "test" and scene.reference is None
        )

    def to_dict(self) -> dict[str, Any]:
        """The estimate as JSON values."""
        plan = self.plan
        return {
            "store": str(plan.store_path),
            "to_write": [scene.scene_id for scene in plan.to_write],
            "without_charts": list(self.without_charts),
            "done": list(plan.done),
            "overviews_added": list(plan.to_extend),
            "replaced": list(plan.replaced),
            "replaces_store": plan.replaces_store,
            "source_bytes": plan.source_bytes,
            "stored_bytes": round(self.stored_bytes),
            "free_bytes": self.free_bytes,
            "workers": self.n_workers,
            "seconds": self.seconds,
            "notes": list(plan.notes),
        }


def estimate(request: PrepareRequest, workers: int | None = None) -> Estimate:
    """Say what ``prepare`` would do; reads one scene, writes nothing.

    Args:
        request: what it is asked for.
        workers: local processes; None for all cores.

    Raises:
        SceneError: the source folder has no scenes.
        LabelError: labels or ice types that only raw scenes can give.
        StoreError: the store has other options, or a source has changed, without ``overwrite``.
    """
    plan = make_plan(request)
    n_workers = max(1, min(workers or len(os.sched_getaffinity(0)), len(plan.to_write)))
    folder = next(path for path in (plan.store_path, *plan.store_path.parents) if path.is_dir())
    return Estimate(
        plan=plan,
        n_workers=n_workers,
        stored_bytes=plan.estimate_stored_bytes(plan.to_write),
        free_bytes=shutil.disk_usage(folder).free,
        seconds=_estimate_seconds(plan, n_workers),
    )


def _estimate_seconds(plan: Plan, n_workers: int) -> float | None:
    if not plan.to_write:
        return None
    scene = plan.to_write[0]
    started = time.perf_counter()
    try:
        read_source_scene(scene, plan.options.dtype, plan.options.label_rule)
    except AutoIceError:
        return None
    seconds_per_byte = (time.perf_counter() - started) / scene.n_bytes
    return _WHOLE_PER_READ * seconds_per_byte * plan.source_bytes / n_workers
