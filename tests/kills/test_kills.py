"""Every command that writes survives a kill at any step, and the next call ends as if none was."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kills.cases import CASES, TRAINING_CASES
from tests.kills.harness import Case, Killer, Zygote

N_STEPS, N_MOMENTS = 4, 1
"""Kills of each command in the default suite; the slow one has many more."""


def kill(killer: Killer, n_steps: int, n_moments: int) -> None:
    for step in killer.draw_steps(n_steps):
        killer.kill_at_step(step)
    for share in killer.draw_moments(n_moments):
        killer.kill_at_moment(share)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_killed(case: Case, zygote: Zygote, inputs: Path, tmp_path: Path) -> None:
    kill(Killer(case, zygote, inputs, tmp_path), N_STEPS, N_MOMENTS)


@pytest.mark.parametrize("case", TRAINING_CASES, ids=lambda case: case.name)
def test_killed_training(case: Case, training_zygote: Zygote, inputs: Path, tmp_path: Path) -> None:
    kill(Killer(case, training_zygote, inputs, tmp_path), N_STEPS // 2, N_MOMENTS)


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_killed_at_every_step(case: Case, zygote: Zygote, inputs: Path, tmp_path: Path) -> None:
    kill(Killer(case, zygote, inputs, tmp_path), 200, 40)


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("case", TRAINING_CASES, ids=lambda case: case.name)
def test_killed_training_at_every_step(
    case: Case, training_zygote: Zygote, inputs: Path, tmp_path: Path
) -> None:
    kill(Killer(case, training_zygote, inputs, tmp_path), 200, 20)
