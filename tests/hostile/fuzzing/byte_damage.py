"""Damage that knows nothing of formats: bytes, and files that are no files."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

from tests.hostile.fuzzing.cases import Rng
from tests.hostile.fuzzing.sandbox import OUTSIDE, Sandbox


def damage_bytes(rng: Rng, content: bytes) -> tuple[bytes, str]:
    """Content that differs from ``content``, and what was done."""
    kind = _KINDS[int(rng.integers(len(_KINDS)))]
    data = bytearray(content or b"\0")
    at, end = sorted(int(place) for place in rng.integers(0, len(data) + 1, 2))
    if rng.random() < 0.5:
        end = min(end, at + 64)
    _CHANGES[kind](rng, data, at, end)
    if data == content:
        return content + b"\xff", "append bytes"
    return bytes(data), kind


def _flip(rng: Rng, data: bytearray, at: int, end: int) -> None:
    data[at % len(data)] ^= 1 << int(rng.integers(8))


def _change(rng: Rng, data: bytearray, at: int, end: int) -> None:
    place = at % len(data)
    data[place] = int(rng.choice([0, 1, 127, 128, 255, data[place] ^ 0xFF]))


def _change_many(rng: Rng, data: bytearray, at: int, end: int) -> None:
    for place in rng.integers(0, len(data), int(rng.integers(2, 30))):
        data[place] = int(rng.integers(256))


def _insert(rng: Rng, data: bytearray, at: int, end: int) -> None:
    data[at:at] = rng.bytes(int(rng.integers(1, 64)))


def _append(rng: Rng, data: bytearray, at: int, end: int) -> None:
    data += rng.bytes(int(rng.integers(1, 5000)))


def _cut(rng: Rng, data: bytearray, at: int, end: int) -> None:
    del data[at:]


def _zero(rng: Rng, data: bytearray, at: int, end: int) -> None:
    data[at:end] = bytes(end - at)


def _fill(rng: Rng, data: bytearray, at: int, end: int) -> None:
    data[at:end] = b"\xff" * (end - at)


def _repeat(rng: Rng, data: bytearray, at: int, end: int) -> None:
    data[end:end] = data[at:end]


def _remove(rng: Rng, data: bytearray, at: int, end: int) -> None:
    del data[at:end]


def _swap(rng: Rng, data: bytearray, at: int, end: int) -> None:
    data[:] = data[end:] + data[at:end] + data[:at]


def _empty(rng: Rng, data: bytearray, at: int, end: int) -> None:
    data.clear()


def _zero_all(rng: Rng, data: bytearray, at: int, end: int) -> None:
    data[:] = bytes(len(data))


_CHANGES: Final[dict[str, Callable[[Rng, bytearray, int, int], None]]] = {
    "flip a bit": _flip,
    "change a byte": _change,
    "change many bytes": _change_many,
    "truncate": _cut,
    "insert bytes": _insert,
    "zero a block": _zero,
    "fill a block": _fill,
    "repeat a block": _repeat,
    "remove a block": _remove,
    "swap blocks": _swap,
    "append bytes": _append,
    "empty": _empty,
    "nothing but zeros": _zero_all,
}
"""What may happen to bytes, of which ``at`` to ``end`` are chosen."""
_KINDS: Final = (*_CHANGES, *("flip a bit", "change a byte") * 3, "truncate")

FILE_KINDS: Final = (
    "gone",
    "a folder",
    "a FIFO",
    "a dangling link",
    "a link to itself",
    "a device",
    "a link outside",
    "unlike its name",
)


def damage_file(rng: Rng, sandbox: Sandbox, name: str) -> str:
    """Put something else in the place of a file, as ``FILE_KINDS`` says; return what."""
    kind = str(rng.choice(FILE_KINDS))
    others = [other for other in sandbox.files() if other != name]
    path = sandbox.remove(name)
    match kind:
        case "a folder":
            path.mkdir()
        case "a FIFO":
            os.mkfifo(path)
        case "a dangling link":
            path.symlink_to("nowhere")
        case "a link to itself":
            path.symlink_to(path.name)
        case "a device":
            path.symlink_to("/dev/zero")
        case "a link outside":
            path.symlink_to(sandbox.root / OUTSIDE / "precious")
        case "unlike its name" if others:
            other = str(rng.choice(others))
            path.write_bytes(sandbox.pristine(other))
            return f"{name} holds {other}"
    return f"{name} is {kind}"
