"""The benchmark script at small size: it must run, judge and write."""

from __future__ import annotations

from pathlib import Path

import pytest
from sklearn.linear_model import LinearRegression

from autoice_bench.datasets.simulate.scenario import plan_scenes
from autoice_bench.datasets.simulate.scene import simulate_scene
from benchmarks import simulation


def test_table_and_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The boosted model takes seconds; any regressor exercises the script.
    monkeypatch.setattr(simulation, "_make_model", LinearRegression)
    monkeypatch.setattr(simulation, "measure_full_size", lambda size: f"timed {size}")
    page = tmp_path / "page.md"
    begin, end = simulation.MARKERS
    page.write_text(f"before\n{begin}\noutdated\n{end}\nafter\n")
    out = tmp_path / "results" / "table.md"
    arguments = ["--scenes", "4", "--size", "210,227", "--out", str(out), "--page", str(page)]
    simulation.main(arguments)
    table = out.read_text()
    assert "4 scenes of 210 x 227" in table
    assert "| HH mean, dB (land included) | -14.51 | ± 1.5 |" in table
    assert "| SIC R² on held-out scenes |" in table
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "outdated" not in text
    assert "timed (5000, 5229)" in text


def test_verdicts() -> None:
    # 11.1 lies 1.1 from 10: outside 1, inside 2; no tolerance, no verdict.
    for tolerance, passed in ((1.0, False), (2.0, True), (None, True)):
        assert simulation._within("x", 10.0, tolerance, 11.1).passed is passed
    check = simulation._within("x", 10.0, 1.0, 11.1)
    assert simulation._verdict(check) == "**outside**"


def test_pictures_are_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from benchmarks import simulation_pictures as pictures

    scene = simulate_scene(plan_scenes(1, 0, (210, 227), 0, "none")[0])
    pictures.draw(scene, tmp_path / "scene.png")
    assert (tmp_path / "scene.png").read_bytes().startswith(b"\x89PNG")
