"""What a task is: which maps a network predicts, and what is made of them.

Training, validation and inference know tasks only through this protocol. A recipe's ``[task]``
table holds the fields of one: a frozen dataclass such as ``charts.ChartTask``, which loads torch
inside its methods only, so that runs can be listed where torch is not installed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import Tensor

Maps = tuple["Tensor", ...]
"""One tensor per output of a task, in its order: (B, channels, lines, samples)."""


@dataclass(frozen=True)
class Output:
    """One of the maps that a network predicts.

    Attributes:
        name: such as ``SIC``.
        n_classes: classes of its labels.
        is_regression: one number in class units in place of a logit per class.
    """

    name: str
    n_classes: int
    is_regression: bool = False

    @property
    def n_channels(self) -> int:
        """Channels of the map."""
        return 1 if self.is_regression else self.n_classes


@dataclass(frozen=True)
class Validation:
    """What validation found.

    Attributes:
        loss: the task's loss, its weighted sum over the outputs.
        losses: loss of each output, mean over its labelled pixels; 0 without any.
        scores: main score of each output, percent; NaN where undefined.
        combined: the score that chooses the best network, percent; NaN where it is undefined.
        histograms: pixel counts of each output by class of truth and prediction.
    """

    loss: float
    losses: dict[str, float]
    scores: dict[str, float]
    combined: float
    histograms: dict[str, NDArray[np.int64]]


class Loss(Protocol):
    """The loss of a task."""

    def __call__(self, maps: Maps, labels: Tensor, /) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of a batch, to differentiate, and each output's by name, detached."""
        ...


class ValidationCounts(Protocol):
    """What validation adds up over scenes, on the device and over processes."""

    def add(self, maps: Maps, labels: Tensor) -> None:
        """Count some lines of a scene."""
        ...

    def tensors(self) -> tuple[Tensor, ...]:
        """What has been counted, to be summed over processes."""
        ...

    def summarise(self, tensors: tuple[Tensor, ...]) -> Validation:
        """Loss and scores of the sums."""
        ...


class Task(Protocol):
    """What networks are trained for."""

    @property
    def name(self) -> str:
        """What a recipe calls it."""
        ...

    @property
    def outputs(self) -> tuple[Output, ...]:
        """The maps of a network, in order."""
        ...

    @property
    def labels(self) -> str:
        """Name of the array of a batch that holds the labels."""
        ...

    def values(self) -> dict[str, Any]:
        """The task's settings by field, as JSON and TOML know values."""
        ...

    def make_loss(self) -> Loss:
        """The training loss."""
        ...

    def make_counts(self, device: torch.device) -> ValidationCounts:
        """Counters at 0, for a validation."""
        ...

    def to_means(self, maps: Maps) -> Maps:
        """What may be averaged over tiles and networks: probabilities, or a regression as is."""
        ...

    def to_classes(self, means: Maps) -> Tensor:
        """The predicted class of every pixel, (B, outputs, lines, samples) uint8."""
        ...

    def quantise(self, means: Maps) -> tuple[NDArray[np.uint8], ...]:
        """``to_means`` of one scene as it is stored, (channels, lines, samples) each."""
        ...


def channels_by_output(task: Task) -> Mapping[str, int]:
    """Channels of each map by the name of its output, in order."""
    return {output.name: output.n_channels for output in task.outputs}
