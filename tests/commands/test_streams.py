"""Standard streams that are closed, full, or read by nobody; each in a process of its own."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from autoice_bench.commands.base import AutoIceCommand
from autoice_bench.commands.progress import Progress

CLI = f"{sys.executable} -m autoice_bench"
needs_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")


def shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command line of the shell; what it redirects is not captured."""
    root = Path(__file__).parents[2]
    return subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )


@needs_full
@pytest.mark.parametrize("arguments", ["leaderboard --published", "--help"])
def test_full_standard_output_is_one_line(arguments: str, tmp_path: Path) -> None:
    done = shell(f"{CLI} {arguments} > /dev/full", tmp_path)
    assert done.returncode == 1
    assert done.stderr == (
        "error: standard output: No space left on device; nothing more can be shown\n"
    )


def test_nobody_reads_on(tmp_path: Path) -> None:
    done = shell(f"{CLI} leaderboard --published | true; exit ${{PIPESTATUS[0]}}", tmp_path)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.parametrize(
    "redirected", ["2>&-", "<&- >&- 2>&-", pytest.param("2>/dev/full", marks=needs_full)]
)
def test_daemons_work_without_streams(redirected: str, tmp_path: Path) -> None:
    arguments = "simulate rtt --train 1 --test 0 --size 200,225 --cases none"
    done = shell(f"{CLI} {arguments} {redirected}", tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.glob("rtt/train/*.nc"))) == 1


def test_errors_keep_their_status_where_nobody_hears_them(tmp_path: Path) -> None:
    assert shell(f"{CLI} info nosuch 2>&-", tmp_path).returncode == 1
    assert shell(f"{CLI} info nosuch --nosuch 2>&-", tmp_path).returncode == 2


def test_files_never_get_the_number_of_a_closed_stream(tmp_path: Path) -> None:
    code = (
        "import os, subprocess, sys;"
        "from autoice_bench.commands.streams import open_standard_streams;"
        "open_standard_streams();"
        "print(file=sys.stderr);"
        "file = open('file', 'w');"
        # What is started from here has the streams, too.
        "look = 'import os; [os.fstat(n) for n in (0, 1, 2)]';"
        "child = subprocess.run([sys.executable, '-c', look]);"
        "file.write(f'{file.fileno() > 2} {child.returncode}')"
    )
    assert shell(f'{sys.executable} -c "{code}" <&- >&- 2>&-', tmp_path).returncode == 0
    assert (tmp_path / "file").read_text() == "True 0"


class Broken(io.StringIO):
    """A terminal that is gone, or a log on a full disk."""

    def write(self, _: str) -> int:
        raise OSError(errno.EIO, "Input/output error")

    def flush(self) -> None:
        raise OSError(errno.EIO, "Input/output error")


def test_progress_never_ends_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", Broken())
    with Progress("preparing") as progress:
        progress.reach(1, 2)
        progress.say("a line")


@click.command(cls=AutoIceCommand)
def failing() -> None:
    """Fail as a worker's pipe may: not as a closed standard output."""
    raise BrokenPipeError(errno.EPIPE, "Broken pipe")


def test_another_broken_pipe_is_not_silent() -> None:
    result = CliRunner().invoke(failing)
    assert (result.exit_code, result.stderr) == (1, "error: Broken pipe\n")


@click.command(cls=AutoIceCommand)
def locked() -> None:
    """Fail as the system may."""
    raise PermissionError(errno.EACCES, "Permission denied", "a/b")


def test_what_the_system_refuses_is_one_line_and_debug_shows_more() -> None:
    result = CliRunner().invoke(locked)
    assert (result.exit_code, result.stderr) == (1, "error: a/b: Permission denied\n")
    assert isinstance(CliRunner().invoke(locked, ["--debug"]).exception, PermissionError)
