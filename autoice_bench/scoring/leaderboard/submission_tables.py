"""The two Parquet tables of a submission: their schemas, writing and strict reading."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from autoice_bench.charts import CHARTS
from autoice_bench.formats.plain_files import read_bytes, require_file
from autoice_bench.wording import is_printable

SCORES_FILE: Final = "scores.parquet"
HISTOGRAMS_FILE: Final = "histograms.parquet"

SCORES_SCHEMA: Final = pa.schema(
    [
        ("submission", pa.string()),
        ("split", pa.string()),
        ("chart", pa.string()),
        ("metric", pa.string()),
        ("group_kind", pa.string()),
        ("group_name", pa.string()),
        ("class_index", pa.int64()),
        ("value", pa.float64()),
        ("unit", pa.string()),
        ("ci_low", pa.float64()),
        ("ci_high", pa.float64()),
        ("n_pixels", pa.int64()),
        ("n_scenes", pa.int64()),
        ("reason", pa.string()),
        ("truth_fingerprint", pa.string()),
    ]
)
KEY_COLUMNS: Final = ("chart", "metric", "group_kind", "group_name")
"""Columns of the scores that say, with the class, what a row is about; never empty."""

HISTOGRAMS_SCHEMA: Final = pa.schema(
    [
        ("scene_id", pa.string()),
        ("chart", pa.string()),
        ("truth_class", pa.int64()),
        ("prediction_class", pa.int64()),
        ("n_pixels", pa.int64()),
    ]
)


def build_histogram_table(
    histograms: Mapping[str, NDArray[np.int64]], scene_ids: Sequence[str]
) -> pd.DataFrame:
    """Joint histograms as rows: every cell of every scene and chart, zeros included.

    Args:
        histograms: chart name to (n_scenes, C, C + 1) counts.
        scene_ids: the scenes, in the order of the counts.
    """
    ids = np.array(scene_ids)
    tables = []
    for chart in CHARTS:
        counts = histograms[chart.name]
        scene, truth_class, prediction_class = np.indices(counts.shape).reshape(3, -1)
        tables.append(
            pd.DataFrame(
                {
                    "scene_id": ids[scene],
                    "chart": chart.name,
                    "truth_class": truth_class,
                    "prediction_class": prediction_class,
                    "n_pixels": counts.reshape(-1),
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def write_table(table: pd.DataFrame, schema: pa.Schema, path: Path) -> None:
    """Write a table with exactly the columns and types of ``schema``."""
    # Without the pandas metadata the file tells every reader the same.
    arrow = pa.Table.from_pandas(table, schema=schema, preserve_index=False)
    pq.write_table(arrow.replace_schema_metadata(None), path)


def read_table(path: Path, schema: pa.Schema) -> pd.DataFrame:
    """Read a table written by ``write_table``.

    Raises:
        FileNotFoundError: there is none.
        ValueError: its columns or types are others, or a row does not say what it is about
            (``pyarrow.ArrowException`` or ``OSError`` if it is damaged).
    """
    with require_file(path).open("rb") as file:  # a missing file is told apart from a damaged one
        table = pq.read_table(file)
    if not table.schema.equals(schema):
        raise ValueError(f"{path.name} has columns {table.schema.names} or types of another format")
    for column in KEY_COLUMNS:
        if column in table.column_names and table[column].null_count:
            raise ValueError(f"{path.name} holds a row without {column}")
    for column in table.column_names:
        if pa.types.is_string(table.schema.field(column).type):
            for text in table[column].unique().to_pylist():
                if text is not None and not is_printable(text):
                    raise ValueError(
                        f"{path.name}: {column} is {text!r}; expected text without control "
                        "characters"
                    )
    frame: pd.DataFrame = table.to_pandas()
    return frame.astype({"class_index": "Int64"}) if "class_index" in frame else frame


def parse_histogram_table(
    table: pd.DataFrame, scene_ids: Sequence[str]
) -> dict[str, NDArray[np.int64]]:
    """Inverse of ``build_histogram_table``.

    Raises:
        ValueError: a cell is missing, double, negative or none of a listed scene's.
    """
    unknown = set(table["scene_id"]) - set(scene_ids)
    if unknown:
        raise ValueError(f"{HISTOGRAMS_FILE} holds scene {min(unknown)}, which is not listed")
    index = {scene_id: position for position, scene_id in enumerate(scene_ids)}
    histograms: dict[str, NDArray[np.int64]] = {}
    for chart in CHARTS:
        rows = table[table["chart"] == chart.name]
        shape = (len(scene_ids), chart.n_classes, chart.n_classes + 1)
        positions = (
            rows["scene_id"].map(index).to_numpy(np.int64),
            rows["truth_class"].to_numpy(np.int64),
            rows["prediction_class"].to_numpy(np.int64),
        )
        flat = np.ravel_multi_index(positions, shape)
        if len(np.unique(flat)) != len(flat) or len(flat) != np.prod(shape):
            raise ValueError(f"{HISTOGRAMS_FILE} does not hold each {chart.name} cell once")
        if (rows["n_pixels"] < 0).any():
            raise ValueError(f"{HISTOGRAMS_FILE} holds negative counts of {chart.name}")
        counts = np.zeros(shape, np.int64)
        counts.reshape(-1)[flat] = rows["n_pixels"].to_numpy(np.int64)
        histograms[chart.name] = counts
    return histograms


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes, as hexadecimal."""
    return hashlib.sha256(read_bytes(path)).hexdigest()
