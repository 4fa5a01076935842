"""Choice of a validation set whose classes and months match those of the training set.

The objective is

    J(V) = 1/4 * sum over b in {SIC, SOD, FLOE, month} of H2(p_b(V), p_b(T))

where T is the rest of the pool, p_b(S) the class shares of chart b over the valid pixels of all
scenes of S (the fill value left out), p_month(S) the shares of the twelve acquisition months (UTC)
over the scenes of S, and H2(p, q) = 1/2 * sum_k (sqrt(p_k) - sqrt(q_k))^2 the squared Hellinger
distance: 0 for equal shares, 1 for disjoint ones. It weighs rare classes more than a difference of
shares does, so a class of 0.1 % of the pixels is not simply forgotten. Where one side has no valid
pixel of a chart, H2 is 1.

Minimising J over all subsets is a hard combinatorial problem; seeded random draws improved by
swaps of whole groups find sets far closer than any random draw in a fraction of a second.
Counts are integers and J is compared after rounding to 12 decimals, and the draws are ordered by
SHA-256, so the choice does not depend on the platform or on a generator's version.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autoice_bench.charts import CHARTS
from autoice_bench.datasets.splits.scene_table import CLASS_COLUMNS

N_MONTHS: Final = 12
N_STARTS: Final = 16
"""Random draws that the search improves unless told otherwise; the best end wins."""

BLOCKS: Final = (*(chart.name for chart in CHARTS), "month")
"""The four distributions of the objective."""

_EDGES: Final = tuple(accumulate((*(chart.n_classes for chart in CHARTS), N_MONTHS), initial=0))
BLOCK_SLICES: Final = tuple(slice(low, high) for low, high in pairwise(_EDGES))
"""Where each of ``BLOCKS`` lies in the features of a scene."""
_BLOCK_SUMS: Final = np.array(
    [[low <= k < high for k in range(_EDGES[-1])] for low, high in pairwise(_EDGES)], np.float64
)
"""(4, 36): times features, their sums over each of ``BLOCKS``."""
_DECIMALS: Final = 12
_MARGIN: Final = 2e-12
"""More than the rounding of two J and the errors of their estimates together."""
MOST_SWAPS_TRIED: Final = 1_000_000
"""Swaps that the search tries after one draw: tried swaps grow as the square of the pool, of which
the 512 released training scenes need up to 600,000."""


def count_features(index: pd.DataFrame) -> NDArray[np.int64]:
    """Class counts and month of every scene.

    Args:
        index: scenes with charts (see ``scene_table``).

    Returns:
        int64 (n_scenes, 36): pixels per SIC, SOD and FLOE class, then 1 in the scene's month.
    """
    columns = [column for chart in CHARTS for column in CLASS_COLUMNS[chart.name]]
    counts = index[columns].to_numpy(dtype=np.int64)
    months = pd.to_datetime(index["acquisition_time"], utc=True).dt.month.to_numpy()
    return np.hstack([counts, (months[:, None] == np.arange(1, N_MONTHS + 1)).astype(np.int64)])


def compute_shares(totals: NDArray[np.int64]) -> NDArray[np.float64]:
    """Shares along the last axis, float64; NaN where there is nothing to share."""
    sums = totals.sum(axis=-1, keepdims=True)
    shares = np.full(totals.shape, np.nan)
    np.divide(totals, sums, out=shares, where=sums > 0)
    return shares


def compute_hellinger2(a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.float64]:
    """Squared Hellinger distance of each of the four distributions.

    Args:
        a: int64 (..., 36), features summed over one set of scenes.
        b: the same of the other set.

    Returns:
        float64 (..., 4), within 0 .. 1, in the order of ``BLOCKS``.
    """
    distances: list[NDArray[np.float64]] = []
    for block in BLOCK_SLICES:
        difference = np.sqrt(compute_shares(a[..., block])) - np.sqrt(compute_shares(b[..., block]))
        squared = 0.5 * np.square(difference).sum(axis=-1)
        distances.append(np.where(np.isnan(squared), 1.0, squared))
    return np.stack(distances, axis=-1)


def compute_objective(val: NDArray[np.int64], train: NDArray[np.int64]) -> NDArray[np.float64]:
    """J of summed features ``val`` against ``train``, both int64 (..., 36); float64 (...)."""
    return np.asarray(np.round(compute_hellinger2(val, train).mean(axis=-1), _DECIMALS))


def draw_groups(groups: Sequence[Sequence[str]], n_scenes: int, key: str) -> list[int]:
    """Draw whole groups at random until they hold ``n_scenes`` scenes.

    Groups are visited in the order of SHA-256(``key``/first scene id). A group is taken when the
    rest can still be filled up exactly.

    Args:
        groups: scene ids of each group.
        n_scenes: scenes wanted; where no choice of groups holds exactly that many, the next
            possible number below, or else above it.
        key: what makes this draw differ from others, such as the seed.

    Returns:
        Positions of the groups drawn, ascending; at least one group stays undrawn.
    """
    order = sorted(
        range(len(groups)),
        key=lambda g: hashlib.sha256(f"{key}/{groups[g][0]}".encode()).digest(),
    )
    # Bit s of reachable[i] is set when some of the groups order[i:] hold s scenes together.
    reachable = [1]
    for group in reversed(order):
        reachable.append(reachable[-1] | reachable[-1] << len(groups[group]))
    reachable.reverse()
    remaining = _nearest_size(reachable[0], n_scenes)
    drawn = []
    for position, group in enumerate(order):
        left = remaining - len(groups[group])
        if left >= 0 and reachable[position + 1] >> left & 1:
            drawn.append(group)
            remaining = left
    return sorted(drawn)


def _nearest_size(reachable: int, wanted: int) -> int:
    """The size nearest to ``wanted``, below rather than above, whose bit in ``reachable`` is set.

    Nothing and everything do not count; returns 0 where that leaves none.
    """
    total = reachable.bit_length() - 1
    preferred = (*range(min(wanted, total - 1), 0, -1), *range(wanted + 1, total))
    return next((size for size in preferred if reachable >> size & 1), 0)


def select_stratified(
    features: NDArray[np.int64],
    groups: Sequence[Sequence[str]],
    n_scenes: int,
    seed: int,
    n_starts: int = N_STARTS,
) -> list[int]:
    """Choose groups of scenes whose shares match those of all other groups.

    Args:
        features: int64 (n_groups, 36), summed over each group (see ``count_features``).
        groups: scene ids of each group.
        n_scenes: scenes wanted; groups stay whole (see ``draw_groups``).
        seed: seed of the draws.
        n_starts: draws to improve.

    Returns:
        Positions of the chosen groups, ascending; those of the least J that the search found.
    """
    best: list[int] = []
    best_objective = np.inf
    for start in range(n_starts):
        drawn = draw_groups(groups, n_scenes, f"{seed}/{start}")
        chosen, objective = _improve(features, [len(group) for group in groups], drawn)
        if objective < best_objective:
            best, best_objective = chosen, objective
    return best


def _improve(
    features: NDArray[np.int64], sizes: Sequence[int], drawn: list[int]
) -> tuple[list[int], float]:
    """Swap chosen groups for others of the same size while that lowers the objective."""
    total = features.sum(axis=0)
    as_columns = np.ascontiguousarray(features.T, dtype=np.float64)
    size = np.asarray(sizes)
    inside = np.zeros(len(sizes), dtype=bool)
    inside[drawn] = True
    val = features[inside].sum(axis=0)
    objective = float(compute_objective(val, total - val))  # or what it is to within _MARGIN
    n_tried = 0
    improved = True
    while improved and n_tried < MOST_SWAPS_TRIED:
        improved = False
        for group in np.flatnonzero(inside):
            candidates = np.flatnonzero(~inside & (size == size[group]))
            n_tried += len(candidates)
            if len(candidates) == 0 or n_tried > MOST_SWAPS_TRIED:
                continue
            rest = val - features[group]
            estimates = _estimate_objective(rest[:, None] + as_columns[:, candidates], total)
            lowest = estimates.min()
            if lowest > objective + _MARGIN:
                continue
            candidates = candidates[estimates <= lowest + _MARGIN]
            swapped = rest + features[candidates]
            if len(candidates) == 1 and lowest < objective - _MARGIN:
                best, objective = 0, float(lowest)
            else:  # the estimates leave a choice
                objectives = compute_objective(swapped, total - swapped)
                best = int(np.argmin(objectives))
                if objectives[best] >= compute_objective(val, total - val):
                    continue
                objective = float(objectives[best])
            inside[group], inside[candidates[best]] = False, True
            val = swapped[best]
            improved = True
    chosen = [int(group) for group in np.flatnonzero(inside)]
    return chosen, float(compute_objective(val, total - val))


def _estimate_objective(val: NDArray[np.float64], total: NDArray[np.int64]) -> NDArray[np.float64]:
    """J of many sets by fewer operations, exact to about 1e-14.

    H2(p, q) is 1 - sum_k sqrt(p_k q_k), whose counts need one square root for each class.

    Args:
        val: (36, n) features summed over each of ``n`` sets.
        total: (36,) features summed over the pool.

    Returns:
        (n,) float64.
    """
    train = total[:, None] - val
    common = _BLOCK_SUMS @ np.sqrt(val * train)
    whole = (_BLOCK_SUMS @ val) * (_BLOCK_SUMS @ train)
    similarity = np.zeros_like(common)
    np.divide(common, np.sqrt(whole), out=similarity, where=whole > 0)
    return np.asarray(1 - similarity.mean(axis=0))


def choose_stratified(
    index: pd.DataFrame,
    groups: Sequence[Sequence[int]],
    n_scenes: int,
    seed: int,
    n_starts: int = N_STARTS,
) -> tuple[str, ...]:
    """Choose scenes of a table by ``select_stratified``; groups of rows stay whole.

    Args:
        index: scenes with charts; the pool to choose from.
        groups: row positions of each group; every row in one group.
        n_scenes: scenes wanted.
        seed: seed of the draws.
        n_starts: draws to improve.

    Returns:
        Ids of the chosen scenes, sorted.
    """
    per_scene = count_features(index)
    features = np.array([per_scene[group].sum(axis=0) for group in groups], dtype=np.int64)
    ids = [str(scene) for scene in index["scene_id"]]
    named = [[ids[row] for row in group] for group in groups]
    chosen = select_stratified(features, named, n_scenes, seed, n_starts)
    return tuple(sorted(scene for group in chosen for scene in named[group]))
