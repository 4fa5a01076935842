"""The multi-task loss: one term per chart, over its labelled pixels, weighted and summed.

Cross-entropy (unweighted classes) for every chart, or the squared error of concentration in class
units (0..10) for SIC. All in float32, whatever the precision of the network. Nothing here waits
for the device.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional

from autoice_bench.baselines.tasks.chart_outputs import N_CLASSES
from autoice_bench.charts import CHART_NAMES, FILL_VALUE
from autoice_bench.errors import BaselineError

SicLoss = Literal["cross-entropy", "mse"]


@dataclass(frozen=True)
class MultiTaskLoss:
    """Weighted sum of the charts' losses.

    The loss of a chart is the mean over its labelled pixels, of the whole batch; without any it
    is 0 with gradient 0, so that a batch without a label of one chart trains the others.

    Attributes:
        weights: of SIC, SOD and FLOE.
        sic: ``cross-entropy`` of 11 logits, or ``mse`` of one number in class units.

    Raises:
        BaselineError: a weight is negative, or another loss is asked for.
    """

    weights: tuple[float, float, float] = (1.0, 1.0, 1.0)
    sic: SicLoss = "cross-entropy"

    def __post_init__(self) -> None:
        if len(self.weights) != len(CHART_NAMES) or not all(w >= 0 for w in self.weights):
            raise BaselineError(
                f"loss_weights {self.weights}; expected three numbers of at least 0"
            )
        if self.sic not in get_args(SicLoss):
            raise BaselineError(f"sic_loss {self.sic!r}; expected {' or '.join(get_args(SicLoss))}")

    def __call__(
        self, outputs: Sequence[Tensor], charts: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of a batch.

        Args:
            outputs: SIC, SOD and FLOE of the network, any floating dtype.
            charts: (B, 3, H, W) uint8 labels, 255 where there is none.

        Returns:
            The weighted sum, a float32 scalar to differentiate; and each chart's unweighted loss
            by name, detached.

        Raises:
            ValueError: ``outputs[0]``, SIC, does not have the channels that this SIC loss needs.
        """
        sums, counts = self._sums(outputs, charts, torch.float32)
        return self.pool(sums, counts)

    def chart_sums(self, outputs: Sequence[Tensor], charts: Tensor) -> tuple[Tensor, Tensor]:
        """Sums and pixel counts, which add up over scenes of any size before ``pool``.

        Args:
            outputs: of the network.
            charts: (B, 3, H, W) uint8 labels.

        Returns:
            Per chart, both (3,): the sum of the pixels' losses, float64; the number of labelled
            pixels, int64.
        """
        return self._sums(outputs, charts, torch.float64)

    def pool(self, sums: Tensor, counts: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of pixels pooled: ``sums / counts`` per chart, weighted and summed.

        Args:
            sums: (3,) sums of ``chart_sums``, added over any number of scenes.
            counts: (3,) counts, added likewise.

        Returns:
            As a call does.
        """
        means = sums / counts.clamp(min=1)
        total = torch.stack([w * mean for w, mean in zip(self.weights, means, strict=True)]).sum()
        return total, dict(zip(CHART_NAMES, means.detach(), strict=True))

    def _sums(
        self, outputs: Sequence[Tensor], charts: Tensor, dtype: torch.dtype
    ) -> tuple[Tensor, Tensor]:
        n_sic, expected = outputs[0].shape[1], 1 if self.sic == "mse" else N_CLASSES[0]
        if n_sic != expected:
            raise ValueError(f"SIC has {n_sic} channels; its {self.sic} loss needs {expected}")
        valid = charts != FILL_VALUE
        counts = valid.sum(dim=(0, 2, 3))
        sums = [
            squared_errors(logits, charts[:, k], valid[:, k]).sum(dtype=dtype)
            if k == 0 and self.sic == "mse"
            else cross_entropies(logits, charts[:, k]).sum(dtype=dtype)
            for k, logits in enumerate(outputs)
        ]
        return torch.stack(sums), counts


def cross_entropies(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of every pixel, natural logarithm, float32 (B, H, W); 0 without a label.

    Args:
        logits: (B, classes, H, W), any floating dtype.
        labels: (B, H, W) uint8, 255 where there is none.
    """
    return functional.cross_entropy(
        logits.float(), labels.long(), ignore_index=FILL_VALUE, reduction="none"
    )


def squared_errors(predicted: Tensor, labels: Tensor, valid: Tensor) -> Tensor:
    """Squared error of every pixel in class units, float32 (B, H, W); 0 where not ``valid``.

    Args:
        predicted: (B, 1, H, W) concentration in class units 0..10, not clamped.
        labels: (B, H, W) uint8 classes.
        valid: (B, H, W) bool.
    """
    # Masked before the difference: an infinite prediction without a label must not become NaN.
    truth = labels.float()
    return (torch.where(valid, predicted[:, 0].float(), truth) - truth).square()
