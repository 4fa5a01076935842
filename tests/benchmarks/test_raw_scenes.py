from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from autoice_bench.datasets.sources.raw_conversion import convert_raw_scene
from benchmarks import measure, raw_scenes


def test_plain_script_gives_the_same_scene(tmp_path: Path) -> None:
    path = tmp_path / raw_scenes.NAME
    raw_scenes.write_raw_scene(path, 701, 650)

    sar, charts = raw_scenes.plain_script(path)

    scene = convert_raw_scene(path)
    np.testing.assert_array_equal(scene.charts, charts)
    # Means in another order of additions, angles in another precision: float32 rounding.
    np.testing.assert_allclose(scene.sar, np.stack(sar), rtol=1e-5, atol=1e-5)
    assert len(np.unique(charts)) > 2


def test_table_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "RESULTS", tmp_path)
    monkeypatch.setattr(raw_scenes, "STEPS", raw_scenes.STEPS[:2])

    text = raw_scenes.run(400, 300, repeats=1, name="small").read_text()

    assert (tmp_path / "small.md").is_file()
    assert "| charts from polygons, per chart, one look-up |" in text
    assert "400x300 pixels at 40 m" in text
