"""The way to a cluster: whatever is wrong with it is one line, and soon."""

from __future__ import annotations

import json
import logging
import socket
from pathlib import Path
from typing import Any

import pytest
from distributed import LocalCluster

from autoice_bench import __version__
from autoice_bench.cluster import client as clients
from autoice_bench.cluster.client import open_cluster
from autoice_bench.errors import ClusterError


@pytest.fixture(autouse=True)
def short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "CONNECT_S", 2.0)
    monkeypatch.setattr(clients, "WORKERS_S", 0.2)
    monkeypatch.setattr(logging.getLogger("autoice_bench"), "propagate", True)


def refusal(scheduler: str) -> str:
    with pytest.raises(ClusterError) as caught, open_cluster(scheduler):
        pass
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "address",
    ["foo://host:1", "tcp://127.0.0.1", "tcp://127.0.0.1:port", "[]", "http://127.0.0.1:80"],
)
def test_address_that_is_none(address: str) -> None:
    message = refusal(address)
    assert message.startswith(f"scheduler {address}: no dask scheduler answers there (")
    assert "expected an address such as tcp://host:8786" in message


def test_port_where_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        message = refusal(f"tcp://127.0.0.1:{free.getsockname()[1]}")
    assert "no dask scheduler answers there" in message


def test_port_that_takes_a_connection_and_says_nothing() -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        message = refusal(f"tcp://127.0.0.1:{deaf.getsockname()[1]}")
    assert "no dask scheduler answers there" in message


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "no such file"),
        ("", "is empty"),
        ("{", "is not JSON"),
        ("[]", "names no address"),
        ('{"address": 1}', "names no address"),
        ("[" * 100_000, "nested too deep"),
    ],
)
def test_scheduler_file_that_is_none(content: str | None, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "scheduler"
    if content is not None:
        path.write_text(content)
    message = refusal(str(path))
    assert message.startswith(f"scheduler file {path}")
    assert problem in message


def test_folder_in_place_of_a_scheduler_file(tmp_path: Path) -> None:
    assert "is a folder; expected a file" in refusal(str(tmp_path))


def test_scheduler_by_address_and_by_file(cluster: Any, tmp_path: Path) -> None:
    path = tmp_path / "scheduler.json"
    path.write_text(json.dumps({"address": cluster.scheduler_address}))
    for scheduler in (cluster.scheduler_address, str(path)):
        with open_cluster(scheduler) as client:
            assert client.submit(sum, [1, 2]).result() == 3


def test_address_of_a_worker(cluster: Any) -> None:
    (address,) = cluster.scheduler_info["workers"]
    assert "found a Worker" in refusal(address)


def test_other_version_is_refused(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "__version__", "99.0")
    message = refusal(cluster.scheduler_address)
    assert f"(and 1 more) has autoice-bench {__version__}; expected 99.0, as here" in message


def test_environment_without_the_package_is_refused(
    cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "_VERSION", "__import__('no_such_package').__version__")
    message = refusal(cluster.scheduler_address)
    assert "has no autoice-bench (No module named 'no_such_package')" in message


def test_cluster_without_workers(caplog: pytest.LogCaptureFixture) -> None:
    with LocalCluster(
        n_workers=0, processes=False, protocol="tcp://", dashboard_address=None
    ) as empty:
        message = refusal(empty.scheduler_address)
    assert "no worker came within" in message
    (record,) = [one for one in caplog.records if one.name.startswith("autoice_bench")]
    assert "waiting for workers" in record.getMessage()
