from __future__ import annotations

import pytest

from autoice_bench import worker_rule
from autoice_bench.worker_rule import choose_workers


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_rule, "count_cores", lambda: 8)


def test_as_asked_but_none_without_work() -> None:
    assert choose_workers(3, n_scenes=10, n_pixels=1) == 3
    assert choose_workers(20, n_scenes=10, n_pixels=1) == 10
    assert choose_workers(4, n_scenes=0, n_pixels=0) == 1


def test_as_many_as_the_work_is_worth() -> None:
    full_size = 5000 * 5000
    assert choose_workers(None, n_scenes=3, n_pixels=3 * full_size) == 1
    assert choose_workers(None, n_scenes=8, n_pixels=8 * full_size) == 2
    assert choose_workers(None, n_scenes=512, n_pixels=512 * full_size) == 8
    # Reading the smallest scenes costs time as well.
    assert choose_workers(None, n_scenes=63, n_pixels=63 * 40_000) == 1
    assert choose_workers(None, n_scenes=10_000, n_pixels=10_000 * 40_000) == 8


def test_the_cores_that_the_process_may_use() -> None:
    assert worker_rule.count_cores() >= 1
