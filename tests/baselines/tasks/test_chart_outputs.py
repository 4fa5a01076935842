from __future__ import annotations

import pytest
import torch
from torch import Tensor

from autoice_bench.baselines.tasks.chart_outputs import (
    N_CLASSES,
    Outputs,
    to_classes,
    to_probabilities,
)


def one_hot_logits(classes: Tensor, n_classes: int) -> Tensor:
    """Logits (B, n_classes, H, W) that are highest at ``classes`` (B, H, W)."""
    return torch.nn.functional.one_hot(classes, n_classes).movedim(-1, 1).float()


def make_outputs(sic: Tensor, dtype: torch.dtype = torch.float32) -> Outputs:
    sod = one_hot_logits(torch.tensor([[[0, 5]]]), 6)
    floe = one_hot_logits(torch.tensor([[[6, 1]]]), 7)
    return Outputs(sic.to(dtype), sod.to(dtype), floe.to(dtype))


def test_class_counts_have_no_mask_class() -> None:
    assert N_CLASSES == (11, 6, 7)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_classes_are_the_highest_logits(dtype: torch.dtype) -> None:
    classes = to_classes(make_outputs(one_hot_logits(torch.tensor([[[10, 3]]]), 11), dtype))
    assert classes.dtype == torch.uint8
    assert classes.tolist() == [[[[10, 3]], [[0, 5]], [[6, 1]]]]


def test_regressed_concentration_is_rounded_and_clamped() -> None:
    # Halves go to the even class: 0.5 -> 0, 1.5 -> 2. Beyond 0..10 the nearest class is taken.
    values = torch.tensor([-3.0, 0.5, 1.5, 2.49, 9.6, 10.4, 300.0])
    sic = values.reshape(1, 1, 1, -1)
    zeros = torch.zeros(1, 1, 1, values.numel())
    outputs = Outputs(sic, zeros.expand(1, 6, 1, -1), zeros.expand(1, 7, 1, -1))
    assert outputs.sic_is_regression
    assert to_classes(outputs)[0, 0, 0].tolist() == [0, 0, 2, 2, 10, 10, 10]


def test_probabilities_are_the_softmax_in_float32() -> None:
    logits = torch.zeros(1, 11, 1, 2)
    logits[0, 4, 0, 1] = torch.log(torch.tensor(30.0))
    found = to_probabilities(make_outputs(logits, torch.bfloat16))
    assert found.sic is not None
    assert found.sic.dtype == torch.float32
    # Ten classes of weight 1 and one of weight 30: 30/40. bfloat16 logits hold three digits.
    torch.testing.assert_close(found.sic[0, 4, 0, 1], torch.tensor(0.75), rtol=0, atol=0.01)
    torch.testing.assert_close(found.sic[0, :, 0, 0], torch.full((11,), 1 / 11))
    for probabilities in found:
        assert probabilities is not None
        torch.testing.assert_close(probabilities.sum(1), torch.ones(1, 1, 2))


def test_regression_has_no_probabilities() -> None:
    found = to_probabilities(make_outputs(torch.zeros(1, 1, 1, 2)))
    assert found.sic is None
    assert found.sod.shape == (1, 6, 1, 2)
