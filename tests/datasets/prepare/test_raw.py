"""Raw scenes through ``prepare`` beside their ready-to-train twins, by the command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from click.testing import CliRunner, Result

from autoice_bench.cli import main
from autoice_bench.datasets.patches.window_dataset import read_window
from autoice_bench.datasets.sources.raw_conversion import convert_raw_scene
from autoice_bench.datasets.store.scene_dataset import open_scene
from autoice_bench.scoring.truth.protocol import compute_truth_fingerprint
from autoice_bench.scoring.truth.store_truth import StoreTruth
from tests.datasets.raw_file_writer import (
    HEADER,
    RAW_NAME,
    WATER_ROW,
    RawContent,
    write_raw_file,
    write_rtt_twin,
)

SCENES = ("20180607T184326_dmi", "20190607T184326_dmi")
# 6 of 10 tenths old ice: labelled from 60 % down, and by neither chart at 65 %.
MIXED_ROW = "26;91;60;97;05;40;93;04;-9;-9;-9;-9;-9;05-9;I"


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two raw scenes of 100x150 pixels, and their twins of 50x75."""
    raw, rtt = tmp_path_factory.mktemp("raw"), tmp_path_factory.mktemp("rtt")
    rng = np.random.default_rng(0)
    for scene_id in SCENES:
        primary = rng.normal(-15, 3, (100, 150)).astype(np.float32)
        primary[:, :3] = np.nan
        polygons = np.kron(rng.choice([26, 76], (10, 15)), np.ones((10, 10))).astype(np.float32)
        polygons[:7] = np.nan
        ties = [(*(k * -(-size // 4) for k in range(4)), size - 1) for size in primary.shape]
        content = RawContent(
            primary=primary,
            polygons=polygons,
            rows=(HEADER, MIXED_ROW, WATER_ROW),
            tie_lines=ties[0],
            tie_samples=ties[1],
            shape_2km=(2, 3),
        )
        name = RAW_NAME.replace("20180607T184326_2", f"{scene_id[:15]}_2")
        write_rtt_twin(rtt, convert_raw_scene(write_raw_file(raw, content, name)))
    return raw, rtt


def _run(*arguments: str | Path) -> Result:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result


def _prepare(source: Path, store: Path, *options: str) -> StoreTruth:
    _run("prepare", source, store, "--workers", "1", *options)
    return StoreTruth(store)


def _fingerprint(truth: StoreTruth) -> str:
    digests = {
        scene_id: json.loads((truth.path / "scenes" / scene_id / "zarr.json").read_text())[
            "attributes"
        ]["truth_sha256"]
        for scene_id in SCENES
    }
    return compute_truth_fingerprint(truth.rule, digests)


def test_raw_and_released_twins_give_the_same_truth(
    sources: tuple[Path, Path], tmp_path: Path
) -> None:
    raw, rtt = (_prepare(source, tmp_path / source.name) for source in sources)

    assert _fingerprint(raw) == _fingerprint(rtt)
    for scene_id in SCENES:
        ours, theirs = (xr.open_zarr(t.path / "scenes" / scene_id) for t in (raw, rtt))
        for name in ("sar", "charts", "amsr2", "era5", "distance_map", "tie_line", "latitude"):
            np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)


def test_another_threshold_is_another_data_set(sources: tuple[Path, Path], tmp_path: Path) -> None:
    strict = _prepare(sources[0], tmp_path / "a.zarr")
    loose = _prepare(sources[0], tmp_path / "b.zarr", "--sod-threshold", "60", "--ice-types")

    assert (loose.rule.sod_threshold, loose.rule.floe_threshold) == (60, 65)
    assert _fingerprint(strict) != _fingerprint(loose)
    scene = xr.open_zarr(loose.path / "scenes" / SCENES[0])
    charts = scene["charts"].values
    # Old ice (5) in SOD; floes of 6 + 4 tenths, big and medium, stay masked at 65 %.
    assert set(np.unique(charts[1])) == {0, 5, 255}
    assert set(np.unique(charts[2])) == {0, 255}
    assert set(np.unique(scene["ice_type"])) == {0, 9, 255}
    # Every reader knows the array from the table, and that beyond the scene nothing is known.
    stored = scene["ice_type"].values
    np.testing.assert_array_equal(open_scene(loose.path, SCENES[0])["ice_type"], stored)
    window = read_window(loose.path, SCENES[0], -2, -3, 60, 90)["ice_type"].values
    np.testing.assert_array_equal(window[2:52, 3:78], stored)
    assert (np.delete(window, np.s_[2:52], axis=0) == 255).all()
    np.testing.assert_array_equal(scene["ice_type"] == 9, charts[1] == 5)


def test_released_labels_have_no_other_threshold(
    sources: tuple[Path, Path], tmp_path: Path
) -> None:
    arguments = ["prepare", str(sources[1]), str(tmp_path / "s.zarr"), "--sod-threshold", "50"]
    result = CliRunner().invoke(main, arguments)

    assert result.exit_code == 1
    assert "ready-to-train scenes carry finished labels" in result.stderr


def test_verify_compares_raw_with_released(sources: tuple[Path, Path]) -> None:
    raw, rtt = sources
    answer = json.loads(_run("verify", "--raw", raw, "--source", rtt, "--json").stdout)

    assert [scene["scene_id"] for scene in answer["scenes"]] == [*SCENES]
    for scene in answer["scenes"]:
        assert all(chart["equal"] == chart["pixels"] for chart in scene["charts"])
        assert all(channel["largest"] == 0 for channel in scene["channels"])
    text = _run("verify", "--raw", raw, "--source", rtt).stdout
    assert f"{SCENES[0]}: equal SIC 100.0000 %" in text


@pytest.mark.parametrize("options", [("--workers", "2"), ("some.zarr",)])
def test_verify_of_raw_reads_no_store(sources: tuple[Path, Path], options: tuple[str, ...]) -> None:
    raw, rtt = sources
    result = CliRunner().invoke(main, ["verify", "--raw", str(raw), "--source", str(rtt), *options])

    assert result.exit_code == 2
    assert "give neither STORE nor --workers" in result.stderr


def test_error_about_raw_files_speaks_of_nothing_else(
    sources: tuple[Path, Path], tmp_path: Path
) -> None:
    twice = tmp_path / "raw" / "copy"
    shutil.copytree(sources[0], tmp_path / "raw")
    shutil.copytree(sources[0], twice)
    arguments = ["prepare", str(tmp_path / "raw"), str(tmp_path / "s.zarr")]
    result = CliRunner().invoke(main, arguments)

    assert result.exit_code == 1
    assert "found two raw files" in result.stderr
    assert "_prep.nc" not in result.stderr


def test_threshold_may_be_a_share(sources: tuple[Path, Path], tmp_path: Path) -> None:
    truth = _prepare(sources[0], tmp_path / "s.zarr", "--sod-threshold", "0.5")

    assert (truth.rule.sod_threshold, truth.rule.floe_threshold) == (50, 65)


@pytest.mark.parametrize("threshold", ["0", "101", "1.5", "65.5", "x"])
def test_other_thresholds_are_wrong_usage(sources: tuple[Path, Path], threshold: str) -> None:
    arguments = ["prepare", str(sources[0]), "--floe-threshold", threshold, "--dry-run"]
    result = CliRunner().invoke(main, arguments)

    assert result.exit_code == 2
    assert f"threshold '{threshold}'; expected whole percent from 1 to 100" in result.stderr


def test_raw_scenes_beside_released_ones_are_left_out_with_a_note(
    sources: tuple[Path, Path], tmp_path: Path
) -> None:
    both = tmp_path / "both"
    for source, name in zip(sources, ("raw", "rtt"), strict=True):
        shutil.copytree(source, both / name)
    result = _run("prepare", both, tmp_path / "s.zarr", "--workers", "1")

    assert "2 raw scenes beside the ready-to-train ones; left out" in result.output
    assert "2 scenes written" in result.stdout
