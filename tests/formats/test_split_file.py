from __future__ import annotations

import hashlib
import json
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoice_bench.errors import SplitError
from autoice_bench.formats.split_file import (
    Split,
    find_split,
    read_split,
    read_splits,
    split_names,
    split_path,
    write_split,
)
from autoice_bench.text.splits import format_splits

A, B, C, D = (f"2030010{day}T000000_cis" for day in (1, 2, 3, 4))
SPLIT = Split("mine", "by hand", 3, (A, B), (C,), (D,))
IDS = st.lists(
    st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)).map("{:%Y%m%dT%H%M%S}_cis".format),
    unique=True,
).map(sorted)


def test_hash_is_that_of_the_documented_text() -> None:
    # Written out by hand from the format's definition: compact JSON, keys sorted.
    text = f'{{"test":["{D}"],"train":["{A}","{B}"],"val":["{C}"]}}'
    assert SPLIT.hash == hashlib.sha256(text.encode()).hexdigest()


def test_hash_depends_on_the_scenes_only() -> None:
    other = Split("other", "another rule", None, SPLIT.train, SPLIT.val, SPLIT.test)
    assert other.hash == SPLIT.hash
    moved = Split("mine", "by hand", 3, (A,), (B, C), (D,))
    assert moved.hash != SPLIT.hash


@given(IDS, st.integers(0, 20), st.integers(0, 20), st.none() | st.integers())
def test_files_round_trip(
    tmp_path_factory: pytest.TempPathFactory, ids: list[str], i: int, j: int, seed: int | None
) -> None:
    low, high = sorted((i, j))
    split = Split("any", "rule", seed, tuple(ids[:low]), tuple(ids[low:high]), tuple(ids[high:]))
    store = tmp_path_factory.mktemp("store")
    path = write_split(store, split)
    assert read_split(store, "any") == split
    assert read_split(store / "elsewhere", str(path)) == split
    assert read_split(store / "elsewhere", path) == split


def test_file_holds_the_documented_fields(tmp_path: Path) -> None:
    path = write_split(tmp_path, SPLIT)
    assert path == tmp_path / "splits" / "mine.json"
    fields = json.loads(path.read_text())
    checksum = fields.pop("checksum")
    assert fields == {
        "format": 1,
        "name": "mine",
        "rule": "by hand",
        "seed": 3,
        "train": [A, B],
        "val": [C],
        "test": [D],
        "hash": SPLIT.hash,
    }
    text = json.dumps(fields, separators=(",", ":"), sort_keys=True)
    assert checksum == hashlib.sha256(text.encode()).hexdigest()


def test_checksum_covers_the_rule_and_may_be_left_out(tmp_path: Path) -> None:
    path = write_split(tmp_path, SPLIT)
    fields = {**SPLIT.to_dict(), "rule": "by foot"}
    path.write_text(json.dumps(fields))
    with pytest.raises(SplitError, match="damaged or edited"):
        read_split(tmp_path, "mine")
    del fields["checksum"]
    path.write_text(json.dumps(fields))
    assert read_split(tmp_path, "mine").rule == "by foot"


def test_writing_again_gives_the_same_bytes_and_leaves_nothing(tmp_path: Path) -> None:
    first = write_split(tmp_path, SPLIT).read_bytes()
    assert write_split(tmp_path, SPLIT).read_bytes() == first
    assert [path.name for path in (tmp_path / "splits").iterdir()] == ["mine.json"]


def test_another_split_of_that_name_is_not_replaced(tmp_path: Path) -> None:
    write_split(tmp_path, SPLIT)
    other = Split("mine", "by hand", 3, (A,), (C,), (D,))
    with pytest.raises(SplitError, match=r"split mine exists in .* and differs; .*--overwrite"):
        write_split(tmp_path, other)
    assert read_split(tmp_path, "mine") == SPLIT
    write_split(tmp_path, other, overwrite=True)
    assert read_split(tmp_path, "mine") == other


@pytest.mark.parametrize(
    "name", ["", ".x", "a/b", "../a", "a b", "mine.json", "-x", "é", "a" * 101]
)
def test_names_that_are_no_file_names_are_refused(name: str) -> None:
    with pytest.raises(SplitError, match="split name"):
        Split(name, "", None, (), (), ())


def test_unsorted_and_repeated_lists_are_refused() -> None:
    with pytest.raises(
        SplitError, match=f"split x: train is not sorted: scene {A} comes after {B}"
    ):
        Split("x", "", None, (B, A), (), ())
    with pytest.raises(SplitError, match=f"split x: val lists scene {A} twice"):
        Split("x", "", None, (), (A, A), ())


def test_a_scene_on_two_sides_is_refused() -> None:
    with pytest.raises(SplitError, match=f"scene {A} is in both train and test"):
        Split("x", "", None, (A, B), (C,), (A,))


def test_missing_split_lists_those_there_are(tmp_path: Path) -> None:
    write_split(tmp_path, SPLIT)
    with pytest.raises(SplitError, match=r"split nope: no file .*nope\.json; .* has mine"):
        read_split(tmp_path, "nope")
    with pytest.raises(SplitError, match=r"no file nope\.json$"):
        read_split(tmp_path, "nope.json")
    with pytest.raises(SplitError, match="has none"):
        read_split(tmp_path / "empty", "nope")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train": [A]}, "its lists were edited"),
        ({"format": 2}, "format 2; this version reads 1"),
        ({"val": C}, "val is not a list of scene ids"),
        ({"test": [1]}, "test is not a list of scene ids"),
        ({"test": ["../scenes/x"]}, "test holds '../scenes/x'; expected scene ids such as"),
        ({"test": [f"{D}_prep.nc"]}, "expected scene ids such as"),
        ({"test": [f"{D}\n"]}, "expected scene ids such as"),
        ({"seed": "three"}, "seed is 'three'; expected a whole number or null"),
        ({"seed": True}, "seed is true; expected a whole number or null"),
        ({"rule": None}, "rule is null; expected a text"),
        ({"rule": "\ud800"}, "rule is '.ud800'; expected a text"),
        (
            {"name": "other", "test": [D, D]},
            rf"mine\.json: split other: test lists scene {D} twice",
        ),
        ({"train": [B, A]}, r"mine\.json: split mine: train is not sorted: scene .* comes after"),
    ],
)
def test_edited_files_are_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    path = write_split(tmp_path, SPLIT)
    path.write_text(json.dumps({**SPLIT.to_dict(), **change}))
    with pytest.raises(SplitError, match=message):
        read_split(tmp_path, "mine")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[]", "field format, hash, name, rule, seed, test, train, val missing"),
        ('{"format": 1, "name": "mine", "train": [], "val": []}', "field hash, rule, seed, test"),
    ],
)
def test_files_that_are_no_splits_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = split_path(tmp_path, "mine")
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(SplitError, match=message):
        read_split(tmp_path, "mine")


def test_file_that_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_split(tmp_path, SPLIT)

    def refuse(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(SplitError, match=r"mine\.json: cannot be read: Permission denied"):
        read_split(tmp_path, "mine")


def test_required_scenes_are_there(tmp_path: Path) -> None:
    assert SPLIT.require_scenes("train") == (A, B)
    with pytest.raises(SplitError, match="split empty: subset val holds no scenes"):
        Split("empty", "", None, (A,), (), (B,)).require_scenes("val")
    with pytest.raises(SplitError, match="subset 'dev'; expected one of train, val, test"):
        SPLIT.require_scenes("dev")


@pytest.mark.parametrize("name", ["../mine", "/etc/x", "splits/mine"])
def test_a_name_does_not_lead_out_of_the_store(tmp_path: Path, name: str) -> None:
    with pytest.raises(SplitError, match=r"split '.*'; expected 1-100 letters.*ends in \.json"):
        find_split(tmp_path, name)


def test_split_is_found_by_name_or_path(tmp_path: Path) -> None:
    path = write_split(tmp_path, SPLIT)
    assert find_split(tmp_path, "mine") == path
    assert find_split(tmp_path / "elsewhere", str(path)) == path
    assert find_split(tmp_path / "elsewhere", path) == path


def test_listing_is_by_name_and_skips_partial_files(tmp_path: Path) -> None:
    assert split_names(tmp_path) == []
    write_split(tmp_path, Split("z", "", None, (), (), ()))
    write_split(tmp_path, SPLIT)
    (tmp_path / "splits" / ".mine.json.123").write_text("{")
    assert [split.name for split in read_splits(tmp_path)] == ["mine", "z"]


def test_table_for_people_counts_every_side() -> None:
    header, row = format_splits([SPLIT]).splitlines()
    assert header.split() == ["name", "train", "val", "test", "hash", "rule"]
    assert row.split() == ["mine", "2", "1", "1", SPLIT.hash[:8], "by", "hand"]
    assert format_splits([]).splitlines() == [header]
