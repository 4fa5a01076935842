"""Coarser pixels from 80 m pixels: every n-th one, or what a block of n x n stands for.

`nearest` takes pixel n * k, as Chen et al. 2024 do for validation and test. `area` takes blocks
n * k .. n * k + n - 1, those at the far edges as far as they exist: the mean of SAR pixels that are
not nodata, the mean distance zone, the commonest value of each chart (classes cannot be averaged).
Either gives ceil(size / n) pixels, and the same values whether a scene is downscaled whole or in
strips of whole blocks. `patches.geometry` says where the new pixels lie.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from autoice_bench.datasets.sources.float16 import round_to_float16
from autoice_bench.errors import PatchError
from autoice_bench.formats.store_layout import CHARTS_ARRAY, DISTANCE_ARRAY, SAR_ARRAY

DownscaleMethod = Literal["nearest", "area"]
METHODS: Final[tuple[DownscaleMethod, ...]] = ("nearest", "area")

_BLOCK_LINES: Final = 32
"""Lines of blocks that are reduced together, which bounds the memory beside the result."""


@dataclass(frozen=True, order=True)
class Downscaling:
    """How scenes are downscaled.

    Attributes:
        ratio: 80 m pixels along one side of a new pixel, at least 2.
        method: every `ratio`-th pixel, or blocks.

    Raises:
        PatchError: a ratio below 2, or no such method.
    """

    ratio: int
    method: DownscaleMethod = "nearest"

    def __post_init__(self) -> None:
        if self.ratio < 2:
            raise PatchError(f"downscaling by {self.ratio}: expected a whole ratio of at least 2")
        if self.method not in METHODS:
            raise PatchError(f"downscaling method {self.method!r}: expected {' or '.join(METHODS)}")

    def size(self, n_pixels: int) -> int:
        """Pixels along an axis after downscaling."""
        return -(-n_pixels // self.ratio)

    def __str__(self) -> str:
        return f"{self.ratio}:{self.method}"


def parse_downscaling(text: str) -> Downscaling:
    """Parse `10` or `10:area`.

    Raises:
        PatchError: it is neither.
    """
    number, _, method = text.partition(":")
    try:
        ratio = int(number)
    except ValueError:
        raise PatchError(f"{text!r} is no downscaling; expected such as 10 or 10:area") from None
    return Downscaling(ratio, method or "nearest")  # type: ignore[arg-type]


def downscale_array(name: str, values: NDArray[Any], how: Downscaling) -> NDArray[Any]:
    """Downscale `sar`, `charts` or `distance_map`, whole or from the first line of a block on.

    Args:
        name: array of the store.
        values: (..., lines, samples) as stored.
        how: ratio and method.

    Returns:
        (..., ceil(lines / ratio), ceil(samples / ratio)), contiguous, the same dtype.
    """
    return _FUNCTIONS[name](values, how)


def downscale_sar(sar: NDArray[np.floating], how: Downscaling) -> NDArray[np.floating]:
    """Downscale standardised SAR; a nodata pixel is 0 in all channels.

    Args:
        sar: (channels, lines, samples) float16 or float32.
        how: with `area`, means over the pixels that are not nodata; a block without any is 0.

    Returns:
        The same dtype; means are rounded once, and as in the store never from another value to 0.
    """
    if how.method == "nearest":
        return _take_nearest(sar, how.ratio)
    return _reduce_strips(_mean_sar, sar, how.ratio)


def downscale_charts(charts: NDArray[np.uint8], how: Downscaling) -> NDArray[np.uint8]:
    """Downscale charts, each by itself.

    Args:
        charts: (charts, lines, samples) classes, 255 where unlabelled.
        how: with `area`, the commonest value of each block, 255 included: a label stands for at
            least as much of its block as any other value. Of equally common ones the lowest.
    """
    if how.method == "nearest":
        return _take_nearest(charts, how.ratio)
    return _reduce_strips(_commonest, charts, how.ratio)


def downscale_distance(zones: NDArray[Any], how: Downscaling) -> NDArray[Any]:
    """Downscale the distance map.

    Args:
        zones: (lines, samples) uint8 zones, or float32.
        how: with `area`, means; of whole zones rounded to the nearest, halves up.
    """
    if how.method == "nearest":
        return _take_nearest(zones, how.ratio)
    return _reduce_strips(_mean_zones, zones, how.ratio)


_FUNCTIONS: Final[dict[str, Callable[[NDArray[Any], Downscaling], NDArray[Any]]]] = {
    SAR_ARRAY.name: downscale_sar,
    CHARTS_ARRAY.name: downscale_charts,
    DISTANCE_ARRAY.name: downscale_distance,
}
DOWNSCALED_ARRAYS: Final = tuple(_FUNCTIONS)
"""Arrays of a scene that are downscaled; those of the 2 km grid stay as they are."""


def _take_nearest(values: NDArray[Any], ratio: int) -> NDArray[Any]:
    return np.ascontiguousarray(values[..., ::ratio, ::ratio])


def _reduce_strips(
    reduce: Callable[[NDArray[Any], int], NDArray[Any]], values: NDArray[Any], ratio: int
) -> NDArray[Any]:
    """Reduce blocks, some lines of them at a time."""
    lines, samples = (-(-size // ratio) for size in values.shape[-2:])
    out = np.empty((*values.shape[:-2], lines, samples), values.dtype)
    for first in range(0, lines, _BLOCK_LINES):
        strip = values[..., first * ratio : (first + _BLOCK_LINES) * ratio, :]
        out[..., first : first + _BLOCK_LINES, :] = reduce(strip, ratio)
    return out


def _mean_sar(sar: NDArray[np.floating], ratio: int) -> NDArray[np.floating]:
    # Nodata is 0 and adds nothing. A float64 holds the sum of a block of float16 exactly.
    sums = _reduce_blocks(np.add, sar, ratio, np.float64)
    counts = _reduce_blocks(np.add, _has_data(sar), ratio, np.uint32)
    means = sums / np.maximum(counts, 1)
    if sar.dtype != np.float16:
        return np.asarray(means.astype(sar.dtype))
    rounded = np.empty(means.shape, np.float16)
    round_to_float16(means, rounded)
    return rounded


def _has_data(sar: NDArray[np.floating]) -> NDArray[np.bool_]:
    """(lines, samples): where a channel is neither 0 nor -0, told from the bits: ten times faster
    than comparing float16.
    """
    bits = np.bitwise_or.reduce(sar.view(f"u{sar.dtype.itemsize}"), axis=0)
    return np.asarray(bits << 1 != 0)


def _mean_zones(zones: NDArray[Any], ratio: int) -> NDArray[Any]:
    in_lines, in_samples = (
        np.minimum(ratio, size - np.arange(0, size, ratio)) for size in zones.shape
    )
    counts = in_lines[:, None] * in_samples
    if zones.dtype == np.uint8:
        sums = _reduce_blocks(np.add, zones, ratio, np.int64)
        return np.asarray((2 * sums + counts) // (2 * counts), np.uint8)
    return np.asarray(_reduce_blocks(np.add, zones, ratio, np.float64) / counts, zones.dtype)


def _commonest(charts: NDArray[np.uint8], ratio: int) -> NDArray[np.uint8]:
    lowest = _reduce_blocks(np.minimum, charts, ratio, np.uint8)
    highest = _reduce_blocks(np.maximum, charts, ratio, np.uint8)
    # Polygons are large: most blocks hold one value, and only the others are counted.
    for chart, line, sample in np.argwhere(lowest != highest).tolist():
        top, left = line * ratio, sample * ratio
        block = charts[chart, top : top + ratio, left : left + ratio]
        lowest[chart, line, sample] = np.bincount(block.ravel()).argmax()
    return lowest


def _reduce_blocks(
    ufunc: np.ufunc, values: NDArray[Any], ratio: int, dtype: type[np.generic]
) -> NDArray[Any]:
    """(..., lines, samples) to one value per block: along lines, then along samples."""
    columns = values[..., ::ratio, :].astype(dtype)
    for offset in range(1, ratio):
        lines = values[..., offset::ratio, :]
        part = columns[..., : lines.shape[-2], :]
        ufunc(part, lines, out=part)
    starts = np.arange(0, values.shape[-1], ratio)
    reduced: NDArray[Any] = ufunc.reduceat(columns, starts, axis=-1)
    return reduced
