from __future__ import annotations

import ctypes
import errno
import fcntl
import itertools
import logging
import os
import pickle
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from autoice_bench.formats import whole_files
from autoice_bench.formats.own_folders import LinkError
from autoice_bench.formats.whole_files import (
    BusyError,
    claim,
    is_partial,
    read_settled,
    remove_folder,
    remove_leftovers,
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
            assert is_partial(partial.parent)
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
    (record,) = set(caplog.records)  # one that comes to several handlers is there twice
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
from autoice_bench.formats.whole_files import whole_file, whole_folder
path = Path(sys.argv[2])
if sys.argv[1] == "folder":
    with whole_folder(path, replace=True) as partial:
        (partial / "one").write_text("half")
        os.kill(os.getpid(), signal.SIGKILL)
else:
    with whole_file(path) as partial:
        partial.write_text("half")
        os.kill(os.getpid(), signal.SIGKILL)
"""


def kill_writer(kind: str, path: Path) -> None:
    command = [sys.executable, "-c", KILLED, kind, str(path)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL


def test_a_kill_loses_nothing_and_the_next_writer_clears_up(tmp_path: Path) -> None:
    fill(tmp_path / "a", "x")
    kill_writer("folder", tmp_path / "a")
    kill_writer("file", tmp_path / "b.json")
    assert (tmp_path / "a" / "one").read_text() == "x"
    assert [name for name in names(tmp_path) if not is_partial(Path(name))] == ["a"]
    # Of whatever name: the next writer in the folder removes what all dead ones left.
    write_whole(tmp_path / "c.json", b"new")
    assert names(tmp_path) == ["a", "c.json"]


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_git_takes_no_leftovers(tmp_path: Path) -> None:
    write_whole(tmp_path / "whole.json", b"whole")
    (tmp_path / "b").mkdir()
    kill_writer("folder", tmp_path / "a")
    kill_writer("file", tmp_path / "b" / "b.json")
    assert len(names(tmp_path)) == 3
    assert len(names(tmp_path / "b")) == 1
    for command in (["init", "-q"], ["add", "-A"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    listed = subprocess.run(["git", "ls-files"], cwd=tmp_path, check=True, stdout=subprocess.PIPE)
    assert listed.stdout == b"whole.json\n"


def test_a_second_writer_of_a_folder_is_refused_and_told_who_writes(tmp_path: Path) -> None:
    who = f"process {os.getpid()} on {socket.gethostname()}"
    with whole_folder(tmp_path / "a") as partial:
        (partial / "one").touch()
        with pytest.raises(BusyError) as caught:
            fill(tmp_path / "a", "y")
        assert str(caught.value) == (
            f"{tmp_path / 'a'}: another process ({who}) is writing it; wait for it or stop it"
        )
        assert names(partial) == ["one"]
        fill(tmp_path / "b", "z")  # another folder is no concern of it
    assert names(tmp_path) == ["a", "b"]
    assert isinstance(pickle.loads(pickle.dumps(caught.value)), OSError)


def test_a_second_writer_of_a_file_is_refused_where_asked(tmp_path: Path) -> None:
    with whole_file(tmp_path / "a.nc", alone=True) as partial:
        partial.write_bytes(b"x")
        with pytest.raises(BusyError), whole_file(tmp_path / "a.nc", alone=True):
            pass
        write_whole(tmp_path / "a.nc", b"y")  # does not ask
    assert (tmp_path / "a.nc").read_bytes() == b"x"
    assert names(tmp_path) == ["a.nc"]


def test_a_patient_writer_waits(tmp_path: Path) -> None:
    entered = threading.Event()

    def write_slowly() -> None:
        with whole_folder(tmp_path / "a") as partial:
            entered.set()
            (partial / "one").write_text("first")
            time.sleep(0.2)

    first = threading.Thread(target=write_slowly)
    first.start()
    assert entered.wait(10)
    with whole_folder(tmp_path / "a", replace=True, patience_s=60) as partial:
        assert (tmp_path / "a" / "one").read_text() == "first"
        (partial / "one").write_text("second")
    first.join()
    assert (tmp_path / "a" / "one").read_text() == "second"
    assert names(tmp_path) == ["a"]


def test_a_claim_is_of_one_and_leaves_nothing(tmp_path: Path) -> None:
    with claim(tmp_path / "a"):
        with pytest.raises(BusyError), claim(tmp_path / "a"):
            pass
        remove_leftovers(tmp_path)
        with pytest.raises(BusyError), claim(tmp_path / "a"):
            pass
    with claim(tmp_path / "a"):
        pass
    assert names(tmp_path) == []


def leave(place: Path) -> Path:
    """What a writer leaves that was killed: its workplace, whose lock nobody holds."""
    place.mkdir()
    (place / ".gitignore").write_text("*\n# process 1 on nowhere\n")
    (place / "new").mkdir()
    (place / "new" / "one").write_text("half")
    return place


def test_a_folder_displaced_by_a_killed_writer_comes_back(tmp_path: Path) -> None:
    (leave(tmp_path / ".a.partial") / "new.old").mkdir()
    (tmp_path / ".a.partial" / "new.old" / "one").write_text("x")
    with pytest.raises(FileExistsError):
        fill(tmp_path / "a", "y")
    assert (tmp_path / "a" / "one").read_text() == "x"
    assert names(tmp_path) == ["a"]


def test_a_displaced_folder_goes_where_another_has_its_place(tmp_path: Path) -> None:
    fill(tmp_path / "a", "x")
    (leave(tmp_path / ".a.partial") / "new.old").mkdir()
    remove_leftovers(tmp_path)
    assert (tmp_path / "a" / "one").read_text() == "x"
    assert names(tmp_path) == ["a"]


def test_names_with_marks_of_patterns_are_swept_too(tmp_path: Path) -> None:
    leave(tmp_path / ".a[1].partial")
    leave(tmp_path / f".a[1].{'0' * 32}.partial")
    (tmp_path / ".b.partial").mkdir()  # killed at once
    fill(tmp_path / "a[1]", "x")
    assert names(tmp_path) == ["a[1]"]


def test_what_is_not_known_to_be_a_leftover_stays(tmp_path: Path) -> None:
    (tmp_path / ".mine.partial").mkdir()
    (tmp_path / ".mine.partial" / "thesis.txt").write_text("precious")
    (tmp_path / ".file.partial").write_text("precious")
    (tmp_path / "elsewhere").mkdir()
    leave(tmp_path / "elsewhere" / ".a.partial")
    (tmp_path / ".link.partial").symlink_to(tmp_path / "elsewhere" / ".a.partial")
    before = names(tmp_path)
    remove_leftovers(tmp_path)
    remove_leftovers(tmp_path / "absent")
    assert names(tmp_path) == before
    assert (tmp_path / ".mine.partial" / "thesis.txt").read_text() == "precious"
    with pytest.raises(BusyError, match=r"if there is none any more, remove \.mine\.partial$"):
        fill(tmp_path / "mine", "x")
    assert (tmp_path / "elsewhere" / ".a.partial" / "new" / "one").exists()


def test_without_locks_nobody_is_taken_for_dead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whole_files, "try_lock", lambda _: None)
    with whole_folder(tmp_path / "a") as partial:
        (partial / "one").touch()
        remove_leftovers(tmp_path)
        assert names(partial) == ["one"]
        with pytest.raises(BusyError, match=r"if there is none any more, remove \.a\.partial$"):
            fill(tmp_path / "a", "y")
    assert names(tmp_path) == ["a"]


def test_a_sweep_between_any_two_steps_of_a_writer_harms_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: object())  # two renames, not one exchange
    fill(tmp_path / "a", "first")
    steps = itertools.count()
    sweep_at = 0

    def sweep_before(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            if next(steps) == sweep_at:
                remove_leftovers(tmp_path)
            return real(*arguments, **options)

        return call

    for name in ("fsync", "rename", "open", "mkdir", "unlink", "rmdir"):
        monkeypatch.setattr(os, name, sweep_before(getattr(os, name)))
    for sweep_at in range(40):
        steps = itertools.count()
        fill(tmp_path / "a", str(sweep_at), replace=True)
        assert (tmp_path / "a" / "one").read_text() == str(sweep_at)
        assert names(tmp_path) == ["a"]
    assert 20 < next(steps) < 40, "every step was tried"


def test_files_of_a_folder_that_is_replaced_meanwhile_are_read_again(tmp_path: Path) -> None:
    fill(tmp_path / "a", "x")
    calls: list[str] = []

    def read() -> tuple[str, str]:
        first = (tmp_path / "a" / "one").read_text()
        if not calls:
            fill(tmp_path / "a", "y", replace=True)
        calls.append(first)
        return first, (tmp_path / "a" / "two").read_text()

    assert read_settled(tmp_path / "a", read) == ("y", "y")
    assert calls == ["x", "y"]
    with pytest.raises(FileNotFoundError):
        read_settled(tmp_path / "b", (tmp_path / "b" / "one").read_text)


def test_what_cannot_be_removed_stays_guarded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    fill(tmp_path / "a", "x")
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", refuse)
        fill(tmp_path / "a", "y", replace=True)
        assert names(tmp_path / ".a.partial") == [".gitignore", "new"]
    fill(tmp_path / "a", "z", replace=True)
    assert names(tmp_path) == ["a"]


def test_a_folder_is_removed_in_one_step(tmp_path: Path) -> None:
    fill(tmp_path / "a", "x")
    remove_folder(tmp_path / "a")
    assert names(tmp_path) == []
    with pytest.raises(FileNotFoundError):
        remove_folder(tmp_path / "a")
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(LinkError):
        remove_folder(tmp_path / "link")


def test_a_workplace_that_another_made_again_is_left_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    really_open = os.open
    others: list[int] = []

    def another_is_faster(path: Any, flags: int, *mode: int, **options: Any) -> int:
        if not others and flags & os.O_EXCL:
            others.append(really_open(path, flags, *mode))
            fcntl.flock(others[0], fcntl.LOCK_EX)
        return really_open(path, flags, *mode, **options)

    monkeypatch.setattr(os, "open", another_is_faster)
    with pytest.raises(BusyError):
        fill(tmp_path / "a", "x")
    assert names(tmp_path) == [".a.partial"]
    os.close(others[0])
    fill(tmp_path / "a", "x")
    assert names(tmp_path) == ["a"]
