"""Floats that mean whole numbers, and numbers shown with the digits that matter."""

from __future__ import annotations

import numpy as np
import pytest

from autoice_bench.formats.whole_numbers import round_to_whole, shown


def test_round_to_whole() -> None:
    values = np.array([3.0, 2.9999995, 3.00002, 3.5, np.nan, np.inf, -1.0])
    nearest, is_whole = round_to_whole(values)
    # 5e-7 is within a millionth, 2e-5 is not.
    assert is_whole.tolist() == [True, True, False, False, False, False, True]
    assert nearest[is_whole].tolist() == [3, 3, -1]


def test_tolerance_grows_with_the_number() -> None:
    # A float32 near 10 is 9.5e-7 from the next: two roundings are more than a millionth.
    nearly = np.nextafter(np.nextafter(np.float32(10), np.float32(0)), np.float32(0))
    assert abs(float(nearly) - 10) > 1e-6
    assert round_to_whole(np.array([nearly]))[1].all()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.float32(2.9999998), "2.9999998"),
        (np.float64(0.1), "0.1"),
        (np.int16(-9999), "-9999"),
        (np.float64(3.0), "3"),
        (np.float64(-np.inf), "-inf"),
        (np.float32(1e20), "1.00000002e+20"),
    ],
)
def test_shown(value: np.generic, text: str) -> None:
    assert shown(value) == text
