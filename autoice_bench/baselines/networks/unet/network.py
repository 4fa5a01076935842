"""The U-Net of the challenge's winner, with one decoder for the three charts or one for each.

Source: Chen et al. 2024 (MMSeaIce, The Cryosphere 18, 1621), configurations 1 to 9. Theirs had a
mask class in SOD and FLOE that no label ever holds; here it is dropped, 33 parameters each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from autoice_bench.baselines.tasks.chart_outputs import N_CLASSES
from autoice_bench.baselines.tasks.contract import Maps
from autoice_bench.errors import BaselineError

WIDTHS: Final = (32, 32, 64, 64)
"""Channels of the contracting levels, finest first."""


class DoubleConv(nn.Sequential):
    """Twice: 3x3 convolution without bias, batch normalisation, ReLU. Keeps the size."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__(
            nn.Conv2d(n_in, n_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(n_out),
            nn.ReLU(inplace=True),
            nn.Conv2d(n_out, n_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(n_out),
            nn.ReLU(inplace=True),
        )


class UNetEncoder(nn.Module):
    """Contracting path and bridge: each level but the first halves the size (rounding down)."""

    def __init__(self, n_channels: int, widths: Sequence[int]) -> None:
        super().__init__()
        outputs = (*widths, widths[-1])  # the bridge is as wide as the last level
        inputs = (n_channels, *outputs[:-1])
        self.levels = nn.ModuleList(map(DoubleConv, inputs, outputs))

    def forward(self, x: Tensor) -> list[Tensor]:
        """The map of every level, finest first; the last is the bridge's."""
        maps: list[Tensor] = []
        for level in self.levels:
            x = level(functional.max_pool2d(maps[-1], 2) if maps else x)
            maps.append(x)
        return maps


class UNetDecoder(nn.Module):
    """Expanding path with one 1x1 head per chart it serves."""

    def __init__(self, widths: Sequence[int], n_outputs: Sequence[int]) -> None:
        super().__init__()
        outputs = tuple(reversed(widths))
        inputs = (widths[-1], *outputs[:-1])
        self.levels = nn.ModuleList(
            DoubleConv(n_in + n_skip, n_skip) for n_in, n_skip in zip(inputs, outputs, strict=True)
        )
        self.heads = nn.ModuleList(nn.Conv2d(widths[0], n, 1) for n in n_outputs)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """One output per head, at the size of ``maps[0]``."""
        x = maps[-1]
        for level, skip in zip(self.levels, reversed(maps[:-1]), strict=True):
            x = functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
            x = level(torch.cat([skip, _pad_to(x, skip.shape[-2:])], dim=1))
        return [head(x) for head in self.heads]


class UNet(nn.Module):
    """U-Net with skip connections for SIC, SOD and FLOE.

    Args:
        n_channels: input channels.
        separate_decoders: one expanding path per chart (configuration 9) instead of a shared one.
        n_outputs: channels of each map; by default one number in class units for SIC (11 logits
            in configuration 8), and the classes of SOD and FLOE.
        widths: channels of the contracting levels, finest first; the bridge has the last.

    Raises:
        BaselineError: no channel, no level, or a width that is not positive.
    """

    def __init__(
        self,
        n_channels: int,
        separate_decoders: bool = False,
        n_outputs: Sequence[int] = (1, *N_CLASSES[1:]),
        widths: Sequence[int] = WIDTHS,
    ) -> None:
        super().__init__()
        if n_channels < 1 or not widths or min(widths) < 1:
            raise BaselineError(
                f"U-Net of {n_channels} channels and widths {tuple(widths)}; expected positive "
                "integers and at least one width"
            )
        stacks = [(n,) for n in n_outputs] if separate_decoders else [n_outputs]
        self.label = "unet"
        self.encoder = UNetEncoder(n_channels, widths)
        self.decoders = nn.ModuleList(UNetDecoder(widths, stack) for stack in stacks)
        self.smallest_size = 2 ** len(widths)

    def forward(self, x: Tensor) -> Maps:
        """The maps of the outputs.

        Args:
            x: (B, n_channels, H, W) of any size; what is smaller than one pixel of the bridge is
                padded with 0, as pixels outside a scene are.

        Returns:
            One map per output, of size H, W.
        """
        lines, samples = x.shape[-2:]
        smallest = self.smallest_size
        if min(lines, samples) < smallest:
            grown = (0, max(0, smallest - samples), 0, max(0, smallest - lines))
            x = functional.pad(x, grown)
        maps = self.encoder(x)
        logits = [head for decoder in self.decoders for head in decoder(maps)]
        return tuple(head[..., :lines, :samples] for head in logits)


def _pad_to(x: Tensor, size: torch.Size) -> Tensor:
    """Pad with 0 on both sides, one more at the far side: what halving rounded away."""
    lines, samples = size[0] - x.shape[-2], size[1] - x.shape[-1]
    if not lines and not samples:
        return x
    before = (samples // 2, lines // 2)
    return functional.pad(x, (before[0], samples - before[0], before[1], lines - before[1]))
