"""Where a run goes on from, and what it keeps to go on: the checkpoint ``last``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import torch
from lightning_fabric import Fabric
from torch import Tensor

from autoice_bench.baselines.recipes.recipe import Recipe
from autoice_bench.baselines.runs.checkpoints import (
    TRAINING,
    Checkpoint,
    CheckpointName,
    checkpoint_path,
    network_tensors,
    optimiser_tensors,
    read_checkpoint,
    write_checkpoint,
)
from autoice_bench.baselines.runs.folder import RunFolder
from autoice_bench.baselines.tasks.contract import Task
from autoice_bench.baselines.training.job import Job
from autoice_bench.baselines.training.processes import add_up
from autoice_bench.baselines.training.schedules import Plateau
from autoice_bench.baselines.training.state import TrainingState
from autoice_bench.errors import BaselineError
from autoice_bench.formats.decoding import decoding
from autoice_bench.formats.document_schema import (
    COUNT,
    Entries,
    Fields,
    Flag,
    Items,
    Nullable,
    Number,
    Text,
    require_document,
)
from autoice_bench.formats.whole_files import remove_leftovers

_SUMS: Final = f"{TRAINING}sums"

_OBJECT: Final = Fields({})
_BEST: Final = Fields({"epoch": Nullable(COUNT), "value": Nullable(Number())})
_LAST: Final = Fields(
    {
        "identity": _OBJECT,
        "start_weights": Text(),
        "optimiser": Fields({"values": Entries(_OBJECT), "groups": Items(_OBJECT)}),
        "state": Fields(
            {
                "plateau": Entries(Nullable(Number())),
                "epoch": COUNT,
                "step": COUNT,
                "seconds": Number(),
                "data_seconds": Number(),
                "best_loss": _BEST,
                "best_combined": _BEST,
                "is_over": Flag(),
                "row": Entries(Nullable(Number())),
                "skipped": Items(Text()),
            }
        ),
    }
)
"""What the checkpoint says beside its tensors."""


def read_last(run: RunFolder, identity: Mapping[str, Any], fabric: Fabric) -> Checkpoint | None:
    """The checkpoint to go on from; None at the start of a run."""
    if fabric.is_global_zero:
        remove_leftovers(run.checkpoints)
    fabric.barrier()
    path = checkpoint_path(run.checkpoints, "last")
    if not path.is_file():
        return None
    last = read_checkpoint(run.require_recorded(path))
    require_document(last.metadata, _LAST, BaselineError, f"checkpoint {path}")
    if _SUMS not in last.tensors:
        raise BaselineError(f"checkpoint {path} is damaged: has no {_SUMS}")
    recorded = last.metadata["identity"]
    for name in sorted(identity):
        if recorded.get(name) != identity[name]:
            raise BaselineError(
                f"checkpoint {path}: is of a run with another {name}; go on with the settings "
                "that it was begun with, or choose another run folder"
            )
    return last


def start_state(recipe: Recipe, last: Checkpoint | None) -> TrainingState:
    """Where the run stands."""
    if last is not None:
        with decoding(BaselineError, "checkpoint last: its state"):
            return TrainingState.from_dict(last.metadata["state"])
    optimiser = recipe.optimiser
    return TrainingState(
        Plateau(
            optimiser.lr,
            optimiser.plateau_factor,
            optimiser.plateau_patience,
            optimiser.min_lr,
        )
    )


def read_sums(last: Checkpoint | None, task: Task, fabric: Fabric) -> Tensor:
    """The losses of the epoch begun, added up."""
    if last is not None:
        return last.tensors[_SUMS].to(fabric.device)
    return torch.zeros(1 + len(task.outputs), dtype=torch.float64, device=fabric.device)


def save(
    job: Job, name: CheckpointName, state: TrainingState, sums: Tensor, run: RunFolder
) -> None:
    """Write a checkpoint: ``last`` with everything to go on, the others the network alone."""
    mean_sums = add_up(sums, job.fabric) / job.fabric.world_size
    if not job.fabric.is_global_zero:
        return
    tensors = network_tensors(job.network)
    metadata = {
        "checkpoint": name,
        "epoch": state.epoch,
        "metrics": state.row,
        **job.provenance,
    }
    if name == "last":
        optimiser, metadata["optimiser"] = optimiser_tensors(job.optimiser)
        tensors |= {**optimiser, _SUMS: mean_sums.cpu()}
        metadata |= {"state": state.to_dict(), "identity": job.identity}
    write_checkpoint(checkpoint_path(run.checkpoints, name), Checkpoint(tensors, metadata))
