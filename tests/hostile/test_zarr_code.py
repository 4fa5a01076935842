"""Zarr arrays that would run code: each reader refuses before anything is decoded."""

from __future__ import annotations

import hashlib
import json
import pickle
from pathlib import Path
from typing import NoReturn

import numcodecs
import pytest
from click.testing import CliRunner

from autoice_bench.cli import main
from autoice_bench.datasets.readers.arrays import ZarrReader
from autoice_bench.datasets.store.root import open_store
from autoice_bench.datasets.store.scene_dataset import open_scene
from autoice_bench.errors import StoreError
from autoice_bench.formats.scene_document import add_digest
from autoice_bench.formats.shard_writer import dump_json
from autoice_bench.scoring.truth.store_truth import StoreTruth
from tests.datasets.store_tools import copy_store
from tests.hostile.zarr_payloads import ATTACKS, PICKLE, write_attack, write_attacking_predictions


@pytest.fixture(autouse=True)
def decoder(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Calls of the dangerous decoder; old releases of numcodecs would let it run."""
    calls: list[str] = []

    def refuse(*_: object, **__: object) -> NoReturn:
        calls.append("decode")
        raise AssertionError("the codec pickle was reached")

    monkeypatch.setattr(numcodecs.Pickle, "decode", refuse)
    monkeypatch.setattr(numcodecs.Pickle, "__init__", refuse)
    return calls


def expect_refusal(arguments: list[object], marker: Path, calls: list[str], *words: str) -> str:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 1, result.output
    for word in words:
        assert word in result.output
    assert not marker.exists()
    assert calls == []
    return result.output


def test_the_payloads_are_what_they_seem(tmp_path: Path) -> None:
    write_attack(tmp_path / "SIC", "filter", tmp_path / "marker")
    pickle.loads((tmp_path / "SIC" / "0.0").read_bytes())
    assert (tmp_path / "marker").exists()


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("command", ["score", "convert", "show"])
def test_predictions(
    command: str, attack: str, prepared_store: Path, tmp_path: Path, decoder: list[str]
) -> None:
    marker = tmp_path / "marker"
    scene_ids = open_store(prepared_store).scene_ids()
    preds = write_attacking_predictions(tmp_path / "preds", scene_ids, attack, marker)
    out = tmp_path / ("out.png" if command == "show" else "out")
    arguments: list[object] = {
        "score": ["score", preds, "--store", prepared_store, "--leaderboard", out],
        "convert": ["convert", preds, out],
        "show": ["show", prepared_store, scene_ids[0], "--prediction", preds, "--out", out],
    }[command]
    output = expect_refusal(arguments, marker, decoder, "expected", "SIC")
    assert len(output.splitlines()) == 1
    assert output.startswith("error: ")
    assert "dtype '|O'" in output or "codec 'pickle'" in output
    assert not out.exists()


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_extra_array_of_a_scene_is_not_decoded(
    attack: str, prepared_store: Path, tmp_path: Path, decoder: list[str]
) -> None:
    store = copy_store(prepared_store, tmp_path)
    scene = open_store(store).scene_path(open_store(store).scene_ids()[0])
    marker = tmp_path / "marker"
    write_attack(scene / "extra", attack, marker)
    path = scene / "zarr.json"
    document = json.loads(path.read_bytes())
    for file in (scene / "extra").iterdir():
        content = file.read_bytes()
        digest = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        document["attributes"]["files"][f"extra/{file.name}"] = digest
    path.write_bytes(dump_json(add_digest(document)))
    expect_refusal(["verify", store], marker, decoder, "array extra", "Zarr format 2; expected")


def replace_charts(scene: Path, attack: str, marker: Path) -> None:
    """Put an attack in the place of a scene's charts; no zarr.json tells of it."""
    (scene / "charts" / "zarr.json").unlink()
    (scene / "charts").rename(scene.parent.parent / "old_charts")
    write_attack(scene / "charts", attack, marker)


def test_scenes_of_a_store_are_of_format_3(
    prepared_store: Path, tmp_path: Path, decoder: list[str]
) -> None:
    store = copy_store(prepared_store, tmp_path)
    scene_id = open_store(store).scene_ids()[0]
    scene = open_store(store).scene_path(scene_id)
    marker = tmp_path / "marker"
    replace_charts(scene, "filter", marker)
    with pytest.raises(StoreError, match="Zarr format 2; expected format 3"):
        ZarrReader(scene / "charts", "charts")
    (scene / "zarr.json").rename(scene / "kept.json")
    (scene / ".zgroup").write_text('{"zarr_format": 2}')
    with pytest.raises(StoreError, match="no scene"):
        open_scene(store, scene_id)
    (scene / "kept.json").rename(scene / "zarr.json")
    document = json.loads((scene / "zarr.json").read_bytes())
    document["consolidated_metadata"]["metadata"]["charts"] = json.loads(
        (scene / "charts" / ".zarray").read_bytes()
    )
    (scene / "zarr.json").write_bytes(dump_json(add_digest(document)))
    with pytest.raises(StoreError, match=r"metadata\.charts\.node_type is missing"):
        open_scene(store, scene_id)
    assert not marker.exists()
    assert decoder == []


def test_the_truth_is_checked_as_well(prepared_store: Path, tmp_path: Path) -> None:
    store = copy_store(prepared_store, tmp_path)
    scene_id = open_store(store).scene_ids()[0]
    scene = open_store(store).scene_path(scene_id)
    path = scene / "charts" / "zarr.json"
    document = json.loads(path.read_bytes())
    document["codecs"] = [{"name": "numcodecs.pickle", "configuration": PICKLE}]
    path.write_bytes(dump_json(document))
    group = json.loads((scene / "zarr.json").read_bytes())
    group["consolidated_metadata"]["metadata"]["charts"] = document
    (scene / "zarr.json").write_bytes(dump_json(add_digest(group)))
    with pytest.raises(StoreError, match=r"codec 'numcodecs\.pickle'; expected sharding_indexed"):
        StoreTruth(store).read(scene_id)
