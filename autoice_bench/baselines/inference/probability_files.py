"""Class probabilities of a scene as NetCDF, beside its prediction.

``<scene_id>_probabilities.nc`` is no name of a prediction, so the scorer passes over it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from autoice_bench.baselines.tasks.chart_outputs import CONCENTRATION_STEPS, PROBABILITY_STEPS
from autoice_bench.charts import CHARTS, SIC
from autoice_bench.errors import PredictionError
from autoice_bench.formats.store_layout import chart_attributes
from autoice_bench.scoring.predictions.writing import DIMS, PROBABILITIES_SUFFIX, netcdf_encoding


def write_probabilities(
    folder: Path,
    scene_id: str,
    probabilities: tuple[NDArray[np.uint8], ...],
    attributes: Mapping[str, Any],
) -> Path:
    """Write ``<folder>/<scene_id>_probabilities.nc``.

    Variables ``SIC_probability``, ``SOD_probability``, ``FLOE_probability`` (classes, lines,
    samples) are uint8 with ``scale_factor`` 1/255, which xarray applies; a SIC regression is
    ``SIC_concentration`` (lines, samples) in percent, with ``scale_factor`` 0.4.

    Args:
        folder: existing.
        scene_id: the scene.
        probabilities: of SIC, SOD and FLOE, as ``ScenePrediction`` holds them.
        attributes: global attributes.

    Returns:
        The file's path.

    Raises:
        PredictionError: the file cannot be written.
    """
    dataset = xr.Dataset(attrs={"scene_id": scene_id, "Conventions": "CF-1.11", **attributes})
    for chart, values in zip(CHARTS, probabilities, strict=True):
        if values.shape[0] == 1:
            dataset["SIC_concentration"] = (
                DIMS,
                values[0],
                {
                    "long_name": f"{SIC.long_name}, before it is rounded to a class",
                    "units": "percent",
                    "scale_factor": 10 / CONCENTRATION_STEPS,
                },
            )
            continue
        dataset[f"{chart.name}_probability"] = (
            (f"{chart.name}_class", *DIMS),
            values,
            {
                "long_name": f"{chart.long_name}, probability of each class",
                "units": "1",
                "scale_factor": 1 / PROBABILITY_STEPS,
                "class_meanings": chart_attributes(chart)["flag_meanings"],
            },
        )
    path = folder / f"{scene_id}{PROBABILITIES_SUFFIX}"
    try:
        dataset.to_netcdf(
            path,
            engine="netcdf4",
            encoding={
                str(name): {"_FillValue": None, **netcdf_encoding(dataset[name].shape)}
                for name in dataset.data_vars
            },
        )
    except OSError as error:
        raise PredictionError(f"{path}: cannot be written: {error.strerror or error}") from error
    return path
