from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from autoice_bench.charts import CHARTS, FILL_VALUE, FLOE, SIC, SOD, Chart
from autoice_bench.errors import PredictionError
from autoice_bench.scoring.metrics import histograms
from autoice_bench.scoring.metrics.histograms import joint_histogram, validate_classes


def test_counts_each_pair_once_and_drops_masked_truth() -> None:
    truth = np.array([[0, 0, 5], [5, 255, 255]], np.uint8)
    prediction = np.array([[0, 1, 5], [6, 3, 255]], np.uint8)
    expected = np.zeros((6, 7), np.int64)
    # By hand: (0,0), (0,1), (5,5) and (5, mask class 6) once each; the two masked pixels vanish.
    for pair in ((0, 0), (0, 1), (5, 5), (5, 6)):
        expected[pair] = 1
    np.testing.assert_array_equal(joint_histogram(truth, prediction, SOD), expected)


@settings(deadline=None)
@given(data=st.data(), chart=st.sampled_from(CHARTS))
def test_equals_pixel_by_pixel_counting(data: st.DataObject, chart: Chart) -> None:
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=2, min_side=0, max_side=40))
    truth = data.draw(hnp.arrays(np.uint8, shape, elements=st.sampled_from(chart.values)))
    predicted = st.integers(0, chart.mask_class)
    prediction = data.draw(hnp.arrays(np.uint8, shape, elements=predicted))
    expected = np.zeros((chart.n_classes, chart.n_classes + 1), np.int64)
    for t, p in zip(truth.ravel(), prediction.ravel(), strict=True):
        if t != FILL_VALUE:
            expected[t, p] += 1
    np.testing.assert_array_equal(joint_histogram(truth, prediction, chart), expected)


@pytest.mark.parametrize("size", [0, 1, 2, 3, 7, 8, 9, 15, 16, 17])
def test_block_edges_lose_no_pixel(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(histograms, "BLOCK_PIXELS", 8)
    truth = (np.arange(size) % 11).astype(np.uint8)
    counts = joint_histogram(truth, truth, SIC)
    np.testing.assert_array_equal(np.diagonal(counts), np.bincount(truth, minlength=11))
    assert counts.sum() == size


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([0, 3, 10, 255]), st.integers(1, 40)), max_size=20),
    st.integers(0, 2**32 - 1),
)
def test_runs_of_masked_pixels_change_nothing(runs: list[tuple[int, int]], seed: int) -> None:
    # Polygons are runs; eight masked pixels in a row are skipped at once.
    truth = np.repeat([value for value, _ in runs], [n for _, n in runs]).astype(np.uint8)
    prediction = np.random.default_rng(seed).integers(0, 12, truth.shape).astype(np.uint8)
    valid = truth != FILL_VALUE
    expected = np.zeros((11, 12), np.int64)
    np.add.at(expected, (truth[valid], prediction[valid]), 1)
    np.testing.assert_array_equal(joint_histogram(truth, prediction, SIC), expected)


def test_parts_add_up_to_the_whole() -> None:
    rng = np.random.default_rng(0)
    truth = rng.choice(np.array(FLOE.values, np.uint8), (50, 31))
    prediction = rng.integers(0, 8, truth.shape).astype(np.uint8)
    parts = [joint_histogram(truth[i::3], prediction[i::3], FLOE) for i in range(3)]
    np.testing.assert_array_equal(sum(parts), joint_histogram(truth, prediction, FLOE))


def test_strided_arrays_count_like_contiguous_ones() -> None:
    truth = np.arange(66, dtype=np.uint8).reshape(6, 11) % 11
    np.testing.assert_array_equal(
        joint_histogram(truth.T, truth.T, SIC), joint_histogram(truth, truth, SIC)
    )


@pytest.mark.parametrize("value", [12, 16, 27, 100, 240, 254])
def test_class_above_mask_class_is_refused_even_where_masked(value: int) -> None:
    # 16 and 240 have a low nibble of 0, 27 one of 11: none may pass for a class.
    truth = np.full(5, FILL_VALUE, np.uint8)
    prediction = np.array([0, 11, 255, value, 1], np.uint8)
    with pytest.raises(PredictionError, match=rf"s: SIC holds {value}; expected classes 0-10"):
        joint_histogram(truth, prediction, SIC, where="s")


def test_missing_prediction_is_refused_where_truth_is_valid() -> None:
    truth = np.array([0, 255, 3], np.uint8)
    prediction = np.array([255, 255, 255], np.uint8)
    with pytest.raises(PredictionError, match="255 or NaN in 2 pixels where the truth is valid"):
        joint_histogram(truth, prediction, SIC)


def test_truth_that_is_no_class_is_refused() -> None:
    with pytest.raises(PredictionError, match="truth of SOD holds 6; expected classes 0-5"):
        joint_histogram(np.array([6], np.uint8), np.array([0], np.uint8), SOD)


def test_other_shape_is_refused() -> None:
    zeros = np.zeros((2, 3), np.uint8)
    with pytest.raises(PredictionError, match=r"shape \(3, 2\); the truth has \(2, 3\)"):
        joint_histogram(zeros, zeros.T, SIC)


@pytest.mark.parametrize("dtype", ["i1", "i2", "i8", "u2", "f2", "f4", "f8", "?"])
def test_whole_numbers_of_any_dtype_become_classes(dtype: str) -> None:
    values = np.array([0, 1, 1], dtype)
    classes = validate_classes(values, SIC)
    assert classes.dtype == np.uint8
    np.testing.assert_array_equal(classes, [0, 1, 1])


def test_conversion_is_the_same_across_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(histograms, "BLOCK_PIXELS", 5)
    values = np.arange(24, dtype=np.float32).reshape(4, 6)[:, ::-1]
    np.testing.assert_array_equal(validate_classes(values, SIC), values)
    values = values.copy()
    values[3, 0] = 0.5
    with pytest.raises(PredictionError, match=r"holds 0\.5"):
        validate_classes(values, SIC)


def test_nan_becomes_fill() -> None:
    np.testing.assert_array_equal(validate_classes(np.array([np.nan, 3.0]), SIC), [255, 3])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.array([1.0, 2.5, 3.5]), "holds 2.5, which is not whole"),
        (np.array([-1]), "holds -1; expected classes 0-10"),
        (np.array([0, 256], np.int16), "holds 256; expected"),
        (np.array([np.inf]), "holds inf"),
        (np.array(["a"]), "dtype <U1"),
    ],
)
def test_other_values_are_refused(values: np.ndarray, message: str) -> None:
    with pytest.raises(PredictionError, match=message):
        validate_classes(values, SIC)


TRUTH = np.array([[0, 10, 255], [3, 255, 255]], np.uint8)


@pytest.mark.parametrize(
    ("dtype", "fill"), [("u1", 99), ("i2", -9999), ("f4", -1), ("u1", 254), ("i8", 10**12)]
)
def test_fill_of_its_own_where_nothing_is_labelled(dtype: str, fill: int) -> None:
    predicted = np.array([[0, 9, fill], [3, 255, fill]]).astype(dtype)
    classes = validate_classes(predicted, SIC, truth=TRUTH)
    assert classes.tolist() == [[0, 9, 255], [3, 255, 255]]
    assert joint_histogram(TRUTH, classes, SIC).sum() == 3


@pytest.mark.parametrize(
    ("predicted", "message"),
    [
        # Where there is a label, it is a wrong class.
        ([[0, -1, -1], [3, -1, -1]], "SIC holds -1; expected classes 0-10, mask class 11 or fill"),
        ([[0, 1, -1], [3, -2, 0]], "SIC holds -1 and -2 where there is no label; expected"),
    ],
)
def test_fill_of_its_own_elsewhere_is_refused(predicted: list[list[int]], message: str) -> None:
    with pytest.raises(PredictionError, match=message):
        validate_classes(np.array(predicted, np.int16), SIC, truth=TRUTH)


def test_mask_class_is_no_fill_of_its_own() -> None:
    predicted = np.array([[0, 10, 11], [3, 99, 11]], np.uint8)
    classes = validate_classes(predicted, SIC, truth=TRUTH)
    assert classes.tolist() == [[0, 10, 11], [3, 255, 11]]


def test_floats_next_to_a_class_are_that_class() -> None:
    nearly = np.array([0, 9.9999995, 254.9999999, np.nan], np.float64)
    assert validate_classes(nearly, SIC).tolist() == [0, 10, 255, 255]
    with pytest.raises(PredictionError, match=r"holds 2\.9999,"):
        validate_classes(np.array([2.9999]), SIC)
    with pytest.raises(PredictionError, match=r"holds 2\.9999433,"):  # not "3"
        validate_classes(np.array([2.9999433], np.float32), SIC)


@pytest.mark.parametrize(
    ("turned", "says"),
    [
        (TRUTH[:, ::-1], "mirrored left to right"),
        (TRUTH[::-1], "mirrored upside down"),
        (TRUTH[::-1, ::-1], "mirrored along both axes"),
    ],
)
def test_mirrored_prediction_is_named(turned: NDArray[np.uint8], says: str) -> None:
    truth = np.array([[0, 10, 255], [3, 255, 255]], np.uint8)
    with pytest.raises(PredictionError, match=f"255 or NaN in .*where the truth is valid.*{says}"):
        joint_histogram(truth, np.ascontiguousarray(turned), SIC)


def test_transposed_square_is_named() -> None:
    truth = np.array([[0, 255, 255], [1, 2, 255], [4, 5, 6]], np.uint8)
    with pytest.raises(PredictionError, match="of the transposed scene"):
        joint_histogram(truth, np.ascontiguousarray(truth.T), SIC)
    with pytest.raises(PredictionError, match=r"in each$"):  # 255 of another pattern tells nothing
        joint_histogram(truth, np.full((3, 3), 255, np.uint8), SIC)
