"""Batches in a fixed order, whoever reads them."""

from __future__ import annotations

import multiprocessing
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoice_bench.datasets.batches import ring as batch_ring
from autoice_bench.datasets.batches.reader import BatchReader, Mode, NumpyBatch
from autoice_bench.datasets.patches.opening import open_patches, resolve_scenes
from autoice_bench.datasets.patches.windows import ARRAYS, PatchReader, allocate
from autoice_bench.errors import PatchError, StoreError
from tests.datasets.store_tools import copy_store


@pytest.fixture(scope="module")
def patches(prepared_store: Path) -> PatchReader:
    return open_small(prepared_store)


def open_small(store: Path, **options: Any) -> PatchReader:
    return open_patches(
        store,
        resolve_scenes(store, "official", "train"),
        **{
            "patch_size": 100,
            "seed": 7,
            "arrays": frozenset(ARRAYS),
            "patches_per_scene": 4,
            **options,
        },
    )


def worker_processes(parent: int | None = None) -> list[psutil.Process]:
    """Worker processes of this process, or of another; not Python's resource tracker."""
    children = psutil.Process(parent).children()
    return [each for each in children if "batches.worker" in " ".join(each.cmdline())]


def copied(batch: NumpyBatch) -> dict[str, Any]:
    arrays = {name: values.copy() for name, values in batch.arrays.items()}
    return {**arrays, "scene_id": list(batch.scene_ids)}


def assert_same(first: list[dict[str, Any]], second: list[dict[str, Any]]) -> None:
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        assert one.keys() == other.keys()
        for name, values in one.items():
            np.testing.assert_array_equal(values, other[name], err_msg=name)


@pytest.fixture(scope="module")
def epoch_one(patches: PatchReader) -> list[dict[str, Any]]:
    """Batches of 4 patches of epoch 1, read patch by patch."""
    expected = []
    for step in range(len(patches) // 4):
        arrays = allocate(patches.fields, 4)
        scene_ids = [patches.read(1, 4 * step + at, arrays, at) for at in range(4)]
        expected.append({**arrays, "scene_id": scene_ids})
    return expected


WORKERS: tuple[tuple[int, Mode], ...] = ((0, "process"), (3, "process"), (2, "thread"))


@pytest.mark.parametrize(("workers", "mode"), WORKERS)
def test_batches_do_not_depend_on_the_workers(
    patches: PatchReader, epoch_one: list[dict[str, Any]], workers: int, mode: Mode
) -> None:
    with BatchReader(patches, 4, workers=workers, mode=mode) as batches:
        assert_same([copied(batch) for batch in batches.epoch(1)], epoch_one)
        assert_same([copied(batch) for batch in batches.epoch(1, start=2)], epoch_one[2:])


@settings(max_examples=30)
@given(
    workers=st.integers(0, 3), batch_size=st.integers(1, 3), world_size=st.integers(1, 3),
    epoch=st.integers(0, 5), start=st.integers(0, 4), seed=st.integers(0, 9),
)  # fmt: skip
def test_seed_epoch_and_index_decide_every_patch(
    prepared_store: Path,
    workers: int, batch_size: int, world_size: int, epoch: int, start: int, seed: int,
) -> None:  # fmt: skip
    """Whatever the number of workers and ranks, and the step that a run is resumed from."""
    reader = open_small(prepared_store, patch_size=32, seed=seed, arrays=frozenset({"charts"}))
    step = batch_size * world_size
    expected = allocate(reader.fields, len(reader))
    scene_ids = [reader.read(epoch, i, expected, i) for i in range(len(reader))]
    for rank in range(world_size):
        with BatchReader(
            reader, batch_size, workers=workers, mode="thread", rank=rank, world_size=world_size
        ) as batches:
            n_read = 0
            for at, batch in enumerate(batches.epoch(epoch, start), start):
                own = slice(at * step + rank * batch_size, at * step + (rank + 1) * batch_size)
                assert batch.scene_ids == scene_ids[own]
                for name, values in batch.arrays.items():
                    np.testing.assert_array_equal(values, expected[name][own], err_msg=name)
                n_read += 1
            assert n_read == max(len(reader) // step - start, 0)


def test_ranks_share_the_batches_of_one(
    patches: PatchReader, epoch_one: list[dict[str, Any]]
) -> None:
    halves = []
    for rank in range(2):
        with BatchReader(patches, 2, workers=0, rank=rank, world_size=2) as batches:
            assert len(batches) == len(epoch_one)
            halves.append([copied(batch) for batch in batches.epoch(1)])
    joined = [
        {name: np.concatenate([first[name], second[name]]) for name in first}
        for first, second in zip(*halves, strict=True)
    ]
    assert_same(joined, epoch_one)


def test_an_epoch_left_early_does_not_leak_into_the_next(
    patches: PatchReader, epoch_one: list[dict[str, Any]]
) -> None:
    with BatchReader(patches, 4, workers=2) as batches:
        abandoned: Iterator[NumpyBatch] = batches.epoch(0)
        next(abandoned)
        abandoned.close()  # type: ignore[attr-defined]
        assert_same([copied(batch) for batch in batches.epoch(1)], epoch_one)


def test_a_batch_stays_valid_until_the_one_after_the_next(patches: PatchReader) -> None:
    with BatchReader(patches, 1, workers=2) as batches:
        before: tuple[NumpyBatch, dict[str, Any]] | None = None
        for batch in batches.epoch(0):
            if before is not None:
                time.sleep(0.01)
                assert_same([copied(before[0])], [before[1]])
            before = batch, copied(batch)


def test_another_epoch_ends_the_one_before(
    patches: PatchReader, epoch_one: list[dict[str, Any]]
) -> None:
    for workers, mode in WORKERS:
        with BatchReader(patches, 4, workers=workers, mode=mode) as batches:
            kept = batches.epoch(0)
            next(kept)
            assert_same([copied(batch) for batch in batches.epoch(1)], epoch_one)
            with pytest.raises(PatchError, match="epoch 0 cannot go on: another was begun"):
                next(kept)
            assert_same([copied(batch) for batch in batches.epoch(1)], epoch_one)


@pytest.mark.parametrize("n_read", [2, 3])
def test_the_last_batches_outlive_the_start_of_the_next_epoch(
    patches: PatchReader, n_read: int
) -> None:
    """Whether all batches of an epoch were read or it was left early."""
    with BatchReader(patches, 4, workers=2, mode="thread") as batches:
        last = [(batch, copied(batch)) for batch in islice(batches.epoch(0), n_read)][-1]
        next(batches.epoch(1))
        for worker in batches._workers:
            worker.drain()
        assert_same([copied(last[0])], [last[1]])


def test_a_closed_reader_says_so(patches: PatchReader) -> None:
    batches = BatchReader(patches, 4, workers=1)
    epoch = batches.epoch(0)
    next(epoch)
    batches.close()
    batches.close()
    with pytest.raises(PatchError, match="the reader was closed"):
        next(epoch)
    with pytest.raises(PatchError, match="the batch reader is closed"):
        next(batches.epoch(0))


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_closing_does_not_wait_for_children_of_the_trainer(patches: PatchReader) -> None:
    batches = BatchReader(patches, 4, workers=1)
    (worker,) = worker_processes()
    # It inherits the trainer's end of the worker's socket, as a DataLoader's workers do.
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,))
    child.start()
    try:
        closing = threading.Thread(target=batches.close, daemon=True)
        closing.start()
        closing.join(60)
        assert not closing.is_alive()
        assert not worker.is_running()
    finally:
        child.kill()
        child.join()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size 0, workers 2: expected at least 1"),
        ({"workers": -1}, "workers -1: expected"),
        ({"rank": 2, "world_size": 2}, "rank 2 of world_size 2"),
    ],
)
def test_arguments_out_of_range(
    patches: PatchReader, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(PatchError, match=message):
        BatchReader(patches, **{"batch_size": 1, **options})


def test_batches_that_do_not_fit_in_memory_are_refused(
    patches: PatchReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_ring, "available_bytes", lambda: 1000)
    with pytest.raises(PatchError, match=r"6 batches of 4 patches take .* 0.001 MB are available"):
        BatchReader(patches, 4, workers=2)


def test_an_epoch_smaller_than_a_batch_is_refused(patches: PatchReader) -> None:
    with pytest.raises(PatchError, match="epoch of 12 patches does not fill one batch of 17"):
        BatchReader(patches, 17)


def test_a_damaged_chunk_is_named_across_the_process_border(
    prepared_store: Path, tmp_path: Path
) -> None:
    store = copy_store(prepared_store, tmp_path)
    reader = open_small(store)
    for scene_id, _ in reader.plan.scenes:
        shard = store / "scenes" / scene_id / "sar/c/0/0/0"
        content = bytearray(shard.read_bytes())
        content[: len(content) // 2] = bytes(len(content) // 2)
        shard.write_bytes(content)
    with (
        BatchReader(reader, 4, workers=1) as batches,
        pytest.raises(StoreError, match=r"scene \d{8}T\d{6}_\w{3}: array sar.*chunk"),
    ):
        list(batches.epoch(0))


def test_a_killed_worker_is_an_error_not_a_wait(patches: PatchReader) -> None:
    with BatchReader(patches, 1, workers=1) as batches:
        (worker,) = worker_processes()
        epoch = batches.epoch(0)
        next(epoch)
        worker.send_signal(signal.SIGKILL)
        with pytest.raises(PatchError, match="killed by signal 9"):
            list(epoch)


def test_workers_leave_the_signals_to_the_trainer(patches: PatchReader) -> None:
    """From the first moment on: they have not begun to import what they need."""
    with BatchReader(patches, 1, workers=1) as batches:
        (worker,) = worker_processes()
        for number in (signal.SIGINT, signal.SIGTERM):
            worker.send_signal(number)
        assert len(list(batches.epoch(0))) == len(patches)
        for number in (signal.SIGINT, signal.SIGTERM):
            worker.send_signal(number)
        assert len(list(batches.epoch(1))) == len(patches)


def test_workers_end_when_the_trainer_is_killed(prepared_store: Path) -> None:
    scene_id = resolve_scenes(prepared_store, "official", "train")[0]
    script = (
        "import sys, time\n"
        "from autoice_bench.datasets.batches.reader import BatchReader\n"
        "from autoice_bench.datasets.patches.opening import open_patches\n"
        "store, scene_id = sys.argv[1:]\n"
        "arrays = frozenset(['sar'])\n"
        "patches = open_patches(store, [scene_id], patch_size=64, seed=0, arrays=arrays)\n"
        "reader = BatchReader(patches, 1, workers=2)\n"
        "next(reader.epoch(0))\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)\n"
    )
    trainer = subprocess.Popen(
        [sys.executable, "-c", script, str(prepared_store), scene_id],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    assert trainer.stdout is not None
    assert trainer.stdout.readline() == "ready\n"
    workers = worker_processes(trainer.pid)
    assert len(workers) == 2
    trainer.kill()
    trainer.wait()
    trainer.stdout.close()
    gone, alive = psutil.wait_procs(workers, timeout=20)
    assert not alive
    assert len(gone) == 2


def test_closing_gives_descriptors_and_processes_back(patches: PatchReader) -> None:
    def open_descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before = open_descriptors()
    with BatchReader(patches, 1, workers=2) as batches:
        next(batches.epoch(0))
        assert len(worker_processes()) == 2
    assert open_descriptors() <= before


@pytest.mark.parametrize("workers", [0, 1])
def test_relative_store_is_found_from_another_folder(
    workers: int, prepared_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my link.zarr").symlink_to(prepared_store)
    monkeypatch.chdir(tmp_path)
    store = Path("my link.zarr")
    scenes = resolve_scenes(store, "official", "train")
    patches = open_patches(
        store, scenes, patch_size=32, seed=0, patches_per_epoch=4, arrays=frozenset({"sar"})
    )
    monkeypatch.chdir("/")
    with BatchReader(patches, 2, workers=workers) as reader:
        assert len([batch.scene_ids for batch in reader.epoch(0)]) == 2


def test_store_that_is_moved_while_it_is_read(prepared_store: Path, tmp_path: Path) -> None:
    store = copy_store(prepared_store, tmp_path)
    scenes = resolve_scenes(store, "official", "train")
    patches = open_patches(
        store, scenes, patch_size=32, seed=0, patches_per_epoch=4, arrays=frozenset({"sar"})
    )
    store.rename(tmp_path / "moved.zarr")
    with (
        BatchReader(patches, 2, workers=0) as reader,
        pytest.raises(StoreError, match="not there any more; was the store moved or removed"),
    ):
        list(reader.epoch(0))
