from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from autoice_bench.charts import CHARTS
from autoice_bench.scoring.evaluate import Evaluation, evaluate
from autoice_bench.scoring.metrics import formulas
from autoice_bench.scoring.metrics.groups import group_scenes
from autoice_bench.scoring.scores import ScoreRow, build_scores
from autoice_bench.scoring.truth.store_truth import StoreTruth


@pytest.fixture(scope="module")
def evaluation(store: Path, predictions: Path) -> Evaluation:
    return evaluate(predictions, StoreTruth(store))


@pytest.fixture(scope="module")
def table(evaluation: Evaluation) -> pd.DataFrame:
    return build_scores(evaluation, "noisy", resamples=200)


def select(table: pd.DataFrame, **values: object) -> pd.DataFrame:
    for column, value in values.items():
        table = table[table[column] == value]
    return table


def test_columns_are_those_documented(table: pd.DataFrame) -> None:
    assert tuple(table.columns) == ScoreRow._fields
    assert (table["submission"] == "noisy").all()
    assert table["truth_fingerprint"].nunique() == 1


def test_no_row_is_double(table: pd.DataFrame) -> None:
    keys = ["chart", "metric", "group_kind", "group_name", "class_index"]
    assert not table.duplicated(keys).any()


def test_group_scores_are_those_of_the_group_alone(
    evaluation: Evaluation, table: pd.DataFrame
) -> None:
    for group in group_scenes(evaluation.scenes):
        for chart in CHARTS:
            members = list(group.members)
            counts = evaluation.histograms[chart.name][members].sum(axis=0)
            rows = select(table, chart=chart.name, group_kind=group.kind, group_name=group.name)
            found = rows[rows["metric"] == "f1"].sort_values("class_index")
            np.testing.assert_allclose(found["value"], formulas.f1(counts) * 100)
            # Per class, n_pixels is the support.
            np.testing.assert_array_equal(found["n_pixels"], formulas.support(counts))
            (headline,) = select(rows, metric="official")["value"]
            expected = formulas.official_score(formulas.chart_score(counts, chart))
            assert headline == float(expected)


def test_intervals_hold_the_score_and_are_given_from_three_scenes(table: pd.DataFrame) -> None:
    overall = select(table, group_kind="all", metric="combined").iloc[0]
    assert overall["ci_low"] <= overall["value"] <= overall["ci_high"]
    assert overall["ci_low"] < overall["ci_high"]
    # Of four scenes, every group has two at most.
    groups = table[(table["group_kind"] != "all") & (table["metric"] == "combined")]
    assert groups["ci_low"].isna().all()
    assert set(groups["reason"]) == {"fewer than 3 scenes: no interval"}


def test_seed_decides_the_intervals(evaluation: Evaluation, table: pd.DataFrame) -> None:
    again = build_scores(evaluation, "noisy", resamples=200)
    pd.testing.assert_frame_equal(again, table)
    other = build_scores(evaluation, "noisy", resamples=200, seed=1)
    pd.testing.assert_series_equal(other["value"], table["value"])
    assert not other["ci_low"].equals(table["ci_low"])


def test_worst_group_is_the_lowest(table: pd.DataFrame) -> None:
    scenes = select(table, group_kind="scene", metric="combined")
    worst = select(table, group_kind="worst_scene", metric="combined").iloc[0]
    lowest = scenes.sort_values("value").iloc[0]
    assert worst["group_name"] == lowest["group_name"]
    assert worst["value"] == lowest["value"]


def test_undefined_scores_say_why(evaluation: Evaluation) -> None:
    # All truth of SIC class 3, none of FLOE: R2 and everything of FLOE are undefined.
    sic = np.zeros_like(evaluation.histograms["SIC"])
    sic[:, 3, 3] = 5
    empty = np.zeros_like(evaluation.histograms["FLOE"])
    histograms = {"SIC": sic, "SOD": evaluation.histograms["SOD"], "FLOE": empty}
    table = build_scores(replace(evaluation, histograms=histograms), "x", resamples=50)
    overall = select(table, group_kind="all")
    r2 = select(overall, chart="SIC", metric="r2").iloc[0]
    assert np.isnan(r2["value"])
    assert r2["reason"] == "the truth holds one class"
    assert select(overall, chart="FLOE", metric="f1_weighted").iloc[0]["reason"] == (
        "no valid pixels"
    )
    combined = select(overall, metric="combined").iloc[0]
    assert np.isnan(combined["value"])
    assert combined["reason"] == "undefined for SIC, FLOE"
    recall = select(overall, chart="SIC", metric="recall", class_index=4).iloc[0]
    assert recall["reason"] == "class absent from the truth"
    undefined = table[table["value"].isna()]
    assert undefined["reason"].notna().all()


def test_seldom_class_has_a_score_but_no_interval(evaluation: Evaluation) -> None:
    # FLOE class 6 occurs in one scene of four: (3/4)^4 = 32 % of the resamples lack it.
    floe = evaluation.histograms["FLOE"].copy()
    floe[1:, 6, :] = 0
    floe[1:, :, 6] = 0
    histograms = {**evaluation.histograms, "FLOE": floe}
    table = build_scores(replace(evaluation, histograms=histograms), "x", resamples=200)
    row = select(table, group_kind="all", chart="FLOE", metric="f1", class_index=6).iloc[0]
    assert np.isfinite(row["value"])
    assert np.isnan(row["ci_low"])
    assert row["reason"] == "undefined in too many resamples: no interval"
