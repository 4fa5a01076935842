"""Raw counterparts: taken to 80 m they give the simulated RTT scenes back."""

from __future__ import annotations

from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from autoice_bench.charts import CHART_NAMES
from autoice_bench.cli import main
from autoice_bench.datasets.simulate.raw_files import (
    STORAGES,
    SUBPIXEL_DB,
    enlarge_mask,
    enlarge_polygons,
    split_pixels,
)
from autoice_bench.datasets.simulate.run import SimulatedSource, Target, scene_files, simulate
from autoice_bench.datasets.simulate.scene_spec import SceneSpec
from autoice_bench.datasets.sources.raw_conversion import convert_raw_scene
from autoice_bench.formats.variables import (
    AMSR2_VARIABLES,
    DISTANCE_MAP,
    ERA5_VARIABLES,
    SAR_VARIABLES,
)


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> tuple[SimulatedSource, Target]:
    """Nine small scenes in both forms: every storage and padding, every awkward case."""
    target = Target(tmp_path_factory.mktemp("rtt"), tmp_path_factory.mktemp("raw"))
    source = simulate(
        target.out, n_train=7, n_test=2, size=(230, 247), seed=1, cases="all", raw=target.raw
    )
    return source, target


def chart_file(target: Target, spec: SceneSpec) -> Path:
    return scene_files(target.out, spec)[-1]


def in_blocks(values: np.ndarray) -> np.ndarray:
    """(2m, 2n) as (m, n, 4)."""
    lines, samples = values.shape[0] // 2, values.shape[1] // 2
    return values.reshape(lines, 2, samples, 2).swapaxes(1, 2).reshape(lines, samples, 4)


def test_converted_twins_equal_the_rtt_scenes(twins: tuple[SimulatedSource, Target]) -> None:
    source, target = twins
    for spec in source.specs:
        rtt_path, *_, raw_path = target.files(spec)
        converted = convert_raw_scene(raw_path)
        assert converted.scene_id == str(spec.scene_id)
        with xr.open_dataset(rtt_path) as rtt, xr.open_dataset(chart_file(target, spec)) as charts:
            assert converted.charts is not None
            for name, values in zip(CHART_NAMES, converted.charts, strict=True):
                np.testing.assert_array_equal(values, charts[name].values)
            for variable, values in zip(SAR_VARIABLES, converted.sar, strict=True):
                np.testing.assert_allclose(values, rtt[variable.name].values, atol=3e-6, rtol=0)
            zones = rtt[DISTANCE_MAP.name].values * DISTANCE_MAP.std + DISTANCE_MAP.mean
            np.testing.assert_array_equal(converted.distance_map, zones.round())
            for variables, stack in (
                (AMSR2_VARIABLES, converted.amsr2),
                (ERA5_VARIABLES, converted.era5),
            ):
                for variable, values in zip(variables, stack, strict=True):
                    np.testing.assert_array_equal(values, rtt[variable.name].values)
            np.testing.assert_array_equal(converted.latitude, rtt["sar_grid2d_latitude"].values)
            np.testing.assert_array_equal(converted.longitude, rtt["sar_grid2d_longitude"].values)


def test_layout_of_a_raw_file(twins: tuple[SimulatedSource, Target]) -> None:
    source, target = twins
    spec = next(spec for spec in source.specs if spec.case is None)
    with netCDF4.Dataset(target.files(spec)[-1]) as raw:
        assert {name: len(dim) for name, dim in raw.dimensions.items()} == {
            "sar_lines": 460,
            "sar_samples": 494,
            "sar_grid_points": 441,
            "polygon_codes": raw["polygon_codes"].size,
            "2km_grid_lines": 9,
            "2km_grid_samples": 9,
        }
        names = list(raw.variables)
        assert names[:4] == [
            "nersc_sar_primary",
            "nersc_sar_secondary",
            "polygon_icechart",
            "distance_map",
        ]
        assert {"amsr2_swath_map", "swath_segmentation", "sar_grid_height"} <= set(names)
        assert raw["btemp_36_5v"].dtype == raw["t2m"].dtype == np.float64
        assert raw["polygon_codes"][0].startswith("poly_id;CT;CA;SA;FA;CB")
        assert raw.simulated == 1
        assert raw.original_id == spec.original_id
        # Land is masked in the RTT file alone: raw backscatter covers it.
        nodata = np.isnan(raw["nersc_sar_primary"][:].filled(np.nan)).mean()
        assert nodata < 0.02


def test_polygons_come_in_every_storage(twins: tuple[SimulatedSource, Target]) -> None:
    source, target = twins
    found = set()
    for spec in source.specs:
        with netCDF4.Dataset(target.files(spec)[-1]) as raw:
            polygons = raw["polygon_icechart"]
            found.add(polygons.dtype)
            assert ("_FillValue" in polygons.ncattrs()) == (polygons.dtype != np.float32)
            ids = {int(row.split(";")[0]) for row in raw["polygon_codes"][1:]}
            seen = np.ma.masked_invalid(polygons[:]).compressed()
            assert set(np.unique(seen).astype(int)) <= ids
    assert found == {storage.dtype for storage in STORAGES}


def test_codes_come_in_every_padding(twins: tuple[SimulatedSource, Target]) -> None:
    source, target = twins
    cells = set()
    for spec in source.specs:
        with netCDF4.Dataset(target.files(spec)[-1]) as raw:
            for row in raw["polygon_codes"][1:]:
                cells |= set(row.split(";")[1:4])
    assert {"02", "2", " 2"} <= cells


def test_the_odd_scene_has_odd_raw_sizes(twins: tuple[SimulatedSource, Target]) -> None:
    source, target = twins
    spec = next(spec for spec in source.specs if spec.case == "odd size")
    with netCDF4.Dataset(target.files(spec)[-1]) as raw:
        assert raw["nersc_sar_primary"].shape == (459, 495)
    assert spec.shape == (229, 247)


@given(st.integers(0, 2**32 - 1))
def test_splitting_keeps_block_means(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.uniform(-35, 0, (20, 30)).astype(np.float32)
    blocks = in_blocks(split_pixels(rng, values))
    np.testing.assert_allclose(blocks.mean(axis=-1), values, atol=1e-5)
    assert blocks.std(axis=-1).mean() == pytest.approx(SUBPIXEL_DB * 0.92, rel=0.15)


@given(hnp.arrays(bool, st.tuples(st.integers(1, 6), st.integers(1, 6))))
def test_enlarged_masks_touch_the_same_blocks(mask: np.ndarray) -> None:
    raw = enlarge_mask(mask)
    np.testing.assert_array_equal(in_blocks(raw).any(axis=-1), mask)


@given(
    hnp.arrays(
        np.uint8, st.tuples(st.integers(1, 6), st.integers(1, 6)), elements=st.integers(0, 3)
    ),
    hnp.arrays(np.uint8, (3, 4), elements=st.sampled_from([0, 1, 2, 255])),
)
def test_enlarged_polygons_keep_block_maxima(index: np.ndarray, labels: np.ndarray) -> None:
    raw = enlarge_polygons(index, labels)
    for chart in labels:
        np.testing.assert_array_equal(in_blocks(chart[raw]).max(axis=-1), chart[index])


def test_raw_scenes_are_written_kept_and_refused_with_the_others(tmp_path: Path) -> None:
    def run(*extra: str) -> tuple[int, str]:
        options = [
            "--train",
            "1",
            "--test",
            "1",
            "--size",
            "210,227",
            "--raw",
            str(tmp_path / "raw"),
        ]
        result = CliRunner().invoke(main, ["simulate", str(tmp_path / "rtt"), *options, *extra])
        return result.exit_code, result.output

    code, output = run()
    assert code == 0, output
    assert "2 scenes simulated" in output
    code, output = run()
    assert code == 0, output
    assert "0 scenes simulated, 2 were there already" in output
    assert len(list((tmp_path / "raw" / "train").glob("*_icechart_*.nc"))) == 1
    assert len(list((tmp_path / "raw" / "test").glob("*_icechart_*.nc"))) == 1
    code, output = run("--seed", "5")
    assert code == 1
    assert "is of another run" in output
