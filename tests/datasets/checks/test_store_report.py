"""What ``info`` tells, against counts made here."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from autoice_bench.charts import CHARTS
from autoice_bench.cli import main
from autoice_bench.datasets.checks.store_report import report_store
from autoice_bench.datasets.simulate.run import SimulatedSource
from autoice_bench.datasets.store.root import create_store, open_store
from autoice_bench.datasets.store.scene_dataset import open_scene
from autoice_bench.text.store import format_store_report
from autoice_bench.wording import is_printable


def test_counts(prepared_store: Path, simulated_source: SimulatedSource) -> None:
    store = open_store(prepared_store)
    report = report_store(store)
    specs = simulated_source.specs
    assert (report.n_scenes, report.n_without_charts) == (6, 0)
    assert report.by_subset == {"test": 2, "train": 4}
    assert report.by_service == dict(
        sorted(Counter(spec.scene_id.ice_service for spec in specs).items())
    )
    assert report.by_region == dict(sorted(Counter(spec.region.name for spec in specs).items()))
    assert report.by_year == dict(
        sorted(Counter(str(spec.scene_id.acquisition_time.year) for spec in specs).items())
    )
    assert report.simulated is True
    assert report.state == "complete"
    assert report.fingerprint == store.fingerprint
    assert report.label_rule == "autoice-2022, SOD 65 %, FLOE 65 %"


def test_sizes(prepared_store: Path, rtt_source: Path) -> None:
    report = report_store(open_store(prepared_store))
    files = [path for path in (prepared_store / "scenes").rglob("*") if path.is_file()]
    assert report.n_bytes == sum(path.stat().st_size for path in files)
    sources = rtt_source.rglob("*.nc")
    assert report.n_source_bytes == sum(path.stat().st_size for path in sources)


def test_class_shares(prepared_store: Path) -> None:
    store = open_store(prepared_store)
    report = report_store(store)
    scenes = [open_scene(store, scene_id) for scene_id in store.scene_ids()]
    for chart in CHARTS:
        values = np.concatenate([scene[chart.name].values.ravel() for scene in scenes])
        labelled = values[values != 255]
        shares = report.class_percent[chart.name]
        assert list(shares) == list(chart.class_names)
        for value, name in enumerate(chart.class_names):
            assert shares[name] == pytest.approx(100 * np.mean(labelled == value))
        assert sum(shares.values()) == pytest.approx(100)
        if chart.name == "SIC":
            assert report.valid_percent == pytest.approx(100 * len(labelled) / len(values))


def test_empty_store(tmp_path: Path, prepared_store: Path) -> None:
    store = create_store(tmp_path / "s.zarr", open_store(prepared_store).options)
    report = report_store(store)
    assert (report.n_scenes, report.n_bytes, report.n_source_bytes) == (0, 0, 0)
    assert report.valid_percent is None
    assert report.fingerprint is None
    text = format_store_report(report)
    assert "0 simulated scenes" in text
    assert "none until complete" in text


def test_text(prepared_store: Path) -> None:
    report = report_store(open_store(prepared_store))
    text = format_store_report(report)
    assert "6 simulated scenes" in text
    assert "subset       test 2, train 4" in text
    for chart in CHARTS:
        for name in chart.class_names:
            assert name in text
    assert max(map(len, text.splitlines())) <= 120
    percents = report.class_percent["SIC"]
    assert f"{percents['open water']:6.2f}" in text


def test_info_command(prepared_store: Path) -> None:
    plain = CliRunner().invoke(main, ["info", str(prepared_store)])
    assert plain.exit_code == 0
    assert "6 simulated scenes" in plain.output
    result = CliRunner().invoke(main, ["info", str(prepared_store), "--json"])
    assert result.exit_code == 0
    document = json.loads(result.output)
    assert document["n_scenes"] == 6
    assert document["by_subset"] == {"test": 2, "train": 4}
    assert document["class_percent"].keys() == {"SIC", "SOD", "FLOE"}


def test_info_of_a_damaged_scene_is_one_line(prepared_store: Path, tmp_path: Path) -> None:
    store = open_store(shutil.copytree(prepared_store, tmp_path / "s.zarr"))
    store.index_path.unlink()
    scene_id = store.scene_ids()[0]
    (store.scene_path(scene_id) / "zarr.json").write_text("{")
    result = CliRunner().invoke(main, ["info", str(store.path)])
    assert result.exit_code == 1
    assert f"scenes/{scene_id}/zarr.json is damaged" in result.output
    assert len(result.output.strip().splitlines()) == 1


def test_regions_of_others_are_made_visible(prepared_store: Path) -> None:
    report = report_store(open_store(prepared_store))
    evil = dataclasses.replace(report, by_region={"\x1b[2JEast\nforged": 6})
    lines = format_store_report(evil).splitlines()
    assert all(map(is_printable, lines))
    assert r"  region       \x1b[2JEast\nforged 6" in lines
