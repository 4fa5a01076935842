"""What JSON that we wrote must hold, checked as it is read: it may be damaged, or of a stranger.

A schema is built of the kinds here and describes a document in one place; ``require_document`` says
in one line where a document differs from it. What a schema does not mention may stand in a document
all the same: a later version may have written it.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Protocol

from autoice_bench.errors import AutoIceError
from autoice_bench.formats.names import NAME_RULE, is_safe_name
from autoice_bench.scene_id import is_scene_id
from autoice_bench.wording import is_printable, make_visible

CHECKSUM: Final = "checksum"
"""The field that holds the digest of the others."""

_LONGEST_SHOWN: Final = 40
_LONGEST_KEY: Final = 100
_BREAKS: Final = dict.fromkeys(map(ord, "\t\n\r"))
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
"""JSON can hold one alone; no file, table or terminal takes it."""
_MOST: Final = 2**63 - 1
"""Largest whole number that tables and arrays hold."""


class Kind(Protocol):
    """A kind of JSON value."""

    @property
    def expected(self) -> str:
        """What a value of this kind is, for messages."""

    def find_fault(self, value: object) -> tuple[str, str] | None:
        """Where in a value something is of another kind, and what is wrong with it, or None.

        The place is the empty text for the value itself, ``.name`` of a field, ``[3]`` of an item.
        """


class _Leaf(ABC):
    """A kind without parts."""

    expected: str

    @abstractmethod
    def holds(self, value: object) -> bool:
        """Whether a value is of this kind."""

    def find_fault(self, value: object) -> tuple[str, str] | None:
        return None if self.holds(value) else ("", f"is {show(value)}; expected {self.expected}")


@dataclass(frozen=True)
class Whole(_Leaf):
    """A whole number in a range, both ends included; true and false are none."""

    least: int = -_MOST
    most: int = _MOST

    @property
    def expected(self) -> str:  # type: ignore[override]
        if (self.least, self.most) == (-_MOST, _MOST):
            return "a whole number"
        if self.most == _MOST:
            return f"a whole number of at least {self.least}"
        return f"a whole number from {self.least} to {self.most}"

    def holds(self, value: object) -> bool:
        return type(value) is int and self.least <= value <= self.most


@dataclass(frozen=True)
class Seed(_Leaf):
    """A whole number of any size, as seeds may be."""

    expected: str = "a whole number"

    def holds(self, value: object) -> bool:
        return type(value) is int


@dataclass(frozen=True)
class Number(_Leaf):
    """A finite number, whole or not, in a range; both ends included."""

    least: float = -math.inf
    most: float = math.inf

    @property
    def expected(self) -> str:  # type: ignore[override]
        if (self.least, self.most) == (-math.inf, math.inf):
            return "a number"
        return f"a number from {self.least:,} to {self.most:,}"

    def holds(self, value: object) -> bool:
        if type(value) is not float and not Whole().holds(value):
            return False
        return math.isfinite(value) and self.least <= value <= self.most  # type: ignore[arg-type,operator]


@dataclass(frozen=True)
class Flag(_Leaf):
    """``true`` or ``false``."""

    expected: str = "true or false"

    def holds(self, value: object) -> bool:
        return isinstance(value, bool)


@dataclass(frozen=True)
class Text(_Leaf):
    """A text without lone surrogates; with a pattern, one that matches it as a whole."""

    pattern: str = ""
    expected: str = "a text"

    def holds(self, value: object) -> bool:
        if not isinstance(value, str) or _SURROGATE.search(value) is not None:
            return False
        return not self.pattern or re.fullmatch(self.pattern, value) is not None


@dataclass(frozen=True)
class Line(_Leaf):
    """A text that may be shown as it is; with ``breaks``, lines may end and tabs stand in it."""

    longest: int | None = None
    breaks: bool = False

    @property
    def expected(self) -> str:  # type: ignore[override]
        words = "a text without control characters"
        return words if self.longest is None else f"{words}, of at most {self.longest:,}"

    def holds(self, value: object) -> bool:
        if not isinstance(value, str) or (self.longest is not None and len(value) > self.longest):
            return False
        return is_printable(value.translate(_BREAKS) if self.breaks else value)


@dataclass(frozen=True)
class Name(_Leaf):
    """A name that may become part of a path."""

    expected: str = NAME_RULE

    def holds(self, value: object) -> bool:
        return isinstance(value, str) and is_safe_name(value)


@dataclass(frozen=True)
class SceneId(_Leaf):
    """The id of a scene."""

    expected: str = "a scene id"

    def holds(self, value: object) -> bool:
        return isinstance(value, str) and is_scene_id(value)


@dataclass(frozen=True)
class Time(_Leaf):
    """A time in ISO 8601."""

    expected: str = "a time in ISO 8601"

    def holds(self, value: object) -> bool:
        try:
            return isinstance(value, str) and datetime.fromisoformat(value) is not None
        except ValueError:
            return False


@dataclass(frozen=True)
class OneOf(_Leaf):
    """One of some values, of the same type."""

    values: tuple[object, ...]

    @property
    def expected(self) -> str:  # type: ignore[override]
        return " or ".join(map(repr, self.values))

    def holds(self, value: object) -> bool:
        return any(type(value) is type(each) and value == each for each in self.values)


@dataclass(frozen=True)
class Nullable:
    """A value of a kind, or null."""

    kind: Kind

    @property
    def expected(self) -> str:
        return f"{self.kind.expected} or null"

    def find_fault(self, value: object) -> tuple[str, str] | None:
        fault = None if value is None else self.kind.find_fault(value)
        if fault is not None and not fault[0]:
            return "", f"is {show(value)}; expected {self.expected}"
        return fault


@dataclass(frozen=True)
class Anything:
    """Whatever JSON holds, its texts such that they may be shown: fields of later versions."""

    expected: str = "anything that may be shown"

    def find_fault(self, value: object) -> tuple[str, str] | None:
        if isinstance(value, str):
            return Line(breaks=True).find_fault(value)
        if isinstance(value, Mapping):
            return Entries(self, keys=Line(_LONGEST_KEY)).find_fault(value)
        return Items(self).find_fault(value) if isinstance(value, list) else None


@dataclass(frozen=True)
class Items:
    """A list of values of a kind; with ``length``, of so many, else of ``fewest`` to ``most``."""

    kind: Kind
    length: int | None = None
    fewest: int = 0
    most: int | None = None

    @property
    def expected(self) -> str:
        if self.length is not None:
            return f"a list of {self.length}"
        return "a list" if self.most is None else f"a list of {self.fewest} to {self.most:,}"

    def _has_its_length(self, n: int) -> bool:
        if self.length is not None:
            return n == self.length
        return self.fewest <= n and (self.most is None or n <= self.most)

    def find_fault(self, value: object) -> tuple[str, str] | None:
        if not isinstance(value, list) or not self._has_its_length(len(value)):
            return "", f"is {show(value)}; expected {self.expected}"
        for index, item in enumerate(value):
            if (fault := self.kind.find_fault(item)) is not None:
                return f"[{index}]{fault[0]}", fault[1]
        return None


@dataclass(frozen=True)
class Entries:
    """An object with any keys and values of one kind."""

    kind: Kind
    keys: Text | Line = field(default_factory=Text)
    expected: str = "an object"

    def find_fault(self, value: object) -> tuple[str, str] | None:
        if not isinstance(value, Mapping):
            return "", f"is {show(value)}; expected {self.expected}"
        for key, item in value.items():
            if not self.keys.holds(key):
                return "", f"has the key {show(key)}; expected {self.keys.expected}"
            if (fault := self.kind.find_fault(item)) is not None:
                return f".{key}{fault[0]}", fault[1]
        return None


@dataclass(frozen=True)
class Unread:
    """Fields that nobody reads: they may hold what they like."""

    expected: str = "anything"

    def find_fault(self, value: object) -> tuple[str, str] | None:
        return None


@dataclass(frozen=True)
class Fields:
    """An object with known keys.

    Attributes:
        required: kind of each key that must be there.
        optional: kind of each that may be.
        others: kind of an object of all other fields; None if there may be none of them.
    """

    required: Mapping[str, Kind]
    optional: Mapping[str, Kind] = field(default_factory=dict)
    others: Kind | None = Unread()
    expected: str = "an object"

    def find_fault(self, value: object) -> tuple[str, str] | None:
        if not isinstance(value, Mapping):
            return "", f"is {show(value)}; expected {self.expected}"
        for key in self.required:
            if key not in value:
                return f".{key}", "is missing"
        for key, kind in {**self.required, **self.optional}.items():
            fault = kind.find_fault(value[key]) if key in value else None
            if fault is not None:
                return f".{key}{fault[0]}", fault[1]
        return self._find_fault_of_others(value)

    def _find_fault_of_others(self, value: Mapping[object, object]) -> tuple[str, str] | None:
        known = self.required.keys() | self.optional.keys()
        others = {key: item for key, item in value.items() if key not in known}
        if self.others is not None:
            return self.others.find_fault(others)
        if others:
            return "", f"unknown field {show(min(others, key=str))}; expected {_listed(known)}"
        return None


SHA256: Final = Text("[0-9a-f]{64}", "64 hexadecimal digits")
COUNT: Final = Whole(0)


def find_fault(document: object, schema: Kind) -> str | None:
    """What is wrong with parsed JSON, on one line: ``class_counts.SIC.3 is null; expected ...``."""
    fault = schema.find_fault(document)
    if fault is None:
        return None
    place, what = fault
    return make_visible(f"{place.removeprefix('.')} {what}".strip())


def require_document(
    document: object, schema: Kind, error: type[AutoIceError], what: str, hint: str = ""
) -> Any:
    """Return parsed JSON that follows a schema.

    Args:
        document: what was parsed.
        schema: what it must hold.
        error: what to raise.
        what: the file; begins the message.
        hint: what to do; ends the message.

    Raises:
        AutoIceError: ``error``, if it does not.
    """
    fault = find_fault(document, schema)
    if fault is not None:
        raise error(f"{what} is damaged: {fault}" + (f"; {hint}" if hint else ""))
    return document


def digest_json(document: object) -> str:
    """SHA-256 (hex) of what JSON can hold, however its text is laid out."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def take_checksum(document: object) -> bool:
    """Take the field ``checksum`` out of a document; whether it is the digest of the rest.

    Older versions wrote none, and what a person edits may go without.
    """
    if not isinstance(document, dict) or CHECKSUM not in document:
        return True
    recorded: object = document.pop(CHECKSUM)
    return recorded == digest_json(document)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def show(value: object) -> str:
    """A value for a message: short, on one line, as JSON calls it."""
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."
