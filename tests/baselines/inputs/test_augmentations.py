from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from autoice_bench.baselines.inputs.augmentations import (
    Augmentation,
    draw_box,
    move_pixels,
    paste_box_,
    rotation,
    turn_wind_,
)
from autoice_bench.errors import BaselineError
from autoice_bench.formats.variables import VARIABLES

CHANNELS = ("nersc_sar_primary", "u10m_rotated", "v10m_rotated", "t2m")
U, V = VARIABLES["u10m_rotated"], VARIABLES["v10m_rotated"]
EYE = np.eye(2)[None]
FLIP_SAMPLES = np.diag([-1.0, 1.0])[None]
FLIP_LINES = np.diag([1.0, -1.0])[None]
QUARTER = np.array([[[0.0, 1.0], [-1.0, 0.0]]])
ONE = np.ones(1)

# All that the winner's recipe does, and quarter turns.
EVERYTHING = Augmentation(
    flip_p=0.5, rotate90_p=0.5, rotate_p=0.5, rotation_deg=90, scale_p=0.5, cutmix_p=0.5
)

squares = st.integers(1, 9).map(lambda n: (n, n))
sizes = st.one_of(squares, st.tuples(st.integers(1, 9), st.integers(1, 9)))
seeds = st.integers(0, 2**64)


def numbered(batch: int, size: tuple[int, int], n_channels: int = len(CHANNELS)) -> Tensor:
    """Inputs of distinct non-zero values, so that every pixel can be told."""
    n = batch * n_channels * size[0] * size[1]
    return torch.arange(1, n + 1, dtype=torch.float32).view(batch, n_channels, *size) / n


def labels_of(batch: int, size: tuple[int, int]) -> Tensor:
    n = size[0] * size[1]
    values = torch.arange(batch * 3 * n).view(batch, 3, *size) % 255
    return values.to(torch.uint8)


def wind(x: Tensor) -> Tensor:
    """Components in m/s: (B, 2, H, W)."""
    return torch.stack([x[:, 1] * U.std + U.mean, x[:, 2] * V.std + V.mean], dim=1)


def with_wind(u: float, v: float, size: tuple[int, int] = (3, 3)) -> Tensor:
    x = torch.ones(1, 4, *size)
    x[:, 1], x[:, 2] = (u - U.mean) / U.std, (v - V.mean) / V.std
    return x


def turn_wind(x: Tensor, rigid: Any, channels: tuple[str, ...] = CHANNELS) -> Tensor:
    turned = x.clone()
    turn_wind_(turned, rigid, channels)
    return turned


# Where pixels go


def test_a_flip_of_the_samples_is_torch_flip() -> None:
    x, charts = numbered(1, (3, 4)), labels_of(1, (3, 4))
    moved, moved_charts = move_pixels(x, charts, FLIP_SAMPLES, ONE)
    assert torch.equal(moved, x.flip(3))
    assert torch.equal(moved_charts, charts.flip(3))


def test_a_flip_of_the_lines_is_torch_flip() -> None:
    x, charts = numbered(1, (3, 4)), labels_of(1, (3, 4))
    moved, moved_charts = move_pixels(x, charts, FLIP_LINES, ONE)
    assert torch.equal(moved, x.flip(2))
    assert torch.equal(moved_charts, charts.flip(2))


@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize("n", [1, 4, 5])
def test_quarter_turns_are_torch_rot90(k: int, n: int) -> None:
    x, charts = numbered(1, (n, n)), labels_of(1, (n, n))
    turn = np.linalg.matrix_power(QUARTER[0], k)[None]
    moved, moved_charts = move_pixels(x, charts, turn, ONE)
    assert torch.equal(moved, torch.rot90(x, k, (2, 3)))
    assert torch.equal(moved_charts, torch.rot90(charts, k, (2, 3)))


@pytest.mark.parametrize(("degrees", "k"), [(90.0, 1), (-90.0, 3), (180.0, 2)])
def test_turns_by_right_angles_lose_nothing(degrees: float, k: int) -> None:
    x, charts = numbered(1, (6, 6)), labels_of(1, (6, 6))
    moved, _ = move_pixels(x, charts, rotation(np.array([degrees])), ONE)
    assert torch.equal(moved, torch.rot90(x, k, (2, 3)))


def test_half_a_right_angle_takes_the_nearest_pixels() -> None:
    # Counter-clockwise by 45 degrees. The upper middle, offset (0, -1), takes what lay at
    # (0.71, -0.71): the upper right corner. That corner takes from (1.41, 0), rounded to the right
    # middle, and so on round the centre.
    x = torch.arange(1.0, 10).view(1, 1, 3, 3)
    charts = torch.arange(1, 10, dtype=torch.uint8).view(1, 1, 3, 3).expand(1, 3, 3, 3)
    turn = rotation(np.array([45.0]))
    moved, moved_charts = move_pixels(x, charts, turn, ONE)
    expected = torch.tensor([[2.0, 3, 6], [1, 5, 9], [4, 7, 8]])
    assert torch.equal(moved[0, 0], expected)
    assert torch.equal(moved_charts[0, 2].float(), expected)
    # At half the size the corners take from (2.83, 0), where there is nothing.
    shrunk, shrunk_charts = move_pixels(x, charts, turn, np.array([0.5]))
    assert shrunk[0, 0].tolist() == [[0, 3, 0], [1, 5, 9], [0, 7, 0]]
    assert shrunk_charts[0, 0].tolist() == [[255, 3, 255], [1, 5, 9], [255, 7, 255]]


def test_scale_magnifies_the_content() -> None:
    # Offsets -2..2 take from -1, -0.5, 0, 0.5, 1; halves are rounded up: pixels 1, 2, 2, 3, 3.
    x = torch.arange(5.0).view(1, 1, 1, 5) + 1
    charts = torch.zeros(1, 3, 1, 5, dtype=torch.uint8)
    moved, _ = move_pixels(x, charts, EYE, np.array([2.0]))
    assert moved[0, 0, 0].tolist() == [2, 3, 3, 4, 4]
    shrunk, shrunk_charts = move_pixels(x, charts, EYE, np.array([0.5]))
    assert shrunk[0, 0, 0].tolist() == [0, 1, 3, 5, 0]
    assert shrunk_charts[0, 1, 0].tolist() == [255, 0, 0, 0, 255]


@settings(max_examples=40)
@given(sizes, seeds)
def test_labels_follow_the_inputs(size: tuple[int, int], seed: int) -> None:
    # The same numbers in the inputs and in the labels: they stay equal through everything.
    charts = labels_of(4, size)
    x = charts.float() + 1
    moved, moved_charts = EVERYTHING(x, charts, ("a", "b", "c"), seed)
    inside = moved != 0
    assert torch.equal(moved[inside], moved_charts[inside].float() + 1)
    assert (moved_charts[~inside] == 255).all()


@settings(max_examples=40)
@given(squares, st.lists(st.sampled_from("slq"), max_size=5), st.booleans())
def test_flips_and_quarter_turns_lose_nothing(
    size: tuple[int, int], moves: list[str], wind_aware: bool
) -> None:
    steps = {"s": FLIP_SAMPLES, "l": FLIP_LINES, "q": QUARTER}
    x, charts = numbered(1, size), labels_of(1, size)
    moved, moved_charts, whole = x, charts, EYE
    for move in moves:
        moved, moved_charts = move_pixels(moved, moved_charts, steps[move], ONE)
        if wind_aware:
            moved = turn_wind(moved, steps[move])
        whole = steps[move] @ whole
    at_once, charts_at_once = move_pixels(x, charts, whole, ONE)
    if wind_aware:
        at_once = turn_wind(at_once, whole)
    assert torch.equal(moved_charts, charts_at_once)
    torch.testing.assert_close(moved, at_once, atol=1e-5, rtol=0)
    # And back: the inverse of an orthogonal map is its transpose.
    back, charts_back = move_pixels(at_once, charts_at_once, whole.transpose(0, 2, 1), ONE)
    if wind_aware:
        back = turn_wind(back, whole.transpose(0, 2, 1))
    assert torch.equal(charts_back, charts)
    torch.testing.assert_close(back, x, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("move", "times"), [(FLIP_SAMPLES, 2), (FLIP_LINES, 2), (QUARTER, 4)])
def test_repeated_they_are_the_identity(move: Any, times: int) -> None:
    x = numbered(1, (5, 5))
    moved, charts = x, labels_of(1, (5, 5))
    for _ in range(times):
        moved, charts = move_pixels(moved, charts, move, ONE)
        moved = turn_wind(moved, move)
    assert torch.equal(charts, labels_of(1, (5, 5)))
    torch.testing.assert_close(moved, x, atol=1e-6, rtol=0)


# The wind


@pytest.mark.parametrize(
    ("move", "expected"),
    [
        (FLIP_SAMPLES, (-5.0, 2.0)),
        (FLIP_LINES, (5.0, -2.0)),
        # Counter-clockwise as displayed: what blew to the right (+samples) blows up (-lines), what
        # blew down (+lines) blows to the right.
        (QUARTER, (2.0, -5.0)),
        (QUARTER @ QUARTER, (-5.0, -2.0)),
        # cos 30 = 0.8660, sin 30 = 0.5: u' = 0.8660 u + 0.5 v, v' = -0.5 u + 0.8660 v.
        (rotation(np.array([30.0])), (5.330127, -0.767949)),
    ],
)
def test_the_wind_turns_with_the_image(move: Any, expected: tuple[float, float]) -> None:
    x = with_wind(5.0, 2.0)
    turned = turn_wind(x, move)
    torch.testing.assert_close(wind(turned)[0, :, 1, 1], torch.tensor(expected))
    assert torch.equal(turned[:, [0, 3]], x[:, [0, 3]])


@given(st.floats(-180, 180), st.booleans())
def test_the_wind_moves_as_a_trail_in_the_image(degrees: float, flip: bool) -> None:
    # A mark downwind of the centre: wherever the image takes it, the wind points there.
    size, centre = 41, 20
    x = with_wind(6.0, -8.0, (size, size))
    x[0, 0, centre - 9 : centre - 6, centre + 5 : centre + 8] = 9
    move = rotation(np.array([degrees])) @ (FLIP_LINES if flip else EYE)
    moved, _ = move_pixels(x, torch.zeros(1, 3, size, size, dtype=torch.uint8), move, ONE)
    u, v = wind(turn_wind(moved, move))[0, :, centre, centre].tolist()
    assert np.hypot(u, v) == pytest.approx(10, rel=1e-5)
    mark = (moved[0, 0] == 9).nonzero().double().mean(dim=0)
    assert np.hypot(centre + v - float(mark[0]), centre + u - float(mark[1])) < 1


def test_the_original_leaves_the_wind_as_it_was() -> None:
    x, charts = with_wind(5.0, 2.0), labels_of(1, (3, 3))
    seed = next(
        s for s in range(99)
        if (Augmentation(flip_p=0.5).draw(1, (3, 3), s).rigid == FLIP_SAMPLES).all()
    )  # fmt: skip
    turned, _ = Augmentation(flip_p=0.5)(x, charts, CHANNELS, seed)
    torch.testing.assert_close(wind(turned)[0, :, 0, 0], torch.tensor([-5.0, 2.0]))
    left, moved = Augmentation(flip_p=0.5, wind_aware=False)(x, charts, CHANNELS, seed)
    assert torch.equal(left, x)
    assert torch.equal(moved, charts.flip(3))


def test_one_component_can_be_flipped_but_not_turned() -> None:
    x = with_wind(5.0, 2.0)[:, :2]
    flipped = turn_wind(x, FLIP_SAMPLES, CHANNELS[:2])
    assert float(flipped[0, 1, 0, 0] * U.std + U.mean) == pytest.approx(-5)
    with pytest.raises(BaselineError, match="u10m_rotated alone"):
        turn_wind(x, QUARTER, CHANNELS[:2])


def test_features_without_wind_are_left() -> None:
    x = numbered(1, (3, 3))[:, :2]
    assert torch.equal(turn_wind(x, QUARTER, ("nersc_sar_primary", "t2m")), x)


# What must stay


@settings(max_examples=30)
@given(seeds)
def test_nodata_stays_nodata(seed: int) -> None:
    # The lower right is outside the scene: 0 in every channel. In the middle SAR alone is nodata.
    torch.manual_seed(seed % 1000)
    x = torch.randn(4, 4, 12, 12) + 10
    charts = torch.full((4, 3, 12, 12), 3, dtype=torch.uint8)
    x[:, :, 9:, :], charts[:, :, 9:, :] = 0, 255
    x[:, 0, 4:6, 4:6] = 0
    moved, moved_charts = EVERYTHING(x, charts, CHANNELS, seed)
    outside = (moved[:, 3] == 0)[:, None]
    assert (moved * outside == 0).all()
    assert torch.equal(moved_charts == 255, outside.expand(-1, 3, -1, -1))
    # Nothing but 0 and the values there were, which are far from 0.
    assert ((moved[:, 0] == 0) | (moved[:, 0] > 5)).all()


@given(sizes, seeds)
@settings(max_examples=30)
def test_the_arguments_are_left_as_they_are(size: tuple[int, int], seed: int) -> None:
    x, charts = numbered(3, size), labels_of(3, size)
    moved, moved_charts = EVERYTHING(x, charts, CHANNELS, seed)
    assert torch.equal(x, numbered(3, size))
    assert torch.equal(charts, labels_of(3, size))
    assert (moved.shape, moved.dtype) == (x.shape, x.dtype)
    assert (moved_charts.shape, moved_charts.dtype) == (charts.shape, charts.dtype)


def test_the_default_does_nothing() -> None:
    x, charts = numbered(2, (4, 4)), labels_of(2, (4, 4))
    moved, moved_charts = Augmentation()(x, charts, CHANNELS, 0)
    assert moved is x
    assert moved_charts is charts
    assert not Augmentation().is_active


@pytest.mark.parametrize("layout", ["contiguous", "channels_last"])
def test_the_memory_layout_does_not_matter(
    layout: Literal["contiguous", "channels_last"],
) -> None:
    x, charts = numbered(3, (7, 7)), labels_of(3, (7, 7))
    expected = EVERYTHING(x, charts, CHANNELS, 5)
    formats = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
    given_x = x.to(memory_format=formats[layout])
    for ours, theirs in zip(EVERYTHING(given_x, charts, CHANNELS, 5), expected, strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.gpu
def test_devices_agree() -> None:
    x, charts = numbered(8, (64, 64)), labels_of(8, (64, 64))
    for seed in range(5):
        here, here_charts = EVERYTHING(x, charts, CHANNELS, seed)
        there, there_charts = EVERYTHING(x.cuda(), charts.cuda(), CHANNELS, seed)
        torch.testing.assert_close(there.cpu(), here, atol=1e-6, rtol=0)
        assert torch.equal(there_charts.cpu(), here_charts)


# What is drawn


@settings(max_examples=30)
@given(seeds)
def test_the_seed_decides(seed: int) -> None:
    x, charts = numbered(4, (6, 6)), labels_of(4, (6, 6))
    torch.manual_seed(1)
    first = EVERYTHING(x, charts, CHANNELS, (seed, 3, 7))
    torch.manual_seed(2)
    np.random.seed(2)  # noqa: NPY002 - to show that no global generator is used
    second = EVERYTHING(x, charts, CHANNELS, (seed, 3, 7))
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])


def test_seeds_differ() -> None:
    draws = [EVERYTHING.draw(8, (6, 6), (0, step)).rigid for step in range(20)]
    assert len({draw.tobytes() for draw in draws}) == 20


def test_a_sample_is_drawn_alike_in_batches_of_any_size() -> None:
    small, large = (EVERYTHING.draw(n, (6, 6), 4) for n in (3, 8))
    np.testing.assert_array_equal(small.rigid, large.rigid[:3])
    np.testing.assert_array_equal(small.scales, large.scales[:3])


def test_probabilities_and_ranges_are_kept() -> None:
    flips = Augmentation(flip_p=0.5).draw(4000, (8, 8), 0).rigid
    assert abs((flips[:, 0, 0] < 0).mean() - 0.5) < 0.05
    assert abs((flips[:, 1, 1] < 0).mean() - 0.5) < 0.05
    both = ((flips[:, 0, 0] < 0) & (flips[:, 1, 1] < 0)).mean()
    assert abs(both - 0.25) < 0.05

    quarters = Augmentation(rotate90_p=0.6).draw(4000, (8, 8), 0).rigid
    for k, share in ((0, 0.4), (1, 0.2), (2, 0.2), (3, 0.2)):
        turn = np.linalg.matrix_power(QUARTER[0], k)
        assert abs((quarters == turn).all(axis=(1, 2)).mean() - share) < 0.05

    turns = Augmentation(rotate_p=0.5, rotation_deg=30).draw(4000, (8, 8), 0).rigid
    angles = np.degrees(np.arctan2(turns[:, 0, 1], turns[:, 0, 0]))
    assert abs((angles != 0).mean() - 0.5) < 0.05
    assert -30 <= angles.min() < -28
    assert 28 < angles.max() <= 30

    scales = Augmentation(scale_p=0.5).draw(4000, (8, 8), 0).scales
    assert abs((scales != 1).mean() - 0.5) < 0.05
    assert 0.9 <= scales.min() < 0.91
    assert 1.09 < scales.max() <= 1.1

    mixed = [Augmentation(cutmix_p=0.5).draw(2, (8, 8), seed).donors for seed in range(400)]
    assert abs(np.mean([donors is not None for donors in mixed]) - 0.5) < 0.1


def test_patches_that_are_not_square_turn_by_halves_alone() -> None:
    rigid = Augmentation(rotate90_p=1).draw(50, (8, 9), 0).rigid
    np.testing.assert_array_equal(rigid, np.broadcast_to(-np.eye(2), rigid.shape))


# Cutmix


def test_cutmix_pastes_the_same_box_of_inputs_and_labels() -> None:
    x, charts = numbered(3, (5, 6)), labels_of(3, (5, 6))
    donors, box = np.array([2, 0, 1]), (1, 3, 2, 6)
    for values in (x, charts):
        expected, pasted = values.clone(), values.clone()
        paste_box_(pasted, donors, box)
        for sample, donor in enumerate(donors):
            expected[sample, :, 1:3, 2:6] = values[donor, :, 1:3, 2:6]
        assert torch.equal(pasted, expected)


def test_cutmix_in_a_batch_mixes_whole_samples_only() -> None:
    # Each sample holds its own number, in inputs and labels.
    number = torch.arange(1, 5)
    x = number.float()[:, None, None, None].expand(4, 4, 16, 16)
    charts = number.to(torch.uint8)[:, None, None, None].expand(4, 3, 16, 16)
    mix = Augmentation(cutmix_p=1.0)
    replaced = []
    for seed in range(300):
        moved, moved_charts = mix(x, charts, CHANNELS, seed)
        assert torch.equal(moved[:, 0], moved_charts[:, 0].float())
        draws = mix.draw(4, (16, 16), seed)
        assert draws.donors is not None
        first_line, last_line, first_sample, last_sample = draws.box
        for sample, donor in enumerate(draws.donors):
            box = moved[sample, 0, first_line:last_line, first_sample:last_sample]
            assert (box == donor + 1).all()
        replaced.append((last_line - first_line) * (last_sample - first_sample) / 256)
    # Beta(1, 1): half of the patch on average, less what the edges cut off and rounding down.
    assert 0.15 < np.mean(replaced) < 0.4


@given(st.integers(0, 10**6), sizes, st.sampled_from([0.2, 1.0, 5.0]))
def test_boxes_lie_in_the_patch(seed: int, size: tuple[int, int], alpha: float) -> None:
    box = draw_box(np.random.default_rng(seed), size, alpha)
    assert 0 <= box[0] <= box[1] <= size[0]
    assert 0 <= box[2] <= box[3] <= size[1]


# Settings


@pytest.mark.parametrize(
    "bad",
    [
        {"flip_p": 1.1},
        {"cutmix_p": -0.1},
        {"rotation_deg": 181.0},
        {"scale_range": (1.1, 0.9)},
        {"scale_range": (0.0, 1.0)},
        {"cutmix_alpha": 0.0},
        {"rotate_p": float("nan")},
    ],
)
def test_settings_out_of_range_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(BaselineError, match=f"{next(iter(bad))} .*expected"):
        Augmentation(**bad)
