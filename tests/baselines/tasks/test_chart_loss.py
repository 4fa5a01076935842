from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from autoice_bench.baselines.tasks.chart_loss import MultiTaskLoss
from autoice_bench.baselines.tasks.chart_outputs import Outputs
from autoice_bench.errors import BaselineError

SIZES = (11, 6, 7)


def blank(lines: int = 1, samples: int = 2, sic_channels: int = 11) -> Outputs:
    """Equal logits: the cross-entropy of any class is log(number of classes)."""
    n_channels = (sic_channels, 6, 7)
    return Outputs(*(torch.zeros(1, n, lines, samples, requires_grad=True) for n in n_channels))


def labels(sic: list[int], sod: list[int], floe: list[int]) -> Tensor:
    return torch.tensor([sic, sod, floe], dtype=torch.uint8)[None, :, None, :]


def test_cross_entropy_is_the_mean_over_labelled_pixels() -> None:
    outputs = blank()
    with torch.no_grad():
        outputs.sod[0, 2, 0, 0] = math.log(4)  # probabilities 4/9, and 1/9 for the others
    charts = labels([3, 255], [2, 0], [255, 6])
    total, parts = MultiTaskLoss(weights=(1, 3, 2))(outputs, charts)
    # SOD: log(9/4) in the first pixel, log 6 in the second.
    expected = {"SIC": math.log(11), "SOD": (math.log(9 / 4) + math.log(6)) / 2}
    expected["FLOE"] = math.log(7)
    assert {name: part.item() for name, part in parts.items()} == pytest.approx(expected)
    assert total.item() == pytest.approx(
        expected["SIC"] + 3 * expected["SOD"] + 2 * expected["FLOE"]
    )


def test_squared_error_is_in_class_units() -> None:
    outputs = blank(samples=3, sic_channels=1)
    with torch.no_grad():
        outputs.sic[0, 0, 0] = torch.tensor([7.5, 12.0, -40.0])
    charts = labels([9, 10, 255], [255] * 3, [255] * 3)
    total, parts = MultiTaskLoss(weights=(1, 3, 3), sic="mse")(outputs, charts)
    # (1.5^2 + 2^2) / 2: predictions are not clamped, and the third pixel has no label.
    assert parts["SIC"].item() == pytest.approx(3.125)
    torch.autograd.backward(total)
    assert outputs.sic.grad is not None
    # d/dp of (p - t)^2 / 2 pixels = p - t.
    torch.testing.assert_close(outputs.sic.grad[0, 0, 0], torch.tensor([-1.5, 2.0, 0.0]))


@pytest.mark.parametrize("sic", ["cross-entropy", "mse"])
def test_a_chart_without_a_label_contributes_zero(sic: Any) -> None:
    outputs = blank(sic_channels=1 if sic == "mse" else 11)
    with torch.no_grad():
        outputs.sic.fill_(1e30)
    total, parts = MultiTaskLoss(sic=sic)(outputs, labels([255, 255], [1, 255], [255, 255]))
    assert total.item() == pytest.approx(math.log(6))
    assert parts["SIC"].item() == parts["FLOE"].item() == 0
    torch.autograd.backward(total)
    assert outputs.sic.grad is not None
    assert not outputs.sic.grad.any()
    assert outputs.sod.grad is not None
    assert outputs.sod.grad.any()


def test_a_batch_without_any_label_has_gradient_zero() -> None:
    outputs = blank()
    total, _ = MultiTaskLoss()(outputs, labels([255] * 2, [255] * 2, [255] * 2))
    torch.autograd.backward(total)
    assert total.item() == 0
    for logits in outputs:
        assert logits.grad is not None
        assert not logits.grad.any()


def random_batch(lines: int, samples: int, sic_channels: int) -> tuple[Outputs, Tensor]:
    torch.manual_seed(lines)
    n_channels = (sic_channels, 6, 7)
    outputs = Outputs(*(torch.randn(1, n, lines, samples) for n in n_channels))
    charts = torch.stack([torch.randint(n, (1, lines, samples)) for n in SIZES], dim=1)
    charts = torch.where(torch.rand(charts.shape) < 0.3, 255, charts)
    return outputs, charts.to(torch.uint8)


@pytest.mark.parametrize("sic", ["cross-entropy", "mse"])
def test_sums_of_scenes_pool_to_the_loss_of_all_pixels(sic: Any) -> None:
    loss = MultiTaskLoss(weights=(1, 3, 3), sic=sic)
    small, large = (random_batch(n, 6, 1 if sic == "mse" else 11) for n in (4, 9))
    sums, counts = (
        a + b for a, b in zip(loss.chart_sums(*small), loss.chart_sums(*large), strict=True)
    )
    assert sums.dtype == torch.float64
    assert counts.tolist() == [
        int((small[1][:, k] != 255).sum() + (large[1][:, k] != 255).sum()) for k in range(3)
    ]
    joined = Outputs(*(torch.cat(pair, dim=2) for pair in zip(small[0], large[0], strict=True)))
    expected, parts = loss(joined, torch.cat([small[1], large[1]], dim=2))
    total, pooled = loss.pool(sums, counts)
    assert total.item() == pytest.approx(expected.item(), rel=1e-6)
    assert pooled["FLOE"].item() == pytest.approx(parts["FLOE"].item(), rel=1e-6)
    # Not the mean of the scenes' losses: they differ in size.
    mean = (loss(*small)[0] + loss(*large)[0]) / 2
    assert abs(mean.item() - expected.item()) > 1e-3


@pytest.mark.parametrize("sic", ["cross-entropy", "mse"])
def test_half_precision_outputs_are_computed_in_float32(sic: Any) -> None:
    loss = MultiTaskLoss(sic=sic)
    outputs, charts = random_batch(5, 7, 1 if sic == "mse" else 11)
    halves = Outputs(*(logits.bfloat16() for logits in outputs))
    with torch.autocast("cpu", torch.bfloat16):
        total, parts = loss(halves, charts)
    assert total.dtype == torch.float32
    expected, _ = loss(Outputs(*(logits.float() for logits in halves)), charts)
    assert total.item() == expected.item()
    assert not any(part.requires_grad for part in parts.values())


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(BaselineError, match="loss_weights"):
        MultiTaskLoss(weights=(1, -1, 1))
    with pytest.raises(BaselineError, match="cross-entropy or mse"):
        MultiTaskLoss(sic="mae")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="SIC has 11 channels; its mse loss needs 1"):
        MultiTaskLoss(sic="mse")(blank(), labels([0, 0], [0, 0], [0, 0]))
