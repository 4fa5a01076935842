"""Eligible windows against brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from autoice_bench.datasets.patches.eligible import count_origins, find_eligible, narrow


@pytest.mark.parametrize(
    ("pixels", "patch_size", "expected"),
    # The last origin is 5000 - 768 = 4232; a scene of the patch's size has one, as has a smaller.
    [(5000, 768, 4233), (768, 768, 1), (300, 768, 1), (769, 768, 2)],
)
def test_origins_reach_the_last_pixel(pixels: int, patch_size: int, expected: int) -> None:
    assert count_origins(pixels, patch_size) == expected


def brute_force(valid: NDArray[np.bool_], patch_size: int, required: int) -> list[tuple[int, int]]:
    lines, samples = (count_origins(size, patch_size) for size in valid.shape)
    return [
        (line, sample)
        for line in range(lines)
        for sample in range(samples)
        if valid[line : line + patch_size, sample : sample + patch_size].sum() >= required
    ]


@given(
    st.integers(1, 70), st.integers(1, 40), st.integers(1, 30), st.floats(0, 1), st.floats(0, 1),
    st.integers(0, 5),
)  # fmt: skip
def test_eligible_windows_are_those_of_brute_force(
    height: int, width: int, patch_size: int, density: float, share: float, seed: int
) -> None:
    valid = np.random.default_rng(seed).random((height, width)) < density
    required = max(1, round(share * patch_size**2))
    windows = find_eligible(valid, patch_size, required)
    assert [windows[i] for i in range(len(windows))] == brute_force(valid, patch_size, required)


def test_an_origin_beyond_the_last_is_an_error() -> None:
    windows = find_eligible(np.ones((4, 4), bool), 3, 9)
    assert len(windows) == 4
    with pytest.raises(IndexError, match="origin 4 of 4"):
        windows[4]


@given(
    st.integers(1, 60), st.integers(1, 60), st.integers(1, 25), st.floats(0, 1), st.integers(0, 9)
)
def test_narrowing_by_chunk_counts_loses_no_window(
    height: int, width: int, patch_size: int, share: float, seed: int
) -> None:
    chunk = 8
    rng = np.random.default_rng(seed)
    valid = np.zeros((height, width), bool)
    line, sample = rng.integers(height), rng.integers(width)
    valid[line : line + 20, sample : sample + 30] = (
        rng.random((20, 30))[: height - line, : width - sample] < 0.8
    )
    padded = np.zeros((-(-height // chunk) * chunk, -(-width // chunk) * chunk), np.uint32)
    padded[:height, :width] = valid
    counts = padded.reshape(-(-height // chunk), chunk, -1, chunk).sum(axis=(1, 3))
    required = max(1, round(share * patch_size**2))
    box = narrow(counts, chunk, valid.shape, patch_size, required)
    expected = brute_force(valid, patch_size, required)
    if box is None:
        assert expected == []
        return
    lines, samples = box
    windows = find_eligible(np.ascontiguousarray(valid[lines, samples]), patch_size, required)
    shifted = windows.shifted(lines.start, samples.start)
    assert [shifted[i] for i in range(len(shifted))] == expected
