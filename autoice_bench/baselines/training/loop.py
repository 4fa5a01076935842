"""Training: one loop for every network, on Lightning Fabric.

What differs between the baselines is the recipe and the network it names. A run goes on from its
last checkpoint where it has one, and reaches the same weights as a run that was never interrupted
(bit for bit on the CPU): patches, augmentation and dropout follow from (seed, epoch, step).

With several processes each takes its share of a batch and of the validation scenes. Losses are
means over the labelled pixels of a process's share, and gradients are averaged over processes.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from lightning_fabric import Fabric
from torch import Tensor

from autoice_bench.baselines.machine.devices import (
    determinism,
    explained_memory_errors,
    open_fabric,
    peak_memory_bytes,
    reset_peak_memory,
    searched_kernels,
)
from autoice_bench.baselines.machine.interruption import StopRequest
from autoice_bench.baselines.networks.cost import count_multiply_adds
from autoice_bench.baselines.recipes.recipe import Recipe
from autoice_bench.baselines.runs.checkpoints import (
    EXPORTED_NETWORK,
    CheckpointName,
    checkpoint_path,
    export_safetensors,
)
from autoice_bench.baselines.runs.folder import RunFolder
from autoice_bench.baselines.tasks.contract import Validation
from autoice_bench.baselines.training.job import (
    Job,
    identify_run,
    open_loader,
    open_training_patches,
    prepare_job,
)
from autoice_bench.baselines.training.log import (
    Log,
    RunLog,
    be_silent,
    describe_early_stop,
    describe_epoch,
    describe_interruption,
    describe_skipped,
    describe_start,
)
from autoice_bench.baselines.training.loss_watch import LossWatch
from autoice_bench.baselines.training.processes import add_up, agree_to_stop
from autoice_bench.baselines.training.resuming import read_last, read_sums, save, start_state
from autoice_bench.baselines.training.schedules import cosine_restarts
from autoice_bench.baselines.training.seeding import seed_torch
from autoice_bench.baselines.training.state import TrainingState
from autoice_bench.baselines.training.throughput import TRAINING_FLOP_PER_MAC, WaitingTime
from autoice_bench.baselines.training.validation import validate
from autoice_bench.callbacks import Progress
from autoice_bench.datasets.store.root import Store
from autoice_bench.errors import SplitError

TrainingOutcome = Literal["finished", "stopped-early", "interrupted"]


@dataclass(frozen=True)
class TrainResult:
    """What became of a run.

    Attributes:
        outcome: ``finished`` all epochs, ``stopped-early``, or ``interrupted`` by a signal.
        epochs: epochs done.
        best_loss_epoch: epoch of the lowest validation loss, from 1; None without any.
        best_combined_epoch: epoch of the highest combined score on the validation scenes; None
            where it is undefined, as with a single class in all of a chart.
        tested: the checkpoint to test: the recipe's choice, or the next best that there is.
        skipped: training scenes without an eligible patch.
    """

    outcome: TrainingOutcome
    epochs: int
    best_loss_epoch: int | None
    best_combined_epoch: int | None
    tested: CheckpointName
    skipped: tuple[str, ...]


def train(
    recipe: Recipe,
    store: Store,
    train_ids: Sequence[str],
    val_ids: Sequence[str],
    run: RunFolder,
    *,
    seed: int,
    device: str = "auto",
    devices: int = 1,
    num_nodes: int = 1,
    fabric: Fabric | None = None,
    progress: Progress | None = None,
    say: Log | None = None,
) -> TrainResult:
    """Train a recipe's network, or go on with a run that was interrupted.

    Args:
        recipe: what to train and how.
        store: a complete store.
        train_ids: training scenes.
        val_ids: validation scenes.
        run: where checkpoints, metrics and log go.
        seed: decides every random choice.
        device: ``auto``, ``cpu`` or ``cuda``.
        devices: devices per node.
        num_nodes: nodes.
        fabric: a launched Fabric, in place of the three above.
        progress: called after every step.
        say: given every line of the log, for the console.

    Returns:
        What became of the run. After SIGTERM or SIGINT everything is saved; calling again with the
        same arguments goes on.

    Raises:
        BaselineError: the loss is not finite, memory is short, or the run's checkpoint is of
            another recipe, seed or choice of scenes.
        PatchError: no training scene has an eligible patch.
        SplitError: there are no training or no validation scenes.
    """
    _require_scenes(train_ids, val_ids)
    with ExitStack() as stack:
        stop = stack.enter_context(StopRequest())
        stack.enter_context(determinism(recipe.deterministic))
        fabric = fabric or open_fabric(
            device, precision=recipe.precision, devices=devices, num_nodes=num_nodes
        )
        log = RunLog(run, say) if fabric.is_global_zero else be_silent
        identity = identify_run(recipe, store, train_ids, val_ids, seed)
        last = read_last(run, identity, fabric)
        state = start_state(recipe, last)
        if fabric.is_global_zero and state.row:
            # May be missing after a kill between checkpoint and metrics, the last ones included.
            run.append_metrics(state.row)
        if not state.is_over:
            patches = open_training_patches(recipe, store, train_ids, seed)
            state.skipped = list(patches.skipped)
            loader = stack.enter_context(open_loader(recipe, patches, fabric))
            reset_peak_memory(fabric.device)
            job = prepare_job(recipe, store, val_ids, fabric, patches, loader, identity, last)
            sums, last = read_sums(last, recipe.task, fabric), None
            if fabric.is_global_zero:
                _record_start(run, job)
            if patches.skipped:
                log(describe_skipped(patches.skipped, len(train_ids)))
            log(describe_start(job, state, len(patches)))
            with _explained_memory(recipe):
                _run_epochs(job, state, sums, run, stop, log, progress)
        result = _conclude(recipe, state)
        if result.outcome == "stopped-early":
            log(describe_early_stop(recipe.early_stopping))
        if fabric.is_global_zero:
            _record_end(run, state, result)
    return result


def _require_scenes(train_ids: Sequence[str], val_ids: Sequence[str]) -> None:
    for subset, scene_ids in (("training", train_ids), ("validation", val_ids)):
        if not scene_ids:
            raise SplitError(f"the split has no {subset} scenes; choose one that has, or create it")


def _record_start(run: RunFolder, job: Job) -> None:
    run.forget_files()
    run.update(state="running", start_weights=job.provenance["start_weights"])


def _record_end(run: RunFolder, state: TrainingState, result: TrainResult) -> None:
    if state.is_over:
        tested = checkpoint_path(run.checkpoints, result.tested)
        export_safetensors(tested, run.path / EXPORTED_NETWORK)
    run.record_files()
    run.update(**_summarise(state, result))


def _run_epochs(
    job: Job,
    state: TrainingState,
    sums: Tensor,
    run: RunFolder,
    stop: StopRequest,
    log: Log,
    progress: Progress | None,
) -> None:
    """The loop: steps, validation, checkpoints; until the last epoch, early stopping or a signal.

    Args:
        job: what to work with.
        state: where the run stands; kept up to date.
        sums: losses of the steps of the epoch begun, added up: the total, then each output's.
        run: takes checkpoints and metrics.
        stop: whether a signal has come.
        log: takes lines.
        progress: called after every step.
    """
    recipe, fabric = job.recipe, job.fabric
    n_steps = len(job.loader)
    patch = (recipe.patch_size, recipe.patch_size)
    macs = count_multiply_adds(job.network, len(job.channels), patch)
    must_stop = partial(agree_to_stop, stop, fabric)
    watch = LossWatch()

    while not state.is_over:
        started, waiting = time.perf_counter(), WaitingTime()
        job.model.train()
        stopped = must_stop(0)
        batches = job.loader.epoch(state.epoch, start_step=state.step)
        with closing(batches), searched_kernels(not recipe.deterministic):  # type: ignore[type-var]
            for batch in waiting.measure(() if stopped else batches):
                sums += _take_step(job, state, batch, watch)
                state.step += 1
                if progress is not None:
                    progress(state.epoch * n_steps + state.step, recipe.epochs * n_steps)
                stopped = must_stop(state.step)
                if stopped:
                    break
        # Before validation, which would take minutes over a network that is spoilt already.
        watch.settle(job.network)
        state.seconds += time.perf_counter() - started
        state.data_seconds += waiting.seconds

        started = time.perf_counter()
        validation = None if stopped else _validate(job, stop)
        if validation is None:
            save(job, "last", state, sums, run)
            log(describe_interruption(state, n_steps, stop.signal_name))
            return

        losses = add_up(sums, fabric) / (n_steps * fabric.world_size)
        sums.zero_()
        row = _make_row(job, state, losses, validation, macs, time.perf_counter() - started)
        _end_epoch(recipe, state, validation, row)
        _save_epoch(job, state, sums, run)
        log(describe_epoch(row, recipe.epochs))


def _take_step(
    job: Job, state: TrainingState, batch: Mapping[str, Any], watch: LossWatch
) -> Tensor:
    """One step of the optimiser.

    Returns:
        (1 + outputs,) float32 losses on the device: the weighted sum, then each output's.
    """
    # Every random choice follows from where the step is, so that a resumed run repeats it.
    position = (state.epoch, state.step, job.fabric.global_rank)
    seed_torch(job.seed, "step", *position)
    for group in job.optimiser.param_groups:
        group["lr"] = _learning_rate(job.recipe, state, state.step, len(job.loader))
    inputs, labels = job.augment(
        job.assemble(batch), batch[job.recipe.task.labels], job.channels, (job.seed, *position)
    )
    outputs = job.model(inputs.contiguous(memory_format=job.memory_format))
    loss, parts = job.loss(outputs, labels)
    watch.add(loss, state.epoch, state.step, batch["scene_id"])
    job.fabric.backward(loss)
    job.optimiser.step()
    job.optimiser.zero_grad(set_to_none=True)
    return torch.stack([loss.detach(), *parts.values()])


def _learning_rate(recipe: Recipe, state: TrainingState, step: int, n_steps: int) -> float:
    """Learning rate of a step of the epoch begun."""
    optimiser = recipe.optimiser
    if optimiser.schedule == "cosine-restarts":
        period = optimiser.restart_epochs * n_steps
        at = state.epoch * n_steps + step
        return cosine_restarts(at, optimiser.lr, period, optimiser.min_lr)
    return state.plateau.lr


def _validate(job: Job, stop: StopRequest) -> Validation | None:
    fabric = job.fabric
    together = fabric.world_size > 1
    if together:
        # Each process has its own running means of batch normalisation; those of the first count.
        for buffer in job.network.buffers():
            torch.distributed.broadcast(buffer, src=0)
    return validate(
        job.network,
        job.scenes,
        job.assemble,
        job.recipe.task,
        fabric.device,
        memory_format=job.memory_format,
        autocast=fabric.autocast,
        add_up=partial(add_up, fabric=fabric),
        should_stop=lambda: bool(stop) and not together,
    )


def _make_row(
    job: Job,
    state: TrainingState,
    losses: Tensor,
    validation: Validation,
    macs: int | None,
    val_seconds: float,
) -> dict[str, Any]:
    """The metrics of the epoch that is over but for taking note of it."""
    total, *parts = losses.tolist()
    n_patches = state.step * job.recipe.batch_size
    return {
        "epoch": state.epoch + 1,
        "steps": state.step,
        "lr": _learning_rate(job.recipe, state, state.step - 1, state.step),
        "train_loss": total,
        **{f"train_loss_{name}": part for name, part in zip(validation.losses, parts, strict=True)},
        "val_loss": validation.loss,
        **{f"val_loss_{name}": value for name, value in validation.losses.items()},
        **{f"val_{name}": value for name, value in validation.scores.items()},
        "val_combined": validation.combined,
        "train_seconds": state.seconds,
        "val_seconds": val_seconds,
        "patches_per_second": n_patches / state.seconds,
        "tflop_per_second": None
        if macs is None
        else n_patches * TRAINING_FLOP_PER_MAC * macs / state.seconds / 1e12,
        "data_wait_share": state.data_seconds / state.seconds,
        "peak_memory_bytes": peak_memory_bytes(job.fabric.device),
    }


def _end_epoch(
    recipe: Recipe, state: TrainingState, validation: Validation, row: Mapping[str, Any]
) -> None:
    state.end_epoch(validation.loss, validation.combined, row)
    if recipe.optimiser.schedule == "plateau":
        state.plateau.step(validation.loss)
    out_of_patience = 0 < recipe.early_stopping <= state.epochs_without_progress
    state.is_over = out_of_patience or state.epoch == recipe.epochs


def _save_epoch(job: Job, state: TrainingState, sums: Tensor, run: RunFolder) -> None:
    """Write the checkpoints that an epoch leaves, and its row of metrics."""
    if state.best_loss.epoch == state.epoch:
        save(job, "best-loss", state, sums, run)
    if state.best_combined.epoch == state.epoch:
        save(job, "best-combined", state, sums, run)
    # Last: the checkpoint that a killed run goes on from must not be ahead of the others.
    save(job, "last", state, sums, run)
    if job.fabric.is_global_zero:
        run.append_metrics(state.row)


def _conclude(recipe: Recipe, state: TrainingState) -> TrainResult:
    outcome: TrainingOutcome = "interrupted"
    if state.is_over:
        outcome = "finished" if state.epoch == recipe.epochs else "stopped-early"
    there: dict[CheckpointName, bool] = {
        "best-combined": state.best_combined.epoch is not None,
        "best-loss": state.best_loss.epoch is not None,
        "last": True,
    }
    return TrainResult(
        outcome=outcome,
        epochs=state.epoch,
        best_loss_epoch=state.best_loss.epoch,
        best_combined_epoch=state.best_combined.epoch,
        tested=next(name for name in (recipe.test_checkpoint, *there) if there[name]),
        skipped=tuple(state.skipped),
    )


def _summarise(state: TrainingState, result: TrainResult) -> dict[str, Any]:
    """What the run's record says of its training."""
    return {
        "state": "interrupted" if result.outcome == "interrupted" else "finished",
        "outcome": result.outcome,
        "epochs": result.epochs,
        "best_loss_epoch": result.best_loss_epoch,
        "best_loss": state.best_loss.value,
        "best_combined_epoch": result.best_combined_epoch,
        "best_combined": state.best_combined.value,
        "tested": result.tested,
        "skipped_scenes": list(result.skipped),
    }


def _explained_memory(recipe: Recipe) -> AbstractContextManager[None]:
    return explained_memory_errors(
        f"training on batches of {recipe.batch_size} patches of {recipe.patch_size} pixels",
        f"set a smaller batch_size (--set batch_size={max(1, recipe.batch_size // 2)}) or "
        "patch_size, or precision=bf16; whole scenes can be predicted in tiles (--tile 768)",
    )
