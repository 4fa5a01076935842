from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("sklearn")
pytest.importorskip("psutil")

from benchmarks import measure
from benchmarks import score as benchmark
from tests.scoring.make import SCENES, predictions_of, truth_of


def test_both_ways_of_scoring_agree() -> None:
    truth, predicted = truth_of(SCENES[0]), predictions_of(SCENES[0])
    ours = benchmark.score_ours(truth, predicted)
    assert ours == pytest.approx(benchmark.score_sklearn([(truth, predicted)]), abs=1e-12)


@pytest.mark.slow
def test_benchmark_writes_its_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "RESULTS", tmp_path / "results")
    benchmark.main(
        ["--scenes", "3", "--size", "200,225", "--repeats", "1", "--work", str(tmp_path / "work")]
    )
    text = (tmp_path / "results/score.md").read_text()
    assert "3 simulated scenes of 200x225 pixels" in text
    rows = [line for line in text.splitlines() if line.startswith("| ours")]
    assert [row.split(" |")[0] for row in rows] == [
        "| ours",
        "| ours, one process",
        "| ours, two processes",
    ]
    # The last column of the first is the difference from scikit-learn's combined score.
    assert float(rows[0].split("|")[-2]) < 1e-9
