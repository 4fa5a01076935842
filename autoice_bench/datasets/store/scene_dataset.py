"""A scene as an xarray dataset for people: one CF-described variable per chart and channel."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from autoice_bench.charts import CHART_NAMES, CHARTS, FILL_VALUE
from autoice_bench.datasets.store.root import Store, open_store
from autoice_bench.errors import StoreError
from autoice_bench.formats.decoding import decoding
from autoice_bench.formats.plain_files import is_there
from autoice_bench.formats.scene_document import read_scene_document
from autoice_bench.formats.shards import ZARR_METADATA
from autoice_bench.formats.store_layout import (
    CHARTS_ARRAY,
    ICE_TYPE_ARRAY,
    SCENE_ARRAYS,
    TIE_ARRAYS,
    channel_attributes,
    chart_attributes,
)
from autoice_bench.formats.variables import (
    DISTANCE_MAP,
    SAR_NODATA,
    SAR_VARIABLES,
    VARIABLES,
    Variable,
)
from autoice_bench.formats.zarr_safety import require_safe_group

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


def open_scene(
    store: Store | Path | str, scene_id: str, *, mask: bool = False, physical: bool = False
) -> xr.Dataset:
    """Open one scene lazily, with one CF-described variable per chart and channel.

    Args:
        store: an open store or its path.
        scene_id: such as ``20180607T184326_dmi``.
        mask: NaN in place of the 255 of unlabelled pixels and of the 0 of SAR nodata, as plots and
            statistics expect; charts become float32. Needs dask to stay lazy.
        physical: channels in their units (dB, degrees, K, m s-1, kg m-2) in place of standardised;
            float32. SAR nodata is masked then, for it has no value in dB.

    Returns:
        Dataset with ``SIC``, ``SOD``, ``FLOE`` (uint8, fill 255; absent where the scene has no
        labels), the SAR, AMSR2 and ERA5 channels under their source names (standardised),
        ``distance_map`` (zones), ``ice_type`` where the scene has it, and ``latitude``,
        ``longitude`` at the tie points (degrees).

    Raises:
        StoreError: no such store or scene, or the scene is not what a store holds.
    """
    import xarray as xr  # half a second that reading processes need not spend

    store = store if isinstance(store, Store) else open_store(store)
    stacked = open_stacked(store, scene_id, chunks={} if mask or physical else None)
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
    if mask or physical:
        _mask_sar(variables)
    if mask:
        _mask_labels(variables)
    if physical:
        variables |= {
            name: _destandardise(variables[name], VARIABLES[name])
            for name in variables.keys() & VARIABLES.keys() - {DISTANCE_MAP.name}
        }
    coordinates = {name: stacked[name] for name in TIE_ARRAYS}
    dataset = xr.Dataset(variables, coords=coordinates, attrs=stacked.attrs)
    return dataset.drop_encoding()


def open_stacked(
    store: Store, scene_id: str, *, chunks: dict[str, int] | None = None
) -> xr.Dataset:
    """Open one scene with xarray as it is stored: channels and charts along a dimension each.

    Args:
        store: an open store.
        scene_id: such as ``20180607T184326_dmi``.
        chunks: as xarray takes it; None reads without dask.

    Raises:
        StoreError: no such scene, or it cannot be opened safely.
    """
    import xarray as xr

    path = store.scene_path(scene_id)
    if not is_there(path / ZARR_METADATA):
        raise StoreError(
            f"store {store.path}: no scene {scene_id} among its {len(store.scene_ids())} scenes"
        )
    try:
        with decoding(StoreError, f"scene {scene_id}: {path}"):
            read_scene_document(path)
            require_safe_group(path)
            scene: xr.Dataset = xr.open_zarr(path, chunks=chunks, zarr_format=3)
    except FileNotFoundError as error:
        raise StoreError(f"scene {scene_id}: cannot be opened: {error}") from error
    return scene


def _mask_sar(variables: dict[str, xr.DataArray]) -> None:
    """NaN where all SAR channels are 0: one of them alone may be 0 by its value."""
    names = [variable.name for variable in SAR_VARIABLES]
    valid = variables[names[0]] != SAR_NODATA
    for name in names[1:]:
        valid = valid | (variables[name] != SAR_NODATA)
    for name in names:
        with_nan = variables[name].astype(np.float32).where(valid)
        variables[name] = with_nan.assign_attrs(variables[name].attrs)


def _mask_labels(variables: dict[str, xr.DataArray]) -> None:
    """NaN where a pixel has no label, in the charts and the ice types."""
    for name in variables.keys() & {*CHART_NAMES, ICE_TYPE_ARRAY.name}:
        stored = variables[name]
        masked = stored.astype(np.float32).where(stored != FILL_VALUE)
        # NaN says it now; a missing_value beside it would be encoded a second time.
        masked.attrs = {key: item for key, item in stored.attrs.items() if key != "missing_value"}
        variables[name] = masked


def _destandardise(values: xr.DataArray, variable: Variable) -> xr.DataArray:
    """A channel in its units, as CF describes it."""
    physical = values.astype(np.float32) * np.float32(variable.std) + np.float32(variable.mean)
    # Not added to those it has: who reads `standardisation_mean` would undo it a second time.
    physical.attrs = {"long_name": variable.long_name, "units": variable.units}
    return physical


def _describe(channel: str) -> dict[str, Any]:
    """CF attributes of a chart or of a standardised variable, by its name."""
    if channel in CHART_NAMES:
        return chart_attributes(CHARTS[CHART_NAMES.index(channel)])
    return channel_attributes(VARIABLES[channel])
