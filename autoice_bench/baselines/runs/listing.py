"""The runs in a folder as a table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from autoice_bench.baselines.runs.folder import find_runs
from autoice_bench.scoring.scores import COMBINED


def list_runs(root: Path) -> list[dict[str, Any]]:
    """One record per run of a folder, by name.

    ``val_combined`` is the best on validation scenes, at the recipe's own resolution;
    ``test_combined`` the score of its predictions of the split's test; None where there is none.

    Raises:
        BaselineError: a run's files are damaged.
    """
    rows = []
    for run in find_runs(root):
        record, metrics = run.read(), run.read_metrics()
        split = str(record.get("split"))
        rows.append(
            {
                "name": run.name,
                "run": str(run.path),
                "state": run.read_state(),
                "error": record.get("error"),
                "recipe": record["recipe"],
                "seed": record["seed"],
                "split": split,
                "simulated": record.get("simulated"),
                "epochs": len(metrics),
                "max_epochs": run.recipe.epochs,
                "val_combined": _find_best(metrics),
                "test_combined": record.get("scores", {}).get(split, {}).get(COMBINED),
                "scores": record.get("scores", {}),
                "training_seconds": _add_up_seconds(metrics),
            }
        )
    return rows


def _find_best(metrics: pd.DataFrame) -> float | None:
    """Highest combined score on the validation scenes; None where it is undefined."""
    if "val_combined" not in metrics or metrics["val_combined"].isna().all():
        return None
    return float(metrics["val_combined"].max())


def _add_up_seconds(metrics: pd.DataFrame) -> float | None:
    """Seconds of all epochs, those of earlier starts included; None before the first."""
    if not {"train_seconds", "val_seconds"} <= set(metrics.columns):
        return None
    return float(metrics["train_seconds"].sum() + metrics["val_seconds"].sum())
