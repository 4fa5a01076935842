from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from autoice_bench.datasets.splits.leaks import check_split
from autoice_bench.datasets.splits.named import (
    NAMED_SPLITS,
    build_split,
    explain_missing_splits,
    write_created_splits,
    write_named_splits,
)
from autoice_bench.errors import SplitError
from autoice_bench.formats.split_file import Split, read_split, split_names
from autoice_bench.official import OFFICIAL_TEST, STUDY_OMITTED, STUDY_VALIDATION, WITHDRAWN
from tests.datasets.split_tables import daily_scenes, make_table, square
from tests.oracles import read_released_scenes

# As large as the released data set: 512 training scenes (made up but for the listed ones).
FILLER = [
    *daily_scenes(243, "cis", start="2030-01-01"),
    *daily_scenes(244, "dmi", start="2030-01-02"),
]
WHOLE = make_table([*FILLER, *STUDY_VALIDATION, *STUDY_OMITTED, *OFFICIAL_TEST])
SMALL = make_table(
    [*daily_scenes(5, "cis"), *daily_scenes(7, "dmi", start="2030-02-01")],
    subset=["train"] * 4 + ["test"] + ["train"] * 6 + ["test"],
)


def sizes(split: Split) -> tuple[int, int, int]:
    return len(split.train), len(split.val), len(split.test)


def test_official_of_the_whole_data_set() -> None:
    split = build_split("official", WHOLE)
    # 512 - 24 train.
    assert sizes(split) == (488, 24, 20)
    assert split.val == tuple(sorted(STUDY_VALIDATION))
    assert split.test == tuple(sorted(OFFICIAL_TEST))
    assert split.seed is None


def test_aspp_study_omits_one_scene() -> None:
    split = build_split("aspp-study", WHOLE)
    assert sizes(split) == (487, 24, 20)
    official = build_split("official", WHOLE)
    assert set(official.train) - set(split.train) == set(STUDY_OMITTED)
    assert (split.val, split.test) == (official.val, official.test)


@pytest.mark.parametrize(
    ("dropped", "message"),
    [
        (STUDY_VALIDATION[0], "1 of the study's 24 validation scenes .* the first 20180325"),
        (OFFICIAL_TEST[3], "1 of the study's 20 test scenes are not here, the first 20180716"),
        (FILLER[0], "486 training scenes; expected the study's 487"),
    ],
)
def test_aspp_study_needs_every_scene(dropped: str, message: str) -> None:
    with pytest.raises(SplitError, match=message):
        build_split("aspp-study", WHOLE[WHOLE["scene_id"] != dropped])


def test_official_of_a_part_is_stratified() -> None:
    split = build_split("official", SMALL)
    # 10 training scenes: an eighth, rounded up, is 2.
    assert sizes(split) == (8, 2, 2)
    assert split.seed == 0
    assert "2 stratified scenes validate" in split.rule
    assert check_split(split, SMALL) == []


def test_official_with_test_scenes_or_training_scenes_only() -> None:
    test_only = build_split("official", make_table(OFFICIAL_TEST[:3], has_charts=False))
    assert sizes(test_only) == (0, 0, 3)
    one = build_split("official", make_table(daily_scenes(1)))
    assert sizes(one) == (1, 0, 0)
    with pytest.raises(SplitError, match="no test scene and no training scene with charts"):
        build_split("official", make_table(daily_scenes(2), has_charts=False))


def test_one_pass_alone_is_not_cut_for_validation() -> None:
    table = make_table(["20300101T120000_dmi", "20300101T120100_dmi"])
    assert sizes(build_split("official", table)) == (2, 0, 0)


@pytest.mark.parametrize("name", NAMED_SPLITS)
def test_withdrawn_and_bare_scenes_are_nowhere(name: str) -> None:
    bare = "20310101T120000_cis"
    table = pd.concat([WHOLE, make_table([*WITHDRAWN, bare])], ignore_index=True)
    table.loc[table["scene_id"] == bare, "has_charts"] = False
    assert build_split(name, table) == build_split(name, WHOLE)


def test_cross_region_by_service() -> None:
    split = build_split("cross-region", WHOLE)
    # 13 of the study's 24 are Canadian, so 243 + 13 train and validate; 244 + 11 + 1 test.
    assert sizes(split) == (232, 24, 256)
    assert {scene[-3:] for scene in (*split.train, *split.val)} == {"cis"}
    assert {scene[-3:] for scene in split.test} == {"dmi"}
    assert not set(OFFICIAL_TEST) & set(split.subset_of())
    back = build_split("cross-region-reverse", WHOLE)
    assert sorted((*back.train, *back.val)) == list(split.test)
    assert list(back.test) == sorted((*split.train, *split.val))


def test_cross_region_needs_both_services() -> None:
    with pytest.raises(SplitError, match="0 cis and 10 dmi training scenes with charts; expected"):
        build_split("cross-region", make_table(daily_scenes(10)))


def test_strict_drops_what_leaks() -> None:
    # CIS scene 0 is the very image of a DMI scene; 1 overlaps another a day later; 2 and 3 overlap
    # each other; 4 to 11 are alone.
    far = [square(10 * k, 75) for k in range(12)]
    cis = daily_scenes(12, "cis", start="2030-01-01")
    dmi = [cis[0].replace("cis", "dmi"), "20300104T120000_dmi"]
    footprints = [square(-100, 75), square(-60, 72), far[2], far[2], *far[4:]]
    table = make_table(
        [*cis, *dmi],
        footprint=[*footprints, square(-100, 75), square(-60, 72)],
        platform="S1A",
    )
    plain = build_split("cross-region", table)
    assert {leak.link.kind for leak in check_split(plain, table)} >= {"pass", "footprint"}
    strict = build_split("cross-region-strict", table)
    assert check_split(strict, table) == []
    assert sorted((*strict.train, *strict.val)) == cis[2:]
    assert strict.test == tuple(sorted(dmi))
    assert "2 cis scenes that leak into the test dropped" in strict.rule
    # The linked pair is on one side.
    assert len({strict.subset_of()[scene] for scene in cis[2:4]}) == 1


def test_strict_with_nothing_left_is_refused() -> None:
    ids = ["20300101T120000_cis", "20300101T120100_cis", "20300101T120200_dmi"]
    with pytest.raises(SplitError, match="0 scenes left without leaks"):
        build_split("cross-region-strict", make_table(ids))


def test_unknown_name() -> None:
    with pytest.raises(SplitError, match="split 'nope' is unknown; expected official, aspp-study"):
        build_split("nope", SMALL)


def test_writing_says_what_could_not_be(tmp_path: Path) -> None:
    results = {result.name: result for result in write_named_splits(tmp_path, SMALL)}
    assert list(results) == list(NAMED_SPLITS)
    assert results["aspp-study"].split is None
    assert "24 of the study's 24 validation scenes are not here" in str(
        results["aspp-study"].reason
    )
    written = [name for name, result in results.items() if result.split]
    assert split_names(tmp_path) == sorted(written)
    assert len(written) == 4
    assert explain_missing_splits(tmp_path, SMALL) == {"aspp-study": results["aspp-study"].reason}


def test_writing_again_follows_the_scenes(tmp_path: Path) -> None:
    write_named_splits(tmp_path, SMALL)
    created = Split("mine", "", None, (SMALL["scene_id"][0],), (), ())
    write_created_splits(tmp_path, [created])
    cis_only = SMALL[SMALL["scene_id"].str.endswith("cis")]
    write_named_splits(tmp_path, cis_only)
    # Cross-region became impossible; what the user created stays.
    assert split_names(tmp_path) == ["mine", "official"]
    assert read_split(tmp_path, "official") == build_split("official", cis_only)


def test_missing_but_possible_split_is_explained(tmp_path: Path) -> None:
    assert explain_missing_splits(tmp_path, SMALL)["official"].startswith(
        "possible but not written"
    )


def test_created_splits_are_written_all_or_none(tmp_path: Path) -> None:
    first, second = "20300101T000000_cis", "20300102T000000_cis"
    free, taken = (Split(name, "", None, (first,), (), ()) for name in ("free", "taken"))
    write_created_splits(tmp_path, [taken])
    changed = Split("taken", "", None, (second,), (), ())
    with pytest.raises(SplitError, match="split taken exists"):
        write_created_splits(tmp_path, [free, changed])
    assert split_names(tmp_path) == ["taken"]
    write_created_splits(tmp_path, [free, changed], overwrite=True)
    assert read_split(tmp_path, "taken") == changed


def test_published_names_are_reserved(tmp_path: Path) -> None:
    with pytest.raises(SplitError, match="split official is published"):
        write_created_splits(tmp_path, [Split("official", "", None, (), (), ())], overwrite=True)


@pytest.fixture(scope="module")
def released() -> pd.DataFrame:
    return read_released_scenes()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("official", (488, 24, 20)),
        ("aspp-study", (487, 24, 20)),
        ("cross-region", (197 - 24, 24, 315)),
        ("cross-region-reverse", (315 - 24, 24, 197)),
    ],
)
def test_published_sizes(released: pd.DataFrame, name: str, expected: tuple[int, int, int]) -> None:
    assert sizes(build_split(name, released)) == expected


def test_known_leaks_of_the_published_splits(released: pd.DataFrame) -> None:
    leaks = check_split(build_split("aspp-study", released), released)
    sides = [{leak.first_subset, leak.second_subset} for leak in leaks]
    # Six validation scenes and two test scenes have neighbours in training.
    assert sides.count({"train", "val"}) == 6
    tested = {
        scene
        for leak in leaks
        for scene, side in (
            (leak.link.first, leak.first_subset),
            (leak.link.second, leak.second_subset),
        )
        if side == "test"
    }
    assert tested == {"20200319T101935_cis", "20201013T080448_dmi"}


def test_both_services_charted_two_images(released: pd.DataFrame) -> None:
    leaks = check_split(build_split("cross-region", released), released)
    same = [leak.link.first[:15] for leak in leaks if leak.link.kind == "pass"]
    assert same == ["20200728T120112", "20210921T120121"]
    # Two more pairs share a data-take.
    assert len(leaks) == 4


def test_strict_has_no_leak(released: pd.DataFrame) -> None:
    strict = build_split("cross-region-strict", released)
    assert check_split(strict, released) == []
    assert sizes(strict) == (197 - 4 - 24, 24, 315)
