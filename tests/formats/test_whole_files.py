from __future__ import annotations

import ctypes
import errno
import logging
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from autoice_bench.formats import whole_files
from autoice_bench.formats.whole_files import (
    is_partial,
    remove_partial_files,
    whole_file,
    whole_folder,
    write_whole,
)


def refuse_sync(
    monkeypatch: pytest.MonkeyPatch, of_kind: Callable[[int], bool], number: int
) -> None:
    """Imitate a file system that answers so to ``fsync`` of folders, or of files."""
    sync = os.fsync

    def refuse(descriptor: int) -> None:
        if of_kind(os.fstat(descriptor).st_mode):
            raise OSError(number, os.strerror(number))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", refuse)
    monkeypatch.setattr(whole_files, "_remarked", set())
    # As the command line leaves it, if it ran before in this process.
    monkeypatch.setattr(logging.getLogger("autoice_bench"), "propagate", True)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    write_whole(target, b"old")
    write_whole(target, b"new")
    assert target.read_bytes() == b"new"
    assert names(tmp_path) == ["a.json"]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    write_whole(target, b"old")

    def fill_disk() -> None:
        with whole_file(target) as partial:
            assert is_partial(partial)
            partial.write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        fill_disk()
    assert target.read_bytes() == b"old"
    assert names(tmp_path) == ["a.json"]


def test_what_fails_without_a_name_gets_that_of_the_file(tmp_path: Path) -> None:
    def write(error: OSError) -> None:
        with whole_file(tmp_path / "a.json"):
            raise error

    with pytest.raises(OSError, match=r"No space left on device: '.*/a\.json'$") as full:
        write(OSError(errno.ENOSPC, "No space left on device"))
    assert full.value.filename == str(tmp_path / "a.json")
    # The partial file's name tells a user nothing; that of another file is kept.
    (tmp_path / "no folder").touch()
    with pytest.raises(NotADirectoryError) as inside:
        write_whole(tmp_path / "no folder" / "a.json", b"")
    assert inside.value.filename == str(tmp_path / "no folder" / "a.json")
    with pytest.raises(PermissionError) as other:
        write(PermissionError(errno.EACCES, "Permission denied", "other"))
    assert other.value.filename == "other"


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP])
def test_folders_that_cannot_be_synced_are_remarked_once(
    number: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    refuse_sync(monkeypatch, stat.S_ISDIR, number)
    write_whole(tmp_path / "a.json", b"one")
    with whole_folder(tmp_path / "b") as partial:
        (partial / "c").touch()
    assert names(tmp_path) == ["a.json", "b"]
    (record,) = caplog.records
    assert str(tmp_path) in record.getMessage()
    assert os.strerror(number) in record.getMessage()


def test_folders_that_fail_to_sync_are_an_error_with_their_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_sync(monkeypatch, stat.S_ISDIR, errno.EIO)
    with pytest.raises(OSError, match="Input/output error") as error:
        write_whole(tmp_path / "a.json", b"one")
    assert error.value.filename == str(tmp_path)


def test_files_that_cannot_be_synced_are_an_error_with_their_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_sync(monkeypatch, stat.S_ISREG, errno.EINVAL)
    with pytest.raises(OSError, match="Invalid argument") as error:
        write_whole(tmp_path / "a.json", b"one")
    assert error.value.filename == str(tmp_path / "a.json")
    with (
        pytest.raises(OSError, match="Invalid argument") as error,
        whole_folder(tmp_path / "b") as b,
    ):
        (b / "c").touch()
    assert Path(error.value.filename).name == "c"
    assert names(tmp_path) == []


def test_what_killed_writers_of_files_leave_can_be_removed(tmp_path: Path) -> None:
    (tmp_path / ".a.json.0123.partial").write_bytes(b"half")
    (tmp_path / "a.json").write_bytes(b"whole")
    remove_partial_files(tmp_path)
    assert names(tmp_path) == ["a.json"]


def fill(folder: Path, content: str, *, replace: bool = False) -> None:
    with whole_folder(folder, replace=replace) as partial:
        for name in ("one", "two"):
            (partial / name).write_text(content)
            assert not (folder / name).exists() or (folder / name).read_text() != content


def test_a_folder_appears_whole_its_parents_too(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b"
    fill(target, "x")
    assert names(target) == ["one", "two"]
    assert names(tmp_path / "a") == ["b"]


def test_a_folder_that_is_there_stays(tmp_path: Path) -> None:
    fill(tmp_path / "a", "x")
    with pytest.raises(FileExistsError):
        fill(tmp_path / "a", "y")
    assert (tmp_path / "a" / "one").read_text() == "x"
    assert names(tmp_path) == ["a"]


def test_a_file_in_its_place_stays(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("mine")
    with pytest.raises(FileExistsError):
        fill(tmp_path / "a", "y", replace=True)
    assert (tmp_path / "a").read_text() == "mine"


@pytest.mark.parametrize("has_exchange", [True, False])
def test_a_folder_is_replaced_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_exchange: bool
) -> None:
    if not has_exchange:  # NFS, say
        monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: object())
    fill(tmp_path / "a", "x")
    (tmp_path / "a" / "three").touch()
    fill(tmp_path / "a", "y", replace=True)
    assert names(tmp_path / "a") == ["one", "two"]
    assert (tmp_path / "a" / "one").read_text() == "y"
    assert names(tmp_path) == ["a"]


def test_replacing_never_leaves_a_moment_without_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    renamed: list[Path] = []
    rename = Path.rename

    def note(path: Path, target: Path) -> Path:
        renamed.append(path)
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", note)
    fill(tmp_path / "a", "x")
    assert len(renamed) == 1
    fill(tmp_path / "a", "y", replace=True)
    assert len(renamed) == 1, "the folders are exchanged in one step on this file system"


KILLED = """
import os, signal, sys
from pathlib import Path
from autoice_bench.formats.whole_files import whole_folder
with whole_folder(Path(sys.argv[1]), replace=True) as partial:
    (partial / "one").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_kill_loses_nothing_and_the_next_writer_clears_up(tmp_path: Path) -> None:
    fill(tmp_path / "a", "x")
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "a")], check=False)
    assert done.returncode == -signal.SIGKILL
    assert (tmp_path / "a" / "one").read_text() == "x"
    assert len(names(tmp_path)) == 2
    fill(tmp_path / "a", "y", replace=True)
    assert names(tmp_path) == ["a"]


def test_a_folder_that_another_process_is_filling_is_left_alone(tmp_path: Path) -> None:
    with whole_folder(tmp_path / "a") as partial:
        (partial / "one").touch()
        fill(tmp_path / "a", "y")
        assert names(partial) == ["one"]
        (tmp_path / "a").rename(tmp_path / "b")


def test_a_folder_displaced_by_a_killed_writer_comes_back(tmp_path: Path) -> None:
    displaced = tmp_path / f".a.{'0' * 32}.old"
    displaced.mkdir()
    (displaced / "one").write_text("x")
    with pytest.raises(FileExistsError):
        fill(tmp_path / "a", "y")
    assert (tmp_path / "a" / "one").read_text() == "x"
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("is_there", [True, False])
def test_what_is_left_of_a_longer_name_is_not_taken(tmp_path: Path, is_there: bool) -> None:
    other = tmp_path / f".a.v2.{'0' * 32}.old"
    other.mkdir()
    (other / "one").write_text("of a.v2")
    if is_there:
        fill(tmp_path / "a", "x")
    fill(tmp_path / "a", "y", replace=True)
    assert (tmp_path / "a" / "one").read_text() == "y"
    assert (other / "one").read_text() == "of a.v2"


def test_names_with_marks_of_patterns_are_swept_too(tmp_path: Path) -> None:
    left = tmp_path / f".a[1].{'0' * 32}.partial"
    left.mkdir()
    fill(tmp_path / "a[1]", "x")
    assert names(tmp_path) == ["a[1]"]


def test_what_a_living_writer_displaced_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: object())  # two renames, not one exchange
    fill(tmp_path / "a", "x")
    rename = Path.rename
    between: list[list[str]] = []

    def sweep_after(path: Path, target: Path) -> Path:
        moved = rename(path, target)
        whole_files._sweep(tmp_path / "a")  # what another writer does first
        between.append(names(tmp_path))
        return moved

    monkeypatch.setattr(Path, "rename", sweep_after)
    fill(tmp_path / "a", "y", replace=True)
    monkeypatch.undo()
    # Both folders after either rename; after the third the old one is there to be removed.
    assert [len(found) for found in between] == [2, 2, 1]
    assert (tmp_path / "a" / "one").read_text() == "y"
    assert names(tmp_path) == ["a"]
