"""Trained runs: from a run's folder to a network ready to predict, and what identifies it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from autoice_bench import __version__
from autoice_bench.baselines.inference.scene import Member
from autoice_bench.baselines.inputs.features import FeatureAssembler, parse_features
from autoice_bench.baselines.machine.devices import choose_precision
from autoice_bench.baselines.recipes.recipe import Recipe
from autoice_bench.baselines.runs.checkpoints import (
    CheckpointName,
    checkpoint_path,
    read_checkpoint,
    restore_network,
)
from autoice_bench.baselines.runs.folder import RunFolder
from autoice_bench.baselines.tasks.contract import Task
from autoice_bench.datasets.patches.geometry import Geometry
from autoice_bench.errors import BaselineError
from autoice_bench.formats.variables import GridAnchor


@dataclass(frozen=True)
class TrainedRun:
    """A run with the network of one of its checkpoints.

    Attributes:
        name: of the run.
        recipe: what was trained.
        checkpoint: which of its networks.
        member: the network, ready to predict.
        record: the content of ``run.json``.
        environment: the content of ``environment.json``, if it is there.
    """

    name: str
    recipe: Recipe
    checkpoint: CheckpointName
    member: Member
    record: Mapping[str, Any]
    environment: Mapping[str, Any]


def open_trained_runs(
    paths: Sequence[Path],
    *,
    grid_anchor: GridAnchor,
    checkpoint: CheckpointName | None = None,
    device: torch.device,
    precision: str | None = None,
) -> tuple[TrainedRun, ...]:
    """Open runs that predict together.

    Args:
        paths: folders of the runs.
        grid_anchor: which pixel of its cell a 2 km value belongs to, in the scenes to predict.
        checkpoint: which network; None is the one that each run says to test.
        device: where to compute.
        precision: ``auto``, ``bf16`` or ``fp32``; None is each recipe's.

    Raises:
        BaselineError: a run is given twice, is missing, has no such checkpoint, or predicts
            something else than the others.
    """
    if not paths:
        raise BaselineError("no run to predict with; `autoice-bench baseline list` shows the runs")
    given = [path.resolve() for path in paths]
    twice = [path for path, full in zip(paths, given, strict=True) if given.count(full) > 1]
    if twice:
        raise BaselineError(f"run {twice[0]}: is given twice; expected each run once")
    folders = [RunFolder.open(path) for path in paths]
    _require_agreement(folders)
    return tuple(_open(run, grid_anchor, checkpoint, device, precision) for run in folders)


def _require_agreement(runs: Sequence[RunFolder]) -> None:
    first = runs[0]
    for run in runs[1:]:
        if run.recipe.task.outputs != first.recipe.task.outputs:
            raise BaselineError(
                f"runs {first.path} and {run.path}: one predicts "
                f"{_describe_task(first.recipe.task)}, the other "
                f"{_describe_task(run.recipe.task)}; their mean means nothing: predict with "
                "them apart"
            )


def _describe_task(task: Task) -> str:
    """The outputs with how they are predicted, where that is not by classes."""
    by_regression = [output.name for output in task.outputs if output.is_regression]
    return f"{', '.join(by_regression) or 'nothing'} by regression"


def _open(
    run: RunFolder,
    grid_anchor: GridAnchor,
    checkpoint: CheckpointName | None,
    device: torch.device,
    precision: str | None,
) -> TrainedRun:
    recipe, record = run.recipe, run.read()
    name: CheckpointName = checkpoint or record.get("tested") or recipe.test_checkpoint
    features = parse_features(recipe.features)
    network = recipe.build_network(features.n_channels)
    path = run.require_recorded(checkpoint_path(run.checkpoints, name))
    restore_network(network, read_checkpoint(path))
    memory_format = torch.channels_last if recipe.channels_last else torch.contiguous_format
    network = network.eval().to(device=device, memory_format=memory_format)  # type: ignore[call-overload]
    geometry = Geometry(
        step=recipe.downscale, centred=recipe.downscale_method == "area", anchor=grid_anchor
    )
    member = Member(
        network=network,
        task=recipe.task,
        assemble=FeatureAssembler(features, geometry, recipe.upsampling, recipe.tie_interpolation),
        device=device,
        precision=choose_precision(precision or recipe.precision, device),
        memory_format=memory_format,
    )
    try:
        environment = run.read_environment()
    except BaselineError:  # not needed to predict
        environment = {}
    return TrainedRun(run.name, recipe, name, member, record, environment)


def describe_origin(runs: Sequence[TrainedRun]) -> dict[str, str]:
    """What predictions say of the runs that made them: attributes, comma-separated for several."""
    return {
        "title": f"autoice-bench {_join(run.name for run in runs)}",
        "source": f"autoice-bench {__version__}",
        "run": _join(run.name for run in runs),
        "recipe": _join(run.recipe.name for run in runs),
        "recipe_fingerprint": _join(run.recipe.fingerprint() for run in runs),
        "seed": _join(run.record["seed"] for run in runs),
        "checkpoint": _join(run.checkpoint for run in runs),
        "trained_on_store": _join(run.record["store_fingerprint"] for run in runs),
        "trained_on_split": _join(run.record.get("split") for run in runs),
    }


def _join(values: Iterable[Any]) -> str:
    return ", ".join("unknown" if value is None else str(value) for value in values)
