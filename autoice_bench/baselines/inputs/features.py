"""Features: which channels a network sees, and how a batch becomes them on the device.

Datasets deliver SAR at 80 m, AMSR2 and ERA5 on their 2 km grid, and tie points; upsampling,
standardisation of the distance map and the month, latitude and longitude channels happen here,
after the batch is on the device: an eighth of the bytes to copy, and no work in the reading
processes.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import torch
from torch import Tensor

from autoice_bench.datasets.patches.geometry import Geometry, count_cells
from autoice_bench.errors import PatchError
from autoice_bench.formats.variables import (
    AMSR2_VARIABLES,
    DISTANCE_MAP,
    ERA5_VARIABLES,
    PIXELS_PER_CELL,
    SAR_VARIABLES,
)
from autoice_bench.wording import format_count

Upsampling = Literal["nearest", "linear"]
TieInterpolation = Literal["bilinear", "nearest"]
BatchTensors = Mapping[str, Tensor]

SAR: Final = tuple(variable.name for variable in SAR_VARIABLES)
AMSR2: Final = tuple(variable.name for variable in AMSR2_VARIABLES)
ERA5: Final = tuple(variable.name for variable in ERA5_VARIABLES)
POSITIONS: Final = (
    "latitude", "longitude", "sin_latitude", "cos_latitude", "sin_longitude", "cos_longitude",
)  # fmt: skip
CHANNELS: Final = (*SAR, DISTANCE_MAP.name, *AMSR2, *ERA5, "month", *POSITIONS)
"""Every channel there is."""

_18_36: Final = ("btemp_18_7h", "btemp_18_7v", "btemp_36_5h", "btemp_36_5v")
_WEATHER: Final = ("u10m_rotated", "v10m_rotated", "t2m", "tcwv", "tclw")
_WHEN_AND_WHERE: Final = ("month", "latitude", "longitude")

FEATURE_GROUPS: Final[dict[str, tuple[str, ...]]] = {
    "sar": SAR,
    "amsr2-18-36": _18_36,
    "amsr2-jaxa": ("btemp_18_7v", "btemp_23_8v", "btemp_36_5h", "btemp_36_5v"),
    "amsr2": AMSR2,
    "sar+amsr2-18-36": (*SAR, *_18_36),
    "sar+amsr2": (*SAR, *AMSR2),
    "era5": ERA5,
    "mmseaice-14": (*SAR[:2], *_18_36, *_WEATHER, *_WHEN_AND_WHERE),
    "mmseaice-16": (*SAR, DISTANCE_MAP.name, *_18_36, *_WEATHER, *_WHEN_AND_WHERE),
    "aspp-geo": (
        *SAR, "sin_longitude", "cos_longitude", "sin_latitude", "cos_latitude", DISTANCE_MAP.name,
        *_18_36, *ERA5,
    ),
    "all": (*SAR, DISTANCE_MAP.name, *AMSR2, *ERA5, *_WHEN_AND_WHERE),
}  # fmt: skip
"""Channels of each group, in order. The first six are the ASPP study's (Vahedi et al. 2025,
Table 3); `mmseaice-*` are the inputs of Chen et al. 2024 (Table 2, and the winning variant)."""

# Statistics of the training scenes' tie points that the winning team used (Chen et al. 2024).
_POSITION_STATISTICS: Final = {
    "latitude": (69.12526250065734, 7.03179625261593),
    "longitude": (-56.38966259295485, 31.32935694114249),
}


@dataclass(frozen=True)
class Features:
    """The channels of a network's input.

    Attributes:
        name: what the user called them.
        channels: names, in order: variables of the store, `month` or one of `POSITIONS`.
    """

    name: str
    channels: tuple[str, ...]

    @property
    def n_channels(self) -> int:
        return len(self.channels)

    @property
    def arrays(self) -> frozenset[str]:
        """What a dataset must deliver for them: names of its arrays, or `positions`."""
        return frozenset(_array_of(channel) for channel in self.channels) - {"month"}


def _array_of(channel: str) -> str:
    if channel in POSITIONS:
        return "positions"
    for array, names in (("sar", SAR), ("amsr2", AMSR2), ("era5", ERA5)):
        if channel in names:
            return array
    return channel


def parse_features(wanted: str | Sequence[str]) -> Features:
    """Resolve a feature group, a channel, or a combination.

    Args:
        wanted: the name of a group or channel, several joined by `+` or `,`, or a list of them.

    Raises:
        PatchError: a name is unknown, or a channel occurs twice.
    """
    text = wanted if isinstance(wanted, str) else ",".join(wanted)
    channels = FEATURE_GROUPS.get(text)
    if channels is None:
        parts = [part.strip() for part in text.replace("+", ",").split(",")]
        channels = tuple(channel for part in parts for channel in _channels_of(part))
    twice = sorted({channel for channel in channels if channels.count(channel) > 1})
    if twice:
        raise PatchError(f"features {text!r}: {', '.join(twice)} would occur twice")
    return Features(text, channels)


def _channels_of(name: str) -> tuple[str, ...]:
    if name in FEATURE_GROUPS:
        return FEATURE_GROUPS[name]
    if name in CHANNELS:
        return (name,)
    close = difflib.get_close_matches(name, [*FEATURE_GROUPS, *CHANNELS], n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    raise PatchError(
        f"no feature {name!r}; {hint}groups: {', '.join(FEATURE_GROUPS)}; "
        f"channels: {', '.join(CHANNELS)}"
    )


class _Axis(NamedTuple):
    """Where each pixel of a batch lies on one axis of a grid.

    Attributes:
        lower: (B, size) int64 index of the lower grid point.
        weight: (B, size) float32 weight of the next one; None for the nearest point.
    """

    lower: Tensor
    weight: Tensor | None


class FeatureAssembler:
    """Turns batches into network inputs, on whatever device the batch is.

    Pixels outside the scene are 0 in every channel.

    Args:
        features: the channels, or what ``parse_features`` reads: ``"sar+amsr2"``.
        geometry: how the pixels of a window lie; that of the dataset.
        upsampling: how 2 km values reach the pixels.
        tie_interpolation: how latitude and longitude do.
    """

    def __init__(
        self,
        features: Features | str | Sequence[str],
        geometry: Geometry,
        upsampling: Upsampling = "nearest",
        tie_interpolation: TieInterpolation = "bilinear",
    ) -> None:
        self.features = features if isinstance(features, Features) else parse_features(features)
        self.geometry = geometry
        self.upsampling = upsampling
        self.tie_interpolation = tie_interpolation

    def __repr__(self) -> str:
        n_channels = format_count(self.features.n_channels, "channel")
        return f"<FeatureAssembler: {self.features.name}, {n_channels}, {self.upsampling}>"

    def __call__(self, batch: BatchTensors, dtype: torch.dtype = torch.float32) -> Tensor:
        """Assemble a batch.

        Args:
            batch: tensors as the datasets deliver them (docs/patches.md).
            dtype: of the result.

        Returns:
            (B, channels, lines, samples).
        """
        size = _window_size(batch)
        inputs = torch.empty(
            (len(batch["line"]), self.features.n_channels, *size),
            dtype=dtype,
            device=batch["line"].device,
        )
        inside = _is_inside(batch, size, self.geometry.step)
        for array in sorted({_array_of(channel) for channel in self.features.channels}):
            fill = self._fill_month if array == "month" else self._filler(array)
            fill(batch, inputs, inside)
        return inputs

    def _filler(self, array: str) -> Callable[[BatchTensors, Tensor, tuple[Tensor, Tensor]], None]:
        match array:
            case "sar":
                return self._fill_sar
            case "distance_map":
                return self._fill_distance
            case "positions":
                return self._fill_positions
        return lambda batch, inputs, inside: self._fill_cells(array, batch, inputs, inside)

    def _fill_sar(self, batch: BatchTensors, inputs: Tensor, inside: tuple[Tensor, Tensor]) -> None:
        for index, channel in enumerate(self.features.channels):
            if channel in SAR:
                inputs[:, index] = batch["sar"][:, SAR.index(channel)]

    def _fill_distance(
        self, batch: BatchTensors, inputs: Tensor, inside: tuple[Tensor, Tensor]
    ) -> None:
        zones = (batch["distance_map"].to(torch.float32) - DISTANCE_MAP.mean) / DISTANCE_MAP.std
        index = self.features.channels.index(DISTANCE_MAP.name)
        inputs[:, index] = torch.where(_both(inside), zones, 0)

    def _fill_month(
        self, batch: BatchTensors, inputs: Tensor, inside: tuple[Tensor, Tensor]
    ) -> None:
        """Month 0..11 as 2 m / 11 - 1 (Chen et al. 2024), the same over the scene."""
        month = batch["month"].to(torch.float32)[:, None, None] * 2 / 11 - 1
        index = self.features.channels.index("month")
        inputs[:, index] = torch.where(_both(inside), month, 0)

    def _fill_cells(
        self, array: str, batch: BatchTensors, inputs: Tensor, inside: tuple[Tensor, Tensor]
    ) -> None:
        """AMSR2 and ERA5: from the 2 km window to the pixels."""
        names = AMSR2 if array == "amsr2" else ERA5
        lines, samples = (
            self._cell_axis(batch[start], mask)
            for start, mask in zip(("line", "sample"), inside, strict=True)
        )
        for index, channel in enumerate(self.features.channels):
            if channel in names:
                cells = batch[array][:, names.index(channel)]
                inputs[:, index] = _interpolate(cells, lines, samples)

    def _cell_axis(self, start: Tensor, inside: Tensor) -> _Axis:
        """The tensor form of `patches.linear_weights` and `patches.nearest_cells`."""
        geometry, size = self.geometry, inside.shape[1]
        if geometry.alignment == "starter-kit":
            start = start.div(PIXELS_PER_CELL, rounding_mode="floor") * PIXELS_PER_CELL
        first = (start - geometry.anchor_pixel).div(PIXELS_PER_CELL, rounding_mode="floor")
        half = (
            2 * start[:, None]
            + geometry.offset_half_pixels
            + 2 * geometry.step * torch.arange(size, device=start.device)
        )
        if self.upsampling == "linear":
            half = half - 2 * geometry.anchor_pixel
        cell = half.div(2 * PIXELS_PER_CELL, rounding_mode="floor")
        outside = count_cells(size, geometry.step)
        lower = torch.where(inside, cell - first[:, None], outside)
        if self.upsampling == "nearest":
            return _Axis(lower, None)
        phase = half - 2 * PIXELS_PER_CELL * cell
        return _Axis(lower, phase.to(torch.float32) / (2 * PIXELS_PER_CELL))

    def _fill_positions(
        self, batch: BatchTensors, inputs: Tensor, inside: tuple[Tensor, Tensor]
    ) -> None:
        lines, samples = (
            self._tie_axis(batch[f"tie_{axis}"], batch[axis], mask)
            for axis, mask in zip(("line", "sample"), inside, strict=True)
        )
        for index, channel in enumerate(self.features.channels):
            if channel in POSITIONS:
                name = channel.removeprefix("sin_").removeprefix("cos_")
                degrees = _interpolate(batch[name].to(torch.float32), lines, samples)
                inputs[:, index] = torch.where(_both(inside), _encode(channel, degrees), 0)

    def _tie_axis(self, tie_points: Tensor, start: Tensor, inside: Tensor) -> _Axis:
        """Where the pixels lie between tie points; positions padded with infinity do not exist."""
        geometry = self.geometry
        pixels = start[:, None] + geometry.offset_half_pixels / 2
        pixels = pixels + geometry.step * torch.arange(inside.shape[1], device=start.device)
        pixels = pixels.to(tie_points.dtype)
        right = torch.searchsorted(tie_points.contiguous(), pixels.contiguous(), right=True)
        lower = (right - 1).clamp(0, tie_points.shape[1] - 2)
        low, high = tie_points.gather(1, lower), tie_points.gather(1, lower + 1)
        weight = torch.where(high > low, (pixels - low) / (high - low), 0).clamp(0, 1)
        if self.tie_interpolation == "nearest":
            weight = weight.round()
        return _Axis(lower, weight.to(torch.float32))


def _encode(channel: str, degrees: Tensor) -> Tensor:
    if channel in _POSITION_STATISTICS:
        mean, std = _POSITION_STATISTICS[channel]
        return (degrees - mean) / std
    radians = torch.deg2rad(degrees)
    return torch.sin(radians) if channel.startswith("sin_") else torch.cos(radians)


def _interpolate(grid: Tensor, lines: _Axis, samples: _Axis) -> Tensor:
    """(B, n, m) grid to (B, lines, samples): along lines, then along samples; 0 beyond the grid.

    The operations and their order are those of `patches.upsample`.
    """
    # Two rows and columns of zeros, so that pixels outside the scene need no second pass.
    padded = torch.nn.functional.pad(grid, (0, 2, 0, 2))
    rows = _take(padded, lines.lower, lines.weight, dim=1)
    return _take(rows, samples.lower, samples.weight, dim=2)


def _take(grid: Tensor, lower: Tensor, weight: Tensor | None, dim: int) -> Tensor:
    other = 3 - dim
    shape = [*lower.shape]
    shape.insert(other, grid.shape[other])
    index = lower.unsqueeze(other).expand(shape)
    low = grid.gather(dim, index)
    if weight is None:
        return low
    high = grid.gather(dim, index + 1)
    return low + weight.unsqueeze(other) * (high - low)


def _window_size(batch: BatchTensors) -> tuple[int, int]:
    """Lines and samples of the windows; without an array at 80 m it is a whole scene."""
    for array in ("sar", "charts", DISTANCE_MAP.name):
        if array in batch:
            lines, samples = batch[array].shape[-2:]
            return lines, samples
    return int(batch["scene_lines"][0]), int(batch["scene_samples"][0])


def _is_inside(batch: BatchTensors, size: tuple[int, int], step: int) -> tuple[Tensor, Tensor]:
    """(B, lines) and (B, samples) bool: the pixels that lie in the scene."""
    device = batch["line"].device
    lines, samples = (
        batch[start].div(step, rounding_mode="floor")[:, None] + torch.arange(n, device=device)
        < batch[total][:, None]
        for start, total, n in zip(
            ("line", "sample"), ("scene_lines", "scene_samples"), size, strict=True
        )
    )
    return lines, samples


def _both(inside: tuple[Tensor, Tensor]) -> Tensor:
    """(B, lines, samples) bool."""
    lines, samples = inside
    return lines[:, :, None] & samples[:, None, :]
