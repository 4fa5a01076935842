"""One ``prepare`` run: its lock on the store, its token and its journal.

The lock is the kernel's (``flock``), so it dies with its process and is never stale. A run works in
``.partial/<run>/``; the file ``run.json`` in it is the token without which a worker commits
nothing. Whoever holds the store alone removes the folders of dead runs, token first, so that a
worker left over from a killed run finds its token gone. The journal keeps what the scenes
themselves must not hold: the modification times of their sources.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from autoice_bench.datasets.store.index import SourceTimes
from autoice_bench.errors import StoreError
from autoice_bench.formats.locks import LockedError, hold_lock
from autoice_bench.formats.own_folders import make_own_folder, require_own
from autoice_bench.formats.plain_files import parse_json, read_text
from autoice_bench.formats.store_layout import PARTIAL, SCENES, SPLITS

TOKEN_NAME: Final = "run.json"
_JOURNAL_NAME: Final = "committed.jsonl"
_LOCK_NAME: Final = "lock"


@dataclass(frozen=True)
class Part:
    """Part ``number`` of ``count`` of a job array, counted from 1."""

    number: int
    count: int

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


@dataclass(frozen=True)
class Run:
    """A running ``prepare``: the folder it works in, and what to tell the user about the lock."""

    folder: Path
    notes: tuple[str, ...] = ()

    def record(self, times: Mapping[str, SourceTimes]) -> None:
        """Append committed scenes to the journal."""
        # Opened and closed each time, so that a kill loses the line being written and no more.
        with (self.folder / _JOURNAL_NAME).open("a") as journal:
            for scene_id, of_scene in times.items():
                journal.write(json.dumps({"scene_id": scene_id, **asdict(of_scene)}) + "\n")


def holds_token(run_folder: Path) -> bool:
    """Whether the run that owns ``run_folder`` may still commit scenes."""
    return (run_folder / TOKEN_NAME).is_file()


@contextmanager
def start_run(store_path: Path, part: Part | None = None) -> Iterator[Run]:
    """Hold a store for the time of a ``with`` block.

    A plain run holds it alone; parts share it with other parts. Folders of dead runs are removed by
    a plain run on entry (read their journals before, with ``read_journals``); a part leaves its
    journal behind for the plain run that completes the store.

    Args:
        store_path: the store's folder; created if absent.
        part: which part of a job array this run is, if any.

    Raises:
        StoreError: another run holds the store, or the same part.
        OSError: the folder cannot be written, or a folder in it is a link.
    """
    partial = store_path / PARTIAL
    make_own_folder(partial)
    # Where this run will write and remove scenes and splits.
    require_own(store_path / SCENES, store_path / SPLITS)
    # Parts share the store's lock, so that no plain run begins among them; each also holds a lock
    # of its own, so that no part runs twice.
    with _lock(partial / _LOCK_NAME, store_path, shared=part is not None) as note:
        if part is None:
            yield from _in_folder(partial, f"run-{uuid.uuid4().hex[:12]}", note, keep_journal=False)
            return
        name = f"part-{part.number}-of-{part.count}"
        with _lock(partial / f"{name}.lock", store_path, shared=False):
            run_name = f"{name}-{uuid.uuid4().hex[:12]}"
            yield from _in_folder(partial, run_name, note, keep_journal=True)


def read_journals(store_path: Path) -> dict[str, SourceTimes]:
    """What earlier runs committed since the index was last written; torn lines are skipped."""
    times: dict[str, SourceTimes] = {}
    for path in sorted((store_path / PARTIAL).glob(f"*/{_JOURNAL_NAME}")):
        for line in read_text(path).splitlines():
            try:
                entry = parse_json(line)
                times[entry.pop("scene_id")] = SourceTimes(**entry)
            except (ValueError, KeyError, TypeError):
                continue
    return times


def remove_dead_runs(store_path: Path, *keep: Path) -> None:
    """Remove what other runs left under ``.partial``; only for a run that holds the store alone.

    Args:
        store_path: the store's folder.
        keep: folders that stay: the run's own, and what it may go on with.
    """
    for path in (store_path / PARTIAL).iterdir():
        if path.is_symlink():
            path.unlink()  # of no run; what it leads to is not ours
        elif path.is_dir() and path not in keep:
            # The token first: removing the rest takes time, in which a worker that outlived its
            # run would otherwise still find it and commit.
            (path / TOKEN_NAME).unlink(missing_ok=True)
            # A worker of the dead run may still be writing; what it leaves goes next time.
            shutil.rmtree(path, ignore_errors=True)


def _in_folder(partial: Path, name: str, note: str | None, *, keep_journal: bool) -> Iterator[Run]:
    folder = partial / name
    folder.mkdir()
    token = {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    (folder / TOKEN_NAME).write_text(json.dumps(token))
    try:
        yield Run(folder, (note,) if note else ())
    finally:
        # First of all, as for a dead run: workers of a cluster may not have heard of the end yet.
        (folder / TOKEN_NAME).unlink(missing_ok=True)
        if keep_journal:
            for path in folder.iterdir():
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _lock(path: Path, store_path: Path, *, shared: bool) -> Iterator[str | None]:
    """Hold a lock; yield a remark where the file system has no locks."""
    with ExitStack() as stack:
        try:
            is_held = stack.enter_context(hold_lock(path, shared=shared))
        except LockedError as error:
            holder = f" ({error.holder})" if error.holder else ""
            raise StoreError(
                f"store {store_path}: another prepare is running on it{holder}; wait for it or "
                "stop it"
            ) from None
        no_locks = f"{path.parent}: no file locks here; do not run two prepares on this store"
        yield None if is_held else no_locks
