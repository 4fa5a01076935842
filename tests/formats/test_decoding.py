"""One error for whatever a decoder raises."""

from __future__ import annotations

import pytest

from autoice_bench.errors import SplitError, StoreError
from autoice_bench.formats.decoding import decoding


@pytest.mark.parametrize(
    ("cause", "reason"),
    [
        (OSError("no magic bytes"), "no magic bytes"),
        (OSError(5, "Input/output error"), "Input/output error"),
        (KeyError("shape"), "KeyError 'shape'"),
        (RuntimeError("first line\nsecond \x1b[31mline"), "first line"),
        (ValueError("red \x1b[31m"), "red \\x1b[31m"),
        (NotImplementedError(), "NotImplementedError"),
    ],
)
def test_what_a_decoder_raises_becomes_one_line(cause: Exception, reason: str) -> None:
    with pytest.raises(StoreError) as caught, decoding(StoreError, "a.zarr/x", "run it again"):
        raise cause
    assert str(caught.value) == f"a.zarr/x cannot be read: {reason}; run it again"
    assert caught.value.__cause__ is cause


def test_memory_has_words_of_its_own() -> None:
    with pytest.raises(StoreError, match=r"^x asks for more memory than there is$"):
        decoding(StoreError, "x")(bytearray)(2**62)


@pytest.mark.parametrize("own", [SplitError("said already"), FileNotFoundError("x")])
def test_errors_that_say_enough_pass(own: Exception) -> None:
    with pytest.raises(type(own)) as caught, decoding(StoreError, "x"):
        raise own
    assert caught.value is own


def test_an_interrupt_passes() -> None:
    with pytest.raises(KeyboardInterrupt), decoding(StoreError, "x"):
        raise KeyboardInterrupt
