"""Validation over whole scenes: the pooled loss and the challenge's scores.

One forward per scene, as ``predict`` does without tiles: the same padding, and the same way from
coarse logits to pixels, so that the network chosen here is the one that scores best there. Pixels
of all scenes are pooled: the loss of a chart is its mean over every labelled pixel, and the scores
come from summed joint histograms, so that neither depends on the order of the scenes or on how they
are shared out to processes. Where a recipe downscales, the labels are those of its own pixels;
``score`` uses those of 80 m.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

import torch
from torch import Tensor, nn

from autoice_bench.baselines.machine.devices import explained_memory_errors
from autoice_bench.baselines.networks.contract import CoarseNetwork
from autoice_bench.baselines.networks.strips import take_rows
from autoice_bench.baselines.tasks.contract import Maps, Task, Validation
from autoice_bench.baselines.training.scenes import ValidationScenes
from autoice_bench.errors import BaselineError

_STRIP_PIXELS: Final = 1 << 22
"""Pixels whose loss is computed at once; bounds what a whole scene takes beside its logits."""


def validate(
    network: nn.Module,
    scenes: ValidationScenes,
    assemble: Callable[[Mapping[str, Tensor]], Tensor],
    task: Task,
    device: torch.device,
    *,
    memory_format: torch.memory_format = torch.contiguous_format,
    autocast: Callable[[], AbstractContextManager[Any]] = nullcontext,
    add_up: Callable[[Tensor], Tensor] = lambda sums: sums,
    should_stop: Callable[[], bool] = lambda: False,
) -> Validation | None:
    """Validate a network; it is left in evaluation mode.

    Args:
        network: inputs (1, C, lines, samples) to the task's maps, on ``device``.
        scenes: whole scenes with labels.
        assemble: a batch on the device to the network's input.
        task: what the network predicts.
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
    counts = task.make_counts(device)
    network.eval()
    forward = network.forward_coarse if isinstance(network, CoarseNetwork) else network
    with torch.inference_mode(), _explained_memory():
        for scene in scenes:
            if task.labels not in scene:
                raise BaselineError(
                    f"scene {scene['scene_id'][0]}: has no labels; validation needs them: leave "
                    "it out of the split's validation scenes"
                )
            batch = {name: _move(value, device) for name, value in scene.items()}
            inputs = assemble(batch).contiguous(memory_format=memory_format)
            with autocast():
                outputs = forward(inputs)
            del inputs
            for part, labels in _strips(outputs, batch[task.labels]):
                counts.add(part, labels)
            if should_stop():
                return None
    return counts.summarise(tuple(map(add_up, counts.tensors())))


def _move(value: Any, device: torch.device) -> Any:
    return value.to(device) if isinstance(value, Tensor) else value


def _explained_memory() -> AbstractContextManager[None]:
    return explained_memory_errors(
        "validating on whole scenes",
        "use a GPU with more memory or set downscale; prediction can also run in tiles (--tile)",
    )


def _strips(maps: Maps, labels: Tensor) -> Iterator[tuple[Maps, Tensor]]:
    lines, samples = labels.shape[-2:]
    step = max(1, _STRIP_PIXELS // samples)
    for first in range(0, lines, step):
        stop = min(first + step, lines)
        yield take_rows(maps, (lines, samples), first, stop), labels[:, :, first:stop]
