"""Names that become part of a path: of splits, runs, submissions, recipes, scenes.

They come from the command line, and from files of strangers: a name that is a path would have its
owner write anywhere.
"""

from __future__ import annotations

import re
from typing import Final

from autoice_bench.errors import AutoIceError

LONGEST_NAME: Final = 100

_SAFE_NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._+-]{{0,{LONGEST_NAME - 1}}}")
_RESERVED = {
    "CON",
    "PRN",
    "AUX",
    "NUL",
    *(f"{port}{n}" for port in ("COM", "LPT") for n in range(10)),
}


NAME_RULE: Final = (
    f"1-{LONGEST_NAME} letters, digits and . _ + -, beginning with a letter or digit, not ending "
    "with a dot and no device name of Windows"
)


def is_safe_name(name: str) -> bool:
    """Whether a name can be that of a file or folder everywhere; ``NAME_RULE`` in words."""
    reserved = name.split(".", maxsplit=1)[0].upper() in _RESERVED
    return _SAFE_NAME.fullmatch(name) is not None and not name.endswith(".") and not reserved


def require_safe_name(
    name: str, error: type[AutoIceError], *, what: str = "name", advice: str = ""
) -> str:
    """Return ``name`` if it can be the name of a file or folder everywhere.

    Args:
        name: what somebody called something.
        error: class of the error.
        what: what is named so, for the message.
        advice: what to do about it, for the message.

    Raises:
        AutoIceError: as ``error``: the name has other characters than letters, digits and
            ``._+-``, starts with one of these marks, ends with a dot, is longer than 100, or names
            a device.
    """
    if not is_safe_name(name):
        raise error(f"{what} {name!r}; expected {NAME_RULE}" + (f" ({advice})" if advice else ""))
    return name
