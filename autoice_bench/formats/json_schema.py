"""What a JSON document must hold: types, lengths and ranges, as a table of checks.

A check takes a parsed value and the name of its place; it returns nothing and raises ``ValueError``
with one line that says what was found, what was expected and where. Checks are combined to that of
a whole document, so that a document of ours is described in one place and nothing of it is believed
before it was looked at.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from autoice_bench.wording import is_printable

Check = Callable[[Any, str], None]
"""Called with a value and its place; raises ``ValueError``."""

_BREAKS: Final = dict.fromkeys(map(ord, "\t\n\r"))
_LONGEST_SHOWN: Final = 100


def show(value: object) -> str:
    """A value as it may be printed in a message: on one line, and not longer than others read."""
    text = ascii(value) if isinstance(value, int) else repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


def text(longest: int, *, breaks: bool = False, pattern: str = "", words: str = "") -> Check:
    """Text without control characters or surrogates.

    Args:
        longest: most characters.
        breaks: whether lines may end and tabs stand in it.
        pattern: regular expression that the whole text must match; any text if empty.
        words: what the pattern asks for, for the message.
    """
    expression = re.compile(pattern, re.ASCII) if pattern else None

    def check(value: Any, where: str) -> None:
        _require_type(value, str, where, "a string")
        if not is_printable(value.translate(_BREAKS) if breaks else value):
            raise ValueError(
                f"{where} is {show(value)}; expected text without control characters or surrogates"
            )
        if len(value) > longest:
            raise ValueError(f"{where} has {len(value)} characters; expected at most {longest}")
        if expression is not None and expression.fullmatch(value) is None:
            raise ValueError(f"{where} is {show(value)}; expected {words}")

    return check


def whole(lowest: int, highest: int) -> Check:
    """A whole number from ``lowest`` to ``highest``; true and false are none."""

    def check(value: Any, where: str) -> None:
        _require_type(value, int, where, "a whole number")
        _require_range(value, lowest, highest, where)

    return check


def number(lowest: float, highest: float) -> Check:
    """A finite number from ``lowest`` to ``highest``."""

    def check(value: Any, where: str) -> None:
        _require_type(value, (int, float), where, "a number")
        if not math.isfinite(value):
            raise ValueError(f"{where} is {value}; expected a finite number")
        _require_range(value, lowest, highest, where)

    return check


def flag(value: Any, where: str) -> None:
    """True or false."""
    _require_type(value, bool, where, "true or false")


@dataclass(frozen=True)
class Optional:
    """Null, or what ``inner`` asks for; as a field, it may be left out."""

    inner: Check

    def __call__(self, value: Any, where: str) -> None:
        if value is not None:
            self.inner(value, where)


def sequence(each: Check, fewest: int, most: int) -> Check:
    """A list of ``fewest`` to ``most`` values that pass ``each``."""

    def check(value: Any, where: str) -> None:
        _require_type(value, list, where, "a list")
        if not fewest <= len(value) <= most:
            expected = fewest if fewest == most else f"{fewest} to {most}"
            raise ValueError(f"{where} has {len(value)} entries; expected {expected}")
        for index, entry in enumerate(value):
            each(entry, f"{where}[{index}]")

    return check


def record(fields: Mapping[str, Check], *, others: Check | None = None) -> Check:
    """An object with these fields.

    Args:
        fields: name to check; ``Optional`` ones may be absent.
        others: check of the other fields; None if there may be none.
    """

    def check(value: Any, where: str) -> None:
        _require_type(value, dict, where or "the document", "an object")
        prefix = f"{where}." if where else ""
        for name, of_field in fields.items():
            if name in value:
                of_field(value[name], prefix + name)
            elif not isinstance(of_field, Optional):
                raise ValueError(f"{prefix}{name} is missing")
        for name in value.keys() - fields.keys():
            if others is None:
                known = ", ".join(sorted(fields))
                place = f"{where}: " if where else ""
                raise ValueError(f"{place}unknown field {show(name)}; expected {known}")
            _require_name(name, where or "the document")
            others(value[name], prefix + name)

    return check


def anything(value: Any, where: str) -> None:
    """Any value, texts without control characters or surrogates; for fields of later versions."""
    if isinstance(value, str):
        text(len(value), breaks=True)(value, where)
    elif isinstance(value, dict):
        for name, inner in value.items():
            _require_name(name, where)
            anything(inner, where)
    elif isinstance(value, list):
        for inner in value:
            anything(inner, where)


def _require_name(name: str, where: str) -> None:
    text(_LONGEST_SHOWN)(name, f"a field of {where}")


def _require_type(value: Any, expected: Any, where: str, words: str) -> None:
    # True is a whole number to Python, not to JSON.
    if not isinstance(value, expected) or (isinstance(value, bool) and expected is not bool):
        raise ValueError(f"{where} is {show(value)}; expected {words}")


def _require_range(value: float, lowest: float, highest: float, where: str) -> None:
    if not lowest <= value <= highest:
        expected = lowest if lowest == highest else f"{lowest} to {highest}"
        raise ValueError(f"{where} is {show(value)}; expected {expected}")
