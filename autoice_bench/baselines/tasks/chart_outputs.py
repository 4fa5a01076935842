"""What every network returns: logits of the three charts, and how they become classes."""

from __future__ import annotations

from typing import Final, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from autoice_bench.charts import CHARTS, SIC

N_CLASSES: Final = tuple(chart.n_classes for chart in CHARTS)
"""Classes of SIC, SOD and FLOE, without a mask class: 11, 6, 7."""


class Outputs(NamedTuple):
    """Logits of the three charts at the size of the network's input.

    Attributes:
        sic: (B, 11, H, W) logits; of a regression (B, 1, H, W) concentration in class units,
            0..10.
        sod: (B, 6, H, W) logits.
        floe: (B, 7, H, W) logits.
    """

    sic: Tensor
    sod: Tensor
    floe: Tensor

    @property
    def sic_is_regression(self) -> bool:
        """Whether SIC is one number per pixel instead of one logit per class."""
        return self.sic.shape[1] == 1


class Probabilities(NamedTuple):
    """Class probabilities of the three charts, (B, classes, H, W) float32 each.

    Attributes:
        sic: None where the network predicts concentration by regression: it then has no
            probabilities.
        sod: sums to 1 over the six classes.
        floe: sums to 1 over the seven classes.
    """

    sic: Tensor | None
    sod: Tensor
    floe: Tensor


def to_classes(outputs: Outputs) -> Tensor:
    """The predicted class of every pixel.

    Args:
        outputs: of a network.

    Returns:
        (B, 3, H, W) uint8, SIC, SOD, FLOE: the class with the highest logit; a SIC regression is
        rounded (halves to even) and clamped to 0..10.
    """
    batch, _, lines, samples = outputs.sic.shape
    shape = (batch, len(CHARTS), lines, samples)
    classes = torch.empty(shape, dtype=torch.uint8, device=outputs.sic.device)
    for chart, logits in enumerate(outputs):
        if chart == 0 and outputs.sic_is_regression:
            classes[:, chart] = logits[:, 0].float().round().clamp(0, SIC.n_classes - 1)
        else:
            # On the CPU ten times as fast as argmax, which gives the same.
            classes[:, chart] = logits.max(dim=1).indices
    return classes


def to_probabilities(outputs: Outputs) -> Probabilities:
    """Class probabilities: the softmax of the logits, computed in float32.

    Args:
        outputs: of a network.

    Returns:
        One tensor per chart; SIC is None for a regression.
    """
    return Probabilities(
        sic=None if outputs.sic_is_regression else _softmax(outputs.sic),
        sod=_softmax(outputs.sod),
        floe=_softmax(outputs.floe),
    )


def _softmax(logits: Tensor) -> Tensor:
    return torch.softmax(logits, dim=1, dtype=torch.float32)


@runtime_checkable
class CoarseNetwork(Protocol):
    """A network whose logits can be had before they are upsampled bilinearly."""

    def forward_coarse(self, x: Tensor) -> Outputs:
        """Logits at a fraction of the input's size."""
