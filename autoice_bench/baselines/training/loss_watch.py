"""Watch over the loss: the first batch whose loss is not finite stops a run, by name.

On the CPU the check comes before the weights change. On a GPU it would make every step wait for
the device, so each loss is copied beside the computation and looked at a few steps later; the
weights may be spoilt by then, which is why no checkpoint is written before ``settle``.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from autoice_bench.errors import BaselineError

LAG_STEPS: Final = 8
"""Steps that a GPU may be behind; also how far the CPU may run ahead of it."""


@dataclass(frozen=True)
class _Pending:
    """A loss on its way to the CPU: valid once the event has happened."""

    value: Tensor
    copied: torch.cuda.Event
    where: str


class LossWatch:
    """Raises for the first loss that is not finite, in the order of the steps."""

    def __init__(self) -> None:
        self._pending: deque[_Pending] = deque()

    def add(self, loss: Tensor, epoch: int, step: int, scene_ids: Sequence[str]) -> None:
        """Take note of a step's loss, before the step changes the weights.

        Raises:
            BaselineError: this loss (on the CPU) or one of a few steps ago is NaN or infinite.
        """
        where = f"epoch {epoch + 1}, step {step + 1}, scenes {', '.join(dict.fromkeys(scene_ids))}"
        if loss.device.type != "cuda":
            _require_finite(loss, where)
            return
        # Into pinned memory, or the copy would wait for the device like `.item()` does.
        value = torch.empty((), dtype=loss.dtype, pin_memory=True)
        value.copy_(loss.detach(), non_blocking=True)
        self._pending.append(_Pending(value, torch.cuda.current_stream().record_event(), where))
        while len(self._pending) > LAG_STEPS:
            self._check_oldest()

    def settle(self, network: nn.Module) -> None:
        """Check every loss so far, then the weights; nothing may be saved before.

        Raises:
            BaselineError: a loss, or a weight, is NaN or infinite.
        """
        while self._pending:
            self._check_oldest()
        if not all_finite(network):
            raise BaselineError(
                "a weight has become NaN or infinite, though the losses were not; "
                "the last checkpoint is kept: go on from it with a smaller lr or in fp32"
            )

    def _check_oldest(self) -> None:
        oldest = self._pending.popleft()
        oldest.copied.synchronize()
        _require_finite(oldest.value, oldest.where)


def all_finite(network: nn.Module) -> bool:
    """Whether every parameter and buffer of a network is finite."""
    floating = [t for t in network.state_dict().values() if t.is_floating_point()]
    sums = torch.stack([tensor.abs().amax().double() for tensor in floating if tensor.numel()])
    return bool(torch.isfinite(sums).all())


def _require_finite(loss: Tensor, where: str) -> None:
    value = loss.item()
    if not math.isfinite(value):
        raise BaselineError(
            f"the loss is {value} at {where}; training stopped, the last checkpoint is kept: look "
            "at those scenes, or go on with a smaller lr or in fp32"
        )
