"""The public interface: what ``import autoice_bench`` offers, takes, and says of itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import autoice_bench as ab
from autoice_bench.errors import PatchError, PictureError, StoreError
from autoice_bench.scoring.predictions.writing import write_prediction


@pytest.fixture(scope="module")
def truth_predictions(prepared_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Predictions that are the truth of the test scenes."""
    folder = tmp_path_factory.mktemp("preds") / "perfect"
    folder.mkdir()
    for scene_id in ab.SceneDataset(prepared_store).scene_ids:
        scene = ab.open_scene(prepared_store, scene_id)
        classes = {name: scene[name].values for name in ("SIC", "SOD", "FLOE")}
        write_prediction(folder, scene_id, classes)
    return folder


def test_every_name_is_there_and_documented() -> None:
    documented = (Path(__file__).parents[1] / "docs" / "api.md").read_text()
    assert set(ab.__all__) <= set(dir(ab))
    for name in ab.__all__:
        assert getattr(ab, name) is not None
        assert f"`{name}" in documented, name


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nosuch'"):
        ab.nosuch  # noqa: B018


def test_names_that_need_torch_say_what_to_install() -> None:
    code = (
        "import sys; sys.modules['torch'] = None; sys.modules['lightning_fabric'] = None\n"
        "import autoice_bench as ab\n"
        "ab.open_store, ab.score, ab.show\n"
        "try:\n    ab.PatchDataset\n"
        "except ImportError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "autoice_bench.PatchDataset needs torch" in done.stdout
    assert "autoice-bench[train]" in done.stdout


def test_a_store_is_a_path_and_a_collection_of_scenes(prepared_store: Path) -> None:
    store = ab.open_store(prepared_store)
    assert Path(store) == prepared_store
    assert len(store) == 6
    assert list(store) == sorted(store)
    first = next(iter(store))
    assert first in store
    assert "20180607T184326_dmi" not in store
    assert repr(store).startswith(f"<Store {prepared_store}: 6 simulated scenes, complete, float16")
    assert ab.open_store(store) == store


def test_scores_from_paths(truth_predictions: Path, prepared_store: Path, rtt_source: Path) -> None:
    scores = ab.score(str(truth_predictions), str(prepared_store))
    assert scores.official == {"combined": 100.0, "SIC": 100.0, "SOD": 100.0, "FLOE": 100.0}
    assert scores.combined == 100.0
    assert repr(scores).startswith("<Scores perfect: combined 100.000, SIC 100.000")
    assert scores.to_dict()["submission"] == "perfect"
    # Of an open store, and of the ready-to-train files themselves.
    for truth in (ab.open_store(prepared_store), rtt_source):
        again = ab.score(truth_predictions, truth)
        assert again.evaluation.truth_fingerprint == scores.evaluation.truth_fingerprint
        assert again.official == scores.official


def test_a_store_that_is_not_there(truth_predictions: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no store here; `autoice-bench prepare` makes one"):
        ab.score(truth_predictions, tmp_path / "nosuch.zarr")


def test_datasets_and_loaders_say_what_they_hold(prepared_store: Path) -> None:
    dataset = ab.PatchDataset(str(prepared_store), patch_size=64, patches_per_epoch=10)
    assert repr(dataset).startswith("<PatchDataset: 10 patches an epoch of 64 x 64 pixels from ")
    assert repr(dataset).endswith(
        f"of {prepared_store} (official, train); amsr2, charts, era5, sar>"
    )
    assemble = ab.FeatureAssembler("sar+amsr2", dataset.geometry)
    assert repr(assemble) == "<FeatureAssembler: sar+amsr2, 17 channels, nearest>"
    with ab.PatchLoader(dataset, 4, workers=0) as loader:
        assert repr(loader) == "<PatchLoader: 2 batches an epoch of 4 patches, 0 workers, cpu>"
        first, second = (
            [(batch["index"].tolist(), assemble(batch).sum().item()) for batch in loader]
            for _ in range(2)
        )
        again = [(b["index"].tolist(), assemble(b).sum().item()) for b in loader.epoch(0)]
    assert len(first) == len(loader) == 2
    assert first == again
    assert first != second  # the next epoch
    scenes = ab.SceneDataset(prepared_store)
    assert len(scenes) == 2
    assert repr(scenes) == f"<SceneDataset: 2 scenes of {prepared_store}; amsr2, charts, era5, sar>"
    assert [batch["scene_id"] for batch in scenes] == [[name] for name in scenes.scene_ids]
    with pytest.raises(PatchError, match="no subset 'dev'"):
        ab.SceneDataset(prepared_store, subset="dev")


def test_masked_charts_are_nan_where_there_is_no_label(prepared_store: Path) -> None:
    scene_id = ab.SceneDataset(prepared_store).scene_ids[0]
    plain = ab.open_scene(prepared_store, scene_id)
    masked = ab.open_scene(prepared_store, scene_id, mask=True)
    for name in ("SIC", "SOD", "FLOE"):
        stored, found = plain[name].values, masked[name].values
        assert found.dtype == np.float32
        np.testing.assert_array_equal(np.isnan(found), stored == 255)
        np.testing.assert_array_equal(found[stored != 255], stored[stored != 255])
        assert masked[name].attrs["flag_meanings"] == plain[name].attrs["flag_meanings"]
        assert "missing_value" not in masked[name].attrs
    assert float(masked["SIC"].max()) <= 10
    nodata = (plain["nersc_sar_primary"].values == 0) & (plain["sar_incidenceangle"].values == 0)
    nodata &= plain["nersc_sar_secondary"].values == 0
    np.testing.assert_array_equal(np.isnan(masked["nersc_sar_primary"].values), nodata)


def test_masked_scenes_stay_lazy_and_can_be_written(prepared_store: Path, tmp_path: Path) -> None:
    scene_id = next(iter(ab.open_store(prepared_store)))
    masked = ab.open_scene(prepared_store, scene_id, mask=True, physical=True)
    assert masked["SIC"].chunks is not None
    # Scene attributes are nested, which NetCDF cannot hold.
    masked.drop_attrs(deep=False).to_netcdf(tmp_path / "scene.nc")
    with xr.open_dataset(tmp_path / "scene.nc") as back:
        np.testing.assert_array_equal(back["SIC"].values, masked["SIC"].values)


def test_physical_channels_have_units(prepared_store: Path) -> None:
    scene_id = next(iter(ab.open_store(prepared_store)))
    plain = ab.open_scene(prepared_store, scene_id)
    physical = ab.open_scene(prepared_store, scene_id, physical=True)
    assert physical["nersc_sar_primary"].attrs["units"] == "dB"
    assert physical["btemp_18_7h"].attrs["units"] == "K"
    assert not [name for name in physical["t2m"].attrs if name.startswith("standardisation")]
    z = plain["btemp_18_7h"].values
    expected = z * plain["btemp_18_7h"].attrs["standardisation_std"]
    expected = expected + plain["btemp_18_7h"].attrs["standardisation_mean"]
    np.testing.assert_allclose(physical["btemp_18_7h"].values, expected, rtol=1e-6)
    angles = physical["sar_incidenceangle"].values
    assert 15 < np.nanmin(angles) < np.nanmax(angles) < 50
    assert physical["SIC"].dtype == np.uint8
    assert "2 m air temperature" in physical["t2m"].attrs["long_name"]


def test_a_picture(prepared_store: Path, truth_predictions: Path, tmp_path: Path) -> None:
    scene_id = ab.SceneDataset(prepared_store).scene_ids[0]
    out = tmp_path / "scene.png"
    figure = ab.show(prepared_store, scene_id, prediction=truth_predictions, out=out)
    assert len(figure.axes) > 5
    assert out.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(PictureError, match="exists"):
        ab.show(prepared_store, scene_id, out=out)


def test_a_window(prepared_store: Path) -> None:
    store = ab.open_store(prepared_store)
    window = ab.read_window(store, next(iter(store)), 10, 20, 32, 48)
    assert window["sar"].shape == (3, 32, 48)
