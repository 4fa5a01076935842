from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from autoice_bench.baselines.inference import scene as inference
from autoice_bench.baselines.inference.scene import (
    Member,
    RowReader,
    SceneView,
    predict_scene,
    tiled_scene,
    whole_scene,
)
from autoice_bench.baselines.inference.tiles import Tiling
from autoice_bench.baselines.inputs.features import FeatureAssembler, parse_features
from autoice_bench.baselines.tasks.chart_outputs import Outputs, to_classes
from autoice_bench.baselines.tasks.charts import ChartTask
from autoice_bench.baselines.tasks.contract import Maps
from autoice_bench.datasets.patches.geometry import Geometry, Window
from autoice_bench.datasets.patches.opening import open_windows
from autoice_bench.datasets.store.root import open_store
from autoice_bench.errors import BaselineError

SHAPE = (300, 327)


CLASSES = ChartTask()
REGRESSION = ChartTask(sic_output="regression", sic_loss="mse")


class Convolutions(nn.Module):
    """Sees ``depth`` pixels to either side."""

    def __init__(self, n_channels: int, depth: int, n_sic: int = 11) -> None:
        super().__init__()
        widths = [n_channels, *[8] * depth]
        self.layers = nn.Sequential(
            *(nn.Sequential(nn.Conv2d(n_in, 8, 3, padding=1), nn.Tanh()) for n_in in widths[:-1])
        )
        self.heads = nn.ModuleList(nn.Conv2d(8, n, 1) for n in (n_sic, 6, 7))

    def forward(self, x: Tensor) -> Outputs:
        features = self.layers(x)
        return Outputs(*(3 * head(features) for head in self.heads))


class Coarse(nn.Module):
    """A sixteenth of the resolution, as the ASPP networks have."""

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.heads = nn.ModuleList(nn.Conv2d(n_channels, n, 16, stride=16) for n in (11, 6, 7))

    def forward_coarse(self, x: Tensor) -> Outputs:
        return Outputs(*(head(x) for head in self.heads))

    def forward(self, x: Tensor) -> Outputs:
        return Outputs(
            *(
                nn.functional.interpolate(logits, x.shape[-2:], mode="bilinear")
                for logits in self.forward_coarse(x)
            )
        )


def view(
    store: Path,
    build: Callable[[int], nn.Module],
    features: str = "sar+amsr2",
    seed: int = 0,
    index: int = 0,
    task: ChartTask = CLASSES,
) -> SceneView:
    opened = open_store(store)
    chosen = parse_features(features)
    torch.manual_seed(seed)
    geometry = Geometry(anchor=opened.grid_anchor)
    assemble = FeatureAssembler(chosen, geometry)
    network = build(chosen.n_channels).eval()
    member = Member(network, task, assemble, torch.device("cpu"))
    scene_ids = opened.scene_ids()
    windows = open_windows(opened, scene_ids, arrays=chosen.arrays | {"sar"})
    return SceneView(member, windows, scene_ids[index])


def join(bands: Iterator[Maps]) -> Outputs:
    with torch.inference_mode():
        return Outputs(*(torch.cat(parts, dim=-2) for parts in zip(*bands, strict=True)))


def test_whole_scene_is_one_padded_forward(prepared_store: Path) -> None:
    scene = view(prepared_store, lambda n: Convolutions(n, 2))
    inputs = scene.read_inputs(Window(0, 0, 320, 352))
    assert inputs.shape == (1, 17, 320, 352)
    assert not inputs[:, :, 300:].any()
    assert not inputs[..., 327:].any()
    with torch.inference_mode():
        expected = scene.member.network(inputs)
        found = join(whole_scene(scene))
    for maps, logits in zip(found, expected, strict=True):
        torch.testing.assert_close(maps, logits.softmax(dim=1)[..., :300, :327])


@pytest.mark.parametrize("tile", [64, 96, 160, 320])
def test_tiles_equal_the_whole_where_the_network_sees_a_quarter_of_the_overlap(
    prepared_store: Path, tile: int
) -> None:
    # Eight 3x3 convolutions see 8 pixels to either side: a quarter of 32.
    scene = view(prepared_store, lambda n: Convolutions(n, 8))
    whole = join(whole_scene(scene))
    tiled = join(tiled_scene(scene, Tiling(tile, 32)))
    for expected, found in zip(whole, tiled, strict=True):
        assert found.shape[-2:] == SHAPE
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_tiles_differ_where_the_network_sees_further(prepared_store: Path) -> None:
    scene = view(prepared_store, lambda n: Convolutions(n, 12))
    whole = join(whole_scene(scene))
    tiled = join(tiled_scene(scene, Tiling(64, 0)))
    assert (whole.sic - tiled.sic).abs().max() > 1e-3
    torch.testing.assert_close(tiled.sic.sum(dim=1), torch.ones(1, *SHAPE))


def test_bf16_predicts_nearly_the_same(prepared_store: Path) -> None:
    scene = view(prepared_store, lambda n: Convolutions(n, 2))
    coarser = replace(scene, member=replace(scene.member, precision="bf16"))
    assert coarser.read_inputs(scene.whole).dtype == torch.bfloat16
    full, half = (predict_scene([each], SHAPE).classes for each in (scene, coarser))
    assert (full != half).mean() < 0.1


@pytest.mark.parametrize("features", ["amsr2", "amsr2-18-36", "mmseaice-16"])
def test_every_group_of_features_can_be_tiled(prepared_store: Path, features: str) -> None:
    scene = view(prepared_store, lambda n: Convolutions(n, 2), features)
    whole = predict_scene([scene], SHAPE)
    tiled = predict_scene([scene], SHAPE, Tiling(128, 32))
    assert (whole.classes != tiled.classes).mean() < 1e-3


def test_coarse_logits_are_upsampled_in_bands(
    prepared_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = view(prepared_store, Coarse)
    monkeypatch.setattr(inference, "_BAND_LINES", 77)
    found = predict_scene([scene], SHAPE).classes
    with torch.inference_mode():
        expected = to_classes(scene.member.network(scene.read_inputs(scene.whole)))
    assert found.shape == (3, *SHAPE)
    assert (found != expected[0, :, :300, :327].numpy()).mean() < 1e-4


def test_an_ensemble_averages_probabilities(prepared_store: Path) -> None:
    views = [
        view(prepared_store, lambda n: Convolutions(n, 2), seed=0),
        view(prepared_store, Coarse, "sar", seed=1),
    ]
    found = predict_scene(views, SHAPE, probabilities=True)
    mean = [
        torch.stack(maps).mean(dim=0)
        for maps in zip(*(join(whole_scene(scene)) for scene in views), strict=True)
    ]
    np.testing.assert_array_equal(found.classes, to_classes(Outputs(*mean))[0].numpy())
    assert found.probabilities is not None
    for stored, maps in zip(found.probabilities, mean, strict=True):
        assert np.abs(stored / 255 - maps[0].numpy()).max() <= 0.5 / 255 + 1e-6


def test_a_mean_of_one_network_twice_is_that_network(prepared_store: Path) -> None:
    scene = view(prepared_store, lambda n: Convolutions(n, 2))
    one = predict_scene([scene], SHAPE)
    two = predict_scene([scene, scene], SHAPE)
    np.testing.assert_array_equal(one.classes, two.classes)
    assert one.probabilities is None


def test_regressions_are_averaged_before_rounding(prepared_store: Path) -> None:
    class Constant(nn.Module):
        def __init__(self, value: float) -> None:
            super().__init__()
            self.value = value

        def forward(self, x: Tensor) -> Outputs:
            zeros = x.new_zeros(1, 7, *x.shape[-2:])
            return Outputs(zeros[:, :1] + self.value, zeros[:, :6], zeros)

    # Means 3.4 -> 3, and (12.4 + 9.4) / 2 = 10.9 -> 11, clamped to 10.
    for values, expected, concentration in (((2.4, 4.4), 3, 85), ((12.4, 9.4), 10, 250)):
        views = [view(prepared_store, lambda n, v=v: Constant(v), task=REGRESSION) for v in values]  # type: ignore[misc]
        found = predict_scene(views, SHAPE, probabilities=True)
        assert (found.classes[0] == expected).all()
        assert found.probabilities is not None
        assert found.probabilities[0].shape == (1, *SHAPE)
        assert (found.probabilities[0] == concentration).all()


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate"),
    ],
)
def test_out_of_memory_falls_back_to_tiles(
    prepared_store: Path, monkeypatch: pytest.MonkeyPatch, error: RuntimeError
) -> None:
    class Greedy(Convolutions):
        def forward(self, x: Tensor) -> Outputs:
            if x.shape[-2] > 128:
                raise error
            return super().forward(x)

    monkeypatch.setattr(inference, "available_bytes", lambda: None)
    scene = view(prepared_store, lambda n: Greedy(n, 2))
    notes: list[str] = []
    fallback = Tiling(128, 32)
    found = predict_scene([scene], SHAPE, fallback=fallback, note=notes.append)
    expected = predict_scene([view(prepared_store, lambda n: Convolutions(n, 2))], SHAPE, fallback)
    np.testing.assert_array_equal(found.classes, expected.classes)
    (note,) = notes
    assert "out of" in note
    assert "predicted in tiles of 128 pixels" in note


def test_other_errors_of_a_network_are_not_hidden(prepared_store: Path) -> None:
    scene = view(prepared_store, lambda n: Convolutions(n + 1, 2))
    with pytest.raises(RuntimeError, match="channel"):
        predict_scene([scene], SHAPE)


def test_a_scene_beyond_the_memory_at_hand_is_not_tried_whole(
    prepared_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = view(prepared_store, lambda n: Convolutions(n, 2))
    monkeypatch.setattr(inference, "available_bytes", lambda: 2**20)
    notes: list[str] = []
    predict_scene([scene], SHAPE, fallback=Tiling(128, 32), note=notes.append)
    assert "GiB memory with the whole scene at once" in notes[0]
    monkeypatch.setattr(inference, "available_bytes", lambda: None)
    predict_scene([scene], SHAPE, fallback=Tiling(128, 32), note=notes.append)
    assert len(notes) == 1


def test_no_memory_for_a_tile_is_said_in_one_line(prepared_store: Path) -> None:
    class Hungry(Convolutions):
        def forward(self, x: Tensor) -> Outputs:
            raise MemoryError

    scene = view(prepared_store, lambda n: Hungry(n, 2))
    with pytest.raises(BaselineError, match="predicting tiles of 128 pixels; choose a smaller"):
        predict_scene([scene], SHAPE, Tiling(128, 32))


@pytest.mark.parametrize("bands", [(4,), (1, 3), (2, 1, 1)])
def test_downscaled_lines_are_repeated(bands: tuple[int, ...]) -> None:
    # 4 x 3 pixels of 10 for 37 x 33 at 80 m: the last sample stands for 13.
    value = torch.arange(12.0).reshape(1, 1, 4, 3)
    whole = Outputs(value, value + 100, value + 200)
    parts = [
        Outputs(*(torch.split(maps, list(bands), dim=-2)[k] for maps in whole))
        for k in range(len(bands))
    ]
    reader = RowReader(iter(parts), 10, (4, 3), 33)
    read = [reader.read(first, min(first + 8, 37)) for first in range(0, 37, 8)]
    found = torch.cat([rows[1] for rows in read], dim=-2)[0, 0]
    assert found.shape == (37, 33)
    lines, samples = np.arange(37) // 10, np.minimum(np.arange(33) // 10, 2)
    np.testing.assert_array_equal(found.numpy(), 100 + 3 * lines[:, None] + samples)


def test_lines_beyond_the_last_downscaled_one_take_it() -> None:
    value = torch.arange(6.0).reshape(1, 1, 3, 2)
    reader = RowReader(iter([Outputs(value, value, value)]), 10, (3, 2), 20)
    found = reader.read(25, 38)[0][0, 0]
    np.testing.assert_array_equal(found[:, 0].numpy(), 4)
