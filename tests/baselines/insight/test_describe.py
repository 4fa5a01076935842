from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from autoice_bench.baselines.insight.describe import NetworkDescription, compute_mean_taps, describe
from autoice_bench.baselines.networks.aspp.network import Aspp
from autoice_bench.baselines.networks.cost import Reach, trace
from autoice_bench.baselines.networks.unet.network import UNet
from autoice_bench.text.network import format_description


def on_meta(build: Callable[[], nn.Module]) -> nn.Module:
    with torch.device("meta"):
        return build()


class AsTuple(nn.Module):
    """A part of a network, with its output as the only one of a tuple."""

    def __init__(self, part: nn.Module) -> None:
        super().__init__()
        self.part = part

    def forward(self, x: Tensor) -> tuple[Tensor]:
        return (self.part(x),)


class Small(nn.Module):
    """Every kind of step once, and a skip connection that sees less."""

    def __init__(self) -> None:
        super().__init__()
        self.halve = nn.Conv2d(2, 4, 3, stride=2, padding=1)
        self.widen = nn.Conv2d(4, 8, 3, padding=2, dilation=2, groups=2)
        self.head = nn.Conv2d(10, 3, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        deep = self.widen(functional.max_pool2d(torch.relu_(self.halve(x)), 2))
        up = functional.interpolate(deep, x.shape[-2:], mode="bilinear")
        return self.head(torch.cat([x, up], dim=1)), deep


def test_reach_and_cost_of_a_transposed_convolution() -> None:
    # 2x2 with stride 2: each output pixel comes from one pixel of the map below, 2 pixels wide.
    network = AsTuple(nn.Sequential(nn.Conv2d(1, 3, 2, stride=2), nn.ConvTranspose2d(3, 5, 2, 2)))
    found = trace(network, 1, (8, 8))
    assert found.reaches == (Reach(2, 1),)
    # 4 x 4 outputs of 1 * 2 * 2 * 3; 4 x 4 inputs of 3 channels, each spread to 5 * 2 * 2.
    assert found.multiply_adds == 4 * 4 * 3 * 4 + 4 * 4 * 3 * 20
    # 4x4 with stride 2: from two pixels, one jump of 2 apart.
    wide = nn.ConvTranspose2d(3, 5, 4, stride=2, padding=1)
    network = AsTuple(nn.Sequential(nn.Conv2d(1, 3, 2, stride=2), wide))
    assert trace(network, 1, (8, 8)).reaches == (Reach(4, 1),)


def test_reach_and_cost_by_hand() -> None:
    found = trace(on_meta(Small), 2, (8, 16))
    # Field: 3, jump 2; pooling 3 + 2 = 5, jump 4; dilated 5 + 2*2*4 = 21; upsampling 21 + 4 = 25.
    assert found.reaches == (Reach(25, 1), Reach(21, 4))
    # 4x8 pixels x 4 x (2*9), 2x4 pixels x 8 x (2*9), 8x16 pixels x 3 x 10.
    assert found.multiply_adds == 32 * 72 + 8 * 144 + 128 * 30


def test_reach_is_what_a_nan_reaches() -> None:
    width, network = 96, Small()
    x = torch.zeros(width, 2, 4, width)
    x[torch.arange(width), :, 2, torch.arange(width)] = torch.nan
    reached = torch.isnan(network(x)[0]).any(dim=1).any(dim=1)  # (input sample, output sample)
    fields = [
        int(sources.nonzero().max() - sources.nonzero().min()) + 1
        for sources in reached.T[32:64]  # away from the edges
    ]
    assert max(fields) == 25


def test_tracing_changes_nothing() -> None:
    network = Aspp(2, "resnet18", (1,), width=4)
    network.encoder.bn1.eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    describe(network, 2, 32)
    assert network.training
    assert not network.encoder.bn1.training
    assert network.decoders.training
    for name, value in network.state_dict().items():
        assert value.device.type == "cpu"
        assert torch.equal(value, before[name])


def test_reach_of_the_encoder() -> None:
    network = on_meta(lambda: AsTuple(Aspp(3).encoder))
    assert trace(network, 3, (256, 256)).reaches == (Reach(811, 16),)


# Figures of the published network: its cost does not depend on the rates.
@pytest.mark.parametrize(
    ("n_channels", "rates", "gmac"),
    [(3, (6, 12, 18), 88.67), (7, (12, 24, 36), 90.52), (17, (18, 36, 54), 95.14)],
)
def test_cost_of_a_patch(n_channels: int, rates: tuple[int, ...], gmac: float) -> None:
    found = trace(on_meta(lambda: Aspp(n_channels, rates=rates)), n_channels, (768, 768))
    assert found.multiply_adds / 1e9 == pytest.approx(gmac, abs=0.005)


@pytest.mark.parametrize(("rates", "pixels"), [((12, 24, 36), 2011), ((18, 36, 54), 2587)])
def test_reach_of_the_larger_rates(rates: tuple[int, ...], pixels: int) -> None:
    found = trace(on_meta(lambda: Aspp(3, rates=rates)), 3, (512, 512))
    assert found.reaches == (Reach(pixels, 1),) * 3


def test_description_of_the_study() -> None:
    rates = (6, 12, 18)
    found = describe(on_meta(lambda: Aspp(17, rates=rates)), 17, 768, (5000, 5000))
    assert found.parameters == 30_475_288
    assert found.patch_gmac == pytest.approx(95.14, abs=0.005)
    assert found.scene_gmac == pytest.approx(4042, abs=0.5)
    assert found.receptive_fields_px == {"SIC": 1435, "SOD": 1435, "FLOE": 1435}
    assert found.receptive_field_km == pytest.approx(114.8)
    assert found.rates == {"SIC": rates, "SOD": rates, "FLOE": rates}
    assert [use.rate for use in found.taps] == list(rates)


def test_rates_per_chart() -> None:
    network = on_meta(lambda: Aspp(2, "resnet18", [(6,), (12,), (1, 6)]))
    found = describe(network, 2, 768)
    # Of rate 1, 3x3 sees no further than the pooling branch; of resnet18 layer3 alone sees 211.
    base = trace(on_meta(lambda: AsTuple(Aspp(2, "resnet18").encoder)), 2, (256, 256)).reaches[0]
    assert base == Reach(211, 16)
    fields = {chart: 211 + 2 * rate * 16 + 48 for chart, rate in (("SIC", 6), ("SOD", 12))}
    assert found.receptive_fields_px == {**fields, "FLOE": fields["SIC"]}
    assert found.receptive_field_px == fields["SOD"]
    assert [(use.rate, use.charts) for use in found.taps] == [
        (1, ("FLOE",)),
        (6, ("SIC", "FLOE")),
        (12, ("SOD",)),
    ]
    assert "(SIC 451, SOD 643, FLOE 451)" in format_description(found)


def test_pooling_branch_sees_further_than_rate_1() -> None:
    found = describe(on_meta(lambda: Aspp(2, "resnet18", (1,))), 2, 768)
    # 2x2 means + 16, back to size + 32, head 3x3 + 32, to the input's size + 16.
    assert found.receptive_field_px == 211 + 96


@pytest.mark.parametrize(
    ("rate", "taps"), [(6, 7.56), (12, 6.25), (18, 5.06), (24, 4.0), (36, 2.25), (54, 1.0)]
)
def test_taps_at_training_size(rate: int, taps: float) -> None:
    assert compute_mean_taps(rate, (48, 48)) == pytest.approx(taps, abs=0.005)


@given(st.integers(1, 9), st.integers(1, 12), st.integers(1, 12))
def test_taps_are_those_that_meet_ones(rate: int, lines: int, samples: int) -> None:
    kernel = torch.ones(1, 1, 3, 3)
    ones = torch.ones(1, 1, lines, samples)
    counts = functional.conv2d(ones, kernel, padding=rate, dilation=rate)
    assert compute_mean_taps(rate, (lines, samples)) == pytest.approx(float(counts.mean()))


def describe_rates(
    rates: tuple[int, ...], scene: tuple[int, int] = (5000, 5229)
) -> NetworkDescription:
    return describe(on_meta(lambda: Aspp(2, "resnet18", rates, width=4)), 2, 768, scene)


def test_taps_without_data_are_warned_of() -> None:
    assert not describe_rates((6, 36, 47)).warnings
    found = describe_rates((24, 48, 72))
    assert [text.partition(":")[0] for text in found.warnings] == [
        "rate 48 (SIC, SOD, FLOE)",
        "rate 72 (SIC, SOD, FLOE)",
    ]
    for text in found.warnings:
        assert "48x48 feature map of a 768x768 patch" in text
        assert "yet act on a full scene" in text
    assert (found.taps[1].rate, found.taps[1].training) == (48, 1)
    assert found.taps[1].scene == pytest.approx((1 + 2 * 265 / 313) * (1 + 2 * 279 / 327))


def test_taps_that_never_act() -> None:
    (warning,) = describe_rates((54,), (768, 800)).warnings
    assert warning.endswith("and never act on a scene of that size either")


@pytest.mark.parametrize(
    ("separate", "parameters", "gmac"),
    # The published counts less a mask class in two heads; their cost is part of the rounding.
    [(False, 522_448 - 66, 4.51), (True, 1_095_376 - 66, 10.47)],
)
def test_description_of_the_unet(separate: bool, parameters: int, gmac: float) -> None:
    found = describe(on_meta(lambda: UNet(14, separate)), 14, 256, downscale=10)
    assert found.parameters == parameters
    assert found.patch_gmac == pytest.approx(gmac, abs=0.01)
    assert found.scene_size == (500, 523)
    assert (found.receptive_field_px, found.receptive_field_km) == (230, 184)
    assert (found.rates, found.taps, found.warnings) == ({}, (), ())


def test_unet_at_full_resolution_sees_a_tenth() -> None:
    assert describe(on_meta(lambda: UNet(14)), 14, 256).receptive_field_km == 18.4


def test_json() -> None:
    found = json.loads(json.dumps(describe_rates((6, 54)).to_dict()))
    assert type(found["parameters"]) is int
    assert found["network"] == "aspp (resnet18)"
    assert found["patch_size"] == [768, 768]
    assert found["scene_size"] == [5000, 5229]
    assert found["rates"] == {"SIC": [6, 54], "SOD": [6, 54], "FLOE": [6, 54]}
    assert found["receptive_field_px"] == 211 + 2 * 54 * 16 + 48
    assert found["receptive_field_km"] == pytest.approx(158.96)
    assert found["gmac"] > 0
    assert found["scene_gmac"] > 0
    assert found["taps"][0]["training_share"] == pytest.approx(7.5625 / 9)
    assert len(found["warnings"]) == 1


def test_text() -> None:
    lines = format_description(describe_rates((6, 54))).splitlines()
    assert lines[0] == "network: aspp (resnet18), 2 input channels"
    assert lines[1].startswith("parameters: ")
    assert "GMAC per 768x768 patch" in lines[2]
    assert "GMAC per 5000x5229 scene" in lines[2]
    assert lines[3] == "receptive field: 1987 pixels of 80 m, 159.0 km"
    assert lines[4].endswith("of a patch (48x48) and of a scene (313x327):")
    assert lines[5] == "  rate   6  patch 7.56 ( 84%)  scene 8.78 ( 98%)  SIC, SOD, FLOE"
    assert lines[6].startswith("  rate  54  patch 1.00 ( 11%)")
    assert lines[7].startswith("warning: rate 54")
    assert len(lines) == 8
