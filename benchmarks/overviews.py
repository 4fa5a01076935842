"""A downscaled training set into memory: from overviews, and by a pass over full resolution.

Run ``python -m benchmarks.overviews``; writes benchmarks/results/overviews.md. What the U-Net wants
of every scene (SAR, charts, AMSR2, ERA5, tie points) is read from stores of full-size simulated
scenes. What is read is compared first. Each read has a process of its own; cold means that the
store's files are dropped from the page cache before.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from autoice_bench.datasets.patches.windows import ARRAYS
from autoice_bench.datasets.prepare.prepare import prepare
from autoice_bench.datasets.readers.downscaled import DownscaledScenes
from autoice_bench.datasets.simulate.run import simulate
from autoice_bench.datasets.store.downscaling import METHODS, DownscaleMethod, Downscaling
from autoice_bench.datasets.store.root import open_store
from benchmarks.measure import Measurement, format_table, measure_alone, write_result

WANTED: Final = frozenset(ARRAYS) - {"distance_map"}
N_TRAINING: Final = 512
"""Labelled training scenes of the challenge."""


@dataclass(frozen=True)
class Stores:
    """The same scenes without overviews, and with those of each method."""

    plain: Path
    with_overviews: dict[DownscaleMethod, Path]
    prepare_seconds: dict[str, float]

    @property
    def n_scenes(self) -> int:
        return len(open_store(self.plain).scene_ids())


def make_stores(work: Path, n_scenes: int, shape: tuple[int, int], ratio: int) -> Stores:
    """Simulate scenes and prepare them each way; the scenes are in the page cache when timed."""
    source = work / "rtt"
    simulate(source, n_train=n_scenes, n_test=0, size=shape)
    prepare(source, work / "warm.zarr")
    shutil.rmtree(work / "warm.zarr")
    seconds = {}

    def prepare_timed(name: str, *overviews: Downscaling) -> Path:
        path = work / f"{name}.zarr"
        started = time.perf_counter()
        prepare(source, path, overviews=overviews)
        seconds[name] = time.perf_counter() - started
        return path

    plain = prepare_timed("plain")
    stored = {method: prepare_timed(method, Downscaling(ratio, method)) for method in METHODS}
    started = time.perf_counter()
    prepare(source, _copy(plain, work / "added.zarr"), overviews=[Downscaling(ratio)])
    seconds["added"] = time.perf_counter() - started
    return Stores(plain, stored, seconds)


def _copy(store: Path, target: Path) -> Path:
    shutil.copytree(store, target)
    return target


def read_all(store: Path, how: Downscaling, n_cores: int, cold: bool = False) -> tuple[float, int]:
    """Read every scene; returns seconds and the bytes in memory."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:n_cores])
    os.environ["OMP_NUM_THREADS"] = "1"
    opened = open_store(store)
    if cold:
        drop_from_cache(store)
    started = time.perf_counter()
    scenes = DownscaledScenes(opened, opened.scene_ids(), how, WANTED)
    return time.perf_counter() - started, scenes.n_bytes


def drop_from_cache(folder: Path) -> None:
    """Make the next read of every file below a folder come from the disk."""
    for path in folder.rglob("*"):
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(descriptor)


def compare(stores: Stores, ratio: int) -> None:
    """Refuse to measure reads that give different scenes."""
    for method in METHODS:
        plain, stored = (
            DownscaledScenes(opened, opened.scene_ids(), Downscaling(ratio, method), WANTED)
            for opened in map(open_store, (stores.plain, stores.with_overviews[method]))
        )
        for scene_id in open_store(stores.plain).scene_ids():
            for name, values in plain.scene(scene_id).arrays.items():
                np.testing.assert_array_equal(values, stored.scene(scene_id).arrays[name])


def run(stores: Stores, ratio: int, repeats: int) -> list[list[str]]:
    """One row per way of reading; of each, the best of the repeats."""
    most = len(os.sched_getaffinity(0))
    rows = []
    for method in METHODS:
        how = Downscaling(ratio, method)
        for label, store in (
            ("overviews", stores.with_overviews[method]),
            ("full resolution", stores.plain),
        ):
            for n_cores, cold in ((1, False), (most, False), (most, True)):
                taken: list[Measurement] = [
                    measure_alone(read_all, store, how, n_cores, cold) for _ in range(repeats)
                ]
                best = min(taken, key=lambda measurement: float(measurement.value[0]))
                seconds, n_bytes = best.value
                per_scene = seconds / stores.n_scenes
                rows.append(
                    [
                        f"{label}, {method}",
                        f"{n_cores}{', cold' if cold else ''}",
                        f"{1e3 * per_scene:.1f}",
                        f"{N_TRAINING * per_scene:.1f}",
                        f"{n_bytes / stores.n_scenes / 1e6:.2f}",
                        f"{best.peak_bytes / 1e6:.0f}",
                    ]
                )
    return rows


def table(rows: Sequence[Sequence[str]]) -> str:
    columns = (
        "read from", "cores", "ms / scene", f"s / {N_TRAINING} scenes", "MB / scene in memory",
        "peak MB",
    )  # fmt: skip
    return format_table(columns, rows)


def describe_stores(stores: Stores, ratio: int) -> str:
    """What overviews cost: bytes, and time in `prepare`."""
    sizes = {
        method: sum(
            path.stat().st_size
            for path in store.glob(f"scenes/*/overviews/{ratio}/**/*")
            if path.is_file()
        )
        for method, store in stores.with_overviews.items()
    }
    per_scene = {name: taken / stores.n_scenes for name, taken in stores.prepare_seconds.items()}
    return (
        f"Overviews take {sizes['nearest'] / stores.n_scenes / 1e6:.2f} MB a scene (nearest), "
        f"{sizes['area'] / stores.n_scenes / 1e6:.2f} MB (area). `prepare` takes "
        f"{per_scene['plain']:.2f} s a scene without, {per_scene['nearest']:.2f} s with nearest, "
        f"{per_scene['area']:.2f} s with area; adding nearest ones to a finished store "
        f"{per_scene['added']:.2f} s a scene."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=16)
    parser.add_argument("--size", default="5000,5229")
    parser.add_argument("--ratio", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--name", default="overviews", help="of the result")
    arguments = parser.parse_args()
    lines, samples = (int(part) for part in arguments.size.split(","))
    with tempfile.TemporaryDirectory(prefix="autoice-overviews-") as folder:
        stores = make_stores(Path(folder), arguments.scenes, (lines, samples), arguments.ratio)
        compare(stores, arguments.ratio)
        path = write_result(
            arguments.name,
            "# A downscaled training set into memory",
            f"{arguments.scenes} simulated scenes of {lines}x{samples} pixels, downscaled by "
            f"{arguments.ratio}; SAR, charts, AMSR2, ERA5 and tie points of each, the same values "
            f"either way. Best of {arguments.repeats} runs, each in a process of its own; files "
            "in the page cache, unless cold.",
            table(run(stores, arguments.ratio, arguments.repeats)),
            describe_stores(stores, arguments.ratio),
        )
    print(path.read_text())


if __name__ == "__main__":
    main()
