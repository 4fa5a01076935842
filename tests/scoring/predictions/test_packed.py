"""Predictions as other tools keep them give the same classes in every format, or are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import netCDF4
import numpy as np
import pytest
import xarray as xr
import zarr

from autoice_bench.errors import PredictionError
from autoice_bench.scoring.evaluate import evaluate
from autoice_bench.scoring.predictions.reading import Predictions, open_predictions
from autoice_bench.scoring.predictions.writing import convert
from autoice_bench.scoring.truth.rtt_truth import RttTruth
from tests.scoring.make import SCENES, predictions_of, truth_of

SCENE = SCENES[0]
ENCODINGS: dict[str, dict[str, Any]] = {
    "offset": {"dtype": "uint8", "add_offset": -1.0, "_FillValue": 0},
    "scaled": {"dtype": "int16", "scale_factor": 0.1, "_FillValue": -9999},
    "gaps": {"dtype": "float32", "_FillValue": float("nan")},
    "number": {"dtype": "float32", "_FillValue": -9999.0},
}


def with_gaps(scene_id: str) -> xr.Dataset:
    """Predictions as floats, NaN where the truth has no label."""
    dims = ("sar_lines", "sar_samples")
    truth = truth_of(scene_id)
    return xr.Dataset(
        {
            name: (dims, np.where(truth[name] == 255, np.nan, classes.astype(np.float32)))
            for name, classes in predictions_of(scene_id).items()
        }
    )


def write(path: Path, kind: str, encoding: dict[str, Any], ending: str = "") -> Predictions:
    path.mkdir()
    for scene_id in SCENES:
        dataset = with_gaps(scene_id)
        each = {str(name): encoding for name in dataset.data_vars}
        if kind == "netcdf":
            dataset.to_netcdf(path / f"{scene_id}{ending}.nc", encoding=each)
        elif kind == "upload":
            named = {name: f"{scene_id}{ending}_{name}" for name in dataset.data_vars}
            dims = {dim: f"{scene_id}_{dim}" for dim in dataset.dims}
            file = path / "upload_package.nc"
            dataset.rename(named | dims).to_netcdf(
                file,
                mode="a" if file.exists() else "w",
                encoding={named[name]: encoding for name in named},
            )
        else:
            version: Literal[2, 3] = 2 if kind == "zarr2" else 3
            dataset.to_zarr(
                path / f"{scene_id}{ending}", encoding=each, zarr_format=version, consolidated=False
            )
    return open_predictions(path)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("kind", ["netcdf", "upload", "zarr2", "zarr3"])
def test_packed_predictions_score_as_plain_ones(
    rtt: Path, tmp_path: Path, kind: str, encoding: str
) -> None:
    truth = RttTruth(rtt)
    expected = evaluate(write(tmp_path / "plain", "netcdf", {}), truth)
    packed = write(tmp_path / "packed", kind, ENCODINGS[encoding], ending="_prep")
    assert packed.scene_ids == SCENES
    assert evaluate(packed, truth).predictions_sha256 == expected.predictions_sha256
    convert(packed, tmp_path / "converted", format_name="netcdf")
    converted = evaluate(tmp_path / "converted", truth)
    assert converted.predictions_sha256 == expected.predictions_sha256


def test_signed_bytes(rtt: Path, tmp_path: Path) -> None:
    expected = evaluate(write(tmp_path / "plain", "netcdf", {}), RttTruth(rtt))
    for scene_id in SCENES:
        with netCDF4.Dataset(tmp_path / f"{scene_id}.nc", "w", format="NETCDF3_CLASSIC") as file:
            dataset = with_gaps(scene_id).fillna(255)
            for dim, size in dataset.sizes.items():
                file.createDimension(str(dim), size)
            for name, values in dataset.items():
                variable = file.createVariable(str(name), "i1", [str(dim) for dim in values.dims])
                variable.set_auto_maskandscale(False)
                variable.setncattr("_Unsigned", "true")
                variable[...] = values.values.astype("u1").view("i1")
    found = evaluate(tmp_path, RttTruth(rtt))
    assert found.predictions_sha256 == expected.predictions_sha256


def test_fill_value_of_zarr_format_2_that_nobody_chose(tmp_path: Path) -> None:
    # zarr fills with 0 unless told otherwise; with the offset that is class 2, no gap.
    group = zarr.open_group(str(tmp_path / SCENE), mode="w", zarr_format=2)
    array = group.create_array("SIC", shape=(2, 2), dtype="u1", fill_value=0)
    array[...] = np.array([[0, 1], [2, 3]], np.uint8)
    array.attrs["add_offset"] = 2
    assert open_predictions(tmp_path).read(SCENE, "SIC").tolist() == [[2, 3], [4, 5]]


@pytest.mark.parametrize("kind", ["netcdf", "zarr3"])
@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"scale_factor": "0.1"}, "scale_factor is '0.1'; expected numbers"),
        ({"scale_factor": [0.1, 0.2]}, "scale_factor is .*; expected one finite number"),
        ({"missing_value": 3}, "SIC declares 3, a class, to be missing"),
    ],
)
def test_attributes_that_cannot_be_understood(
    tmp_path: Path, kind: str, attributes: dict[str, Any], message: str
) -> None:
    dataset = xr.Dataset({"SIC": (("y", "x"), np.zeros((2, 2), np.uint8))})
    dataset["SIC"].attrs = attributes
    if kind == "netcdf":
        dataset.to_netcdf(tmp_path / f"{SCENE}.nc")
    else:
        dataset.to_zarr(tmp_path / SCENE, zarr_format=3, consolidated=False)
    with pytest.raises(PredictionError, match=message) as raised:
        open_predictions(tmp_path).read(SCENE, "SIC")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shape": [100_000, 100_000]}, "expected at most 1,048,576|expected lines x samples"),
        ({"shape": [4]}, "."),
        ({"shape": [0, 4]}, "."),
        ({"grid": [100_000, 100_000]}, r"chunks of \(100000, 100000\) values; expected at most"),
        ({"grid": [0, 4]}, "."),
        ({"grid": "all"}, "."),
        ({"shape": None}, "."),
    ],
)
def test_sizes_of_zarr_arrays_are_not_believed(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    group = zarr.open_group(str(tmp_path / SCENE), mode="w", zarr_format=3)
    group.create_array("SIC", shape=(4, 4), dtype="u1", chunks=(2, 2))[...] = 1
    path = tmp_path / SCENE / "SIC/zarr.json"
    document = json.loads(path.read_text())
    if "grid" in change:
        document["chunk_grid"]["configuration"]["chunk_shape"] = change["grid"]
    else:
        document |= change
    path.write_text(json.dumps(document))
    with pytest.raises(PredictionError, match=message) as raised:
        open_predictions(tmp_path).read(SCENE, "SIC")
    assert "\n" not in str(raised.value)


def test_shape_of_an_upload_package_is_not_believed(tmp_path: Path) -> None:
    with netCDF4.Dataset(tmp_path / "upload_package.nc", "w") as file:
        file.createDimension("y", 100_000)
        file.createVariable(f"{SCENE}_SIC", "u1", ("y", "y"), zlib=True, chunksizes=(1000, 1000))
    with pytest.raises(PredictionError, match="SIC is 100000 x 100000; expected lines x samples"):
        convert(open_predictions(tmp_path), tmp_path / "out", format_name="netcdf")
    assert not (tmp_path / "out").exists()


def test_two_names_of_one_scene_are_refused_in_every_format(tmp_path: Path) -> None:
    for name in (SCENE, f"{SCENE}_prep"):
        group = zarr.open_group(str(tmp_path / "p.zarr" / name), mode="w", zarr_format=3)
        group.create_array("SIC", shape=(2, 2), dtype="u1")
    with pytest.raises(PredictionError, match=f"stand for one scene .{SCENE}, {SCENE}_prep"):
        open_predictions(tmp_path / "p.zarr")
