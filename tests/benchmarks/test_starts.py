from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks import measure, starts


@pytest.mark.slow
def test_table_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "RESULTS", tmp_path)
    options = {"scenes": 2, "size": "300,327", "patch-size": 64, "repeats": 1, "name": "small"}
    arguments = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    monkeypatch.setattr(sys, "argv", ["starts", *arguments])

    starts.main()

    text = (tmp_path / "small.md").read_text()
    assert "2 simulated scenes, patches of 64 x 64 pixels" in text
    assert text.count("\n| looked for") == 2
