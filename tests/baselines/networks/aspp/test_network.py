from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from autoice_bench.baselines.networks.aspp.constants import ENCODERS
from autoice_bench.baselines.networks.aspp.network import (
    Aspp,
    AsppDecoder,
    validate_rates,
)
from autoice_bench.errors import BaselineError

# Of the specification, with outputs for a mask class of each chart.
PARAMETERS_WITH_MASK_CLASS = {
    3: 30_431_483,
    4: 30_434_619,
    7: 30_444_027,
    14: 30_465_979,
    17: 30_475_387,
}


def decoders_of(network: Aspp) -> list[AsppDecoder]:
    return [decoder for decoder in network.decoders if isinstance(decoder, AsppDecoder)]


def build_small(rates: Any = (1, 2), seed: int = 0, **options: Any) -> Aspp:
    torch.manual_seed(seed)
    return Aspp(2, "resnet18", rates, width=8, **options)


@pytest.mark.parametrize("n_channels", PARAMETERS_WITH_MASK_CLASS)
def test_parameters_of_the_study(n_channels: int) -> None:
    with torch.device("meta"):
        network = Aspp(n_channels)
    parameters = sum(p.numel() for p in network.parameters())
    # The mask class costs 32 weights and a bias in each of three heads.
    assert parameters == PARAMETERS_WITH_MASK_CLASS[n_channels] - 3 * 33


@pytest.mark.parametrize("encoder", ENCODERS)
def test_every_encoder_ends_at_a_sixteenth(encoder: str) -> None:
    with torch.device("meta"):
        network = Aspp(5, encoder, (1,))
        features = network.encoder(torch.zeros(1, 5, 96, 129))
    channels = 256 if encoder in ("resnet18", "resnet34") else 1024
    assert features.shape == (1, channels, 6, 9)
    assert network.stride == 16


@pytest.mark.parametrize("size", [(1, 1), (16, 40), (17, 33), (48, 64), (101, 50)])
def test_logits_have_the_size_of_the_input(size: tuple[int, int]) -> None:
    network = build_small().eval()
    with torch.inference_mode():
        outputs = network(torch.randn(2, 2, *size))
    assert [tuple(logits.shape) for logits in outputs] == [(2, n, *size) for n in (11, 6, 7)]
    assert all(torch.isfinite(logits).all() for logits in outputs)


def test_concentration_by_regression() -> None:
    outputs = build_small(n_outputs=(1, 6, 7)).eval()(torch.randn(1, 2, 32, 32))
    assert [maps.shape[1] for maps in outputs] == [1, 6, 7]


def test_rates_per_chart_and_any_number_of_them() -> None:
    network = build_small([(1,), (2, 3, 4, 5), (6, 7)])
    assert network.rates == ((1,), (2, 3, 4, 5), (6, 7))
    found = [
        tuple(m.dilation[0] for m in decoder.atrous.modules() if isinstance(m, nn.Conv2d))
        for decoder in decoders_of(network)
    ]
    assert found == [(1,), (2, 3, 4, 5), (6, 7)]
    assert network.eval()(torch.randn(1, 2, 40, 40))[2].shape == (1, 7, 40, 40)


def test_an_atrous_branch_reads_at_its_rate() -> None:
    # A single one at (4, 4) of a feature map reaches the taps 3 pixels away in each direction.
    branch = decoders_of(build_small((3,)))[0].atrous[0]
    assert isinstance(branch, nn.Sequential)
    convolution = branch[0]
    assert isinstance(convolution, nn.Conv2d)
    nn.init.ones_(convolution.weight)
    x = torch.zeros(1, 256, 9, 9)
    x[0, 0, 4, 4] = 1
    reached = convolution(x)[0, 0].nonzero()
    assert reached.tolist() == [[a, b] for a in (1, 4, 7) for b in (1, 4, 7)]


def test_decoders_are_independent() -> None:
    network = build_small()
    network(torch.randn(2, 2, 64, 64))[1].sum().backward()
    with_gradient = [
        any(p.grad is not None and p.grad.abs().sum() > 0 for p in decoder.parameters())
        for decoder in decoders_of(network)
    ]
    assert with_gradient == [False, True, False]
    assert next(network.encoder.parameters()).grad is not None


def test_same_seed_same_network() -> None:
    first, again, other = build_small(seed=3), build_small(seed=3), build_small(seed=4)
    for name, value in first.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value, rtol=0, atol=0)
    assert not torch.equal(first.encoder.conv1.weight, other.encoder.conv1.weight)


def test_channels_last_changes_nothing_but_the_layout() -> None:
    network = build_small().eval()
    x = torch.randn(1, 2, 64, 80)
    expected = network(x)
    network = network.to(memory_format=torch.channels_last)
    found = network(x.to(memory_format=torch.channels_last))
    for logits, reference in zip(found, expected, strict=True):
        assert logits.is_contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(logits, reference, rtol=1e-4, atol=1e-5)


def test_dropout_acts_in_training_only() -> None:
    network = build_small(dropout=0.9)
    decoder, features = decoders_of(network)[0], torch.randn(2, 256, 4, 4)

    def twice() -> tuple[Tensor, Tensor]:
        return decoder(features), decoder(features)

    assert not torch.equal(*twice())
    network.eval()
    assert torch.equal(*twice())


@pytest.mark.parametrize(
    ("rates", "message"),
    [
        ((6, 0), "atrous rate 0 of decoder 1: expected positive integers"),
        ((6, -3), "atrous rate -3 of decoder 1"),
        ((6, 1.5), "atrous rate 1.5 of decoder 1"),
        ((6, True), "atrous rate True of decoder 1"),
        (("6",), "atrous rate '6' of decoder 1"),
        (((6,), (6, 0), (6,)), "atrous rate 0 of decoder 2"),
        (((6,), (6,), ()), "decoder 3 has no atrous rate"),
        ((), "decoder 1 has no atrous rate"),
        (((6,), (6,)), "atrous rates of 2 decoders; expected one list, or one for each of 3"),
        (((6,), 12, 18), r"atrous rate \(6,\) of decoder 1"),
    ],
)
def test_bad_rates(rates: Sequence[Any], message: str) -> None:
    with pytest.raises(BaselineError, match=message):
        validate_rates(rates, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"encoder": "resnet9"}, "encoder 'resnet9' is unknown; expected one of resnet18"),
        ({"n_channels": 0}, "n_channels 0: expected at least 1"),
        ({"width": 0}, "width 0: expected at least 1"),
        ({"dropout": 1.0}, "dropout 1.0: expected"),
    ],
)
def test_bad_arguments(options: dict[str, Any], message: str) -> None:
    with pytest.raises(BaselineError, match=message):
        Aspp(**{"n_channels": 2, "encoder": "resnet18", **options})
