from __future__ import annotations

import numpy as np
import pytest

from autoice_bench.datasets.readers.memory import MemoryScene
from autoice_bench.errors import PatchError
from autoice_bench.formats.store_layout import ARRAYS_BY_NAME, PIXEL_ARRAYS

CELLS = np.arange(2 * 4 * 5, dtype=np.float32).reshape(2, 4, 5)
SCENE = MemoryScene((100, 125), (4, 5), {"era5": CELLS})


@pytest.mark.parametrize(
    ("lines", "samples"),
    [
        ([1, 2], [2, 3, 4]),
        ([0, 0, 1], [0, 1]),
        ([2, 3, 3, 3], [4, 4]),
        ([0, 1, 2, 3], [0, 0, 1, 2, 3, 4, 4]),
    ],
)
def test_cells_are_those_asked_for(lines: list[int], samples: list[int]) -> None:
    out = np.full((2, len(lines), len(samples)), -1, np.float32)
    SCENE.read_cells("era5", np.array(lines), np.array(samples), out)
    np.testing.assert_array_equal(out, CELLS[:, lines][:, :, samples])


@pytest.mark.parametrize("name", PIXEL_ARRAYS)
def test_beyond_the_scene_lies_nodata_or_no_label(name: str) -> None:
    array = ARRAYS_BY_NAME[name]
    leading = (len(array.channels),) if array.channels else ()
    scene = MemoryScene((2, 3), (1, 1), {name: np.ones((*leading, 2, 3), array.dtypes[0])})
    out = np.full((*leading, 4, 5), 9, array.dtypes[0])
    scene.read_pixels(name, -1, -1, out)
    # No label is 255, in ice types as in charts: 0 would be open water.
    beyond = {"charts": 255, "ice_type": 255}.get(name, 0)
    expected = np.full((4, 5), beyond)
    expected[1:3, 1:4] = 1
    np.testing.assert_array_equal(out, np.broadcast_to(expected, out.shape))


def test_positions_that_were_not_read_are_refused() -> None:
    with pytest.raises(PatchError, match="ask for the array 'positions'"):
        SCENE.tie_points()
