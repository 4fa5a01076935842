"""The charts of a ready-to-train scene: read, validated and counted in one pass."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autoice_bench.charts import CHART_NAMES, CHARTS, FILL_VALUE, Chart
from autoice_bench.datasets.sources.buffers import BufferPool
from autoice_bench.errors import SceneError
from autoice_bench.formats.netcdf import NetcdfFile
from autoice_bench.formats.store_layout import CHARTS_ARRAY
from autoice_bench.wording import format_listing


def missing_charts(file: NetcdfFile) -> list[str]:
    """Names of the charts that a file does not hold."""
    return [name for name in CHART_NAMES if name not in file.variable_names]


def read_charts(
    scene_id: str,
    file: NetcdfFile,
    shape: tuple[int, int],
    warnings: list[str],
    pool: BufferPool,
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Read and validate the three charts of a scene.

    Args:
        scene_id: for messages.
        file: the scene or its reference.
        shape: (sar_lines, sar_samples).
        warnings: receives a remark where class 0 differs between the charts.
        pool: where the charts take their memory from.

    Returns:
        (3, sar_lines, sar_samples) uint8 classes, fill 255, and (3, 256) int64 pixels per value.

    Raises:
        SceneError: a chart is missing, of another shape or type, or holds what is no class.
        OSError: a chunk is truncated or corrupt.
    """
    charts = pool.empty(CHARTS_ARRAY.name, (len(CHARTS), *shape), np.uint8)
    counts = np.zeros((len(CHARTS), 256), np.int64)
    for index, chart in enumerate(CHARTS):
        if chart.name not in file.variable_names:
            raise SceneError(f"scene {scene_id}: {chart.name} is missing from the reference")
        if file.shape(chart.name) != shape:
            raise SceneError(
                f"scene {scene_id}: {chart.name} is {file.shape(chart.name)}; expected {shape}"
            )
        if file.dtype(chart.name).kind not in "uif":
            raise SceneError(
                f"scene {scene_id}: {chart.name} is {file.dtype(chart.name)}; expected uint8"
            )
        likely: list[int] = []
        for strip in file.strips(chart.name):
            values = whole_classes(strip.values)
            charts[index, strip.lines, strip.samples] = values
            of_strip = count_classes(values, chart, likely)
            likely = np.flatnonzero(of_strip).tolist()
            counts[index] += of_strip
        _validate_classes(scene_id, chart, counts[index])
    if len({*counts[:, 0].tolist()}) > 1:
        found = ", ".join(f"{name} {n}" for name, n in zip(CHART_NAMES, counts[:, 0], strict=True))
        warnings.append(f"class-0 pixels differ between charts ({found}); equal in released scenes")
    return charts, counts


def whole_classes(values: NDArray[Any]) -> NDArray[Any]:
    """Chart values as uint8; what uint8 cannot hold becomes 254, which is no class."""
    if values.dtype == np.uint8:
        return values
    filled = np.where(np.isnan(values), FILL_VALUE, values) if values.dtype.kind == "f" else values
    legal = (filled >= 0) & (filled <= FILL_VALUE) & (filled == np.rint(filled))
    return np.where(legal, filled, FILL_VALUE - 1).astype(np.uint8)


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


def _validate_classes(scene_id: str, chart: Chart, counts: NDArray[np.int64]) -> None:
    illegal = [int(value) for value in np.flatnonzero(counts) if value not in chart.values]
    if illegal:
        pixels = int(counts[illegal].sum())
        raise SceneError(
            f"scene {scene_id}: {chart.name} holds class {format_listing(illegal)} in {pixels} "
            f"pixels; expected 0-{chart.n_classes - 1} or fill {FILL_VALUE}"
        )
