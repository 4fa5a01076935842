"""Channels by name, and how batches become them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch

from autoice_bench.baselines.inputs.features import (
    CHANNELS,
    FEATURE_GROUPS,
    FeatureAssembler,
    parse_features,
)
from autoice_bench.datasets.batches.torch_datasets import PatchDataset, SceneDataset
from autoice_bench.datasets.patches.geometry import Geometry, Window, upsample
from autoice_bench.datasets.store.root import open_store
from autoice_bench.errors import PatchError

HH, HV, ANGLE = "nersc_sar_primary", "nersc_sar_secondary", "sar_incidenceangle"
T18H, T18V, T36H, T36V = ("btemp_18_7h", "btemp_18_7v", "btemp_36_5h", "btemp_36_5v")


@pytest.mark.parametrize(
    ("group", "channels"),
    [
        ("sar", (HH, HV, ANGLE)),
        ("amsr2-18-36", (T18H, T18V, T36H, T36V)),
        ("amsr2-jaxa", (T18V, "btemp_23_8v", T36H, T36V)),
        ("sar+amsr2-18-36", (HH, HV, ANGLE, T18H, T18V, T36H, T36V)),
        ("mmseaice-14", (HH, HV, T18H, T18V, T36H, T36V, "u10m_rotated", "v10m_rotated", "t2m",
                         "tcwv", "tclw", "month", "latitude", "longitude")),
        ("mmseaice-16", (HH, HV, ANGLE, "distance_map", T18H, T18V, T36H, T36V, "u10m_rotated",
                         "v10m_rotated", "t2m", "tcwv", "tclw", "month", "latitude",
                         "longitude")),
    ],
)  # fmt: skip
def test_channel_order_of_the_groups(group: str, channels: tuple[str, ...]) -> None:
    assert parse_features(group).channels == channels


@pytest.mark.parametrize(
    ("group", "n_channels"),
    [("sar", 3), ("amsr2-18-36", 4), ("amsr2-jaxa", 4), ("amsr2", 14), ("sar+amsr2-18-36", 7),
     ("sar+amsr2", 17), ("mmseaice-14", 14), ("mmseaice-16", 16), ("aspp-geo", 18), ("all", 27)],
)  # fmt: skip
def test_number_of_channels(group: str, n_channels: int) -> None:
    assert parse_features(group).n_channels == n_channels


def test_groups_and_channels_combine() -> None:
    assert parse_features("sar+t2m").channels == (HH, HV, ANGLE, "t2m")
    assert parse_features(["sar", "t2m"]) == parse_features("sar,t2m")
    assert parse_features("amsr2-18-36").arrays == {"amsr2"}
    assert parse_features("mmseaice-14").arrays == {"sar", "amsr2", "era5", "positions"}


def test_amsr2_runs_from_low_to_high_frequency_h_before_v() -> None:
    def key(name: str) -> tuple[float, str]:
        band = name.removeprefix("btemp_")
        return float(band[:-1].replace("_", ".")), band[-1]

    channels = FEATURE_GROUPS["amsr2"]
    assert list(channels) == sorted(channels, key=key)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("sarr", "no feature 'sarr'; did you mean sar?"),
        ("btemp_18_7", "did you mean btemp_18_7"),
        ("nonsense!", "groups: sar, amsr2-18-36, .*channels: nersc_sar_primary"),
        ("sar+sar_incidenceangle", "sar_incidenceangle would occur twice"),
    ],
)
def test_unknown_names_list_what_exists(name: str, message: str) -> None:
    with pytest.raises(PatchError, match=message):
        parse_features(name)


@pytest.mark.parametrize("upsampling", ["nearest", "linear"])
@pytest.mark.parametrize("alignment", ["exact", "starter-kit"])
def test_the_device_upsamples_as_the_reference_does(
    prepared_store: Path,
    upsampling: Literal["nearest", "linear"],
    alignment: Literal["exact", "starter-kit"],
) -> None:
    dataset = PatchDataset(prepared_store, patch_size=96, patches_per_scene=4, alignment=alignment)
    features = parse_features("amsr2+era5")
    assemble = FeatureAssembler(features, dataset.geometry, upsampling)
    for index in range(len(dataset)):
        patch = dataset[index]
        inputs = assemble(batch_of(patch))[0].numpy()
        window = Window(int(patch["line"]), int(patch["sample"]), 96, 96)
        for start, name in ((0, "amsr2"), (14, "era5")):
            cells = patch[name].numpy()
            expected = upsample(cells, window, dataset.geometry, upsampling)
            np.testing.assert_array_equal(inputs[start : start + len(cells)], expected)


def batch_of(patch: dict[str, Any]) -> dict[str, torch.Tensor]:
    return {name: v[None] for name, v in patch.items() if isinstance(v, torch.Tensor)}


@pytest.mark.parametrize("upsampling", ["nearest", "linear"])
@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
def test_a_patch_of_an_assembled_scene_is_the_assembled_patch(
    prepared_store: Path,
    upsampling: Literal["nearest", "linear"],
    interpolation: Literal["bilinear", "nearest"],
) -> None:
    """Bit for bit, in every channel there is."""
    features = parse_features(CHANNELS)
    dataset = PatchDataset(
        prepared_store, patch_size=96, patches_per_scene=4, arrays=features.arrays
    )
    assemble = FeatureAssembler(features, dataset.geometry, upsampling, interpolation)
    scene_ids = [scene_id for scene_id, _ in dataset.reader.plan.scenes]
    scenes = SceneDataset(prepared_store, scene_ids, arrays=features.arrays)
    whole = {scene_id: assemble(scenes[i]) for i, scene_id in enumerate(scene_ids)}
    for index in range(len(dataset)):
        patch = dataset[index]
        line, sample = int(patch["line"]), int(patch["sample"])
        expected = whole[patch["scene_id"]][:, :, line : line + 96, sample : sample + 96]
        assert torch.equal(assemble(batch_of(patch)), expected)


def hand_made_batch(**changes: Any) -> dict[str, torch.Tensor]:
    """A 4 x 4 window at (0, 0) of a scene of 3 x 4 pixels: the last line is padding."""
    batch = {
        "line": torch.tensor([0]), "sample": torch.tensor([0]),
        "scene_lines": torch.tensor([3]), "scene_samples": torch.tensor([4]),
        "month": torch.tensor([11]),
        "sar": torch.zeros(1, 3, 4, 4, dtype=torch.float16),
        "distance_map": torch.full((1, 4, 4), 41, dtype=torch.uint8),
        "era5": torch.ones(1, 6, 3, 3),
        "latitude": torch.tensor([[[60.0, 60.0], [80.0, 80.0]]]),
        "longitude": torch.tensor([[[-50.0, -20.0], [-50.0, -20.0]]]),
        "tie_line": torch.tensor([[0.0, 4.0]]), "tie_sample": torch.tensor([[0.0, 2.0]]),
    }  # fmt: skip
    return {**batch, **changes}


def test_hand_computed_channels() -> None:
    features = parse_features("distance_map,t2m,month,latitude,longitude,sin_latitude")
    inputs = FeatureAssembler(features, Geometry())(hand_made_batch())[0]
    # (41 - 23.627669500714102) / 14.99018630794473; December is m = 11: 2 * 11 / 11 - 1 = 1.
    assert inputs[0, 0, 0].item() == pytest.approx(1.1589136, abs=1e-6)
    assert (inputs[1, :3] == 1).all()
    assert (inputs[2, :3] == 1).all()
    # Line 1 lies a quarter from 60 to 80 degrees north: 65.
    assert inputs[3, 1, 0].item() == pytest.approx((65 - 69.12526250065734) / 7.03179625261593)
    # Sample 1 lies halfway from -50 to -20: -35; beyond the last tie point its value stays.
    mean, std = -56.38966259295485, 31.32935694114249
    expected = [(degrees - mean) / std for degrees in (-50, -35, -20, -20)]
    np.testing.assert_allclose(inputs[4, 0], expected, rtol=1e-6)
    assert inputs[5, 2, 0].item() == pytest.approx(np.sin(np.radians(70)))


@pytest.mark.parametrize(
    ("month", "expected"), [(0, -1.0), (1, -9 / 11), (5, -1 / 11), (6, 1 / 11), (11, 1.0)]
)
def test_months_run_from_minus_one_to_one(month: int, expected: float) -> None:
    batch = hand_made_batch(month=torch.tensor([month]))
    inputs = FeatureAssembler(parse_features("month"), Geometry())(batch)
    assert inputs[0, 0, :3].unique().tolist() == pytest.approx([expected])


def test_the_month_is_that_of_the_scene_id(prepared_store: Path) -> None:
    scene_ids = open_store(prepared_store).scene_ids()
    scenes = SceneDataset(prepared_store, scene_ids, arrays=frozenset({"sar"}))
    assert [int(scenes[k]["month"]) for k in range(len(scene_ids))] == [
        int(scene_id[4:6]) - 1 for scene_id in scene_ids
    ]


def test_padding_is_zero_in_every_channel() -> None:
    features = parse_features("sar,distance_map,era5,month,latitude,cos_longitude")
    for upsampling in ("nearest", "linear"):
        inputs = FeatureAssembler(features, Geometry(), upsampling)(hand_made_batch())
        assert (inputs[0, :, 3] == 0).all()
        assert (inputs[0, 3:, :3] != 0).any(dim=0).all()


def test_tie_points_at_infinity_do_not_exist() -> None:
    features = parse_features("longitude")
    plain = FeatureAssembler(features, Geometry())(hand_made_batch())
    padded = hand_made_batch(
        longitude=torch.tensor([[[-50.0, -20.0, -20.0], [-50.0, -20.0, -20.0]]]),
        tie_sample=torch.tensor([[0.0, 2.0, torch.inf]]),
    )
    assert torch.equal(FeatureAssembler(features, Geometry())(padded), plain)


def test_nearest_tie_point_for_parity() -> None:
    features = parse_features("latitude")
    inputs = FeatureAssembler(features, Geometry(), tie_interpolation="nearest")(hand_made_batch())
    degrees = inputs[0, 0, :3, 0] * 7.03179625261593 + 69.12526250065734
    np.testing.assert_allclose(degrees, [60, 60, 60], rtol=1e-6)


def test_half_precision_on_request() -> None:
    assemble = FeatureAssembler(parse_features("sar"), Geometry())
    assert assemble(hand_made_batch(), torch.bfloat16).dtype == torch.bfloat16
