"""Raw -> ready-to-train for one full-size scene on one core, beside a plain script.

Run ``python -m benchmarks.raw_scenes``; writes benchmarks/results/raw_scenes.md. The scene is made
up (speckle, a few hundred polygons) and written as the released files are, with deflate and byte
shuffle. Every row is measured in a process of its own, with the source in the page cache.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import xarray as xr
from scipy.interpolate import RectBivariateSpline
from scipy.ndimage import zoom

from autoice_bench.charts import CHARTS, FILL_VALUE
from autoice_bench.datasets.labels.egg_codes import (
    EggCode,
    format_polygon_codes,
    parse_polygon_codes,
)
from autoice_bench.datasets.labels.rasters import derive_charts, max_2x2
from autoice_bench.datasets.labels.rules import derive_labels
from autoice_bench.datasets.sources.raw import open_raw_file
from autoice_bench.datasets.sources.raw_conversion import convert_raw_scene
from autoice_bench.formats.label_rule import AUTOICE_2022
from autoice_bench.formats.variables import (
    AMSR2_VARIABLES,
    DISTANCE_MAP,
    ERA5_VARIABLES,
    SAR_VARIABLES,
    standardise,
)
from benchmarks.measure import Measurement, format_table, measure_alone, write_result

NAME = (
    "S1B_EW_GRDM_1SDH_20180607T184326_20180607T184426_011270_014B0F_3A7C"
    "_icechart_dmi_201806071845_CentralEast_RIC.nc"
)
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


def read_polygons(path: Path) -> float:
    """Seconds to read the polygon ids."""
    started = time.perf_counter()
    with open_raw_file(path) as raw:
        raw.read_polygons()
    return time.perf_counter() - started


def rasterise(path: Path) -> float:
    """Seconds of charts at 80 m, per chart, the ids being in memory."""
    with open_raw_file(path) as raw:
        egg_codes, polygons = raw.read_egg_codes(), raw.read_polygons()
    started = time.perf_counter()
    derive_charts(polygons, egg_codes, AUTOICE_2022, where=raw.scene_id)
    return (time.perf_counter() - started) / len(CHARTS)


def rasterise_by_masks(path: Path) -> float:
    """Seconds of charts at 80 m, per chart, with one mask per polygon, the ids being in memory."""
    with open_raw_file(path) as raw:
        egg_codes, ids = raw.read_egg_codes(), raw.read_polygons().ids
    started = time.perf_counter()
    for chart in label_by_masks(ids, egg_codes):
        max_2x2(chart[: len(chart) // 2 * 2, : chart.shape[1] // 2 * 2])
    return (time.perf_counter() - started) / len(CHARTS)


def label_by_masks(ids: np.ndarray, egg_codes: tuple[EggCode, ...]) -> np.ndarray:
    charts = np.full((len(CHARTS), *ids.shape), FILL_VALUE, np.uint8)
    for egg_code in egg_codes:
        mask = ids == egg_code.poly_id
        for chart, label in zip(charts, derive_labels(egg_code), strict=True):
            chart[mask] = label
    return charts


def convert(path: Path) -> float:
    """Seconds of the whole conversion, as ``prepare`` asks for it."""
    started = time.perf_counter()
    convert_raw_scene(path, dtype="float16")
    return time.perf_counter() - started


def convert_plainly(path: Path) -> float:
    """Seconds of the plain script."""
    started = time.perf_counter()
    plain_script(path)
    return time.perf_counter() - started


def plain_script(path: Path) -> tuple[list[np.ndarray], np.ndarray]:
    """SAR channels and charts by whole arrays, one mask per polygon, angles at 40 m."""
    scene = xr.open_dataset(path).load()
    ids = scene["polygon_icechart"].values
    rows = [str(row) for row in scene["polygon_codes"].values]
    labels = label_by_masks(ids, parse_polygon_codes(rows, where=path.name))
    images = [scene[variable.name].values for variable in SAR_VARIABLES[:2]]
    sar = [
        standardise(variable, in_blocks(image).reduce(np.mean).values)
        for variable, image in zip(SAR_VARIABLES, [*images, angles_at_40_m(scene)], strict=True)
    ]
    uncharted = in_blocks(np.isnan(ids)).max().values
    masked = uncharted | np.isnan(sar[0]) | np.isnan(sar[1])
    charts = np.stack([in_blocks(chart).max().values for chart in labels])
    charts[:, masked] = FILL_VALUE
    for channel in sar:
        channel[masked] = 0
    in_blocks(scene[DISTANCE_MAP.name].values).max().astype(np.uint8)
    for variable in (*AMSR2_VARIABLES, *ERA5_VARIABLES):
        standardise(variable, scene[variable.name].values.astype(np.float32))
    return sar, charts


def in_blocks(image: np.ndarray) -> Any:
    return xr.DataArray(image, dims=[*SAR]).coarsen(dict.fromkeys(SAR, 2), boundary="trim")


def angles_at_40_m(scene: xr.Dataset) -> np.ndarray:
    lines, samples = (np.unique(scene[f"sar_grid_{axis}"]) for axis in ("line", "sample"))
    angles = scene["sar_grid_incidenceangle"].values.reshape(lines.size, samples.size)
    spline = RectBivariateSpline(lines, samples, angles, kx=1, ky=1)
    pixels = [np.arange(scene.sizes[dim]) for dim in SAR]
    interpolated: np.ndarray = spline(*pixels).astype(np.float32)
    return interpolated


STEPS: tuple[tuple[str, Callable[[Path], float]], ...] = (
    ("read the polygon ids", read_polygons),
    ("charts from polygons, per chart, one look-up", rasterise),
    ("charts from polygons, per chart, one mask per polygon", rasterise_by_masks),
    ("whole scene, ours", convert),
    ("whole scene, plain xarray and numpy", convert_plainly),
)


def run(lines: int, samples: int, repeats: int, name: str) -> Path:
    """Measure every step and write the table."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, NAME)
        measure_alone(write_raw_scene, path, lines, samples)
        size_mb = path.stat().st_size / 1e6
        measured = [
            (title, [measure_alone(step, path, cores=[0]) for _ in range(repeats)])
            for title, step in STEPS
        ]
    return write_result(
        name,
        "# Raw scenes to ready-to-train scenes",
        f"One made-up scene of {lines}x{samples} pixels at 40 m, {size_mb:.0f} MB on disk (deflate "
        f"and byte shuffle), in the page cache. One core; best time and largest peak of {repeats} "
        "runs.",
        format_table(["step", "s", "peak GB"], [_format_row(*row) for row in measured]),
    )


def _format_row(title: str, runs: list[Measurement]) -> list[str]:
    seconds, peak = min(run.value for run in runs), max(run.peak_bytes for run in runs)
    return [title, f"{seconds:.2f}", f"{peak / 1e9:.2f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="10000,10500", help="lines,samples at 40 m")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--name", default="raw_scenes", help="the table's file, without .md")
    options = parser.parse_args()
    lines, samples = (int(part) for part in options.size.split(","))
    print(run(lines, samples, options.repeats, options.name).read_text())


if __name__ == "__main__":
    main()
