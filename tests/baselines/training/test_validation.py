from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score, r2_score
from torch import Tensor, nn
from torch.nn import functional

from autoice_bench.baselines.tasks.chart_loss import MultiTaskLoss
from autoice_bench.baselines.tasks.chart_outputs import N_CLASSES, Outputs
from autoice_bench.baselines.tasks.chart_scores import count_pairs, to_histograms
from autoice_bench.baselines.tasks.charts import ChartTask
from autoice_bench.baselines.tasks.contract import Validation
from autoice_bench.baselines.training import validation as validation_module
from autoice_bench.baselines.training.scenes import PaddedScenes, ValidationScenes, share_scenes
from autoice_bench.baselines.training.validation import validate
from autoice_bench.charts import CHARTS, FILL_VALUE
from autoice_bench.datasets.patches.opening import open_windows
from autoice_bench.datasets.store.root import open_store
from autoice_bench.errors import BaselineError
from autoice_bench.scoring.metrics.histograms import joint_histogram

CPU = torch.device("cpu")


class Lookup(nn.Module):
    """Logits that grow with an input pixel: a fixed network whose classes are known."""

    def forward(self, x: Tensor) -> Outputs:
        self.was_training = self.training
        scales = [torch.arange(n).view(1, -1, 1, 1) for n in N_CLASSES]
        return Outputs(*(-((x * (n - 1) - s) ** 2) for n, s in zip(N_CLASSES, scales, strict=True)))


def make_scene(seed: int, lines: int, samples: int) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    charts = np.stack([random.integers(0, n, (lines, samples)) for n in N_CLASSES])
    charts[random.random(charts.shape) < 0.2] = FILL_VALUE
    return {
        "sar": torch.from_numpy(random.random((1, 1, lines, samples), np.float32)),
        "charts": torch.from_numpy(charts[None].astype(np.uint8)),
        "scene_id": [f"scene {seed}"],
    }


SCENES = [make_scene(0, 40, 30), make_scene(1, 7, 90), make_scene(2, 25, 25)]


def assemble(batch: Mapping[str, Tensor]) -> Tensor:
    return batch["sar"]


def run(scenes: list[dict[str, Any]], **options: Any) -> Validation:
    found = validate(Lookup(), ValidationScenes(scenes), assemble, ChartTask(), CPU, **options)
    assert found is not None
    return found


def test_scores_are_those_of_all_pixels_pooled() -> None:
    found = run(SCENES)
    truth = [np.concatenate([s["charts"][0, k].numpy().ravel() for s in SCENES]) for k in range(3)]
    values = np.concatenate([scene["sar"].numpy().ravel() for scene in SCENES])
    expected = {}
    for k, chart in enumerate(CHARTS):
        predicted = np.rint(values * (chart.n_classes - 1))[truth[k] != FILL_VALUE]
        actual = truth[k][truth[k] != FILL_VALUE]
        score = (
            r2_score(actual, predicted)
            if chart.metric == "r2"
            else f1_score(actual, predicted, average="weighted")
        )
        expected[chart.name] = round(score * 100, 3)
    assert found.scores == expected
    combined = (2 * expected["SIC"] + 2 * expected["SOD"] + expected["FLOE"]) / 5
    assert found.combined == pytest.approx(combined, abs=6e-4)


def test_loss_is_the_mean_over_all_labelled_pixels() -> None:
    found = run(SCENES)
    network = Lookup()
    for k, chart in enumerate(CHARTS):
        total, n = 0.0, 0
        for scene in SCENES:
            logits = network(scene["sar"])[k].double()[0]
            labels = scene["charts"][0, k].long()
            chosen = labels != FILL_VALUE
            of_label = logits.log_softmax(0).gather(0, (labels * chosen)[None])
            total -= float(of_label[0][chosen].sum())
            n += int(chosen.sum())
        assert found.losses[chart.name] == pytest.approx(total / n, rel=1e-5)
    assert found.loss == pytest.approx(sum(found.losses.values()))


def test_neither_order_nor_sharing_changes_the_result() -> None:
    whole = run(SCENES)
    turned = run(SCENES[::-1])
    assert turned.scores == whole.scores
    assert turned.loss == pytest.approx(whole.loss, rel=1e-12)
    # Two processes: the second's sums, in the order they are added up, are given to the first.
    sums: list[Tensor] = []

    def note(values: Tensor) -> Tensor:
        sums.append(values.clone())
        return values

    run(SCENES[1:], add_up=note)
    rest = iter(sums)
    shared = run(SCENES[:1], add_up=lambda values: values + next(rest))
    assert shared.scores == whole.scores
    assert shared.loss == pytest.approx(whole.loss, rel=1e-12)


def test_strips_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = run(SCENES)
    monkeypatch.setattr(validation_module, "_STRIP_PIXELS", 100)
    strips = run(SCENES)
    assert strips.scores == whole.scores
    assert strips.loss == pytest.approx(whole.loss, rel=1e-6)  # pixels are float32


def test_counts_are_those_of_the_scorer() -> None:
    truth = torch.cat([scene["charts"].flatten(2) for scene in SCENES], dim=2)[:, :, None]
    random = np.random.default_rng(3)
    predicted = np.stack([random.integers(0, n, truth.shape[2:]) for n in N_CLASSES])[None]
    prediction = torch.from_numpy(predicted.astype(np.uint8))
    histograms = to_histograms(count_pairs(truth, prediction).numpy())
    for k, chart in enumerate(CHARTS):
        expected = joint_histogram(truth[0, k].numpy(), prediction[0, k].numpy(), chart)
        np.testing.assert_array_equal(histograms[chart.name], expected)


def test_chart_without_labels_has_no_score_and_no_loss() -> None:
    scene = make_scene(4, 20, 20)
    scene["charts"][:, 2] = FILL_VALUE
    found = run([scene])
    assert found.losses["FLOE"] == 0
    assert np.isnan(found.scores["FLOE"])
    assert np.isnan(found.combined)
    assert np.isfinite(found.loss)


def test_evaluation_mode_without_gradients() -> None:
    network = Lookup().train()
    validate(network, ValidationScenes(SCENES), assemble, ChartTask(), CPU)
    assert not network.was_training


def test_forward_runs_in_the_given_context() -> None:
    entered = []

    @contextmanager
    def autocast() -> Iterator[None]:
        entered.append(True)
        yield

    run(SCENES, autocast=autocast)
    assert len(entered) == len(SCENES)


def test_stops_after_a_scene() -> None:
    asked = iter([False, True])
    found = validate(
        Lookup(),
        ValidationScenes(SCENES),
        assemble,
        ChartTask(),
        CPU,
        should_stop=asked.__next__,
    )
    assert found is None


def test_a_process_without_scenes_adds_nothing() -> None:
    found = run([])
    assert found.loss == 0
    assert found.histograms["SIC"].sum() == 0


def test_scene_without_labels() -> None:
    scene = {key: value for key, value in SCENES[0].items() if key != "charts"}
    with pytest.raises(BaselineError, match="scene scene 0: has no labels"):
        run([scene])


def test_too_little_memory_names_the_ways_out() -> None:
    class Greedy(nn.Module):
        def forward(self, x: Tensor) -> Outputs:
            raise MemoryError

    with pytest.raises(BaselineError, match=r"out of memory while validating .* tiles"):
        validate(Greedy(), ValidationScenes(SCENES), assemble, ChartTask(), CPU)


class Coarse(Lookup):
    """Every pixel of the input stands for four of the outputs' pixels, on either axis."""

    def forward_coarse(self, x: Tensor) -> Outputs:
        return super().forward(x[:, :, ::4, ::4])

    def forward(self, x: Tensor) -> Outputs:
        size = x.shape[-2:]
        return Outputs(
            *(functional.interpolate(m, size, mode="bilinear") for m in self.forward_coarse(x))
        )


def test_coarse_logits_are_upsampled_strip_by_strip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validation_module, "_STRIP_PIXELS", 200)
    found = validate(Coarse(), ValidationScenes(SCENES), assemble, ChartTask(), CPU)
    whole = Coarse()
    loss = MultiTaskLoss()
    sums = [loss.chart_sums(whole(scene["sar"]), scene["charts"]) for scene in SCENES]
    added, counted = (torch.stack(each).sum(dim=0) for each in zip(*sums, strict=True))
    expected, _ = loss.pool(added, counted)
    assert found is not None
    assert found.loss == pytest.approx(float(expected), rel=1e-6)


def test_scenes_are_padded_to_multiples_of_32(prepared_store: Path) -> None:
    store = open_store(prepared_store)
    scene_ids = store.scene_ids()[:2]
    windows = open_windows(store, scene_ids, arrays=frozenset({"sar", "charts"}))
    scenes = PaddedScenes(windows, scene_ids)
    assert len(scenes) == 2
    scene = scenes[1]
    assert scene["scene_id"] == [scene_ids[1]]
    assert scene["sar"].shape == (1, 3, 320, 352)
    inside = windows.read_scene(scene_ids[1])["charts"]
    np.testing.assert_array_equal(scene["charts"][:, :, :300, :327], inside)
    assert (scene["charts"][:, :, 300:] == FILL_VALUE).all()
    assert (scene["sar"][:, :, :, 327:] == 0).all()


class CountedScenes:
    def __init__(self) -> None:
        self.reads: list[int] = []

    def __len__(self) -> int:
        return len(SCENES)

    def __getitem__(self, index: int) -> Mapping[str, Any]:
        self.reads.append(index)
        return SCENES[index]


def test_reader_keeps_what_fits() -> None:
    scenes = CountedScenes()
    n_bytes = [sum(v.nbytes for v in s.values() if isinstance(v, Tensor)) for s in SCENES]
    reader = ValidationScenes(scenes, kept_bytes=n_bytes[0] + n_bytes[2])
    for _ in range(2):
        assert [scene["scene_id"] for scene in reader] == [s["scene_id"] for s in SCENES]
    # The second does not fit beside the first; the third does.
    assert scenes.reads == ([0, 1, 2, 1] if n_bytes[1] > n_bytes[2] else [0, 1, 2, 2])


def test_reader_can_be_left_early() -> None:
    reader = ValidationScenes(CountedScenes())
    for scene in reader:
        assert scene is SCENES[0]
        break
    assert len(list(reader)) == len(SCENES)


def test_scenes_are_shared_out_once() -> None:
    ids = [f"scene {k}" for k in range(7)]
    shares = [share_scenes(ids, rank, 3) for rank in range(3)]
    assert sorted(sum(shares, ())) == ids
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
