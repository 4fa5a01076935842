"""How answers are compared, and commands that several targets share."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final

import numpy as np

from autoice_bench.scoring.predictions.reading import open_predictions
from tests.hostile.fuzzing.sandbox import OUT, Sandbox

CHARTS: Final = ("SIC", "SOD", "FLOE")


def digest_out(sandbox: Sandbox, _: str) -> object:
    """The charts of the predictions that a command wrote, or why they cannot be read."""
    try:
        predictions = open_predictions(next((sandbox.root / OUT).iterdir()))
        return [
            (chart, digest(predictions.read(scene_id, chart)))
            for scene_id in predictions.scene_ids
            for chart in predictions.read_shapes(scene_id)
        ]
    except Exception as error:  # whatever it is, it is another answer than the pristine one's
        return f"unreadable: {error}"


def no_answer(_: Sandbox, __: str) -> object:
    """Nothing to compare: the text holds times."""
    return None


def digest(values: Any) -> str:
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()


def scores(_: Sandbox, text: str) -> object:
    """What ``score --json`` says."""
    return json.loads(text)


SCORE: Final = ("score", "preds", "--store", "store", "--no-write", "--workers", "1", "--json")
SPLITS_CHECK: Final = ("splits", "check")
"""Simulated scenes share passes, which is a leak: exit status 1."""
FLOOR: Final = ("baseline", "majority", "--store", "store", "--out", f"{OUT}/floor")
