"""A scene as an xarray dataset for people: one CF-described variable per chart and channel."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from autoice_bench.charts import CHART_NAMES, CHARTS
from autoice_bench.datasets.store.root import Store, open_store
from autoice_bench.errors import StoreError
from autoice_bench.formats.shard_writer import METADATA_NAME
from autoice_bench.formats.store_layout import (
    CHARTS_ARRAY,
    SCENE_ARRAYS,
    TIE_ARRAYS,
    channel_attributes,
    chart_attributes,
)
from autoice_bench.formats.variables import VARIABLES

if TYPE_CHECKING:
    import xarray as xr

_SHOWN: Final = (
    CHARTS_ARRAY,
    *(
        array
        for array in SCENE_ARRAYS
        if array.grid in ("pixels", "cells") and array is not CHARTS_ARRAY
    ),
)
"""What a scene is seen as: the charts first, then every other array of pixels or cells."""


def open_scene(store: Store | Path | str, scene_id: str) -> xr.Dataset:
    """Open one scene lazily, with one CF-described variable per chart and channel.

    Args:
        store: an open store or its path.
        scene_id: such as ``20180607T184326_dmi``.

    Returns:
        Dataset with ``SIC``, ``SOD``, ``FLOE`` (uint8, fill 255; absent where the scene has no
        labels), the SAR, AMSR2 and ERA5 channels under their source names (standardised),
        ``distance_map`` (zones), ``ice_type`` where the scene has it, and ``latitude``,
        ``longitude`` at the tie points (degrees).

    Raises:
        StoreError: no such store or scene.
    """
    import xarray as xr  # half a second that reading processes need not spend

    store = store if isinstance(store, Store) else open_store(store)
    path = store.scene_path(scene_id)
    if not (path / METADATA_NAME).is_file():
        raise StoreError(
            f"store {store.path}: no scene {scene_id} among its {len(store.scene_ids())} scenes"
        )
    stacked = xr.open_zarr(path, chunks=None)
    variables: dict[str, xr.DataArray] = {}
    for array in _SHOWN:
        if array.name not in stacked:
            continue
        if array.channel_dim is None:
            variables[array.name] = stacked[array.name]
        for index, channel in enumerate(array.channels):
            selected = stacked[array.name].isel({array.channel_dim: index}, drop=True)
            selected.attrs = _describe(channel)
            variables[channel] = selected
    coordinates = {name: stacked[name] for name in TIE_ARRAYS}
    dataset = xr.Dataset(variables, coords=coordinates, attrs=stacked.attrs)
    return dataset.drop_encoding()


def _describe(channel: str) -> dict[str, Any]:
    """CF attributes of a chart or of a standardised variable, by its name."""
    if channel in CHART_NAMES:
        return chart_attributes(CHARTS[CHART_NAMES.index(channel)])
    return channel_attributes(VARIABLES[channel])
