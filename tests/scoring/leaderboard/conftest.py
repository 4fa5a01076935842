"""A leaderboard of two submissions, written once; each test gets a copy."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from autoice_bench.scoring.evaluate import Evaluation
from tests.scoring.leaderboard.tools import evaluate_noisy, submit


@pytest.fixture(scope="session")
def good(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    return evaluate_noisy(store, tmp_path_factory.mktemp("good"), 0.1)


@pytest.fixture(scope="session")
def poor(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    return evaluate_noisy(store, tmp_path_factory.mktemp("poor"), 0.6, seed=1)


@pytest.fixture(scope="session")
def pristine(good: Evaluation, poor: Evaluation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("board")
    submit(poor, root, "poor")
    submit(good, root, "good")
    return root


@pytest.fixture
def root(pristine: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pristine, tmp_path / "leaderboard"))
