"""Files that are files: everything else is named, and never opened."""

from __future__ import annotations

import os
import pickle
import socket
from pathlib import Path

import pytest

from autoice_bench.formats.plain_files import (
    NotAFileError,
    hash_file,
    is_there,
    parse_json,
    parse_toml,
    read_bytes,
    read_json,
    read_text,
    require_file,
    require_plain_tree,
)

pytestmark = pytest.mark.timeout(20)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_text("content")
    return path


def test_files_and_links_to_them(file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(file)
    for path in (file, link):
        assert require_file(path) == path
        assert read_text(path) == "content"
        assert read_bytes(path) == b"content"
        assert is_there(path)
    require_plain_tree(tmp_path)


def make(path: Path, kind: str) -> Path:
    """Something that is no file."""
    if kind == "a folder":
        path.mkdir()
    elif kind == "a FIFO":
        os.mkfifo(path)
    elif kind == "a device":
        path.symlink_to("/dev/zero")
    elif kind == "a socket":
        with socket.socket(socket.AF_UNIX) as server:
            os.chdir(path.parent)  # the name of a socket is short
            server.bind(path.name)
    else:
        path.symlink_to("nowhere")
    return path


@pytest.mark.parametrize(
    "kind", ["a folder", "a FIFO", "a device", "a socket", "a link to nowhere, which is not there"]
)
def test_what_is_none_is_named(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = make(tmp_path / "x", kind)
    assert is_there(path)
    with pytest.raises(NotAFileError, match=f"x is {kind}; expected a file$") as caught:
        read_bytes(path)
    assert caught.value.strerror == f"is {kind}; expected a file"
    if kind != "a folder":
        with pytest.raises(NotAFileError):
            require_plain_tree(tmp_path)


def test_errors_come_back_from_other_processes(tmp_path: Path) -> None:
    with pytest.raises(NotAFileError) as caught:
        require_file(tmp_path)
    again = pickle.loads(pickle.dumps(caught.value))
    assert isinstance(again, OSError)
    assert again.strerror == caught.value.strerror


def test_nothing_is_told_apart(tmp_path: Path) -> None:
    assert not is_there(tmp_path / "x")
    with pytest.raises(FileNotFoundError):
        require_file(tmp_path / "x")


@pytest.mark.parametrize("depth", [101, 500, 200_000])
def test_deep_documents_are_a_value_error(tmp_path: Path, depth: int) -> None:
    path = tmp_path / "x.json"
    nested = "[" * depth + "]" * depth
    path.write_text(nested)
    with pytest.raises(ValueError, match="nested too deep; expected at most 100 levels"):
        read_json(path)
    with pytest.raises(ValueError, match="nested too deep; expected at most 100 levels"):
        parse_toml(f"x = {nested}")


def test_documents_are_read(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text('{"a": [1, "é"]}', encoding="utf-8")
    assert read_json(path) == parse_json(path.read_bytes()) == {"a": [1, "é"]}
    assert parse_toml("a = [1]") == {"a": [1]}
    assert parse_json("[" * 100 + "]" * 100)


def test_hash_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    # FIPS 180-2, appendix B.1
    assert hash_file(tmp_path / "a") == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )
    with pytest.raises(NotAFileError, match="is a folder; expected a file"):
        hash_file(tmp_path)
