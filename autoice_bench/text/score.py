"""What ``score`` prints: the summary of one submission, as text and as a record."""

from __future__ import annotations

from typing import Any

from autoice_bench.formats.label_rule import AUTOICE_2022, LabelRule
from autoice_bench.scoring.scores import COMBINED
from autoice_bench.text.tables import format_table
from autoice_bench.wording import format_count

_LABELS = {"r2": "R2", "f1_weighted": "weighted F1", COMBINED: "2 : 2 : 1"}


def format_summary(summary: dict[str, Any]) -> str:
    """A record of ``summarise`` as text."""
    scenes = format_count(
        summary["n_scenes"], "simulated scene" if summary["simulated"] else "scene"
    )
    lines = [f"{summary['submission']}: {scenes}, split {summary['split']}"]
    rule = LabelRule(**summary["label_rule"])
    if rule != AUTOICE_2022:
        lines.append(f"  labels {rule}: not comparable with scores on the released labels")
    rows = []
    for score in summary["scores"]:
        value = "undefined" if score["official"] is None else f"{score['official']:.3f}"
        interval = (
            f"({score['reason']})"
            if score["ci_low"] is None
            else f"[{score['ci_low']:.1f}, {score['ci_high']:.1f}]"
        )
        rows.append(["", score["chart"], _LABELS[score["metric"]], value, interval])
    lines.append(format_table(rows, left=(1, 2, 4)))
    masked = {name: count for name, count in summary["mask_class_pixels"].items() if count}
    if masked:
        counts = ", ".join(f"{name} {count}" for name, count in masked.items())
        lines.append(f"  mask class predicted in valid pixels, counted as wrong: {counts}")
    if not summary["rankable"]:
        lines.append(f"  partial: {len(summary['missing'])} missing; not ranked")
    if summary["folder"] is not None:
        lines.append(f"  written to {summary['folder']}")
    return "\n".join(lines)
