"""What a run of ``prepare`` would do, with sizes and time."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from autoice_bench.datasets.prepare.holding import Part
from autoice_bench.datasets.prepare.plan import Plan, make_plan
from autoice_bench.datasets.sources.scene_arrays import SarDtype
from autoice_bench.datasets.sources.scenes import read_source_scene
from autoice_bench.datasets.store.downscaling import Downscaling
from autoice_bench.errors import AutoIceError
from autoice_bench.formats.label_rule import AUTOICE_2022, LabelRule
from autoice_bench.wording import format_count, format_duration, format_path, format_size

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

    def to_dict(self) -> dict[str, Any]:
        plan = self.plan
        return {
            "store": str(plan.store_path),
            "to_write": [scene.scene_id for scene in plan.to_write],
            "without_charts": _ids_without_charts(plan),
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

    def to_text(self) -> str:
        plan = self.plan
        lines = [*plan.notes]
        without = set(_ids_without_charts(plan))
        for scene in plan.to_write:
            marks = ["test"] if scene.subset == "test" else []
            marks += ["no reference: no charts"] if scene.scene_id in without else []
            marks += ["replaces the one in the store"] if scene.scene_id in plan.replaced else []
            lines.append(
                f"{scene.scene_id}  {scene.n_bytes / 1e6:8.1f} MB  {', '.join(marks)}".rstrip()
            )
        if plan.to_extend:
            lines.append(
                f"overviews would be added to {format_count(len(plan.to_extend), 'scene')}"
            )
        if plan.replaces_store:
            lines.append(f"{format_path(plan.store_path)}: everything in it would be replaced")
        lines.append(
            f"{len(plan.to_write)} scenes to prepare ({format_size(plan.source_bytes)}), "
            f"{len(plan.done)} done; about {format_size(self.stored_bytes)} to write, "
            f"{format_size(self.free_bytes)} free"
        )
        if self.seconds is not None:
            worker = "worker" if self.n_workers == 1 else "workers"
            lines.append(f"about {format_duration(self.seconds)} with {self.n_workers} {worker}")
        return "\n".join(lines)


def estimate(
    source: Path,
    store: Path,
    dtype: SarDtype,
    part: Part | None,
    workers: int | None,
    *,
    label_rule: LabelRule = AUTOICE_2022,
    ice_types: bool = False,
    overviews: Sequence[Downscaling] = (),
    overwrite: bool = False,
) -> Estimate:
    """Say what ``prepare`` with the same arguments would do; reads one scene, writes nothing.

    Raises:
        SceneError: the source folder has no scenes.
        StoreError: the store has other options, or a source has changed, without ``overwrite``.
    """
    plan = make_plan(
        source.resolve(),
        store.resolve(),
        dtype,
        label_rule,
        part,
        ice_types=ice_types,
        overviews=overviews,
        overwrite=overwrite,
    )
    n_workers = max(1, min(workers or len(os.sched_getaffinity(0)), len(plan.to_write)))
    folder = next(path for path in (plan.store_path, *plan.store_path.parents) if path.is_dir())
    return Estimate(
        plan=plan,
        n_workers=n_workers,
        stored_bytes=plan.estimate_stored_bytes(plan.to_write),
        free_bytes=shutil.disk_usage(folder).free,
        seconds=_estimate_seconds(plan, n_workers),
    )


def _ids_without_charts(plan: Plan) -> list[str]:
    """Test scenes without a reference; whether the file carries charts itself shows on reading."""
    return [
        scene.scene_id
        for scene in plan.to_write
        if scene.kind == "rtt" and scene.subset == "test" and scene.reference is None
    ]


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
