"""A leaderboard of many submissions: ``leaderboard`` and ``leaderboard check``.

The submissions are made of drawn histograms, not of predictions: every submission has the same
truth, of the size of the released test scenes, and moves a share of its own of each class's pixels.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from autoice_bench.charts import CHARTS, Chart
from autoice_bench.formats.label_rule import AUTOICE_2022
from autoice_bench.scoring.evaluate import Evaluation
from autoice_bench.scoring.leaderboard.submission import write_submission
from autoice_bench.scoring.scores import build_scores
from autoice_bench.scoring.truth.protocol import TruthScene
from benchmarks.measure import format_table
from benchmarks.scale.commands import COLUMNS, format_row, run_often

DESCRIPTION: Final = "a leaderboard of many submissions"
SHAPE: Final = (5000, 5229)
REGIONS: Final = ("SGRDIMID", "SGRDIHA", "CentralEast", "NorthWest", "SouthEast")


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--submissions", type=int, default=500)
    parser.add_argument("--scenes", type=int, default=20, help="test scenes of each")


def run(options: argparse.Namespace) -> str:
    board = options.work / f"board-{options.submissions}-{options.scenes}"
    make_board(board, options.submissions, options.scenes)
    commands = {
        "leaderboard": (),
        "leaderboard --metric f1_macro": ("show", "--metric", "f1_macro"),
        "leaderboard --group scene": ("show", "--group", "scene"),
        "leaderboard check": ("check",),
    }
    rows = [
        format_row(name, run_often(options.repeats, "leaderboard", *words, "--leaderboard", board))
        for name, words in commands.items()
    ]
    return (
        f"{options.submissions} submissions of {options.scenes} scenes each, in the page cache; "
        f"median of {options.repeats} runs, start of Python included.\n\n"
        f"{format_table(COLUMNS, rows)}"
    )


def make_board(root: Path, n_submissions: int, n_scenes: int) -> None:
    """Write submissions to the board ``official`` until there are so many; those there stay."""
    rng = np.random.default_rng(0)
    scenes = tuple(make_scene(index) for index in range(n_scenes))
    truth = {chart.name: draw_truth(chart, n_scenes, rng) for chart in CHARTS}
    for index in range(n_submissions):
        name = f"model-{index:04d}"
        if (root / "official" / name).exists():
            continue
        own = np.random.default_rng([1, index])
        evaluation = Evaluation(
            split="official",
            subset="test",
            rule=AUTOICE_2022,
            simulated=True,
            scenes=scenes,
            histograms={
                chart.name: draw_histograms(truth[chart.name], own.uniform(0.05, 0.5), own)
                for chart in CHARTS
            },
            predictions_sha256=hashlib.sha256(name.encode()).hexdigest(),
        )
        write_submission(evaluation, root, name, build_scores(evaluation, name))


def make_scene(index: int) -> TruthScene:
    service = ("cis", "dmi")[index % 2]
    scene_id = f"{2032 + index // 120}{1 + index % 12:02d}{1 + index // 12 % 28:02d}T120000_{service}"
    digest = hashlib.sha256(json.dumps(scene_id).encode()).hexdigest()
    return TruthScene(scene_id, REGIONS[index % len(REGIONS)], SHAPE, digest)


def draw_truth(chart: Chart, n_scenes: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """(n_scenes, C) pixels of each class, 60 % of a scene in all."""
    shares = rng.dirichlet(np.full(chart.n_classes, 0.5), n_scenes)
    return np.rint(shares * 0.6 * SHAPE[0] * SHAPE[1]).astype(np.int64)


def draw_histograms(
    truth: NDArray[np.int64], error: float, rng: np.random.Generator
) -> NDArray[np.int64]:
    """(n_scenes, C, C + 1) counts; ``error`` of each class's pixels lie in other classes."""
    n_scenes, n_classes = truth.shape
    shares = rng.dirichlet(np.ones(n_classes), (n_scenes, n_classes)) * error
    shares[:, np.arange(n_classes), np.arange(n_classes)] += 1 - error
    counts = np.zeros((n_scenes, n_classes, n_classes + 1), np.int64)
    counts[..., :n_classes] = rng.multinomial(truth, shares)
    return counts
