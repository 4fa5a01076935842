from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from autoice_bench.datasets.splits import stratification
from autoice_bench.datasets.splits.scene_table import select_training, validate_split_index
from autoice_bench.datasets.splits.stratification import (
    BLOCKS,
    N_MONTHS,
    choose_stratified,
    compute_hellinger2,
    compute_objective,
    count_features,
    draw_groups,
    select_stratified,
)
from tests.datasets.split_tables import daily_scenes, make_table

N_FEATURES = 11 + 6 + 7 + N_MONTHS
SIZES = st.lists(st.integers(1, 4), min_size=1, max_size=8)


def features(
    sic: dict[int, int],
    sod: dict[int, int] | None = None,
    floe: dict[int, int] | None = None,
    month: int = 1,
) -> NDArray[np.int64]:
    """Counts by class of one scene; one class-0 pixel of SOD and FLOE where not given."""
    row = np.zeros(N_FEATURES, np.int64)
    for offset, counts in ((0, sic), (11, sod or {0: 1}), (17, floe or {0: 1})):
        for k, count in counts.items():
            row[offset + k] = count
    row[24 + month - 1] = 1
    return row


def named(sizes: list[int]) -> list[list[str]]:
    return [[f"{group}-{member}" for member in range(size)] for group, size in enumerate(sizes)]


def random_pool(seed: int, n: int) -> NDArray[np.int64]:
    rng = np.random.default_rng(seed)
    pool = rng.integers(0, 100, (n, N_FEATURES))
    pool[:, 24:] = np.eye(N_MONTHS, dtype=np.int64)[rng.integers(0, N_MONTHS, n)]
    return pool


def test_features_are_counts_then_month() -> None:
    table = make_table(["20300215T120000_dmi"], SIC_3=[7], SOD_0=[8], FLOE_6=[9], SIC_255=[99])
    (row,) = count_features(validate_split_index(table))
    assert row.shape == (N_FEATURES,)
    assert (row[3], row[11], row[23]) == (7, 8, 9)
    # February is the second of the last twelve.
    assert list(row[24:]) == [0, 1, *[0] * 10]
    assert 99 not in row[[0, 11, 17]]


def test_hellinger_by_hand() -> None:
    # SIC shares (1/4, 3/4) and (1, 0): 1/2 ((1/2 - 1)^2 + 3/4) = 1/2 (1/4 + 3/4) = 1/2.
    a, b = features({0: 1, 10: 3}), features({0: 5})
    np.testing.assert_allclose(compute_hellinger2(a, b), [0.5, 0, 0, 0])
    assert compute_objective(a, b) == pytest.approx(0.5 / 4)


def test_a_side_without_pixels_is_as_far_as_can_be() -> None:
    a, b = features({0: 1}), features({0: 1}, sod={})
    b[11:17] = 0
    np.testing.assert_array_equal(compute_hellinger2(a, b), [0, 1, 0, 0])


@given(st.integers(0, 100), st.integers(1, 1000))
def test_distance_is_symmetric_bounded_and_free_of_scale(seed: int, factor: int) -> None:
    a, b = random_pool(seed, 2)
    distance = compute_hellinger2(a, b)
    assert distance.shape == (len(BLOCKS),)
    assert np.all((distance >= 0) & (distance <= 1))
    np.testing.assert_allclose(distance, compute_hellinger2(b, a))
    np.testing.assert_allclose(distance, compute_hellinger2(factor * a, b), atol=1e-12)
    np.testing.assert_allclose(compute_hellinger2(a, factor * a), 0, atol=1e-15)


def test_rare_classes_weigh_more_than_in_total_variation() -> None:
    # docs/splits.md: a missing class of 0.1 % costs about as much as moving 3 % between two halves.
    whole = features({0: 4995, 1: 4995, 2: 10})
    missing = features({0: 5000, 1: 5000})
    moved = features({0: 4995 + 316, 1: 4995 - 316, 2: 10})
    assert compute_objective(missing, whole) == pytest.approx(
        float(compute_objective(moved, whole)), rel=0.05
    )


@given(SIZES, st.integers(0, 20), st.text(max_size=3))
def test_drawn_groups_hold_the_nearest_possible_number(
    sizes: list[int], wanted: int, key: str
) -> None:
    drawn = draw_groups(named(sizes), wanted, key)
    assert drawn == sorted(set(drawn))
    possible = {sum(chosen) for k in range(1, len(sizes)) for chosen in combinations(sizes, k)} - {
        0
    }
    below = [n for n in possible if n <= wanted]
    above = [n for n in possible if n > wanted]
    expected = max(below) if below else min(above, default=0)
    assert sum(sizes[group] for group in drawn) == expected


def test_draws_do_not_depend_on_the_order_of_groups() -> None:
    groups = named([1] * 10)
    drawn = {groups[g][0] for g in draw_groups(groups, 4, "key")}
    back = groups[::-1]
    assert {back[g][0] for g in draw_groups(back, 4, "key")} == drawn


def test_draws_are_the_documented_order() -> None:
    # `printf 0/a | sha256sum` and so on sort as c, b, d, a on every platform and in every version.
    assert draw_groups([["a"], ["b"], ["c"], ["d"]], 2, "0") == [1, 2]


@pytest.mark.parametrize("seed", range(6))
def test_search_finds_the_best_of_all_subsets(seed: int) -> None:
    pool = random_pool(seed, 11)
    total = pool.sum(axis=0)

    def objective(chosen: tuple[int, ...] | list[int]) -> float:
        val = pool[list(chosen)].sum(axis=0)
        return float(compute_objective(val, total - val))

    best = min(objective(chosen) for chosen in combinations(range(11), 4))
    assert objective(select_stratified(pool, named([1] * 11), 4, seed)) == best


def test_search_keeps_groups_whole_and_is_reproducible() -> None:
    index = select_training(validate_split_index(make_table(daily_scenes(30))))
    groups = [[k, k + 1] for k in range(0, 20, 2)] + [[k] for k in range(20, 30)]
    chosen = choose_stratified(index, groups, 7, seed=1)
    assert len(chosen) == 7
    rows = {list(index["scene_id"]).index(scene) for scene in chosen}
    assert all(len(rows & set(group)) in (0, len(group)) for group in groups)
    assert choose_stratified(index, groups, 7, seed=1) == chosen


def test_perfect_match_is_found() -> None:
    # Two kinds of scenes in two months, four of each: a pair of each kind matches exactly.
    kinds = [features({0: 10}, month=1), features({10: 10}, month=7)]
    pool = np.array(kinds * 4)
    chosen = select_stratified(pool, named([1] * 8), 2, seed=0)
    val = pool[chosen].sum(axis=0)
    assert compute_objective(val, pool.sum(axis=0) - val) == 0


@pytest.mark.parametrize("seed", range(3))
def test_estimates_are_the_objective(seed: int) -> None:
    pool = random_pool(seed, 40)
    pool[:, 11:17] = 0  # nobody has a stage of development
    total = pool.sum(axis=0)
    estimates = stratification._estimate_objective(pool.T.astype(float), total)
    np.testing.assert_allclose(estimates, compute_objective(pool, total - pool), atol=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_search_by_estimates_swaps_as_one_that_computes_all(seed: int) -> None:
    pool, sizes = random_pool(seed, 60), [1 + k % 3 for k in range(60)]
    drawn = draw_groups(named(sizes), 20, str(seed))

    inside, total = set(drawn), pool.sum(axis=0)
    improved = True
    while improved:
        improved = False
        for group in sorted(inside):
            others = [k for k in range(60) if k not in inside and sizes[k] == sizes[group]]
            chosen = [sorted(inside - {group} | {other}) for other in others]
            sums = np.array([pool[groups].sum(axis=0) for groups in chosen])
            now = pool[sorted(inside)].sum(axis=0)
            objectives = compute_objective(sums, total - sums)
            if objectives.min() < compute_objective(now, total - now):
                inside = set(chosen[int(np.argmin(objectives))])
                improved = True

    found, objective = stratification._improve(pool, sizes, drawn)
    assert found == sorted(inside)
    val = pool[found].sum(axis=0)
    assert objective == compute_objective(val, total - val)


def test_search_ends_in_a_pool_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = random_pool(0, 60)
    drawn = draw_groups(named([1] * 60), 20, "0")
    best = stratification._improve(pool, [1] * 60, drawn)
    monkeypatch.setattr(stratification, "MOST_SWAPS_TRIED", 0)
    assert stratification._improve(pool, [1] * 60, drawn)[0] == drawn
    monkeypatch.setattr(stratification, "MOST_SWAPS_TRIED", 45)
    some = stratification._improve(pool, [1] * 60, drawn)
    assert (
        best[1]
        < some[1]
        < compute_objective(pool[drawn].sum(axis=0), pool.sum(axis=0) - pool[drawn].sum(axis=0))
    )
