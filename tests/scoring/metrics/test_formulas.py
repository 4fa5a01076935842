from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from autoice_bench.charts import CHARTS, FLOE, SIC, SOD, Chart
from autoice_bench.scoring.metrics import formulas
from autoice_bench.scoring.metrics.definitions import chart_metrics
from autoice_bench.scoring.metrics.histograms import joint_histogram

TOLERANCE = 1e-9


def counts_of(pairs: dict[tuple[int, int], int], n_classes: int) -> NDArray[np.int64]:
    counts = np.zeros((n_classes, n_classes + 1), np.int64)
    for pair, n in pairs.items():
        counts[pair] = n
    return counts


# Truth 0 0 0 1 1, predicted 0 0 1 1 and the mask class of SOD, 6.
PAIRS = {(0, 0): 2, (0, 1): 1, (1, 1): 1, (1, 6): 1}


def test_r2_by_hand() -> None:
    # Truth 0, 1, 2 (mean 1, SS_tot 2), predicted 0, 1, 1: SS_res 1, so R2 = 1 - 1/2.
    counts = counts_of({(0, 0): 1, (1, 1): 1, (2, 1): 1}, 11)
    assert formulas.r2(counts) == pytest.approx(0.5)


def test_mask_class_is_eleven_in_r2() -> None:
    # Truth 0, 10 (mean 5, SS_tot 50), predicted 0, 11: SS_res 1, so R2 = 0.98.
    assert formulas.r2(counts_of({(0, 0): 1, (10, 11): 1}, 11)) == pytest.approx(0.98)


def test_r2_needs_two_classes_in_the_truth() -> None:
    assert np.isnan(formulas.r2(counts_of({(3, 3): 10}, 11)))
    assert np.isnan(formulas.r2(counts_of({}, 11)))


def test_r2_is_exact_for_one_odd_pixel_among_many() -> None:
    # 10^9 pixels of class 10 and one of class 9, predicted the other way round for the odd one:
    # SS_tot = 1 * (1 - 1e-9), SS_res = 1; a difference of sums of squares would lose it.
    counts = counts_of({(10, 10): 10**9, (9, 10): 1}, 11)
    assert formulas.r2(counts) == pytest.approx(1 - 1 / (1 - 1 / (10**9 + 1)), abs=1e-9)


def test_class_metrics_by_hand() -> None:
    counts = counts_of(PAIRS, 6)
    # Class 0: TP 2, predicted 2, truth 3. Class 1: TP 1, predicted 2, truth 2.
    np.testing.assert_allclose(formulas.precision(counts)[:2], [1.0, 0.5])
    np.testing.assert_allclose(formulas.recall(counts)[:2], [2 / 3, 0.5])
    np.testing.assert_allclose(formulas.f1(counts)[:2], [4 / 5, 2 / 4])
    np.testing.assert_allclose(formulas.iou(counts)[:2], [2 / 3, 1 / 3])
    assert np.isnan(formulas.f1(counts)[2:]).all()
    # Weighted by support 3 and 2: (3 * 0.8 + 2 * 0.5) / 5.
    assert formulas.f1_weighted(counts) == pytest.approx(0.68)
    # The predicted mask class is a third label with F1 0: (0.8 + 0.5 + 0) / 3.
    assert formulas.f1_macro(counts) == pytest.approx(1.3 / 3)
    assert formulas.accuracy(counts) == pytest.approx(3 / 5)


def test_concentration_errors_by_hand() -> None:
    # Truth 0, 5, 10 predicted 2, 5, 9: |error| 2, 0, 1 and error +2, 0, -1 classes.
    counts = counts_of({(0, 2): 1, (5, 5): 1, (10, 9): 1}, 11)
    assert formulas.mean_absolute_error(counts) == pytest.approx(1.0)
    assert formulas.bias(counts) == pytest.approx(1 / 3)
    values = {m.name: float(m.compute(counts)) * m.scale for m in chart_metrics(SIC)[:7]}
    assert values["mae"] == pytest.approx(10.0)  # percent concentration
    assert values["bias"] == pytest.approx(10 / 3)


def test_bands_by_hand() -> None:
    # Water 0; intermediate 1-9; full 10. Truth bands W W I F, predicted W I I mask.
    counts = counts_of({(0, 0): 1, (0, 1): 1, (4, 9): 1, (10, 11): 1}, 11)
    merged = formulas.merge_classes(counts, ((0, 0), (1, 9), (10, 10)))
    np.testing.assert_array_equal(merged, [[1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
    values = {m.name: float(m.compute(counts)) for m in chart_metrics(SIC) if not m.per_class}
    assert values["band_accuracy"] == pytest.approx(0.5)
    assert values["water_recall"] == pytest.approx(0.5)
    assert values["intermediate_precision"] == pytest.approx(0.5)
    assert values["full_recall"] == 0.0
    assert np.isnan(values["full_precision"])


def test_within_one_class_ignores_water_and_bergs_of_floes() -> None:
    # Considered truth 1-5: (1,1) yes, (1,2) yes, (5,6) no: a berg is not one step from vast,
    # (1,0) no: water is not one step from cake, (3,5) no, (5,7) no: mask class. Truth 0 and 6 are
    # not considered.
    pairs = {(1, 1): 1, (1, 2): 1, (5, 6): 1, (1, 0): 1, (3, 5): 1, (5, 7): 1, (0, 0): 9, (6, 6): 9}
    counts = counts_of(pairs, 7)
    assert formulas.within_one_class(counts, first=1, last=5) == pytest.approx(2 / 6)


def test_within_one_class_of_stages_holds_water() -> None:
    # (0,1) and (5,4) are one step; (5, mask) and (2,4) are not.
    counts = counts_of({(0, 1): 1, (5, 4): 1, (5, 6): 1, (2, 4): 1}, 6)
    within = next(m for m in chart_metrics(SOD) if m.name == "within_one_class")
    assert within.compute(counts) == pytest.approx(0.5)


def test_combined_is_from_rounded_scores() -> None:
    scores = {"SIC": 0.8000050, "SOD": 0.7000149, "FLOE": 0.6}
    official = {name: formulas.official_score(score) for name, score in scores.items()}
    # 80.0005 rounds to 80.0 (half to even, like the official numpy.round), 70.00149 to 70.001.
    assert [float(official[name]) for name in ("SIC", "SOD", "FLOE")] == [80.0, 70.001, 60.0]
    # (2 * 80 + 2 * 70.001 + 60) / 5 = 72.0004, rounded to 72.0.
    assert float(formulas.official_combined(official)) == 72.0
    # From unrounded scores it would have been 72.00079 -> 72.001.
    assert float(np.round(formulas.combined_score(scores) * 100, 3)) == 72.001


def test_combined_is_undefined_if_a_chart_is() -> None:
    assert np.isnan(formulas.combined_score({"SIC": np.nan, "SOD": 1.0, "FLOE": 1.0}))


def test_leading_axes_are_independent() -> None:
    rng = np.random.default_rng(1)
    stack = rng.integers(0, 9, (2, 3, 7, 8))
    for metric in chart_metrics(FLOE):
        values = metric.compute(stack)
        for i in range(2):
            for j in range(3):
                np.testing.assert_array_equal(values[i, j], metric.compute(stack[i, j]))


@st.composite
def charts_and_pixels(draw: st.DrawFn) -> tuple[Chart, NDArray[np.uint8], NDArray[np.uint8]]:
    """A chart with truth and prediction; often degenerate: few classes, mask class, all masked."""
    chart = draw(st.sampled_from(CHARTS))
    size = draw(st.integers(1, 60))
    in_truth = draw(st.lists(st.sampled_from(chart.values), min_size=1, max_size=4))
    in_prediction = draw(st.lists(st.integers(0, chart.mask_class), min_size=1, max_size=4))
    truth = draw(hnp.arrays(np.uint8, size, elements=st.sampled_from(in_truth)))
    prediction = draw(hnp.arrays(np.uint8, size, elements=st.sampled_from(in_prediction)))
    return chart, truth, prediction


@settings(deadline=None)
@given(charts_and_pixels())
def test_equals_scikit_learn(case: tuple[Chart, NDArray[np.uint8], NDArray[np.uint8]]) -> None:
    sklearn_metrics = pytest.importorskip("sklearn.metrics")
    chart, truth, prediction = case
    counts = joint_histogram(truth, prediction, chart)
    valid = truth != 255
    t, p = truth[valid].astype(np.int64), prediction[valid].astype(np.int64)
    if t.size == 0:
        assert np.isnan(formulas.r2(counts))
        assert np.isnan(formulas.f1_weighted(counts))
        assert np.isnan(formulas.f1_macro(counts))
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn warns of absent classes and scores them 0
        expected = {
            "f1_weighted": sklearn_metrics.f1_score(t, p, average="weighted"),
            "f1_macro": sklearn_metrics.f1_score(t, p, average="macro"),
            "accuracy": sklearn_metrics.accuracy_score(t, p),
        }
    for name, value in expected.items():
        assert float(getattr(formulas, name)(counts)) == pytest.approx(value, abs=TOLERANCE)
    if len(np.unique(t)) > 1:
        r2 = sklearn_metrics.r2_score(t, p)
        assert float(formulas.r2(counts)) == pytest.approx(r2, abs=TOLERANCE)
    else:
        assert np.isnan(formulas.r2(counts))


@settings(deadline=None)
@given(charts_and_pixels())
def test_metrics_stay_in_range(case: tuple[Chart, NDArray[np.uint8], NDArray[np.uint8]]) -> None:
    chart, truth, prediction = case
    counts = joint_histogram(truth, prediction, chart)
    for metric in chart_metrics(chart):
        values = np.atleast_1d(metric.compute(counts))
        finite = values[np.isfinite(values)]
        if metric.name == "r2":
            assert (finite <= 1).all()
        elif metric.unit == "percent":
            assert ((finite >= 0) & (finite <= 1 + TOLERANCE)).all()
