"""Texts of others never steer a terminal."""

from __future__ import annotations

import json

import pytest

from autoice_bench.wording import (
    escape_json,
    first_line,
    is_printable,
    make_lines_visible,
    make_visible,
)


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


def test_lines_keep_their_ends_and_nothing_else() -> None:
    assert make_lines_visible("a\nb\x1b[2J\r\n\ud800") == "a\nb\\x1b[2J\\r\n\\ud800"


def test_escaped_json_says_the_same() -> None:
    content = {"a": "\x9b2J\u2028\u202e\ud800é", "b": ["\x7f"]}
    document = json.dumps(content, indent=1, ensure_ascii=False)
    escaped = escape_json(document)
    assert all(map(is_printable, escaped.split("\n")))
    assert "é" in escaped
    assert json.loads(escaped) == content


@pytest.mark.parametrize(
    ("error", "line"),
    [(ValueError("one\ntwo"), "one"), (ValueError(), "ValueError"), (OSError("  "), "OSError")],
)
def test_first_line_of_an_error(error: Exception, line: str) -> None:
    assert first_line(error) == line
