"""One input and what came of it: the oracles."""

from __future__ import annotations

import re
import resource
import signal
import traceback
import unicodedata
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, TracebackType
from typing import Final

import numpy as np
from click.testing import CliRunner

import autoice_bench
from autoice_bench.cli import main
from autoice_bench.errors import AutoIceError
from tests.hostile.fuzzing.cases import Action, Damage, Finding, Kind, Target
from tests.hostile.fuzzing.document_damage import FORGED
from tests.hostile.fuzzing.sandbox import Sandbox, Snapshot

HANG_S: Final = 20.0
"""An honest answer takes a second, ten on a machine that does other things."""
_MOST_GROWTH: Final = 1_000_000_000
"""Bytes by which a process may grow over an input of less than a megabyte."""
_PACKAGE: Final = Path(autoice_bench.__file__).parent


class _HangError(BaseException):
    """Raised by the alarm; no reader may catch it."""


@dataclass
class Outcome:
    """What an action did.

    Attributes:
        status: exit status, 0 for a call that returned.
        stdout, stderr: what was printed; a call that refuses prints its error.
        is_done: whether it answered, as for the pristine input, and did not refuse.
        answer: what counts of it; None unless it is done.
        error: what was raised and is no expected error.
    """

    status: int
    stdout: str = ""
    stderr: str = ""
    is_done: bool = False
    answer: object = None
    error: BaseException | None = None


@dataclass
class Judge:
    """Runs the inputs of a target, one after the other, in a sandbox of its own.

    Attributes:
        target, sandbox: what is damaged, and where.
        tell: called with the words of an input before it is opened, which may be its end.
    """

    target: Target
    sandbox: Sandbox
    tell: Callable[[str], None]
    _pristine: dict[str, object] = field(default_factory=dict)
    _peak: int = 0

    def judge(self, seed: int) -> list[Finding]:
        """Make the input of a seed, open it, and say what was not as it should be."""
        rng = np.random.default_rng([zlib.crc32(self.target.name.encode()), seed])
        weights = np.array([action.weight for action in self.target.actions])
        place = int(rng.choice(len(weights), p=weights / weights.sum()))
        action = self.target.actions[place]
        pristine = self._pristine_answer(action)
        try:
            damage = self.target.damage(rng, self.sandbox)
            words = f"{action.name}: {damage.words:.300}"
            self.tell(words)
            before = self.sandbox.snapshot()
            outcome = _run(action, self.sandbox)
            found = [
                *self._safety(before),
                *_form(action, outcome),
                *_verdict(action, damage, outcome, pristine),
            ]
        finally:
            self.sandbox.restore()
        return [
            Finding(self.target.name, seed, kind, f"{signature:.200}", words, f"{detail:.3000}")
            for kind, signature, detail in found
        ]

    def _pristine_answer(self, action: Action) -> object:
        if action.name not in self._pristine:
            outcome = _run(action, self.sandbox)
            if outcome.error is not None:
                raise outcome.error
            assert outcome.is_done, f"{action.name}: {outcome.stdout}{outcome.stderr}"
            self._pristine[action.name] = outcome.answer
            self.sandbox.restore()
            self._peak = _peak()
        return self._pristine[action.name]

    def _safety(self, before: Snapshot) -> Iterator[tuple[Kind, str, str]]:
        if self.sandbox.marker.exists():
            yield "code", "code of the input ran", ""
        after = self.sandbox.snapshot()
        changed = sorted(
            name
            for name in before.keys() | after.keys()
            if before.get(name) != after.get(name) and name != self.sandbox.marker.name
        )
        if changed:
            yield "wrote", "changed what was to be read", ", ".join(changed)
        growth, self._peak = _peak() - self._peak, max(_peak(), self._peak)
        if growth > _MOST_GROWTH:
            yield "memory", "took memory that the input asked for", f"{growth / 1e9:.1f} GB more"


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _run(action: Action, sandbox: Sandbox) -> Outcome:
    with _alarm():
        if action.call is not None:
            return _call(action, sandbox)
        return _command(action, sandbox)


def _call(action: Action, sandbox: Sandbox) -> Outcome:
    assert action.call is not None
    try:
        return Outcome(0, is_done=True, answer=action.call(sandbox))
    except AutoIceError as error:
        return Outcome(1, stderr=f"error: {error}\n")
    except (Exception, _HangError) as error:
        return Outcome(1, error=error)


def _command(action: Action, sandbox: Sandbox) -> Outcome:
    try:
        result = CliRunner().invoke(main, action.arguments)
    except _HangError as error:
        return Outcome(1, error=error)
    raised = result.exception
    unexpected = None if isinstance(raised, SystemExit) else raised
    outcome = Outcome(result.exit_code, result.stdout, result.stderr, error=unexpected)
    refuses = any(line.startswith("error: ") for line in outcome.stderr.splitlines())
    outcome.is_done = unexpected is None and outcome.status == action.done and not refuses
    if outcome.is_done:
        answer = action.answer
        outcome.answer = outcome.stdout if answer is None else answer(sandbox, outcome.stdout)
    return outcome


@contextmanager
def _alarm() -> Iterator[None]:
    def ring(_: int, __: FrameType | None) -> None:
        raise _HangError

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, HANG_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _form(action: Action, outcome: Outcome) -> Iterator[tuple[Kind, str, str]]:
    """A refusal is one line; nothing that is printed steers a terminal."""
    if outcome.error is not None:
        yield _name_error(outcome.error)
        return
    lines = outcome.stderr.splitlines()
    if outcome.status not in (0, 1, 2):
        yield "message", f"exit status {outcome.status}", outcome.stderr
    if outcome.status == 1:
        errors = [line for line in lines if line.startswith("error: ")]
        listed = action.lists and bool(outcome.stdout.strip())
        if len(errors) != 1 and not (listed and not errors):
            yield "message", f"{len(errors)} lines begin with error:", outcome.stderr
        elif errors and lines[-1] != errors[0]:
            yield "message", "the error is not the last line", outcome.stderr
    text = outcome.stdout + outcome.stderr
    if "Traceback (most recent call last)" in text:
        yield "message", "a traceback is printed", text
    steering = {each for each in text if _steers(each)}
    if steering:
        yield "message", f"prints {', '.join(map(repr, sorted(steering)))}", text
    if any(line.startswith(FORGED) for line in text.splitlines()):
        yield "message", "a text of the input begins a line", text


def _steers(character: str) -> bool:
    if character in "\n\t":
        return False
    return (
        unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") or character in "\u202e\u2066"
    )


def _name_error(error: BaseException) -> tuple[Kind, str, str]:
    where = _innermost(error.__traceback__)
    if isinstance(error, _HangError):
        return "hang", f"after {where}", "".join(traceback.format_tb(error.__traceback__)[-3:])
    text = "".join(traceback.format_exception(error))
    return "traceback", f"{type(error).__name__} at {where}", text[-3000:]


def _innermost(found: TracebackType | None) -> str:
    """The last frame that lies in the package."""
    name = "?"
    for frame in traceback.extract_tb(found):
        path = Path(frame.filename)
        if path.is_relative_to(_PACKAGE):
            name = f"{path.relative_to(_PACKAGE)}:{frame.name}"
    return name


def _verdict(
    action: Action, damage: Damage, outcome: Outcome, pristine: object
) -> Iterator[tuple[Kind, str, str]]:
    """Whether what had to be refused was, and what was not refused is answered rightly."""
    if outcome.error is not None:
        return
    kind = _kind_of_damage(damage.words)
    if outcome.is_done:
        if damage.must_be_refused_by(action.name):
            yield "accepted", f"{action.name}: {kind}", f"{outcome.stdout[-500:]}"
        elif (damage.same or damage.harmless) and outcome.answer != pristine:
            detail = f"{outcome.answer!r:.700}\nin place of\n{pristine!r:.700}"
            yield "wrong answer", f"{action.name}: {kind}", detail
    elif damage.harmless:
        yield "refused", f"{action.name}: {kind}", outcome.stderr + outcome.stdout[-500:]


def _kind_of_damage(words: str) -> str:
    """Words without what differs between inputs of one kind: files, values, numbers."""
    place, _, what = words.partition(": ")
    what = (what or place).partition(": ")[0]
    what = re.sub(r"\S*(SIC|SOD|FLOE|\d)\S*", "N", what)
    return what[:80]
