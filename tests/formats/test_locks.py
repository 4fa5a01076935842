from __future__ import annotations

import errno
import fcntl
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest

from autoice_bench.formats.locks import LockedError, hold_lock

HOLD = """
import sys
from pathlib import Path
from autoice_bench.formats.locks import hold_lock
with hold_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_one_holds_it_alone_and_says_who(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with hold_lock(path) as is_held:
        assert is_held
        with pytest.raises(LockedError, match=r"process \d+ on .") as caught, hold_lock(path):
            pass
        assert caught.value.holder.startswith("process")
    with hold_lock(path) as is_held:
        assert is_held


def test_several_share_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with (
        hold_lock(path, shared=True),
        hold_lock(path, shared=True),
        pytest.raises(LockedError),
        hold_lock(path),
    ):
        pass


def test_it_dies_with_its_process(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(LockedError), hold_lock(path):
            pass
        holder.kill()
        holder.wait()
        with hold_lock(path) as is_held:
            assert is_held


def test_file_systems_without_locks_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> NoReturn:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with hold_lock(tmp_path / "lock") as is_held:
        assert not is_held
