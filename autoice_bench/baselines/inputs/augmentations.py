"""Augmentation of assembled batches, on their device: flips, turns, scale and cutmix.

Every transformation of a sample is one linear map of pixel offsets from the patch's centre, and
every pixel takes the nearest pixel of the original: the labels follow the inputs exactly, flips
and quarter turns move pixels without resampling, and what lies outside the original is nodata
(0, and 255 in charts). Positions are computed in integers, so that all devices agree; all draws
come from the seed alone, so that a resumed run repeats them.

The wind vector turns with the image. ``u10m_rotated`` is its component along the samples (towards
the right) and ``v10m_rotated`` along the lines, taken as positive towards *increasing* lines
(downwards): the released data name no sign, but its images are in radar geometry, where
(samples, lines) is (east, north) turned without mirroring, and the wind is said to be rotated,
not mirrored. Flips do not depend on this choice; turns do.

Source of the transformations: Chen et al. 2024 (MMSeaIce), which left the wind as it was; cutmix:
Yun et al. 2019.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from autoice_bench.baselines.inputs.augmentation_settings import AugmentationSettings
from autoice_bench.charts import FILL_VALUE
from autoice_bench.errors import BaselineError
from autoice_bench.formats.variables import VARIABLES

WIND: Final = (VARIABLES["u10m_rotated"], VARIABLES["v10m_rotated"])
"""Components of the wind along samples and lines, towards increasing ones."""

Matrices = NDArray[np.float64]
"""(B, 2, 2) linear maps of (sample, line) offsets, the direction the image's content moves."""

_QUARTER_TURN: Final = np.array([[0.0, 1.0], [-1.0, 0.0]])
"""Counter-clockwise as displayed (lines downwards), as ``torch.rot90`` over (lines, samples)."""
_FRACTION_BITS: Final = 32


@dataclass(frozen=True)
class Draws:
    """What is done to one batch.

    Attributes:
        rigid: (B, 2, 2) flips and turns.
        scales: (B,) magnification of the content.
        donors: (B,) for each sample the one whose box it is given; None without cutmix.
        box: first and last + 1 line, first and last + 1 sample of that box.
    """

    rigid: Matrices
    scales: NDArray[np.float64]
    donors: NDArray[np.int64] | None = None
    box: tuple[int, int, int, int] = (0, 0, 0, 0)


@dataclass(frozen=True)
class Augmentation(AugmentationSettings):
    """Random transformations of a batch, by their settings; the default does nothing."""

    @property
    def is_active(self) -> bool:
        """Whether anything can happen."""
        return any((self.flip_p, self.rotate90_p, self.rotate_p, self.scale_p, self.cutmix_p))

    def __call__(
        self, x: Tensor, charts: Tensor, channels: Sequence[str], seed: int | Sequence[int]
    ) -> tuple[Tensor, Tensor]:
        """Transform a batch; the arguments are left as they are.

        Args:
            x: (B, C, H, W) float32 standardised inputs; a pixel that is 0 in every channel lies
                outside the scene and stays so.
            charts: (B, 3, H, W) uint8 labels, 255 where there is none.
            channels: names of the C channels.
            seed: non-negative integers that say which batch this is, such as the run's seed, the
                step and the rank. They alone decide what happens.

        Returns:
            Inputs and labels, of the same shape, dtype and device.

        Raises:
            BaselineError: the wind has to be turned, and only one component is among the channels.
        """
        if not self.is_active:
            return x, charts
        draws = self.draw(x.shape[0], (x.shape[2], x.shape[3]), seed)
        moved, moved_charts = move_pixels(x, charts, draws.rigid, draws.scales)
        if self.wind_aware:
            turn_wind_(moved, draws.rigid, channels)
        if draws.donors is not None:
            if moved is x:
                moved, moved_charts = x.clone(), charts.clone()
            paste_box_(moved, draws.donors, draws.box)
            paste_box_(moved_charts, draws.donors, draws.box)
        return moved, moved_charts

    def draw(self, batch: int, size: tuple[int, int], seed: int | Sequence[int]) -> Draws:
        """Draw what is done to a batch of ``batch`` samples of ``size`` (lines, samples)."""
        rng = np.random.Generator(np.random.Philox(np.random.SeedSequence(seed)))
        # As many numbers per sample whatever happens: one probability does not shift the others.
        flips, turns, angles, scales = np.split(rng.random((batch, 8)), 4, axis=1)
        rigid = np.zeros((batch, 2, 2))
        rigid[:, [0, 1], [0, 1]] = np.where(flips < self.flip_p, -1.0, 1.0)
        n_turns = 1 + np.floor(3 * turns[:, 1]) if size[0] == size[1] else np.full(batch, 2)
        for k in (1, 2, 3):
            chosen = (turns[:, 0] < self.rotate90_p) & (n_turns == k)
            rigid[chosen] = np.linalg.matrix_power(_QUARTER_TURN, k) @ rigid[chosen]
        degrees = self.rotation_deg * (2 * angles[:, 1] - 1)
        rotated = angles[:, 0] < self.rotate_p
        rigid[rotated] = rotation(degrees[rotated]) @ rigid[rotated]
        smallest, largest = self.scale_range
        magnified = smallest + (largest - smallest) * scales[:, 1]
        magnified = np.where(scales[:, 0] < self.scale_p, magnified, 1.0)
        if rng.random() >= self.cutmix_p:
            return Draws(rigid, magnified)
        box = draw_box(rng, size, self.cutmix_alpha)
        return Draws(rigid, magnified, rng.permutation(batch), box)


def rotation(degrees: NDArray[np.float64]) -> Matrices:
    """Turns by (B,) angles, counter-clockwise as displayed: (B, 2, 2)."""
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.stack([np.stack([cosine, sine], -1), np.stack([-sine, cosine], -1)], axis=-2)


def move_pixels(
    x: Tensor, charts: Tensor, rigid: Matrices, scales: NDArray[np.float64]
) -> tuple[Tensor, Tensor]:
    """Turn, flip and magnify each sample about the centre of its patch, taking nearest pixels.

    Args:
        x: (B, C, H, W) inputs; filled with 0 where the original does not reach.
        charts: (B, K, H, W) uint8; filled with 255 there.
        rigid: (B, 2, 2) orthogonal maps.
        scales: (B,) magnifications.

    Returns:
        New tensors, or the very arguments where no sample is changed.
    """
    inverse = rigid.transpose(0, 2, 1) / scales[:, None, None]
    if _are_identities(inverse):
        return x, charts
    index, outside = _source_pixels(inverse, (x.shape[2], x.shape[3]), x.device)
    # Flips and quarter turns: every pixel has a source.
    uncovered = None if np.isin(inverse, (-1, 0, 1)).all() else outside
    return _take(x, index, uncovered, 0), _take(charts, index, uncovered, FILL_VALUE)


def _are_identities(maps: Matrices) -> bool:
    return bool(np.all(maps == np.eye(2)))


def _source_pixels(
    inverse: Matrices, size: tuple[int, int], device: torch.device
) -> tuple[Tensor, Tensor]:
    """For each pixel the flat index (B, 1, H*W) of the pixel it takes, and whether there is none.

    Offsets from the centre count half pixels and the maps are fixed-point numbers.
    """
    lines, samples = size
    scaled = np.rint(inverse * (1 << _FRACTION_BITS)).astype(np.int64)
    maps = torch.from_numpy(scaled).to(device, non_blocking=True)[..., None, None]
    line_offsets = 2 * torch.arange(lines, device=device)[:, None] - (lines - 1)
    sample_offsets = 2 * torch.arange(samples, device=device) - (samples - 1)

    def source(axis: int, n: int) -> Tensor:
        position = maps[:, axis, 0] * sample_offsets + maps[:, axis, 1] * line_offsets
        # Plus the centre and, to round, half a pixel: n - 1 and 1 half pixels.
        return (position + (n << _FRACTION_BITS)) >> (_FRACTION_BITS + 1)

    sample, line = source(0, samples), source(1, lines)
    outside = (line < 0) | (line >= lines) | (sample < 0) | (sample >= samples)
    index = torch.where(outside, 0, line * samples + sample)
    return index.flatten(1)[:, None], outside.flatten(1)[:, None]


def _take(values: Tensor, index: Tensor, outside: Tensor | None, fill: int) -> Tensor:
    flat = values.flatten(2)
    taken = flat.gather(2, index.expand(-1, flat.shape[1], -1))
    if outside is not None:
        taken.masked_fill_(outside, fill)
    return taken.view(values.shape)


def turn_wind_(x: Tensor, rigid: Matrices, channels: Sequence[str]) -> None:
    """Turn and flip the wind vectors of a moved batch, in place; untouched where nothing turned.

    Args:
        x: (B, C, H, W) standardised inputs, already moved; pixels that are 0 in every channel
            keep their 0.
        rigid: (B, 2, 2) what was done to the image.
        channels: names of the C channels; without wind nothing happens.

    Raises:
        BaselineError: a component is turned into one that is not among the channels.
    """
    present = [k for k, variable in enumerate(WIND) if variable.name in channels]
    if not present or _are_identities(rigid):
        return
    if len(present) == 1 and np.any(rigid[:, 0, 1]):
        raise BaselineError(
            f"a turn needs both components of the wind; the features hold {WIND[present[0]].name} "
            "alone: add the other, or set wind_aware = false"
        )
    mean, std = (np.array([getattr(v, key) for v in WIND]) for key in ("mean", "std"))
    # From standardised to standardised components: z' = S^-1 (R (S z + m) - m) = A z + b.
    factors = rigid * std / std[:, None]
    shifts = ((rigid - np.eye(2)) @ mean) / std
    terms = np.concatenate([factors, shifts[..., None]], axis=-1).astype(np.float32)
    on_device = torch.from_numpy(terms).to(x.device, non_blocking=True)[..., None, None]
    inside = (x != 0).any(dim=1)
    where = [list(channels).index(WIND[k].name) for k in present]
    old = [x[:, channel].clone() for channel in where]
    for k, channel in zip(present, where, strict=True):
        new = on_device[:, k, 2]
        for component, values in zip(present, old, strict=True):
            new = new + on_device[:, k, component] * values
        x[:, channel] = torch.where(inside, new, 0)


def draw_box(
    rng: np.random.Generator, size: tuple[int, int], alpha: float
) -> tuple[int, int, int, int]:
    """Box of cutmix: a share 1 - Beta(alpha, alpha) of the patch around a uniform centre, cut off
    at the edges.

    Returns:
        First and last + 1 line, first and last + 1 sample.
    """
    share = math.sqrt(1 - rng.beta(alpha, alpha))
    edges: list[int] = []
    for n in size:
        half, centre = int(n * share) // 2, int(rng.integers(n))
        edges += [max(0, centre - half), min(n, centre + half)]
    return edges[0], edges[1], edges[2], edges[3]


def paste_box_(values: Tensor, donors: NDArray[np.int64], box: tuple[int, int, int, int]) -> None:
    """Replace a box of each sample by that of its donor, in place.

    Args:
        values: (B, ..., H, W).
        donors: (B,) indices of the donors, whose boxes are those from before.
        box: first and last + 1 line, first and last + 1 sample.
    """
    window = values[..., box[0] : box[1], box[2] : box[3]]
    index = torch.from_numpy(donors).to(values.device, non_blocking=True)
    window.copy_(window.index_select(0, index))
