"""The benchmark of training: what its tables say, and that its pieces run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks import training
from benchmarks.measure import Measurement
from benchmarks.training import (
    OPEN_ROW,
    Bench,
    aspp_part,
    choose_sizes,
    load_batches,
    make_store,
    predict_scenes,
    train_run,
    unet_part,
)


def make_bench(device: Any, work: Path = Path("work"), *, few: bool = False) -> Bench:
    return Bench(work / "store", work, device, choose_sizes(device == "cuda", 1, few))


def answer(rates: list[float]) -> Callable[..., Measurement]:
    """In place of ``measure_alone``: training at each of the rates in turn, 0.5 s per scene."""
    left = iter(rates)

    def measure(function: Callable[..., Any], *_: Any) -> Measurement:
        value: Any = 4000.0
        if function is train_run:
            rate = next(left)
            if rate == 0:
                raise RuntimeError("no compiler")
            value = {
                "patches_per_second": rate,
                "tflop_per_second": rate * 0.571,
                "data_wait_share": 0.25,
                "peak_memory_bytes": 20e9,
            }
        elif function is predict_scenes:
            value = (0.5, 0.8)
        return Measurement(1.0, 0, 0, value)

    return measure


def cells(paragraphs: list[str], first: str) -> list[str]:
    rows = [line for paragraph in paragraphs for line in paragraph.splitlines()]
    (row,) = [row for row in rows if row.startswith(f"| {first} |")]
    return [cell.strip() for cell in row.strip("|").split("|")]


def test_gpu_tables_are_absolute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "measure_alone", answer([50.0, 100.0, 150.0, 250.0]))
    paragraphs = aspp_part(make_bench("cuda"))
    # Four times the first, a quarter of the time waiting; 4000 / 250 = 16; 250 / 8 steps/s.
    assert cells(paragraphs, "bf16, channels-last, compiled")[1:] == [
        *("5.00", "25%", "16", "250.0", "31.2", "142.8", "20.0"),
    ]
    assert cells(paragraphs, "training, patches/s")[1:] == [">= 200", "10.5", "250"]
    assert cells(paragraphs, "scene whole, to classes, s")[1:] == ["< 1", "", "0.50"]
    assert OPEN_ROW not in paragraphs

    # 16 patches per iteration: 400 patches/s are 25 iterations/s, 500 of them 20 s, 300 epochs
    # 100 minutes.
    monkeypatch.setattr(training, "measure_alone", answer([100.0, 200.0, 400.0, 300.0]))
    paragraphs = unet_part(make_bench("cuda"))
    assert cells(paragraphs, "iterations/s")[1:] == ["", "12", "25.0"]
    assert cells(paragraphs, "epoch of 500 iterations, s")[1:] == ["", "42", "20.0"]
    assert cells(paragraphs, "300 epochs without validation, min")[1:] == ["< 30", "208", "100.0"]
    assert cells(paragraphs, "scene, to classes, s")[1:] == ["< 0.1", "2", "0.500"]


def test_cpu_tables_hold_ratios_and_leave_the_gpu_row_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(training, "has_bf16", lambda: False)
    monkeypatch.setattr(training, "measure_alone", answer([2.0, 3.0, 0.0] * 2))
    for part in (aspp_part, unet_part):
        paragraphs = part(make_bench("cpu"))
        assert paragraphs[-1] == OPEN_ROW
        assert cells(paragraphs, "fp32, channels-last")[1:] == ["1.50", "25%", "1.33e+03"]
        assert cells(paragraphs, "fp32, channels-last, compiled")[1] == "does not run here"
        assert not any("patches/s" in paragraph for paragraph in paragraphs)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["aspp", "unet"])
def test_every_piece_runs(recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = make_store(tmp_path, 2, 2, (500, 523))
    bench = Bench(store, tmp_path, "cpu", choose_sizes(False, 1, True))
    row = train_run(bench, recipe, {"precision": "fp32"}, "run")
    assert row["epoch"] == 2
    assert row["patches_per_second"] > 0
    assert load_batches(bench, recipe) > 0
    # As on a GPU: every test scene, then files.
    monkeypatch.setattr(Bench, "on_gpu", property(lambda self: True))
    to_classes, to_files = predict_scenes(bench, "run", None if recipe == "unet" else 768)
    assert to_classes > 0
    assert to_files > 0
    assert len(list((tmp_path / "preds").glob("*/*.nc"))) == 2
