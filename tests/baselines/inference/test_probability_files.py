"""Probabilities as NetCDF: described and stored as predictions are."""

from __future__ import annotations

from pathlib import Path

import netCDF4
import numpy as np

from autoice_bench.baselines.inference.probability_files import write_probabilities
from autoice_bench.charts import CHARTS
from autoice_bench.formats.store_layout import chart_attributes


def test_probabilities_are_described_and_stored_as_predictions_are(tmp_path: Path) -> None:
    shape = (600, 7)
    values = tuple(np.zeros((chart.n_classes, *shape), np.uint8) for chart in CHARTS)
    path = write_probabilities(tmp_path, "20300101T000000_cis", values, {})
    with netCDF4.Dataset(path) as file:
        for chart in CHARTS:
            variable = file[f"{chart.name}_probability"]
            assert variable.class_meanings == chart_attributes(chart)["flag_meanings"]
            assert variable.chunking() == [1, 512, 7]
            filters = variable.filters()
            assert (filters["zlib"], filters["complevel"], filters["shuffle"]) == (True, 1, False)
