from __future__ import annotations

from typing import Any

import pytest

from autoice_bench.formats.json_schema import (
    Check,
    Optional,
    anything,
    flag,
    number,
    record,
    sequence,
    show,
    text,
    whole,
)

POINT = record({"x": whole(0, 9), "note": Optional(text(5))})


@pytest.mark.parametrize(
    ("check", "value"),
    [
        (text(3), "abc"),
        (text(3, breaks=True), "a\nb"),
        (text(9, pattern="[0-9]+", words="digits"), "12"),
        (whole(0, 9), 9),
        (number(0, 1), 1),
        (number(0, 1), 0.5),
        (flag, True),
        (sequence(whole(0, 9), 0, 2), [1, 2]),
        (POINT, {"x": 1}),
        (POINT, {"x": 1, "note": None}),
        (record({}, others=anything), {"a": {"b": ["c\n", 1, None]}}),
    ],
)
def test_what_fits_passes(check: Check, value: Any) -> None:
    check(value, "it")


@pytest.mark.parametrize(
    ("check", "value", "message"),
    [
        (text(3), 1, "it is 1; expected a string"),
        (text(3), "abcd", "it has 4 characters; expected at most 3"),
        (text(9), "a\nb", r"it is 'a\nb'; expected text without control characters"),
        (text(9, breaks=True), "\x1b[2J", r"it is '\x1b[2J'; expected text without control"),
        (text(9), "\ud800", "expected text without control characters or surrogates"),
        (text(9, pattern="[0-9]+", words="digits"), "12x", "it is '12x'; expected digits"),
        (whole(0, 9), True, "it is True; expected a whole number"),
        (whole(0, 9), 1.0, "it is 1.0; expected a whole number"),
        (whole(0, 9), 10, "it is 10; expected 0 to 9"),
        (whole(1, 1), 2, "it is 2; expected 1"),
        (number(0, 1), float("nan"), "it is nan; expected a finite number"),
        (number(0, 1), float("inf"), "it is inf; expected a finite number"),
        (number(0, 1), -0.5, "it is -0.5; expected 0 to 1"),
        (number(0, 1), "1", "it is '1'; expected a number"),
        (flag, 1, "it is 1; expected true or false"),
        (sequence(flag, 1, 2), [], "it has 0 entries; expected 1 to 2"),
        (sequence(flag, 2, 2), [True], "it has 1 entries; expected 2"),
        (sequence(flag, 1, 2), [True, 0], "it[1] is 0; expected true or false"),
        (sequence(flag, 1, 2), {}, "it is {}; expected a list"),
        (POINT, [], "it is []; expected an object"),
        (POINT, {}, "it.x is missing"),
        (POINT, {"x": 1, "note": "abcdef"}, "it.note has 6 characters; expected at most 5"),
        (POINT, {"x": 1, "y": 2}, "it: unknown field 'y'; expected note, x"),
        (record({}, others=anything), {"a": ["\ud800"]}, "it.a is '\\ud800'; expected text"),
        (record({}, others=anything), {"\x1b": 1}, "a field of it is '\\x1b'; expected text"),
    ],
)
def test_what_does_not_fit_is_told_where(check: Check, value: Any, message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011  the message is looked at below
        check(value, "it")
    assert message in str(caught.value)


def test_names_of_the_document_itself_have_no_prefix() -> None:
    with pytest.raises(ValueError, match=r"^x is missing$"):
        POINT({}, "")
    with pytest.raises(ValueError, match=r"^unknown field 'y'"):
        POINT({"x": 1, "y": 1}, "")


def test_long_values_are_cut() -> None:
    assert len(show("x" * 10_000)) < 200
    assert show("x") == "'x'"
