"""The layout of a store on disk: format, version, folders, files, digests (docs/store.md)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from autoice_bench.charts import CHART_NAMES

FORMAT_NAME: Final = "autoice-bench store"

FORMAT_VERSION: Final = 1

SCENES: Final = "scenes"

SPLITS: Final = "splits"

PARTIAL: Final = ".partial"

INDEX_NAME: Final = "scenes.parquet"


def hash_charts(charts: Mapping[str, NDArray[np.uint8]]) -> str:
    """SHA-256 over the bytes of SIC, then SOD, then FLOE (C order), as hexadecimal."""
    digest = hashlib.sha256()
    for name in CHART_NAMES:
        digest.update(np.ascontiguousarray(charts[name]).data)
    return digest.hexdigest()
