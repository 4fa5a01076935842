"""What ``prepare`` tells: the estimate before a run, the outcome after it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from autoice_bench.datasets.prepare.prepare import PrepareReport
from autoice_bench.wording import format_path

_SHOWN_WARNINGS: Final = 10


def report_to_dict(report: PrepareReport) -> dict[str, Any]:
    """The outcome of a run as JSON values."""
    return {
        "store": str(report.store.path),
        "state": report.store.state,
        "store_fingerprint": report.store.fingerprint,
        "written": list(report.written),
        "done": list(report.done),
        "overviews_added": list(report.extended),
        "failed": dict(report.failed),
        "warnings": {scene_id: list(lines) for scene_id, lines in report.warnings.items()},
        "splits": [split.name for split in report.splits if split.reason is None],
        "notes": list(report.notes),
    }


def report_to_text(report: PrepareReport) -> str:
    """The outcome of a run as text for a terminal."""
    lines = [*report.notes, *_warning_lines(report.warnings)]
    lines += [f"failed: {reason}" for _, reason in sorted(report.failed.items())]
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
