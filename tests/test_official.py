from __future__ import annotations

import pytest

from autoice_bench.official import OFFICIAL_TEST, STUDY_OMITTED, STUDY_VALIDATION, WITHDRAWN
from autoice_bench.scene_id import parse_scene_id
from tests.oracles import SCENES, read_rows

LISTS = {
    "OFFICIAL_TEST": OFFICIAL_TEST,
    "STUDY_VALIDATION": STUDY_VALIDATION,
    "STUDY_OMITTED": STUDY_OMITTED,
    "WITHDRAWN": WITHDRAWN,
}


@pytest.mark.parametrize(
    ("name", "cis", "dmi"),
    [
        # Published counts: 20 test scenes, 12 Canadian and 8 of Greenland; 24, 1 and 1 others.
        ("OFFICIAL_TEST", 12, 8),
        ("STUDY_VALIDATION", 13, 11),
        ("STUDY_OMITTED", 0, 1),
        ("WITHDRAWN", 0, 1),
    ],
)
def test_counts_by_service(name: str, cis: int, dmi: int) -> None:
    services = [parse_scene_id(scene).ice_service for scene in LISTS[name]]
    assert (services.count("cis"), services.count("dmi")) == (cis, dmi)


@pytest.mark.parametrize("name", LISTS)
def test_lists_are_sorted_and_hold_plain_ids(name: str) -> None:
    assert list(LISTS[name]) == sorted(set(LISTS[name]))
    assert [str(parse_scene_id(scene)) for scene in LISTS[name]] == list(LISTS[name])


def test_no_scene_is_in_two_lists() -> None:
    everything = [scene for scenes in LISTS.values() for scene in scenes]
    assert len(everything) == len(set(everything))


def test_lists_agree_with_the_released_scenes() -> None:
    subset = {row["scene_id"]: row["split"] for row in read_rows(SCENES)}
    assert {scene for scene, split in subset.items() if split == "test"} == set(OFFICIAL_TEST)
    assert all(subset[scene] == "train" for scene in (*STUDY_VALIDATION, *STUDY_OMITTED))
    # 512 less 24 less the omitted one: the study's 487.
    assert list(subset.values()).count("train") - len(STUDY_VALIDATION) - len(STUDY_OMITTED) == 487
    assert not set(WITHDRAWN) & set(subset)
