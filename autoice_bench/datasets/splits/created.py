"""Splits that a user creates: stratified, random, k folds, or one season held out.

All keep a satellite pass on one side: passes move whole, and a training scene that shares a pass
with an official test scene is left out. The test side is the official test set.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal, get_args

import pandas as pd

from autoice_bench.datasets.splits.passes import group_passes, read_frames
from autoice_bench.datasets.splits.scene_table import (
    select_official_test,
    select_training,
    validate_split_index,
)
from autoice_bench.datasets.splits.stratification import choose_stratified, draw_groups
from autoice_bench.errors import SplitError
from autoice_bench.formats.split_file import Split

Method = Literal["stratified", "random", "kfold", "season"]

METHODS: Final[tuple[Method, ...]] = get_args(Method)
SEASONS: Final = {
    "winter": (12, 1, 2),
    "spring": (3, 4, 5),
    "summer": (6, 7, 8),
    "autumn": (9, 10, 11),
}
"""Meteorological seasons of the northern hemisphere, by month."""

MAX_VALIDATION: Final = 24
_FOLD_STARTS: Final = 4  # a large fold is easily matched; more draws gain nothing


@dataclass(frozen=True)
class _Pool:
    """Scenes to divide, and what every split made from them shares."""

    name: str
    index: pd.DataFrame
    groups: list[list[int]]
    test: tuple[str, ...]
    seed: int
    note: str

    def split(
        self, name: str, val: tuple[str, ...], rule: str, *, seed: int | None = None
    ) -> Split:
        chosen = set(val)
        rest = tuple(scene for scene in self.index["scene_id"] if scene not in chosen)
        return Split(name, f"{rule}; {self.note}", seed, rest, val, self.test)

    def ids(self, groups: list[int]) -> tuple[str, ...]:
        rows = sorted(row for group in groups for row in self.groups[group])
        return tuple(str(self.index["scene_id"][row]) for row in rows)


def default_val_size(n_scenes: int) -> int:
    """Validation scenes where none were asked for: an eighth of the pool, at most 24.

    24 is what the published study took of 512. A single scene trains and validates nothing.
    """
    return min(MAX_VALIDATION, math.ceil(n_scenes / 8)) if n_scenes > 1 else 0


def create_splits(
    name: str,
    index: pd.DataFrame,
    *,
    method: Method = "stratified",
    n_val: int | None = None,
    n_folds: int = 5,
    seed: int = 0,
) -> tuple[Split, ...]:
    """Create splits of the training scenes of a table.

    Args:
        name: name of the split, or the stem of several.
        index: scene table; see ``scene_table``.
        method: ``stratified``: validation with the classes and months of training (see
            ``stratification``). ``random``: drawn at random. ``kfold``: every scene validates in
            one of ``name-0`` .. ``name-(n_folds - 1)``, each fold stratified. ``season``: one of
            ``name-winter``, ``-spring``, ``-summer``, ``-autumn`` validates in each.
        n_val: validation scenes of ``stratified`` and ``random``; default ``default_val_size``.
            Where whole passes do not add up to it, the next number that they do.
        n_folds: folds of ``kfold``.
        seed: seed of every method but ``season``, which draws nothing.

    Returns:
        One split, or one per fold or season.

    Raises:
        SplitError: there are too few scenes, or the numbers asked for do not fit them.
    """
    pool = _make_pool(name, index, seed)
    if method == "kfold":
        return _create_folds(pool, n_folds)
    if method == "season":
        return _create_seasons(pool)
    n_scenes = len(pool.index)
    wanted = default_val_size(n_scenes) if n_val is None else n_val
    if not 0 < wanted < n_scenes:
        raise SplitError(
            f"split {name}: {wanted} validation scenes of {n_scenes}; expected 1 to {n_scenes - 1}"
        )
    if method == "stratified":
        val = choose_stratified(pool.index, pool.groups, wanted, seed)
    else:
        ids = [pool.ids([group]) for group in range(len(pool.groups))]
        val = pool.ids(draw_groups(ids, wanted, str(seed)))
    if not val:
        raise SplitError(
            f"split {name}: all {n_scenes} training scenes are of one pass, which stays whole"
        )
    return (pool.split(name, val, f"{method}: {len(val)} validation scenes", seed=seed),)


def _make_pool(name: str, index: pd.DataFrame, seed: int) -> _Pool:
    index = validate_split_index(index)
    training = set(select_training(index)["scene_id"])
    test = set(select_official_test(index))
    frames = read_frames(index)
    beside_test = {
        frames[row].scene_id
        for group in group_passes(frames)
        if any(frames[row].scene_id in test for row in group)
        for row in group
    }
    left_out = training & beside_test
    pool = index[index["scene_id"].isin(training - left_out)].reset_index(drop=True)
    if len(pool) < 2:
        raise SplitError(
            f"split {name}: {len(pool)} training scenes with charts; expected at least 2"
        )
    note = "passes kept whole, official test"
    if left_out:
        note += f", {len(left_out)} left out that share a pass with it"
    groups = group_passes(read_frames(pool))
    return _Pool(name, pool, groups, tuple(sorted(test)), seed, note)


def _create_folds(pool: _Pool, n_folds: int) -> tuple[Split, ...]:
    """Stratified folds: each is chosen to match what is left, so all match the whole."""
    n_groups = len(pool.groups)
    if not 2 <= n_folds <= n_groups:
        raise SplitError(
            f"split {pool.name}: {n_folds} folds of {n_groups} passes; expected 2 to {n_groups}"
        )
    folds: list[tuple[str, ...]] = []
    left = pool.index
    for remaining in range(n_folds, 0, -1):
        groups = group_passes(read_frames(left))
        wanted = round(len(left) / remaining)
        fold = (
            choose_stratified(left, groups, wanted, pool.seed, _FOLD_STARTS)
            if remaining > 1
            else tuple(left["scene_id"])
        )
        if not fold:
            raise SplitError(
                f"split {pool.name}: passes are too large for {n_folds} folds; ask for fewer"
            )
        folds.append(fold)
        left = left[~left["scene_id"].isin(fold)].reset_index(drop=True)
    return tuple(
        pool.split(
            f"{pool.name}-{k}", fold, f"kfold: fold {k} of {n_folds}, stratified", seed=pool.seed
        )
        for k, fold in enumerate(folds)
    )


def _create_seasons(pool: _Pool) -> tuple[Split, ...]:
    """One split per season that has scenes; a pass belongs to the season of its first frame."""
    months = pd.to_datetime(pool.index["acquisition_time"], utc=True).dt.month
    splits = []
    for season, members in SEASONS.items():
        inside = [k for k, group in enumerate(pool.groups) if int(months[min(group)]) in members]
        if 0 < len(inside) < len(pool.groups):
            rule = f"season: {season} (months {', '.join(map(str, members))}) validates"
            splits.append(pool.split(f"{pool.name}-{season}", pool.ids(inside), rule))
    if not splits:
        raise SplitError(
            f"split {pool.name}: all scenes are of one season; expected two or more seasons"
        )
    return tuple(splits)
