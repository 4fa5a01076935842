from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoice_bench.datasets.labels.egg_codes import EggCode
from autoice_bench.datasets.labels.rules import derive_labels
from autoice_bench.datasets.simulate.egg_builder import (
    Wanted,
    build_ice_code,
    build_water_code,
    type_fractions,
)

WANTED = st.builds(
    Wanted,
    sic=st.integers(1, 10),
    sod=st.sampled_from([1, 2, 3, 4, 5, 255]),
    floe=st.sampled_from([1, 2, 3, 4, 5, 6, 255]),
    stages=st.lists(st.integers(1, 5), min_size=1, unique=True).map(tuple),
)


@given(WANTED, st.integers(0, 2**32 - 1))
def test_codes_give_the_wanted_labels(wanted: Wanted, seed: int) -> None:
    code = build_ice_code(np.random.default_rng(seed), 7, wanted)
    assert code.poly_id == 7
    assert derive_labels(code) == wanted.labels


@given(WANTED, st.integers(0, 2**32 - 1))
def test_partials_add_up_and_thickest_comes_first(wanted: Wanted, seed: int) -> None:
    code = build_ice_code(np.random.default_rng(seed), 1, wanted)
    filled = [partial for partial in code.partials if partial > 0]
    assert len(filled) != 1  # a sole type leaves its concentration to CT
    if filled:
        assert sum(filled) == 10 * wanted.sic
        stages = [stage for stage in code.stages if 81 <= stage <= 97]
        assert len(stages) <= 3
    assert sum(type_fractions(code)) == pytest.approx(1)


@given(st.integers(0, 2**32 - 1))
def test_water_is_water(seed: int) -> None:
    assert derive_labels(build_water_code(np.random.default_rng(seed), 1)) == (0, 0, 0)


def test_type_fractions_of_a_real_mixture() -> None:
    # 2 tenths of old ice and 6 of first-year ice in 8 tenths: a quarter and three quarters.
    code = EggCode(1, 80, ca=20, sa=95, fa=6, cb=60, sb=93, fb=6)
    assert type_fractions(code) == (0.25, 0.75, 0)
    assert type_fractions(EggCode(1, 90, sa=93, fa=7)) == (1, 0, 0)
