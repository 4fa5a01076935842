from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

from benchmarks.splits import compute_total_variation
from tests.datasets.split_tables import daily_scenes, make_table
from tests.oracles import SCENES

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "benchmarks" / "splits.py"
MARKS = ("<!-- benchmarks/splits.py: begin -->", "<!-- benchmarks/splits.py: end -->")


def run_script(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *args], capture_output=True, text=True, check=False
    )


def test_table_goes_between_the_marks(tmp_path: Path) -> None:
    table = make_table(daily_scenes(30)).rename(columns={"subset": "split"})
    table.drop(columns=["acquisition_time", "has_charts"]).to_csv(tmp_path / "s.csv", index=False)
    page = tmp_path / "page.md"
    page.write_text(f"before\n{MARKS[0]}\nold\n{MARKS[1]}\nafter\n")
    arguments = ("--val", "4", "--draws", "20", "--out", str(page))
    done = run_script(str(tmp_path / "s.csv"), *arguments)
    assert done.returncode == 0, done.stderr
    text = page.read_text()
    assert text.startswith(f"before\n{MARKS[0]}\n| | chosen |")
    assert text.endswith(f"\n{MARKS[1]}\nafter\n")
    assert "old" not in text
    row = next(line for line in text.splitlines() if line.startswith("| J × 1000"))
    chosen, study, best = (row.split("|")[k].strip() for k in (2, 3, 5))
    assert study == "–"  # the study's scenes are not in this table
    assert float(chosen) <= float(best)
    assert "4 of 30 scenes, seed 0" in text


def test_total_variation_by_hand() -> None:
    # |1/4 - 1| + |3/4 - 0| = 3/2, halved; months 1 and 2 are disjoint.
    a, b = np.zeros((2, 11 + 6 + 7 + 12), np.int64)
    a[[0, 10, 11, 17, 24]] = 1, 3, 1, 1, 1
    b[[0, 11, 17, 25]] = 5, 1, 1, 1
    np.testing.assert_allclose(compute_total_variation(a, b), [0.75, 0, 0, 1])


def test_page_without_marks_is_left_alone(tmp_path: Path) -> None:
    table = make_table(daily_scenes(9)).rename(columns={"subset": "split"})
    table.drop(columns=["acquisition_time", "has_charts"]).to_csv(tmp_path / "s.csv", index=False)
    page = tmp_path / "page.md"
    page.write_text("nothing here\n")
    done = run_script(str(tmp_path / "s.csv"), "--val", "2", "--draws", "3", "--out", str(page))
    assert done.returncode != 0
    assert "no marks" in done.stderr
    assert page.read_text() == "nothing here\n"


def test_committed_table_is_what_the_released_scenes_give() -> None:
    done = run_script(str(SCENES))
    committed = (ROOT / "docs" / "splits.md").read_text().partition(MARKS[0])[2]
    # The last line holds versions and the date; the numbers must be these.
    for line in done.stdout.splitlines()[:9]:
        assert line in committed
