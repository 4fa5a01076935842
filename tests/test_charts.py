from __future__ import annotations

import re

import pytest

from autoice_bench.charts import CHART_NAMES, CHARTS, FILL_VALUE, FLOE, SIC, SOD, Chart


def test_class_counts_exclude_the_fill() -> None:
    # The challenge's charts: 0, 10, ..., 100 % is 11 classes; 6 stages; 7 floe sizes.
    assert [chart.n_classes for chart in (SIC, SOD, FLOE)] == [11, 6, 7]
    assert CHART_NAMES == ("SIC", "SOD", "FLOE")


def test_weights_and_metrics_are_the_challenges() -> None:
    assert [(chart.metric, chart.weight) for chart in CHARTS] == [("r2", 2), ("f1", 2), ("f1", 1)]


@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.name)
def test_every_class_has_a_name_and_a_colour(chart: Chart) -> None:
    assert len(set(chart.class_names)) == chart.n_classes
    assert len(set(chart.colours)) == chart.n_classes
    assert all(re.fullmatch(r"#[0-9a-f]{6}", colour) for colour in chart.colours)


@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.name)
def test_values_are_the_classes_and_the_fill(chart: Chart) -> None:
    assert chart.values == (*range(chart.n_classes), FILL_VALUE)
    # Some networks emit one class more for masked pixels; it is never a chart value.
    assert chart.mask_class == chart.n_classes
    assert chart.mask_class not in chart.values


def test_sic_names_give_the_concentration_of_each_class() -> None:
    # Class k of SIC is 10 k percent; 0 and 10 have names of their own.
    assert SIC.class_names[0] == "open water"
    assert list(SIC.class_names[1:10]) == [f"{10 * k} %" for k in range(1, 10)]
    assert SIC.class_names[10] == "fully packed ice"


def test_class_zero_is_open_water_in_every_chart() -> None:
    assert {chart.class_names[0] for chart in CHARTS} == {"open water"}
