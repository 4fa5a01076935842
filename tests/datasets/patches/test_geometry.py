"""Patch geometry: hand-computed cells and weights, and windows against brute force."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from autoice_bench.datasets.patches.geometry import (
    Alignment,
    Geometry,
    Window,
    cell_indices,
    cells_under,
    count_cells,
    first_cell,
    linear_weights,
    nearest_cells,
    upsample,
)
from autoice_bench.formats.variables import GridAnchor

CENTRE = Geometry()
CORNER = Geometry(anchor="corner")

geometries = st.builds(
    Geometry,
    step=st.sampled_from([1, 2, 10]),
    centred=st.booleans(),
    anchor=st.sampled_from(["centre", "corner"]),
)
starts = st.integers(0, 6000)
sizes = st.integers(1, 800)


@pytest.mark.parametrize(
    ("size", "step", "expected"),
    [(768, 1, 33), (256, 1, 13), (25, 1, 3), (1, 1, 3), (256, 10, 105)],
)
def test_count_cells(size: int, step: int, expected: int) -> None:
    """ceil(size / 25) + 2: ceil(30.72) + 2 = 33; 2560 / 25 = 102.4."""
    assert count_cells(size, step) == expected


def test_cells_are_clamped_to_the_grid() -> None:
    # Pixel 0 lies 12 pixels before the anchor of cell 0: its window begins at the cell before.
    assert first_cell(0, CENTRE) == -1
    np.testing.assert_array_equal(cell_indices(0, 30, 3, CENTRE), [0, 0, 1, 2])
    assert first_cell(0, CORNER) == 0
    np.testing.assert_array_equal(cell_indices(0, 30, 3, CORNER), [0, 1, 2, 2])
    # Pixel 62 is the anchor of cell 2 (2 * 25 + 12).
    assert first_cell(61, CENTRE) == 1
    assert first_cell(62, CENTRE) == 2


@pytest.mark.parametrize(
    ("start", "extent", "n_cells", "margin", "expected"),
    [
        (0, 1, 12, 0, (0, 1)),
        (24, 2, 12, 0, (0, 2)),
        (25, 25, 12, 0, (1, 2)),
        (25, 25, 12, 1, (0, 3)),
        (-30, 60, 12, 1, (0, 3)),
        (290, 37, 12, 0, (11, 12)),  # the grid ends at pixel 300
        (310, 5, 12, 1, (11, 12)),
    ],
)
def test_cells_under_pixels(
    start: int, extent: int, n_cells: int, margin: int, expected: tuple[int, int]
) -> None:
    assert cells_under(start, extent, n_cells, margin) == expected


def test_linear_weights_at_a_centre_anchor() -> None:
    """Pixel 11 lies 24/25 from cell -1 to cell 0; pixel 12 on cell 0; pixel 13 1/25 towards 1."""
    lower, weight = linear_weights(11, 3, CENTRE)
    np.testing.assert_array_equal(lower + first_cell(11, CENTRE), [-1, 0, 0])
    np.testing.assert_array_equal(weight, np.array([24 / 25, 0, 1 / 25], np.float32))


def test_linear_weights_at_a_corner_anchor() -> None:
    lower, weight = linear_weights(24, 3, CORNER)
    np.testing.assert_array_equal(lower + first_cell(24, CORNER), [0, 1, 1])
    np.testing.assert_array_equal(weight, np.array([24 / 25, 0, 1 / 25], np.float32))


def test_area_pixels_lie_in_the_middle() -> None:
    """The mean of pixels 0..9 lies at 4.5: half pixel 9, 15 half pixels before anchor 12."""
    geometry = Geometry(step=10, centred=True)
    lower, weight = linear_weights(0, 2, geometry)
    np.testing.assert_array_equal(lower + first_cell(0, geometry), [-1, 0])
    np.testing.assert_array_equal(weight, np.array([35 / 50, 5 / 50], np.float32))


def test_nearest_cell_is_the_one_the_pixel_lies_in() -> None:
    cells = nearest_cells(24, 27, CENTRE) + first_cell(24, CENTRE)
    np.testing.assert_array_equal(cells, [0] + [1] * 25 + [2])


def test_the_starter_kit_shifts_a_window_to_its_cell() -> None:
    """Origin 49 is taken for 25: pixel 49, the last of cell 1, gets cell 1 as its first pixel."""
    kit = Geometry(alignment="starter-kit")
    cells = nearest_cells(49, 26, kit) + first_cell(49, kit)
    np.testing.assert_array_equal(cells, [1] * 25 + [2])
    exact = nearest_cells(49, 26, CENTRE) + first_cell(49, CENTRE)
    np.testing.assert_array_equal(exact, [1] + [2] * 25)


@given(geometries, starts, sizes, st.sampled_from(["exact", "starter-kit"]))
def test_the_cell_window_covers_every_pixel(
    geometry: Geometry, start: int, size: int, alignment: Alignment
) -> None:
    geometry = Geometry(geometry.step, geometry.centred, geometry.anchor, alignment)
    start = start // geometry.step * geometry.step
    lower, weight = linear_weights(start, size, geometry)
    nearest = nearest_cells(start, size, geometry)
    n_cells = count_cells(size, geometry.step)
    assert lower.min() >= 0
    assert lower.max() + 1 < n_cells
    assert nearest.min() >= 0
    assert nearest.max() < n_cells
    assert ((weight >= 0) & (weight < 1)).all()


@given(
    st.integers(1, 9), st.integers(1, 9), st.integers(0, 24), st.integers(0, 24),
    st.sampled_from(["centre", "corner"]), st.sampled_from(["nearest", "linear"]), st.data(),
)  # fmt: skip
def test_a_patch_of_an_upsampled_scene_is_the_upsampled_patch(
    n_lines: int, n_samples: int, more_lines: int, more_samples: int,
    anchor: GridAnchor, method: str, data: st.DataObject,
) -> None:  # fmt: skip
    """Bit for bit, the far edges without cells included."""
    height, width = 25 * n_lines + more_lines, 25 * n_samples + more_samples
    grid = np.random.default_rng(0).normal(size=(2, n_lines, n_samples)).astype(np.float32)
    geometry = Geometry(anchor=anchor)
    size = data.draw(st.integers(1, min(height, width)))
    window = Window(
        data.draw(st.integers(0, height - size)),
        data.draw(st.integers(0, width - size)),
        size,
        size,
    )

    def upsampled(window: Window) -> NDArray[np.float32]:
        lines = cell_indices(window.line, window.lines, n_lines, geometry)
        samples = cell_indices(window.sample, window.samples, n_samples, geometry)
        cells = grid[:, lines[:, None], samples]
        return upsample(cells, window, geometry, "linear" if method == "linear" else "nearest")

    scene = upsampled(Window(0, 0, height, width))
    patch = scene[:, window.line :, window.sample :][:, :size, :size]
    np.testing.assert_array_equal(upsampled(window), patch)


def look_up(grid: NDArray[Any], position: Fraction, anchor: int) -> NDArray[np.float64]:
    """Linear between the anchors around one position, flat beyond the outer ones."""
    n = len(grid)
    at = min(max((position - anchor) / 25, Fraction(0)), Fraction(n - 1))
    low = min(int(at), n - 1)
    high = min(low + 1, n - 1)
    weight = float(at - low)
    return np.asarray((1 - weight) * grid[low] + weight * grid[high])


@given(
    st.integers(1, 6), st.integers(1, 6), st.sampled_from([1, 2, 10]), st.booleans(),
    st.sampled_from(["centre", "corner"]), st.integers(0, 150), st.integers(0, 150),
    st.integers(1, 12), st.integers(1, 12),
)  # fmt: skip
def test_upsampling_is_that_of_a_naive_loop_over_pixels(
    n_lines: int, n_samples: int, step: int, centred: bool, anchor: GridAnchor,
    line: int, sample: int, lines: int, samples: int,
) -> None:  # fmt: skip
    """Windows anywhere, beyond the last cell included."""
    grid = np.random.default_rng(1).normal(size=(n_lines, n_samples)).astype(np.float32)
    geometry = Geometry(step, centred, anchor)
    window = Window(line // step * step, sample // step * step, lines, samples)
    cells = grid[
        np.ix_(
            cell_indices(window.line, lines, n_lines, geometry),
            cell_indices(window.sample, samples, n_samples, geometry),
        )
    ]
    nearest = upsample(cells, window, geometry, "nearest")
    linear = upsample(cells, window, geometry, "linear")
    middle = Fraction(step - 1, 2) if centred else Fraction(0)
    anchor_pixel = 12 if anchor == "centre" else 0
    for i in range(lines):
        for j in range(samples):
            r, c = window.line + i * step + middle, window.sample + j * step + middle
            cell = (min(int(r // 25), n_lines - 1), min(int(c // 25), n_samples - 1))
            assert nearest[i, j] == grid[cell]
            expected = look_up(look_up(grid, r, anchor_pixel), c, anchor_pixel)
            assert linear[i, j] == pytest.approx(float(expected), abs=1e-5)


def test_linear_upsampling_is_exact_on_a_plane_and_flat_beyond_the_anchors() -> None:
    lines, samples = np.mgrid[0:4, 0:3] * 25 + 12
    plane = (2 * lines + 3 * samples).astype(np.float32)[None]
    window = Window(0, 0, 104, 80)
    cells = plane[:, cell_indices(0, 104, 4, CENTRE)[:, None], cell_indices(0, 80, 3, CENTRE)]
    out = upsample(cells, window, CENTRE, "linear")[0]
    line, sample = np.mgrid[0:104, 0:80]
    expected = 2 * np.clip(line, 12, 87) + 3 * np.clip(sample, 12, 62)
    np.testing.assert_allclose(out, expected, rtol=1e-6)
