"""The words on a picture: heading, remarks, and numbers as people read them. Pure functions."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable
from datetime import datetime
from typing import Final, Literal

import numpy as np

from autoice_bench import __version__
from autoice_bench.charts import Chart
from autoice_bench.formats.variables import PIXEL_SPACING_M
from autoice_bench.pictures.comparisons import Comparison
from autoice_bench.pictures.views import ScenePicture
from autoice_bench.scoring.metrics import formulas
from autoice_bench.wording import format_path

_METRICS: Final = {"r2": "R²", "f1": "weighted F1"}
_SEPARATOR: Final = "  ·  "
_WIDTH_OF_CHARACTER: Final = 0.0076
"""Of the default font, inches per point of size; on the safe side."""


def list_facts(view: ScenePicture, comparison: Comparison | None) -> list[list[str]]:
    """What the heading says: the scene, then the prediction if there is one."""
    attributes = view.attributes
    time = datetime.fromisoformat(attributes["acquisition_time"])
    lines, samples = view.shape
    service = str(attributes["ice_service"]).upper()
    region = attributes.get("region")
    facts = [
        f"{time:%Y-%m-%d %H:%M:%S} UTC",
        f"{service} chart" + (f" of {region}" if region else ""),
        *([f"Sentinel-{attributes['platform'][1:]}"] if attributes.get("platform") else []),
        format_position(*view.position),
        f"{lines} × {samples} pixels of {PIXEL_SPACING_M} m",
    ]
    window = view.window
    if (window.lines, window.samples) != view.shape:
        facts.append(
            f"shown: lines {window.line}–{window.line + window.lines - 1}, "
            f"samples {window.sample}–{window.sample + window.samples - 1}"
        )
    if comparison is None:
        return [facts]
    scored = [f"prediction: {format_path(comparison.path)}"]
    combined = comparison.combined
    if combined is not None:
        scored.append(f"combined score of the scene {format_percent(combined)}")
    return [facts, scored]


def list_remarks(view: ScenePicture, comparison: Comparison | None) -> list[str]:
    """What the footer says about how to read the picture."""
    attributes = view.attributes
    remarks = []
    if view.charts:
        remarks.append(
            f"labels {attributes['label_rule']}, SOD {attributes['sod_threshold']} %, "
            f"FLOE {attributes['floe_threshold']} %"
        )
        numbers = "shares" if comparison is None else "scores and shares"
        remarks.append(f"{numbers}: labelled pixels of the whole scene")
    if view.step > 1:
        remarks.append(f"SAR averaged over {view.step} × {view.step} pixels")
    remarks.append("colours end at the 1st and 99th percentile")
    remarks.append(f"autoice-bench {__version__}")
    return remarks


def wrap_facts(facts: Iterable[str], width: float, size: float) -> list[str]:
    """Join facts and break them into lines, between two facts wherever possible.

    Args:
        facts: short texts.
        width: inches there are.
        size: font size, points.
    """
    most = max(20, int((width - 0.8) / (_WIDTH_OF_CHARACTER * size)))
    lines: list[str] = []
    for fact in facts:
        joined = f"{lines[-1]}{_SEPARATOR}{fact}" if lines else fact
        if lines and len(joined) <= most:
            lines[-1] = joined
        else:
            lines += textwrap.wrap(fact, most)
    return lines


def format_position(latitude: float, longitude: float) -> str:
    """Degrees as `80.1° N 86.5° W`; longitudes beyond 180 are turned west."""
    east = (longitude + 180) % 360 - 180
    return (
        f"{abs(latitude):.1f}° {'N' if latitude >= 0 else 'S'} "
        f"{abs(east):.1f}° {'E' if east >= 0 else 'W'}"
    )


def format_percent(fraction: float) -> str:
    """A fraction as percent with one decimal; `undefined` for NaN."""
    return "undefined" if math.isnan(fraction) else f"{_minus(100 * fraction)} %"


def describe_score(comparison: Comparison, chart: Chart) -> str:
    """The challenge's metric of a chart, named: `R² 81.4 %`."""
    return f"{_METRICS[chart.metric]} {format_percent(comparison.scores[chart.name])}"


def describe_errors(comparison: Comparison, chart: Chart) -> str:
    """Accuracy of a chart, and for SIC the mean error in percent of ice."""
    counts = comparison.histograms[chart.name]
    text = f"{format_percent(float(formulas.accuracy(counts)))} right"
    bias = float(formulas.bias(counts)) * formulas.PERCENT_PER_SIC_CLASS
    if chart.metric == "r2" and np.isfinite(bias):
        text += f", bias {_minus(bias, sign='+')} %"
    return text


def _minus(number: float, sign: Literal["", "+"] = "") -> str:
    """One decimal, with a minus sign as wide as a plus, and zero without a sign."""
    rounded = round(number, 1)
    return f"{rounded:{sign}.1f}".replace("-", "−") if rounded else "0.0"


def choose_scale(n_samples: int) -> tuple[float, str]:
    """Length of a scale bar in km, about a quarter of the width, and its label."""
    quarter = n_samples * PIXEL_SPACING_M / 1000 / 4
    power = 10.0 ** math.floor(math.log10(quarter))
    length = max(factor * power for factor in (1, 2, 5) if factor * power <= quarter)
    return length, f"{length:g} km" if length >= 1 else f"{1000 * length:g} m"
