"""A process that has loaded everything and forks children that try inputs.

It runs no command itself, so that it has no threads when it forks. Requests come as lines of JSON
on standard input: target, first seed, number and jobs; the answer is a line with the findings.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tests.hostile.fuzzing.cases import Finding

ROOT: Final = Path(__file__).parents[3]
"""Of the checkout, whose package and tests the server imports."""
_ROOM: Final = 500_000_000
"""Bytes: more than the sandboxes of all children."""


class Fuzzer:
    """Asks a server, see ``open_fuzzer``.

    Attributes:
        cpu_seconds: what the last request took of the processors.
    """

    cpu_seconds = 0.0

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def try_seeds(self, target: str, first: int, count: int, jobs: int) -> list[Finding]:
        """Findings among the inputs of the seeds ``first`` to ``first + count``."""
        request = {"target": target, "first": first, "count": count, "jobs": jobs}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the server of the fuzzers ended: {self._process.wait()}")
        answered = json.loads(answer)
        self.cpu_seconds = float(answered["cpu_seconds"])
        return [Finding(**found) for found in answered["findings"]]


@contextmanager
def open_fuzzer() -> Iterator[Fuzzer]:
    """Start a server that works in a temporary folder; both are gone after the ``with`` block."""
    with tempfile.TemporaryDirectory(
        prefix="fuzzing-", dir=_find_fast_folder(), ignore_cleanup_errors=True
    ) as scratch:
        yield from _open_server(Path(scratch))


def _find_fast_folder() -> str | None:
    """Memory in place of a disk, where there is such: thousands of small files come and go."""
    memory = Path("/dev/shm")
    if os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > _ROOM:
        return str(memory)
    return None


def _open_server(scratch: Path) -> Iterator[Fuzzer]:
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("AUTOICE_")},
        "OMP_NUM_THREADS": "1",
        "MALLOC_ARENA_MAX": "2",
        "MPLBACKEND": "agg",
        "PYTHONPATH": str(ROOT),
        "PYTHONWARNINGS": "ignore",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.hostile.fuzzing.server", str(scratch)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=ROOT,
    )
    try:
        yield Fuzzer(process)
    finally:
        # It has nothing to lose, and unloading everything takes seconds.
        process.kill()
        process.wait()


def serve(scratch: Path) -> None:
    """Answer requests until standard input ends."""
    _import_everything()
    from tests.hostile.fuzzing.children import run_seeds
    from tests.hostile.fuzzing.material import make_material

    material = scratch / "material"
    # What is printed while a child makes the material is no answer.
    _in_child(lambda: make_material(material))
    for line in sys.stdin:
        request: dict[str, Any] = json.loads(line)
        seeds = range(request["first"], request["first"] + request["count"])
        before = _cpu_of_children()
        found = list(run_seeds(request["target"], seeds, material, scratch, request["jobs"]))
        answer = {
            "findings": [finding.to_dict() for finding in found],
            "cpu_seconds": _cpu_of_children() - before,
        }
        print(json.dumps(answer), flush=True)


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _in_child(work: Any) -> None:
    pid = os.fork()
    if pid == 0:
        try:
            os.dup2(2, 1)
            work()
            os._exit(0)
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    if status:
        raise RuntimeError("the material of the fuzzers could not be made")


def _import_everything() -> None:
    """Load every module of the package once, in place of in each child."""
    import importlib
    import pkgutil

    import autoice_bench

    for module in pkgutil.walk_packages(autoice_bench.__path__, "autoice_bench."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for name in ("xarray.backends.api", "matplotlib.figure", "matplotlib.backends.backend_agg"):
        importlib.import_module(name)


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
