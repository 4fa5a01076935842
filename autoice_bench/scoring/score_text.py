"""What ``score`` prints: the summary of one submission, as text and as a record."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from autoice_bench.charts import CHARTS
from autoice_bench.scoring.evaluate import Evaluation
from autoice_bench.scoring.leaderboard_text import format_table
from autoice_bench.scoring.metric_table import headline_metric
from autoice_bench.scoring.scores import COMBINED, OFFICIAL
from autoice_bench.scoring.truth import PUBLISHED_RULE, LabelRule
from autoice_bench.wording import format_count

_LABELS = {"r2": "R2", "f1_weighted": "weighted F1", COMBINED: "2 : 2 : 1"}


def summarise(
    evaluation: Evaluation, scores: pd.DataFrame, name: str, folder: Path | None
) -> dict[str, Any]:
    """The scores over all scenes as a record that JSON can hold.

    Args:
        evaluation: what was counted.
        scores: its table, see ``scores.build_scores``.
        name: the submission's name.
        folder: where the submission was written, if it was.
    """
    overall = scores[scores["group_kind"] == "all"]
    charts = [(chart.name, headline_metric(chart)) for chart in CHARTS]
    return {
        "submission": name,
        "split": evaluation.board,
        "simulated": evaluation.simulated,
        "truth_fingerprint": evaluation.truth_fingerprint,
        "label_rule": asdict(evaluation.rule),
        "predictions_sha256": evaluation.predictions_sha256,
        "n_scenes": len(evaluation.scenes),
        "rankable": evaluation.rankable,
        "missing": list(evaluation.missing),
        "mask_class_pixels": evaluation.mask_class_pixels,
        "scores": [
            _summarise_score(overall, chart, metric)
            for chart, metric in [(COMBINED, COMBINED), *charts]
        ],
        "folder": None if folder is None else str(folder),
    }


def _summarise_score(overall: pd.DataFrame, chart: str, metric: str) -> dict[str, Any]:
    rows = overall[(overall["chart"] == chart) & overall["class_index"].isna()]
    row = rows[rows["metric"] == metric].iloc[0]
    official = rows[rows["metric"] == OFFICIAL].iloc[0]
    numbers = {
        "official": official["value"],
        "value": row["value"],
        "ci_low": row["ci_low"],
        "ci_high": row["ci_high"],
    }
    return {
        "chart": chart,
        "metric": metric,
        **{key: float(number) if np.isfinite(number) else None for key, number in numbers.items()},
        "reason": row["reason"] if isinstance(row["reason"], str) else None,
    }


def format_summary(summary: dict[str, Any]) -> str:
    """A record of ``summarise`` as text."""
    scenes = format_count(
        summary["n_scenes"], "simulated scene" if summary["simulated"] else "scene"
    )
    lines = [f"{summary['submission']}: {scenes}, split {summary['split']}"]
    rule = LabelRule(**summary["label_rule"])
    if rule != PUBLISHED_RULE:
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
