"""A training run in words, for its log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autoice_bench.baselines.training.job import Job
from autoice_bench.baselines.training.state import TrainingState
from autoice_bench.charts import CHART_NAMES
from autoice_bench.wording import format_count, format_duration, format_listing


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
    scores = ", ".join(f"{name} {row[f'val_{name}']:.2f}" for name in CHART_NAMES)
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
