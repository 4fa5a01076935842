"""`verify` finds every planted fault and names it."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import netCDF4
import numpy as np
import pytest
from click.testing import CliRunner

from autoice_bench.cli import main
from autoice_bench.datasets.checks.verify import VerifyReport, check_scene, verify_store
from autoice_bench.datasets.store.root import StoreState, open_store, write_root
from autoice_bench.errors import StoreError
from autoice_bench.formats.scene_document import add_digest
from autoice_bench.formats.shard_writer import dump_json
from tests.datasets.store_tools import copy_source, scene_files


@pytest.fixture
def store(prepared_store: Path, tmp_path: Path) -> Path:
    """A copy of the store that a test may damage."""
    shutil.copytree(prepared_store, tmp_path / "s.zarr")
    return tmp_path / "s.zarr"


def flip_byte(path: Path, share: float) -> None:
    content = bytearray(path.read_bytes())
    at = min(int(share * len(content)), len(content) - 1)
    content[at] ^= 0x01
    path.write_bytes(bytes(content))


def verified(store: Path) -> VerifyReport | None:
    """The report, or None where the store does not even open."""
    try:
        return verify_store(store)
    except StoreError:
        return None


def test_sound_store_has_no_problem(prepared_store: Path, rtt_source: Path) -> None:
    report = verify_store(prepared_store, source=rtt_source)
    assert report.problems == ()
    assert (report.n_scenes, report.n_compared) == (6, 6)


def test_two_processes_find_the_same(store: Path) -> None:
    scene_id = open_store(store).scene_ids()[3]
    (store / "scenes" / scene_id / "sar" / "c" / "0" / "0" / "0").unlink()
    assert verify_store(store, workers=2).problems == verify_store(store).problems != ()


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 1.0])
def test_flipped_byte_in_any_file_of_a_scene(store: Path, share: float) -> None:
    opened = open_store(store)
    scene_id = opened.scene_ids()[1]
    folder = opened.scene_path(scene_id)
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path == folder / "zarr.json":
            continue
        whole = path.read_bytes()
        flip_byte(path, share)
        problems = check_scene(opened, scene_id, None).problems
        name = path.relative_to(folder).as_posix()
        assert problems == (
            f"scene {scene_id}: {name} does not match its SHA-256: it was damaged or edited",
        )
        path.write_bytes(whole)
    assert check_scene(opened, scene_id, None).problems == ()


@pytest.mark.parametrize("share", np.linspace(0, 1, 9).tolist())
@pytest.mark.parametrize("name", ["zarr.json", "scenes.parquet", "splits/official.json", "scene"])
def test_flipped_byte_in_the_metadata(store: Path, name: str, share: float) -> None:
    scene_id = open_store(store).scene_ids()[0]
    relative = f"scenes/{scene_id}/zarr.json" if name == "scene" else name
    flip_byte(store / relative, share)
    report = verified(store)
    if report is None:
        assert name == "zarr.json"
    else:
        needle = scene_id if name == "scene" else name.removeprefix("splits/").removesuffix(".json")
        assert any(needle in problem for problem in report.problems)


def test_truncated_and_missing_shards_are_named(store: Path) -> None:
    first, second = open_store(store).scene_ids()[:2]
    shard = store / "scenes" / first / "charts" / "c" / "0" / "0" / "0"
    shard.write_bytes(shard.read_bytes()[:-100])
    (store / "scenes" / second / "amsr2" / "c" / "0" / "0" / "0").unlink()
    result = CliRunner().invoke(main, ["verify", str(store)])
    assert result.exit_code == 1
    assert f"scene {first}: charts/c/0/0/0 holds" in result.output
    assert f"scene {second}: amsr2/c/0/0/0 is missing" in result.output
    assert "2 problems" in result.output


def test_missing_foreign_and_stray_parts_are_named(store: Path) -> None:
    first, second, third = open_store(store).scene_ids()[:3]
    shutil.rmtree(store / "scenes" / first)
    shutil.copytree(store / "scenes" / second, store / "scenes" / "20990101T000000_dmi")
    (store / "scenes" / third / "notes.txt").write_text("mine")
    problems = verify_store(store).problems
    assert f"scene {first}: listed in scenes.parquet, but there is no such folder" in problems
    assert any("20990101T000000_dmi" in problem for problem in problems)
    assert f"scene {third}: notes.txt does not belong to the scene" in problems
    assert any("store_fingerprint" in problem for problem in problems)


@pytest.mark.parametrize("variable", ["SIC", "nersc_sar_secondary", "distance_map", "tclw"])
def test_value_that_differs_from_the_source(
    prepared_store: Path, rtt_source: Path, tmp_path: Path, variable: str
) -> None:
    source = copy_source(rtt_source, tmp_path / "rtt")
    path = scene_files(source / "train")[0]
    with netCDF4.Dataset(str(path), "a") as dataset:
        dataset.set_auto_maskandscale(False)
        value = dataset[variable][5, 7]
        dataset[variable][5, 7] = 3 if value == 2 else 2
    report = verify_store(prepared_store, source=source)
    scene_id = path.name.removesuffix("_prep.nc")
    assert report.n_compared == 5
    assert any(
        problem.startswith(f"scene {scene_id}: {variable}") and "source" in problem
        for problem in report.problems
    )


def test_scene_missing_from_the_store_is_named(
    prepared_store: Path, rtt_source: Path, tmp_path: Path
) -> None:
    source = copy_source(rtt_source, tmp_path / "rtt")
    path = scene_files(source / "train")[0]
    shutil.copy(path, path.with_name("20400101T000000_cis_prep.nc"))
    report = verify_store(prepared_store, source=source)
    assert report.problems == ("scene 20400101T000000_cis: in the source, but not in the store",)


def test_json_report(prepared_store: Path) -> None:
    result = CliRunner().invoke(main, ["verify", str(prepared_store), "--json"])
    assert json.loads(result.output)["problems"] == []


def test_unfinished_store_verifies_what_is_there(rtt_source: Path, tmp_path: Path) -> None:
    from autoice_bench.datasets.prepare.holding import Part
    from autoice_bench.datasets.prepare.prepare import prepare

    prepare(rtt_source, tmp_path / "s.zarr", workers=1, part=Part(1, 2))
    report = verify_store(tmp_path / "s.zarr")
    assert report.problems == ()
    assert any("unfinished" in note for note in report.notes)


@pytest.mark.parametrize("key", ["scene_id", "class_counts", "sar_lines", "truth_sha256"])
def test_flipped_bit_that_renames_an_attribute(store: Path, key: str) -> None:
    opened = open_store(store)
    scene_id = opened.scene_ids()[0]
    path = opened.scene_path(scene_id) / "zarr.json"
    renamed = key[:-1] + chr(ord(key[-1]) ^ 1)
    path.write_bytes(path.read_bytes().replace(f'"{key}"'.encode(), f'"{renamed}"'.encode(), 1))
    (problem,) = check_scene(opened, scene_id, None).problems
    found = {"truth_sha256": "it does not match its own digest: it was damaged or edited"}
    assert f"zarr.json is damaged: {found.get(key, f'attributes.{key} is missing')}; " in problem
    assert problem in verify_store(store).problems


def test_wrong_types_are_listed_scene_by_scene(store: Path) -> None:
    opened = open_store(store)
    wrong = {"class_counts": 3, "files": [], "sar_lines": None, "overviews": {"x": 1}}
    edits = dict(zip(opened.scene_ids(), wrong.items(), strict=False))
    for scene_id, (name, value) in edits.items():
        path = opened.scene_path(scene_id) / "zarr.json"
        document = json.loads(path.read_bytes())
        document["attributes"][name] = value
        path.write_bytes(dump_json(add_digest(document)))
    last = opened.scene_ids()[-1]
    flip_byte(opened.scene_path(last) / "charts" / "c" / "0" / "0" / "0", 0.5)
    report = verify_store(store)
    assert report.n_scenes == 6
    for scene_id, (name, _) in edits.items():
        assert any(
            problem.startswith(f"scene {scene_id}: ") and f"attributes.{name}" in problem
            for problem in report.problems
        )
    assert any(problem.startswith(f"scene {last}: charts/c/0/0/0") for problem in report.problems)
    result = CliRunner().invoke(main, ["verify", str(store)])
    assert result.exit_code == 1
    assert "5 problems" in result.output


def test_an_array_described_in_two_ways(store: Path) -> None:
    """Its digests are right, as a stranger may write them."""
    opened = open_store(store)
    scene_id = opened.scene_ids()[0]
    folder = opened.scene_path(scene_id)
    own = json.loads((folder / "sar" / "zarr.json").read_bytes())
    own["shape"] = [3, 10**9, 10**9]
    content = dump_json(own)
    (folder / "sar" / "zarr.json").write_bytes(content)
    document = json.loads((folder / "zarr.json").read_bytes())
    document["attributes"]["files"]["sar/zarr.json"] = {
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    (folder / "zarr.json").write_bytes(dump_json(add_digest(document)))
    assert check_scene(opened, scene_id, None).problems == (
        f"scene {scene_id}: array sar: its zarr.json differs from the scene's",
    )


def test_folder_in_place_of_a_shard(store: Path) -> None:
    opened = open_store(store)
    scene_id = opened.scene_ids()[0]
    shard = opened.scene_path(scene_id) / "sar" / "c" / "0" / "0" / "0"
    shard.unlink()
    shard.mkdir()
    assert check_scene(opened, scene_id, None).problems == (
        f"scene {scene_id}: sar/c/0/0/0 cannot be read: is a folder; expected a file",
    )


@pytest.mark.parametrize("state", ["complete", "preparing"])
def test_folder_without_metadata_among_the_scenes(store: Path, state: StoreState) -> None:
    opened = open_store(store)
    write_root(replace(opened, state=state))
    scene_id = opened.scene_ids()[0]
    (opened.scene_path(scene_id) / "zarr.json").unlink()
    problem = f"scenes/{scene_id} has no zarr.json, so it is no scene; remove it"
    assert problem in verify_store(store).problems
