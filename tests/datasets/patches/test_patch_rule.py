from __future__ import annotations

import pytest

from autoice_bench.datasets.patches.patch_rule import choose_required, count_required
from autoice_bench.errors import PatchError


def test_count_required_of_both_rules() -> None:
    """768² = 589,824 pixels, 30 % are 176,947.2: at most 176,947 masked; more than that valid."""
    assert count_required(768, max_masked=0.3) == 589_824 - 176_947
    assert count_required(768, min_valid=0.3) == 176_948
    # Exactly at the share: 30 of 100 pixels may be masked; 30 valid ones are not more than 30 %.
    assert count_required(10, max_masked=0.3) == 70
    assert count_required(10, min_valid=0.3) == 31


@pytest.mark.parametrize("rules", [{}, {"max_masked": 0.1, "min_valid": 0.1}, {"max_masked": 1.5}])
def test_count_required_refuses(rules: dict[str, float]) -> None:
    with pytest.raises(PatchError):
        count_required(10, **rules)


def test_one_rule_is_chosen_and_the_study_s_without_any() -> None:
    assert choose_required(10, None, None, None) == 70  # at most 30 % masked
    assert choose_required(10, 0.5, None, None) == 50
    assert choose_required(10, None, 0.5, None) == 51
    assert choose_required(10, None, None, 7) == 7


@pytest.mark.parametrize("rules", [(0.1, 0.1, None), (0.1, None, 5), (None, None, 101)])
def test_more_than_one_rule_is_refused(
    rules: tuple[float | None, float | None, int | None],
) -> None:
    with pytest.raises(PatchError, match="expected"):
        choose_required(10, *rules)
