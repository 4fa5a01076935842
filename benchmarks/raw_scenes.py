"""Time and memory of raw -> ready-to-train for one full-size scene, step by step, on one core.

Run ``python benchmarks/raw_scenes.py``; writes benchmarks/results/raw_scenes.md. The scene is made
up (speckle over smooth ice, a few hundred polygons) and written as the released files are, with
deflate and byte shuffle. Each step runs in a process of its own, pinned to one core, so that its
peak memory is its own.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import netCDF4
import numpy as np
from scipy.ndimage import zoom

from autoice_bench.datasets.egg_codes import EggCode, format_polygon_codes
from autoice_bench.datasets.label_tables import build_label_table, rasterise_labels
from autoice_bench.datasets.labels import AUTOICE_2022
from autoice_bench.datasets.raw_files import open_raw_file
from autoice_bench.datasets.raw_scenes import convert_raw_scene
from autoice_bench.datasets.variables import AMSR2_VARIABLES, ERA5_VARIABLES

NAME = (
    "S1B_EW_GRDM_1SDH_20180607T184326_20180607T184426_011270_014B0F_3A7C"
    "_icechart_dmi_201806071845_CentralEast_RIC.nc"
)
RESULT = Path(__file__).parent / "results" / "raw_scenes.md"
SAR = ("sar_lines", "sar_samples")
GRID_2KM = ("2km_grid_lines", "2km_grid_samples")


def write_raw_scene(path: Path, lines: int, samples: int) -> None:
    rng = np.random.default_rng(0)
    with netCDF4.Dataset(str(path), "w") as dataset:
        sizes = (lines, samples, lines // 50, samples // 50)
        for dim, size in zip((*SAR, *GRID_2KM), sizes, strict=True):
            dataset.createDimension(dim, size)
        for name, level in (("nersc_sar_primary", -15.0), ("nersc_sar_secondary", -25.0)):
            variable = dataset.createVariable(name, "f4", SAR, zlib=True)
            for start in range(0, lines, 500):
                block = rng.normal(level, 3, (min(500, lines - start), samples))
                variable[start : start + len(block)] = block.astype(np.float32)
        coarse = rng.integers(20, 320, (lines // 500 + 2, samples // 500 + 2))
        polygons = np.kron(coarse, np.ones((500, 500)))[:lines, :samples].astype(np.float32)
        polygons[: lines // 5] = np.nan
        dataset.createVariable("polygon_icechart", "f4", SAR, zlib=True)[:] = polygons
        zones = zoom(rng.uniform(0, 41, (8, 8)), (lines / 8, samples / 8), order=1).round()
        distance = dataset.createVariable("distance_map", "f4", SAR, zlib=True)
        distance[:] = np.clip(zones, 0, 41).astype(np.float32)
        write_small_variables(dataset, lines, samples)


def write_small_variables(dataset: netCDF4.Dataset, lines: int, samples: int) -> None:
    codes = [EggCode(i, 90, ca=60, sa=93, fa=5, cb=30, sb=91, fb=4) for i in range(20, 300)]
    rows = format_polygon_codes(codes)
    dataset.createDimension("polygon_codes", len(rows))
    variable = dataset.createVariable("polygon_codes", str, ("polygon_codes",))
    for at, row in enumerate(rows):
        variable[at] = row
    ties = [np.minimum(np.arange(21) * -(-n // 20), n - 1) for n in (lines, samples)]
    line, sample = (axis.ravel() for axis in np.meshgrid(*ties, indexing="ij"))
    dataset.createDimension("sar_grid_points", line.size)
    points = {
        "line": line,
        "sample": sample,
        "latitude": 70 - line / 2e3,
        "longitude": sample / 2e3,
        "incidenceangle": 19 + 28 * sample / samples,
    }
    for name, values in points.items():
        dataset.createVariable(f"sar_grid_{name}", "f8", ("sar_grid_points",))[:] = values
    for described in (*AMSR2_VARIABLES, *ERA5_VARIABLES):
        dataset.createVariable(described.name, "f8", GRID_2KM)[:] = described.mean


def rasterise(path: Path) -> float:
    """Seconds of labels per chart, the ids being in memory."""
    with open_raw_file(path) as raw:
        table = build_label_table(raw.read_egg_codes(), AUTOICE_2022, where=raw.scene_id)
        polygons = raw.read_polygons()
    started = time.perf_counter()
    charts = rasterise_labels(polygons.ids, table, fill_value=polygons.fill_value)
    return (time.perf_counter() - started) / len(charts)


def read_polygons(path: Path) -> float:
    started = time.perf_counter()
    with open_raw_file(path) as raw:
        raw.read_polygons()
    return time.perf_counter() - started


def convert(path: Path) -> float:
    started = time.perf_counter()
    convert_raw_scene(path)
    return time.perf_counter() - started


STEPS: dict[str, tuple[str, Callable[[Path], float]]] = {
    "read": ("read the polygon ids", read_polygons),
    "rasterise": ("labels at 40 m, per chart, ids in memory", rasterise),
    "convert": ("whole scene, file to RTT arrays", convert),
}


def measure(step: str, path: Path) -> tuple[float, float]:
    """Seconds and peak GiB of one step in a process of its own."""
    seconds, peak = run_script("--step", step, "--scene", str(path)).split()
    return float(seconds), float(peak)


def run_script(*arguments: str) -> str:
    command = [sys.executable, __file__, *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def run_step(step: str, path: Path) -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    seconds = STEPS[step][1](path)
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(seconds, peak_kib / 2**20)


def make_table(lines: int, samples: int, repeats: int) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, NAME)
        # Written in a process of its own: a child's peak starts at its parent's.
        size = f"{lines},{samples}"
        run_script("--step", "write", "--scene", str(path), "--size", size)
        size_mb = path.stat().st_size / 1e6
        measured = {step: [measure(step, path) for _ in range(repeats)] for step in STEPS}
    rows = [
        f"| {STEPS[step][0]} | {min(s for s, _ in runs):.2f} | {max(m for _, m in runs):.2f} |"
        for step, runs in measured.items()
    ]
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    machine = f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}"
    return "\n".join(
        [
            "# Raw scene to ready-to-train scene",
            "",
            f"One made-up scene of {lines}x{samples} pixels at 40 m, {size_mb:.0f} MB on disk "
            f"(deflate and shuffle). One core of {machine}; best time and largest peak of "
            f"{repeats} runs, {today}. Made by `python benchmarks/raw_scenes.py`.",
            "",
            "| step | seconds | peak memory (GiB) |",
            "|---|---:|---:|",
            *rows,
            "",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="10000,10500", help="lines,samples at 40 m")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULT, help="the table's file")
    parser.add_argument("--step", choices=("write", *STEPS), help=argparse.SUPPRESS)
    parser.add_argument("--scene", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    lines, samples = (int(part) for part in options.size.split(","))
    if options.step == "write":
        write_raw_scene(options.scene, lines, samples)
        return
    if options.step:
        run_step(options.step, options.scene)
        return
    table = make_table(lines, samples, options.repeats)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(table)
    print(table)


if __name__ == "__main__":
    main()
