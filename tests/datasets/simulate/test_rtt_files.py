"""The files against the fact sheet of the released format, read by other people's libraries."""

from __future__ import annotations

from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr

from autoice_bench.charts import CHARTS
from autoice_bench.datasets.simulate.run import SimulatedSource, scene_files
from autoice_bench.datasets.sources.tie_points import compute_tie_positions
from autoice_bench.formats.variables import RTT_VARIABLE_ORDER, STANDARDISED_VARIABLES, VARIABLES

FULL = ("nersc_sar_primary", "nersc_sar_secondary", "sar_incidenceangle")


@pytest.fixture(scope="module")
def train_files(simulated_source: SimulatedSource) -> list[Path]:
    return [
        scene_files(simulated_source.path, spec)[0]
        for spec in simulated_source.specs
        if spec.subset == "train"
    ]


@pytest.fixture(scope="module")
def test_pair(simulated_source: SimulatedSource) -> tuple[Path, ...]:
    return scene_files(simulated_source.path, simulated_source.specs[-1])


def test_layout_of_a_training_file(train_files: list[Path]) -> None:
    with netCDF4.Dataset(train_files[0]) as dataset:
        assert tuple(dataset.variables) == RTT_VARIABLE_ORDER
        assert len(dataset.variables) == 29
        assert {name: len(dim) for name, dim in dataset.dimensions.items()} == {
            "sar_lines": 300,
            "sar_samples": 327,
            "sar_sample_2dgrid_points": 21,
            "sar_line_2dgrid_points": 21,
            "2km_grid_lines": 12,
            "2km_grid_samples": 13,
        }
        # The order in which the released files list them.
        assert list(dataset.dimensions) == [
            "sar_lines",
            "sar_samples",
            "sar_sample_2dgrid_points",
            "sar_line_2dgrid_points",
            "2km_grid_lines",
            "2km_grid_samples",
        ]
        assert not dataset.groups
        for name, variable in dataset.variables.items():
            assert variable.filters()["zlib"], name
            assert "_FillValue" not in variable.ncattrs()
        assert dataset["SIC"].dtype == np.uint8
        assert dataset["SIC"].polygon == "Sea Ice Concentration [%]"
        assert dataset["SOD"].chart_fill_value == 255
        assert dataset["sar_grid2d_latitude"].dtype == np.float64
        assert dataset["sar_grid2d_latitude"].ncattrs() == []
        assert dataset["sar_grid2d_longitude"].dimensions == (
            "sar_sample_2dgrid_points",
            "sar_line_2dgrid_points",
        )
        assert all(dataset[v.name].dtype == np.float32 for v in STANDARDISED_VARIABLES)
        assert all(dataset[v.name].dimensions == v.dims for v in STANDARDISED_VARIABLES)


def test_attributes(train_files: list[Path]) -> None:
    with xr.open_dataset(train_files[0]) as scene:
        name = train_files[0].name
        assert scene.attrs["scene_id"] == name
        assert scene.attrs["simulated"] == 1
        assert scene.attrs["ice_service"] == name[16:19]
        assert scene.attrs["flip"] in {0, 1}
        assert scene.attrs["pixel_spacing"] == 80
        original = scene.attrs["original_id"]
        assert f"{original[17:32]}_{original[77:80]}_prep.nc" == name
        hh = scene["nersc_sar_primary"]
        assert hh.attrs["polarisation"] == "HH"
        assert hh.attrs["upstream_id"] == original[:67]
        assert hh.attrs["variable_fill_value"] == 0
        assert scene["nersc_sar_secondary"].attrs["polarisation"] == "HV"
        assert scene["sar_incidenceangle"].attrs == {"variable_fill_value": 0}
        assert scene["distance_map"].attrs["zonal_range_description"].startswith("dist_id; ")
        assert scene["btemp_18_7h"].attrs["description"] == (
            "Brightness temperature in K at 18.7GHz. Polarization: horizontal."
        )
        assert "AMSR2_swaths" in scene["btemp_6_9v"].attrs
        assert scene["u10m_rotated"].attrs["units"] == "m/s"
        assert scene["tclw"].attrs["long_name"] == "ERA5 total cloud liquid water"


def test_masks_and_values(train_files: list[Path]) -> None:
    for path in train_files:
        with xr.open_dataset(path) as scene:
            uncharted = scene["SIC"].values == 255
            assert 0 < uncharted.mean() < 0.9
            for name in FULL:
                # 0 is a legal value, but never in all three channels of a charted pixel.
                assert (scene[name].values[uncharted] == 0).all()
            charted = np.stack([scene[name].values for name in FULL])[:, ~uncharted]
            assert np.isfinite(charted).all()
            assert not (charted == 0).all(axis=0).any()
            for chart in CHARTS:
                values = np.unique(scene[chart.name])
                assert set(values.tolist()) <= set(chart.values)
            # An ambiguous stage masks its own chart only.
            assert (scene["SOD"].values[uncharted] == 255).all()
            zones = scene["distance_map"].values * VARIABLES["distance_map"].std
            zones = zones + VARIABLES["distance_map"].mean
            assert np.abs(zones - zones.round()).max() < 0.01
            assert zones.round().min() >= 0
            assert zones.round().max() <= 41
            for variable in STANDARDISED_VARIABLES:
                if variable.grid == "2km":
                    raw = scene[variable.name].values * variable.std + variable.mean
                    assert np.isfinite(raw).all()
                    assert raw.min() >= variable.raw_min - 1e-3
                    assert raw.max() <= variable.raw_max + 1e-3


def test_min_and_max_are_raw_and_unmasked(train_files: list[Path]) -> None:
    with xr.open_dataset(train_files[0]) as scene:
        for name in ("nersc_sar_primary", "nersc_sar_secondary"):
            variable, data = VARIABLES[name], scene[name]
            raw = data.values[scene["SIC"].values != 255] * variable.std + variable.mean
            assert data.attrs["min"] <= raw.min() + 1e-3
            assert data.attrs["max"] >= raw.max() - 1e-3
        btemp = scene["btemp_89_0h"]
        raw = btemp.values * VARIABLES["btemp_89_0h"].std + VARIABLES["btemp_89_0h"].mean
        assert btemp.attrs["min"] == pytest.approx(raw.min(), abs=1e-3)
        assert btemp.attrs["max"] == pytest.approx(raw.max(), abs=1e-3)


def test_tie_points_are_lines_first_and_arctic(train_files: list[Path]) -> None:
    with xr.open_dataset(train_files[0]) as scene:
        latitude = scene["sar_grid2d_latitude"].values
        longitude = scene["sar_grid2d_longitude"].values
        flip = scene.attrs["flip"]
    assert 50 < latitude.min() < latitude.max() < 85
    # Ascending images (flip 0) begin in the south, descending ones (flip 1) in the north.
    along = np.diff(latitude.mean(axis=1))
    assert (along > 0).all() if flip == 0 else (along < 0).all()
    # 300 lines of 80 m between the outer tie points, less the cut at the ends.
    span = 80 * np.ptp(compute_tie_positions(21, 300))
    corner, end = (
        np.radians([latitude[0, 10], longitude[0, 10]]),
        np.radians([latitude[-1, 10], longitude[-1, 10]]),
    )
    cosine = np.sin(corner[0]) * np.sin(end[0])
    cosine += np.cos(corner[0]) * np.cos(end[0]) * np.cos(end[1] - corner[1])
    assert 6_371_000 * np.arccos(cosine) == pytest.approx(span, rel=1e-3)


def test_test_scenes_keep_their_charts_apart(test_pair: tuple[Path, ...]) -> None:
    scene_path, reference_path = test_pair
    assert reference_path.name == scene_path.name.replace("_prep.nc", "_prep_reference.nc")
    with xr.open_dataset(scene_path) as scene, xr.open_dataset(reference_path) as reference:
        assert not {"SIC", "SOD", "FLOE"} & set(scene.variables)
        assert len(scene.variables) == 26
        assert list(reference.variables) == ["SIC", "SOD", "FLOE"]
        uncharted = reference["SIC"].values == 255
        assert (scene["nersc_sar_primary"].values[uncharted] == 0).all()
        assert scene.attrs["original_id"] == reference.attrs["original_id"]
