"""Downscaling: hand-computed blocks, and whole scenes against strips."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from autoice_bench.datasets.store.downscaling import (
    DOWNSCALED_ARRAYS,
    DownscaleMethod,
    Downscaling,
    downscale_array,
    downscale_charts,
    downscale_distance,
    downscale_sar,
    parse_downscaling,
)
from autoice_bench.errors import PatchError

NEAREST, AREA = Downscaling(2), Downscaling(2, "area")
_LEADING = {"sar": (3,), "charts": (3,), "distance_map": ()}
_DTYPES = {"sar": np.float16, "charts": np.uint8, "distance_map": np.uint8}


def test_nearest_takes_every_nth_pixel_from_the_first() -> None:
    values = np.arange(5 * 7, dtype=np.uint8).reshape(5, 7)
    assert downscale_distance(values, Downscaling(3)).tolist() == [[0, 3, 6], [21, 24, 27]]
    assert downscale_charts(values[None], NEAREST)[0].tolist() == [
        [0, 2, 4, 6],
        [14, 16, 18, 20],
        [28, 30, 32, 34],
    ]


def test_sar_means_leave_nodata_out() -> None:
    sar = np.zeros((3, 3, 4), np.float16)
    # First block: two data pixels, one of which has HV 0 by chance; it counts.
    sar[:, 0, 0] = 1, 0, 2
    sar[:, 1, 1] = 2, 3, 4
    # Second block: no data. Third, cut short to one line: one data pixel of two.
    sar[:, 2, 1] = -1, -2, -3
    assert downscale_sar(sar, AREA).tolist() == [
        [[1.5, 0], [-1, 0]],
        [[1.5, 0], [-2, 0]],
        [[3, 0], [-3, 0]],
    ]


def test_a_mean_of_sar_is_never_rounded_to_nodata() -> None:
    smallest = np.float16(2.0**-24)
    sar = np.zeros((3, 2, 2), np.float16)
    sar[0, 0, 0] = smallest
    sar[2] = 1  # all four pixels hold data
    assert downscale_sar(sar, AREA)[0, 0, 0] == smallest


def test_sar_means_are_rounded_once() -> None:
    # The sum 1 + 3 * 2**-11 needs 12 bits: in float16 it would be lost before the division.
    sar = np.full((3, 1, 4), 2.0**-11, np.float16)
    sar[:, 0, 0] = 1
    mean = downscale_sar(sar, Downscaling(4, "area"))
    assert mean[0, 0, 0] == np.float16((1 + 3 * 2.0**-11) / 4)


def test_float32_stays_float32() -> None:
    sar = np.ones((3, 4, 4), np.float32)
    sar[0, 0, 0] = 1 + 2.0**-20
    mean = downscale_sar(sar, AREA)
    assert mean.dtype == np.float32
    assert mean[0, 0, 0] == np.float32(1 + 2.0**-22)


def test_chart_blocks_give_their_commonest_value() -> None:
    chart = np.array(
        [
            [3, 3, 255, 255, 255, 7],
            [3, 9, 255, 5, 7, 255],
            [1, 0, 6, 255, 2, 2],
        ],
        np.uint8,
    )
    # 255 counts like a class (second block); of equally common values the lowest (third, fourth,
    # fifth: cut short to one line).
    assert downscale_charts(chart[None], AREA).tolist() == [[[3, 255, 7], [0, 6, 2]]]


def test_zones_are_averaged_and_rounded_half_up() -> None:
    zones = np.array([[0, 1, 41], [0, 1, 40], [2, 5, 7]], np.uint8)
    # Means 0.5, 40.5 (a block of one column), 3.5 (of one line) and 7.
    assert downscale_distance(zones, AREA).tolist() == [[1, 41], [4, 7]]
    in_between = downscale_distance(zones.astype(np.float32), AREA)
    assert in_between.dtype == np.float32
    assert in_between.tolist() == [[0.5, 40.5], [3.5, 7]]


@st.composite
def cases(draw: st.DrawFn) -> tuple[str, NDArray[Any], Downscaling, int]:
    """An array, how to downscale it, and lines of blocks to a strip."""
    name = draw(st.sampled_from(DOWNSCALED_ARRAYS))
    shape = (*_LEADING[name], draw(st.integers(1, 40)), draw(st.integers(1, 30)))
    elements = (
        st.sampled_from([0, 0, 0.5, -1, 2.0**-24, 1000])
        if name == "sar"
        else st.sampled_from([0, 1, 2, 10, 255])
    )
    values = draw(hnp.arrays(_DTYPES[name], shape, elements=elements))
    method: DownscaleMethod = draw(st.sampled_from(["nearest", "area"]))
    return name, values, Downscaling(draw(st.integers(2, 12)), method), draw(st.integers(1, 3))


@given(cases())
def test_strips_of_whole_blocks_give_the_same(
    case: tuple[str, NDArray[Any], Downscaling, int],
) -> None:
    name, values, how, n_blocks = case
    whole = downscale_array(name, values, how)
    assert whole.dtype == values.dtype
    assert whole.shape == (*values.shape[:-2], *map(how.size, values.shape[-2:]))
    step = n_blocks * how.ratio
    strips = [
        downscale_array(name, values[..., first : first + step, :], how)
        for first in range(0, values.shape[-2], step)
    ]
    np.testing.assert_array_equal(np.concatenate(strips, axis=-2), whole)


@given(cases())
def test_every_block_follows_the_definition(
    case: tuple[str, NDArray[Any], Downscaling, int],
) -> None:
    name, values, how, _ = case
    result = downscale_array(name, values, how)
    for line, sample in np.ndindex(result.shape[-2:]):
        top, left = line * how.ratio, sample * how.ratio
        block = values[..., top : top + how.ratio, left : left + how.ratio]
        np.testing.assert_array_equal(result[..., line, sample], expected(name, block, how.method))


def expected(name: str, block: NDArray[Any], method: DownscaleMethod) -> Any:
    """One pixel from its block, written out."""
    if method == "nearest":
        return block[..., 0, 0]
    if name == "charts":
        votes = [np.unique(chart, return_counts=True) for chart in block]
        return [values[counts.argmax()] for values, counts in votes]
    if name == "distance_map":
        return np.uint8(np.floor(block.astype(float).mean() + 0.5))
    pixels = block[:, block.any(axis=0)].astype(float)
    if not pixels.size:
        return [0, 0, 0]
    means = pixels.mean(axis=1)
    rounded = means.astype(np.float16)
    return np.where((rounded == 0) & (means != 0), np.copysign(2.0**-24, means), rounded)


def test_downscalings_are_parsed() -> None:
    assert parse_downscaling("10") == Downscaling(10, "nearest")
    assert parse_downscaling("5:area") == Downscaling(5, "area")
    assert str(parse_downscaling("5:area")) == "5:area"
    for wrong in ("x", "", "1", "10:mean", "2.5"):
        with pytest.raises(PatchError, match="downscal"):
            parse_downscaling(wrong)
