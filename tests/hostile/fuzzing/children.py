"""Many inputs in forked processes: a crash, a hang or a memory shortage costs one of them."""

from __future__ import annotations

import faulthandler
import json
import os
import re
import resource
import selectors
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.hostile.fuzzing.cases import Finding, Kind
from tests.hostile.fuzzing.judge import HANG_S, Judge
from tests.hostile.fuzzing.sandbox import Sandbox
from tests.hostile.fuzzing.targets import TARGETS

_MEMORY: Final = 4_000_000_000
"""Bytes of address space that a child may take beyond what it begins with."""
_BATCH: Final = 250
"""Inputs of one child: what a library keeps of them does not pile up."""


@dataclass
class _Child:
    """A forked process, and what is known of where it stands."""

    pid: int
    pipe: int
    log: Path
    sandbox: Path
    seeds: list[int]
    target: str
    current: int | None = None
    words: str = ""
    last_sign: float = field(default_factory=time.monotonic)
    buffer: bytes = b""
    is_finished: bool = False


def run_seeds(
    target: str, seeds: Iterable[int], material: Path, scratch: Path, jobs: int
) -> Iterator[Finding]:
    """Judge the inputs of some seeds; findings come as they are found.

    Args:
        target: a name in ``TARGETS``.
        seeds: which inputs.
        material: folder of the pristine files.
        scratch: an existing folder for the sandboxes.
        jobs: processes at a time.
    """
    todo = list(seeds)
    batches = [todo[start : start + _BATCH] for start in range(0, len(todo), _BATCH)]
    if len(batches) < jobs:
        batches = [todo[start::jobs] for start in range(jobs)]
    waiting = [batch for batch in reversed(batches) if batch]
    children: dict[int, _Child] = {}
    with selectors.DefaultSelector() as selector:
        while waiting or children:
            while waiting and len(children) < jobs:
                child = _start(target, waiting.pop(), material, scratch)
                children[child.pipe] = child
                selector.register(child.pipe, selectors.EVENT_READ)
            ready = [key.fd for key, _ in selector.select(timeout=1.0)]
            for child in list(children.values()):
                is_over = child.pipe in ready and not (yield from _read(child))
                if not is_over and time.monotonic() - child.last_sign > 3 * HANG_S:
                    os.kill(child.pid, signal.SIGKILL)
                    is_over = True
                    yield _lost(child, "hang", "in a library")
                    child.is_finished = True
                if is_over:
                    selector.unregister(child.pipe)
                    del children[child.pipe]
                    rest = yield from _bury(child)
                    if rest:
                        waiting.append(rest)


def _start(target: str, seeds: list[int], material: Path, scratch: Path) -> _Child:
    reading, writing = os.pipe()
    name = f"{target}-{os.getpid()}-{seeds[0]}-{time.monotonic_ns()}"
    sandbox, log = scratch / name, scratch / f"{name}.log"
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        os.close(writing)
        return _Child(pid, reading, log, sandbox, seeds, target)
    status = 1
    try:
        os.close(reading)
        _work(target, seeds, material, sandbox, log, writing)
        status = 0
    finally:
        os._exit(status)


def _work(
    target: str, seeds: list[int], material: Path, sandbox: Path, log: Path, writing: int
) -> None:
    # What libraries print of their own goes where a crash is written.
    with log.open("wb", buffering=0) as file:
        for descriptor in (1, 2):
            os.dup2(file.fileno(), descriptor)
        faulthandler.enable(file, all_threads=False)
        limit = _limit_memory()
        try:
            files = Sandbox(sandbox, material, TARGETS[target].folders)
            judge = Judge(TARGETS[target], files, lambda words: _say(writing, {"words": words}))
            os.chdir(sandbox)
            for seed in seeds:
                _say(writing, {"begin": seed})
                found = judge.judge(seed)
                for finding in found:
                    _say(writing, finding.to_dict())
                # The next input shall not suffer from what this one has left.
                if _size() > limit - _MEMORY // 2 or any(f.kind == "hang" for f in found):
                    break
            _say(writing, {"finished": True})
        except BaseException:
            # A fault of the fuzzer itself: its parent shows the log.
            file.write(traceback.format_exc().encode())
            raise


def _limit_memory() -> int:
    """Let this process grow by so much and no more; return the most bytes of address space."""
    limit = _size() + _MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    return limit


def _size() -> int:
    """Bytes of address space of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()


def _say(writing: int, message: dict[str, Any]) -> None:
    data = (json.dumps(message) + "\n").encode()
    while data:
        data = data[os.write(writing, data) :]


def _read(child: _Child) -> Generator[Finding, None, bool]:
    """Take what a child says; the value of the generator is whether more may come."""
    data = os.read(child.pipe, 1 << 16)
    child.last_sign = time.monotonic()
    *lines, child.buffer = (child.buffer + data).split(b"\n")
    for line in lines:
        message = json.loads(line)
        if "begin" in message:
            child.current, child.words = message["begin"], "before it was damaged"
        elif "kind" not in message and "words" in message:
            child.words = message["words"]
        elif "finished" in message:
            child.is_finished = True
        else:
            yield Finding(**message)
    return bool(data)


def _bury(child: _Child) -> Generator[Finding, None, list[int]]:
    """Wait for a child; the value of the generator is the seeds that it has not tried."""
    os.close(child.pipe)
    _, status = os.waitpid(child.pid, 0)
    log = child.log.read_text(errors="replace") if child.log.exists() else ""
    shutil.rmtree(child.sandbox, ignore_errors=True)
    child.log.unlink(missing_ok=True)
    if os.WIFSIGNALED(status) and not child.is_finished:
        name = signal.Signals(os.WTERMSIG(status)).name
        frames = [line for line in log.splitlines() if line.startswith('  File "')]
        yield _lost(child, "crash", f"{name} at {_place(log)}", "\n".join(frames[:3]))
    elif not child.is_finished:
        raise RuntimeError(
            f"the fuzzer of {child.target} failed at {child.current}:\n{log[-5000:]}"
        )
    if child.current is None:
        return []
    return child.seeds[child.seeds.index(child.current) + 1 :]


def _lost(child: _Child, kind: Kind, signature: str, detail: str = "") -> Finding:
    seed = -1 if child.current is None else child.current
    return Finding(child.target, seed, kind, signature, child.words, detail)


def _place(log: str) -> str:
    """The package's innermost frame in what faulthandler wrote."""
    found = re.search(r'File "[^"]*/autoice_bench/([^"]+)", line \d+ in (\w+)', log)
    return f"{found[1]}:{found[2]}" if found else "?"
