"""Fixtures of the scoring tests; the sources are written once and never changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scoring.make import write_predictions, write_rtt, write_store


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_store(tmp_path_factory.mktemp("store") / "autoice.zarr")


@pytest.fixture(scope="session")
def rtt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_rtt(tmp_path_factory.mktemp("rtt"))


@pytest.fixture(scope="session")
def predictions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_predictions(tmp_path_factory.mktemp("preds") / "noisy")
