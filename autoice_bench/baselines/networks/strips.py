"""Whole scenes in little memory: local layers strip by strip, and logits upsampled row by row.

The first layers of a network and its full-size logits take most of a scene's memory, and both are
local: a row of them needs but a few rows of what it is made from.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from autoice_bench.baselines.tasks.contract import Maps


def apply_in_strips(
    layers: Callable[[Tensor], Tensor], x: Tensor, *, stride: int, halo: int, n_lines: int
) -> Tensor:
    """Apply local layers to strips of lines; equal to ``layers(x)`` to within rounding.

    Every strip is computed with a halo of true lines, whose results are dropped. The first and last
    strip meet the edges of ``x``, so that layers pad there as they would.

    Args:
        layers: layers without state that look at most ``halo`` lines to either side; line i of
            their output lies at line i * ``stride`` of ``x``.
        x: (B, C, H, W).
        stride: input lines per output line.
        halo: lines, a multiple of ``stride``.
        n_lines: input lines per strip, a multiple of ``stride``.

    Returns:
        (B, channels, ceil(H / stride), width).
    """
    height = x.shape[-2]
    out = None
    for first in range(0, height, n_lines):
        begin = max(first - halo, 0)
        strip = layers(x[..., begin : first + n_lines + halo, :])
        if out is None:
            shape = (*strip.shape[:2], -(-height // stride), strip.shape[-1])
            out = torch.empty(
                shape,
                dtype=strip.dtype,
                device=strip.device,
                memory_format=torch.channels_last
                if strip.is_contiguous(memory_format=torch.channels_last)
                else torch.contiguous_format,
            )
        target = out[..., first // stride : (first + n_lines) // stride, :]
        skipped = (first - begin) // stride
        target.copy_(strip[..., skipped : skipped + target.shape[-2], :])
        del strip  # before the next is made
    assert out is not None
    return out


def take_rows(maps: Maps, size: tuple[int, int], first: int, stop: int) -> Maps:
    """Some rows of a network's maps at full size.

    Args:
        maps: (B, channels, h, w) each, at full size or coarser.
        size: full lines and samples.
        first, stop: rows of the full size.

    Returns:
        (B, channels, stop - first, samples) float32 each; coarser maps are upsampled as by
        ``interpolate(mode="bilinear", align_corners=False)``.
    """
    return tuple(_take_rows(logits, size, first, stop) for logits in maps)


def _take_rows(logits: Tensor, size: tuple[int, int], first: int, stop: int) -> Tensor:
    n_lines = logits.shape[-2]
    if logits.shape[-2:] == size:
        return logits[..., first:stop, :].float()
    # Pixel centres: line r of H lies at line (r + 1/2) h / H - 1/2 of h, clamped.
    rows = torch.arange(first, stop, device=logits.device, dtype=torch.float64)
    at = ((rows + 0.5) * (n_lines / size[0]) - 0.5).clamp(0, n_lines - 1)
    lower = at.long()
    upper = (lower + 1).clamp(max=n_lines - 1)
    weight = (at - lower).float()[:, None]
    low, high = (logits[..., index, :].float() for index in (lower, upper))
    return functional.interpolate(
        torch.lerp(low, high, weight),
        (stop - first, size[1]),
        mode="bilinear",
        align_corners=False,
    )
