"""The words of the fuzzers: what was damaged, how it is read, what was found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import numpy as np

from autoice_bench.wording import make_visible

if TYPE_CHECKING:
    from tests.hostile.fuzzing.sandbox import Sandbox

Rng: TypeAlias = np.random.Generator

Kind = Literal[
    "traceback",  # an exception that is no expected one
    "crash",  # the process died
    "hang",
    "memory",
    "code",  # what the input asked to run did run
    "wrote",  # something outside the output folder changed
    "message",  # not one line that begins with error:, or one that steers the terminal
    "accepted",  # it had to be refused
    "refused",  # it had to be accepted
    "wrong answer",
]

EVERY_ACTION: Final = "*"


@dataclass(frozen=True)
class Damage:
    """What was done to an input, and what the generator knows of it.

    Attributes:
        words: what was done, where.
        refused_by: names of the actions that must refuse it; ``EVERY_ACTION`` for all.
        same: an action that does not refuse it must answer as for the pristine input.
        harmless: every action must answer as for the pristine input.
    """

    words: str
    refused_by: frozenset[str] = frozenset()
    same: bool = False
    harmless: bool = False

    def must_be_refused_by(self, action: str) -> bool:
        return bool(self.refused_by & {action, EVERY_ACTION})


def refused(words: str, *actions: str, same: bool = True) -> Damage:
    """Damage that the named actions (all, if none is named) must refuse; ``same`` of the others."""
    return Damage(words, refused_by=frozenset(actions or (EVERY_ACTION,)), same=same)


@dataclass(frozen=True)
class Action:
    """One way to open an input, in the sandbox's folder.

    Attributes:
        name: what findings call it.
        arguments: of the command line; or
        call: a function of the sandbox whose value is the answer.
        weight: how often it is drawn, relative to the target's others.
        answer: what counts of the sandbox and of what was printed; None takes the text itself.
        lists: exit status 1 may come with a list of problems on standard output.
        done: exit status for the pristine input.
    """

    name: str
    arguments: tuple[str, ...] = ()
    call: Callable[[Sandbox], object] | None = None
    weight: float = 1.0
    answer: Callable[[Sandbox, str], object] | None = None
    lists: bool = False
    done: int = 0


@dataclass(frozen=True)
class Target:
    """One kind of thing that strangers send.

    Attributes:
        name: what tests and findings call it.
        folders: name in the sandbox to name in the material.
        damage: changes the sandbox.
        actions: how it is opened.
        share: part of all inputs.
    """

    name: str
    folders: Mapping[str, str]
    damage: Callable[[Rng, Sandbox], Damage]
    actions: tuple[Action, ...]
    share: float = 1.0


@dataclass(frozen=True)
class Finding:
    """One input that was not treated as it should be.

    Attributes:
        target, seed: which input.
        kind: in which way.
        signature: what it has in common with other inputs of the same fault.
        words: the damage and the action.
        detail: the message, traceback or difference.
    """

    target: str
    seed: int
    kind: Kind
    signature: str
    words: str
    detail: str

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        lines = [
            f"{self.kind} [{self.target} {self.seed}] {self.signature}",
            f"    {self.words}",
            *(f"    {line:.300}" for line in self.detail.strip().splitlines()[-3:]),
        ]
        return "\n".join(map(make_visible, lines))
