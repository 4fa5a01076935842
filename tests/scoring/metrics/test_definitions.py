from __future__ import annotations

import re
from pathlib import Path

import pytest

from autoice_bench import __version__
from autoice_bench.charts import CHART_NAMES, CHARTS
from autoice_bench.scoring.metrics import definitions
from autoice_bench.scoring.metrics.definitions import (
    METRICS,
    Metric,
    better_direction,
    chart_metrics,
    headline_metric,
    is_newer,
    parse_version,
)
from autoice_bench.scoring.metrics.formulas import accuracy


def test_each_chart_has_a_metric_once_and_a_name_one_meaning() -> None:
    for chart in CHARTS:
        names = [metric.name for metric in chart_metrics(chart)]
        assert len(names) == len(set(names))
        assert names[0] == headline_metric(chart)
    for metric in METRICS:
        assert set(metric.charts) <= set(CHART_NAMES)
        assert metric.direction == better_direction(metric.name)


def test_every_metric_says_since_when() -> None:
    with pytest.raises(TypeError, match="since"):
        Metric("made_up", accuracy, "no valid pixels")  # type: ignore[call-arg]
    for metric in METRICS:
        # A metric comes in with the version that is written now, at the latest.
        assert parse_version(metric.since) <= parse_version(__version__), metric.name


def test_every_metric_is_documented() -> None:
    text = (Path(__file__).parents[3] / "docs" / "scores.md").read_text()
    for metric in METRICS:
        name = re.sub(r"^(water|intermediate|full)_.*", r"\1_*", metric.name)
        assert f"`{name}`" in text


def test_directions() -> None:
    assert better_direction("r2") == "higher"
    assert better_direction("mae") == "lower"
    assert better_direction("bias") == "nearest-zero"
    assert better_direction("of another version") == "higher"


def test_newer_metrics_are_those_of_later_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    newer = Metric("made_up", accuracy, "no valid pixels", charts=("SOD",), since="0.10.0")
    monkeypatch.setattr(definitions, "METRICS", (*METRICS, newer))
    assert is_newer("SOD", "made_up", "0.9.1")
    assert not is_newer("SOD", "made_up", "0.10.0.dev1")
    assert not is_newer("SIC", "made_up", "0.9.1")  # SIC never had it
    assert not is_newer("SOD", "accuracy", "0.0.0")  # no version is older than the first
    assert not is_newer("combined", "official", "0.1.0")


@pytest.mark.parametrize("version", ["", "0.1", "new", "1.2.x", "0.1.9999999999"])
def test_text_that_is_no_version_is_refused(version: str) -> None:
    with pytest.raises(ValueError, match="expected three numbers, such as"):
        parse_version(version)
