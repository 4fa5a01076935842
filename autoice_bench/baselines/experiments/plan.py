"""Plans: recipe, settings, store, split and seeds become runs, before anything is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from autoice_bench.baselines.inputs.features import Features, parse_features
from autoice_bench.baselines.recipes.loading import load_recipe
from autoice_bench.baselines.recipes.recipe import Recipe
from autoice_bench.baselines.runs.folder import RunFolder
from autoice_bench.baselines.runs.naming import name_experiment
from autoice_bench.datasets.store.root import Store, open_store
from autoice_bench.errors import BaselineError, SplitError
from autoice_bench.formats.names import require_safe_name
from autoice_bench.formats.split_file import Split, read_split

# Keeps the draw of validation scenes apart from every other use of the seed.
_VALIDATION: Final = 0x76616C


@dataclass(frozen=True)
class PlannedRun:
    """One training run, its predictions and their score, to be done.

    Attributes:
        recipe: resolved.
        seed: of the run.
        store: complete.
        split: its training and validation scenes as the run uses them.
        split_spec: name or path of the split, as given.
        folder: the run's.
        predictions: folder of its predictions.
        note: where the run differs from its recipe, and why; None where it does not.
    """

    recipe: Recipe
    seed: int
    store: Store
    split: Split
    split_spec: str
    folder: Path
    predictions: Path
    note: str | None = None

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def features(self) -> Features:
        return parse_features(self.recipe.features)

    @property
    def patches_per_epoch(self) -> int:
        """Training patches per epoch, were every scene to have an eligible window."""
        return self.recipe.count_patches(len(self.split.train))

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches of an epoch; at least one."""
        return max(1, self.patches_per_epoch // self.recipe.batch_size)

    @property
    def is_finished(self) -> bool:
        """Whether an earlier start of the same run has trained it to its end."""
        run = RunFolder(self.folder)
        return run.exists and run.read()["state"] == "finished"

    @property
    def epochs_done(self) -> int:
        """Epochs that an earlier start of the same run has done."""
        run = RunFolder(self.folder)
        return len(run.read_metrics()) if run.exists else 0

    def require_same(self) -> None:
        """Check that the run's folder is free, or holds this run.

        Raises:
            BaselineError: it holds a run of other settings, or something else.
        """
        RunFolder(self.folder).require_same(
            self.recipe, seed=self.seed, split=self.split, store=self.store
        )

    def to_dict(self) -> dict[str, Any]:
        """The plan as JSON knows values."""
        features = self.features
        return {
            "name": self.name,
            "run": str(self.folder),
            "predictions": str(self.predictions),
            "epochs_done": self.epochs_done,
            "seed": self.seed,
            "store": str(self.store.path),
            "store_fingerprint": self.store.fingerprint,
            "split": self.split.name,
            "split_hash": self.split.hash,
            "n_train": len(self.split.train),
            "n_val": len(self.split.val),
            "n_test": len(self.split.test),
            "features": features.name,
            "channels": list(features.channels),
            "note": self.note,
            "patches_per_epoch": self.patches_per_epoch,
            "steps_per_epoch": self.steps_per_epoch,
            "recipe_fingerprint": self.recipe.fingerprint(),
            "recipe": self.recipe.to_dict(),
        }


def plan_runs(
    recipe_name: str,
    settings: Mapping[str, str],
    *,
    store: Path,
    split: str,
    seeds: Sequence[int],
    runs: Path,
    preds: Path,
    name: str | None = None,
) -> list[PlannedRun]:
    """One run per seed.

    Args:
        recipe_name: a published recipe or a file.
        settings: fields to text, as after ``--set``.
        store: the store's folder.
        split: name of a split of the store, or its JSON file.
        seeds: seeds, without repeats.
        runs: folder of runs.
        preds: folder of predictions.
        name: name of the runs without the seed; None for one that follows from the settings.

    Raises:
        BaselineError: the recipe, a setting or the name is not usable.
        SplitError: the split is not usable, or has too few scenes.
        StoreError: there is no complete store.
    """
    recipe = load_recipe(recipe_name, settings)
    opened = open_store(store, require_complete=True)
    given = read_split(store, split)
    title = name or name_experiment(recipe, load_recipe(recipe_name), given.name)
    n_random, note = _count_validation(recipe, given, "val" in settings)
    planned = []
    for seed in seeds:
        folder = require_safe_name(f"{title}-seed{seed}", BaselineError, what="run name")
        used = choose_validation(given, n_random, seed)
        planned.append(
            PlannedRun(recipe, seed, opened, used, split, runs / folder, preds / folder, note)
        )
    return planned


def _count_validation(
    recipe: Recipe, split: Split, is_asked: bool
) -> tuple[int | None, str | None]:
    """How many validation scenes to draw, and a note where the recipe wants more than there are.

    Only who asks for that many in person is refused: a published recipe should run on a few scenes.
    """
    n_random = recipe.n_random_val
    n_pool = len(split.train) + len(split.val)
    if n_random is None or n_random < n_pool or is_asked or not split.val:
        return n_random, None
    return None, (
        f"validation scenes are the split's own: the recipe's {n_random} random ones would leave "
        f"none of {n_pool} to train on"
    )


def choose_validation(split: Split, n_random: int | None, seed: int) -> Split:
    """The split with the validation scenes that a run uses.

    Args:
        split: as it is.
        n_random: None for its own validation scenes, or how many to draw of its training and
            validation scenes; the others train (Chen et al. 2024 draw 20 per network).
        seed: decides the draw.

    Raises:
        SplitError: no training or no validation scenes are left.
    """
    if n_random is None:
        for side in ("training", "validation"):
            if not (split.train if side == "training" else split.val):
                raise SplitError(
                    f"split {split.name}: has no {side} scenes; choose another"
                    + (", or draw some with --val random:N" if side == "validation" else "")
                )
        return split
    pool = sorted((*split.train, *split.val))
    if n_random >= len(pool):
        raise SplitError(
            f"split {split.name}: {n_random} random validation scenes of {len(pool)} training and "
            "validation scenes leave none to train on; --val split, or random with fewer"
        )
    rng = np.random.default_rng((seed, _VALIDATION))
    drawn = {pool[index] for index in rng.choice(len(pool), n_random, replace=False)}
    train = tuple(scene for scene in pool if scene not in drawn)
    return replace(split, train=train, val=tuple(sorted(drawn)))
