"""The start of a training run: eligible windows looked for, and taken from their cache.

Run ``python -m benchmarks.starts``; writes benchmarks/results/starts.md. Each start has a process
of its own, on one core; the files of the store are in the page cache. The windows are compared.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from autoice_bench.datasets.patches.opening import open_patches
from autoice_bench.datasets.prepare.prepare import prepare
from autoice_bench.datasets.simulate.run import simulate
from autoice_bench.datasets.store.root import open_store
from autoice_bench.formats.store_layout import CACHE
from benchmarks.measure import format_table, measure_alone, write_result

ARRAYS: Final = frozenset({"sar", "charts", "amsr2"})
BLOCKED: Final = "looked for, nothing kept"
EMPTY: Final = "looked for, then kept"
FILLED: Final = "from the cache"
N_TRAINING: Final = 512
"""Labelled training scenes of the challenge."""


@dataclass(frozen=True)
class Start:
    """One start.

    Attributes:
        cpu_seconds: of the process, while it opened the patches.
        digest: SHA-256 over the windows of every scene.
    """

    cpu_seconds: float
    digest: str


def start(store: Path, patch_size: int) -> Start:
    """Open the patches of every scene, as a training run does."""
    scene_ids = open_store(store).scene_ids()
    process = psutil.Process()
    before = process.cpu_times()
    patches = open_patches(store, scene_ids, patch_size=patch_size, seed=0, arrays=ARRAYS)
    after = process.cpu_times()
    digest = hashlib.sha256()
    for scene_id, windows in patches.plan.scenes:
        digest.update(scene_id.encode())
        for values in (windows.line, windows.first_sample, windows.end):
            digest.update(f"{values.dtype}".encode() + values.tobytes())
    seconds = after.user + after.system - before.user - before.system
    return Start(seconds, digest.hexdigest())


def measure(store: Path, patch_size: int, repeats: int) -> list[tuple[str, float, float]]:
    """What each kind of start takes: name, seconds and CPU seconds, the smallest of ``repeats``."""
    cache = store / CACHE
    core = [min(os.sched_getaffinity(0))]
    rows, digests = [], set()
    for name in (BLOCKED, EMPTY, FILLED):
        found = []
        for _ in range(repeats):
            if name != FILLED:
                _empty(cache)
            if name == BLOCKED:
                cache.symlink_to("nowhere")  # nothing is written through a link
            found.append(measure_alone(start, store, patch_size, cores=core))
        digests |= {each.value.digest for each in found}
        rows.append(
            (
                name,
                min(each.seconds for each in found),
                min(each.value.cpu_seconds for each in found),
            )
        )
    if len(digests) != 1:
        raise AssertionError("the windows differ from one start to another")
    return rows


def _empty(cache: Path) -> None:
    if cache.is_symlink():
        cache.unlink()
    shutil.rmtree(cache, ignore_errors=True)


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=24)
    parser.add_argument("--size", default="5000,5000", help="lines,samples")
    parser.add_argument("--patch-size", type=int, default=768)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--store", type=Path, help="measure this store in place of simulated ones")
    parser.add_argument("--name", default="starts")
    options = parser.parse_args()
    os.environ["XDG_CACHE_HOME"] = "relative"  # the user's cache takes no part
    with tempfile.TemporaryDirectory() as folder:
        store = options.store
        if store is None:
            lines, samples = map(int, options.size.split(","))
            store = Path(folder, "autoice.zarr")
            simulate(Path(folder, "rtt"), n_train=options.scenes, n_test=0, size=(lines, samples))
            prepare(Path(folder, "rtt"), store)
        rows = measure(store, options.patch_size, options.repeats)
        n_bytes = sum(path.stat().st_size for path in (store / CACHE).rglob("*") if path.is_file())
        opened = open_store(store)
        n_scenes = len(opened)
        table = format_table(
            ["start", "seconds", "CPU s", f"CPU s of {N_TRAINING} scenes"],
            [
                [name, f"{seconds:.2f}", f"{cpu:.2f}", f"{cpu * N_TRAINING / n_scenes:.1f}"]
                for name, seconds, cpu in rows
            ],
        )
    text = (
        f"{n_scenes} simulated scenes, patches of {options.patch_size} x {options.patch_size} "
        f"pixels, one core; the smallest of {options.repeats} starts. The windows are the same, "
        f"bit for bit. The cache takes {n_bytes / n_scenes / 1e3:.0f} kB a scene. The last column "
        f"is the third times {N_TRAINING} / {n_scenes}.\n\n{table}"
    )
    write_result(options.name, "The start of a training run", text)


if __name__ == "__main__":
    main()
