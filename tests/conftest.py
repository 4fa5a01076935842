"""Tiny simulated sources that the whole test suite shares. Read only: copy before changing one."""

from __future__ import annotations

import os

# Before torch is imported: processes of a parallel run must not fight for the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from pathlib import Path

import pytest
from hypothesis import settings

from autoice_bench.datasets.prepare.prepare import prepare
from autoice_bench.datasets.simulate.run import SimulatedSource, simulate

# The same examples every time where a failure must mean a change; new ones on a developer's desk.
settings.register_profile("ci", derandomize=True, deadline=None)
settings.register_profile("desk", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "desk")

TINY_SIZE = (300, 327)


@pytest.fixture(scope="session")
def simulated_source(tmp_path_factory: pytest.TempPathFactory) -> SimulatedSource:
    """Four training and two test scenes of 300 x 327 pixels, without awkward cases."""
    out = tmp_path_factory.mktemp("simulated") / "rtt"
    return simulate(out, n_train=4, n_test=2, size=TINY_SIZE, seed=0, cases="none")


@pytest.fixture(scope="session")
def rtt_source(simulated_source: SimulatedSource) -> Path:
    """The folder of ``simulated_source``: train/, test/ and metadata.csv."""
    return simulated_source.path


@pytest.fixture(scope="session")
def prepared_store(rtt_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete store of ``rtt_source``. Read only: copy before changing it."""
    return prepare(
        rtt_source, tmp_path_factory.mktemp("store") / "autoice.zarr", workers=1
    ).store.path
