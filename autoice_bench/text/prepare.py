"""What ``prepare`` tells: the estimate before a run, the outcome after it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from autoice_bench.datasets.prepare.estimate import Estimate
from autoice_bench.datasets.prepare.prepare import PrepareReport
from autoice_bench.wording import (
    format_count,
    format_duration,
    format_path,
    format_size,
    make_visible,
)

_SHOWN_WARNINGS: Final = 10


def format_estimate(estimate: Estimate) -> str:
    """What a run would do, scene by scene, with sizes and time."""
    plan = estimate.plan
    lines = [make_visible(note) for note in plan.notes]
    without = set(estimate.without_charts)
    for scene in plan.to_write:
        marks = ["test"] if scene.subset == "test" else []
        marks += ["no reference: no charts"] if scene.scene_id in without else []
        marks += ["replaces the one in the store"] if scene.scene_id in plan.replaced else []
        lines.append(
            f"{scene.scene_id}  {scene.n_bytes / 1e6:8.1f} MB  {', '.join(marks)}".rstrip()
        )
    if plan.to_extend:
        lines.append(f"overviews would be added to {format_count(len(plan.to_extend), 'scene')}")
    if plan.replaces_store:
        lines.append(f"{format_path(plan.store_path)}: everything in it would be replaced")
    lines.append(
        f"{len(plan.to_write)} scenes to prepare ({format_size(plan.source_bytes)}), "
        f"{len(plan.done)} done; about {format_size(estimate.stored_bytes)} to write, "
        f"{format_size(estimate.free_bytes)} free"
    )
    if estimate.seconds is not None:
        worker = "worker" if estimate.n_workers == 1 else "workers"
        lines.append(
            f"about {format_duration(estimate.seconds)} with {estimate.n_workers} {worker}"
        )
    return "\n".join(lines)


def format_prepare_report(report: PrepareReport) -> str:
    """The outcome of a run as text for a terminal."""
    lines = [make_visible(line) for line in (*report.notes, *_warning_lines(report.warnings))]
    lines += [f"failed: {make_visible(reason)}" for _, reason in sorted(report.failed.items())]
    done = f", {len(report.done)} were there already" if report.done else ""
    if report.extended:
        done += f", overviews added to {len(report.extended)}"
    failed = f", {len(report.failed)} failed" if report.failed else ""
    lines.append(
        f"{format_path(report.store.path)}: {len(report.written)} scenes written{done}{failed}"
    )
    if report.splits:
        possible = [split.name for split in report.splits if split.reason is None]
        lines.append(f"splits: {', '.join(possible) or 'none possible'}")
    elif report.store.state != "complete":
        lines.append("once all parts are done, run `prepare` without --part to complete the store")
    return "\n".join(lines)


def _warning_lines(warnings: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    lines = [f"warning: scene {key}: {line}" for key in sorted(warnings) for line in warnings[key]]
    yield from lines[:_SHOWN_WARNINGS]
    if len(lines) > _SHOWN_WARNINGS:
        yield (
            f"warning: {len(lines) - _SHOWN_WARNINGS} more; all of them are kept in the attribute "
            "'warnings' of the scenes"
        )
