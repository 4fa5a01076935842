"""Which patches an epoch holds."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from autoice_bench.datasets.patches.eligible import find_eligible
from autoice_bench.datasets.patches.plan import PatchPlan


def plan(seed: int = 0, **counts: int) -> PatchPlan:
    """Scene a: 3 x 3 origins; scene b: its two rightmost columns of origins, 3 x 2."""
    everywhere = find_eligible(np.ones((6, 6), bool), 4, 16)
    valid = np.ones((6, 6), bool)
    valid[:, 0] = False
    return PatchPlan(seed, (("a", everywhere), ("b", find_eligible(valid, 4, 16))), **counts)


def test_patches_per_scene_are_exactly_that() -> None:
    drawn = plan(patches_per_scene=20)
    assert len(drawn) == 40
    scenes = [drawn.draw(3, index).scene_id for index in range(40)]
    assert Counter(scenes) == {"a": 20, "b": 20}
    assert scenes != sorted(scenes)


def test_patches_per_epoch_draw_scenes_uniformly() -> None:
    drawn = plan(patches_per_epoch=2000)
    assert len(drawn) == 2000
    share = Counter(drawn.draw(0, index).scene_id for index in range(2000))["a"] / 2000
    assert share == pytest.approx(0.5, abs=0.05)


def test_windows_are_drawn_uniformly_among_the_eligible_ones() -> None:
    drawn = plan(patches_per_scene=1500)
    patches = [drawn.draw(0, index) for index in range(3000)]
    origins = Counter((p.line, p.sample) for p in patches if p.scene_id == "b")
    assert sorted(origins) == [(line, sample) for line in range(3) for sample in (1, 2)]
    assert min(origins.values()) > 1500 / 6 * 0.8


def test_seed_epoch_and_index_decide_every_patch() -> None:
    first = [plan(patches_per_scene=20).draw(1, index) for index in range(40)]
    again = plan(patches_per_scene=20)
    assert [again.draw(1, index) for index in reversed(range(40))] == first[::-1]
    assert [again.draw(2, index) for index in range(40)] != first
    assert [plan(seed=1, patches_per_scene=20).draw(1, index) for index in range(40)] != first


def test_an_index_beyond_the_epoch_is_an_error() -> None:
    with pytest.raises(IndexError, match="patch 40 of 40"):
        plan(patches_per_scene=20).draw(0, 40)
