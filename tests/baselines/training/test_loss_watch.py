from __future__ import annotations

import pytest
import torch
from torch import nn

from autoice_bench.baselines.training.loss_watch import LAG_STEPS, LossWatch, all_finite
from autoice_bench.errors import BaselineError


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_names_step_and_scenes_at_once_on_the_cpu(value: float) -> None:
    watch = LossWatch()
    watch.add(torch.tensor(1.0), 0, 0, ["a"])
    expected = rf"the loss is {value} at epoch 3, step 5, scenes b, a;"
    with pytest.raises(BaselineError, match=expected) as caught:
        watch.add(torch.tensor(value), 2, 4, ["b", "a", "b"])
    assert "the last checkpoint is kept" in str(caught.value)


def test_spoilt_weights_are_found_before_they_are_saved() -> None:
    network = nn.Linear(2, 2)
    LossWatch().settle(network)
    with torch.no_grad():
        network.bias[1] = torch.nan
    with pytest.raises(BaselineError, match="a weight has become NaN"):
        LossWatch().settle(network)


def test_counters_of_batch_normalisation_do_not_matter() -> None:
    assert all_finite(nn.BatchNorm2d(3))


@pytest.mark.gpu
def test_gpu_is_read_a_few_steps_later() -> None:
    watch = LossWatch()
    watch.add(torch.tensor(float("nan"), device="cuda"), 0, 0, ["first"])
    for step in range(1, LAG_STEPS):
        watch.add(torch.tensor(1.0, device="cuda"), 0, step, ["later"])
    with pytest.raises(BaselineError, match="epoch 1, step 1, scenes first"):
        watch.add(torch.tensor(float("nan"), device="cuda"), 0, LAG_STEPS, ["last"])


@pytest.mark.gpu
def test_gpu_is_read_to_the_end_before_saving() -> None:
    watch = LossWatch()
    watch.add(torch.tensor(float("nan"), device="cuda"), 0, 0, ["first"])
    with pytest.raises(BaselineError, match="scenes first"):
        watch.settle(nn.Linear(1, 1).cuda())
