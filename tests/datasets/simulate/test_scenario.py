from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from autoice_bench.datasets.simulate.scenario import plan_scenes
from autoice_bench.datasets.simulate.scene_spec import CASES
from autoice_bench.errors import SceneError
from autoice_bench.scene_id import parse_original_id, scene_id_of_original

SIZE = (1000, 1046)


def test_training_scenes_come_first_and_names_are_unique() -> None:
    specs = plan_scenes(30, 10, SIZE, 4, "none")
    assert [spec.subset for spec in specs] == ["train"] * 30 + ["test"] * 10
    assert len({str(spec.scene_id) for spec in specs}) == 40
    assert all(spec.scene_id.acquisition_time.year >= 2030 for spec in specs)


def test_services_and_water_follow_the_released_set() -> None:
    specs = plan_scenes(200, 0, SIZE, 0, "none")
    cis = np.mean([spec.scene_id.ice_service == "cis" for spec in specs])
    assert cis == pytest.approx(0.4, abs=0.06)
    # 60 % of scene means: the released mean over scenes of the open-water share is 0.57 +- 0.03.
    water = np.mean([spec.open_water for spec in specs])
    assert water == pytest.approx(0.57, abs=0.06)
    assert np.median([spec.charted for spec in specs]) == pytest.approx(0.58, abs=0.06)


def test_raw_name_agrees_with_the_scene() -> None:
    for spec in plan_scenes(20, 4, SIZE, 1, "none"):
        original = parse_original_id(spec.original_id)
        assert scene_id_of_original(spec.original_id) == spec.scene_id
        assert original.region == spec.region.name
        assert spec.original_id[17:32] + "_" + spec.original_id[77:80] == str(spec.scene_id)


def test_some_scenes_share_a_pass() -> None:
    specs = plan_scenes(12, 3, SIZE, 0, "none")
    passes = Counter(parse_original_id(spec.original_id).data_take for spec in specs)
    assert max(passes.values()) >= 2
    first_test = specs[12]
    assert passes[parse_original_id(first_test.original_id).data_take] >= 2
    for left, right in pairwise(sorted(specs, key=lambda spec: spec.scene_id)):
        a, b = parse_original_id(left.original_id), parse_original_id(right.original_id)
        if a.data_take == b.data_take:
            gap = right.scene_id.acquisition_time - left.scene_id.acquisition_time
            assert gap.total_seconds() == 60
            assert (a.platform, a.absolute_orbit) == (b.platform, b.absolute_orbit)


@pytest.mark.parametrize(
    ("n_scenes", "option", "expected"),
    [(15, "auto", 0), (16, "auto", 7), (7, "all", 7), (40, "none", 0)],
)
def test_cases_by_option(n_scenes: int, option: str, expected: int) -> None:
    specs = plan_scenes(n_scenes, 0, SIZE, 0, option)  # type: ignore[arg-type]
    found = [spec.case for spec in specs if spec.case]
    assert len(found) == expected
    assert set(found) == (set(CASES) if expected else set())


def test_what_the_cases_change() -> None:
    specs = {spec.case: spec for spec in plan_scenes(8, 2, SIZE, 0, "all")}
    assert specs["odd size"].shape == (999, 1045)
    assert specs["short frame"].shape == (600, 1046)
    assert specs["short frame"].n_tie_lines == 13
    assert specs["all water"].open_water == 1
    assert max(specs["smaller than a patch"].shape) < 768
    # Fewer charted pixels than 70 % of one 768 x 768 patch.
    masked = specs["mostly masked"]
    assert masked.charted * np.prod(masked.shape) < 0.7 * 768**2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 0, SIZE, 0, "none"), "at least one scene"),
        ((-1, 2, SIZE, 0, "none"), "-1 training"),
        ((2, 1, (100, 500), 0, "none"), "size 100,500; expected at least 200"),
        ((2, 1, SIZE, -3, "none"), "seed -3; expected 0 or more"),
        ((3, 1, SIZE, 0, "all"), "makes 7 special scenes, but only 4"),
    ],
)
def test_impossible_plans_are_refused(arguments: tuple[object, ...], message: str) -> None:
    with pytest.raises(SceneError, match=message):
        plan_scenes(*arguments)  # type: ignore[arg-type]


def test_other_seed_other_plan() -> None:
    names = {
        seed: {spec.original_id for spec in plan_scenes(5, 0, SIZE, seed, "none")}
        for seed in (0, 1)
    }
    assert not names[0] & names[1]
