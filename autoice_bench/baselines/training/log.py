"""A training run in words, for its log."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from autoice_bench.baselines.runs.folder import RunFolder
from autoice_bench.baselines.training.job import Job
from autoice_bench.baselines.training.state import TrainingState
from autoice_bench.wording import format_count, format_duration, format_listing

_LOSS_OF: Final = "val_loss_"
"""Begins the columns of metrics that hold the loss of one output."""

Log = Callable[[str], None]
"""Takes a line."""


def describe_skipped(skipped: tuple[str, ...], n_scenes: int) -> str:
    """Training scenes from which no patch can be drawn."""
    return (
        f"{len(skipped)} of {n_scenes} training scenes have no eligible patch and are skipped: "
        f"{format_listing(skipped)}"
    )


def describe_start(job: Job, state: TrainingState, n_patches: int) -> str:
    """What a run begins, or goes on, with."""
    n_parameters = sum(parameter.numel() for parameter in job.network.parameters())
    where = f"{job.fabric.world_size} x {job.fabric.device.type}"
    begun = state.epoch or state.step
    begin = f"go on after epoch {state.epoch}, step {state.step}" if begun else "begin"
    return (
        f"{begin}: {n_parameters:,} parameters, {n_patches:,} patches per epoch, "
        f"{format_count(len(job.loader), 'step')}, {where}, start weights "
        f"{job.provenance['start_weights']}"
    )


def describe_epoch(row: Mapping[str, Any], n_epochs: int) -> str:
    """Losses, scores, speed and time of an epoch."""
    names = [key.removeprefix(_LOSS_OF) for key in row if key.startswith(_LOSS_OF)]
    scores = ", ".join(f"{name} {row[f'val_{name}']:.2f}" for name in names)
    return (
        f"epoch {row['epoch']} of {n_epochs}: loss {row['train_loss']:.4f}, validation "
        f"{row['val_loss']:.4f}, {scores}, combined {row['val_combined']:.2f}; "
        f"{row['patches_per_second']:.1f} patches/s, "
        f"{format_duration(row['train_seconds'] + row['val_seconds'])}"
    )


def describe_early_stop(patience: int) -> str:
    """Why a run ended before its last epoch."""
    return f"stopped early: {format_count(patience, 'epoch')} without a lower validation loss"


def describe_interruption(state: TrainingState, n_steps: int, signal_name: str | None) -> str:
    """Where a run was interrupted, and how to go on."""
    reason = signal_name or "a signal to another process"
    return (
        f"{reason}: stopped and saved after epoch {state.epoch}, step {state.step} of {n_steps}; "
        "the same command goes on from there"
    )


class RunLog:
    """Gives lines to the run's log and, where wanted, to the console."""

    def __init__(self, run: RunFolder, say: Log | None) -> None:
        self._run, self._say = run, say

    def __call__(self, line: str) -> None:
        self._run.log(line)
        if self._say is not None:
            self._say(line)


def be_silent(line: str) -> None:
    """The log of every process but the first."""
