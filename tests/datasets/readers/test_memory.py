from __future__ import annotations

import numpy as np
import pytest

from autoice_bench.datasets.readers.memory import MemoryScene
from autoice_bench.errors import PatchError

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


def test_positions_that_were_not_read_are_refused() -> None:
    with pytest.raises(PatchError, match="ask for the array 'positions'"):
        SCENE.tie_points()
