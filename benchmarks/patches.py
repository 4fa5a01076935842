"""Random patches per second: the store's reader beside other readers, formats and plain memory.

Run ``python -m benchmarks.patches``; writes benchmarks/results/patches.md. Every reader reads the
three SAR channels and the three charts of the same windows of full-size simulated scenes, and what
they read is compared first. Each runs in a process of its own, pinned to one core, then in two
processes at once on two cores. Cold means that the scene's files are dropped from the page cache
before each patch. Last come batches delivered to a training loop (`delivery`).
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from autoice_bench.charts import CHART_NAMES
from autoice_bench.datasets.prepare.prepare import prepare
from autoice_bench.datasets.readers.scene import open_scene_reader
from autoice_bench.datasets.simulate.run import simulate
from autoice_bench.datasets.store.root import open_store
from autoice_bench.formats.rtt_folder import find_scenes
from autoice_bench.formats.variables import SAR_VARIABLES
from benchmarks.delivery import delivery_paragraphs
from benchmarks.measure import format_table, measure_alone, write_result

ARRAYS: Final = ("sar", "charts")

STRIDE: Final = 61
"""Windows start at multiples of it, since xbatcher's patches lie on a grid; odd, so that they fall
on inner chunks in every way."""

N_COMPARED: Final = 3
"""Windows of each size whose bytes are compared."""

Patch = tuple[NDArray[Any], NDArray[Any]]
Read = Callable[[int, int, int], Patch]
"""(scene, line, sample) -> SAR float16 and charts uint8, valid until the next call."""


@dataclass(frozen=True)
class Scenes:
    """The same scenes as NetCDF files, as a store, and as plain arrays."""

    sources: tuple[Path, ...]
    store: Path
    plain: Path
    scene_ids: tuple[str, ...]
    shape: tuple[int, int]

    def folder(self, scene: int) -> Path:
        return self.store / "scenes" / self.scene_ids[scene]

    def plain_file(self, scene: int, name: str) -> Path:
        return self.plain / f"{self.scene_ids[scene]}_{name}.npy"

    def files(self, scene: int) -> list[Path]:
        """What any reader reads of a scene."""
        shards = [path for name in ARRAYS for path in (self.folder(scene) / name).rglob("*")]
        return [
            self.sources[scene],
            *(path for path in shards if path.is_file()),
            *(self.plain_file(scene, name) for name in ARRAYS),
        ]


def make_scenes(work: Path, n_scenes: int, shape: tuple[int, int]) -> Scenes:
    """Simulate and prepare the scenes, unless ``work`` holds them already."""
    rtt, store, plain = work / "rtt", work / "autoice.zarr", work / "plain"
    if not store.exists():
        simulate(rtt, n_train=n_scenes, n_test=0, size=shape)
        prepare(rtt, store)
    sources = {scene.scene_id: scene.path for scene in find_scenes(rtt).scenes}
    scene_ids = open_store(store, require_complete=True).scene_ids()
    paths = tuple(sources[scene_id] for scene_id in scene_ids)
    scenes = Scenes(paths, store, plain, scene_ids, open_scene_reader(store, scene_ids[0]).shape)
    if not plain.exists():
        plain.mkdir()
        for scene, scene_id in enumerate(scene_ids):
            reader = open_scene_reader(store, scene_id)
            for name in ARRAYS:
                np.save(scenes.plain_file(scene, name), reader.read_whole(name))
    os.sync()  # what is not on disk yet cannot be dropped from the page cache
    return scenes


# Readers: scenes and patch size -> function that reads a patch


def netcdf_per_patch(scenes: Scenes, size: int) -> Read:
    """The starter kit's pattern: the file is opened again for each patch."""
    import xarray as xr

    sar_names = [variable.name for variable in SAR_VARIABLES]

    def read(scene: int, line: int, sample: int) -> Patch:
        with xr.open_dataset(scenes.sources[scene]) as dataset:
            window = dataset.isel(
                sar_lines=slice(line, line + size), sar_samples=slice(sample, sample + size)
            )
            sar = np.stack([window[name].values for name in sar_names])
            charts = np.stack([window[name].values for name in CHART_NAMES])
        return sar, charts

    return read


def xarray_on_store(scenes: Scenes, size: int) -> Read:
    import xarray as xr

    datasets = [xr.open_zarr(scenes.folder(i), chunks=None) for i in range(len(scenes.scene_ids))]

    def read(scene: int, line: int, sample: int) -> Patch:
        window = datasets[scene].isel(
            sar_lines=slice(line, line + size), sar_samples=slice(sample, sample + size)
        )
        return window["sar"].values, window["charts"].values

    return read


def xbatcher_on_store(scenes: Scenes, size: int) -> Read:
    import xarray as xr
    import xbatcher

    windowed = ("sar_lines", "sar_samples")
    generators = [
        xbatcher.BatchGenerator(
            xr.open_zarr(scenes.folder(i), chunks=None)[list(ARRAYS)],
            # It multiplies the arrays along dimensions that are not named here.
            input_dims={"sar_channel": 3, "chart": 3} | dict.fromkeys(windowed, size),
            input_overlap=dict.fromkeys(windowed, size - STRIDE),
        )
        for i in range(len(scenes.scene_ids))
    ]
    n_columns = (scenes.shape[1] - size) // STRIDE + 1

    def read(scene: int, line: int, sample: int) -> Patch:
        batch = generators[scene][line // STRIDE * n_columns + sample // STRIDE]
        return batch["sar"].values, batch["charts"].values

    return read


def zarr_python(scenes: Scenes, size: int) -> Read:
    import zarr

    arrays: list[list[Any]] = [
        [zarr.open_array(scenes.folder(scene) / name, mode="r") for name in ARRAYS]
        for scene in range(len(scenes.scene_ids))
    ]

    def read(scene: int, line: int, sample: int) -> Patch:
        window = (..., slice(line, line + size), slice(sample, sample + size))
        sar, charts = (array[window] for array in arrays[scene])
        return sar, charts

    return read


def zarrs(scenes: Scenes, size: int) -> Read:
    import zarr
    import zarrs as _  # noqa: F401  the pipeline is found by its name

    zarr.config.set({"codec_pipeline.path": "zarrs.ZarrsCodecPipeline"})
    return zarr_python(scenes, size)


def tensorstore(scenes: Scenes, size: int) -> Read:
    import tensorstore

    context = tensorstore.Context({"data_copy_concurrency": {"limit": 1}})
    arrays = [
        [
            tensorstore.open(
                {
                    "driver": "zarr3",
                    "kvstore": {"driver": "file", "path": f"{scenes.folder(scene) / name}/"},
                },
                read=True,
                context=context,
            ).result()
            for name in ARRAYS
        ]
        for scene in range(len(scenes.scene_ids))
    ]

    def read(scene: int, line: int, sample: int) -> Patch:
        window = (..., slice(line, line + size), slice(sample, sample + size))
        futures = [array[window].read() for array in arrays[scene]]
        sar, charts = (future.result() for future in futures)
        return sar, charts

    return read


def ours(scenes: Scenes, size: int) -> Read:
    readers = [open_scene_reader(scenes.store, scene_id) for scene_id in scenes.scene_ids]
    out = _buffers(size)

    def read(scene: int, line: int, sample: int) -> Patch:
        for name, array in zip(ARRAYS, out, strict=True):
            readers[scene].read_pixels(name, line, sample, array)
        return out

    return read


def memmap(scenes: Scenes, size: int) -> Read:
    out = _buffers(size)
    opened: dict[int, list[NDArray[Any]]] = {}

    def read(scene: int, line: int, sample: int) -> Patch:
        if scene not in opened:
            paths = [scenes.plain_file(scene, name) for name in ARRAYS]
            opened[scene] = [np.load(path, mmap_mode="r") for path in paths]
        for array, values in zip(out, opened[scene], strict=True):
            array[...] = values[:, line : line + size, sample : sample + size]
        return out

    # Pages that are mapped cannot be dropped from the page cache.
    read.forget = opened.clear  # type: ignore[attr-defined]
    return read


def memory(scenes: Scenes, size: int) -> Read:
    out = _buffers(size)
    loaded = [
        [np.load(scenes.plain_file(scene, name)) for name in ARRAYS]
        for scene in range(len(scenes.scene_ids))
    ]

    def read(scene: int, line: int, sample: int) -> Patch:
        for array, values in zip(out, loaded[scene], strict=True):
            array[...] = values[:, line : line + size, sample : sample + size]
        return out

    return read


def _buffers(size: int) -> Patch:
    return np.empty((3, size, size), np.float16), np.empty((3, size, size), np.uint8)


STARTER_KIT: Final = "NetCDF opened for every patch (starter kit)"
XBATCHER: Final = "xbatcher on the store"
XARRAY: Final = "xarray on the store"
ZARR_PYTHON: Final = "zarr-python"
ZARRS: Final = "zarrs"
OURS: Final = "**ours**"
MEMORY: Final = "copy out of memory"
SLOW: Final = (STARTER_KIT, XBATCHER, XARRAY, ZARRS)
"""Measured in one round: far from the others, whatever the machine does meanwhile."""
READERS: Final[dict[str, Callable[[Scenes, int], Read]]] = {
    STARTER_KIT: netcdf_per_patch,
    XBATCHER: xbatcher_on_store,
    XARRAY: xarray_on_store,
    ZARR_PYTHON: zarr_python,
    ZARRS: zarrs,
    "tensorstore": tensorstore,
    OURS: ours,
    "float16 memmap": memmap,
    MEMORY: memory,
}


# Measuring


@dataclass(frozen=True)
class Rates:
    """What one process measured, by patch size.

    Attributes:
        warm, cold: patches per second; no ``cold`` where nothing is read from disk.
        sha256: digest of the first windows' values.
    """

    warm: dict[int, float]
    cold: dict[int, float]
    sha256: dict[int, str]


def draw_windows(scenes: Scenes, size: int, seed: int) -> Iterator[tuple[int, int, int]]:
    """Endless random (scene, line, sample)."""
    rng = np.random.default_rng(seed)
    n_lines, n_samples = ((extent - size) // STRIDE + 1 for extent in scenes.shape)
    while True:
        scene, line, sample = rng.integers(0, (len(scenes.scene_ids), n_lines, n_samples)).tolist()
        yield scene, line * STRIDE, sample * STRIDE


def measure_reader(
    name: str,
    scenes: Scenes,
    sizes: Sequence[int],
    seconds: float,
    seed: int,
    with_cold: bool,
    barrier: Any,
) -> Rates:
    """Measure one reader at every size in this process."""
    warm, cold, digests = {}, {}, {}
    for size in sizes:
        read = READERS[name](scenes, size)
        digests[size] = _digest(read, draw_windows(scenes, size, seed=0))
        if barrier is not None:
            barrier.wait(300)
        warm[size] = _rate(read, draw_windows(scenes, size, seed), seconds, None)
    if with_cold and name != MEMORY:
        # After every warm size: what is dropped from the page cache is missing there.
        for size in sizes:
            read = READERS[name](scenes, size)
            evict = partial(_evict, scenes, getattr(read, "forget", None))
            cold[size] = _rate(read, draw_windows(scenes, size, seed + 1000), seconds / 2, evict)
    return Rates(warm, cold, digests)


def _digest(read: Read, windows: Iterator[tuple[int, int, int]]) -> str:
    """SHA-256 of the first windows; float32 from NetCDF rounded as the store rounds it."""
    digest = hashlib.sha256()
    for _ in range(N_COMPARED):
        sar, charts = read(*next(windows))
        for values, dtype in ((sar, np.float16), (charts, np.uint8)):
            digest.update(np.ascontiguousarray(values, dtype).tobytes())
    return digest.hexdigest()


def _rate(
    read: Read,
    windows: Iterator[tuple[int, int, int]],
    seconds: float,
    before: Callable[[int], None] | None,
) -> float:
    """Patches per second; what ``before`` does to the scene is not timed."""
    done, elapsed, deadline = 0, 0.0, time.perf_counter() + seconds
    while done < 2 or time.perf_counter() < deadline:
        scene, line, sample = next(windows)
        if before is not None:
            before(scene)
        started = time.perf_counter()
        read(scene, line, sample)
        elapsed += time.perf_counter() - started
        done += 1
    return done / elapsed


def _evict(scenes: Scenes, forget: Callable[[], None] | None, scene: int) -> None:
    """Drop a scene's files from the page cache."""
    if forget is not None:
        forget()
    for path in scenes.files(scene):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)


def fill_page_cache(scenes: Scenes) -> None:
    for scene in range(len(scenes.scene_ids)):
        for path in scenes.files(scene):
            with path.open("rb") as file:
                while file.read(1 << 24):
                    pass


@dataclass
class Measured:
    """Rates of one reader over all rounds, patches per second by size."""

    one: dict[int, list[float]]
    two: dict[int, list[float]]
    cold: dict[int, list[float]]

    @classmethod
    def empty(cls, sizes: Sequence[int]) -> Measured:
        return cls(*[{size: list[float]() for size in sizes} for _ in range(3)])


def measure_all(
    scenes: Scenes, names: Sequence[str], sizes: Sequence[int], seconds: float, rounds: int
) -> dict[str, Measured]:
    """Measure every reader, in rounds, so that a slow minute of the machine meets all of them.

    Raises:
        RuntimeError: a reader read other values than the others.
    """
    cores = sorted(os.sched_getaffinity(0))[-2:]
    measured = {name: Measured.empty(sizes) for name in names}
    digests: dict[int, dict[str, str]] = {size: {} for size in sizes}
    context = multiprocessing.get_context("spawn")
    for seed in range(rounds):
        for name in names if not seed else [name for name in names if name not in SLOW]:
            fill_page_cache(scenes)
            settings = (name, scenes, sizes, seconds)
            alone = measure_alone(
                measure_reader, *settings, seed, True, None, cores=cores[-1:]
            ).value
            fill_page_cache(scenes)
            barrier = context.Barrier(2)
            with ThreadPoolExecutor(2) as pool:
                both = [
                    pool.submit(
                        measure_alone,
                        measure_reader,
                        *settings,
                        seed + 100 * (1 + which),
                        False,
                        barrier,
                        cores=[cores[which % len(cores)]],
                    )
                    for which in range(2)
                ]
                pair = [future.result().value for future in both]
            for size in sizes:
                digests[size][name] = alone.sha256[size]
                measured[name].one[size].append(alone.warm[size])
                measured[name].two[size].append(sum(rates.warm[size] for rates in pair))
                if size in alone.cold:
                    measured[name].cold[size].append(alone.cold[size])
    for size, found in digests.items():
        if len(set(found.values())) != 1:
            raise RuntimeError(f"the readers read different values at {size} px: {found}")
    return measured


# Tables


def _number(rates: Sequence[float]) -> str:
    if not rates:
        return ""
    rate = statistics.median(rates)
    return f"{rate:,.0f}" if rate >= 20 else f"{rate:.1f}"


def _ratio(rates: Sequence[float], reference: Sequence[float]) -> float:
    return statistics.median(rates) / statistics.median(reference)


def one_process_table(measured: Mapping[str, Measured], sizes: Sequence[int]) -> str:
    """Patches per second on one core, warm, and against the two readers people use."""
    columns = ["one process, warm", *(f"patches/s at {size}" for size in sizes)]
    references = [name for name in (ZARR_PYTHON, STARTER_KIT) if name in measured]
    words = {ZARR_PYTHON: "times zarr-python", STARTER_KIT: "times starter kit"}
    columns += [f"{words[name]} at {size}" for name in references for size in sizes]
    rows = [
        [
            name,
            *(_number(found.one[size]) for size in sizes),
            *(
                f"{_ratio(found.one[size], measured[reference].one[size]):.2g}"
                for reference in references
                for size in sizes
            ),
        ]
        for name, found in measured.items()
    ]
    return format_table(columns, rows)


def scaling_table(measured: Mapping[str, Measured], sizes: Sequence[int]) -> str:
    """Two processes, and cold reading."""
    columns = [
        "patches/s",
        *(f"two processes at {size}" for size in sizes),
        *(f"times one at {size}" for size in sizes),
        *(f"cold at {size}" for size in sizes),
    ]
    rows = [
        [
            name,
            *(_number(found.two[size]) for size in sizes),
            *(f"{_ratio(found.two[size], found.one[size]):.2f}" for size in sizes),
            *(_number(found.cold[size]) for size in sizes),
        ]
        for name, found in measured.items()
    ]
    return format_table(columns, rows)


RATE_AIMS: Final = {256: 2000, 768: 400}
ZARR_AIMS: Final = {256: 7.5, 768: 6.0}
STARTER_KIT_AIM: Final = 90
TWO_PROCESSES_AIM: Final = 1.9


def aims_table(measured: Mapping[str, Measured], sizes: Sequence[int]) -> str:
    """What was aimed at beside what was measured."""
    found = measured[OURS]
    rows = []
    for size in sizes:
        rate = statistics.median(found.one[size])
        share = _ratio(found.one[size], measured[MEMORY].one[size])
        if size in RATE_AIMS:
            aim = f"{RATE_AIMS[size]:,}"
            rows.append([f"patches/s at {size}", aim, f"{rate:,.0f}"])
        rows.append([f"share of a copy out of memory at {size}", "", f"{share:.2f}"])
        if size in ZARR_AIMS:
            ratio = _ratio(found.one[size], measured[ZARR_PYTHON].one[size])
            rows.append([f"times zarr-python at {size}", f"{ZARR_AIMS[size]:g}", f"{ratio:.1f}"])
        ratio = _ratio(found.one[size], measured[STARTER_KIT].one[size])
        rows.append([f"times starter kit at {size}", f"{STARTER_KIT_AIM}", f"{ratio:.0f}"])
        ratio = _ratio(found.two[size], found.one[size])
        rows.append([f"two processes at {size}", f"{TWO_PROCESSES_AIM}", f"{ratio:.2f}"])
    return format_table(["ours, warm", "aim, at least", "measured"], rows)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=4)
    parser.add_argument("--size", default="5000,5229", help="lines,samples")
    parser.add_argument("--patches", default="256,512,768", help="patch sizes, pixels")
    parser.add_argument("--seconds", type=float, default=1.0, help="per reader, size and round")
    parser.add_argument("--rounds", type=int, default=3, help="the median counts")
    parser.add_argument("--work", type=Path, help="folder to keep scenes in between runs")
    options = parser.parse_args(arguments)
    lines, samples = (int(part) for part in options.size.split(","))
    sizes = [int(part) for part in options.patches.split(",")]
    with tempfile.TemporaryDirectory(prefix="autoice-patches-") as temporary:
        scenes = make_scenes(options.work or Path(temporary), options.scenes, (lines, samples))
        measured = measure_all(scenes, list(READERS), sizes, options.seconds, options.rounds)
        fill_page_cache(scenes)
        ends = sorted({min(sizes), max(sizes)})
        delivered = delivery_paragraphs(scenes.store, ends, options.seconds, options.rounds)
    path = write_result(
        "patches",
        "# Random patches: reading",
        f"{len(scenes.scene_ids)} simulated scenes of {lines}x{samples} pixels, three float16 SAR "
        "channels and three uint8 charts per patch, read at the same random windows by all; their "
        f"values were compared. Median of {options.rounds} rounds of {options.seconds:g} s each "
        f"(one round for {', '.join(SLOW)}), half of that where cold. "
        "One process is pinned to one core. Only ours, memmap and the copy fill memory that is "
        "used again; the others return new arrays. Ours and the Zarr readers verify checksums, "
        "memmap and the copy verify nothing.",
        one_process_table(measured, sizes),
        scaling_table(measured, sizes),
        aims_table(measured, sizes),
        *delivered,
    )
    print(path.read_text())


if __name__ == "__main__":
    main()
