"""Jobs on a cluster: what comes of them, also where workers die or see other files."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dask
import pytest
from distributed import LocalCluster

from autoice_bench.cluster import jobs as cluster_jobs
from autoice_bench.cluster.client import open_cluster
from autoice_bench.cluster.jobs import WorkerLostError, run_jobs
from autoice_bench.cluster.same_files import stamp_files
from autoice_bench.errors import ClusterError


def halve(number: int) -> float:
    if number % 2:
        raise ValueError(f"{number} is odd")
    return number / 2


def die(_: object) -> None:
    os._exit(9)


def read(name: str) -> str:
    return Path(name).read_text()


def no_files(_: object) -> tuple[Path, ...]:
    return ()


def test_every_job_is_yielded_with_what_came_of_it(cluster: Any) -> None:
    with open_cluster(cluster.scheduler_address) as client:
        outcomes = dict(run_jobs(client, halve, range(20), no_files))
    assert sorted(outcomes) == list(range(20))
    for number, outcome in outcomes.items():
        if number % 2:
            assert str(outcome) == f"{number} is odd"
        else:
            assert outcome == number / 2


def test_no_jobs(cluster: Any) -> None:
    with open_cluster(cluster.scheduler_address) as client:
        assert list(run_jobs(client, halve, [], no_files)) == []


def test_worker_that_comes_later_with_another_version() -> None:
    sent = cluster_jobs._Sent(halve, 2, "99.0", ())
    with pytest.raises(ClusterError, match=r"has autoice-bench .*; expected 99\.0, as here"):
        cluster_jobs._run(sent)


def test_workers_that_run_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker in another folder reads what the client means; on another disk it is refused."""
    here, there = tmp_path / "here", tmp_path / "there"
    for folder, text in ((here, "of here"), (there, "older!!")):
        folder.mkdir()
        (folder / "a").write_text(text)
    monkeypatch.chdir(there)
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        LocalCluster(
            n_workers=1, threads_per_worker=1, protocol="tcp://", dashboard_address=None
        ) as made,
        open_cluster(made.scheduler_address) as client,
    ):
        monkeypatch.chdir(here)
        name = str(here / "a")
        assert list(run_jobs(client, read, [name], lambda job: [Path(job)])) == [(name, "of here")]
        # As on a machine where another file has that name.
        stamps = stamp_files([here / "a"])
        (here / "a").write_text("of there")
        monkeypatch.setattr(cluster_jobs, "stamp_files", lambda _: stamps)
        ((_, outcome),) = run_jobs(client, read, [name], no_files)
        assert isinstance(outcome, ClusterError)
        assert f"sees other files: {name} is " in str(outcome)
        monkeypatch.undo()
        ((_, lost),) = run_jobs(client, die, ["a"], no_files)
        assert isinstance(lost, WorkerLostError)


def test_cluster_whose_workers_are_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_jobs, "ALONE_S", 0.0)
    alone: Any = SimpleNamespace(nthreads=dict)
    with pytest.raises(ClusterError, match="all workers of the dask cluster are gone, with 3"):
        cluster_jobs._look(alone, 0.0, 3)
    working: Any = SimpleNamespace(nthreads=lambda: {"tcp://a:1": 2})
    assert cluster_jobs._look(working, 0.0, 3) > 0


def test_scheduler_that_is_gone() -> None:
    def fail() -> dict[str, int]:
        raise OSError("in <TCP>: connection closed")

    gone: Any = SimpleNamespace(nthreads=fail)
    with pytest.raises(ClusterError, match="the dask scheduler is gone"):
        cluster_jobs._look(gone, 0.0, 3)
