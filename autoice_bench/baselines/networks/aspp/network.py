"""Multi-task DeepLab: a ResNet encoder and one atrous spatial pyramid per chart.

Source: Vahedi et al. 2025, arXiv:2507.20507, "Investigating the Effect of Spatial Context on
Multi-Task Sea Ice Segmentation"; the pyramid after Chen et al. 2017, arXiv:1706.05587. Parameter
counts agree with the study's, except for its mask class (99 parameters), which is left out here.

New convolutions start as PyTorch's ``Conv2d`` does, the encoder's as torchvision's ResNet does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast

import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional

from autoice_bench.baselines.networks.aspp.constants import ENCODERS, STRIDE
from autoice_bench.baselines.networks.strips import apply_in_strips
from autoice_bench.baselines.tasks.chart_outputs import N_CLASSES
from autoice_bench.baselines.tasks.contract import Maps
from autoice_bench.errors import BaselineError
from autoice_bench.wording import format_count

_SHALLOW_STRIDE: Final = 8
_STRIP_LINES: Final = 1024
_HALO: Final = 96
"""Lines that the layers before ``layer3`` may look to either side: 89 with resnet34, at most."""

Rates = tuple[int, ...]


class ResNetEncoder(nn.Module):
    """A torchvision ResNet up to ``layer3``, for any number of input channels.

    (B, n_channels, H, W) to (B, out_channels, ceil(H / 16), ceil(W / 16)). Modules are named as in
    torchvision, so that its state dicts fit, except for ``conv1``.

    Args:
        n_channels: input channels.
        name: one of ``ENCODERS``.

    Raises:
        BaselineError: the name is unknown.
    """

    def __init__(self, n_channels: int, name: str) -> None:
        super().__init__()
        if name not in ENCODERS:
            raise BaselineError(
                f"encoder {name!r} is unknown; expected one of {', '.join(ENCODERS)}"
            )
        resnet = torchvision.models.get_model(name, weights=None)
        self.name = name
        self.out_channels = int(resnet.layer4[0].conv1.in_channels)
        self.conv1 = nn.Conv2d(n_channels, 64, kernel_size=7, stride=2, padding=3, bias=False)
        self.bn1 = resnet.bn1
        self.relu = resnet.relu
        self.maxpool = resnet.maxpool
        self.layer1 = resnet.layer1
        self.layer2 = resnet.layer2
        self.layer3 = resnet.layer3

    def forward(self, x: Tensor) -> Tensor:
        """Features at a sixteenth of the input's resolution.

        Whole scenes go through the first layers in strips when nothing is learnt from them: the
        same features in half the memory.
        """
        if self.training or torch.is_grad_enabled() or x.shape[-2] <= 2 * _STRIP_LINES:
            return cast(Tensor, self.layer3(self._shallow(x)))
        shallow = apply_in_strips(
            self._shallow, x, stride=_SHALLOW_STRIDE, halo=_HALO, n_lines=_STRIP_LINES
        )
        return cast(Tensor, self.layer3(shallow))

    def _shallow(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        return cast(Tensor, self.layer2(self.layer1(x)))


class AsppDecoder(nn.Module):
    """Atrous spatial pyramid and head of one chart, at the resolution of the features.

    Branches: 1x1; one 3x3 per rate; 2x2 means, 1x1, bilinear back to size. The head's last 3x3
    convolution is ``refine[0]``.

    Args:
        in_channels: channels of the features.
        n_outputs: channels of the logits.
        rates: dilation of each 3x3 branch, in pixels of the feature map.
        width: channels of each branch and of the head.
        dropout: probability, after the projection.
    """

    def __init__(
        self, in_channels: int, n_outputs: int, rates: Rates, width: int, dropout: float
    ) -> None:
        super().__init__()
        self.pointwise = _conv_block(in_channels, width)
        self.atrous = nn.ModuleList(_conv_block(in_channels, width, rate) for rate in rates)
        self.pooled = _conv_block(in_channels, width)
        self.project = _conv_block((len(rates) + 2) * width, width)
        self.dropout = nn.Dropout(dropout)
        self.refine = _conv_block(width, width, rate=1)
        self.classify = nn.Conv2d(width, n_outputs, kernel_size=1)

    def forward(self, features: Tensor) -> Tensor:
        """(B, in_channels, h, w) to logits (B, n_outputs, h, w)."""
        branches = [
            self.pointwise(features),
            *(atrous(features) for atrous in self.atrous),
            _resize(self.pooled(_halve(features)), features),
        ]
        x = self.dropout(self.project(torch.cat(branches, dim=1)))
        return cast(Tensor, self.classify(self.refine(x)))


class Aspp(nn.Module):
    """The network: one encoder, three independent decoders, logits at the input's size.

    Takes any size: an axis shorter than 17 pixels has one feature, which the pooling branch then
    passes on. Training needs more than one feature per batch, for batch normalisation.

    Args:
        n_channels: input channels.
        encoder: one of ``ENCODERS``.
        rates: atrous rates of every decoder, or a tuple of them for each.
        width: channels in the decoders.
        dropout: probability, in the decoders.
        n_outputs: channels of each decoder's map; by default the classes of SIC, SOD and FLOE.

    Attributes:
        rates: atrous rates of each decoder.
        stride: input pixels per pixel of the feature map.
        label: the network's name, with its encoder.

    Raises:
        BaselineError: an argument is out of range.
    """

    def __init__(
        self,
        n_channels: int,
        encoder: str = "resnet101",
        rates: Sequence[int] | Sequence[Sequence[int]] = (6, 12, 18),
        width: int = 32,
        dropout: float = 0.5,
        n_outputs: Sequence[int] = N_CLASSES,
    ) -> None:
        super().__init__()
        for name, value in (("n_channels", n_channels), ("width", width)):
            if value < 1:
                raise BaselineError(f"{name} {value}: expected at least 1")
        if not 0 <= dropout < 1:
            raise BaselineError(f"dropout {dropout}: expected 0 or more and less than 1")
        self.n_channels = n_channels
        self.stride = STRIDE
        self.label = f"aspp ({encoder})"
        self.rates = validate_rates(rates, len(n_outputs))
        self.encoder = ResNetEncoder(n_channels, encoder)
        self.decoders = nn.ModuleList(
            AsppDecoder(self.encoder.out_channels, n, of_chart, width, dropout)
            for n, of_chart in zip(n_outputs, self.rates, strict=True)
        )

    def forward(self, x: Tensor) -> Maps:
        """(B, n_channels, H, W) to logits (B, classes, H, W) per chart."""
        return tuple(_resize(logits, x) for logits in self.forward_coarse(x))

    def forward_coarse(self, x: Tensor) -> Maps:
        """The logits before they are upsampled, (B, classes, ceil(H / 16), ceil(W / 16))."""
        features = self.encoder(x)
        return tuple(decoder(features) for decoder in self.decoders)


def validate_rates(
    rates: Sequence[int] | Sequence[Sequence[int]], n_decoders: int
) -> tuple[Rates, ...]:
    """Atrous rates of each decoder.

    Args:
        rates: positive integers for all decoders, or a sequence of them for each.
        n_decoders: how many there are.

    Raises:
        BaselineError: a rate is not a positive integer, a decoder has none, or there are rates of
            another number of decoders.
    """
    if rates and all(isinstance(rate, (tuple, list)) for rate in rates):
        per_decoder = [tuple(each) for each in cast(Sequence[Sequence[int]], rates)]
    else:
        per_decoder = [tuple(cast(Sequence[int], rates))] * n_decoders
    if len(per_decoder) != n_decoders:
        raise BaselineError(
            f"atrous rates of {format_count(len(per_decoder), 'decoder')}; expected one list, or "
            f"one for each of {n_decoders}"
        )
    for number, each in enumerate(per_decoder, start=1):
        if not each:
            raise BaselineError(
                f"decoder {number} has no atrous rate; expected at least one, as in 6,12,18"
            )
        for rate in each:
            if type(rate) is not int or rate < 1:
                raise BaselineError(
                    f"atrous rate {rate!r} of decoder {number}: expected positive integers, as in "
                    "6,12,18"
                )
    return tuple(per_decoder)


def _conv_block(in_channels: int, out_channels: int, rate: int | None = None) -> nn.Sequential:
    """Convolution, batch normalisation, ReLU: 1x1, or 3x3 with a dilation."""
    kernel, dilation = (1, 1) if rate is None else (3, rate)
    padding = 0 if rate is None else rate
    return nn.Sequential(
        nn.Conv2d(
            in_channels, out_channels, kernel, padding=padding, dilation=dilation, bias=False
        ),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


def _halve(features: Tensor) -> Tensor:
    """2x2 means; an odd last line or sample is dropped, an axis of one pixel is kept."""
    lines, samples = features.shape[-2:]
    return functional.avg_pool2d(features, (min(2, lines), min(2, samples)))


def _resize(x: Tensor, like: Tensor) -> Tensor:
    return functional.interpolate(x, like.shape[-2:], mode="bilinear", align_corners=False)
