"""Every command that writes survives a kill at any step, and the next call ends as if none was."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kills.cases import CASES, TRAINING_CASES
from tests.kills.harness import Case, Killer, Zygote

N_STEPS, N_STEPS_SLOW = 3, 60
"""Kills of each command at a step, in the default suite and in the slow one."""


def kill(killer: Killer, n_steps: int) -> None:
    if killer.case.is_costly:
        n_steps = (n_steps + 2) // 3
    for step in killer.draw_steps(n_steps):
        killer.kill_at_step(step)
    for share in killer.draw_moments((n_steps + 2) // 3):
        killer.kill_at_moment(share)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_killed(case: Case, zygote: Zygote, inputs: Path, tmp_path: Path) -> None:
    kill(Killer(case, zygote, inputs, tmp_path), N_STEPS)


@pytest.mark.parametrize("case", TRAINING_CASES, ids=lambda case: case.name)
def test_killed_training(case: Case, training_zygote: Zygote, inputs: Path, tmp_path: Path) -> None:
    kill(Killer(case, training_zygote, inputs, tmp_path), N_STEPS)


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_killed_often(case: Case, zygote: Zygote, inputs: Path, tmp_path: Path) -> None:
    kill(Killer(case, zygote, inputs, tmp_path), N_STEPS_SLOW)


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("case", TRAINING_CASES, ids=lambda case: case.name)
def test_killed_training_often(
    case: Case, training_zygote: Zygote, inputs: Path, tmp_path: Path
) -> None:
    kill(Killer(case, training_zygote, inputs, tmp_path), N_STEPS_SLOW)
