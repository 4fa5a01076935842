"""A scene as an xarray dataset for people: one CF-described variable per chart and channel."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoice_bench.charts import CHARTS, FILL_VALUE
from autoice_bench.datasets.store.root import Store, open_store
from autoice_bench.errors import StoreError
from autoice_bench.formats.shard_writer import METADATA_NAME
from autoice_bench.formats.variables import (
    AMSR2_VARIABLES,
    DISTANCE_MAP,
    ERA5_VARIABLES,
    SAR_VARIABLES,
    Variable,
)

if TYPE_CHECKING:
    import xarray as xr


def open_scene(store: Store | Path | str, scene_id: str) -> xr.Dataset:
    """Open one scene lazily, with one CF-described variable per chart and channel.

    Args:
        store: an open store or its path.
        scene_id: such as ``20180607T184326_dmi``.

    Returns:
        Dataset with ``SIC``, ``SOD``, ``FLOE`` (uint8, fill 255; absent where the scene has no
        labels), the SAR, AMSR2 and ERA5 channels under their source names (standardised),
        ``distance_map`` (zones), and ``latitude``, ``longitude`` at the tie points (degrees).

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
    if "charts" in stacked:
        for index, chart in enumerate(CHARTS):
            variables[chart.name] = _select(stacked["charts"], "chart", index).assign_attrs(
                chart_attributes(chart)
            )
    for name, dim, table in (
        ("sar", "sar_channel", SAR_VARIABLES),
        ("amsr2", "amsr2_channel", AMSR2_VARIABLES),
        ("era5", "era5_channel", ERA5_VARIABLES),
    ):
        for index, variable in enumerate(table):
            variables[variable.name] = _select(stacked[name], dim, index).assign_attrs(
                channel_attributes(variable)
            )
    variables[DISTANCE_MAP.name] = stacked[DISTANCE_MAP.name]
    coordinates = {
        name: stacked[name] for name in ("latitude", "longitude", "tie_line", "tie_sample")
    }
    dataset = xr.Dataset(variables, coords=coordinates, attrs=stacked.attrs)
    return dataset.drop_encoding()


def _select(array: xr.DataArray, dim: str, index: int) -> xr.DataArray:
    selected = array.isel({dim: index}, drop=True)
    selected.attrs = {}
    return selected


def _flag_word(name: str) -> str:
    return name.replace(" %", "_percent").replace(" ", "_").replace("-", "_")


def chart_attributes(chart: Any) -> dict[str, Any]:
    """CF attributes of a chart: flag values and meanings, and the value of unlabelled pixels."""
    return {
        "long_name": chart.long_name,
        "flag_values": list(range(chart.n_classes)),
        "flag_meanings": " ".join(_flag_word(name) for name in chart.class_names),
        "missing_value": FILL_VALUE,
    }


def channel_attributes(variable: Variable) -> dict[str, Any]:
    """Attributes of a standardised channel: what it is and how to undo the standardisation."""
    return {
        "long_name": f"standardised {variable.long_name}",
        "units": "1",
        "standardisation_mean": variable.mean,
        "standardisation_std": variable.std,
        "standardisation_units": variable.units,
    }
