"""Whatever a decoder raises for bytes that it cannot read, as the one error its caller names.

Libraries raise many kinds (pyarrow ``OSError``, zarr ``KeyError`` or ``AttributeError``, codecs
``RuntimeError``, torch ``UnpicklingError``), and others with their next release: a list of them is
always too short. Only what decodes belongs inside; a mistake of ours in it would read as damage.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from autoice_bench.errors import AutoIceError
from autoice_bench.wording import make_visible


@contextmanager
def decoding(error: type[AutoIceError], what: str, hint: str = "") -> Iterator[None]:
    """Raise ``error`` for whatever the block raises; also as a decorator.

    Args:
        error: what to raise.
        what: the file or part that is read; begins the message.
        hint: what to do; ends the message.

    Raises:
        AutoIceError: of the block, as it is, or ``error``.
        FileNotFoundError: of the block; a missing file is no damaged one.
    """
    ending = f"; {hint}" if hint else ""
    try:
        yield
    except (AutoIceError, FileNotFoundError):
        raise
    except MemoryError as cause:
        raise error(f"{what} asks for more memory than there is{ending}") from cause
    except Exception as cause:
        raise error(f"{what} cannot be read: {reason_of(cause)}{ending}") from cause


def reason_of(cause: BaseException) -> str:
    """What an exception of a library says, on one line, with its class where that is one word."""
    lines = str(cause).strip().splitlines()
    text = make_visible(lines[0].strip()) if lines else ""
    if isinstance(cause, OSError) and cause.strerror:
        return make_visible(cause.strerror)
    return text if " " in text else f"{type(cause).__name__} {text}".strip()
