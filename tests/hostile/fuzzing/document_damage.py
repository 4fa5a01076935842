"""Damage to JSON and TOML that knows their structure."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from tests.hostile.fuzzing.cases import Rng

ESCAPE: Final = "\x1b[31mFORGED\x1b[0m"
FORGED: Final = "FORGED"
"""No line of output may begin with it: a text of the input would end the line before."""

_NUMBERS: Final[tuple[Any, ...]] = (
    *(0, 1, -1, 2, 255, 256, 65536, 2**31, 2**32, 2**53, 2**63 - 1, 2**63, 2**64, -(2**63), 10**18),
    *(0.5, -0.0, 1e-300, 1e308, float("nan"), float("inf"), float("-inf"), 10**400),
)
_TEXTS: Final = (
    *("", " ", "x", "0", "1", "NaN", "null", "true", "[]", "=1+1", "$\\frac{1}$", "[bold]x[/bold]"),
    *(
        "../../evil",
        "/etc/passwd",
        "..",
        ".",
        "a/b",
        "CON",
        "-rf",
        "x" * 300,
        "%s%n",
        "{0.__class__}",
    ),
    *(ESCAPE, f"a\n{FORGED}", f"a\r{FORGED}", f"a\u2028{FORGED}", "\u202eabc", "\x00", "\x07"),
    *("\ud800", "\udcff", "é", "雪", "20300101T000000_cis", "99999999T999999_cis", "y" * 100_000),
)
_DEEP: Final = "@deep@"
_LONG_NUMBER: Final = "@long@"
_HUGE_FLOAT: Final = "@huge@"
_RAW: Final = {
    _DEEP: "[" * 20_000 + "]" * 20_000,
    _LONG_NUMBER: "9" * 6000,
    _HUGE_FLOAT: "1e999999",
}
"""What no encoder writes: put into the text afterwards."""


def odd_value(rng: Rng) -> Any:
    """Anything that JSON can hold, or nearly."""
    kind = int(rng.integers(10))
    if kind < 3:
        return _NUMBERS[int(rng.integers(len(_NUMBERS)))]
    if kind < 6:
        return _TEXTS[int(rng.integers(len(_TEXTS)))]
    choices: tuple[Any, ...] = (
        *(None, True, False, [], {}, [None], [[]], {"": None}, {"a": {"b": [1]}}, [0] * 5000),
        *([1, "a"], ["x", "x"], [-1, -1], _DEEP, _LONG_NUMBER, _HUGE_FLOAT, {"name": "x"}),
        _nest(60),
    )
    return choices[int(rng.integers(len(choices)))]


def _nest(depth: int) -> Any:
    value: Any = 0
    for _ in range(depth):
        value = [value]
    return value


@dataclass(frozen=True)
class Edit:
    """One change of a document.

    Attributes:
        document: the changed document.
        path: where, keys and indexes from the root.
        kind: ``replace``, ``remove``, ``rename``, ``add``, ``repeat`` or ``shuffle``.
        old, new: the value there before and now, where the kind has them.
    """

    document: Any
    path: tuple[str | int, ...]
    kind: str
    old: Any = None
    new: Any = None

    @property
    def words(self) -> str:
        where = ".".join(map(str, self.path)) or "the document"
        new = repr(self.new)
        return f"{self.kind} {where}" + (f": {new[:80]}" if self.kind in ("replace", "add") else "")


def edit_document(rng: Rng, document: Any) -> Edit:
    """Change one place of a document of objects, lists and values."""
    new: Any
    document = copy.deepcopy(document)
    # Short paths as often as long ones: a scene's metadata has thousands of the latter.
    paths = list(_paths(document, ()))
    depths = sorted({len(path) for path in paths})
    depth = depths[int(rng.integers(len(depths)))]
    paths = [path for path in paths if len(path) == depth]
    path = paths[int(rng.integers(len(paths)))]
    kind = str(rng.choice(["replace"] * 6 + ["remove", "remove", "rename", "add", "repeat"]))
    if not path:
        new = odd_value(rng)
        return Edit(new, (), "replace", document, new)
    parent = document
    for key in path[:-1]:
        parent = parent[key]
    key, old = path[-1], parent[path[-1]]
    new = None
    if kind == "remove":
        del parent[key]
    elif kind == "rename" and isinstance(parent, dict):
        new = str(rng.choice([f"{key}x", str(key).upper(), "", "__proto__", f" {key}"]))
        parent[new] = parent.pop(key)
    elif kind == "add" and isinstance(old, dict | list):
        old, new = None, odd_value(rng)
        _add(rng, parent[key], new)
    elif kind == "repeat" and isinstance(old, list) and old:
        parent[key] = old + old
    else:
        kind, new = "replace", odd_value(rng) if rng.random() < 0.8 else _vary(rng, old)
        parent[key] = new
    return Edit(document, path, kind, old, new)


def _add(rng: Rng, container: dict[str, Any] | list[Any], new: Any) -> None:
    if isinstance(container, dict):
        container[str(rng.choice(["added", "__class__", "x\ny", ""]))] = new
    else:
        container.append(new)


def _vary(rng: Rng, value: Any) -> Any:
    """A value of the same type that is another."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + float(rng.choice([1, -1, 0.1])) if isinstance(value, float) else value + 1
    if isinstance(value, str) and value:
        at = int(rng.integers(len(value)))
        return value[:at] + ("0" if value[at] != "0" else "1") + value[at + 1 :]
    if isinstance(value, list):
        return value[:-1] if value else [0]
    return "x" if value is None else {}


def _paths(document: Any, path: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
    yield path
    if isinstance(document, dict):
        for key, value in document.items():
            yield from _paths(value, (*path, key))
    elif isinstance(document, list):
        for index, value in enumerate(document[:20]):
            yield from _paths(value, (*path, index))


def same_value(a: Any, b: Any) -> bool:
    """Whether two values are one in JSON: ``True`` is no 1, and 1.0 is 1."""
    if isinstance(a, bool) != isinstance(b, bool):
        return False
    return bool(a == b)


def dump_document(document: Any, indent: int | None = 2) -> bytes:
    """A document as JSON, with what Python would not write."""
    text = json.dumps(document, indent=indent)
    return _put_raw(text).encode("utf-8", "surrogatepass")


def _put_raw(text: str) -> str:
    for placeholder, raw in _RAW.items():
        text = text.replace(f'"{placeholder}"', raw)
    return text


def damage_json_text(rng: Rng, content: bytes) -> tuple[bytes, str]:
    """Break the text, not the values: encodings, double keys, commas, comments, deep nesting."""
    kind = str(rng.choice(sorted(_TEXT_CHANGES)))
    return _TEXT_CHANGES[kind](rng, content), kind


def _double_key(rng: Rng, content: bytes) -> bytes:
    keys = re.findall(rb'"(\w+)":', content) or [b"x"]
    key = keys[int(rng.integers(len(keys)))]
    return content.replace(b"{", b'{"%s": %s, ' % (key, dump_document(odd_value(rng), None)), 1)


_TEXT_CHANGES: Final[dict[str, Callable[[Rng, bytes], bytes]]] = {
    "BOM": lambda rng, content: b"\xef\xbb\xbf" + content,
    "UTF-16": lambda rng, content: content.decode().encode("utf-16"),
    "Latin-1": lambda rng, content: re.sub(rb"[a-z]{3}", b"\xe9\xff\xe8", content, count=1),
    "double key": _double_key,
    "comma": lambda rng, content: content.replace(b"}", b",}", 1),
    "comment": lambda rng, content: b"// a comment\n" + content,
    "deep": lambda rng, content: b"[" * int(rng.choice([200, 5000, 200_000])),
    "NUL": lambda rng, content: content + b"\0",
    "two documents": lambda rng, content: content + content,
}


def dump_toml(document: Any) -> bytes:
    """A document of values and one level of tables as TOML, or nearly: it has no word for null."""
    if not isinstance(document, dict):
        return _put_raw(json.dumps(document)).encode("utf-8", "surrogatepass")
    lines = [f"{_key(k)} = {_toml(v)}" for k, v in document.items() if not isinstance(v, dict)]
    for name, table in document.items():
        if isinstance(table, dict):
            lines += ["", f"[{_key(name)}]", *(f"{_key(k)} = {_toml(v)}" for k, v in table.items())]
    return _put_raw("\n".join(lines) + "\n").encode("utf-8", "surrogatepass")


def _key(key: str) -> str:
    return key if re.fullmatch(r"[\w-]+", key, re.ASCII) else json.dumps(key)


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(k)} = {_toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value, ensure_ascii=False)
