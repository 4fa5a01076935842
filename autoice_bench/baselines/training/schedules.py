"""Learning rates: cosine with warm restarts per iteration, and lowering on a plateau per epoch."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Final

THRESHOLD: Final = 1e-4
"""Relative improvement below which an epoch counts as none, as in PyTorch."""
SMALLEST_STEP: Final = 1e-8
"""A learning rate is not lowered by this much or less, as in PyTorch."""


def cosine_restarts(step: int, lr: float, period: int, min_lr: float = 0.0) -> float:
    """Learning rate of an iteration under cosine annealing with warm restarts.

    ``min_lr + (lr - min_lr) * (1 + cos(pi * t)) / 2`` with ``t`` the fraction of the period that
    is over. Source: Loshchilov and Hutter 2017, SGDR, equation 5, periods of equal length.

    Args:
        step: iterations done before this one, from 0.
        lr: rate at the start of every period.
        period: iterations from one restart to the next.
        min_lr: rate that a period falls towards and never reaches.

    Returns:
        The rate to use in iteration ``step``.
    """
    fraction = step % period / period
    return min_lr + (lr - min_lr) * (1 + math.cos(math.pi * fraction)) / 2


@dataclass
class Plateau:
    """Lowers the learning rate when a value that should fall has stopped falling.

    The rule is PyTorch's ``ReduceLROnPlateau`` (mode ``min``, relative threshold), with a state
    that is plain JSON.

    Attributes:
        lr: the learning rate now.
        factor: what it is multiplied by.
        patience: epochs without improvement that are accepted; the next one lowers the rate.
        min_lr: never below this.
        best: best value so far; None before the first.
        bad_epochs: epochs since.
    """

    lr: float
    factor: float = 0.5
    patience: int = 4
    min_lr: float = 0.0
    best: float | None = None
    bad_epochs: int = 0

    def step(self, value: float) -> float:
        """Take note of an epoch's value and return the learning rate of the next epoch.

        What is not finite counts as no improvement.
        """
        if value < (math.inf if self.best is None else self.best * (1 - THRESHOLD)):
            self.best, self.bad_epochs = value, 0
        else:
            self.bad_epochs += 1
        if self.bad_epochs > self.patience:
            self.bad_epochs = 0
            lowered = max(self.lr * self.factor, self.min_lr)
            if self.lr - lowered > SMALLEST_STEP:
                self.lr = lowered
        return self.lr

    def to_dict(self) -> dict[str, Any]:
        """Settings and state, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Plateau:
        """What ``to_dict`` gave."""
        return cls(**state)
