from __future__ import annotations

import csv
import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from click.testing import CliRunner, Result

from autoice_bench.cli import main
from autoice_bench.datasets.simulate import rtt_files
from autoice_bench.datasets.simulate.rtt_files import swath_attributes
from autoice_bench.datasets.simulate.run import METADATA_COLUMNS, SimulatedSource, simulate
from autoice_bench.datasets.simulate.scenario import plan_scenes
from autoice_bench.datasets.simulate.scene import simulate_scene
from autoice_bench.errors import SceneError

SMALL = (210, 227)


def digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["simulate", *map(str, arguments)])


def test_same_bytes_for_any_number_of_workers(tmp_path: Path) -> None:
    simulate(tmp_path / "one", n_train=2, n_test=1, size=SMALL, seed=3)
    simulate(tmp_path / "two", n_train=2, n_test=1, size=SMALL, seed=3, workers=2)
    one = digests(tmp_path / "one")
    assert one == digests(tmp_path / "two")
    assert len(one) == 5  # three scenes, one reference, metadata.csv


def test_a_failed_file_leaves_nothing_and_a_killed_one_is_swept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("NetCDF: HDF error")  # what the library says of a full disk

    with monkeypatch.context() as patched:
        patched.setattr(rtt_files, "add_variable", fail)
        with pytest.raises(SceneError, match=r"HDF error.*free space"):
            simulate(tmp_path, n_train=1, n_test=0, size=SMALL)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    killed = tmp_path / "train" / ".x_prep.nc.0123.partial"
    killed.mkdir()
    (killed / ".gitignore").write_text("*\n")
    (killed / "new").write_bytes(b"half")
    simulate(tmp_path, n_train=1, n_test=0, size=SMALL)
    assert not killed.exists()
    assert len(digests(tmp_path)) == 2


def test_a_scene_does_not_depend_on_how_many_others_there_are() -> None:
    few, many = (plan_scenes(n, 0, SMALL, 0, "none")[1] for n in (2, 9))
    assert few == many
    np.testing.assert_array_equal(simulate_scene(few).hh, simulate_scene(many).hh)


def test_metadata_lists_every_scene(simulated_source: SimulatedSource) -> None:
    with (simulated_source.path / "metadata.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert tuple(rows[0]) == METADATA_COLUMNS
    assert [row["split"] for row in rows] == ["train"] * 4 + ["test"] * 2
    for row in rows:
        assert (simulated_source.path / row["input_path"]).is_file()
        assert row["input_path"].endswith(f"_{row['ice_service']}_prep.nc")
        if row["split"] == "test":
            assert (simulated_source.path / row["reference_path"]).is_file()
        else:
            assert row["reference_path"] == ""


def test_repeating_keeps_and_finishes(tmp_path: Path) -> None:
    options = ("--train", "2", "--test", "1", "--size", "210,227")
    first = run(tmp_path / "rtt", *options)
    assert first.exit_code == 0, first.output
    assert "3 scenes simulated" in first.output
    before = digests(tmp_path / "rtt")
    lost = next((tmp_path / "rtt" / "test").glob("*_prep_reference.nc"))
    lost.unlink()
    again = run(tmp_path / "rtt", *options)
    assert "1 scenes simulated, 2 were there already" in again.output
    assert digests(tmp_path / "rtt") == before


def test_other_scenes_in_the_folder_are_refused(rtt_source: Path, tmp_path: Path) -> None:
    out = tmp_path / "rtt"
    shutil.copytree(rtt_source, out)
    refused = run(out, "--train", "1", "--test", "0", "--size", "210,227", "--seed", "9")
    assert refused.exit_code == 1
    assert "is of another run" in refused.output
    assert "--overwrite" in refused.output
    assert digests(out) == digests(rtt_source)
    replaced = run(out, "--train", "1", "--test", "0", "--size", "210,227", "--overwrite")
    assert replaced.exit_code == 0, replaced.output
    assert len(list(out.rglob("*.nc"))) == 1


def test_files_that_are_not_simulated_are_never_removed(tmp_path: Path) -> None:
    other = tmp_path / "rtt" / "train" / "20180108T184332_dmi_prep.nc"
    other.parent.mkdir(parents=True)
    xr.Dataset(attrs={"scene_id": other.name}).to_netcdf(other)
    with pytest.raises(SceneError, match="is not a simulated scene"):
        simulate(tmp_path / "rtt", n_train=1, n_test=0, size=SMALL, overwrite=True)
    assert other.exists()


def test_a_failed_write_leaves_no_scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("autoice_bench.datasets.simulate.rtt_files.add_variable", fail)
    with pytest.raises(SceneError, match=r"could not be written \(disk full\)"):
        simulate(tmp_path / "rtt", n_train=1, n_test=0, size=SMALL)
    assert [path for path in (tmp_path / "rtt").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("size", ["1000", "1000,x", "1000,1046,2"])
def test_bad_size_is_wrong_usage(size: str, tmp_path: Path) -> None:
    result = run(tmp_path / "rtt", "--size", size)
    assert result.exit_code == 2
    assert "is not LINES,SAMPLES" in result.output


def test_out_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "rtt").write_text("")
    result = run(tmp_path / "rtt")
    assert result.exit_code == 1
    assert "expected a folder" in result.output


def test_the_awkward_cases_are_what_they_say() -> None:
    # The size makes cells end two pixels before the last sampled one: 223 = 8 * 25 + 23.
    specs = {spec.case: spec for spec in plan_scenes(7, 0, (260, 248), 0, "all")}
    water = simulate_scene(specs["all water"])
    assert set(np.unique(water.charts())) == {0, 255}
    ambiguous = simulate_scene(specs["ambiguous stage"])
    assert (ambiguous.charts()[1] == 255).all()
    assert (ambiguous.charts()[0] != 255).any()
    masked = simulate_scene(specs["mostly masked"])
    assert masked.masked.mean() > 0.8
    short = simulate_scene(specs["short frame"])
    assert short.latitude.shape == (13, 21)
    assert short.hh.shape == (200, 248)
    odd = simulate_scene(specs["odd size"])
    assert odd.hh.shape == (259, 247)
    assert odd.fields_2km["t2m"].shape == (10, 9)
    swaths = swath_attributes(simulate_scene(specs["two swaths"]))
    assert str(swaths["AMSR2_swaths"]).startswith("['GW1AM2_")
    assert str(swaths["AMSR2_S1_delays"]).count(",") == 1


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "rtt").mkdir()
    (tmp_path / "rtt" / "train").write_text("")
    result = run(tmp_path / "rtt", "--train", "1", "--test", "0", "--size", "210,227")
    assert result.exit_code == 1
    assert "cannot be made" in result.output


def test_a_store_is_no_place_for_scenes(tmp_path: Path) -> None:
    (tmp_path / "zarr.json").write_text("{}")
    with pytest.raises(SceneError, match="is a store or another Zarr group"):
        simulate(tmp_path, n_train=1, n_test=0, size=SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["zarr.json"]


@pytest.mark.parametrize("option", ["--seed", "--train", "--test"])
def test_negative_numbers_are_wrong_usage(tmp_path: Path, option: str) -> None:
    result = run(tmp_path / "rtt", option, "-1")
    assert result.exit_code == 2
    assert "-1 is not in the range x>=0" in result.output


def test_a_second_call_is_refused_while_the_first_is_at_work(tmp_path: Path) -> None:
    def call_again(_: int, __: int) -> None:
        for out, raw in ((tmp_path / "rtt", None), (tmp_path / "rtt" / "../rtt", None)):
            with pytest.raises(
                SceneError, match=r"rtt: another process \(process \d+ on .* is wri"
            ):
                simulate(out, n_train=1, n_test=0, size=SMALL, raw=raw)
        with pytest.raises(SceneError, match="raw: another process"):
            simulate(tmp_path / "other", n_train=1, n_test=0, size=SMALL, raw=tmp_path / "raw")

    raw = tmp_path / "raw"
    source = simulate(
        tmp_path / "rtt", n_train=2, n_test=0, size=SMALL, raw=raw, progress=call_again
    )
    assert source.n_written == 2
    assert not list(tmp_path.rglob(".*"))
    both = simulate(tmp_path / "both", n_train=1, n_test=0, size=SMALL, raw=tmp_path / "both")
    assert both.n_written == 1
