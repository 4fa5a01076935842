"""Commands that are killed at a step, what is there then, and what the same command makes of it."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from autoice_bench.formats.whole_files import is_partial

ROOT = Path(__file__).parents[2]
KILLED = (-9, -27)
"""Exit statuses of a child that was killed: SIGKILL at a step, SIGPROF at a moment."""

Snapshot = dict[str, str]
"""Digest of every visible file, by path."""


@dataclass(frozen=True)
class Outcome:
    """How a command ended, after how many steps and how much CPU time."""

    status: int
    steps: int
    cpu_s: float
    output: str


class Zygote:
    """Runs commands in forks of a process that has imported what they need; see ``zygote``."""

    def __init__(self, *modules: str) -> None:
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
            "MPLBACKEND": "agg",
        }
        environment.pop("AUTOICE_STORE", None)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.kills.zygote", *modules],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def run(
        self,
        folder: Path,
        command: str,
        *,
        kill_at: int | None = None,
        cpu_s: float | None = None,
    ) -> Outcome:
        """Run a command in a folder; killed before its step ``kill_at`` or after ``cpu_s``."""
        request = {
            "folder": str(folder),
            "arguments": command.split(),
            "kill_at": kill_at,
            "cpu_s": cpu_s,
            "output": f"{folder}.output",
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return Outcome(**json.loads(self._process.stdout.readline()))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


Reader = Callable[[Path, Snapshot, Snapshot], None]
"""Looks at a folder, given what was there before the command and what is after it."""


@dataclass(frozen=True)
class Case:
    """A command that writes.

    Attributes:
        name: of the test.
        command: its arguments.
        needs: what it finds in its folder, of the inputs that all cases share.
        wholes: files and folders that are, at any moment, as before or as after.
        grows: folders in which every file is as before or as after.
        reader: a further check of what a kill left.
        final: a further check of what there is in the end.
        ignored: patterns of files that differ from run to run, such as those that hold times.
        is_costly: whether it takes a second or more, and so is killed less often.
    """

    name: str
    command: str
    needs: tuple[str, ...] = ()
    wholes: tuple[str, ...] = ()
    grows: tuple[str, ...] = ()
    reader: Reader | None = None
    final: Callable[[Path], None] | None = None
    ignored: tuple[str, ...] = ()
    is_costly: bool = False


def take_snapshot(folder: Path, ignored: Sequence[str] = ()) -> Snapshot:
    """Digest of every file of a folder, but those of workplaces and of ignored names."""
    found = {}
    for parent, subfolders, names in os.walk(folder):
        subfolders[:] = [name for name in subfolders if not is_partial(Path(name))]
        for name in names:
            path = Path(parent, name)
            relative = path.relative_to(folder).as_posix()
            if not any(re.fullmatch(pattern, relative) for pattern in ignored):
                found[relative] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def part_of(snapshot: Snapshot, name: str) -> Snapshot:
    """What a snapshot says of one file, or of all below a folder."""
    return {
        path: digest
        for path, digest in snapshot.items()
        if path == name or path.startswith(f"{name}/")
    }


def find_leftovers(folder: Path) -> list[str]:
    """Workplaces that are there, and what else than its lock is under ``.partial`` of a store."""
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if (is_partial(path) and path.name != ".partial")
        or (path.parent.name == ".partial" and path.name != "lock")
    )


class Killer:
    """One case: its uninterrupted run, and runs that are killed."""

    def __init__(self, case: Case, zygote: Zygote, inputs: Path, scratch: Path) -> None:
        self.case = case
        self._zygote = zygote
        self._scratch = scratch
        self._start = scratch / "start"
        self._start.mkdir()
        for name in case.needs:
            copy = shutil.copytree if (inputs / name).is_dir() else shutil.copy
            (self._start / name).parent.mkdir(parents=True, exist_ok=True)
            copy(inputs / name, self._start / name)
        self.before = self._snapshot(self._start)
        whole = self._copy("whole")
        self.uninterrupted = self._run(whole)
        assert self.uninterrupted.status == 0, self.uninterrupted.output
        assert find_leftovers(whole) == []
        self.after = self._snapshot(whole)
        assert self.before != self.after

    def kill_at_step(self, step: int) -> None:
        """Kill before a step, check what is there, run again, check that all is well."""
        self._kill(f"step {step} of {self.uninterrupted.steps}", kill_at=step)

    def kill_at_moment(self, share: float) -> None:
        """The same at a share (0 .. 1) of the CPU time."""
        self._kill(f"{share:.2f} of the time", cpu_s=max(0.001, share * self.uninterrupted.cpu_s))

    def draw_steps(self, n: int) -> list[int]:
        """Steps to kill at, drawn by the case's name; all of them where there are fewer."""
        steps = range(1, self.uninterrupted.steps + 1)
        drawn = random.Random(self.case.name).sample(steps, min(n, len(steps)))
        return sorted(drawn)

    def draw_moments(self, n: int) -> list[float]:
        draw = random.Random(f"{self.case.name} in time")
        return sorted(draw.random() for _ in range(n))

    def _kill(self, where: str, **how: Any) -> None:
        folder = self._copy("killed")
        killed = self._run(folder, **how)
        what = f"{self.case.name} killed at {where}"
        if how.get("kill_at") is not None:
            assert killed.status in KILLED, f"{what}: not killed ({killed.output})"
        found = self._snapshot(folder)
        try:
            self._check(folder, found)
            again = self._run(folder)
            self._check_end(folder, found, again)
        except AssertionError as error:
            error.add_note(what)
            raise
        shutil.rmtree(folder)

    def _check(self, folder: Path, found: Snapshot) -> None:
        for name in self.case.wholes:
            states = [part_of(state, name) for state in (self.before, self.after)]
            assert part_of(found, name) in states, f"{name} is neither the old nor the new"
        for name in self.case.grows:
            for path, digest in part_of(found, name).items():
                known = (self.before.get(path), self.after.get(path))
                assert digest in known, f"{path} is neither the old nor the new"
        if self.case.reader is not None:
            self.case.reader(folder, self.before, self.after)

    def _check_end(self, folder: Path, found: Snapshot, again: Outcome) -> None:
        # What was done is refused in one line where the command never replaces.
        was_done = found == self.after and "exists" in again.output
        assert again.status == 0 or (was_done and again.status == 1), again.output
        assert "Traceback" not in again.output
        end = self._snapshot(folder)
        assert end == self.after, sorted(
            path for path in end.keys() | self.after.keys() if end.get(path) != self.after.get(path)
        )
        if again.status == 0:
            assert find_leftovers(folder) == []
        if self.case.final is not None:
            self.case.final(folder)

    def _copy(self, name: str) -> Path:
        folder = self._scratch / name
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self._start, folder)
        return folder

    def _run(self, folder: Path, **how: Any) -> Outcome:
        return self._zygote.run(folder, self.case.command, **how)

    def _snapshot(self, folder: Path) -> Snapshot:
        return take_snapshot(folder, self.case.ignored)
