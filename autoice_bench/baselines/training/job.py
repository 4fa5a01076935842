"""What a training run works with: data, network and optimiser, made from a recipe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import nn
from torch.optim import SGD, Adam, Optimizer

from autoice_bench import __version__
from autoice_bench.baselines.inputs.augmentations import Augmentation
from autoice_bench.baselines.inputs.features import FeatureAssembler, parse_features
from autoice_bench.baselines.recipes.optimiser import OptimiserSettings
from autoice_bench.baselines.recipes.recipe import Recipe
from autoice_bench.baselines.runs.checkpoints import Checkpoint, restore_network, restore_optimiser
from autoice_bench.baselines.tasks.contract import Loss
from autoice_bench.baselines.training.scenes import PaddedScenes, ValidationScenes, share_scenes
from autoice_bench.baselines.training.seeding import seed_torch
from autoice_bench.datasets.batches.torch_datasets import PatchDataset, PatchLoader
from autoice_bench.datasets.patches.opening import open_windows
from autoice_bench.datasets.store.root import Store
from autoice_bench.errors import BaselineError
from autoice_bench.formats.decoding import decoding


@dataclass(frozen=True)
class Job:
    """Everything a run works with.

    Attributes:
        network: the plain module; checkpoints and validation use it.
        model: the network as Fabric trains it.
        optimiser: the plain optimiser of the network's parameters.
        provenance: what a checkpoint says of its network.
        identity: what must not have changed for a checkpoint to be gone on from.
    """

    recipe: Recipe
    seed: int
    fabric: Fabric
    channels: tuple[str, ...]
    loader: PatchLoader
    scenes: ValidationScenes
    assemble: FeatureAssembler
    augment: Augmentation
    loss: Loss
    network: nn.Module
    model: nn.Module
    optimiser: Optimizer
    provenance: dict[str, Any]
    identity: dict[str, Any]

    @property
    def memory_format(self) -> torch.memory_format:
        return torch.channels_last if self.recipe.channels_last else torch.contiguous_format


def open_training_patches(
    recipe: Recipe, store: Store, train_ids: Sequence[str], seed: int
) -> PatchDataset:
    """The training patches of a recipe.

    Raises:
        PatchError: no scene has an eligible one.
        StoreError: the store is damaged.
    """
    return PatchDataset(
        store,
        scene_ids=train_ids,
        patch_size=recipe.patch_size,
        seed=seed,
        patches_per_scene=recipe.patches_per_scene or None,
        patches_per_epoch=recipe.patches_per_epoch or None,
        max_masked=recipe.max_masked,
        min_valid=recipe.min_valid,
        min_valid_pixels=recipe.min_valid_pixels,
        **_reading(recipe),
    )


def _reading(recipe: Recipe) -> dict[str, Any]:
    """What patches and whole scenes are read with."""
    return {
        "arrays": parse_features(recipe.features).arrays | {recipe.task.labels},
        "alignment": "starter-kit" if recipe.compat == "starter-kit" else "exact",
        "downscale": recipe.downscale,
        "downscale_method": recipe.downscale_method,
    }


def open_loader(recipe: Recipe, patches: PatchDataset, fabric: Fabric) -> PatchLoader:
    """Batches of this process's share.

    Raises:
        BaselineError: the batch cannot be shared evenly.
        PatchError: an epoch does not fill one batch.
    """
    per_process, rest = divmod(recipe.batch_size, fabric.world_size)
    if rest:
        raise BaselineError(
            f"batch_size {recipe.batch_size} cannot be shared by {fabric.world_size} processes; "
            "set a multiple of it"
        )
    return PatchLoader(
        patches,
        per_process,
        workers=recipe.workers,
        device=fabric.device,
        rank=fabric.global_rank,
        world_size=fabric.world_size,
    )


def identify_run(
    recipe: Recipe, store: Store, train_ids: Sequence[str], val_ids: Sequence[str], seed: int
) -> dict[str, Any]:
    """What must be the same for a run to be gone on with: the science, the scenes, the seed."""
    return {
        **recipe.science(),
        "seed": seed,
        "store_fingerprint": store.fingerprint,
        "train_scenes": sorted(train_ids),
        "val_scenes": sorted(val_ids),
    }


def prepare_job(
    recipe: Recipe,
    store: Store,
    val_ids: Sequence[str],
    fabric: Fabric,
    patches: PatchDataset,
    loader: PatchLoader,
    identity: dict[str, Any],
    last: Checkpoint | None,
) -> Job:
    """Make everything a run works with, network and optimiser as the checkpoint left them.

    Args:
        recipe: what to train and how.
        store: where validation scenes are read.
        val_ids: validation scenes of all processes.
        fabric: launched.
        patches: training patches.
        loader: their batches.
        identity: of ``identify_run``.
        last: the checkpoint to go on from; None to begin.

    Raises:
        BaselineError: the start weights cannot be had, or the checkpoint is of another network.
    """
    features = parse_features(recipe.features)
    seed = identity["seed"]
    network, start_weights = _make_network(recipe, features.n_channels, seed, fabric, last)
    optimiser = _make_optimiser(recipe.optimiser, network)
    if last is not None:
        with decoding(BaselineError, "checkpoint last: the state of its optimiser"):
            restore_optimiser(optimiser, last, last.metadata["optimiser"])
    compiled: Any = torch.compile(network) if recipe.compile else network
    share = share_scenes(val_ids, fabric.global_rank, fabric.world_size)
    scenes = PaddedScenes(open_windows(store, share, **_reading(recipe)), share)
    return Job(
        recipe=recipe,
        seed=seed,
        fabric=fabric,
        channels=features.channels,
        loader=loader,
        scenes=ValidationScenes(scenes),
        assemble=FeatureAssembler(
            features, patches.geometry, recipe.upsampling, recipe.tie_interpolation
        ),
        augment=Augmentation(**asdict(recipe.augmentation)),
        loss=recipe.task.make_loss(),
        network=network,
        model=fabric.setup(compiled, optimiser)[0],
        optimiser=optimiser,
        provenance={
            **_describe_origin(recipe, store, features.channels),
            "seed": seed,
            "start_weights": start_weights,
        },
        identity=identity,
    )


def _describe_origin(recipe: Recipe, store: Store, channels: Sequence[str]) -> dict[str, Any]:
    """What every checkpoint says of the recipe, data and software that it comes from."""
    return {
        "recipe": recipe.to_dict(),
        "recipe_fingerprint": recipe.fingerprint(),
        "channels": list(channels),
        "store_fingerprint": store.fingerprint,
        "autoice_bench": __version__,
        "torch": torch.__version__,
    }


def _make_network(
    recipe: Recipe, n_channels: int, seed: int, fabric: Fabric, last: Checkpoint | None
) -> tuple[nn.Module, str]:
    """The network on its device, as the checkpoint left it or new; what it started from."""
    seed_torch(seed, "weights")
    network = recipe.build_network(n_channels)
    if last is None:
        with fabric.rank_zero_first(local=True):  # one process downloads
            start_weights = recipe.network.initialise(network)
    else:
        restore_network(network, last)
        start_weights = last.metadata["start_weights"]
    if recipe.channels_last:
        network.to(memory_format=torch.channels_last)
    return network.to(fabric.device), start_weights


def _make_optimiser(settings: OptimiserSettings, network: nn.Module) -> Optimizer:
    """The recipe's optimiser; one fused operation updates all parameters."""
    if settings.name == "adam":
        return Adam(
            network.parameters(),
            lr=settings.lr,
            weight_decay=settings.weight_decay,
            fused=True,
        )
    return SGD(
        network.parameters(),
        lr=settings.lr,
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
        fused=True,
    )
