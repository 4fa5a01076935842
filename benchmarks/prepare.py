"""`prepare` beside a plain xarray loop and beside the floor, on full-size simulated scenes.

Run ``python -m benchmarks.prepare``; writes benchmarks/results/prepare.md. Every row is timed in a
process of its own with the source in the page cache. The floor is what no converter avoids with the
same way of inflating: inflate every variable, cast, encode the chunks, and nothing else (no check,
no digest, no file).
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from distributed import Client, LocalCluster
from numcodecs import blosc
from numpy.typing import NDArray
from zarr.codecs import BloscCodec

from autoice_bench.charts import CHART_NAMES
from autoice_bench.datasets.prepare.holding import start_run
from autoice_bench.datasets.prepare.job import SceneJob, prepare_scene
from autoice_bench.datasets.prepare.prepare import prepare
from autoice_bench.datasets.sources.buffers import BufferPool, keep_freed_memory
from autoice_bench.datasets.store.root import StoreOptions, create_store
from autoice_bench.datasets.store.scene_writer import read_digest
from autoice_bench.formats.netcdf import NetcdfFile, open_netcdf
from autoice_bench.formats.rtt_folder import find_scenes
from autoice_bench.formats.shard_writer import ArraySpec, Codec, write_array
from autoice_bench.formats.store_layout import INNER_CHUNK
from autoice_bench.formats.variables import DISTANCE_MAP, SAR_VARIABLES
from benchmarks.measure import (
    Measurement,
    format_table,
    measure_alone,
    read_peak_bytes,
    read_written_bytes,
    write_result,
)

FULL_GRID = (*CHART_NAMES, *(variable.name for variable in SAR_VARIABLES), DISTANCE_MAP.name)
SAR_NAMES = tuple(variable.name for variable in SAR_VARIABLES)
CHUNK = INNER_CHUNK


def ours(source: Path, store: Path) -> int:
    """`prepare` in one process; returns the bytes of the finished store."""
    prepare(source, store, workers=1)
    return stored_bytes(store)


def plain_loop(source: Path, store: Path, chunk: int, sharded: bool) -> int:
    """What a careful user writes today: one open_dataset and one to_zarr a scene."""
    for path in sorted(source.rglob("*_prep.nc")):
        scene = xr.open_dataset(path)
        encoding: dict[str, dict[str, Any]] = {}
        for name in FULL_GRID:
            if name not in scene:
                continue
            lines, samples = (-(-size // chunk) * chunk for size in scene[name].shape)
            encoding[name] = {
                "compressors": BloscCodec(cname="lz4", clevel=5, shuffle="noshuffle"),
                "chunks": (chunk, chunk),
                **({"shards": (lines, samples)} if sharded else {}),
            }
        for name in SAR_NAMES:
            scene[name] = scene[name].astype("float16")
        group = path.name.removesuffix("_prep.nc")
        scene.to_zarr(store, group=group, encoding=encoding, zarr_format=3, consolidated=False)
    return stored_bytes(store)


def floor_netcdf4(source: Path) -> None:
    """Inflate with the netCDF library, cast, encode."""
    keep_freed_memory()
    pool = BufferPool()
    for scene in find_scenes(source).scenes:
        with open_netcdf(scene.path, direct=False) as file:
            _encode_scene(file, pool)


def floor_fastest(source: Path) -> None:
    """Inflate with libdeflate, undo the shuffle, cast, encode."""
    keep_freed_memory()
    pool = BufferPool()
    for scene in find_scenes(source).scenes:
        with open_netcdf(scene.path) as file:
            _encode_scene(file, pool)


def _encode_scene(file: NetcdfFile, pool: BufferPool) -> None:
    """Encode one scene's variables the way the store does, and drop the result."""
    charts = tuple(name for name in CHART_NAMES if name in file.variable_names)
    zones = (DISTANCE_MAP.name,)
    for names, dtype in ((SAR_NAMES, np.float16), (charts, np.uint8), (zones, np.uint8)):
        stack = pool.empty(names[0], (len(names), *file.shape(names[0])), dtype)
        for name, channel in zip(names, stack, strict=True):
            for strip in file.strips(name):
                channel[strip.lines, strip.samples] = strip.values
        _encode_stack(stack)
    for name in file.variable_names:
        if name not in FULL_GRID:
            blosc.compress(file.read(name), b"lz4", 5, 1)


def floor_written(source: Path, folder: Path) -> int:
    """The fastest floor, with the digests a store carries and its files written; no checks."""
    keep_freed_memory()
    pool = BufferPool()
    for scene in find_scenes(source).scenes:
        group = folder / scene.scene_id
        group.mkdir(parents=True)
        read_digest(scene.path)
        with open_netcdf(scene.path) as file:
            for names in (SAR_NAMES, CHART_NAMES, (DISTANCE_MAP.name,)):
                dtype = np.float16 if names == SAR_NAMES else np.uint8
                stack = pool.empty(names[0], (len(names), *file.shape(names[0])), dtype)
                for name, channel in zip(names, stack, strict=True):
                    for strip in file.strips(name):
                        channel[strip.lines, strip.samples] = strip.values
                if names == CHART_NAMES:
                    hashlib.sha256(stack.data).hexdigest()
                dims = ("channel", "sar_lines", "sar_samples")
                inner = (len(names), CHUNK, CHUNK)
                write_array(group, stack, ArraySpec(names[0], dims, inner, 0, Codec(), {}))
    return stored_bytes(folder)


def _encode_stack(stack: NDArray[Any]) -> None:
    blosc.use_threads = False
    chunk = np.zeros((len(stack), CHUNK, CHUNK), stack.dtype)
    for line in range(0, stack.shape[1], CHUNK):
        for sample in range(0, stack.shape[2], CHUNK):
            window = stack[:, line : line + CHUNK, sample : sample + CHUNK]
            chunk[:, : window.shape[1], : window.shape[2]] = window
            blosc.compress(chunk, b"lz4", 5, 0)


def ours_on_workers(
    source: Path, store: Path, n_workers: int, one_scene: Path
) -> tuple[Measurement, float]:
    """`prepare` on a started, warm cluster; its measurement and the seconds to start it."""
    started = time.perf_counter()
    options: dict[str, Any] = {
        "threads_per_worker": 1,
        "memory_limit": 0,
        "dashboard_address": None,
    }
    with LocalCluster(n_workers=n_workers, **options) as cluster, Client(cluster) as client:
        client.wait_for_workers(n_workers)
        start = time.perf_counter() - started
        client.run(_warm_up_worker, one_scene, store.parent)
        before = sum(client.run(read_written_bytes).values())
        started = time.perf_counter()
        prepare(source, store, scheduler=cluster.scheduler_address)
        seconds = time.perf_counter() - started
        peak = max(client.run(read_peak_bytes).values())
        written = sum(client.run(read_written_bytes).values()) - before
    return Measurement(seconds, peak, written, stored_bytes(store)), start


def _warm_up_worker(one_scene: Path, folder: Path) -> None:
    """Prepare one scene in a worker: libraries loaded, memory touched."""
    store = folder / f"warm-{os.getpid()}.zarr"
    options = StoreOptions(simulated=True)
    create_store(store, options)
    with start_run(store) as run:
        scene = find_scenes(one_scene).scenes[0]
        prepare_scene(SceneJob(scene, store, run.folder, options))
    shutil.rmtree(store)


def stored_bytes(store: Path) -> int:
    return sum(path.stat().st_size for path in store.rglob("*") if path.is_file())


def run(source: Path, work: Path, repeats: int) -> tuple[dict[str, Measurement], float]:
    """Measure every row ``repeats`` times in turn; keep the median (of two, the slower)."""
    taken: dict[str, list[Measurement]] = {}
    cluster_starts = []

    def take(label: str, function: Callable[..., Any], *arguments: Any) -> None:
        for store in work.glob("*.zarr"):
            shutil.rmtree(store)
        warm_up = [one_scene, *(work / "warm.zarr" if a in stores else a for a in arguments[1:])]
        found = measure_alone(function, *arguments, cores=[0], warm_up=warm_up)
        taken.setdefault(label, []).append(found)

    stores = (work / "ours.zarr", work / "plain.zarr")
    one_scene = work / "one"
    one_scene.mkdir()
    first = find_scenes(source).scenes[0].path
    (one_scene / first.name).symlink_to(first.resolve())
    read_all(source)
    for repeat in range(repeats):
        take("ours, 1 worker", ours, source, work / "ours.zarr")
        shutil.rmtree(work / "ours.zarr")
        two, start = ours_on_workers(source, work / "ours.zarr", 2, one_scene)
        taken.setdefault("ours, 2 workers", []).append(two)
        cluster_starts.append(start)
        take("floor, libdeflate", floor_fastest, source)
        take("floor, netCDF4", floor_netcdf4, source)
        take("floor, libdeflate, hashed and written", floor_written, source, work / "plain.zarr")
        if repeat == 0:  # many times slower, so once is enough
            for chunk, sharded in ((CHUNK, True), (512, True), (512, False)):
                kind = "sharded" if sharded else "unsharded"
                label = f"xarray loop, {kind}, chunks of {chunk}"
                take(label, plain_loop, source, work / "plain.zarr", chunk, sharded)
    medians = {
        label: sorted(values, key=lambda value: value.seconds)[len(values) // 2]
        for label, values in taken.items()
    }
    return medians, statistics.median(cluster_starts)


def read_all(source: Path) -> None:
    """Bring every file into the page cache."""
    for path in source.rglob("*.nc"):
        path.read_bytes()


def table(results: dict[str, Measurement], n_scenes: int, source_bytes: int) -> str:
    one = results["ours, 1 worker"].seconds
    rows = [
        [
            label,
            f"{found.seconds / n_scenes:.2f}",
            f"{source_bytes / 1e6 / found.seconds:.0f}",
            f"{found.seconds / one:.2f}",
            f"{found.peak_bytes / 1e6:.0f}",
            f"{found.written_bytes / found.value:.3f}" if found.value else "",
        ]
        for label, found in results.items()
    ]
    columns = (
        "converter",
        "s / scene",
        "MB/s of source",
        "time / ours, 1 worker",
        "peak MB / worker",
        "written / final",
    )
    return format_table(columns, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=8)
    parser.add_argument("--size", default="5000,5229")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--source", type=Path, help="scenes made before, instead of new ones")
    arguments = parser.parse_args()
    lines, samples = (int(part) for part in arguments.size.split(","))
    with tempfile.TemporaryDirectory(prefix="autoice-prepare-") as folder:
        source = arguments.source or Path(folder, "rtt")
        if arguments.source is None:
            from autoice_bench.datasets.simulate.run import simulate

            simulate(source, n_train=arguments.scenes, n_test=0, size=(lines, samples), workers=2)
        scenes = find_scenes(source).scenes
        n_bytes = sum(scene.n_bytes for scene in scenes)
        results, cluster_start = run(source, Path(folder), arguments.repeats)
        path = write_result(
            "prepare",
            "# `prepare`: RTT scenes to a store",
            f"{len(scenes)} simulated scenes of {lines}x{samples} pixels, {n_bytes / 1e6:.0f} MB "
            f"of zlib NetCDF, in the page cache; median of {arguments.repeats} runs, "
            "of two the slower (the xarray loops run once). All rows but the second are pinned "
            "to one core, and every process has prepared one scene before. `prepare` validates "
            "every value, hashes source and shards and makes each scene durable before it is "
            "renamed into place; the loops do none of this, and the first two floors neither hash "
            "nor write. The third hashes source, shards and labels and writes the files, "
            "unchecked and without waiting for the disk.",
            table(results, len(scenes), n_bytes),
            f"Starting a local cluster of two workers takes {cluster_start:.1f} s more, once.",
        )
    print(path.read_text())


if __name__ == "__main__":
    main()
