"""Throughput of training: what a network costs, and how long a loop waits for its data."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Final, TypeVar

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

Item = TypeVar("Item")

TRAINING_FLOP_PER_MAC: Final = 6
"""Two operations per multiply-accumulate, in the forward pass and twice in the backward pass."""


def count_macs(network: nn.Module, shape: tuple[int, ...]) -> int:
    """Multiply-accumulates of one forward pass: convolutions and matrix products.

    Nothing is computed: the pass runs on tensors without values.

    Args:
        network: any module; left as it is.
        shape: of the input, (B, C, H, W).
    """
    state = {
        name: torch.empty_like(tensor, device="meta")
        for name, tensor in (*network.named_parameters(), *network.named_buffers())
    }
    # In evaluation mode nothing is updated, and a batch of one is enough for normalisation.
    was_training = network.training
    network.eval()
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            torch.func.functional_call(network, state, (torch.empty(shape, device="meta"),))
    finally:
        network.train(was_training)
    return int(counter.get_total_flops()) // 2


class WaitingTime:
    """Adds up the time that iterating takes, as the caller feels it.

    Attributes:
        seconds: waited so far.
    """

    def __init__(self) -> None:
        self.seconds = 0.0

    def measure(self, items: Iterable[Item]) -> Iterator[Item]:
        """The items; the time to get each is added."""
        iterator = iter(items)
        while True:
            started = time.perf_counter()
            try:
                item = next(iterator)
            except StopIteration:
                return
            finally:
                self.seconds += time.perf_counter() - started
            yield item
