"""Thousands of hostile inputs: each is refused in one line, or answered rightly.

``tests/hostile/fuzzing`` says how they are made. A failure names target and seed;
``python -m tests.hostile.run TARGET SEED`` repeats it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final

import numpy as np
import pytest

from tests.hostile.fuzzing.server import Fuzzer, open_fuzzer
from tests.hostile.fuzzing.targets import TARGETS
from tests.hostile.run import group

FEW: Final = 2_000
MANY: Final = 50_000
_FIRST_OF_MANY: Final = 1_000_000
"""The slow run tries other seeds."""
_SHARES: Final = sum(target.share for target in TARGETS.values())


@pytest.fixture(scope="session")
def fuzzer() -> Iterator[Fuzzer]:
    with open_fuzzer() as opened:
        yield opened


def count_inputs(target: str, total: int) -> int:
    """Its part of all inputs."""
    return int(np.ceil(total * TARGETS[target].share / _SHARES))


def expect_nothing(fuzzer: Fuzzer, target: str, first: int, total: int) -> None:
    # Under pytest-xdist other workers use the other cores.
    jobs = 1 if "PYTEST_XDIST_WORKER" in os.environ else min(2, os.cpu_count() or 1)
    findings = fuzzer.try_seeds(target, first, count_inputs(target, total), jobs)
    groups = group(findings).values()
    assert not findings, f"{len(findings)} findings of {len(groups)} kinds\n" + "\n".join(
        f"{len(members)} x {members[0]}" for members in groups
    )


@pytest.mark.timeout(900)  # seconds, but other programs may want the machine
@pytest.mark.parametrize("target", TARGETS)
def test_few(fuzzer: Fuzzer, target: str) -> None:
    expect_nothing(fuzzer, target, 0, FEW)


@pytest.mark.slow
@pytest.mark.timeout(0)
@pytest.mark.parametrize("target", TARGETS)
def test_many(fuzzer: Fuzzer, target: str) -> None:
    expect_nothing(fuzzer, target, _FIRST_OF_MANY, MANY)
