"""Inference: from a scene to class probabilities of its pixels, whole or in tiles, by one network
or the mean of several.

What is averaged, over tiles and over networks, are probabilities: they mean the same whatever the
scale of a network's logits, and their mean is a distribution again. A regression is averaged as it
is, before it is rounded and clamped.

Results come in bands of lines from top to bottom, so that probabilities of a whole scene never
exist at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from autoice_bench.baselines.inference.tiles import Tiling, blending_weights, find_tiles, pad_size
from autoice_bench.baselines.inputs.features import FeatureAssembler
from autoice_bench.baselines.machine.devices import Precision, explained_memory_errors
from autoice_bench.baselines.networks.contract import CoarseNetwork
from autoice_bench.baselines.networks.cost import estimate_peak_bytes
from autoice_bench.baselines.networks.strips import take_rows
from autoice_bench.baselines.tasks.contract import Maps, Task
from autoice_bench.datasets.patches.geometry import Window
from autoice_bench.datasets.patches.windows import SceneWindows
from autoice_bench.datasets.readers.available_memory import available_bytes
from autoice_bench.errors import BaselineError

_BAND_LINES: Final = 256
_MEMORY_MARGIN: Final = 1.25
"""On top of a network's tensors: what kernels and the bands of probabilities take."""
_REMEDY: Final = "choose a smaller --tile"

Bands = Iterator[Maps]
"""Consecutive lines of a scene as the task's means, (1, channels, lines, samples) float32."""


@dataclass(frozen=True)
class Member:
    """A trained network with what it needs to predict.

    Attributes:
        network: in evaluation mode, on the device.
        task: what it predicts.
        assemble: makes its inputs.
        device: where it computes.
        precision: in what.
        memory_format: of network and inputs.
    """

    network: nn.Module
    task: Task
    assemble: FeatureAssembler
    device: torch.device
    precision: Precision = "fp32"
    memory_format: torch.memory_format = torch.contiguous_format

    @property
    def step(self) -> int:
        """80 m pixels per pixel of the network."""
        return self.assemble.geometry.step


@dataclass(frozen=True)
class SceneView:
    """A scene as a member reads it.

    Attributes:
        member: the network.
        windows: reads windows at the network's resolution.
        scene_id: the scene.
    """

    member: Member
    windows: SceneWindows
    scene_id: str

    @property
    def shape(self) -> tuple[int, int]:
        """Lines and samples at the network's resolution."""
        return self.windows.scenes.scene(self.scene_id).shape

    @property
    def whole(self) -> Window:
        """The scene, padded."""
        lines, samples = self.shape
        return Window(0, 0, pad_size(lines), pad_size(samples))

    def read_inputs(self, window: Window) -> Tensor:
        """The network's input, (1, channels, lines, samples); 0 beyond the scene."""
        member = self.member
        arrays = self.windows.read_window(self.scene_id, window)
        batch = {name: torch.from_numpy(a).to(member.device) for name, a in arrays.items()}
        dtype = torch.bfloat16 if member.precision == "bf16" else torch.float32
        inputs = member.assemble(batch, dtype)
        return inputs.contiguous(memory_format=member.memory_format)

    def compute(self, forward: Callable[[Tensor], Maps], window: Window) -> Maps:
        """A forward pass."""
        inputs = [self.read_inputs(window)]
        use_bf16 = self.member.precision == "bf16"
        with torch.autocast(self.member.device.type, torch.bfloat16, enabled=use_bf16):
            return forward(inputs.pop())


@dataclass(frozen=True)
class ScenePrediction:
    """What a scene is predicted to be.

    Attributes:
        classes: (outputs, lines, samples) uint8 at 80 m, in the task's order: SIC, SOD, FLOE.
        probabilities: per chart (classes, lines, samples) uint8, 255 for certainty; of a SIC
            regression (1, lines, samples), 250 for 10. None unless asked for.
    """

    classes: NDArray[np.uint8]
    probabilities: tuple[NDArray[np.uint8], ...] | None


def predict_scene(
    views: Sequence[SceneView],
    shape: tuple[int, int],
    tiling: Tiling | None = None,
    *,
    probabilities: bool = False,
    fallback: Tiling = Tiling(768, 128),  # noqa: B008 - frozen
    note: Callable[[str], None] = lambda text: None,
) -> ScenePrediction:
    """Predict a scene with one network, or with the mean of several.

    Args:
        views: the scene as each of the networks reads it.
        shape: lines and samples at 80 m.
        tiling: how to cut; None is one forward pass over the whole scene.
        probabilities: also give those.
        fallback: how to cut a scene that does not fit into memory whole.
        note: told when that happens.

    Raises:
        BaselineError: not even a tile fits into memory.
    """
    scene_id = views[0].scene_id
    with torch.inference_mode():
        if tiling is None:
            reason = _find_excess(views)
            if reason is None:
                try:
                    bands = [whole_scene(view) for view in views]
                    return _collect(bands, views, shape, probabilities)
                except (RuntimeError, MemoryError) as error:
                    if not _is_out_of_memory(error):
                        raise
                    reason = "out of memory"
            # After the except clause, whose traceback holds the tensors of the failed pass.
            if views[0].member.device.type == "cuda":
                torch.cuda.empty_cache()
            tiling = fallback
            note(
                f"scene {scene_id}: {reason} with the whole scene at once; predicted in tiles of "
                f"{tiling.size} pixels"
            )
        with explained_memory_errors(f"predicting tiles of {tiling.size} pixels", _REMEDY):
            bands = [tiled_scene(view, tiling) for view in views]
            return _collect(bands, views, shape, probabilities)


def _is_out_of_memory(error: Exception) -> bool:
    # Torch's allocator of the CPU has no exception of its own.
    return isinstance(
        error, torch.OutOfMemoryError | MemoryError
    ) or "can't allocate memory" in str(error)


def _find_excess(views: Sequence[SceneView]) -> str | None:
    """Why a scene should not be tried whole on the CPU, where running out kills the process."""
    available = available_bytes()
    if available is None:
        return None
    for view in views:
        member = view.member
        if member.device.type != "cpu":
            continue
        shape = (1, member.assemble.features.n_channels, view.whole.lines, view.whole.samples)
        coarse = isinstance(member.network, CoarseNetwork)
        method = "forward_coarse" if coarse else "forward"
        try:
            needed = _MEMORY_MARGIN * estimate_peak_bytes(member.network, shape, method)
        except BaselineError:  # a network that cannot be followed is tried
            continue
        if needed > available:
            return f"about {needed / 2**30:.1f} of {available / 2**30:.1f} GiB memory"
    return None


def whole_scene(view: SceneView) -> Bands:
    """One forward pass, done at once; its bands are upsampled as they are asked for."""
    network = view.member.network
    forward = network.forward_coarse if isinstance(network, CoarseNetwork) else network
    outputs = view.compute(forward, view.whole)
    return _whole_bands(outputs, view)


def _whole_bands(outputs: Maps, view: SceneView) -> Bands:
    lines, samples = view.shape
    size = (view.whole.lines, view.whole.samples)
    for first in range(0, lines, _BAND_LINES):
        rows = take_rows(outputs, size, first, min(first + _BAND_LINES, lines))
        yield _to_means(view.member.task, rows, samples)


def tiled_scene(view: SceneView, tiling: Tiling) -> Bands:
    """Overlapping tiles, blended; a row of tiles exists at a time."""
    lines, samples = view.shape
    line_weights, sample_weights = (
        [
            torch.from_numpy(weights).to(view.member.device)
            for weights in blending_weights(n, tiling)
        ]
        for n in (lines, samples)
    )
    rows = tuple(find_tiles(lines, samples, tiling))
    sums: list[Tensor] = []
    ends = [*(row[0].line for row in rows[1:]), view.whole.lines]
    for row, end, of_lines in zip(rows, ends, line_weights, strict=True):
        for tile, of_samples in zip(row, sample_weights, strict=True):
            outputs = view.compute(view.member.network, tile)
            if not sums:
                sums = [
                    logits.new_zeros((*logits.shape[:2], tile.lines, view.whole.samples)).float()
                    for logits in outputs
                ]
            weight = of_lines[:, None] * of_samples
            means = _to_means(view.member.task, outputs, tile.samples)
            across = slice(tile.sample, tile.sample + tile.samples)
            for total, maps in zip(sums, means, strict=True):
                total[..., across].addcmul_(maps, weight)
        done = end - row[0].line
        kept = min(done, lines - row[0].line)
        yield tuple(total[..., :kept, :samples].clone() for total in sums)
        for total in sums:
            following = total[..., done:, :].clone()
            total.zero_()
            total[..., : following.shape[-2], :] = following


def _to_means(task: Task, maps: Maps, samples: int) -> Maps:
    """The task's means of the first samples."""
    return task.to_means(tuple(logits[..., :samples] for logits in maps))


class RowReader:
    """Gives lines at 80 m, in rising order, from bands at a network's resolution.

    Pixel r lies in pixel r // step of the network; where that is beyond its last one, it takes the
    last.

    Args:
        bands: from the first line to the last.
        step: 80 m pixels per pixel of the bands.
        shape: lines and samples of all bands together.
        n_samples: samples at 80 m.
    """

    def __init__(self, bands: Bands, step: int, shape: tuple[int, int], n_samples: int) -> None:
        self._bands = bands
        self._step = step
        self._shape = shape
        self._n_samples = n_samples
        self._held: Maps | None = None
        self._first = 0

    def read(self, first: int, stop: int) -> Maps:
        """Lines ``first`` to ``stop`` at 80 m, (1, classes, stop - first, samples) each."""
        last_line, last_sample = (size - 1 for size in self._shape)
        lines = torch.arange(first, stop).floor_divide(self._step).clamp(max=last_line)
        self._hold(int(lines[0]), int(lines[-1]) + 1)
        assert self._held is not None
        lines -= self._first
        samples = torch.arange(self._n_samples).floor_divide(self._step).clamp(max=last_sample)
        device = self._held[0].device
        if self._step == 1 and self._n_samples == last_sample + 1:
            return tuple(maps[..., int(lines[0]) : int(lines[-1]) + 1, :] for maps in self._held)
        lines, samples = lines.to(device), samples.to(device)
        return tuple(maps[..., lines, :][..., samples] for maps in self._held)

    def _hold(self, first: int, stop: int) -> None:
        """Let go of what lies before ``first``, and take bands until ``stop`` is there."""
        held = [] if self._held is None else [self._held]
        self._held = None
        end = self._first + sum(part[0].shape[-2] for part in held)
        if held and first > self._first:
            skipped = first - self._first
            held = [tuple(maps[..., skipped:, :] for maps in held[0])]
            self._first = first
        while end < stop:
            band = next(self._bands)
            held.append(band)
            end += band[0].shape[-2]
        self._held = tuple(torch.cat(parts, dim=-2) for parts in zip(*held, strict=True))


def _collect(
    bands: Sequence[Bands],
    views: Sequence[SceneView],
    shape: tuple[int, int],
    probabilities: bool,
) -> ScenePrediction:
    """Average the members' bands, and turn them into classes as they come."""
    steps = {view.member.step for view in views}
    # Members of one resolution are averaged at that, a hundredth of the pixels at 800 m.
    step = steps.pop() if len(steps) == 1 else 1
    lines, samples = shape if step == 1 else views[0].shape
    readers = [
        RowReader(of_member, view.member.step // step, view.shape, samples)
        for of_member, view in zip(bands, views, strict=True)
    ]
    task = views[0].member.task
    classes = np.empty((len(task.outputs), lines, samples), np.uint8)
    stored: list[NDArray[np.uint8]] = []
    for first in range(0, lines, _BAND_LINES):
        stop = min(first + _BAND_LINES, lines)
        mean = _average([reader.read(first, stop) for reader in readers])
        classes[:, first:stop] = task.to_classes(mean)[0].cpu().numpy()
        if not probabilities:
            continue
        stored = stored or [np.empty((maps.shape[1], lines, samples), np.uint8) for maps in mean]
        for output, quantised in zip(stored, task.quantise(mean), strict=True):
            output[:, first:stop] = quantised
    return ScenePrediction(
        _repeat(classes, step, shape),
        tuple(_repeat(maps, step, shape) for maps in stored) if probabilities else None,
    )


def _repeat(values: NDArray[np.uint8], step: int, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """(..., lines, samples) at 80 m from every pixel ``r // step``."""
    if step == 1:
        return values
    lines, samples = (
        np.minimum(np.arange(size) // step, n - 1)
        for size, n in zip(shape, values.shape[-2:], strict=True)
    )
    return np.asarray(values.take(lines, axis=-2).take(samples, axis=-1))


def _average(members: Sequence[Maps]) -> Maps:
    if len(members) == 1:
        return members[0]
    return tuple(
        torch.stack([maps.cpu() for maps in output]).mean(dim=0)
        for output in zip(*members, strict=True)
    )
