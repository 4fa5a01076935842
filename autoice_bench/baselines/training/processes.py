"""What several processes that train one network tell each other."""

from __future__ import annotations

from typing import Final, cast

import torch
from lightning_fabric import Fabric
from torch import Tensor

from autoice_bench.baselines.machine.interruption import StopRequest

_STEPS_BETWEEN_AGREEMENTS: Final = 20
"""How often processes ask each other whether one was told to stop."""


def add_up(values: Tensor, fabric: Fabric) -> Tensor:
    """Sum over the processes."""
    if fabric.world_size == 1:
        return values
    return cast(Tensor, fabric.all_reduce(values.clone(), reduce_op="sum"))


def agree_to_stop(stop: StopRequest, fabric: Fabric, step: int) -> bool:
    """Whether any process was told to stop; all of them must stop after the same step."""
    if fabric.world_size == 1:
        return bool(stop)
    if step % _STEPS_BETWEEN_AGREEMENTS:
        return False
    told = torch.tensor(float(bool(stop)), device=fabric.device)
    return bool(add_up(told, fabric) > 0)
