"""`prepare` survives kills, bad files, full disks and other runs, and loses nothing."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner

from autoice_bench.cli import main
from autoice_bench.datasets.checks.verify import verify_store
from autoice_bench.datasets.prepare import job as scene_job
from autoice_bench.datasets.prepare.holding import Part, start_run
from autoice_bench.datasets.prepare.job import SceneJob, prepare_scene
from autoice_bench.datasets.prepare.prepare import prepare
from autoice_bench.datasets.store.root import StoreOptions, create_store, open_store
from autoice_bench.datasets.store.scene_writer import write_scene
from autoice_bench.errors import SceneError, StoreError
from autoice_bench.formats.rtt_folder import find_scenes
from tests.datasets.store_tools import (
    copy_source,
    digest_scenes,
    scene_files,
    scenes_of,
    start_prepare,
    wait_for_partial_file,
)

N_KILLS = 20


def assert_only_whole_scenes(store: Path, clean: dict[str, str]) -> None:
    """Every present scene equals the clean run's, byte for byte, and has all its files."""
    found = digest_scenes(store) if store.exists() else {}
    present = scenes_of(found)
    assert found == {
        path: digest for path, digest in clean.items() if path.split("/")[0] in present
    }
    if (store / "zarr.json").exists():
        assert set(open_store(store).scene_ids()) == present


@pytest.mark.parametrize("kill", range(N_KILLS))
def test_killed_run_leaves_whole_scenes_and_is_finished_by_the_next(
    kill: int, rtt_source: Path, prepared_store: Path, tmp_path: Path
) -> None:
    clean = digest_scenes(prepared_store)
    store = tmp_path / "s.zarr"
    process = start_prepare(rtt_source, store, workers=1)
    wait_for_partial_file(store, process)
    # From the first file under .partial on, spread over the time that six tiny scenes take.
    time.sleep(0.012 * kill)
    process.kill()  # no error where it has just ended
    process.join()
    assert_only_whole_scenes(store, clean)
    report = prepare(rtt_source, store, workers=1)
    assert report.store.state == "complete"
    assert digest_scenes(store) == clean
    assert [path.name for path in (store / ".partial").iterdir()] == ["lock"]
    assert not verify_store(store).problems


def test_killed_parent_of_workers(rtt_source: Path, prepared_store: Path, tmp_path: Path) -> None:
    clean = digest_scenes(prepared_store)
    store = tmp_path / "s.zarr"
    process = start_prepare(rtt_source, store, workers=2)
    wait_for_partial_file(store, process)
    children = psutil.Process(process.pid).children(recursive=True)
    process.kill()  # no error where it has just ended
    process.join()
    assert_only_whole_scenes(store, clean)
    # The lock died with its process, whatever its workers are still doing.
    assert prepare(rtt_source, store, workers=1).store.state == "complete"
    assert digest_scenes(store) == clean
    _, alive = psutil.wait_procs(children, timeout=60)
    assert not alive
    assert digest_scenes(store) == clean


def test_killed_worker_is_replaced(rtt_source: Path, prepared_store: Path, tmp_path: Path) -> None:
    store = tmp_path / "s.zarr"
    process = start_prepare(rtt_source, store, workers=2)
    wait_for_partial_file(store, process)
    for child in psutil.Process(process.pid).children(recursive=True):
        if "spawn_main" in " ".join(child.cmdline()):
            child.kill()
            break
    process.join(timeout=120)
    assert process.exitcode == 0
    assert digest_scenes(store) == digest_scenes(prepared_store)


def test_interrupted_run_is_finished_by_the_next(
    rtt_source: Path, prepared_store: Path, tmp_path: Path
) -> None:
    store = tmp_path / "s.zarr"
    process = start_prepare(rtt_source, store, workers=1)
    wait_for_partial_file(store, process)
    os.kill(process.pid or 0, signal.SIGINT)
    process.join(timeout=60)
    assert_only_whole_scenes(store, digest_scenes(prepared_store))
    prepare(rtt_source, store, workers=1)
    assert digest_scenes(store) == digest_scenes(prepared_store)


def test_second_run_is_refused_while_the_first_holds_the_store(
    rtt_source: Path, tmp_path: Path
) -> None:
    store = tmp_path / "s.zarr"
    with start_run(store), pytest.raises(StoreError, match="another prepare is running on it"):
        prepare(rtt_source, store, workers=1)
    assert len(prepare(rtt_source, store, workers=1).written) == 6


def test_parts_run_side_by_side_but_not_beside_a_plain_run(
    rtt_source: Path, prepared_store: Path, tmp_path: Path
) -> None:
    store = tmp_path / "s.zarr"
    processes = [
        start_prepare(rtt_source, store, workers=1, part=Part(number, 2)) for number in (1, 2)
    ]
    for process in processes:
        process.join(timeout=60)
        assert process.exitcode == 0
    with start_run(store, Part(1, 2)):
        with pytest.raises(StoreError, match="another prepare"):
            prepare(rtt_source, store, workers=1)
        with pytest.raises(StoreError, match="another prepare"):
            prepare(rtt_source, store, workers=1, part=Part(1, 2))
    assert len(prepare(rtt_source, store, workers=1).done) == 6
    assert digest_scenes(store) == digest_scenes(prepared_store)


def test_worker_of_a_superseded_run_commits_nothing(rtt_source: Path, tmp_path: Path) -> None:
    options = StoreOptions(simulated=True)
    store = create_store(tmp_path / "s.zarr", options)
    with start_run(store.path) as run:
        job = SceneJob(find_scenes(rtt_source).scenes[0], store.path, run.folder, options)
        (run.folder / "run.json").unlink()
        with pytest.raises(StoreError, match="superseded"):
            prepare_scene(job)
    assert store.scene_ids() == ()


def test_scene_committed_by_another_worker_is_left_alone(rtt_source: Path, tmp_path: Path) -> None:
    options = StoreOptions(simulated=True)
    store = create_store(tmp_path / "s.zarr", options)
    with start_run(store.path) as run:
        job = SceneJob(find_scenes(rtt_source).scenes[0], store.path, run.folder, options)
        assert prepare_scene(job).written
        before = digest_scenes(store.path)
        assert not prepare_scene(job).written
    assert digest_scenes(store.path) == before


def truncate(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def flip_compressed_byte(path: Path) -> None:
    """Damage the stored values of one chunk of HH, leaving the file's structure whole."""
    import h5py

    with h5py.File(path) as file:
        chunk = file["nersc_sar_primary"].id.get_chunk_info(0)
    with path.open("r+b") as file:
        file.seek(chunk.byte_offset + chunk.size // 2)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 0xFF]))


@pytest.mark.parametrize("damage", [truncate, flip_compressed_byte])
def test_damaged_file_stops_or_is_skipped(
    damage: object, rtt_source: Path, prepared_store: Path, tmp_path: Path
) -> None:
    source = copy_source(rtt_source, tmp_path / "rtt")
    bad = scene_files(source / "train")[2]
    whole = bad.read_bytes()
    assert callable(damage)
    damage(bad)
    scene_id = bad.name.removesuffix("_prep.nc")
    store = tmp_path / "s.zarr"
    with pytest.raises(SceneError, match=rf"scene {scene_id}: .*cannot be read.*--on-error skip"):
        prepare(source, store, workers=1)
    assert_only_whole_scenes(store, digest_scenes(prepared_store))
    arguments = ["prepare", str(source), str(store), "--workers", "1", "--on-error", "skip"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 1
    assert f"failed: scene {scene_id}" in result.output
    assert set(open_store(store).scene_ids()) == scenes_of(digest_scenes(prepared_store)) - {
        scene_id
    }
    bad.write_bytes(whole)
    assert prepare(source, store, workers=1).written == (scene_id,)
    assert digest_scenes(store) == digest_scenes(prepared_store)


def test_full_disk_keeps_what_is_done_and_says_how_much_is_missing(
    rtt_source: Path, prepared_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "s.zarr"
    calls = iter(range(100))

    def write_until_full(*args: object, **kwargs: object) -> None:
        write_scene(*args, **kwargs)  # type: ignore[arg-type]
        if next(calls) >= 3:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(scene_job, "write_scene", write_until_full)
    with pytest.raises(StoreError, match=r"disk is full; [0-3] scenes are done and kept.* MB more"):
        prepare(rtt_source, store, workers=1)
    assert_only_whole_scenes(store, digest_scenes(prepared_store))
    monkeypatch.undo()
    prepare(rtt_source, store, workers=1)
    assert digest_scenes(store) == digest_scenes(prepared_store)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte: room for a few scenes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small file system needs privileges")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("workers", [1, 2])
def test_really_full_disk(
    workers: int, small_disk: Path, rtt_source: Path, prepared_store: Path
) -> None:
    store = small_disk / "s.zarr"
    with pytest.raises(StoreError, match="the disk is full"):
        prepare(rtt_source, store, workers=workers)
    assert 1 <= len(open_store(store).scene_ids()) < 6
    assert_only_whole_scenes(store, digest_scenes(prepared_store))
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    prepare(rtt_source, store, workers=1)
    assert digest_scenes(store) == digest_scenes(prepared_store)


def test_workers_of_a_running_cluster_over_tcp(
    rtt_source: Path, prepared_store: Path, tmp_path: Path
) -> None:
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, protocol="tcp://", dashboard_address=None
    ) as cluster:
        assert cluster.scheduler_address.startswith("tcp://")
        report = prepare(rtt_source, tmp_path / "s.zarr", scheduler=cluster.scheduler_address)
    assert len(report.written) == 6
    assert digest_scenes(tmp_path / "s.zarr") == digest_scenes(prepared_store)


def test_absent_scheduler_is_said_in_one_line(rtt_source: Path, tmp_path: Path) -> None:
    arguments = ["prepare", str(rtt_source), str(tmp_path / "s.zarr"), "--scheduler", "nonsense"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 1
    assert "no dask scheduler answers there" in result.output
    assert result.output.count("\n") == 1


def test_dangling_link_is_the_fault_of_its_scene(rtt_source: Path, tmp_path: Path) -> None:
    source = copy_source(rtt_source, tmp_path / "rtt")
    path = scene_files(source)[0]
    path.unlink()
    path.symlink_to(tmp_path / "nothing.nc")
    report = prepare(source, tmp_path / "s.zarr", workers=1, on_error="skip")
    assert len(report.written) == 5
    (reason,) = report.failed.values()
    assert "its source cannot be read" in reason


def test_want_of_memory_is_the_fault_of_its_scene(
    rtt_source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *others = find_scenes(rtt_source).scenes

    def write(attempt: Path, scene: object, *arguments: object) -> None:
        if scene == first:
            raise MemoryError
        write_scene(attempt, scene, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(scene_job, "write_scene", write)
    report = prepare(rtt_source, tmp_path / "s.zarr", workers=1, on_error="skip")
    assert len(report.written) == len(others)
    assert report.failed == {
        first.scene_id: f"scene {first.scene_id}: asks for more memory than there is; "
        "--workers 1 needs the least"
    }


def test_nothing_listens_while_workers_prepare(rtt_source: Path, tmp_path: Path) -> None:
    store = tmp_path / "s.zarr"
    process = start_prepare(rtt_source, store, workers=2)
    parent = psutil.Process(process.pid)
    n_seen, listening = 0, []
    while process.is_alive():
        with contextlib.suppress(psutil.NoSuchProcess):
            for each in (parent, *parent.children(recursive=True)):
                n_seen += "spawn_main" in " ".join(each.cmdline())
                listening += [one for one in each.net_connections() if one.status == "LISTEN"]
    process.join()
    assert process.exitcode == 0
    assert n_seen > 0
    assert listening == []


def test_scheduler_and_workers_exclude_each_other() -> None:
    result = CliRunner().invoke(main, ["prepare", "--scheduler", "tcp://h:1", "--workers", "2"])
    assert result.exit_code == 2
    assert "give one" in result.output
