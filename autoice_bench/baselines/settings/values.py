"""Values of settings: read from text, checked against the type of their field, written as text."""

from __future__ import annotations

import math
from collections.abc import Iterable
from difflib import get_close_matches
from types import NoneType, UnionType
from typing import Any, Final, Literal, get_args, get_origin

from autoice_bench.errors import BaselineError
from autoice_bench.formats.plain_files import parse_toml
from autoice_bench.wording import make_visible

_NO_FIT: Final = object()
_LARGEST: Final = 2**63 - 1
"""Whole number that arrays and files can hold."""
_WORDS: Final = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a string",
    NoneType: "none",
}
_LISTS: Final = {
    int: "whole numbers such as 6,12,18",
    float: "numbers such as 0.5,1",
    str: "names such as a,b",
}


def check_keys(keys: Iterable[str], known: Iterable[str], where: str) -> None:
    """Refuse a field that no recipe has.

    Raises:
        BaselineError: it names the nearest field.
    """
    names = set(known)
    for key in keys:
        if key not in names:
            raise BaselineError(f"{where}: no field {key!r}{suggest(key, names)}")


def suggest(name: str, known: Iterable[str]) -> str:
    """``; did you mean 'x'?`` where a name is near, else ``; expected one of ...``."""
    names = sorted(known)
    near = get_close_matches(name, names, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; expected one of {', '.join(names)}"


def convert_value(name: str, value: object, hint: Any, where: str) -> Any:
    """``value`` as the type ``hint`` says: lists become tuples, whole numbers floats where asked.

    Raises:
        BaselineError: it does not fit the type.
    """
    converted = _fit(value, hint)
    if converted is _NO_FIT:
        raise BaselineError(f"{where}: {name} is {_show(value)}; expected {describe_type(hint)}")
    return converted


def parse_text(text: str, hint: Any) -> object:
    """A value from the command line: TOML where that is what it is, else the text itself.

    Lists may be written without brackets (``6,12,18``), text without quotes, and nothing as
    ``none``.
    """
    options = _options(hint)
    if NoneType in options and text.strip().lower() == "none":
        return None
    in_lists = [option for option in options if get_origin(option) is tuple]
    if in_lists and not text.strip():
        return []
    value = _parse_toml(text)
    if in_lists and value is _NO_FIT and "," in text:
        value = _parse_toml(f"[{text}]")
        if value is _NO_FIT:
            value = [item.strip() for item in text.split(",")]
    if value is _NO_FIT or (str in options and not isinstance(value, str | list)):
        return text
    if in_lists and _fit(value, hint) is _NO_FIT and not isinstance(value, list):
        return [value]
    return value


def format_value(value: object) -> str:
    """A value as it is typed on the command line: ``6,12,18``, ``true``, ``none``."""
    if isinstance(value, list | tuple):
        return ",".join(map(format_value, value))
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def describe_type(hint: Any) -> str:
    """A field's type in words."""
    if get_origin(hint) is UnionType:
        return " or ".join(map(describe_type, get_args(hint)))
    if get_origin(hint) is Literal:
        return " or ".join(map(repr, get_args(hint)))
    if get_origin(hint) is tuple:
        items = get_args(hint)
        n_items = "" if Ellipsis in items else f"{len(items)} "
        return n_items + _LISTS[items[0]]
    return _WORDS[hint]


def _options(hint: Any) -> tuple[Any, ...]:
    if get_origin(hint) is UnionType:
        return get_args(hint)
    return (str,) if get_origin(hint) is Literal else (hint,)


def _parse_toml(text: str) -> Any:
    try:
        document = parse_toml(f"value = {text}")
    except ValueError:
        return _NO_FIT
    return document["value"] if len(document) == 1 else _NO_FIT


def _fit(value: object, hint: Any) -> Any:
    """``value`` converted to ``hint``, or ``_NO_FIT``."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is UnionType:
        fits = (_fit(value, option) for option in arguments)
        return next((fit for fit in fits if fit is not _NO_FIT), _NO_FIT)
    if origin is Literal:
        return value if isinstance(value, str) and value in arguments else _NO_FIT
    if origin is tuple:
        return _fit_items(value, arguments)
    is_too_large = isinstance(value, int) and abs(value) > _LARGEST
    if is_too_large or (isinstance(value, bool) and hint is not bool):
        return _NO_FIT
    if hint is float and isinstance(value, int | float):
        return float(value) if math.isfinite(value) else _NO_FIT
    return value if isinstance(value, hint) else _NO_FIT


def _fit_items(value: object, hints: tuple[Any, ...]) -> Any:
    if not isinstance(value, list | tuple):
        return _NO_FIT
    of_items = [hints[0]] * len(value) if Ellipsis in hints else list(hints)
    if len(of_items) != len(value):
        return _NO_FIT
    items = tuple(_fit(item, hint) for item, hint in zip(value, of_items, strict=True))
    return _NO_FIT if any(item is _NO_FIT for item in items) else items


def _show(value: object) -> str:
    return "none" if value is None else f"{value!r} ({_kind(value)})"


def _kind(value: object) -> str:
    if isinstance(value, list | tuple):
        return "a list"
    return _WORDS.get(type(value), type(value).__name__)


def require(name: str, value: object, valid: bool, expected: str) -> None:
    """Refuse a setting that is out of range.

    Raises:
        BaselineError: it is not ``valid``; the message says what was found and expected.
    """
    if not valid:
        found = make_visible(format_value(value)) or "empty"
        raise BaselineError(f"{name} is {found}; expected {expected}")
