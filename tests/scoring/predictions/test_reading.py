from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Literal

import netCDF4
import numpy as np
import pytest
import xarray as xr
import zarr

from autoice_bench.charts import CHART_NAMES, CHARTS
from autoice_bench.errors import PredictionError
from autoice_bench.formats.store_layout import chart_attributes
from autoice_bench.scoring.predictions.reading import (
    NetcdfFolder,
    Predictions,
    UploadPackage,
    ZarrGroups,
    find_submissions,
    open_predictions,
)
from autoice_bench.scoring.predictions.writing import (
    FORMATS,
    convert,
    guess_format,
    write_prediction,
)
from tests.scoring.make import SCENES, predictions_of, write_netcdf, write_predictions

TIE_POINTS = {
    "latitude": np.array([[70.0, 70.5], [71.0, 71.5]]),
    "longitude": np.array([[-60.0, -58.0], [-60.5, -58.5]]),
    "tie_line": np.array([-0.25, 12.25]),
    "tie_sample": np.array([-0.25, 16.25]),
}


def upload_package(path: Path) -> Path:
    """As the challenge's notebook writes it: one file, dimensions named after each variable."""
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset = xr.Dataset(
        {
            f"{scene_id}_{name}": (
                (f"{scene_id}_{name}_dim0", f"{scene_id}_{name}_dim1"),
                predictions_of(scene_id)[name],
            )
            for scene_id in SCENES
            for name in CHART_NAMES
        }
    )
    encoding = {name: {"zlib": True, "complevel": 1} for name in dataset.data_vars}
    dataset.to_netcdf(path, engine="netcdf4", encoding=encoding)
    return path


def zarr_groups(path: Path, zarr_format: Literal[2, 3]) -> Path:
    for scene_id in SCENES:
        group = zarr.open_group(str(path / scene_id), mode="w", zarr_format=zarr_format)
        for name, values in predictions_of(scene_id).items():
            array = group.create_array(name, shape=values.shape, dtype="uint8")
            array[...] = values
    return path


def assert_holds_everything(found: Predictions) -> None:
    assert found.scene_ids == SCENES
    for scene_id in SCENES:
        expected = predictions_of(scene_id)
        assert found.read_shapes(scene_id) == {n: v.shape for n, v in expected.items()}
        for name, values in expected.items():
            np.testing.assert_array_equal(found.read(scene_id, name), values)


def test_folder_of_netcdf_files(predictions: Path) -> None:
    found = open_predictions(predictions)
    assert isinstance(found, NetcdfFolder)
    assert_holds_everything(found)
    assert found.name == "noisy"


@pytest.mark.parametrize("name", ["team/upload_package.nc", "team.nc"])
def test_upload_package(tmp_path: Path, name: str) -> None:
    found = open_predictions(upload_package(tmp_path / name))
    assert isinstance(found, UploadPackage)
    assert_holds_everything(found)
    assert found.name == "team"


def test_folder_of_an_upload_package(tmp_path: Path) -> None:
    upload_package(tmp_path / "team/upload_package.nc")
    assert_holds_everything(open_predictions(tmp_path / "team"))


def test_lost_parts_of_converted_zarr_do_not_read_as_open_water(
    predictions: Path, tmp_path: Path
) -> None:
    convert(open_predictions(predictions), tmp_path / "p.zarr", format_name="zarr")
    sic = tmp_path / "p.zarr" / SCENES[0] / "SIC"
    converted = open_predictions(tmp_path / "p.zarr")
    assert converted.read(SCENES[0], "SIC").max() < 255
    shutil.rmtree(sic / "c")
    assert (converted.read(SCENES[0], "SIC") == 255).all()
    # The group's consolidated metadata still lists the array.
    shutil.rmtree(sic)
    assert set(converted.read_shapes(SCENES[0])) == {"SOD", "FLOE"}


def test_a_flipped_bit_of_converted_zarr_is_found(predictions: Path, tmp_path: Path) -> None:
    convert(open_predictions(predictions), tmp_path / "p.zarr", format_name="zarr")
    converted = open_predictions(tmp_path / "p.zarr")
    for chunk in (tmp_path / "p.zarr" / SCENES[0] / "SIC" / "c").rglob("*"):
        if not chunk.is_file():
            continue
        content = chunk.read_bytes()
        for at in range(0, len(content), 3):
            damaged = bytearray(content)
            damaged[at] ^= 1 << at % 8
            chunk.write_bytes(damaged)
            with pytest.raises(PredictionError):
                converted.read(SCENES[0], "SIC")


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_zarr_groups(tmp_path: Path, zarr_format: Literal[2, 3]) -> None:
    found = open_predictions(zarr_groups(tmp_path / "team.zarr", zarr_format))
    assert isinstance(found, ZarrGroups)
    assert_holds_everything(found)
    assert found.name == "team"


def test_folder_of_misnamed_files_is_told_not_skipped(predictions: Path, tmp_path: Path) -> None:
    shutil.copytree(predictions, tmp_path / "good")
    (tmp_path / "notes").mkdir()  # neither files nor groups: no prediction folder
    assert [found.name for found in find_submissions(tmp_path)] == ["good"]
    write_netcdf(tmp_path / "misnamed/scene1.nc", predictions_of(SCENES[0]))
    with pytest.raises(PredictionError, match=r"misnamed: no predictions found; expected <scene"):
        find_submissions(tmp_path)


def test_file_names_may_keep_the_source_s_ending(tmp_path: Path) -> None:
    write_netcdf(tmp_path / f"{SCENES[0]}_prep.nc", predictions_of(SCENES[0]))
    found = open_predictions(tmp_path)
    assert found.scene_ids == SCENES[:1]
    np.testing.assert_array_equal(found.read(SCENES[0], "SIC"), predictions_of(SCENES[0])["SIC"])


def test_packed_values_are_unpacked(tmp_path: Path) -> None:
    path = tmp_path / f"{SCENES[0]}.nc"
    with netCDF4.Dataset(path, "w") as file:
        file.createDimension("y", 2)
        file.createDimension("x", 2)
        variable = file.createVariable("SIC", "i2", ("y", "x"))
        variable.scale_factor = 0.1
        variable.set_auto_maskandscale(False)
        variable[:] = [[0, 50], [90, 100]]
    np.testing.assert_allclose(open_predictions(tmp_path).read(SCENES[0], "SIC"), [[0, 5], [9, 10]])


def test_two_files_of_one_scene_are_refused(tmp_path: Path) -> None:
    for suffix in ("", "_prep"):
        write_netcdf(tmp_path / f"{SCENES[0]}{suffix}.nc", predictions_of(SCENES[0]))
    with pytest.raises(PredictionError, match=r"several \.nc files stand for one scene"):
        open_predictions(tmp_path)


def test_mixed_formats_are_refused(tmp_path: Path) -> None:
    write_predictions(tmp_path)
    zarr_groups(tmp_path, 3)
    with pytest.raises(PredictionError, match="netcdf and zarr predictions; expected one format"):
        open_predictions(tmp_path)


def test_what_is_no_prediction_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PredictionError, match="no such file or folder"):
        open_predictions(tmp_path / "none")
    with pytest.raises(PredictionError, match="no predictions found; expected <scene_id>"):
        open_predictions(tmp_path)
    bad = tmp_path / "bad.nc"
    bad.write_bytes(b"nothing")
    with pytest.raises(PredictionError, match="cannot be read as NetCDF"):
        open_predictions(bad)
    one = write_netcdf(tmp_path / "one.nc", predictions_of(SCENES[0]))
    with pytest.raises(PredictionError, match="no variable is named <scene_id>_<chart>"):
        open_predictions(one)


def test_folder_of_folders_is_one_submission_each(tmp_path: Path) -> None:
    write_predictions(tmp_path / "a")
    upload_package(tmp_path / "b/upload_package.nc")
    zarr_groups(tmp_path / "c.zarr", 3)
    (tmp_path / "notes").mkdir()
    (tmp_path / "readme.txt").write_text("x")
    assert [source.name for source in find_submissions(tmp_path)] == ["a", "b", "c"]
    assert [source.name for source in find_submissions(tmp_path / "a")] == ["a"]
    with pytest.raises(PredictionError, match="no predictions found"):
        find_submissions(tmp_path / "notes")


@pytest.mark.parametrize("target", FORMATS)
@pytest.mark.parametrize("source", FORMATS)
def test_any_format_converts_into_any(tmp_path: Path, source: str, target: str) -> None:
    first = tmp_path / "first"
    if source == "netcdf":
        write_predictions(first)
    elif source == "zarr":
        zarr_groups(first, 2)
    else:
        upload_package(first / "upload_package.nc")
    suffix = {"upload-package": ".nc", "zarr": ".zarr", "netcdf": ""}[target]
    out = tmp_path / f"out/converted{suffix}"
    assert guess_format(out) == target
    convert(open_predictions(first), out, format_name=target)
    converted = open_predictions(out)
    assert converted.format_name == target
    assert_holds_everything(converted)


def test_tie_points_survive_where_there_is_room(tmp_path: Path) -> None:
    write_prediction(tmp_path / "a", SCENES[0], predictions_of(SCENES[0]), TIE_POINTS)
    convert(open_predictions(tmp_path / "a"), tmp_path / "b.zarr", format_name="zarr")
    convert(open_predictions(tmp_path / "b.zarr"), tmp_path / "c", format_name="netcdf")
    for path in (tmp_path / "a", tmp_path / "b.zarr", tmp_path / "c"):
        found = open_predictions(path).read_tie_points(SCENES[0])
        assert found is not None
        for name, values in TIE_POINTS.items():
            np.testing.assert_array_equal(found[name], values)


def test_written_prediction_opens_as_plain_classes(tmp_path: Path) -> None:
    charts = predictions_of(SCENES[0])
    path = write_prediction(tmp_path, SCENES[0], charts, TIE_POINTS, {"title": "mine"})
    with xr.open_dataset(path) as dataset:
        assert dataset["SIC"].dtype == np.uint8
        np.testing.assert_array_equal(dataset["SIC"].values, charts["SIC"])
        for chart in CHARTS:
            # The words of stores: CF allows letters, digits and _ alone.
            attributes = chart_attributes(chart)
            assert dataset[chart.name].attrs["flag_meanings"] == attributes["flag_meanings"]
            assert dataset[chart.name].attrs["flag_values"].tolist() == attributes["flag_values"]
            assert dataset[chart.name].attrs["flag_values"].dtype == np.uint8
            assert re.fullmatch(r"\w+( \w+)*", attributes["flag_meanings"])
        assert dataset.attrs["title"] == "mine"


def test_convert_writes_whole_or_nothing(tmp_path: Path) -> None:
    write_predictions(tmp_path / "a")
    bad = predictions_of(SCENES[3])
    values = {**bad, "FLOE": bad["FLOE"].astype(np.float32) + 0.5}
    write_netcdf(tmp_path / f"a/{SCENES[3]}.nc", values)
    for out, format_name in (("b", "netcdf"), ("b.nc", "upload-package"), ("b.zarr", "zarr")):
        with pytest.raises(PredictionError, match="which is not whole"):
            convert(open_predictions(tmp_path / "a"), tmp_path / out, format_name=format_name)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_convert_overwrites_nothing(tmp_path: Path, predictions: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(predictions, out)
    with pytest.raises(PredictionError, match="exists; choose another name"):
        convert(open_predictions(predictions), out, format_name="netcdf")
