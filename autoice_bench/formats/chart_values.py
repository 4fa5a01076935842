"""The charts of ready-to-train files: read, decoded to classes, counted and validated.

Who prepares a store and who scores against the files read charts here, so that both accept the same
files and get the same bytes of them, on which the truth fingerprint rests.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from autoice_bench.charts import CHART_NAMES, FILL_VALUE, Chart
from autoice_bench.errors import AutoIceError, SceneError
from autoice_bench.formats.cf import CfEncoding
from autoice_bench.formats.netcdf import NetcdfFile
from autoice_bench.formats.whole_numbers import round_to_whole, shown
from autoice_bench.wording import format_count


class _Illegal(NamedTuple):
    """What is no class: the first such value as it stands in the file, pixels of it and of all."""

    value: Any
    same: int
    pixels: int


def missing_charts(file: NetcdfFile) -> list[str]:
    """Names of the charts that a file does not hold."""
    return [name for name in CHART_NAMES if name not in file.variable_names]


def read_chart(
    scene_id: str, file: NetcdfFile, chart: Chart, out: NDArray[np.uint8]
) -> NDArray[np.int64]:
    """Read and validate one chart of a scene.

    Args:
        scene_id: for messages.
        file: the scene or its reference.
        chart: which chart to read.
        out: receives the classes, (sar_lines, sar_samples), fill 255; of the expected shape.

    Returns:
        (256,) pixels per value.

    Raises:
        SceneError: the chart is missing, of another shape or type, or holds what is no class.
        OSError: a chunk is truncated or corrupt, or its attributes cannot be understood.
    """
    if chart.name not in file.variable_names:
        raise SceneError(f"scene {scene_id}: {chart.name} is missing from the reference")
    if file.shape(chart.name) != out.shape:
        raise SceneError(
            f"scene {scene_id}: {chart.name} is {file.shape(chart.name)}; expected {out.shape}"
        )
    if file.dtype(chart.name).kind not in "uif":
        raise SceneError(
            f"scene {scene_id}: {chart.name} is {file.dtype(chart.name)}; expected uint8"
        )
    require_missing_no_class(file.encoding(chart.name), chart, SceneError, f"scene {scene_id}")
    counts = np.zeros(256, np.int64)
    # Neighbouring strips mostly hold the same classes: looked for first, they end the count soon.
    likely: list[int] = []
    wrong: _Illegal | None = None
    for strip in file.decoded_strips(chart.name):
        values = whole_classes(strip.values)
        out[strip.lines, strip.samples] = values
        of_strip = count_classes(values, chart, likely)
        likely = np.flatnonzero(of_strip).tolist()
        counts += of_strip
        wrong = _find_illegal(wrong, strip.values, values, of_strip, chart)
    if wrong is not None:
        others = " and others" if wrong.same < wrong.pixels else ""
        raise SceneError(
            f"scene {scene_id}: {chart.name} holds {shown(wrong.value)}{others} in "
            f"{format_count(wrong.pixels, 'pixel')}; expected 0-{chart.n_classes - 1} or fill "
            f"{FILL_VALUE}"
        )
    return counts


def require_missing_no_class(
    encoding: CfEncoding, chart: Chart, error: type[AutoIceError], where: str
) -> None:
    """Check that no class of a chart is declared to mean "no value".

    Some tools write a fill value of 0 into every file. By the conventions all open water would
    then be missing; by the values it is there. Which is meant cannot be told.
    """
    found = [value for value in encoding.missing_meanings if 0 <= value < chart.n_classes]
    if found:
        raise error(
            f"{where}: {chart.name} declares {shown(found[0])}, a class, to be missing "
            f"(_FillValue or missing_value); expected {FILL_VALUE} or none: remove the attribute "
            "or correct it"
        )


def whole_classes(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Chart values as uint8; what uint8 cannot hold becomes 254, which is no class.

    Args:
        values: uint8, or another real dtype with whole values (floats within a millionth of them);
            NaN stands for the fill value 255.
    """
    if values.dtype == np.uint8:
        return values
    if values.dtype.kind == "f":
        nearest, is_whole = round_to_whole(values)
        nearest = np.where(np.isnan(values), FILL_VALUE, np.where(is_whole, nearest, -1))
    else:
        nearest = values
    legal = (nearest >= 0) & (nearest <= FILL_VALUE)
    return np.where(legal, nearest, FILL_VALUE - 1).astype(np.uint8)


def count_classes(
    values: NDArray[np.uint8], chart: Chart, likely: Iterable[int] = ()
) -> NDArray[np.int64]:
    """Pixels per value of a chart.

    Comparing a cache-sized block with each of the few legal values is several times faster than
    ``np.bincount``, which first widens every pixel to eight bytes.

    Args:
        values: uint8, any shape.
        chart: which chart the values belong to.
        likely: values to look for first; counting ends when every pixel is counted.

    Returns:
        (256,) int64.
    """
    counts = np.zeros(256, np.int64)
    missing = values.size
    for value in dict.fromkeys((*likely, FILL_VALUE, *range(chart.n_classes))):
        if missing == 0:
            return counts
        counts[value] = np.count_nonzero(values == value)
        missing -= int(counts[value])
    if missing:
        counts[:] = np.bincount(values.ravel(), minlength=256)
    return counts


def _find_illegal(
    before: _Illegal | None,
    stored: NDArray[Any],
    values: NDArray[np.uint8],
    counts: NDArray[np.int64],
    chart: Chart,
) -> _Illegal | None:
    """Illegal values up to a strip: what is stored is named, not the 254 that it became."""
    pixels = int(counts.sum() - counts[list(chart.values)].sum())
    if before is None:
        if not pixels:
            return None
        first = stored[~np.isin(values, chart.values)][0]
        before = _Illegal(first, 0, 0)
    same = np.count_nonzero(stored == before.value)
    return _Illegal(before.value, before.same + int(same), before.pixels + pixels)
