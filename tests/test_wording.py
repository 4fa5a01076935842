"""Texts of others never steer a terminal."""

from __future__ import annotations

import pytest

from autoice_bench.wording import is_printable, make_visible


@pytest.mark.parametrize("text", ["", "plain", "Čáp, 雪 and 🧊", "5 % – ok", "no\u00a0break"])
def test_what_may_be_printed_stays(text: str) -> None:
    assert is_printable(text)
    assert make_visible(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2Jx", r"\x1b[2Jx"),
        ("a\nb\r", r"a\nb\r"),
        ("\x9b1m\x7f", r"\x9b1m\x7f"),
        ("\ud800x", r"\ud800x"),
        ("\u202eabc\u2028", r"\u202eabc\u2028"),
    ],
)
def test_what_hides_is_made_visible(text: str, shown: str) -> None:
    assert not is_printable(text)
    assert make_visible(text) == shown
