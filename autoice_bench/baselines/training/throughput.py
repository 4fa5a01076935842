"""How fast training is: the time that it waits for data, and what a multiply-add counts."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Final, TypeVar

Item = TypeVar("Item")

TRAINING_FLOP_PER_MAC: Final = 6
"""Two operations per multiply-accumulate, in the forward pass and twice in the backward pass."""


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
