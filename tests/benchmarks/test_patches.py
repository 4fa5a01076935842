from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest

pytest.importorskip("psutil")
pytest.importorskip("xbatcher")

from benchmarks import delivery, measure
from benchmarks import patches as benchmark


def test_windows_lie_inside_and_reach_the_far_edge() -> None:
    scenes = benchmark.Scenes((), Path(), Path(), ("a", "b"), (64 + 2 * 61 + 60, 64 + 61))
    windows = set(islice(benchmark.draw_windows(scenes, 64, seed=0), 500))
    assert windows == {
        (scene, line, sample) for scene in (0, 1) for line in (0, 61, 122) for sample in (0, 61)
    }


@pytest.mark.slow
def test_benchmark_compares_the_readers_and_writes_its_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure, "RESULTS", tmp_path / "results")
    settings = ["--scenes", "2", "--size", "300,327", "--patches", "64,128"]
    benchmark.main(
        [*settings, "--seconds", "0.01", "--rounds", "1", "--work", str(tmp_path / "work")]
    )
    text = (tmp_path / "results/patches.md").read_text()
    assert "2 simulated scenes of 300x327 pixels" in text
    for name in benchmark.READERS:
        assert sum(line.startswith(f"| {name} |") for line in text.splitlines()) == 2
    assert "| times starter kit at 128 | 90 |" in text
    for name in delivery.LOADERS:
        assert sum(line.startswith(f"| {name} |") for line in text.splitlines()) == 2
    assert "| times `DataLoader`, 2 workers at 128 | 2 |" in text
