"""The way to a running dask cluster: its scheduler is found, its workers are there and are ours.

Left to itself dask waits for ever for a scheduler file, for workers, and for workers that lack the
package; and workers of another version of it work, and write what that version writes.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from autoice_bench import __version__
from autoice_bench.errors import ClusterError
from autoice_bench.formats.plain_files import NotAFileError, read_json
from autoice_bench.wording import make_visible

if TYPE_CHECKING:
    from distributed import Client

Answer = TypeVar("Answer")

CONNECT_S: Final = 10.0
WORKERS_S: Final = 25.0
"""How long to wait for a first worker."""
ANSWER_S: Final = 15.0
_POLL_S: Final = 0.5
_SAME_PROCESS: Final = "inproc://"

_EXPECTED: Final = "expected an address such as tcp://host:8786, or the scheduler's file"
# Sent as a builtin with a text: a worker that lacks the package can answer it, too.
_VERSION: Final = "__import__('autoice_bench').__version__"

_log: Final = logging.getLogger(__name__)


@contextmanager
def open_cluster(scheduler: str) -> Iterator[Client]:
    """A client of a running cluster, for the time of a ``with`` block.

    Args:
        scheduler: its address, such as ``tcp://10.0.0.1:8786``, or the file that it wrote.

    Raises:
        ClusterError: nobody answers there, no worker comes, or a worker lacks this version.
    """
    with _quiet_dask():
        client = _connect(scheduler)
        try:
            _await_workers(client, scheduler)
            require_this_version(client, scheduler)
            yield client
        finally:
            # A scheduler that is gone must not hold up what is to be said of it.
            client.close(timeout=2)


def require_this_version(client: Client, scheduler: str) -> None:
    """Check that scheduler and workers have this version of the package.

    Raises:
        ClusterError: one has another, or none, or does not answer.
    """
    try:
        found = _within(ANSWER_S, lambda: _ask_versions(client))
    except Exception as error:  # whatever dask raises for a worker that goes at this moment
        raise ClusterError(
            f"scheduler {scheduler}: its workers do not answer ({_reason(error)})"
        ) from error
    wrong = {where: answer for where, answer in found.items() if answer != __version__}
    if wrong:
        where, answer = next(iter(wrong.items()))
        others = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        what = (
            f"autoice-bench {make_visible(answer)}"
            if isinstance(answer, str)
            else f"no autoice-bench ({_reason(answer)})"
        )
        raise ClusterError(
            f"scheduler {scheduler}: {_name(where)}{others} has {what}; expected {__version__}, "
            "as here: install the same version in the environment of the cluster"
        )


def has_workers(client: Client) -> bool:
    """Whether the scheduler has a worker now.

    Raises:
        ClusterError: the scheduler is gone.
    """
    try:
        return bool(_within(ANSWER_S, client.nthreads))
    except Exception as error:
        raise ClusterError(f"the dask scheduler is gone ({_reason(error)})") from error


def _ask_versions(client: Client) -> dict[str, Any]:
    """Version of the package by who has it, or what looking for it raised there."""
    found: dict[str, Any] = client.run(eval, _VERSION, on_error="return")
    # The scheduler loads what it passes on.
    try:
        found["the scheduler"] = client.run_on_scheduler(eval, _VERSION)
    except ImportError as error:
        found["the scheduler"] = error
    return found


def _name(where: str) -> str:
    return where if where.startswith("the ") else f"worker {where}"


def _connect(scheduler: str) -> Client:
    address = _find_address(scheduler)
    try:
        # A client that fails to connect takes long to give up, and at a deaf port never does.
        if not address.startswith(_SAME_PROCESS):
            _within(CONNECT_S, lambda: asyncio.run(_greet(address)))
        from distributed import Client

        return Client(address, set_as_default=False, timeout=CONNECT_S)
    except Exception as error:  # of many kinds: unknown protocols, names, ports, silence
        raise ClusterError(
            f"scheduler {scheduler}: no dask scheduler answers there ({_reason(error)}); "
            f"{_EXPECTED}"
        ) from error


async def _greet(address: str) -> None:
    """Ask who is there.

    Raises:
        ClusterError: no scheduler, but a worker or something else.
        Exception: whatever dask raises where nobody answers.
    """
    from distributed import Security, rpc

    security = Security().get_connection_args("client")  # as the user has configured dask
    async with rpc(address, timeout=CONNECT_S, connection_args=security) as there:
        identity = await asyncio.wait_for(there.identity(), CONNECT_S)
    kind = identity.get("type") if isinstance(identity, dict) else None
    if kind != "Scheduler":
        raise ClusterError(f"found a {make_visible(str(kind))}")


def _find_address(scheduler: str) -> str:
    """The address itself, or the one in a scheduler's file."""
    path = Path(scheduler)
    if "://" in scheduler:
        return scheduler
    if not (scheduler.endswith(".json") or "/" in scheduler or path.exists()):
        return scheduler  # a host
    what = f"scheduler file {scheduler}"
    try:
        content = read_json(path)
    except FileNotFoundError:
        raise ClusterError(f"{what}: no such file; {_EXPECTED}") from None
    except NotAFileError as error:
        raise ClusterError(f"{what} {error.strerror}") from None
    except OSError as error:
        raise ClusterError(f"{what}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        problem = "is empty" if not path.stat().st_size else f"is not JSON ({error})"
        raise ClusterError(
            f"{what} {problem}; expected what `dask scheduler --scheduler-file` writes"
        ) from None
    address = content.get("address") if isinstance(content, dict) else None
    if not isinstance(address, str):
        raise ClusterError(
            f"{what} names no address; expected what `dask scheduler --scheduler-file` writes"
        )
    return address


def _await_workers(client: Client, scheduler: str) -> None:
    until = time.monotonic() + WORKERS_S
    is_told = False
    while not has_workers(client):
        if not is_told:
            _log.warning("scheduler %s: waiting for workers, at most %.0f s", scheduler, WORKERS_S)
            is_told = True
        if time.monotonic() >= until:
            raise ClusterError(
                f"scheduler {scheduler}: no worker came within {WORKERS_S:.0f} s; start some "
                "(`dask worker ADDRESS`), or leave --scheduler out to work here"
            )
        time.sleep(_POLL_S)


def _within(seconds: float, ask: Callable[[], Answer]) -> Answer:
    """What a call of dask's gives, some of which have no time limit of their own."""
    future: Future[Answer] = Future()

    def answer() -> None:
        try:
            future.set_result(ask())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=answer, daemon=True).start()
    try:
        return future.result(seconds)
    except TimeoutError:
        raise ClusterError(f"no answer within {seconds:.0f} s") from None


def _reason(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return make_visible(lines[0]) if lines else type(error).__name__


@contextmanager
def _quiet_dask() -> Iterator[None]:
    """Keep dask's own log off the terminal: what matters of it is said in one line."""
    loggers = [
        logging.getLogger(name)
        for name in list(logging.root.manager.loggerDict)
        if name == "distributed" or name.startswith("distributed.")
    ] or [logging.getLogger("distributed")]
    former = [(logger, logger.level) for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in former:
            logger.setLevel(level)
