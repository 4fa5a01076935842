"""The store's root: what opens, what is refused and why; ``open_scene``."""

from __future__ import annotations

import json
import shutil
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr

from autoice_bench.charts import CHARTS, SOD
from autoice_bench.datasets.store import root as store_module
from autoice_bench.datasets.store.root import (
    Store,
    StoreOptions,
    compute_store_fingerprint,
    create_store,
    mark_complete,
    open_store,
    write_root,
)
from autoice_bench.datasets.store.scene_dataset import open_scene
from autoice_bench.errors import StoreError
from autoice_bench.formats.label_rule import LabelRule
from autoice_bench.formats.netcdf import open_netcdf
from autoice_bench.formats.rtt_folder import find_scenes
from autoice_bench.formats.scene_document import add_digest
from autoice_bench.formats.variables import STANDARDISED_VARIABLES, VARIABLES
from autoice_bench.formats.whole_files import write_whole

OPTIONS = StoreOptions(simulated=True)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """An empty store, just created."""
    create_store(tmp_path / "s.zarr", OPTIONS)
    return tmp_path / "s.zarr"


def expect_refusal(path: Path, words: str) -> None:
    with pytest.raises(StoreError) as caught:
        open_store(path)
    assert str(caught.value) == f"store {path}: {words}"


def edit_root(path: Path, **attributes: Any) -> None:
    """Change attributes by hand, without their digest."""
    document = json.loads((path / "zarr.json").read_bytes())
    document["attributes"] |= attributes
    (path / "zarr.json").write_text(json.dumps(document))


# --- creating and opening


def test_new_store_opens_as_it_was_made(path: Path) -> None:
    store = open_store(path)
    assert store == Store(path, OPTIONS)
    assert (store.state, store.fingerprint, store.scene_ids()) == ("preparing", None, ())
    assert open_store(str(path)) == store


@pytest.mark.parametrize(
    "options",
    [
        OPTIONS,
        StoreOptions(simulated=False, dtype="float32"),
        StoreOptions(False, "float16", LabelRule("autoice-2022", 70, 50)),
    ],
)
def test_options_survive(tmp_path: Path, options: StoreOptions) -> None:
    create_store(tmp_path / "s.zarr", options)
    assert open_store(tmp_path / "s.zarr").options == options
    assert StoreOptions.from_attributes(options.to_attributes()) == options


def test_root_attributes(path: Path) -> None:
    attributes = dict(zarr.open_group(path, mode="r").attrs)
    expected = {
        "format": "autoice-bench store",
        "format_version": 1,
        "state": "preparing",
        "simulated": True,
        "dtype": "float16",
        "label_rule": "autoice-2022",
        "sod_threshold": 65,
        "floe_threshold": 65,
        "pixel_spacing_m": 80,
        "licence": "CC-BY-4.0",
        "store_fingerprint": None,
    }
    assert {name: attributes[name] for name in expected} == expected
    assert attributes["standardisation"].keys() == {v.name for v in STANDARDISED_VARIABLES}  # type: ignore[union-attr]
    assert "no observation" in str(attributes["citation"])
    document = json.loads((path / "zarr.json").read_bytes())
    assert "consolidated_metadata" not in document


def test_real_scenes_are_cited(tmp_path: Path) -> None:
    create_store(tmp_path / "s.zarr", StoreOptions(simulated=False))
    citation = str(zarr.open_group(tmp_path / "s.zarr", mode="r").attrs["citation"])
    assert "10.11583/DTU.c.6244065.v2" in citation


def test_completing(path: Path) -> None:
    with pytest.raises(StoreError, match=r"state is 'preparing' \(0 scenes so far\); run the same"):
        open_store(path, require_complete=True)
    complete = mark_complete(open_store(path), "f" * 64, "1" * 64)
    reopened = open_store(path, require_complete=True)
    assert reopened == complete
    assert (reopened.state, reopened.fingerprint) == ("complete", "f" * 64)
    assert reopened.index_sha256 == "1" * 64


def test_only_folders_with_metadata_are_scenes(path: Path) -> None:
    first, second = "20300101T000000_cis", "20300102T000000_dmi"
    for name in (second, first, "20300103T000000_cis", "other", f"{first}_prep"):
        (path / "scenes" / name).mkdir()
    for name in (first, second, "other", f"{first}_prep"):
        (path / "scenes" / name / "zarr.json").write_text("{}")
    (path / "scenes" / "file").write_text("")
    assert open_store(path).scene_ids() == (first, second)
    shutil.rmtree(path / "scenes")
    assert open_store(path).scene_ids() == ()


@pytest.mark.parametrize("name", ["thesis.txt", "scenes/20300607T184326_dmi/zarr.json", "a/b"])
def test_store_is_not_made_over_something_else(tmp_path: Path, name: str) -> None:
    (tmp_path / "s" / name).parent.mkdir(parents=True)
    (tmp_path / "s" / name).write_text("mine")
    with pytest.raises(StoreError, match="something else is there; choose another path"):
        create_store(tmp_path / "s", OPTIONS)
    assert (tmp_path / "s" / name).read_text() == "mine"
    assert not (tmp_path / "s" / "zarr.json").exists()


def test_store_is_not_made_over_a_file(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("mine")
    with pytest.raises(StoreError, match="something else is there"):
        create_store(tmp_path / "s", OPTIONS)


def test_what_a_kill_leaves_of_a_new_store_is_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "s.zarr"
    (path / ".partial" / "run").mkdir(parents=True)

    def killed(*_: object) -> None:
        (path / ".zarr.json.0123.partial").write_text("half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(store_module, "write_root", killed)
        with pytest.raises(KeyboardInterrupt):
            create_store(path, OPTIONS)
    assert (path / "scenes").is_dir()
    create_store(path, OPTIONS)
    assert open_store(path).options == OPTIONS


# --- refusals


def test_nothing_there(tmp_path: Path) -> None:
    hint = f"make one with `autoice-bench prepare SOURCE {tmp_path / 'x'}`"
    expect_refusal(tmp_path / "x", f"found nothing; {hint}")
    (tmp_path / "x").mkdir()
    expect_refusal(tmp_path / "x", f"found a folder that is no store; {hint}")


def test_path_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    with pytest.raises(StoreError, match="make one with"):
        open_store(tmp_path / "x")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no JSON",
        b"[]",
        b"{}",
        b'{"attributes": {}}',
        b'{"attributes": [1]}',
        b'{"zarr_format": 3, "node_type": "group", "attributes": {"title": "someone else\'s"}}',
        b"\xff\xfe",
    ],
)
def test_root_of_something_else(path: Path, content: bytes) -> None:
    (path / "zarr.json").write_bytes(content)
    expect_refusal(path, "zarr.json is no store's; expected format 1")


@pytest.mark.parametrize("version", [0, 2, "1"])
def test_other_format_versions(path: Path, version: object) -> None:
    edit_root(path, format_version=version)
    with pytest.raises(
        StoreError, match=rf"format version {version}; autoice-bench .* reads versi"
    ):
        open_store(path)


@pytest.mark.parametrize(
    "edit", [{"state": "complete"}, {"sod_threshold": 70}, {"simulated": False}, {"note": "hello"}]
)
def test_edited_root(path: Path, edit: dict[str, Any]) -> None:
    edit_root(path, **edit)
    expect_refusal(path, "zarr.json does not match its own digest: it was damaged or edited")


def test_any_flipped_byte_of_the_root_is_noticed(path: Path) -> None:
    content = (path / "zarr.json").read_bytes()
    for at in range(0, len(content), 3):
        damaged = bytearray(content)
        damaged[at] ^= 0x01
        (path / "zarr.json").write_bytes(damaged)
        with pytest.raises(StoreError):
            open_store(path)


def test_unreadable_root(path: Path) -> None:
    (path / "zarr.json").unlink()
    (path / "zarr.json").mkdir()
    expect_refusal(path, "zarr.json cannot be read: is a folder; expected a file")


def test_truncated_root(path: Path) -> None:
    content = (path / "zarr.json").read_bytes()
    (path / "zarr.json").write_bytes(content[:-20])
    expect_refusal(path, "zarr.json is no store's; expected format 1")


# --- atomic writing


def test_atomic_write_replaces_or_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "a.json"
    write_whole(target, b"old")
    write_whole(target, b"new")
    assert target.read_bytes() == b"new"

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(OSError, match="No space left"):
            write_whole(target, b"newer")
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]
    assert target.read_bytes() == b"new"


def test_root_can_be_written_again(path: Path) -> None:
    content = (path / "zarr.json").read_bytes()
    write_root(open_store(path))
    assert (path / "zarr.json").read_bytes() == content


# --- fingerprint


def test_fingerprint_depends_on_sources_and_options_only() -> None:
    sources = [("a", "1" * 64, None), ("b", "2" * 64, "3" * 64)]
    fingerprint = compute_store_fingerprint(OPTIONS, sources)
    assert len(fingerprint) == 64
    assert compute_store_fingerprint(OPTIONS, reversed(sources)) == fingerprint
    others = {
        compute_store_fingerprint(OPTIONS, sources[:1]),
        compute_store_fingerprint(OPTIONS, [("c", *sources[0][1:]), sources[1]]),
        compute_store_fingerprint(OPTIONS, [sources[0], ("b", "2" * 64, None)]),
        compute_store_fingerprint(replace(OPTIONS, dtype="float32"), sources),
        compute_store_fingerprint(replace(OPTIONS, simulated=False), sources),
        compute_store_fingerprint(
            replace(OPTIONS, label_rule=LabelRule("autoice-2022", 66, 65)), sources
        ),
    }
    assert len(others) == 6
    assert fingerprint not in others


# --- scenes


def test_open_scene_names_every_variable(prepared_store: Path, rtt_source: Path) -> None:
    source = next(scene for scene in find_scenes(rtt_source).scenes if scene.subset == "train")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scene = open_scene(prepared_store, source.scene_id).load()
    assert set(scene.data_vars) == {*VARIABLES, *(chart.name for chart in CHARTS)}
    assert set(scene.coords) == {"latitude", "longitude", "tie_line", "tie_sample"}
    with open_netcdf(source.path) as file:
        for name in ("SIC", "SOD", "FLOE", "btemp_89_0v", "u10m_rotated"):
            np.testing.assert_array_equal(scene[name].values, file.read(name))
            assert scene[name].dims == file.dims(name)
        # All values lie within +-16, where float16 is spaced 2^-7 at most.
        hv = file.read("nersc_sar_secondary")
        np.testing.assert_allclose(scene["nersc_sar_secondary"].values, hv, rtol=0, atol=2**-8)
    assert scene.attrs["scene_id"] == source.scene_id


def test_open_scene_is_lazy(prepared_store: Path) -> None:
    store = open_store(prepared_store)
    scene = open_scene(store, store.scene_ids()[0])
    assert not scene["SIC"].variable._in_memory
    assert scene["SIC"].chunks is None


def test_charts_are_described_as_cf_wants(prepared_store: Path) -> None:
    store = open_store(prepared_store)
    scene = open_scene(store, store.scene_ids()[0])
    assert scene["SOD"].attrs == {
        "long_name": "stage of development",
        "flag_values": [0, 1, 2, 3, 4, 5],
        "flag_meanings": "open_water new_ice young_ice thin_first_year_ice thick_first_year_ice "
        "old_ice",
        "missing_value": 255,
    }
    for chart in CHARTS:
        attributes = scene[chart.name].attrs
        assert len(attributes["flag_values"]) == chart.n_classes
        assert len(attributes["flag_meanings"].split()) == chart.n_classes
    assert len(SOD.class_names) == 6


def test_channels_say_how_to_undo_the_standardisation(prepared_store: Path) -> None:
    store = open_store(prepared_store)
    attributes = open_scene(store, store.scene_ids()[0])["t2m"].attrs
    assert attributes == {
        "long_name": "standardised 2 m air temperature",
        "units": "1",
        "standardisation_mean": 268.6265490976146,
        "standardisation_std": 9.469170769562306,
        "standardisation_units": "K",
    }


def test_open_scene_without_charts(prepared_store: Path, tmp_path: Path) -> None:
    store = shutil.copytree(prepared_store, tmp_path / "s.zarr")
    scene_id = open_store(store).scene_ids()[0]
    folder = store / "scenes" / scene_id
    document = json.loads((folder / "zarr.json").read_bytes())
    for name in ("charts", "chart", "valid_counts"):
        shutil.rmtree(folder / name)
        del document["consolidated_metadata"]["metadata"][name]
    (folder / "zarr.json").write_text(json.dumps(add_digest(document)))
    scene = open_scene(store, scene_id)
    assert set(scene.data_vars) == set(VARIABLES)


def test_opened_scene_can_be_saved_as_zarr(prepared_store: Path, tmp_path: Path) -> None:
    # The stacked arrays' chunks must not be asked of the unstacked ones.
    store = open_store(prepared_store)
    scene = open_scene(store, store.scene_ids()[0])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Consolidated metadata is currently not part")
        scene.to_zarr(tmp_path / "copy.zarr")
    copied = xr.open_zarr(tmp_path / "copy.zarr", mask_and_scale=False)
    xr.testing.assert_equal(copied.load(), scene.load())
    # With decoding, unlabelled pixels are missing, as ``missing_value`` says.
    decoded = xr.open_zarr(tmp_path / "copy.zarr")["SIC"]
    np.testing.assert_array_equal(decoded.isnull(), scene["SIC"] == 255)


def test_unknown_scene(prepared_store: Path) -> None:
    with pytest.raises(StoreError, match=r"no scene 20300101T000000_cis among its 6 scenes"):
        open_scene(prepared_store, "20300101T000000_cis")
    with pytest.raises(StoreError, match="found nothing"):
        open_scene(prepared_store.with_name("absent"), "20300101T000000_cis")


@pytest.mark.parametrize("name", ["../x", "/etc", "", "20300101T000000_cis/..", "x"])
def test_what_is_no_scene_id_leads_nowhere(path: Path, name: str) -> None:
    with pytest.raises(StoreError, match="expected a scene id such as"):
        open_store(path).scene_path(name)
