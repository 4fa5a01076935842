"""Windows of one scene that is in memory and in no store, such as a file to be predicted."""

from __future__ import annotations

from dataclasses import dataclass

from autoice_bench.datasets.patches.geometry import Geometry
from autoice_bench.datasets.patches.windows import SceneWindows
from autoice_bench.datasets.readers.memory import MemoryScene
from autoice_bench.datasets.readers.pixels import TiePoints
from autoice_bench.datasets.sources.scene_arrays import SceneArrays
from autoice_bench.datasets.store.downscaling import (
    DOWNSCALED_ARRAYS,
    DownscaleMethod,
    Downscaling,
    downscale_array,
)
from autoice_bench.formats.store_layout import CELL_ARRAYS, CHARTS_ARRAY
from autoice_bench.formats.variables import GridAnchor


def open_array_windows(
    scene: SceneArrays,
    *,
    arrays: frozenset[str],
    grid_anchor: GridAnchor = "centre",
    downscale: int = 1,
    downscale_method: DownscaleMethod = "nearest",
) -> SceneWindows:
    """What ``opening.open_windows`` gives of a store, of one scene that is in none.

    Its charts are left out: they are what is to be predicted.

    Args:
        scene: in the store's dtypes.
        arrays: what to read.
        grid_anchor: which pixel of its cell a 2 km value belongs to.
        downscale, downscale_method: as there.

    Raises:
        PatchError: an array that does not exist, or a ratio below 1.
    """
    stored = scene.by_name()
    pixels = {name: stored[name] for name in DOWNSCALED_ARRAYS if name != CHARTS_ARRAY.name}
    if downscale != 1:
        how = Downscaling(downscale, downscale_method)
        pixels = {
            name: downscale_array(name, values, how)
            for name, values in pixels.items()
            if name in arrays
        }
    held = MemoryScene(
        shape=(-(-scene.sar.shape[1] // downscale), -(-scene.sar.shape[2] // downscale)),
        n_cells=(scene.amsr2.shape[1], scene.amsr2.shape[2]),
        arrays=pixels | {name: stored[name] for name in CELL_ARRAYS},
        points=find_tie_points(scene),
    )
    geometry = Geometry(step=downscale, centred=downscale_method == "area", anchor=grid_anchor)
    return SceneWindows(_OneScene(held), geometry, arrays)


def find_tie_points(scene: SceneArrays) -> TiePoints:
    """Where a scene lies."""
    return TiePoints(scene.latitude, scene.longitude, scene.tie_line, scene.tie_sample)


@dataclass(frozen=True)
class _OneScene:
    """A collection of the one scene, whatever it is called."""

    held: MemoryScene

    def scene(self, scene_id: str) -> MemoryScene:
        return self.held
