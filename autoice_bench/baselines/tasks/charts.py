"""The task of the challenge: concentration, stage of development and floe size of every pixel."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from autoice_bench.baselines.settings.values import require
from autoice_bench.baselines.tasks.contract import Loss, Maps, Output, ValidationCounts
from autoice_bench.charts import CHARTS, SIC
from autoice_bench.errors import BaselineError

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import Tensor

_LOSS_OF: dict[str, str] = {"classes": "cross-entropy", "regression": "mse"}


@dataclass(frozen=True)
class ChartTask:
    """The three charts; the defaults are those of the ASPP study.

    Attributes:
        sic_output: SIC as 11 ``classes`` or by ``regression`` of the class index.
        sic_loss: ``cross-entropy`` for classes, ``mse`` for regression.
        loss_weights: weights of the SIC, SOD and FLOE losses in the sum.

    Raises:
        BaselineError: a value is out of range, or loss and output of SIC do not go together.
    """

    name: ClassVar[str] = "charts"
    labels: ClassVar[str] = "charts"

    sic_output: Literal["classes", "regression"] = "classes"
    sic_loss: Literal["cross-entropy", "mse"] = "cross-entropy"
    loss_weights: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def __post_init__(self) -> None:
        weights = self.loss_weights
        require("loss_weights", weights, min(weights) >= 0 < max(weights), "0 or more, not all 0")
        expected = _LOSS_OF[self.sic_output]
        if self.sic_loss != expected:
            raise BaselineError(
                f"sic_loss is {self.sic_loss!r} with sic_output {self.sic_output!r}; expected "
                f"{expected!r}: set both"
            )

    @property
    def outputs(self) -> tuple[Output, ...]:
        regression = self.sic_output == "regression"
        return tuple(
            Output(chart.name, chart.n_classes, regression and chart is SIC) for chart in CHARTS
        )

    def values(self) -> dict[str, Any]:
        return {**asdict(self), "loss_weights": list(self.loss_weights)}

    def make_loss(self) -> Loss:
        from autoice_bench.baselines.tasks.chart_loss import MultiTaskLoss

        return MultiTaskLoss(self.loss_weights, self.sic_loss)

    def make_counts(self, device: torch.device) -> ValidationCounts:
        from autoice_bench.baselines.tasks.chart_loss import MultiTaskLoss
        from autoice_bench.baselines.tasks.chart_scores import ChartValidationCounts

        return ChartValidationCounts(MultiTaskLoss(self.loss_weights, self.sic_loss), device)

    def to_means(self, maps: Maps) -> Maps:
        from autoice_bench.baselines.tasks.chart_outputs import Outputs, to_means

        return to_means(Outputs(*maps))

    def to_classes(self, means: Maps) -> Tensor:
        from autoice_bench.baselines.tasks.chart_outputs import Outputs, to_classes

        return to_classes(Outputs(*means))

    def quantise(self, means: Maps) -> tuple[NDArray[np.uint8], ...]:
        from autoice_bench.baselines.tasks.chart_outputs import Outputs, quantise

        return quantise(Outputs(*means))


TASKS: dict[str, type[ChartTask]] = {ChartTask.name: ChartTask}
"""Tasks by the name that a recipe's ``[task]`` gives."""
