"""Files stay open up to a bound, and never close under a reader."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from autoice_bench.datasets.readers.open_files import OpenFiles


def test_file_in_use_stays_open(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in "abc"]
    for path in paths:
        path.write_text(path.name)
    files = OpenFiles(limit=1)
    with files.open("a", paths[0]) as a, files.open("b", paths[1]) as b:
        assert (os.pread(a, 9, 0), os.pread(b, 9, 0)) == (b"a", b"b")
        assert len(files) == 2
    with files.open("c", paths[2]) as c:
        assert os.pread(c, 9, 0) == b"c"
        assert len(files) == 1


def test_file_that_cannot_be_opened_takes_no_place(tmp_path: Path) -> None:
    files = OpenFiles()
    with pytest.raises(FileNotFoundError), files.open("a", tmp_path / "a"):
        pass
    assert len(files) == 0


def test_fork_while_another_thread_holds_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("a")
    files = OpenFiles(limit=1)
    with files.open("a", path), files._lock:
        files.after_fork()  # as the interpreter does in the child
        with files.open("b", path) as b:
            assert os.pread(b, 9, 0) == b"a"
        assert len(files) == 1


def test_dropped_file_is_closed_when_the_next_is_opened(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).write_text(name)
    files = OpenFiles()
    with files.open("a", tmp_path / "a") as descriptor:
        pass
    files.drop("a")
    files.drop("never opened")
    with files.open("a", tmp_path / "b") as again:
        assert again == descriptor  # the number is free again
        assert os.pread(again, 9, 0) == b"b"
    assert len(files) == 1
