"""Settings of the optimiser and its learning rate, read without torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from autoice_bench.baselines.settings.values import require


@dataclass(frozen=True)
class OptimiserSettings:
    """How a network's weights are changed; the defaults are those of the ASPP study.

    Attributes:
        name: ``adam`` or ``sgd``.
        lr: learning rate at the start.
        momentum: of SGD.
        weight_decay: L2 penalty.
        schedule: ``plateau`` (of the validation loss), ``cosine-restarts`` (per step) or
            ``constant``.
        plateau_factor, plateau_patience: lr is multiplied after that many epochs without progress.
        min_lr: lr never falls below it.
        restart_epochs: epochs between warm restarts.

    Raises:
        BaselineError: a value is out of range.
    """

    name: Literal["adam", "sgd"] = "adam"
    lr: float = 1e-5
    momentum: float = 0.9
    weight_decay: float = 0.0
    schedule: Literal["plateau", "cosine-restarts", "constant"] = "plateau"
    plateau_factor: float = 0.5
    plateau_patience: int = 4
    min_lr: float = 1e-8
    restart_epochs: int = 20

    def __post_init__(self) -> None:
        for name in ("lr", "restart_epochs"):
            value = getattr(self, name)
            require(name, value, value > 0, "more than 0")
        for name in ("momentum", "weight_decay", "plateau_patience", "min_lr"):
            value = getattr(self, name)
            require(name, value, value >= 0, "0 or more")
        factor = self.plateau_factor
        require("plateau_factor", factor, 0 <= factor <= 1, "a number from 0 to 1")
