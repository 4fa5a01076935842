"""The maps of the three charts, and how they become classes, probabilities and stored values."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from autoice_bench.charts import CHARTS, SIC

PROBABILITY_STEPS: Final = 255
"""Stored probabilities are multiples of 1 / 255."""
CONCENTRATION_STEPS: Final = 25
"""Stored regressions are multiples of 1 / 25 class."""

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


def to_means(outputs: Outputs) -> Outputs:
    """What may be averaged over tiles and networks: probabilities, or the SIC regression as it is.

    Logits may not: their scale differs from network to network.

    Returns:
        float32.
    """
    found = to_probabilities(outputs)
    sic = outputs.sic.float() if found.sic is None else found.sic
    return Outputs(sic, found.sod, found.floe)


def quantise(means: Outputs) -> tuple[NDArray[np.uint8], ...]:
    """Probabilities of one scene as they are stored.

    Args:
        means: of ``to_means``, (1, channels, lines, samples).

    Returns:
        Per chart (channels, lines, samples) uint8: 255 for certainty; of a SIC regression 250 for
        class 10.
    """
    stored = []
    for k, maps in enumerate(means):
        is_regression = k == 0 and means.sic_is_regression
        steps = CONCENTRATION_STEPS if is_regression else PROBABILITY_STEPS
        largest = SIC.n_classes - 1 if is_regression else 1
        values = (maps[0].clamp(0, largest) * steps).round().to(torch.uint8)
        stored.append(values.cpu().numpy())
    return tuple(stored)
