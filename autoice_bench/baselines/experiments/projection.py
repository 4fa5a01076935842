"""How long a run will take, from timing a few steps of its network on values without meaning."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import torch
from torch import nn

from autoice_bench.baselines.experiments.plan import PlannedRun
from autoice_bench.baselines.machine.devices import choose_device, choose_precision
from autoice_bench.baselines.recipes.recipe import Recipe
from autoice_bench.datasets.store.index import read_index
from autoice_bench.errors import BaselineError

_CPU_PIXELS: Final = 256 * 256
"""Pixels of a batch that is timed on a CPU; the cost of convolutions grows with the pixels."""
_STEPS: Final = 3
_LONG_S: Final = 3.0
_FORWARD_SHARE: Final = 1 / 3
"""Of a training step: the backward pass costs twice the forward one."""


@dataclass(frozen=True)
class Projection:
    """The time that runs of one recipe take, reading and writing left out.

    Attributes:
        device: what was timed.
        patches_per_second: in training.
        epoch_seconds: training and validation.
        epochs: epochs left to do, of all runs.
    """

    device: str
    patches_per_second: float
    epoch_seconds: float
    epochs: int

    @property
    def seconds(self) -> float:
        """All epochs, were none to stop early."""
        return self.epoch_seconds * self.epochs

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "seconds": self.seconds}


def project_runs(
    planned: Sequence[PlannedRun], device: str = "auto", n_devices: int = 1
) -> Projection:
    """Time a few training steps of a recipe's network.

    Args:
        planned: runs that differ in the seed.
        device: ``auto``, ``cpu`` or ``cuda``.
        n_devices: how many share the work.

    Raises:
        BaselineError: the device cannot be used, or has too little memory for a step.
    """
    first = planned[0]
    recipe = first.recipe
    chosen = choose_device(device)
    per_pixel = _time_step(recipe, first.features.n_channels, chosen) / n_devices
    trained = first.steps_per_epoch * recipe.batch_size * recipe.patch_size**2
    return Projection(
        device=torch.cuda.get_device_name() if chosen.type == "cuda" else "CPU",
        patches_per_second=1 / (per_pixel * recipe.patch_size**2),
        epoch_seconds=per_pixel * (trained + _FORWARD_SHARE * _count_validation_pixels(first)),
        epochs=sum(max(0, recipe.epochs - each.epochs_done) for each in planned),
    )


def _count_validation_pixels(planned: PlannedRun) -> int:
    index = read_index(planned.store).set_index("scene_id")
    scenes = index.loc[index.index.isin(planned.split.val)]
    pixels = int((scenes["sar_lines"] * scenes["sar_samples"]).sum())
    return pixels // planned.recipe.downscale**2


def _time_step(recipe: Recipe, n_channels: int, device: torch.device) -> float:
    """Seconds per pixel of a training step, without the optimiser's share."""
    size = recipe.patch_size
    n_patches = recipe.batch_size
    if device.type == "cpu":
        size = min(size, int(_CPU_PIXELS**0.5))
        n_patches = max(1, min(n_patches, _CPU_PIXELS // size**2))
    step = _make_step(recipe, n_channels, device, (n_patches, size))
    try:
        seconds = _time_one(step, device)
        # A first step also pays for its memory and for the choice of kernels.
        if seconds < _LONG_S:
            step()
            seconds = min(_time_one(step, device) for _ in range(_STEPS))
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise BaselineError(
            f"out of memory on a batch of {n_patches} patches of {size} pixels; "
            "set a smaller batch_size or patch_size"
        ) from error
    finally:
        del step
        if device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
    return seconds / (n_patches * size**2)


def _make_step(
    recipe: Recipe, n_channels: int, device: torch.device, batch: tuple[int, int]
) -> Callable[[], None]:
    n_patches, size = batch
    memory_format = torch.channels_last if recipe.channels_last else torch.contiguous_format
    network = recipe.build_network(n_channels).to(device)
    network.to(memory_format=memory_format)
    inputs = torch.randn(n_patches, n_channels, size, size, device=device)
    inputs = inputs.contiguous(memory_format=memory_format)
    n_labels = len(recipe.task.outputs)
    labels = torch.zeros(n_patches, n_labels, size, size, dtype=torch.uint8, device=device)
    loss = recipe.task.make_loss()
    use_bf16 = choose_precision(recipe.precision, device) == "bf16"

    def step() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=use_bf16):
            total, _ = loss(network(inputs), labels)
        total.backward()
        _forget_gradients(network)

    return step


def _forget_gradients(network: nn.Module) -> None:
    for parameter in network.parameters():
        parameter.grad = None


def _time_one(step: Callable[[], None], device: torch.device) -> float:
    started = time.perf_counter()
    step()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started
