from __future__ import annotations

import json
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim.lr_scheduler import CosineAnnealingWarmRestarts, ReduceLROnPlateau

from autoice_bench.baselines.training.schedules import Plateau, cosine_restarts

PERIOD = 20 * 500


def sgd(lr: float) -> torch.optim.SGD:
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (0, 1e-3),
        # (1 + cos d) / 2 = 1 - d^2/4 for small d; d = pi / 10,000 gives 1 - 2.4674e-8.
        (1, 1e-3 * (1 - 2.4674e-8)),
        (PERIOD // 2, 5e-4),
        # pi - d: d^2/4 = 2.4674e-8 is left.
        (9_999, 2.4674e-11),
        (10_000, 1e-3),
        (10_001, 1e-3 * (1 - 2.4674e-8)),
    ],
)
def test_cosine_restarts_every_20_epochs_of_500_iterations(step: int, expected: float) -> None:
    assert cosine_restarts(step, 1e-3, PERIOD) == pytest.approx(expected, rel=0, abs=1e-15)


def test_cosine_restarts_falls_to_the_least_rate() -> None:
    # Period 4 from 1 to 0.2: cosines 1, 0.70711, 0, -0.70711 of the half range 0.4 about 0.6.
    rates = [cosine_restarts(step, 1.0, 4, 0.2) for step in range(5)]
    assert rates == pytest.approx([1, 0.8828427, 0.6, 0.3171573, 1])


def test_cosine_restarts_agrees_with_torch() -> None:
    optimiser = sgd(1e-3)
    theirs = CosineAnnealingWarmRestarts(optimiser, 7, eta_min=1e-5)
    for step in range(30):
        assert cosine_restarts(step, 1e-3, 7, 1e-5) == pytest.approx(
            optimiser.param_groups[0]["lr"], rel=1e-12
        )
        optimiser.step()
        theirs.step()


def test_plateau_lowers_after_patience_is_over() -> None:
    plateau = Plateau(lr=1.0, factor=0.5, patience=2)
    # 3 improves; then three epochs without: the third exceeds the patience of two.
    assert [plateau.step(value) for value in (3, 3, 3, 3, 2)] == [1, 1, 1, 0.5, 0.5]
    assert plateau.best == 2
    # 2 * (1 - 1e-4) = 1.9998 is not undercut: no improvement.
    plateau.step(1.9998)
    assert plateau.bad_epochs == 1


values = st.one_of(
    st.sampled_from([1.0, 0.5, 0.49999, 0.4, math.nan, math.inf]), st.floats(0, 2, width=32)
)


@given(st.lists(values, max_size=40), st.integers(0, 4), st.sampled_from([0.0, 1e-8, 0.3]))
def test_plateau_agrees_with_torch_and_survives_json(
    losses: list[float], patience: int, min_lr: float
) -> None:
    optimiser = sgd(1e-5 if min_lr < 0.3 else 1.0)
    theirs = ReduceLROnPlateau(optimiser, factor=0.1, patience=patience, min_lr=min_lr)
    ours = Plateau(optimiser.param_groups[0]["lr"], 0.1, patience, min_lr)
    for loss in losses:
        theirs.step(loss)
        ours = Plateau.from_dict(json.loads(json.dumps(ours.to_dict())))
        assert ours.step(loss) == optimiser.param_groups[0]["lr"]
        assert ours.bad_epochs == theirs.num_bad_epochs
