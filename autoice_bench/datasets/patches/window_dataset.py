"""One window of a scene as an xarray dataset: pixels, and the 2 km cells that cover it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from autoice_bench.datasets.patches.geometry import cells_under
from autoice_bench.datasets.readers.scene import open_scene_reader
from autoice_bench.datasets.store.root import Store
from autoice_bench.formats.store_layout import CELL_ARRAYS, PIXEL_ARRAYS
from autoice_bench.formats.variables import GRID_2KM_DIMS, SAR_DIMS

if TYPE_CHECKING:
    import xarray as xr


def read_window(
    store: Store | Path | str, scene_id: str, line: int, sample: int, lines: int, samples: int
) -> xr.Dataset:
    """Read a window of a scene: its pixels, and the 2 km cells that cover it.

    Args:
        store: an open store or its path.
        scene_id: such as ``20180607T184326_dmi``.
        line, sample: first pixel.
        lines, samples: size of the window in pixels. It may reach beyond the scene, but must touch
            it; outside, charts and ice types are 255 and everything else is 0.

    Returns:
        Dataset in memory, with the arrays of pixels that the scene has, as stored (``sar``,
        ``charts``, ``distance_map``, ``ice_type``), and the cells of ``amsr2`` and ``era5`` under
        the window with one more on each side, where the grid has one, to interpolate with. The
        coordinates ``sar_lines``, ``sar_samples``, ``2km_grid_lines``, ``2km_grid_samples`` count
        pixels and cells from the scene's first one; the channels carry their names.

    Raises:
        StoreError: no such store or scene, or a file is missing or damaged.
        ValueError: the window does not touch the scene.
    """
    import xarray as xr  # half a second that reading processes need not spend

    scene = open_scene_reader(store, scene_id)
    starts, extents = (line, sample), (lines, samples)
    if any(
        extent < 1 or start >= size or start + extent <= 0
        for start, extent, size in zip(starts, extents, scene.shape, strict=True)
    ):
        raise ValueError(
            f"window {lines}x{samples} at ({line}, {sample}) is outside scene {scene_id} of "
            f"{scene.shape[0]}x{scene.shape[1]} pixels"
        )
    cells = [
        np.arange(*cells_under(start, extent, n_cells, margin=1))
        for start, extent, n_cells in zip(starts, extents, scene.n_cells, strict=True)
    ]
    coordinates: dict[str, Any] = {
        **{
            dim: np.arange(start, start + extent)
            for dim, start, extent in zip(SAR_DIMS, starts, extents, strict=True)
        },
        **dict(zip(GRID_2KM_DIMS, cells, strict=True)),
    }
    variables: dict[str, Any] = {}
    for name in (name for name in (*PIXEL_ARRAYS, *CELL_ARRAYS) if name in scene):
        array = scene.array(name)
        is_pixels = name in PIXEL_ARRAYS
        size = extents if is_pixels else (cells[0].size, cells[1].size)
        values = np.empty((*array.shape[:-2], *size), array.dtype)
        if is_pixels:
            scene.read_pixels(name, line, sample, values)
        else:
            array.read(int(cells[0][0]), int(cells[1][0]), values)
        channel_dims = scene.dims(name)[:-2]
        coordinates |= {dim: list(scene.channels(name)) for dim in channel_dims}
        variables[name] = (scene.dims(name), values)
    return xr.Dataset(variables, coordinates, {"scene_id": scene_id})
