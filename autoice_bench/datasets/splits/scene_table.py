"""The scene table that splits are made from: a store's index or any table like it.

Callers read a store's with ``store.index.read_index``, which knows how to tell a damaged one.

A split needs, per scene: ``scene_id`` (str), ``subset`` (``train`` or ``test``, the official one),
``acquisition_time`` (UTC timestamp), ``has_charts`` (bool) and the pixel counts ``SIC_0`` ..
``FLOE_6``. ``ice_service``, ``platform``, ``data_take`` and ``footprint`` are used where present.
"""

from __future__ import annotations

from typing import Final

import pandas as pd

from autoice_bench.charts import CHARTS
from autoice_bench.errors import SplitError
from autoice_bench.official import WITHDRAWN

CLASS_COLUMNS: Final = {
    chart.name: tuple(f"{chart.name}_{k}" for k in range(chart.n_classes)) for chart in CHARTS
}
"""Names of the count columns of each chart, in class order, the fill value left out."""

REQUIRED_COLUMNS: Final = (
    "scene_id",
    "subset",
    "acquisition_time",
    "has_charts",
    *(column for columns in CLASS_COLUMNS.values() for column in columns),
)


def validate_split_index(index: pd.DataFrame) -> pd.DataFrame:
    """Return ``index`` sorted by scene id, without the withdrawn scenes.

    Raises:
        SplitError: a required column is missing or a scene occurs twice.
    """
    missing = [column for column in REQUIRED_COLUMNS if column not in index.columns]
    if missing:
        raise SplitError(f"scene table: column {', '.join(missing)} missing; see docs/splits.md")
    duplicated = index["scene_id"][index["scene_id"].duplicated()]
    if len(duplicated):
        raise SplitError(f"scene table: scene {duplicated.iloc[0]} occurs twice; expected once")
    kept = index[~index["scene_id"].isin(WITHDRAWN)]
    return kept.sort_values("scene_id", ignore_index=True)


def select_training(index: pd.DataFrame, ice_service: str | None = None) -> pd.DataFrame:
    """Rows that may train or validate: official training scenes that have charts.

    Args:
        index: a validated scene table.
        ice_service: ``cis`` or ``dmi`` keeps only that service's scenes.
    """
    keep = (index["subset"] == "train") & index["has_charts"].astype(bool)
    if ice_service is not None:
        keep &= index["scene_id"].str.endswith(f"_{ice_service}")
    return index[keep].reset_index(drop=True)


def select_official_test(index: pd.DataFrame) -> tuple[str, ...]:
    """Ids of the official test scenes in a table, with or without charts."""
    return tuple(index.loc[index["subset"] == "test", "scene_id"])
