"""The last net: what the system refused and nobody explained better, as one line with its path.

A command's own errors (``AutoIceError``) say more and come first. Anything else is a mistake of
ours and keeps its traceback.
"""

from __future__ import annotations

import errno
import os
from typing import Final

from autoice_bench.errors import AutoIceError
from autoice_bench.wording import make_visible

_ADVICE: Final = {
    errno.ENOSPC: "free some space and run the same command again",
    errno.EDQUOT: "free some space and run the same command again",
    errno.EFBIG: "a limit on the size of files (ulimit -f) is in the way",
    errno.EMFILE: "a limit on open files (ulimit -n) is in the way",
    errno.ENFILE: "the system has too many files open",
    errno.EAGAIN: "a limit on processes (ulimit -u) may be in the way",
    errno.ENOMEM: "try --workers 1 where the command has it, or smaller batches",
}
_NO_ROOM: Final = "failed to map segment from shared object"
_NETCDF: Final = "NetCDF: "  # its library reports a full disk so
_NO_THREAD: Final = "can't start new thread"


def explain_failure(error: BaseException) -> str | None:
    """One line for what the system refused; None for what may be a mistake of ours.

    Args:
        error: what ended a command.
    """
    if isinstance(error, AutoIceError):
        return str(error)
    if isinstance(error, OSError):
        return _explain_os_error(error)
    if isinstance(error, UnicodeError):
        return _explain_unicode_error(error)
    if isinstance(error, MemoryError):
        found = f" ({make_visible(str(error))})" if str(error) else ""
        return f"memory ran out{found}; {_ADVICE[errno.ENOMEM]}"
    return _explain_limit(error)


def _explain_limit(error: BaseException) -> str | None:
    """What the system refuses, worded as an error of another kind."""
    if isinstance(error, ImportError) and _NO_ROOM in str(error):
        return f"memory ran out: {make_visible(str(error))}; a limit (ulimit -v) is in the way"
    if isinstance(error, RuntimeError) and _NO_THREAD in str(error):
        return (
            "no thread can be started: a limit on processes (ulimit -u) or memory (ulimit -v) is "
            "in the way; try --workers 1 where the command has it"
        )
    if isinstance(error, RuntimeError) and str(error).startswith(_NETCDF):
        reason = make_visible(str(error))
        return f"a NetCDF file cannot be read or written ({reason}); is there space left?"
    return None


def _explain_os_error(error: OSError) -> str:
    if error.errno is None:
        return make_visible(str(error) or type(error).__name__)
    names = [make_visible(os.fsdecode(name)) for name in _names(error)]
    reason = make_visible(error.strerror or os.strerror(error.errno))
    advice = _ADVICE.get(error.errno)
    where = f"{' -> '.join(names)}: " if names else ""
    return f"{where}{reason}" + (f"; {advice}" if advice else "")


def _names(error: OSError) -> list[str | bytes]:
    return [name for name in (error.filename, error.filename2) if isinstance(name, str | bytes)]


def _explain_unicode_error(error: UnicodeError) -> str:
    if isinstance(error, UnicodeEncodeError):
        return f"{make_visible(error.object)}: a name or text that is not UTF-8; rename it"
    if isinstance(error, UnicodeDecodeError):
        found = make_visible(
            error.object[max(0, error.start - 20) : error.end + 20].decode("latin-1")
        )
        return f"a text that is not UTF-8 (near {found!r})"
    return make_visible(str(error))
