"""The named splits that every store gets: the published ones, and cross-region.

Published splits stay as published, with the leaks that ``splits check`` reports:

- ``official``: the 20 official test scenes; validation is the ASPP study's 24 where all are there,
  else stratified; the rest trains.
- ``aspp-study``: the study's 487 training, 24 validation and 20 test scenes, or nothing.
- ``cross-region``: trains on the Canadian scenes (CIS), tests on the Greenland ones (DMI) of the
  official training set; validation stratified inside CIS. ``cross-region-reverse`` swaps them.
- ``cross-region-strict``: ``cross-region`` without the training scenes that leak, so that
  ``splits check`` finds nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import pandas as pd

from autoice_bench.datasets.splits.created import default_val_size
from autoice_bench.datasets.splits.leaks import find_links
from autoice_bench.datasets.splits.passes import group_linked, group_passes, read_frames
from autoice_bench.datasets.splits.scene_table import (
    select_official_test,
    select_training,
    validate_split_index,
)
from autoice_bench.datasets.splits.stratification import choose_stratified
from autoice_bench.errors import SplitError
from autoice_bench.formats.split_file import Split, split_path, write_split, write_splits
from autoice_bench.official import OFFICIAL_TEST, STUDY_OMITTED, STUDY_VALIDATION

STUDY_TRAINING_SIZE: Final = 487
SEED: Final = 0
"""Seed of every stratified validation set in a named split."""


@dataclass(frozen=True)
class NamedSplitResult:
    """What became of one named split.

    Attributes:
        name: its name.
        split: the split that was written; None where the scenes do not allow it.
        reason: why it was not written; None where it was.
    """

    name: str
    split: Split | None
    reason: str | None


def build_split(name: str, index: pd.DataFrame) -> Split:
    """Build a named split from a scene table (see ``scene_table``).

    Raises:
        SplitError: the name is unknown, or the scenes do not allow this split.
    """
    if name not in NAMED_SPLITS:
        raise SplitError(f"split {name!r} is unknown; expected {', '.join(NAMED_SPLITS)}")
    return NAMED_SPLITS[name](validate_split_index(index))


def write_named_splits(store: Path, index: pd.DataFrame) -> list[NamedSplitResult]:
    """Write every named split that the scenes of a store allow.

    A named split of an earlier set of scenes is replaced, or removed where it is no longer
    possible. Created splits are not touched.

    Args:
        store: folder of the store.
        index: its scene table.

    Returns:
        One result per named split.
    """
    results = []
    for name in NAMED_SPLITS:
        try:
            split = build_split(name, index)
        except SplitError as error:
            split_path(store, name).unlink(missing_ok=True)
            results.append(NamedSplitResult(name, None, str(error)))
        else:
            write_split(store, split, overwrite=True)
            results.append(NamedSplitResult(name, split, None))
    return results


def _sorted_without(ids: pd.Series[str], taken: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(set(ids) - set(taken)))


def write_created_splits(
    store: Path, splits: Sequence[Split], *, overwrite: bool = False
) -> list[Path]:
    """Write splits that a user created into a store: all of them, or none.

    Raises:
        SplitError: a name is that of a published split, or is taken and ``overwrite`` is False.
    """
    for split in splits:
        if split.name in NAMED_SPLITS:
            raise SplitError(
                f"split {split.name} is published and made by prepare; choose another name"
            )
    return write_splits(store, splits, overwrite=overwrite)


def explain_missing_splits(store: Path, index: pd.DataFrame) -> dict[str, str]:
    """Why a store lacks some of the named splits: reason by name; empty when it has all."""
    reasons = {}
    for name in NAMED_SPLITS:
        if not split_path(store, name).exists():
            try:
                build_split(name, index)
            except SplitError as error:
                reasons[name] = str(error)
            else:
                reasons[name] = "possible but not written; run autoice-bench prepare again"
    return reasons


def _choose_validation(pool: pd.DataFrame, groups: list[list[int]]) -> tuple[str, ...]:
    if len(groups) < 2:
        return ()
    return choose_stratified(pool, groups, default_val_size(len(pool)), SEED)


def _build_official(index: pd.DataFrame) -> Split:
    training = select_training(index)
    test = select_official_test(index)
    if not len(training) and not test:
        raise SplitError("split official: no test scene and no training scene with charts")
    if set(STUDY_VALIDATION) <= set(training["scene_id"]):
        val, seed = tuple(sorted(STUDY_VALIDATION)), None
        chosen = "the ASPP study's 24 validate"
    else:
        val, seed = _choose_validation(training, group_passes(read_frames(training))), SEED
        chosen = f"{len(val)} stratified scenes validate, the ASPP study's 24 not being all here"
    rule = f"official test; {chosen}; the rest trains"
    return Split("official", rule, seed, _sorted_without(training["scene_id"], val), val, test)


def _build_aspp_study(index: pd.DataFrame) -> Split:
    training = select_training(index)
    available = set(training["scene_id"])
    test = set(select_official_test(index))
    for what, expected, found in (
        ("validation", STUDY_VALIDATION, available),
        ("test", OFFICIAL_TEST, test),
    ):
        missing = sorted(set(expected) - found)
        if missing:
            raise SplitError(
                f"split aspp-study: {len(missing)} of the study's {len(expected)} {what} scenes "
                f"are not here, the first {missing[0]}"
            )
    val = tuple(sorted(STUDY_VALIDATION))
    train = _sorted_without(training["scene_id"], (*val, *STUDY_OMITTED))
    if len(train) != STUDY_TRAINING_SIZE:
        raise SplitError(
            f"split aspp-study: {len(train)} training scenes; "
            f"expected the study's {STUDY_TRAINING_SIZE}"
        )
    omitted = ", ".join(STUDY_OMITTED)
    rule = f"the ASPP study's lists: 24 validation scenes, {omitted} omitted, official test"
    return Split("aspp-study", rule, None, train, val, tuple(sorted(OFFICIAL_TEST)))


def _build_cross_region(
    index: pd.DataFrame, *, name: str, source: str, target: str, strict: bool = False
) -> Split:
    pool = select_training(index, source)
    tested = select_training(index, target)
    if len(pool) < 2 or not len(tested):
        raise SplitError(
            f"split {name}: {len(pool)} {source} and {len(tested)} {target} training scenes with "
            f"charts; expected at least 2 {source} and 1 {target}"
        )
    if strict:
        pool, groups, n_dropped = _drop_leaking(pool, tested, name)
    else:
        groups, n_dropped = group_passes(read_frames(pool)), 0
    val = _choose_validation(pool, groups)
    rule = (
        f"{source} training scenes train, {target} training scenes test, "
        f"{len(val)} stratified {source} scenes validate, official test excluded"
    )
    if strict:
        rule += f"; {n_dropped} {source} scenes that leak into the test dropped"
    train = _sorted_without(pool["scene_id"], val)
    return Split(name, rule, SEED, train, val, tuple(sorted(tested["scene_id"])))


def _drop_leaking(
    pool: pd.DataFrame, tested: pd.DataFrame, name: str
) -> tuple[pd.DataFrame, list[list[int]], int]:
    """Drop scenes that leak into the test; group the others so that no leak is cut in two."""
    linked = find_links(read_frames(pool), read_frames(tested))
    leaking = {scene for link in linked for scene in (link.first, link.second)}
    kept = pool[~pool["scene_id"].isin(leaking)].reset_index(drop=True)
    if len(kept) < 2:
        raise SplitError(f"split {name}: {len(kept)} scenes left without leaks; expected 2 or more")
    frames = read_frames(kept)
    row_of = {frame.scene_id: row for row, frame in enumerate(frames)}
    links = [(row_of[link.first], row_of[link.second]) for link in find_links(frames, frames)]
    return kept, group_linked(len(kept), links), len(pool) - len(kept)


NAMED_SPLITS: Final[dict[str, Callable[[pd.DataFrame], Split]]] = {
    "official": _build_official,
    "aspp-study": _build_aspp_study,
    "cross-region": partial(_build_cross_region, name="cross-region", source="cis", target="dmi"),
    "cross-region-reverse": partial(
        _build_cross_region, name="cross-region-reverse", source="dmi", target="cis"
    ),
    "cross-region-strict": partial(
        _build_cross_region, name="cross-region-strict", source="cis", target="dmi", strict=True
    ),
}
"""Builders of the named splits."""
