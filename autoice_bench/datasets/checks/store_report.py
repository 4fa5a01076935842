"""What a person wants to know of a store: scenes, classes, sizes, splits, fingerprint."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import pandas as pd

from autoice_bench.charts import CHARTS
from autoice_bench.datasets.store.index import read_index
from autoice_bench.datasets.store.root import Store
from autoice_bench.formats.split_file import read_splits


@dataclass(frozen=True)
class StoreReport:
    """Summary of a store; counts are scenes unless named otherwise.

    Attributes:
        path, state, simulated, dtype, label_rule, fingerprint: as the store's root says.
        overviews: how the scenes are also stored downscaled, such as ``10:nearest``.
        n_scenes, n_without_charts: scenes in all, and those without labels.
        n_bytes, n_source_bytes: size of the store's scenes, and of the files they came from.
        by_subset, by_service, by_region, by_year: scenes per group.
        class_percent: per chart, percent of labelled pixels per class name.
        valid_percent: pixels with a valid SIC, percent of all pixels of labelled scenes.
        splits: per split the number of train, val and test scenes.
    """

    path: str
    state: str
    simulated: bool
    dtype: str
    label_rule: str
    overviews: list[str]
    fingerprint: str | None
    n_scenes: int
    n_without_charts: int
    n_bytes: int
    n_source_bytes: int
    by_subset: dict[str, int]
    by_service: dict[str, int]
    by_region: dict[str, int]
    by_year: dict[str, int]
    class_percent: dict[str, dict[str, float]]
    valid_percent: float | None
    splits: dict[str, dict[str, int]]


def report_store(store: Store) -> StoreReport:
    """Summarise a store from its index.

    Raises:
        StoreError: a scene's metadata is damaged.
        SplitError: a split file is damaged.
    """
    index = read_index(store)
    labelled = index[index["has_charts"].astype(bool)]
    pixels = int((labelled["sar_lines"] * labelled["sar_samples"]).sum())
    valid = pixels - int(labelled["SIC_255"].sum())
    rule = store.options.label_rule
    return StoreReport(
        path=str(store.path),
        state=store.state,
        simulated=store.options.simulated,
        dtype=store.options.dtype,
        label_rule=str(rule),
        overviews=[str(how) for how in store.options.overviews],
        fingerprint=store.fingerprint,
        n_scenes=len(index),
        n_without_charts=len(index) - len(labelled),
        n_bytes=int(index["stored_bytes"].sum()),
        n_source_bytes=int(index["source_bytes"].sum() + index["reference_bytes"].sum()),
        by_subset=_count(index["subset"]),
        by_service=_count(index["ice_service"]),
        by_region=_count(index["region"].fillna("unknown")),
        by_year=_count(index["acquisition_time"].dt.year.astype(str)),
        class_percent={chart.name: _shares(labelled, chart.name) for chart in CHARTS},
        valid_percent=100 * valid / pixels if pixels else None,
        splits={
            split.name: {"train": len(split.train), "val": len(split.val), "test": len(split.test)}
            for split in read_splits(store.path)
        },
    )


def _count(values: pd.Series[Any]) -> dict[str, int]:
    return dict(sorted(Counter(map(str, values)).items()))


def _shares(labelled: pd.DataFrame, name: str) -> dict[str, float]:
    """Percent of a chart's labelled pixels in each class."""
    chart = next(chart for chart in CHARTS if chart.name == name)
    totals = [int(labelled[f"{name}_{k}"].sum()) for k in range(chart.n_classes)]
    return {
        class_name: 100 * total / max(1, sum(totals))
        for class_name, total in zip(chart.class_names, totals, strict=True)
    }
