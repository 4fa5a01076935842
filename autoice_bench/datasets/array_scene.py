"""A scene file in memory that is read like a scene of a store, for predicting without one."""

from __future__ import annotations

from dataclasses import dataclass

from autoice_bench.datasets.downscaling import DownscaleMethod, Downscaling, downscale_array
from autoice_bench.datasets.memory_scene import MemoryScene
from autoice_bench.datasets.patch_reader import WindowReader
from autoice_bench.datasets.patches import Geometry
from autoice_bench.datasets.scenes import SceneArrays
from autoice_bench.datasets.variables import GridAnchor
from autoice_bench.datasets.window_reader import TiePoints


@dataclass(frozen=True)
class _OneScene:
    held: MemoryScene

    def scene(self, scene_id: str) -> MemoryScene:
        return self.held


def open_array_windows(
    scene: SceneArrays,
    *,
    arrays: frozenset[str],
    grid_anchor: GridAnchor = "centre",
    downscale: int = 1,
    downscale_method: DownscaleMethod = "nearest",
) -> WindowReader:
    """What ``patch_sources.open_windows`` gives of a store, of one scene that is in none.

    Args:
        scene: in the store's dtypes.
        arrays: what to read.
        grid_anchor: which pixel of its cell a 2 km value belongs to.
        downscale, downscale_method: as there.

    Raises:
        PatchError: an array that does not exist, or a ratio below 1.
    """
    pixels = {"sar": scene.sar, "distance_map": scene.distance_map}
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
        arrays={**pixels, "amsr2": scene.amsr2, "era5": scene.era5},
        points=find_tie_points(scene),
    )
    geometry = Geometry(step=downscale, centred=downscale_method == "area", anchor=grid_anchor)
    return WindowReader(_OneScene(held), geometry, arrays)


def find_tie_points(scene: SceneArrays) -> TiePoints:
    """Where a scene lies."""
    return TiePoints(scene.latitude, scene.longitude, scene.tie_line, scene.tie_sample)
