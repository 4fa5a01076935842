"""Helpers for tests on whole stores: compare bytes, copy sources, run `prepare` elsewhere."""

from __future__ import annotations

import hashlib
import multiprocessing
import shutil
import time
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from autoice_bench.datasets.prepare.prepare import prepare


def digest_scenes(store: Path) -> dict[str, str]:
    """SHA-256 of every file under ``scenes/``, by relative path."""
    root = store / "scenes"
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def scenes_of(digests: dict[str, str]) -> set[str]:
    """Scene ids in a result of ``digest_scenes``."""
    return {path.split("/")[0] for path in digests}


def copy_source(source: Path, target: Path) -> Path:
    """A source folder that a test may change."""
    shutil.copytree(source, target)
    return target


def copy_store(store: Path, folder: Path) -> Path:
    """A copy of a store that a test may damage."""
    return Path(shutil.copytree(store, folder / store.name))


def scene_files(source: Path) -> list[Path]:
    return sorted(source.rglob("*_prep.nc"))


def start_prepare(source: Path, store: Path, **options: Any) -> BaseProcess:
    """Run ``prepare`` in a fresh process; modules are loaded beforehand, so it starts at once."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["autoice_bench.datasets.prepare.prepare"])
    process = context.Process(target=_run_prepare, args=(source, store, options))
    process.start()
    return process


def _run_prepare(source: Path, store: Path, options: dict[str, Any]) -> None:
    prepare(source, store, **options)


def wait_for_partial_file(store: Path, process: BaseProcess, seconds: float = 30.0) -> None:
    """Return once the first file of a scene is under ``.partial``, or the process has ended."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.is_alive():
        if any(store.glob(".partial/*/*/*")):
            return
        time.sleep(0.0005)
