"""Where a training run stands: what must survive an interruption, as plain JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from autoice_bench.baselines.training.schedules import Plateau


@dataclass
class Best:
    """The best epoch so far by one measure.

    Attributes:
        epoch: its number, from 1; None before the first.
        value: its value.
    """

    epoch: int | None = None
    value: float | None = None


@dataclass
class TrainingState:
    """Where a run stands.

    Attributes:
        plateau: the learning rate, and what lowers it.
        epoch: epochs that are over, validation included.
        step: steps done of the epoch begun.
        seconds: time spent on these steps.
        data_seconds: the part of it spent waiting for data.
        best_loss: lowest validation loss.
        best_combined: highest combined score on the validation scenes.
        is_over: whether the last epoch is done or training stopped early.
        row: metrics of the last epoch; empty before the first.
        skipped: training scenes without an eligible patch.
    """

    plateau: Plateau
    epoch: int = 0
    step: int = 0
    seconds: float = 0.0
    data_seconds: float = 0.0
    best_loss: Best = field(default_factory=Best)
    best_combined: Best = field(default_factory=Best)
    is_over: bool = False
    row: dict[str, Any] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)

    @property
    def epochs_without_progress(self) -> int:
        """Epochs since the lowest validation loss."""
        return self.epoch - (self.best_loss.epoch or 0)

    def end_epoch(self, loss: float, combined: float, row: Mapping[str, Any]) -> None:
        """Take note of an epoch that is over. NaN is never better than anything."""
        self.epoch += 1
        self.step, self.seconds, self.data_seconds = 0, 0.0, 0.0
        if _is_better(-loss, None if self.best_loss.value is None else -self.best_loss.value):
            self.best_loss = Best(self.epoch, loss)
        if _is_better(combined, self.best_combined.value):
            self.best_combined = Best(self.epoch, combined)
        self.row = {key: _to_json(value) for key, value in row.items()}

    def to_dict(self) -> dict[str, Any]:
        """The state, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> TrainingState:
        """What ``to_dict`` gave."""
        return cls(
            **{
                **state,
                "plateau": Plateau.from_dict(state["plateau"]),
                "best_loss": Best(**state["best_loss"]),
                "best_combined": Best(**state["best_combined"]),
            }
        )


def _is_better(value: float, best: float | None) -> bool:
    return math.isfinite(value) and (best is None or value > best)


def _to_json(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
