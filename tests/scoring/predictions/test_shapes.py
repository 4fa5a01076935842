"""What charts of another shape seem to be."""

from __future__ import annotations

import pytest

from autoice_bench.scoring.predictions.shapes import describe_shape


@pytest.mark.parametrize(
    ("found", "says"),
    [
        ((5213, 4999), "it seems transposed"),
        ((500, 522), "it seems to be at 800 m; repeat each pixel 10 times"),  # 499.9, 521.3 up
        ((499, 521), "it seems to be at 800 m"),  # and down
        ((2500, 2607), "it seems to be at 160 m"),
        ((199, 208), "it seems to be at 2000 m"),
        ((9999, 10426), "it seems to be at 40 m; take every second pixel"),
        ((1, 4999, 5213), "write it without the axes of length 1"),
        ((3, 4999, 5213), "it has 3 dimensions"),
        ((4999,), "it has 1 dimension;"),
    ],
)
def test_shapes_that_tell_something(found: tuple[int, ...], says: str) -> None:
    assert describe_shape(found, (4999, 5213)).startswith(f": {says}")


def test_shape_that_tells_nothing() -> None:
    assert describe_shape((4998, 5000), (4999, 5213)) == ""
