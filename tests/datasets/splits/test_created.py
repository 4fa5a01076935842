from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoice_bench.datasets.splits.created import METHODS, Method, create_splits, default_val_size
from autoice_bench.datasets.splits.leaks import check_split
from autoice_bench.errors import SplitError
from autoice_bench.formats.split_file import Split
from autoice_bench.official import OFFICIAL_TEST
from tests.datasets.split_tables import daily_scenes, make_table

TEST_SCENE = OFFICIAL_TEST[0]  # 20180124T194759_dmi
NEIGHBOUR = "20180124T194859_dmi"  # one minute later: the same pass
YEAR = [
    *daily_scenes(60, start="2030-01-01"),
    *daily_scenes(30, "cis", start="2030-06-02"),
]
TABLE = make_table([*YEAR, TEST_SCENE, NEIGHBOUR])


def everything(split: Split) -> list[str]:
    return sorted((*split.train, *split.val, *split.test))


@pytest.mark.parametrize(
    ("n_scenes", "n_val"),
    # An eighth, rounded up, at most 24; nothing to validate on where a scene is alone.
    [(0, 0), (1, 0), (2, 1), (8, 1), (9, 2), (100, 13), (192, 24), (193, 24), (512, 24)],
)
def test_default_size(n_scenes: int, n_val: int) -> None:
    assert default_val_size(n_scenes) == n_val


@pytest.mark.parametrize("method", ["stratified", "random"])
def test_number_asked_for(method: Method) -> None:
    (split,) = create_splits("x", TABLE, method=method, n_val=10)
    assert len(split.val) == 10
    assert split.test == (TEST_SCENE,)
    # The neighbour shares a pass with the test scene: in neither list.
    assert everything(split) == sorted([*YEAR, TEST_SCENE])
    assert "1 left out" in split.rule
    assert split.rule.startswith(f"{method}: 10 validation scenes")


def test_seed_and_method_decide() -> None:
    (first,) = create_splits("x", TABLE, method="random", n_val=10)
    assert create_splits("x", TABLE, method="random", n_val=10) == (first,)
    (other,) = create_splits("x", TABLE, method="random", n_val=10, seed=1)
    assert other.val != first.val
    assert other.seed == 1


def test_order_of_the_table_does_not_matter() -> None:
    shuffled = TABLE.sample(frac=1, random_state=1)
    for method in METHODS:
        assert create_splits("x", shuffled, method=method) == create_splits(
            "x", TABLE, method=method
        )


def test_folds_validate_every_scene_once() -> None:
    splits = create_splits("x", TABLE, method="kfold", n_folds=4)
    assert [split.name for split in splits] == ["x-0", "x-1", "x-2", "x-3"]
    # 90 scenes in four folds: 22 or 23 each.
    assert sorted(len(split.val) for split in splits) == [22, 22, 23, 23]
    assert sorted(scene for split in splits for scene in split.val) == sorted(YEAR)
    assert all(everything(split) == sorted([*YEAR, TEST_SCENE]) for split in splits)


def test_seasons_validate_their_months() -> None:
    splits = create_splits("x", TABLE, method="season")
    # January to July only, so there is no autumn.
    assert [split.name for split in splits] == ["x-winter", "x-spring", "x-summer"]
    assert {int(scene[4:6]) for scene in splits[1].val} == {3, 4}
    assert {int(scene[4:6]) for scene in splits[2].val} == {6, 7}
    assert all(split.seed is None for split in splits)


def test_pass_across_a_month_belongs_to_the_season_of_its_first_frame() -> None:
    table = make_table(
        ["20300228T235900_dmi", "20300301T000100_dmi", "20300110T000000_dmi", "20300501T000000_dmi"]
    )
    winter, spring = create_splits("x", table, method="season")
    assert winter.val == ("20300110T000000_dmi", "20300228T235900_dmi", "20300301T000100_dmi")
    assert spring.val == ("20300501T000000_dmi",)


@settings(max_examples=30)
@given(
    st.lists(st.integers(0, 2000), min_size=4, max_size=14, unique=True),
    st.sampled_from(METHODS),
    st.integers(0, 3),
)
def test_created_splits_never_cut_a_pass(minutes: list[int], method: Method, seed: int) -> None:
    ids = [f"2030{1 + m // 500:02d}01T{m % 500 // 60:02d}{m % 60:02d}00_dmi" for m in minutes]
    table = make_table(ids)
    splits: tuple[Split, ...] = ()
    reason = ""
    try:
        splits = create_splits("x", table, method=method, n_folds=2, seed=seed)
    except SplitError as error:
        reason = str(error)
    assert splits or any(text in reason for text in ("of one pass", "of one season", "folds of"))
    for split in splits:
        assert check_split(split, table) == []
        assert split.train
        assert split.val


def test_scenes_without_charts_take_no_part() -> None:
    table = TABLE.assign(has_charts=[k % 2 == 0 for k in range(len(TABLE))])
    (split,) = create_splits("x", table)
    bare = set(table.loc[~table["has_charts"], "scene_id"])
    assert not bare & {*split.train, *split.val}


@pytest.mark.parametrize("n_val", [0, 90, 1000])
def test_impossible_sizes_are_refused(n_val: int) -> None:
    with pytest.raises(SplitError, match=f"{n_val} validation scenes of 90; expected 1 to 89"):
        create_splits("x", TABLE, n_val=n_val)


@pytest.mark.parametrize("n_folds", [1, 91])
def test_impossible_folds_are_refused(n_folds: int) -> None:
    with pytest.raises(SplitError, match=f"{n_folds} folds of 90 passes; expected 2 to 90"):
        create_splits("x", TABLE, method="kfold", n_folds=n_folds)


def test_passes_too_large_for_folds_are_refused() -> None:
    # Passes of 1, 1 and 4 scenes: the first fold of three wants two scenes and takes both single
    # ones, which leaves one pass for two folds.
    large = [f"20300301T120{k}00_dmi" for k in range(4)]
    table = make_table(["20300101T120000_dmi", "20300201T120000_dmi", *large])
    with pytest.raises(SplitError, match="passes are too large for 3 folds; ask for fewer"):
        create_splits("x", table, method="kfold", n_folds=3)


def test_too_few_scenes_are_refused() -> None:
    with pytest.raises(SplitError, match="1 training scenes with charts; expected at least 2"):
        create_splits("x", make_table(["20300101T120000_dmi", TEST_SCENE]))


def test_one_pass_alone_cannot_be_divided() -> None:
    table = make_table(["20300101T120000_dmi", "20300101T120100_dmi"])
    with pytest.raises(SplitError, match="all 2 training scenes are of one pass"):
        create_splits("x", table)


def test_one_season_alone_cannot_be_held_out() -> None:
    with pytest.raises(SplitError, match="all scenes are of one season"):
        create_splits("x", make_table(daily_scenes(10)), method="season")
