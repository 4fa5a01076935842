"""The last net: one line for what the system refused, nothing for what may be a mistake of ours."""

from __future__ import annotations

import errno
import os

import pytest

from autoice_bench.commands.failures import explain_failure
from autoice_bench.errors import StoreError


def os_error(number: int, *names: str) -> OSError:
    return OSError(number, os.strerror(number), *names)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (StoreError("store x: busy"), "store x: busy"),
        (os_error(errno.EACCES, "a/b.json"), "a/b.json: Permission denied"),
        (
            os_error(errno.EROFS, "a\nb"),  # a name is shown, not printed
            "a\\nb: Read-only file system",
        ),
        (
            OSError(errno.EXDEV, "Invalid cross-device link", "a", None, "b"),
            "a -> b: Invalid cross-device link",
        ),
        (
            os_error(errno.ENOSPC, "a"),
            "a: No space left on device; free some space and run the same command again",
        ),
        (
            os_error(errno.EMFILE),
            "Too many open files; a limit on open files (ulimit -n) is in the way",
        ),
        (OSError("of a library"), "of a library"),
        (
            MemoryError("Unable to allocate 28.0 GiB"),
            "memory ran out (Unable to allocate 28.0 GiB); try --workers 1 where the command has "
            "it, or smaller batches",
        ),
    ],
)
def test_one_line(error: Exception, line: str) -> None:
    assert explain_failure(error) == line


def test_library_that_finds_no_room() -> None:
    line = explain_failure(ImportError("libx.so: failed to map segment from shared object"))
    assert line is not None
    assert "ulimit -v" in line
    assert explain_failure(ImportError("No module named 'x'")) is None


def test_netcdf_library_on_a_full_disk() -> None:
    assert explain_failure(RuntimeError("NetCDF: HDF error")) == (
        "a NetCDF file cannot be read or written (NetCDF: HDF error); is there space left?"
    )


def test_text_that_is_not_utf8() -> None:
    with pytest.raises(UnicodeEncodeError) as encoding:
        os.fsdecode(b"donn\xe9es").encode()
    assert explain_failure(encoding.value) == (
        "donn\\udce9es: a name or text that is not UTF-8; rename it"
    )
    with pytest.raises(UnicodeDecodeError) as decoding:
        b"donn\xe9es".decode()
    assert explain_failure(decoding.value) == "a text that is not UTF-8 (near 'données')"


def test_threads_that_cannot_be_started() -> None:
    line = explain_failure(RuntimeError("can't start new thread"))
    assert line is not None
    assert "--workers 1" in line


@pytest.mark.parametrize("error", [ValueError("a"), KeyError("a"), RuntimeError("a"), TypeError()])
def test_what_may_be_a_mistake_is_not_explained(error: Exception) -> None:
    assert explain_failure(error) is None
