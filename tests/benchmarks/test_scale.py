from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("psutil")

from autoice_bench.scoring.leaderboard.boards import read_leaderboard
from autoice_bench.scoring.leaderboard.check import check_leaderboard
from benchmarks import measure
from benchmarks.scale.__main__ import main
from benchmarks.scale.leaderboard import make_board
from benchmarks.scale.results import write_section


def test_made_boards_are_sound(tmp_path: Path) -> None:
    make_board(tmp_path, 2, 4)
    make_board(tmp_path, 3, 4)  # goes on
    assert len(read_leaderboard(tmp_path).submissions) == 3
    assert check_leaderboard(tmp_path) == []


def test_a_section_is_replaced_and_the_others_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure, "RESULTS", tmp_path)
    monkeypatch.setattr(measure, "describe_machine", lambda: "a machine; a date")
    write_section("store", "old")
    write_section("leaderboard", "board")
    path = write_section("store", "new")
    assert path.read_text() == (
        "# What large things cost\n\n"
        "## leaderboard\n\na machine; a date\n\nboard\n\n"
        "## store\n\na machine; a date\n\nnew\n"
    )


@pytest.mark.slow
def test_benchmark_writes_its_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "RESULTS", tmp_path / "results")
    work = ["--work", str(tmp_path), "--repeats", "1"]
    main(["leaderboard", "--submissions", "3", "--scenes", "4", *work])
    text = (tmp_path / "results/scale.md").read_text()
    assert "3 submissions of 4 scenes each" in text
    assert "| leaderboard check | " in text
