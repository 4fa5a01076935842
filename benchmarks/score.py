"""The scorer beside scikit-learn, torchmetrics and the floor of reading, on full-size scenes.

Run ``python -m benchmarks.score``; writes benchmarks/results/score.md. Every row is timed in a
process of its own, with the files in the page cache. Predictions are the charts moved by some
pixels with a share of the pixels drawn at random, written as zlib NetCDF: about as smooth, and as
hard to inflate, as those of a network. The floor reads the arrays (predictions with netCDF4, truth
with xarray) and does nothing else.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from autoice_bench.charts import CHART_NAMES, CHARTS, FILL_VALUE
from autoice_bench.datasets.prepare.prepare import prepare
from autoice_bench.datasets.simulate.run import simulate
from autoice_bench.scoring.evaluate import evaluate
from autoice_bench.scoring.metrics.formulas import chart_score, combined_score
from autoice_bench.scoring.metrics.histograms import joint_histogram
from autoice_bench.scoring.predictions.writing import write_prediction
from autoice_bench.scoring.scores import build_scores
from autoice_bench.scoring.truth.store_truth import StoreTruth
from benchmarks.measure import Measurement, format_table, measure_alone, write_result

SHIFT = 40
"""Pixels by which the charts are moved: 3.2 km."""

RANDOM_SHARE = 0.05

SKLEARN_SCENES = 4
"""Scenes pooled for scikit-learn: it takes some 650 MB for each."""

Charts = dict[str, NDArray[np.uint8]]


def make_predictions(store: Path, folder: Path) -> list[str]:
    """Write a prediction of each test scene; returns the scene ids."""
    truth = StoreTruth(store)
    rng = np.random.default_rng(0)
    scene_ids = []
    for scene in truth.select("official", "test"):
        predicted = {}
        charts = truth.read(scene.scene_id)
        for chart in CHARTS:
            moved = np.roll(charts[chart.name], SHIFT, axis=(0, 1))
            moved[moved == FILL_VALUE] = 0
            noisy = rng.random(moved.shape, np.float32) < RANDOM_SHARE
            moved[noisy] = rng.integers(0, chart.n_classes, int(noisy.sum()), np.uint8)
            predicted[chart.name] = moved
        write_prediction(folder, scene.scene_id, predicted)
        scene_ids.append(scene.scene_id)
    return scene_ids


def read_plainly(store: Path, folder: Path, scene_id: str) -> tuple[Charts, Charts]:
    """Truth with xarray, predictions with netCDF4, as a careful user reads them."""
    with xr.open_zarr(store / "scenes" / scene_id, chunks=None) as scene:
        stacked = scene["charts"].values
    truth = {name: stacked[index] for index, name in enumerate(CHART_NAMES)}
    with netCDF4.Dataset(folder / f"{scene_id}.nc") as file:
        file.set_auto_maskandscale(False)
        predicted = {name: file.variables[name][...] for name in CHART_NAMES}
    return truth, predicted


def timed(function: Callable[[], Any], repeats: int = 1) -> float:
    """Median seconds of a call."""
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def score_ours(truth: Charts, predicted: Charts) -> float:
    counts = {c.name: joint_histogram(truth[c.name], predicted[c.name], c) for c in CHARTS}
    return float(combined_score({c.name: chart_score(counts[c.name], c) for c in CHARTS}))


def pool(pairs: Sequence[tuple[Charts, Charts]], name: str) -> tuple[Any, Any]:
    """Valid pixels of all scenes, concatenated, as the official evaluation takes them."""
    valid = [truth[name] != FILL_VALUE for truth, _ in pairs]
    truths = [truth[name][mask] for (truth, _), mask in zip(pairs, valid, strict=True)]
    predictions = [predicted[name][mask] for (_, predicted), mask in zip(pairs, valid, strict=True)]
    return np.concatenate(truths), np.concatenate(predictions)


def score_sklearn(pairs: Sequence[tuple[Charts, Charts]]) -> float:
    from sklearn.metrics import f1_score, r2_score

    scores = {}
    for chart in CHARTS:
        truth, predicted = pool(pairs, chart.name)
        if chart.metric == "r2":
            scores[chart.name] = r2_score(truth, predicted)
        else:
            scores[chart.name] = f1_score(truth, predicted, average="weighted")
    return float(combined_score(scores))


def score_torchmetrics(pairs: Sequence[tuple[Charts, Charts]]) -> float:
    import torch  # type: ignore[import-not-found,unused-ignore]
    from torchmetrics.functional import r2_score
    from torchmetrics.functional.classification import multiclass_f1_score

    scores = {}
    for chart in CHARTS:
        truth, predicted = (torch.from_numpy(a) for a in pool(pairs, chart.name))
        if chart.metric == "r2":
            scores[chart.name] = float(r2_score(predicted.double(), truth.double()))
        else:
            scores[chart.name] = float(
                multiclass_f1_score(
                    predicted.long(), truth.long(), chart.n_classes, average="weighted"
                )
            )
    return float(combined_score(scores))


def compute_alone(which: str, store: Path, folder: Path, scene_id: str) -> tuple[float, float]:
    """Seconds and score of computing on arrays in memory, one scene."""
    truth, predicted = read_plainly(store, folder, scene_id)
    result = []
    if which == "ours":
        seconds = timed(lambda: result.append(score_ours(truth, predicted)), 5)
    elif which == "scikit-learn":
        seconds = timed(lambda: result.append(score_sklearn([(truth, predicted)])))
    else:
        few = dict.fromkeys(truth, np.arange(5, dtype=np.uint8))
        score_torchmetrics([(few, few)])  # its first call sets the library up
        seconds = timed(lambda: result.append(score_torchmetrics([(truth, predicted)])))
    return seconds, result[-1]


OURS = """
import sys, time, json, resource
from pathlib import Path
from autoice_bench.scoring.evaluate import evaluate
from autoice_bench.scoring.scores import build_scores
from autoice_bench.scoring.truth.store_truth import StoreTruth
store, folder, workers = sys.argv[1:]
started = time.perf_counter()
evaluation = evaluate(Path(folder), StoreTruth(Path(store)), workers=int(workers))
build_scores(evaluation, "benchmark")
seconds = time.perf_counter() - started
peak = max(resource.getrusage(who).ru_maxrss
           for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
print(json.dumps([seconds, peak * 1024]))
"""
"""A program of its own: worker processes import their parent's main module again."""


def run_ours(store: Path, folder: Path, workers: int) -> Measurement:
    """From files to the table with its bootstrap intervals; the largest process is measured."""
    cores = sorted(os.sched_getaffinity(0))[:workers]
    command = [sys.executable, "-c", OURS, str(store), str(folder), str(workers)]
    process = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
    )
    seconds, peak = json.loads(process.stdout)
    return Measurement(seconds, peak, 0, None)


def run_sklearn(store: Path, folder: Path, scene_ids: list[str]) -> float:
    return score_sklearn([read_plainly(store, folder, scene_id) for scene_id in scene_ids])


def run_floor(store: Path, folder: Path, scene_ids: list[str]) -> int:
    return sum(
        array.nbytes
        for scene_id in scene_ids
        for charts in read_plainly(store, folder, scene_id)
        for array in charts.values()
    )


def run_bootstrap(store: Path, folder: Path) -> float:
    """Seconds of the whole table of scores with 2,000 resamples."""
    evaluation = evaluate(folder, StoreTruth(store), workers=1)
    return timed(lambda: build_scores(evaluation, "benchmark"))


def median_of(repeats: int, call: Callable[[], Measurement]) -> Measurement:
    runs = sorted((call() for _ in range(repeats)), key=lambda run: run.seconds)
    return runs[len(runs) // 2]


def compute_table(store: Path, folder: Path, scene_id: str) -> str:
    rows = []
    reference = expected = math.nan
    for which in ("scikit-learn", "ours", "torchmetrics"):
        if which == "torchmetrics" and importlib.util.find_spec("torchmetrics") is None:
            rows.append([which, "not installed", "", ""])
            continue
        run = measure_alone(compute_alone, which, store, folder, scene_id, cores=[0])
        seconds, value = run.value
        if which == "scikit-learn":
            reference, expected = seconds, value
        rows.append(
            [which, f"{seconds:.3f}", f"{reference / seconds:.1f}", f"{abs(value - expected):.0e}"]
        )
    columns = ["computing, one scene in memory", "s", "times scikit-learn", "difference"]
    return format_table(columns, rows)


def end_to_end_table(store: Path, folder: Path, scene_ids: list[str], repeats: int) -> str:
    n_scenes = len(scene_ids)
    few = scene_ids[:SKLEARN_SCENES]
    measured = {
        "scikit-learn, one process": (
            len(few),
            measure_alone(run_sklearn, store, folder, few, cores=[0]),
        ),
        "floor: reading, one process": (
            n_scenes,
            median_of(
                repeats, lambda: measure_alone(run_floor, store, folder, scene_ids, cores=[0])
            ),
        ),
        "ours, one process": (n_scenes, median_of(repeats, lambda: run_ours(store, folder, 1))),
        "ours, two processes": (n_scenes, median_of(repeats, lambda: run_ours(store, folder, 2))),
    }
    per_scene = {name: run.seconds / scenes for name, (scenes, run) in measured.items()}
    sklearn, floor, ours, _ = per_scene.values()
    rows = [
        [
            name,
            str(scenes),
            f"{per_scene[name]:.3f}",
            f"{sklearn / per_scene[name]:.1f}",
            f"{per_scene[name] / floor:.2f}",
            f"{ours / per_scene[name]:.2f}",
            f"{run.peak_bytes / 1e6:.0f}",
        ]
        for name, (scenes, run) in measured.items()
    ]
    columns = [
        "from files to scores",
        "scenes",
        "s / scene",
        "times scikit-learn",
        "time / floor",
        "times ours, one process",
        "peak MB / process",
    ]
    return format_table(columns, rows)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=20, help="test scenes")
    parser.add_argument("--size", default="5000,5229", help="lines,samples")
    parser.add_argument("--repeats", type=int, default=3, help="runs per row; the median counts")
    parser.add_argument("--work", type=Path, help="folder to keep scenes in between runs")
    options = parser.parse_args(arguments)
    lines, samples = (int(part) for part in options.size.split(","))
    with tempfile.TemporaryDirectory() as temporary:
        work = options.work or Path(temporary)
        store, folder = work / "autoice.zarr", work / "preds"
        if not folder.exists():
            simulate(work / "rtt", n_train=1, n_test=options.scenes, size=(lines, samples))
            prepare(work / "rtt", store)
            make_predictions(store, folder)
        scene_ids = [scene.scene_id for scene in StoreTruth(store).select("official", "test")]
        computing = compute_table(store, folder, scene_ids[0])
        end_to_end = end_to_end_table(store, folder, scene_ids, options.repeats)
        bootstrap = measure_alone(run_bootstrap, store, folder, cores=[0]).value
    path = write_result(
        "score",
        "# `score`: predictions and truth to scores",
        f"{len(scene_ids)} simulated scenes of {lines}x{samples} pixels, three charts, in the page "
        f"cache; median of {options.repeats} runs (scikit-learn once). One process is pinned to "
        "one core. Ours validates every value, hashes the predictions and ends with the whole "
        "table of scores, bootstrap included; scikit-learn computes the three scores alone, on "
        "the pooled pixels as the official evaluation does, in memory that grows with the scenes.",
        computing,
        end_to_end,
        f"The table of scores with intervals from 2,000 resamples takes {bootstrap:.2f} s of it.",
    )
    print(path.read_text())


if __name__ == "__main__":
    main()
