"""What a picture shows of a scene: read from the store, checked, and made small."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autoice_bench.charts import CHART_NAMES, FILL_VALUE
from autoice_bench.datasets.patches.geometry import Window
from autoice_bench.datasets.readers.pixels import TiePoints
from autoice_bench.datasets.readers.scene import SceneReader
from autoice_bench.formats.store_layout import CHARTS_ARRAY, DISTANCE_ARRAY, SAR_ARRAY
from autoice_bench.formats.variables import VARIABLES, destandardise
from autoice_bench.pictures.channels import WIND, WIND_SPEED, Channel
from autoice_bench.pictures.rasters import (
    Extent,
    block_extent,
    block_mean,
    cell_extent,
    choose_step,
    compute_north,
    cover_cells,
    find_valid,
    fit_window,
    flipped_axes,
    pick,
)


@dataclass(frozen=True)
class Layer:
    """A channel's values, in its units.

    Attributes:
        channel: the channel.
        values: (m, n) float32, NaN where there is none.
        extent: where they lie.
    """

    channel: Channel
    values: NDArray[np.float32]
    extent: Extent


@dataclass(frozen=True)
class ScenePicture:
    """A scene's window, small enough to show; arrays as stored, not flipped.

    Attributes:
        scene_id: the scene.
        attributes: of its group in the store.
        shape: (lines, samples) of the whole scene.
        window: what is shown.
        step: pixels along the side of a block.
        layers: the channels.
        charts: chart name to (m, n) uint8 classes; empty without labels.
        land: (m, n) pixels on land.
        valid: (m, n) pixels with SAR.
        extent: where charts, land and valid lie.
        flipped: whether lines and samples are reversed for display.
        north: unit vector along lines and samples that points north, if known.
        position: latitude and longitude of the tie point nearest to the middle, degrees.
    """

    scene_id: str
    attributes: Mapping[str, Any]
    shape: tuple[int, int]
    window: Window
    step: int
    layers: tuple[Layer, ...]
    charts: Mapping[str, NDArray[np.uint8]]
    land: NDArray[np.bool_]
    valid: NDArray[np.bool_]
    extent: Extent
    flipped: tuple[bool, bool]
    north: tuple[float, float] | None
    position: tuple[float, float]


def view_scene(
    scene: SceneReader, channels: Sequence[Channel], window: Window | None = None
) -> ScenePicture:
    """Read what a picture shows of a scene.

    Args:
        scene: an open scene.
        channels: the channels to show.
        window: pixels to show; None for all.

    Raises:
        StoreError: an array of the scene is missing or damaged.
        PictureError: the window does not lie in the scene.
    """
    shown = fit_window(window, scene.shape)
    step = choose_step(shown)
    sar = _read_pixels(scene, SAR_ARRAY.name, shown)
    zones = _read_pixels(scene, DISTANCE_ARRAY.name, shown)
    valid = find_valid(sar)
    picked_valid = pick(valid, step)
    pixels = {SAR_ARRAY.name: sar, DISTANCE_ARRAY.name: zones}
    has_charts = CHARTS_ARRAY.name in scene
    charts = pick(_read_pixels(scene, CHARTS_ARRAY.name, shown), step) if has_charts else ()
    ties = scene.tie_points()
    return ScenePicture(
        scene_id=scene.scene_id,
        attributes=scene.attributes,
        shape=scene.shape,
        window=shown,
        step=step,
        layers=tuple(_layer(scene, channel, pixels, valid, shown, step) for channel in channels),
        charts=dict(zip(CHART_NAMES, charts, strict=False)),
        land=pick(zones, step) == 0,
        valid=picked_valid,
        extent=block_extent(shown, step, picked_valid.shape),
        flipped=flipped_axes(scene.attributes["source_attributes"].get("flip")),
        north=compute_north(ties.latitude, ties.line, ties.sample, shown),
        position=_position(ties, shown),
    )


def _read_pixels(scene: SceneReader, name: str, window: Window) -> NDArray[Any]:
    array = scene.array(name)
    values = np.empty((*array.shape[:-2], window.lines, window.samples), array.dtype)
    array.read(window.line, window.sample, values)
    return values


def _layer(
    scene: SceneReader,
    channel: Channel,
    pixels: Mapping[str, NDArray[Any]],
    valid: NDArray[np.bool_],
    window: Window,
    step: int,
) -> Layer:
    if channel.array not in pixels:
        cells = cover_cells(window, scene.n_cells)
        return Layer(channel, _read_cells(scene, channel, cells), cell_extent(cells))
    stack = pixels[channel.array]
    if channel.array == SAR_ARRAY.name:
        means = block_mean(stack[scene.channels(SAR_ARRAY.name).index(channel.name)], valid, step)
        values = destandardise(VARIABLES[channel.name], means)
    else:
        values = pick(stack, step)
    return Layer(channel, values.astype(np.float32), block_extent(window, step, values.shape))


def _read_cells(scene: SceneReader, channel: Channel, cells: Window) -> NDArray[np.float32]:
    stack = _read_pixels(scene, channel.array, cells)
    names = WIND if channel == WIND_SPEED else (channel.name,)
    parts = [
        destandardise(VARIABLES[name], stack[scene.channels(channel.array).index(name)])
        for name in names
    ]
    return np.asarray(np.hypot(*parts) if len(parts) == 2 else parts[0], np.float32)


def _position(ties: TiePoints, window: Window) -> tuple[float, float]:
    line = int(np.abs(ties.line - window.line - window.lines / 2).argmin())
    sample = int(np.abs(ties.sample - window.sample - window.samples / 2).argmin())
    return float(ties.latitude[line, sample]), float(ties.longitude[line, sample])


def hide_unseen(
    classes: NDArray[np.uint8], view: ScenePicture, truth: NDArray[np.uint8] | None
) -> NDArray[np.uint8]:
    """Predicted classes, 255 where there is neither SAR nor a label: a model sees nothing there."""
    seen = view.valid if truth is None else view.valid | (truth != FILL_VALUE)
    return np.where(seen, classes, np.uint8(FILL_VALUE))
