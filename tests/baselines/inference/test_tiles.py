from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoice_bench.baselines.inference.tiles import (
    MULTIPLE,
    Tiling,
    blending_weights,
    find_starts,
    find_tiles,
    pad_size,
)
from autoice_bench.errors import BaselineError


@st.composite
def tilings(draw: st.DrawFn) -> Tiling:
    size = draw(st.integers(1, 12))
    overlap = draw(st.integers(0, size - 1))
    return Tiling(size * MULTIPLE, overlap * MULTIPLE)


def test_starts_by_hand() -> None:
    # 5000 pads to 5024 = 157 * 32; strides of 640; the last tile starts at 5024 - 768 = 4256.
    assert find_starts(5000, Tiling(768, 128)) == (0, 640, 1280, 1920, 2560, 3200, 3840, 4256)
    assert find_starts(768, Tiling(768, 128)) == (0,)
    assert find_starts(769, Tiling(768, 128)) == (0, 32)
    assert find_starts(1408, Tiling(768, 128)) == (0, 640)
    assert find_starts(1, Tiling(768, 128)) == (0,)
    assert find_starts(128, Tiling(64, 0)) == (0, 64)


def test_tiles_of_a_small_scene_are_the_padded_scene() -> None:
    ((tile,),) = find_tiles(300, 327, Tiling(768, 128))
    assert (tile.line, tile.sample, tile.lines, tile.samples) == (0, 0, 320, 352)


def test_a_scene_small_along_one_axis() -> None:
    rows = list(find_tiles(100, 200, Tiling(128, 32)))
    assert [[tile.sample for tile in row] for row in rows] == [[0, 96]]
    assert {(tile.lines, tile.samples) for row in rows for tile in row} == {(128, 128)}


@given(st.integers(1, 3000), tilings())
def test_tiles_cover_the_axis_on_the_grid(n_pixels: int, tiling: Tiling) -> None:
    starts = find_starts(n_pixels, tiling)
    size = min(tiling.size, pad_size(n_pixels))
    assert starts[0] == 0
    assert starts[-1] + size == pad_size(n_pixels)
    assert pad_size(n_pixels) - n_pixels in range(MULTIPLE)
    assert all(start % MULTIPLE == 0 for start in starts)
    for before, after in pairwise(starts):
        assert before < after <= before + size - tiling.overlap


@given(st.integers(1, 3000), tilings())
def test_weights_of_every_pixel_sum_to_one(n_pixels: int, tiling: Tiling) -> None:
    starts = find_starts(n_pixels, tiling)
    weights = blending_weights(n_pixels, tiling)
    total = np.zeros(pad_size(n_pixels))
    for start, weight in zip(starts, weights, strict=True):
        assert weight.dtype == np.float32
        assert weight.min() >= 0
        total[start : start + weight.size] += weight
    np.testing.assert_allclose(total, 1, atol=1e-6)


@given(st.integers(1, 3000), tilings())
def test_nothing_counts_within_a_quarter_of_the_overlap_of_a_cut(
    n_pixels: int, tiling: Tiling
) -> None:
    weights = blending_weights(n_pixels, tiling)
    margin = tiling.overlap // 4
    if margin:
        assert all((weight[:margin] == 0).all() for weight in weights[1:])
        assert all((weight[-margin:] == 0).all() for weight in weights[:-1])
    # The scene's own edges are no cuts.
    assert weights[0][0] == 1
    assert weights[-1][-1] == 1


def test_weights_pass_smoothly() -> None:
    # Overlap 128: 32 pixels of nothing, 64 of half a cosine wave, then 1.
    left, right = blending_weights(1408, Tiling(768, 128))
    np.testing.assert_array_equal(right[:32], 0)
    np.testing.assert_array_equal(right[96:], 1)
    k = np.arange(64)
    np.testing.assert_allclose(right[32:96], 0.5 - 0.5 * np.cos(np.pi * (k + 0.5) / 64), atol=1e-6)
    np.testing.assert_allclose(left[-128:], 1 - right[:128], atol=1e-6)


@pytest.mark.parametrize(("size", "overlap"), [(0, 0), (100, 32), (-32, 0), (768, 100)])
def test_sizes_off_the_grid_are_refused(size: int, overlap: int) -> None:
    with pytest.raises(BaselineError, match="expected a multiple of 32"):
        Tiling(size, overlap)


@pytest.mark.parametrize("overlap", [-32, 64, 96])
def test_an_overlap_that_leaves_no_step_is_refused(overlap: int) -> None:
    with pytest.raises(BaselineError, match=r"overlap .* of tiles of 64.*from 0 to 32"):
        Tiling(64, overlap)
