"""Tiny truths and predictions, written without the package's own writers."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.errors import ZarrUserWarning

from autoice_bench.charts import CHARTS, FILL_VALUE

Charts = dict[str, NDArray[np.uint8]]

SCENES = (
    "20300110T100000_cis",
    "20300215T110000_dmi",
    "20300720T120000_cis",
    "20300905T130000_dmi",
)
TRAIN = ("20310101T000000_cis",)
REGIONS = {"cis": "SGRDIMID", "dmi": "CentralEast"}


def random_charts(seed: int, shape: tuple[int, int] = (13, 17), fill: float = 0.2) -> Charts:
    rng = np.random.default_rng(seed)
    charts = {}
    for chart in CHARTS:
        classes = rng.integers(0, chart.n_classes, shape).astype(np.uint8)
        charts[chart.name] = np.where(rng.random(shape) < fill, FILL_VALUE, classes).astype("u1")
    return charts


def truth_of(scene_id: str) -> Charts:
    """The truth of a scene: random, fixed by its id; shapes differ between scenes."""
    seed = int(scene_id[:8])
    return random_charts(seed, (13 + seed % 3, 17))


def sha256(charts: Charts) -> str:
    return hashlib.sha256(b"".join(charts[c.name].tobytes() for c in CHARTS)).hexdigest()


def predictions_of(scene_id: str, *, error: float = 0.3, seed: int = 0) -> Charts:
    """The truth with a share of wrong classes; valid classes where the truth is masked."""
    rng = np.random.default_rng([seed, int(scene_id[:8])])
    predicted = {}
    for chart in CHARTS:
        truth = truth_of(scene_id)[chart.name]
        other = rng.integers(0, chart.n_classes, truth.shape).astype(np.uint8)
        wrong = (rng.random(truth.shape) < error) | (truth == FILL_VALUE)
        predicted[chart.name] = np.where(wrong, other, truth).astype(np.uint8)
    return predicted


def write_store(
    path: Path, *, simulated: bool = True, charts_of: Mapping[str, Charts] | None = None
) -> Path:
    """A store as the contract describes it, with the charts alone."""
    root_attributes: dict[str, Any] = {
        "format_version": 1,
        "state": "complete",
        "simulated": simulated,
        "label_rule": "autoice-2022",
        "sod_threshold": 65,
        "floe_threshold": 65,
        "store_fingerprint": "0" * 64,
    }
    root = zarr.open_group(str(path), mode="w", zarr_format=3, attributes=root_attributes)
    for scene_id in (*SCENES, *TRAIN):
        charts = (charts_of or {}).get(scene_id) or truth_of(scene_id)
        service = scene_id[-3:]
        attributes: dict[str, Any] = {
            "scene_id": scene_id,
            "ice_service": service,
            "region": REGIONS[service],
            "truth_sha256": sha256(charts),
        }
        group = root.create_group(f"scenes/{scene_id}", attributes=attributes)
        values = np.stack([charts[chart.name] for chart in CHARTS])
        array = group.create_array(
            "charts",
            shape=values.shape,
            dtype="uint8",
            chunks=values.shape,
            fill_value=FILL_VALUE,
            dimension_names=("chart", "sar_lines", "sar_samples"),
        )
        array[...] = values
        names = np.array([chart.name for chart in CHARTS], dtype=np.dtypes.StringDType())
        coordinate = group.create_array(
            "chart",
            shape=(3,),
            dtype=str,
            dimension_names=("chart",),
        )
        coordinate[...] = names
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ZarrUserWarning)
            zarr.consolidate_metadata(str(path / "scenes" / scene_id))
    write_split(path / "splits" / "official.json", train=TRAIN, test=SCENES)
    return path


def write_split(
    path: Path,
    *,
    train: tuple[str, ...] = (),
    val: tuple[str, ...] = (),
    test: tuple[str, ...] = (),
) -> Path:
    lists = {"train": list(train), "val": list(val), "test": list(test)}
    text = json.dumps(lists, separators=(",", ":"), sort_keys=True)
    content = {
        "format": 1,
        "name": path.stem,
        "rule": "fixed",
        "seed": None,
        **lists,
        "hash": hashlib.sha256(text.encode()).hexdigest(),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def write_netcdf(path: Path, variables: Mapping[str, NDArray[Any]], **attributes: object) -> Path:
    """A NetCDF-4 file of 2-D variables, zlib-compressed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with netCDF4.Dataset(path, "w") as file:
        file.setncatts(attributes)
        for name, values in variables.items():
            dims = (f"{name}_lines", f"{name}_samples")
            for dim, size in zip(dims, values.shape, strict=True):
                file.createDimension(dim, size)
            file.createVariable(name, values.dtype, dims, zlib=True, complevel=1)[:] = values
    return path


def write_predictions(folder: Path, *, error: float = 0.3, seed: int = 0) -> Path:
    for scene_id in SCENES:
        predicted = predictions_of(scene_id, error=error, seed=seed)
        write_netcdf(folder / f"{scene_id}.nc", predicted)
    return folder


def write_rtt(folder: Path) -> Path:
    """RTT files as far as the scorer reads them: charts and the naming attributes."""
    for scene_id in (*SCENES, *TRAIN):
        service = scene_id[-3:]
        original_id = (
            f"S1B_EW_GRDM_1SDH_{scene_id[:15]}_{scene_id[:15]}_011222_014ABC_1234_icechart_"
            f"{service}_{REGIONS[service]}_20300101.nc"
        )
        attributes = {"original_id": original_id, "ice_service": service, "simulated": 1}
        charts = truth_of(scene_id)
        if scene_id in TRAIN:
            write_netcdf(folder / f"{scene_id}_prep.nc", charts, **attributes)
        else:
            placeholder = {"nersc_sar_primary": np.zeros((2, 2), np.float32)}
            write_netcdf(folder / f"test_data/{scene_id}_prep.nc", placeholder, **attributes)
            write_netcdf(folder / f"test_data/{scene_id}_prep_reference.nc", charts)
    return folder


def pooled(
    chart_name: str, predictions: Mapping[str, Charts]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Valid truth and predicted pixels of all scenes, as the official evaluation pools them."""
    truths, predicted = [], []
    for scene_id, charts in predictions.items():
        truth = truth_of(scene_id)[chart_name]
        valid = truth != FILL_VALUE
        truths.append(truth[valid])
        predicted.append(charts[chart_name][valid])
    return np.concatenate(truths), np.concatenate(predicted)
