"""How numbers, paths and texts of others are worded for people."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_HIDDEN: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, other ends of lines, turns of the writing direction, lone surrogates."""


def is_printable(text: str) -> bool:
    """Whether a text shows as it is: nothing in it steers a terminal or is no character."""
    return _HIDDEN.search(text) is None


def make_visible(text: str) -> str:
    """A text of others as one line that may be printed: what would steer a terminal is escaped."""
    return _HIDDEN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def make_lines_visible(text: str) -> str:
    """Lines that may be printed: as ``make_visible``, but the ends of lines stay."""
    return "\n".join(map(make_visible, text.split("\n")))


def first_line(error: BaseException) -> str:
    """The first line of what an error says; the name of its class where it says nothing."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def escape_json(document: str) -> str:
    """JSON text that may be printed, and says the same: what would steer a terminal is escaped."""
    return _HIDDEN.sub(
        lambda found: found[0] if found[0] == "\n" else f"\\u{ord(found[0]):04x}", document
    )


def format_size(n_bytes: float) -> str:
    """Bytes in decimal units: ``1.25 GB``, ``16.9 MB``."""
    return f"{n_bytes / 1e9:.3g} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:.3g} MB"


def format_duration(seconds: float) -> str:
    """Seconds as ``42 s``, ``12 min`` or ``3.5 h``."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def format_path(path: Path) -> str:
    """A path as a user would type it: relative where it lies below the current folder."""
    try:
        return make_visible(str(path.relative_to(Path.cwd())))
    except ValueError:
        return make_visible(str(path))


def format_count(number: int, noun: str, plural: str | None = None) -> str:
    """A number with its noun: ``1 polygon``, ``2 polygons``, ``2 patches``."""
    return f"{number} {noun if number == 1 else plural or f'{noun}s'}"


def format_listing(names: Iterable[object], most: int = 5) -> str:
    """Names separated by commas, the first few of them: ``a, b and 3 more``."""
    shown = [str(name) for name in names]
    more = f" and {len(shown) - most} more" if len(shown) > most else ""
    return ", ".join(shown[:most]) + more
