from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from autoice_bench.baselines.networks.unet.network import UNet
from autoice_bench.errors import BaselineError


@pytest.mark.parametrize(
    ("n_channels", "options", "expected"),
    [
        # Published counts less 66 for the mask classes of SOD and FLOE: 2 x (32 weights + 1 bias).
        (14, {}, 522_448 - 66),
        (16, {}, 523_024 - 66),
        (14, {"n_outputs": (11, 6, 7)}, 522_811 - 99),
        (14, {"separate_decoders": True}, 1_095_376 - 66),
        # Each channel adds 32 x 3 x 3 = 288 weights: configurations 3 to 7.
        (2, {}, 522_382 - 12 * 288),
        (10, {}, 522_382 - 4 * 288),
        (9, {}, 522_382 - 5 * 288),
        (11, {}, 522_382 - 3 * 288),
        (27, {}, 522_382 + 13 * 288),
    ],
)
def test_parameters(n_channels: int, options: dict[str, Any], expected: int) -> None:
    with torch.device("meta"):
        network = UNet(n_channels, **options)
    assert sum(parameter.numel() for parameter in network.parameters()) == expected


def count_gmac(network: nn.Module, size: int, n_channels: int) -> float:
    """Multiply-adds of the convolutions, in 1e9, counted while the network runs."""
    macs = 0

    def count(module: nn.Module, _: object, output: Tensor) -> None:
        nonlocal macs
        assert isinstance(module, nn.Conv2d)
        macs += output.numel() * module.in_channels * module.kernel_size[0] ** 2

    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(count)
    with torch.no_grad():
        network.eval()(torch.zeros(1, n_channels, size, size))
    return macs / 1e9


@pytest.mark.parametrize(("separate", "expected"), [(False, 4.51), (True, 10.47)])
def test_cost_of_a_patch(separate: bool, expected: float) -> None:
    network = UNet(14, separate_decoders=separate)
    # Of 32 x 32 pixels; the patch has 64 times as many.
    # The published figures hold the two mask classes: 32 multiply-adds each per pixel.
    mask_classes = 2 * 32 * 256**2 / 1e9
    assert round(64 * count_gmac(network, 32, 14) + mask_classes, 2) == expected


@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize("regression", [False, True])
@pytest.mark.parametrize("size", [(32, 32), (37, 50), (33, 16), (5, 41), (1, 1)])
def test_outputs_have_the_size_of_the_input(
    size: tuple[int, int], separate: bool, regression: bool
) -> None:
    network = UNet(3, separate, (1 if regression else 11, 6, 7), widths=(4, 4, 8, 8)).eval()
    outputs = network(torch.randn(2, 3, *size))
    assert [logits.shape for logits in outputs] == [
        (2, n, *size) for n in (1 if regression else 11, 6, 7)
    ]


def test_every_parameter_is_trained() -> None:
    network = UNet(2, separate_decoders=True, widths=(4, 8))
    outputs = network(torch.randn(2, 2, 19, 22))
    torch.autograd.backward(torch.stack([logits.square().mean() for logits in outputs]).sum())
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name


def test_separate_decoders_share_the_encoder_alone() -> None:
    network = UNet(2, separate_decoders=True, widths=(4, 8))
    torch.autograd.backward(network(torch.randn(2, 2, 16, 16))[1].sum())
    with_gradient = {
        name.rpartition("levels")[0] or name
        for name, parameter in network.named_parameters()
        if parameter.grad is not None
    }
    assert with_gradient == {
        "encoder.", "decoders.1.", "decoders.1.heads.0.weight", "decoders.1.heads.0.bias",
    }  # fmt: skip


@pytest.mark.parametrize("pixel", [127, 128, 133, 136])
def test_receptive_field_is_about_230_pixels(pixel: int) -> None:
    # Ones everywhere, so that nothing cancels: which samples change the output of one pixel? By
    # counting 230; bilinear doubling makes it depend on where the pixel lies in its bridge pixel.
    network = UNet(1, widths=(1, 1, 1, 1)).eval()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.fill_(0 if name.endswith("bias") else 1)
        x = torch.zeros(256, 1, 16, 256)
        x[torch.arange(256), 0, :, torch.arange(256)] = 1
        reached = network(x)[1][:, 0, 8, pixel].nonzero()
    assert 220 <= int(reached.max() - reached.min()) + 1 <= 240


@pytest.mark.parametrize("bad", [{"n_channels": 0}, {"widths": ()}, {"widths": (4, 0)}])
def test_impossible_networks_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(BaselineError, match="positive"):
        UNet(**{"n_channels": 3, **bad})
