"""Overviews: what `prepare` writes, adds and refuses; what `verify` finds; what `info` says."""

from __future__ import annotations

import hashlib
import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr
from click.testing import CliRunner

from autoice_bench.cli import main
from autoice_bench.datasets.checks.store_report import report_store
from autoice_bench.datasets.checks.verify import check_scene, verify_store
from autoice_bench.datasets.prepare import extension as scene_extension
from autoice_bench.datasets.prepare.holding import Part
from autoice_bench.datasets.prepare.prepare import prepare
from autoice_bench.datasets.store import overviews
from autoice_bench.datasets.store.downscaling import (
    DOWNSCALED_ARRAYS,
    Downscaling,
    downscale_array,
)
from autoice_bench.datasets.store.root import (
    Store,
    StoreOptions,
    compute_store_fingerprint,
    open_store,
)
from autoice_bench.errors import StoreError
from autoice_bench.formats.scene_document import add_digest
from autoice_bench.formats.shard_writer import dump_json
from autoice_bench.text.store import format_store_report
from tests.datasets.store_tools import copy_source, digest_scenes, scene_files

OVERVIEWS = (Downscaling(4, "area"), Downscaling(10))


@pytest.fixture(scope="module")
def store(rtt_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete store with overviews. Read only: copy before changing it."""
    path = tmp_path_factory.mktemp("overviews") / "autoice.zarr"
    return prepare(rtt_source, path, workers=1, overviews=OVERVIEWS).store.path


@pytest.fixture
def copied(store: Path, tmp_path: Path) -> Path:
    shutil.copytree(store, tmp_path / "s.zarr")
    return tmp_path / "s.zarr"


@pytest.fixture
def plain(prepared_store: Path, tmp_path: Path) -> Path:
    """A copy of a store without overviews."""
    shutil.copytree(prepared_store, tmp_path / "plain.zarr")
    return tmp_path / "plain.zarr"


# --- what is written


def test_xarray_opens_overviews_without_options(store: Path) -> None:
    for path in (store / "scenes").iterdir():
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            scene = xr.open_zarr(path)
            for how in OVERVIEWS:
                overview = xr.open_zarr(path / "overviews" / str(how.ratio)).load()
                assert overview.attrs == {
                    "downscale_ratio": how.ratio,
                    "downscale_method": how.method,
                    "pixel_spacing_m": how.ratio * 80,
                }
                for name in DOWNSCALED_ARRAYS:
                    expected = downscale_array(name, scene[name].values, how)
                    np.testing.assert_array_equal(overview[name], expected)
                    assert overview[name].attrs == scene[name].attrs
                    assert overview[name].dims[:-2] == scene[name].dims[:-2]
        assert "overviews" not in scene


def test_a_scene_opens_as_a_tree(store: Path) -> None:
    scene = next((store / "scenes").iterdir())
    tree = xr.open_datatree(scene, engine="zarr")
    assert tree["overviews/10/sar"].shape == (3, 30, 33)
    assert tree["overviews/4"].coords["chart"].values.tolist() == ["SIC", "SOD", "FLOE"]
    group = zarr.open_group(scene, mode="r")
    assert group.metadata.consolidated_metadata is not None
    np.testing.assert_array_equal(group["overviews/10/sar"], tree["overviews/10/sar"])


def test_a_scene_lists_its_overviews(store: Path) -> None:
    scene = next((store / "scenes").iterdir())
    attributes = json.loads((scene / "zarr.json").read_bytes())["attributes"]
    assert attributes["overviews"] == {"4": "area", "10": "nearest"}
    listed = {path for path in attributes["files"] if path.startswith("overviews/")}
    assert listed == {
        path.relative_to(scene).as_posix()
        for path in (scene / "overviews").rglob("*")
        if path.is_file()
    }


def test_stores_without_overviews_say_nothing_of_them(prepared_store: Path) -> None:
    options = open_store(prepared_store).options
    assert "overviews" not in options.to_attributes()
    for path in prepared_store.rglob("zarr.json"):
        assert b"overview" not in path.read_bytes()


def test_overviews_do_not_change_the_scenes_or_the_fingerprint(
    store: Path, prepared_store: Path
) -> None:
    with_overviews, without = digest_scenes(store), digest_scenes(prepared_store)
    for path, digest in without.items():
        assert path.count("/") == 1 or with_overviews[path] == digest
    assert open_store(store).fingerprint == open_store(prepared_store).fingerprint
    options = StoreOptions(True, overviews=OVERVIEWS)
    assert StoreOptions.from_attributes(options.to_attributes()) == options
    sources = [("a", "b", None)]
    assert compute_store_fingerprint(options, sources) == compute_store_fingerprint(
        StoreOptions(True), sources
    )


@pytest.mark.slow
def test_bytes_do_not_depend_on_workers(rtt_source: Path, store: Path, tmp_path: Path) -> None:
    two = prepare(rtt_source, tmp_path / "two.zarr", workers=2, overviews=OVERVIEWS[::-1])
    assert digest_scenes(two.store.path) == digest_scenes(store)


# --- adding them later


def test_added_overviews_have_the_same_bytes(rtt_source: Path, store: Path, plain: Path) -> None:
    fingerprint = open_store(plain).fingerprint
    seen: list[str] = []
    report = prepare(rtt_source, plain, workers=1, overviews=OVERVIEWS[1:], on_extended=seen.append)
    assert (report.written, len(report.done)) == ((), 6)
    assert report.extended == tuple(seen) == open_store(plain).scene_ids()
    report = prepare(rtt_source, plain, workers=2, overviews=OVERVIEWS[:1])
    assert len(report.extended) == 6
    assert digest_scenes(plain) == digest_scenes(store)
    assert report.store.options.overviews == OVERVIEWS
    assert report.store.fingerprint == fingerprint
    assert verify_store(plain, source=rtt_source).problems == ()


def test_overviews_stay_and_new_scenes_get_them(
    rtt_source: Path, store: Path, tmp_path: Path
) -> None:
    source = copy_source(rtt_source, tmp_path / "rtt")
    late = scene_files(source / "train")[0]
    late.rename(tmp_path / late.name)
    path = tmp_path / "s.zarr"
    prepare(source, path, workers=1, overviews=OVERVIEWS)
    (tmp_path / late.name).rename(late)
    report = prepare(source, path, workers=1)
    assert report.written == (late.name.removesuffix("_prep.nc"),)
    assert report.extended == ()
    assert digest_scenes(path) == digest_scenes(store)


def test_scenes_that_are_not_in_the_source_get_overviews_too(
    rtt_source: Path, store: Path, plain: Path, tmp_path: Path
) -> None:
    source = copy_source(rtt_source, tmp_path / "rtt")
    scene_files(source / "train")[0].unlink()
    assert len(prepare(source, plain, workers=1, overviews=OVERVIEWS).extended) == 6
    assert digest_scenes(plain) == digest_scenes(store)


def test_parts_add_overviews_to_their_scenes(rtt_source: Path, store: Path, plain: Path) -> None:
    extended: list[str] = []
    for number in (1, 2):
        report = prepare(rtt_source, plain, workers=1, part=Part(number, 2), overviews=OVERVIEWS)
        assert report.store.state == "preparing"
        extended += report.extended
    assert len(extended) == 6
    report = prepare(rtt_source, plain, workers=1)
    assert report.extended == ()
    assert report.store.state == "complete"
    assert digest_scenes(plain) == digest_scenes(store)


def test_interruption_leaves_whole_scenes_and_is_made_good(
    rtt_source: Path, store: Path, plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moves = 0
    move = overviews.move_overviews

    def move_and_die(*arguments: object) -> None:
        nonlocal moves
        moves += 1
        move(*arguments)  # type: ignore[arg-type]
        if moves == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(scene_extension, "move_overviews", move_and_die)
    with pytest.raises(KeyboardInterrupt):
        prepare(rtt_source, plain, workers=1, overviews=OVERVIEWS)
    monkeypatch.undo()
    interrupted = open_store(plain)
    assert interrupted.state == "preparing"
    for scene_id in interrupted.scene_ids():
        problems = check_scene(interrupted, scene_id, None).problems
        # One scene has overviews that it does not mention; all are readable as they are.
        assert all("does not belong" in p or "is missing; run" in p for p in problems)
    report = prepare(rtt_source, plain, workers=1)
    assert 0 < len(report.extended) < 6
    assert digest_scenes(plain) == digest_scenes(store)
    assert verify_store(plain).problems == ()


def test_another_method_is_refused_then_replaces_the_store(rtt_source: Path, copied: Path) -> None:
    before = digest_scenes(copied)
    other = [Downscaling(10, "area")]
    with pytest.raises(
        StoreError, match=r"overviews 10:nearest there, 10:area asked for.*--overwrite"
    ):
        prepare(rtt_source, copied, workers=1, overviews=other)
    assert digest_scenes(copied) == before
    report = prepare(rtt_source, copied, workers=1, overviews=other, overwrite=True)
    assert len(report.written) == 6
    assert report.store.options.overviews == tuple(other)


def test_other_options_are_named_without_overviews(rtt_source: Path, copied: Path) -> None:
    with pytest.raises(StoreError, match="dtype float16 there, float32 asked for; they") as caught:
        prepare(rtt_source, copied, workers=1, dtype="float32")
    assert "overviews" not in str(caught.value)


# --- verify


def test_sound_overviews_have_no_problem(store: Path, rtt_source: Path) -> None:
    assert verify_store(store, source=rtt_source).problems == ()


@pytest.mark.parametrize(
    "name", ["overviews/zarr.json", "overviews/10/zarr.json", "overviews/4/sar/c/0/0/0"]
)
def test_a_damaged_file_is_named(copied: Path, name: str) -> None:
    opened = open_store(copied)
    scene_id = opened.scene_ids()[2]
    path = opened.scene_path(scene_id) / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert check_scene(opened, scene_id, None).problems == (
        f"scene {scene_id}: {name} does not match its SHA-256: it was damaged or edited",
    )


def seal(scene: Path) -> None:
    """Make the digests of a changed scene right again: what is left is only the values."""
    document = json.loads((scene / "zarr.json").read_bytes())
    document["attributes"]["files"] = {
        name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name in document["attributes"]["files"]
        if (scene / name).exists()
        for content in [(scene / name).read_bytes()]
    }
    (scene / "zarr.json").write_bytes(dump_json(add_digest(document)))


@pytest.mark.parametrize("name", DOWNSCALED_ARRAYS)
def test_values_that_do_not_follow_from_the_scene_are_found(copied: Path, name: str) -> None:
    opened = open_store(copied)
    scene_id = opened.scene_ids()[2]
    path = opened.scene_path(scene_id) / "overviews" / "4" / name
    array = zarr.open_array(path, mode="r+")
    values = np.asarray(array[...])
    values[..., -1, -1] += 1
    array[...] = values
    seal(opened.scene_path(scene_id))
    assert check_scene(opened, scene_id, None).problems == (
        f"scene {scene_id}: overviews/4/{name} is not {name} downscaled (area)",
    )


def test_missing_overviews_are_found(copied: Path, prepared_store: Path) -> None:
    opened = open_store(copied)
    scene_id = opened.scene_ids()[0]
    shutil.rmtree(opened.scene_path(scene_id) / "overviews" / "10" / "charts")
    seal(opened.scene_path(scene_id))
    assert check_scene(opened, scene_id, None).problems == (
        f"scene {scene_id}: overviews/10/charts and charts must both be there, or neither",
    )
    shutil.rmtree(opened.scene_path(scene_id))
    shutil.copytree(prepared_store / "scenes" / scene_id, opened.scene_path(scene_id))
    assert check_scene(opened, scene_id, None).problems == tuple(
        f"scene {scene_id}: overview {how} of the store is missing; run `autoice-bench prepare` "
        "again"
        for how in OVERVIEWS
    )


# --- the command line


def test_command_line(rtt_source: Path, plain: Path) -> None:
    runner = CliRunner()
    store = str(plain)
    arguments = ["prepare", str(rtt_source), store, "--workers", "1"]
    dry = runner.invoke(main, [*arguments, "--overviews", "10", "--dry-run"])
    assert "overviews would be added to 6 scenes" in dry.output
    assert "overviews" not in runner.invoke(main, ["info", store]).output
    done = runner.invoke(main, [*arguments, "--overviews", "10", "--overviews", "4:area"])
    assert "0 scenes written, 6 were there already, overviews added to 6" in done.output
    info = runner.invoke(main, ["info", store])
    assert "overviews 4:area, 10:nearest" in info.output
    as_json = json.loads(runner.invoke(main, ["info", store, "--json"]).output)
    assert as_json["overviews"] == ["4:area", "10:nearest"]


@pytest.mark.parametrize("wrong", [["1"], ["ten"], ["10:mean"], ["10", "10:area"]])
def test_wrong_overviews_are_wrong_usage(
    rtt_source: Path, tmp_path: Path, wrong: list[str]
) -> None:
    options = [part for value in wrong for part in ("--overviews", value)]
    done = CliRunner().invoke(main, ["prepare", str(rtt_source), str(tmp_path / "s"), *options])
    assert done.exit_code == 2
    assert not (tmp_path / "s").exists()


def test_report_says_nothing_of_overviews_that_are_not_there(prepared_store: Path) -> None:
    opened: Store = open_store(prepared_store)
    assert "overview" not in format_store_report(report_store(opened))
