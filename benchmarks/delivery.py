"""Batches of random patches delivered to a training loop: `PatchLoader` beside a `DataLoader`.

Part of ``python -m benchmarks.patches``. Both deliver the same patches of one `PatchDataset`, read
by the same reader: what differs is how batches come from the workers to the loop. The loop does
nothing with them, which favours the `DataLoader`, whose fresh memory it would have to map.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any, Final

from autoice_bench.wording import format_count
from benchmarks.measure import format_table, measure_alone

BATCH_SIZE: Final = 8
WORKERS: Final = (1, 2)

PLAIN: Final = "plain `DataLoader`"
RING: Final = "**`PatchLoader`, processes**"
LOADERS: Final = (PLAIN, RING, "`PatchLoader`, threads")

PER_WORKER_AIMS: Final = {768: 300}
PLAIN_AIM: Final = 2

Rates = dict[tuple[int, int], float]
"""Patches per second by patch size and number of workers."""


def measure_loader(name: str, datasets: Mapping[int, Any], seconds: float) -> Rates:
    """Measure one loader with every patch size and number of workers, in this process."""
    return {
        (size, workers): _rate(_deliver(name, dataset, workers), workers, seconds)
        for size, dataset in datasets.items()
        for workers in WORKERS
    }


def _deliver(name: str, dataset: Any, workers: int) -> Iterator[None]:
    """Epoch after epoch; yields when a batch is there."""
    from torch.utils.data import DataLoader

    from autoice_bench.datasets.batches.reader import Mode
    from autoice_bench.datasets.batches.torch_datasets import PatchLoader, PatchSampler

    if name == PLAIN:
        sampler = PatchSampler(dataset, batch_size=BATCH_SIZE)
        plain = DataLoader(
            dataset, BATCH_SIZE, sampler=sampler, num_workers=workers, persistent_workers=True
        )
        for epoch in count():
            sampler.set_epoch(epoch)
            for _ in plain:
                yield
    mode: Mode = "process" if name == RING else "thread"
    with PatchLoader(dataset, BATCH_SIZE, workers=workers, mode=mode) as loader:
        for epoch in count():
            for _ in loader.epoch(epoch):
                yield


def _rate(batches: Iterator[None], workers: int, seconds: float) -> float:
    """Patches per second, once the workers have started and their memory is there."""
    for _ in range(8 * workers):
        next(batches)
    done, started = 0, time.perf_counter()
    while done < 2 * workers or time.perf_counter() - started < seconds:
        next(batches)
        done += 1
    return done * BATCH_SIZE / (time.perf_counter() - started)


def measure_delivery(
    store: Path, sizes: Sequence[int], seconds: float, rounds: int
) -> dict[str, list[Rates]]:
    """Measure every loader in rounds, each in a process of its own, with warm files."""
    from autoice_bench.datasets.batches.torch_datasets import PatchDataset
    from autoice_bench.datasets.store.root import open_store

    scene_ids = open_store(store, require_complete=True).scene_ids()
    datasets = {
        size: PatchDataset(
            store, scene_ids=scene_ids, patch_size=size, patches_per_epoch=2000, min_valid_pixels=1
        )
        for size in sizes
    }
    measured: dict[str, list[Rates]] = {name: [] for name in LOADERS}
    for _ in range(rounds):
        for name in LOADERS:
            measured[name].append(measure_alone(measure_loader, name, datasets, seconds).value)
    return measured


def delivery_paragraphs(
    store: Path, sizes: Sequence[int], seconds: float, rounds: int
) -> list[str]:
    """Measure, and write the paragraphs of the report: heading, table, aims."""
    measured = measure_delivery(store, sizes, seconds, rounds)

    def rate(name: str, size: int, workers: int) -> float:
        return statistics.median(rates[size, workers] for rates in measured[name])

    columns = ["batches delivered, warm", "workers"]
    columns += [f"patches/s at {size}" for size in sizes]
    columns += [f"times `DataLoader` at {size}" for size in sizes]
    rows = [
        [
            name,
            str(workers),
            *(f"{rate(name, size, workers):,.0f}" for size in sizes),
            *(f"{rate(name, size, workers) / rate(PLAIN, size, workers):.2f}" for size in sizes),
        ]
        for name in LOADERS
        for workers in WORKERS
    ]
    aims = []
    for size in sizes:
        for workers in WORKERS:
            found, words = rate(RING, size, workers), f"{format_count(workers, 'worker')} at {size}"
            if size in PER_WORKER_AIMS:
                aim = str(PER_WORKER_AIMS[size])
                aims.append([f"patches/s and worker, {words}", aim, f"{found / workers:.0f}"])
            ratio = found / rate(PLAIN, size, workers)
            aims.append([f"times `DataLoader`, {words}", str(PLAIN_AIM), f"{ratio:.2f}"])
    return [
        "## Delivered to the training loop",
        f"Batches of {BATCH_SIZE} patches with SAR, charts and the 2 km windows of AMSR2 and ERA5, "
        "from worker processes or threads to a loop that does nothing with them; "
        f"median of {rounds} rounds of {seconds:g} s each.",
        format_table(columns, rows),
        format_table(["`PatchLoader`, processes", "aim, at least", "measured"], aims),
    ]
