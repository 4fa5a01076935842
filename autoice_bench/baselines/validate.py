"""Validation over whole scenes: the pooled loss and the challenge's scores.

One forward per scene, as ``predict`` does without tiles: the same padding, and the same way from
coarse logits to pixels, so that the network chosen here is the one that scores best there. Pixels
of all scenes are pooled: the loss of a chart is its mean over every labelled pixel, and the scores
come from summed joint histograms, so that neither depends on the order of the scenes or on how they
are shared out to processes. Where a recipe downscales, the labels are those of its own pixels;
``score`` uses those of 80 m.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from autoice_bench.baselines.devices import explained_memory_errors
from autoice_bench.baselines.inference import CoarseNetwork
from autoice_bench.baselines.losses import MultiTaskLoss
from autoice_bench.baselines.outputs import Outputs, to_classes
from autoice_bench.baselines.strips import take_rows
from autoice_bench.baselines.tiles import pad_size
from autoice_bench.charts import CHARTS, FILL_VALUE
from autoice_bench.datasets.patch_reader import WindowReader
from autoice_bench.datasets.patches import Window
from autoice_bench.errors import BaselineError
from autoice_bench.scoring.histograms import Histogram
from autoice_bench.scoring.metrics import chart_score, official_combined, official_score

KEPT_BYTES: Final = 1 << 30
"""Validation scenes are kept in memory up to this size: all of them where they are downscaled."""

_STRIP_PIXELS: Final = 1 << 22
"""Pixels whose loss is computed at once; bounds what a whole scene takes beside its logits."""
_BINS: Final = 16
"""A pair of classes is one number: truth times this plus prediction."""
_MASKED_BIN: Final = _BINS * _BINS - 1


class Scenes(Protocol):
    """Whole scenes as batches of one, such as ``PaddedScenes`` or a ``SceneDataset``."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class Validation:
    """What validation found.

    Attributes:
        loss: the recipe's weighted sum of the charts' losses.
        losses: loss of each chart, mean over its labelled pixels; 0 without any.
        scores: official score of each chart, percent; NaN where undefined.
        combined: official combined score, percent; NaN where a chart's is.
        histograms: (n_classes, n_classes + 1) pixel counts of each chart.
    """

    loss: float
    losses: dict[str, float]
    scores: dict[str, float]
    combined: float
    histograms: dict[str, Histogram]


class PaddedScenes:
    """Whole scenes of a store, padded with nodata to the size that prediction pads them to.

    Args:
        windows: reads the scenes.
        scene_ids: which.
    """

    def __init__(self, windows: WindowReader, scene_ids: Sequence[str]) -> None:
        self._windows = windows
        self._scene_ids = tuple(scene_ids)

    def __len__(self) -> int:
        return len(self._scene_ids)

    def __getitem__(self, index: int) -> dict[str, Any]:
        scene_id = self._scene_ids[index]
        lines, samples = self._windows.scenes.scene(scene_id).shape
        window = Window(0, 0, pad_size(lines), pad_size(samples))
        arrays = self._windows.read_window(scene_id, window, index)
        tensors = {name: torch.from_numpy(values) for name, values in arrays.items()}
        return {**tensors, "scene_id": [scene_id]}


class SceneReader:
    """Reads scenes one ahead of their use, and keeps the first of them in memory.

    Args:
        scenes: the scenes of this process.
        kept_bytes: most memory for what is kept from one validation to the next.
    """

    def __init__(self, scenes: Scenes, kept_bytes: int = KEPT_BYTES) -> None:
        self._scenes = scenes
        self._free_bytes = kept_bytes
        self._kept: dict[int, Mapping[str, Any]] = {}

    def __len__(self) -> int:
        return len(self._scenes)

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        with ThreadPoolExecutor(1) as reader:
            ahead = reader.submit(self._read, 0) if len(self) else None
            for following in range(1, len(self) + 1):
                assert ahead is not None
                scene = ahead.result()
                ahead = reader.submit(self._read, following) if following < len(self) else None
                yield scene

    def _read(self, index: int) -> Mapping[str, Any]:
        if index in self._kept:
            return self._kept[index]
        scene = self._scenes[index]
        n_bytes = sum(value.nbytes for value in scene.values() if isinstance(value, Tensor))
        if n_bytes <= self._free_bytes:
            self._free_bytes -= n_bytes
            self._kept[index] = scene
        return scene


def validate(
    network: nn.Module,
    scenes: SceneReader,
    assemble: Callable[[Mapping[str, Tensor]], Tensor],
    loss: MultiTaskLoss,
    device: torch.device,
    *,
    memory_format: torch.memory_format = torch.contiguous_format,
    autocast: Callable[[], AbstractContextManager[Any]] = nullcontext,
    add_up: Callable[[Tensor], Tensor] = lambda sums: sums,
    should_stop: Callable[[], bool] = lambda: False,
) -> Validation | None:
    """Validate a network; it is left in evaluation mode.

    Args:
        network: inputs (1, C, H, W) to ``Outputs``, on ``device``.
        scenes: whole scenes with labels.
        assemble: a batch on the device to the network's input.
        loss: the training loss.
        device: where to compute.
        memory_format: of the input.
        autocast: context of the forward pass.
        add_up: sums a tensor over all processes.
        should_stop: asked after each scene.

    Returns:
        None if stopped.

    Raises:
        BaselineError: a scene has no labels, or does not fit into memory.
    """
    n_charts = len(CHARTS)
    sums = torch.zeros(n_charts, dtype=torch.float64, device=device)
    counts = torch.zeros(n_charts, dtype=torch.int64, device=device)
    pairs = torch.zeros(n_charts, _BINS * _BINS, dtype=torch.int64, device=device)
    network.eval()
    forward = network.forward_coarse if isinstance(network, CoarseNetwork) else network
    with torch.inference_mode(), _explained_memory():
        for scene in scenes:
            if "charts" not in scene:
                raise BaselineError(
                    f"scene {scene['scene_id'][0]}: has no labels; validation needs them: leave "
                    "it out of the split's validation scenes"
                )
            batch = {name: _move(value, device) for name, value in scene.items()}
            inputs = assemble(batch).contiguous(memory_format=memory_format)
            with autocast():
                outputs = forward(inputs)
            del inputs
            for part, charts in _strips(outputs, batch["charts"]):
                strip_sums, strip_counts = loss.chart_sums(part, charts)
                sums += strip_sums
                counts += strip_counts
                pairs += count_pairs(charts, to_classes(part))
            if should_stop():
                return None
    return _summarise(loss, add_up(sums), add_up(counts), add_up(pairs))


def _move(value: Any, device: torch.device) -> Any:
    return value.to(device) if isinstance(value, Tensor) else value


def _explained_memory() -> AbstractContextManager[None]:
    return explained_memory_errors(
        "validating on whole scenes",
        "use a GPU with more memory or set downscale; prediction can also run in tiles (--tile)",
    )


def _strips(outputs: Outputs, charts: Tensor) -> Iterator[tuple[Outputs, Tensor]]:
    lines, samples = charts.shape[-2:]
    step = max(1, _STRIP_PIXELS // samples)
    for first in range(0, lines, step):
        stop = min(first + step, lines)
        yield take_rows(outputs, (lines, samples), first, stop), charts[:, :, first:stop]


def count_pairs(truth: Tensor, prediction: Tensor) -> Tensor:
    """Count pairs of classes on the device: ``scoring.histograms`` without moving the pixels.

    Args:
        truth: (B, 3, H, W) uint8 classes or 255.
        prediction: (B, 3, H, W) uint8 classes.

    Returns:
        (3, 256) int64 pixel counts by truth * 16 + prediction; the last holds those without truth.
    """
    keys = truth.to(torch.int64) * _BINS + prediction
    keys = torch.where(truth == FILL_VALUE, _MASKED_BIN, keys)
    by_chart = keys.transpose(0, 1).flatten(1)
    return torch.stack([torch.bincount(chart, minlength=_BINS * _BINS) for chart in by_chart])


def to_histograms(pairs: NDArray[np.int64]) -> dict[str, Histogram]:
    """The joint histogram of each chart from the counts of ``count_pairs``."""
    return {
        chart.name: pairs[k].reshape(_BINS, _BINS)[: chart.n_classes, : chart.n_classes + 1].copy()
        for k, chart in enumerate(CHARTS)
    }


def _summarise(loss: MultiTaskLoss, sums: Tensor, counts: Tensor, pairs: Tensor) -> Validation:
    total, losses = loss.pool(sums, counts)
    histograms = to_histograms(pairs.cpu().numpy())
    scores = {
        chart.name: float(official_score(chart_score(histograms[chart.name], chart)))
        for chart in CHARTS
    }
    return Validation(
        loss=float(total),
        losses={name: float(value) for name, value in losses.items()},
        scores=scores,
        combined=float(official_combined(scores)),
        histograms=histograms,
    )


def share_scenes(scene_ids: Sequence[str], rank: int, world_size: int) -> tuple[str, ...]:
    """The scenes that one of ``world_size`` processes validates on."""
    return tuple(scene_ids[rank::world_size])
