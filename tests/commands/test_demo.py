"""``demo``: the whole workflow in a fresh folder, or one clear line."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from autoice_bench.cli import main


def test_a_file_is_no_place_for_the_demo(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("mine")
    result = CliRunner().invoke(main, ["demo", str(tmp_path / "notes")])
    assert result.exit_code == 1
    assert result.output.startswith(f"error: folder {tmp_path / 'notes'} cannot be made")
    assert (tmp_path / "notes").read_text() == "mine"


@pytest.mark.slow
def test_every_step_runs_and_a_second_demo_goes_on(tmp_path: Path) -> None:
    for _ in range(2):
        result = CliRunner().invoke(main, ["demo", str(tmp_path / "demo")])
        assert result.exit_code == 0, result.output
        assert "30 compared with rtt: no problem" in result.output
        assert "splits check official" in result.output
