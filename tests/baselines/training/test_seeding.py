from __future__ import annotations

import pytest
import torch

from autoice_bench.baselines.training.seeding import derive_seed, seed_torch
from autoice_bench.errors import BaselineError


def test_seeds_differ_by_seed_purpose_and_position() -> None:
    seeds = [
        derive_seed(seed, purpose, *position)
        for seed in (0, 1)
        for purpose in ("weights", "step")
        for position in ((), (0, 1), (1, 0), (0, 1, 1))
    ]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_the_same_everywhere() -> None:
    assert derive_seed(0, "step", 3, 7) == derive_seed(0, "step", 3, 7)


def test_torch_draws_the_same_again() -> None:
    seed_torch(0, "step", 3, 7)
    first = torch.rand(4)
    torch.rand(100)
    seed_torch(0, "step", 3, 7)
    assert torch.equal(torch.rand(4), first)


def test_negative_seed() -> None:
    with pytest.raises(BaselineError, match="seed -1; expected 0 or more"):
        derive_seed(-1, "weights")
