"""The charts of a ready-to-train scene: read, validated and counted in one pass."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from autoice_bench.charts import CHART_NAMES, CHARTS
from autoice_bench.datasets.sources.buffers import BufferPool
from autoice_bench.formats.chart_values import read_chart
from autoice_bench.formats.netcdf import NetcdfFile
from autoice_bench.formats.store_layout import CHARTS_ARRAY


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
        counts[index] = read_chart(scene_id, file, chart, charts[index])
    if len({*counts[:, 0].tolist()}) > 1:
        found = ", ".join(f"{name} {n}" for name, n in zip(CHART_NAMES, counts[:, 0], strict=True))
        warnings.append(f"class-0 pixels differ between charts ({found}); equal in released scenes")
    return charts, counts
