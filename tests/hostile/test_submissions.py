"""Submissions with bytes changed at random: named in a line, never a traceback."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from autoice_bench.formats.whole_files import write_whole
from autoice_bench.scoring.evaluate import evaluate
from autoice_bench.scoring.leaderboard.boards import build_boards, read_leaderboard
from autoice_bench.scoring.leaderboard.check import check_leaderboard
from autoice_bench.scoring.leaderboard.submission import SUBMISSION_FILE
from autoice_bench.scoring.truth.store_truth import StoreTruth
from autoice_bench.text.leaderboard import format_board, format_invalid
from autoice_bench.wording import is_printable
from tests.scoring.leaderboard.tools import renew_digests, submit
from tests.scoring.make import write_predictions, write_store

INPUTS = 100


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The three files of a good submission."""
    path = tmp_path_factory.mktemp("submission")
    store = write_store(path / "autoice.zarr")
    folder = submit(evaluate(write_predictions(path / "p"), StoreTruth(store)), path / "b", "x")
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def spoil(content: bytes, rng: random.Random) -> bytes:
    """Flip bits, cut off the end, overwrite some bytes, or change the end (a Parquet's schema)."""
    changed = bytearray(content)
    place = rng.randrange(len(changed))
    match rng.randrange(4):
        case 0:
            changed[place] ^= 1 << rng.randrange(8)
        case 1:
            del changed[place:]
        case 2:
            changed[place : place + 8] = rng.randbytes(rng.randrange(16))
        case _:
            changed[-rng.randrange(1, min(len(changed), 2000))] = rng.randrange(256)
    return bytes(changed)


@pytest.mark.parametrize("forged", [False, True], ids=["damaged", "forged"])
def test_damaged_submissions_are_named(
    tmp_path: Path, content: dict[str, bytes], forged: bool
) -> None:
    """``forged``: the digests are those of the damaged tables, so that they are decoded."""
    folder = tmp_path / "official/x"
    folder.mkdir(parents=True)
    rng = random.Random(int(forged))
    names = sorted(set(content) - {SUBMISSION_FILE} if forged else content)
    for _ in range(INPUTS):
        name = rng.choice(names)
        changed = spoil(content[name], rng)
        for each, good in content.items():
            write_whole(folder / each, changed if each == name else good)
        if forged:
            renew_digests(folder)
        found = read_leaderboard(tmp_path)
        text = [format_invalid(found.invalid), *map(format_board, build_boards(found.submissions))]
        problems = check_leaderboard(tmp_path)
        assert all(map(is_printable, [*"\n".join(text).split("\n"), *problems]))
        if changed != content[name] and not forged:
            assert found.invalid or _says_the_same(name, changed, content[name])
        assert not found.invalid or problems


def _says_the_same(name: str, changed: bytes, good: bytes) -> bool:
    """Whether the JSON differs in its spaces only: there is nothing that a digest could find."""
    return name == SUBMISSION_FILE and json.loads(changed) == json.loads(good)
