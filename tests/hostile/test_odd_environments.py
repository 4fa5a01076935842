"""The same commands in odd environments give the same bytes."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHAIN = (
    "simulate 'my rtt' --train 1 --test 1 --size 200,225 --cases none",
    "prepare 'my rtt' 'my store.zarr' --workers 1",
    "baseline majority --store 'my store.zarr'",
    "score preds/majority --store 'my store.zarr' --json",
)
# Without what a variable of None names.
ENVIRONMENTS: dict[str, dict[str, str | None]] = {
    "bare": {
        **dict.fromkeys(("HOME", "TMPDIR", "USER", "LOGNAME")),
        "LANG": "C",
        "LC_ALL": "C",
        "TERM": "dumb",
        "TZ": "Pacific/Kiritimati",
        "PYTHONHASHSEED": "4711",
    },
    "odd": {
        "TERM": None,
        "PYTHONIOENCODING": "latin-1",
        "TZ": "no/such:zone",
        "COLUMNS": "7",
        "PYTHONHASHSEED": "1",
        "MPLBACKEND": "no-such",
        "SLURM_NTASKS": "4",
    },
}


def run_chain(folder: Path, changes: dict[str, str | None], umask: str) -> dict[str, str]:
    """Digest of every file that the chain writes into a folder, and of what ``score`` prints."""
    folder.mkdir()
    environment = {**os.environ, **changes, "PYTHONPATH": str(ROOT)}
    environment.pop("AUTOICE_STORE", None)
    code = "; ".join(
        ["from autoice_bench.cli import main", "from shlex import split"]
        + [f'main(split("{line}"), standalone_mode=False)' for line in CHAIN]
    )
    done = subprocess.run(
        ["bash", "-c", f"umask {umask}; exec {sys.executable} -c '{escape(code)}'"],
        cwd=folder,
        env={name: value for name, value in environment.items() if value is not None},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    root = json.loads((folder / "my store.zarr" / "zarr.json").read_text())
    digests = {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and is_result(path)
    }
    fingerprint = root["attributes"]["store_fingerprint"]
    return digests | {"printed": done.stdout, "fingerprint": fingerprint}


def escape(code: str) -> str:
    return code.replace("'", "'\\''")


def is_result(path: Path) -> bool:
    """Whether a file must not depend on when it was written.

    A store's index keeps the times of its sources, and its root the digest of the index.
    """
    of_its_time = path.name in ("scenes.parquet", "lock") or "leaderboard" in path.parts
    return not of_its_time and path.parts[-2:] != ("my store.zarr", "zarr.json")


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return run_chain(tmp_path_factory.mktemp("usual") / "work", {}, "022")


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_results_do_not_depend_on_the_environment(
    name: str, usual: dict[str, str], tmp_path: Path
) -> None:
    found = run_chain(tmp_path / "mon dossier é", ENVIRONMENTS[name], "077")
    differing = {path for path in usual.keys() | found.keys() if usual.get(path) != found.get(path)}
    assert differing == set()
