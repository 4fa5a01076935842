from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks import measure, overviews


@pytest.mark.slow
def test_table_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "RESULTS", tmp_path)
    arguments = ["--scenes", "1", "--size", "300,327", "--repeats", "1", "--name", "small"]
    monkeypatch.setattr(sys, "argv", ["overviews", *arguments])

    overviews.main()

    text = (tmp_path / "small.md").read_text()
    assert "1 simulated scenes of 300x327 pixels, downscaled by 10" in text
    assert text.count("| overviews, ") == text.count("| full resolution, ") == 6
