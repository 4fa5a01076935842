"""A scene's document: what is wrong with it is one line, whatever it holds."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from autoice_bench.errors import StoreError
from autoice_bench.formats.scene_document import add_digest, has_its_digest, read_scene_document

Edit = Callable[[dict[str, Any]], object]
WRONG: tuple[Any, ...] = (None, [], {}, "x", -1, 1e300, True, [[1]], {"a": {"b": [1]}}, 10**18)


@pytest.fixture(scope="module")
def document(prepared_store: Path) -> dict[str, Any]:
    path = min((prepared_store / "scenes").iterdir()) / "zarr.json"
    read: dict[str, Any] = json.loads(path.read_bytes())
    return read


def write(folder: Path, document: dict[str, Any]) -> Path:
    scene = folder / "20300624T091846_dmi"
    scene.mkdir(exist_ok=True)
    (scene / "zarr.json").write_text(json.dumps(document))
    return scene


def edited(document: dict[str, Any], edit: Edit) -> dict[str, Any]:
    changed = copy.deepcopy(document)
    edit(changed)
    return add_digest(changed)


def metadata(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["consolidated_metadata"]["metadata"]
    return found


def test_a_sound_document_is_read(tmp_path: Path, document: dict[str, Any]) -> None:
    scene = write(tmp_path, document)
    read = read_scene_document(scene)
    assert read.attributes == document["attributes"]
    assert read.metadata == metadata(document)
    assert read.content == (scene / "zarr.json").read_bytes()


def test_one_written_before_there_were_digests_is_read(
    tmp_path: Path, document: dict[str, Any]
) -> None:
    old = copy.deepcopy(document)
    del old["attributes"]["document_sha256"]
    assert has_its_digest(old)
    assert "document_sha256" not in read_scene_document(write(tmp_path, old)).attributes


def test_a_changed_digit_is_found(tmp_path: Path, document: dict[str, Any]) -> None:
    changed = copy.deepcopy(document)
    changed["attributes"]["class_counts"]["SIC"]["3"] += 1
    with pytest.raises(StoreError, match="is damaged: it does not match its own digest"):
        read_scene_document(write(tmp_path, changed))


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda d: d["attributes"].pop("files"), "attributes.files is missing"),
        (
            lambda d: d["attributes"]["class_counts"]["SIC"].update({"3": "x"}),
            "attributes.class_counts.SIC.3 is 'x'; expected a whole number of at least 0",
        ),
        (
            lambda d: d["attributes"].update(sar_lines=10**18),
            "attributes.sar_lines is 1000000000000000000; expected a whole number from 1 to",
        ),
        (lambda d: d["attributes"].update(region="\ud800"), "attributes.region is"),
        (lambda d: metadata(d).pop("sar"), "it has no array sar"),
        (lambda d: metadata(d)["sar"].update(node_type="group"), "it has no array sar"),
        (
            lambda d: metadata(d)["sar"].update(shape=[3, 100_000, 100_000]),
            r"array sar: shape is \(3, 100000, 100000\), more than the 268,435,456 pixels",
        ),
        (
            lambda d: metadata(d)["sar"].update(shape=[3, 300, 328]),
            r"array sar is \(300, 328\); expected \(300, 327\)",
        ),
        (
            lambda d: metadata(d)["era5"].update(shape=[6, 12, 14]),
            r"array era5 is \(12, 14\); expected \(12, 13\)",
        ),
        (
            lambda d: metadata(d)["valid_counts"]["attributes"].update(chunk_pixels=64),
            r"array valid_counts is \(3, 3\); expected \(5, 6\)",
        ),
        (lambda d: metadata(d)["charts"].update(fill_value=254), "fill_value is 254; expected 255"),
        (lambda d: metadata(d)["charts"].update(data_type="int8"), "data_type is int8; expected"),
        (
            lambda d: metadata(d)["charts"]["attributes"].update(channels=["SOD", "SIC", "FLOE"]),
            "its channels are SOD, SIC, FLOE; expected SIC, SOD, FLOE",
        ),
    ],
)
def test_what_is_wrong_is_named(
    tmp_path: Path, document: dict[str, Any], edit: Edit, message: str
) -> None:
    scene = write(tmp_path, edited(document, edit))
    with pytest.raises(StoreError, match=message) as caught:
        read_scene_document(scene)
    assert str(caught.value).startswith(f"scene {scene.name}: {scene / 'zarr.json'} is damaged: ")
    assert str(caught.value).endswith("remove the scene's folder and run `autoice-bench prepare` "
                                      "again")  # fmt: skip
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b"{", b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_document(tmp_path: Path, document: dict[str, Any], content: bytes) -> None:
    scene = write(tmp_path, document)
    (scene / "zarr.json").write_bytes(content)
    with pytest.raises(StoreError, match="is damaged: "):
        read_scene_document(scene)


def test_any_wrong_value_anywhere_is_an_error_or_not_read(
    tmp_path: Path, document: dict[str, Any]
) -> None:
    """Every value that the code reads, replaced by ten others."""
    places: list[tuple[str, ...]] = [("attributes", name) for name in document["attributes"]]
    places += [("consolidated_metadata", "metadata", name) for name in metadata(document)]
    places += [(*place, "shape") for place in places if place[0] != "attributes"]
    for place in places:
        for value in WRONG:
            changed = copy.deepcopy(document)
            node = changed
            for name in place[:-1]:
                node = node[name]
            node[place[-1]] = value
            with suppress(StoreError):
                read = read_scene_document(write(tmp_path, add_digest(changed)))
                assert len(read.metadata["sar"]["shape"]) == 3
