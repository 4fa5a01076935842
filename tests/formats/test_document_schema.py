from __future__ import annotations

from typing import Any

import pytest

from autoice_bench.errors import StoreError
from autoice_bench.formats.document_schema import (
    COUNT,
    SHA256,
    Anything,
    Entries,
    Fields,
    Flag,
    Items,
    Kind,
    Line,
    Name,
    Nullable,
    Number,
    OneOf,
    SceneId,
    Seed,
    Text,
    Time,
    Whole,
    digest_json,
    find_fault,
    require_document,
    take_checksum,
)


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (Whole(), [0, -1, 2**63 - 1], [True, 1.0, 1e300, "1", None, [], {}, 2**63]),
        (Whole(1, 3), [1, 3], [0, 4]),
        (Seed(), [0, -1, 2**64], [True, 1.0, None, "1"]),
        (COUNT, [0, 7], [-1]),
        (Number(), [0, 1.5, -1e300], [True, float("nan"), float("inf"), 10**400, "1", None]),
        (Flag(), [True, False], [0, 1, "true", None]),
        (Text(), ["", "a\nb"], [1, None, [], "\ud800"]),
        (Text("[a-c]+", "letters"), ["abc"], ["", "d", "abc\n"]),
        (Number(0, 1), [0, 0.5, 1], [-0.1, 2, float("nan")]),
        (Line(3), ["", "abc"], ["abcd", "a\nb", "\x1b[2", "\ud800", 1]),
        (Line(breaks=True), ["a\nb\tc"], ["\x1b[2J"]),
        (Name(), ["a", "unet-2"], ["../evil", "", "a/b", 5]),
        (Anything(), [{"a": {"b": ["c\n", 1, None]}}], [{"a": ["\ud800"]}, {"\x1b": 1}]),
        (SHA256, ["0" * 64], ["0" * 63, "G" * 64]),
        (SceneId(), ["20180607T184326_dmi"], ["../scenes/x", 3]),
        (Time(), ["2018-06-07T18:43:26Z"], ["yesterday", 3, ""]),
        (OneOf(("a", 1)), ["a", 1], ["b", True, 1.0, []]),
        (Nullable(COUNT), [None, 3], [-3, "x"]),
        (Items(COUNT), [[], [1, 2]], [None, {}, [1, "x"], "ab"]),
        (Items(COUNT, length=2), [[1, 2]], [[1]]),
        (Items(COUNT, fewest=1, most=2), [[1], [1, 2]], [[], [1, 2, 3]]),
        (Fields({}, {"a": COUNT}, others=None), [{}, {"a": 1}], [{"b": 1}]),
        (Fields({}, others=Entries(Flag())), [{}, {"a": True}], [{"a": 1}]),
        (Entries(COUNT), [{}, {"a": 1}], [[], {"a": None}]),
        (
            Fields({"a": COUNT}, {"b": Flag()}),
            [{"a": 1}, {"a": 1, "c": {}}],
            [{}, {"a": 1, "b": 1}],
        ),
    ],
)
def test_kinds(kind: Kind, good: list[Any], bad: list[Any]) -> None:
    assert [value for value in good if find_fault(value, kind) is not None] == []
    assert [value for value in bad if find_fault(value, kind) is None] == []


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"scenes": [{"n": 1}, {"n": "x\x1b[2J"}]}, "scenes[1].n is 'x\\x1b[2J'; expected a whole"),
        ({"scenes": [{}]}, "scenes[0].n is missing"),
        ({"scenes": None}, "scenes is null; expected a list"),
        ([1, 2], "is a list of 2; expected an object"),
        (
            {"scenes": [{"n": "x" * 1000}]},
            f"scenes[0].n is '{'x' * 39}...; expected a whole number",
        ),
    ],
)
def test_a_fault_names_its_place(document: object, message: str) -> None:
    schema = Fields({"scenes": Items(Fields({"n": Whole()}))})
    found = find_fault(document, schema)
    assert found is not None
    assert message in found
    with pytest.raises(StoreError, match="the file is damaged: ") as caught:
        require_document(document, schema, StoreError, "the file")
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)


def test_keys_of_an_object() -> None:
    schema = Entries(Flag(), keys=Text("[0-9]+", "digits"))
    assert find_fault({"10": True}, schema) is None
    assert find_fault({"x": True}, schema) == "has the key 'x'; expected digits"


def test_a_checksum_is_taken_out_and_compared() -> None:
    content: dict[str, Any] = {"b": [1, None], "a": "é"}
    # sha256 of {"a":"é","b":[1,null]} in UTF-8.
    digest = digest_json(content)
    assert digest == "3d92f6368f93f3cb36a4e7a721098054dfbfd705e31fa50409f2d99e0727a08c"
    document = {**content, "checksum": digest}
    assert take_checksum(document)
    assert document == content
    assert take_checksum(content)  # older files have none
    assert not take_checksum({**content, "a": "e", "checksum": digest})
    assert take_checksum([1])
