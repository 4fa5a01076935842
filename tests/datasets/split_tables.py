"""Scene tables for the tests of splits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from autoice_bench.datasets.splits.scene_table import CLASS_COLUMNS
from autoice_bench.official import OFFICIAL_TEST
from autoice_bench.scene_id import parse_scene_id


def make_table(scene_ids: Sequence[str], seed: int = 0, **columns: Any) -> pd.DataFrame:
    """A scene table with made-up counts; official test scenes are those of the published list.

    ``columns`` replace or add whole columns.
    """
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({"scene_id": list(scene_ids)})
    times = [parse_scene_id(scene).acquisition_time for scene in scene_ids]
    table["acquisition_time"] = pd.to_datetime(times, utc=True)
    table["subset"] = np.where(table["scene_id"].isin(OFFICIAL_TEST), "test", "train")
    table["has_charts"] = True
    for names in CLASS_COLUMNS.values():
        for name in names:
            table[name] = pd.array(rng.integers(0, 1000, len(table)), dtype="Int64")
    return table.assign(**columns)


def daily_scenes(n: int, service: str = "dmi", start: str = "2030-01-01") -> list[str]:
    """``n`` scene ids, two days apart, so that no two share a pass."""
    days = pd.date_range(f"{start} 12:00:00", periods=n, freq="2D")
    return [f"{day:%Y%m%dT%H%M%S}_{service}" for day in days]


def square(longitude: float, latitude: float, half: float = 1.0) -> str:
    """WKT of a box of ``2 * half`` degrees of latitude and as wide at its middle."""
    wide = half / np.cos(np.radians(latitude))
    corners = [(-wide, -half), (wide, -half), (wide, half), (-wide, half), (-wide, -half)]
    points = ", ".join(f"{longitude + x:.6f} {latitude + y:.6f}" for x, y in corners)
    return f"POLYGON (({points}))"
