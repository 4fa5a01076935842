"""The two Parquet tables of a submission: their schemas, writing and strict reading.

What a file says of its own size is compared with what the submission's scenes allow before anything
is decoded: a file of a few kB may declare billions of rows.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from autoice_bench.charts import CHARTS
from autoice_bench.errors import LeaderboardError
from autoice_bench.formats.decoding import decoding
from autoice_bench.formats.document_schema import show
from autoice_bench.formats.plain_files import require_file
from autoice_bench.wording import is_printable

if TYPE_CHECKING:
    import pandas as pd

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
"""Columns of the scores that say, with the class, what a row is about."""

HISTOGRAMS_SCHEMA: Final = pa.schema(
    [
        ("scene_id", pa.string()),
        ("chart", pa.string()),
        ("truth_class", pa.int64()),
        ("prediction_class", pa.int64()),
        ("n_pixels", pa.int64()),
    ]
)


_NEVER_EMPTY: Final = frozenset({*KEY_COLUMNS, *HISTOGRAMS_SCHEMA.names})

_ROWS_OF_GROUP: Final = 520
"""Most scores of a group of scenes: four times those there are, for metrics to come."""
_GROUPS_BESIDE_SCENES: Final = 30
"""Groups of all scenes, services, months and seasons, and the worst of each kind; with room."""
_CELLS: Final = sum(chart.n_classes * (chart.n_classes + 1) for chart in CHARTS)
_BASE_BYTES: Final = 1 << 20
_BYTES_PER_ROW: Final = 100
_DECODED_BYTES_PER_ROW: Final = 1000
_LONGEST_TEXT: Final = 1000
_MOST_PIXELS: Final = 10**10
"""Of a scene."""
_NOT_ONCE: Final = HISTOGRAMS_FILE + " does not hold each {} cell once"


def build_histogram_table(
    histograms: Mapping[str, NDArray[np.int64]], scene_ids: Sequence[str]
) -> pa.Table:
    """Joint histograms as rows: every cell of every scene and chart, zeros included.

    Args:
        histograms: chart name to (n_scenes, C, C + 1) counts.
        scene_ids: the scenes, in the order of the counts.
    """
    keys = _histogram_keys(scene_ids)
    counts = np.concatenate([histograms[chart.name].reshape(-1) for chart in CHARTS])
    return pa.table({**keys, "n_pixels": counts}, schema=HISTOGRAMS_SCHEMA)


def _histogram_keys(scene_ids: Sequence[str]) -> dict[str, NDArray[Any]]:
    """The columns that say what a cell is of, chart by chart, scene by scene, row by row."""
    ids = np.array(scene_ids, object)
    columns: dict[str, list[NDArray[Any]]] = {
        name: [] for name in ("scene_id", "chart", "truth_class", "prediction_class")
    }
    for chart in CHARTS:
        shape = (len(scene_ids), chart.n_classes, chart.n_classes + 1)
        scene, truth_class, prediction_class = np.indices(shape).reshape(3, -1)
        columns["scene_id"].append(ids[scene])
        columns["chart"].append(np.full(scene.size, chart.name, object))
        columns["truth_class"].append(truth_class)
        columns["prediction_class"].append(prediction_class)
    return {name: np.concatenate(parts) for name, parts in columns.items()}


def build_scores_table(scores: pd.DataFrame) -> pa.Table:
    """Scores as they are written; see ``scores.build_scores``."""
    return pa.Table.from_pandas(scores, schema=SCORES_SCHEMA, preserve_index=False)


def write_table(table: pa.Table, path: Path) -> None:
    """Write a table with its columns and types, and nothing else."""
    # Without the metadata of pandas the file tells every reader the same.
    pq.write_table(table.replace_schema_metadata(None), path)


def read_scores(
    folder: Path, sha256: str, n_scenes: int, columns: Sequence[str] | None = None
) -> pa.Table:
    """Read a submission's scores.

    Args:
        folder: the submission's.
        sha256: what the file's digest must be.
        n_scenes: scenes that the submission lists.
        columns: those wanted; None for all.

    Returns:
        The columns, texts as dictionaries; each column in one piece.

    Raises:
        FileNotFoundError: there is no file.
        LeaderboardError: it is damaged, has other columns, types or sizes, or holds what no score
            is: rows without a key, infinite values, control characters.
        OSError: it cannot be read.
    """
    groups = 2 * n_scenes + _GROUPS_BESIDE_SCENES
    table = _read_table(
        folder / SCORES_FILE, SCORES_SCHEMA, sha256, groups * _ROWS_OF_GROUP, columns
    )
    for name in ("value", "ci_low", "ci_high"):
        if name in table.column_names and np.isinf(as_array(table, name)).any():
            raise LeaderboardError(f"{SCORES_FILE} holds infinite values of {name}")
    return table


def read_histograms(
    folder: Path, sha256: str, scene_ids: Sequence[str]
) -> dict[str, NDArray[np.int64]]:
    """Read a submission's joint histograms: the inverse of ``build_histogram_table``.

    Args:
        folder: the submission's.
        sha256: what the file's digest must be.
        scene_ids: the scenes that the submission lists.

    Returns:
        Chart name to (n_scenes, C, C + 1) counts.

    Raises:
        FileNotFoundError: there is no file.
        LeaderboardError: it is damaged, has other columns, types or sizes, a cell is missing,
            double or negative, or one is none of a listed scene's.
        OSError: it cannot be read.
    """
    most = len(scene_ids) * _CELLS
    table = _read_table(folder / HISTOGRAMS_FILE, HISTOGRAMS_SCHEMA, sha256, most)
    keys = {name: as_array(table, name) for name in HISTOGRAMS_SCHEMA.names}
    counts = keys.pop("n_pixels")
    expected = _histogram_keys(scene_ids)
    if not all(np.array_equal(keys[name], column) for name, column in expected.items()):
        # Other programs may write the rows in another order.
        counts = counts[_order_of_cells(keys, scene_ids)]
    histograms: dict[str, NDArray[np.int64]] = {}
    start = 0
    for chart in CHARTS:
        shape = (len(scene_ids), chart.n_classes, chart.n_classes + 1)
        stop = start + math.prod(shape)
        if (counts[start:stop] < 0).any():
            raise LeaderboardError(f"{HISTOGRAMS_FILE} holds negative counts of {chart.name}")
        if (counts[start:stop] > _MOST_PIXELS).any():  # sums of more could overflow
            raise LeaderboardError(
                f"{HISTOGRAMS_FILE} holds counts of {chart.name} above {_MOST_PIXELS}"
            )
        histograms[chart.name] = counts[start:stop].reshape(shape)
        start = stop
    return histograms


def require_histograms(folder: Path, sha256: str, n_scenes: int) -> None:
    """Check that a submission's joint histograms are there, with their digest; nothing is decoded.

    Raises:
        FileNotFoundError, LeaderboardError, OSError: as ``read_histograms``.
    """
    _read_bytes(folder / HISTOGRAMS_FILE, sha256, n_scenes * _CELLS)


def as_array(table: pa.Table, name: str) -> NDArray[Any]:
    """A column as an array: texts as objects, None or NaN where there is no value."""
    column = _whole_column(table, name)
    if pa.types.is_dictionary(column.type):
        words, indices = _split_texts(column)
        decoded: NDArray[Any] = np.array(words, object)[indices]
        return decoded
    values, valid = _split_numbers(column)
    return values if valid is None else np.where(valid, values, np.nan)


def is_one_of(table: pa.Table, name: str, texts: Container[str | None]) -> NDArray[np.bool_]:
    """Where a column of texts holds one of these: (rows,)."""
    words, indices = _split_texts(_whole_column(table, name))
    among: NDArray[np.bool_] = np.array([word in texts for word in words])[indices]
    return among


def _whole_column(table: pa.Table, name: str) -> pa.Array:
    column = table.column(name)
    if column.num_chunks == 1:
        return column.chunk(0)
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def _split_texts(column: pa.DictionaryArray) -> tuple[list[str | None], NDArray[np.int64]]:
    """The texts of a column, None last, and which of them each row holds."""
    words = [*column.dictionary.to_pylist(), None]
    indices, valid = _split_numbers(column.indices)
    return words, indices if valid is None else np.where(valid, indices, len(words) - 1)


def _split_numbers(column: pa.Array) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """The values of a column of numbers, and where there is one; None for everywhere.

    Straight from its memory: ``to_numpy`` would load pandas, which takes as long as hundreds of
    submissions.
    """
    bits, data = column.buffers()
    dtype = np.dtype(column.type.to_pandas_dtype())
    if data is None:
        return np.zeros(0, dtype), None
    values = np.frombuffer(data, dtype, len(column), column.offset * dtype.itemsize)
    if bits is None or not column.null_count:
        return values, None
    unpacked = np.unpackbits(np.frombuffer(bits, np.uint8), bitorder="little")
    return values, unpacked[column.offset : column.offset + len(column)].astype(bool)


def _read_table(
    path: Path,
    schema: pa.Schema,
    sha256: str,
    most_rows: int,
    columns: Sequence[str] | None = None,
) -> pa.Table:
    content = _read_bytes(path, sha256, most_rows)
    texts = [field.name for field in schema if pa.types.is_string(field.type)]
    with decoding(LeaderboardError, path.name):
        file = pq.ParquetFile(pa.BufferReader(content), read_dictionary=texts)
        _require_expected(file, path.name, schema, most_rows)
        table = file.read(columns=columns, use_threads=False).unify_dictionaries()
        table.validate(full=True)
    if table.num_rows != file.metadata.num_rows:
        raise LeaderboardError(
            f"{path.name} holds {table.num_rows} rows; it says {file.metadata.num_rows}"
        )
    _require_sound(table, path.name)
    return table


def _read_bytes(path: Path, sha256: str, most_rows: int) -> bytes:
    """A file's content, its size and digest as expected."""
    size = require_file(path).stat().st_size
    most_bytes = _BASE_BYTES + most_rows * _BYTES_PER_ROW
    if size > most_bytes:
        raise LeaderboardError(f"{path.name} has {size} bytes; expected at most {most_bytes}")
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise LeaderboardError(
            f"{path.name} does not have the SHA-256 that submission.json records: it was damaged "
            "or changed"
        )
    return content


def _require_expected(file: pq.ParquetFile, name: str, schema: pa.Schema, most_rows: int) -> None:
    """Check what a file says of itself, before anything is decoded."""
    found = file.metadata.schema.to_arrow_schema()
    if not found.equals(schema):
        raise LeaderboardError(f"{name} has columns {found.names} or types of another format")
    n_rows = file.metadata.num_rows
    if not 0 <= n_rows <= most_rows:
        raise LeaderboardError(f"{name} says it has {n_rows} rows; expected at most {most_rows}")
    groups = [file.metadata.row_group(index) for index in range(file.metadata.num_row_groups)]
    decoded = [
        group.column(index).total_uncompressed_size
        for group in groups
        for index in range(group.num_columns)
    ]
    most_bytes = _BASE_BYTES + most_rows * _DECODED_BYTES_PER_ROW
    if sum(group.num_rows for group in groups) != n_rows or min(decoded, default=0) < 0:
        raise LeaderboardError(f"{name}: its parts do not add up to its rows")
    if sum(decoded) > most_bytes:
        raise LeaderboardError(
            f"{name} says it takes {sum(decoded)} bytes decoded; expected at most {most_bytes}"
        )


def _require_sound(table: pa.Table, name: str) -> None:
    """Check texts, and that every row says what it is about."""
    for field in table.schema:
        column = table.column(field.name)
        if field.name in _NEVER_EMPTY and column.null_count:
            raise LeaderboardError(f"{name} holds a row without {field.name}")
        if pa.types.is_dictionary(field.type):
            for chunk in column.chunks[:1]:  # unified: every chunk has the same dictionary
                for text in chunk.dictionary.to_pylist():
                    _require_text(text, f"{name}: {field.name}")


def _require_text(text: str | None, where: str) -> None:
    if text is not None and not (is_printable(text) and len(text) <= _LONGEST_TEXT):
        raise LeaderboardError(
            f"{where} is {show(text)}; expected text without control characters, at most "
            f"{_LONGEST_TEXT} characters"
        )


def _order_of_cells(
    keys: Mapping[str, NDArray[Any]], scene_ids: Sequence[str]
) -> NDArray[np.int64]:
    """Which row holds each cell, in the order of ``_histogram_keys``."""
    position = {scene_id: index for index, scene_id in enumerate(scene_ids)}
    unknown = set(keys["scene_id"]) - set(position)
    if unknown:
        raise LeaderboardError(
            f"{HISTOGRAMS_FILE} holds scene {show(min(unknown))}, which is not listed"
        )
    scenes = np.array([position[scene_id] for scene_id in keys["scene_id"]], np.int64)
    order = []
    for chart in CHARTS:
        rows = np.flatnonzero(keys["chart"] == chart.name)
        shape = (len(scene_ids), chart.n_classes, chart.n_classes + 1)
        places = (scenes[rows], keys["truth_class"][rows], keys["prediction_class"][rows])
        within = [(each >= 0) & (each < size) for each, size in zip(places, shape, strict=True)]
        if len(rows) != math.prod(shape) or not np.logical_and.reduce(within).all():
            raise LeaderboardError(_NOT_ONCE.format(chart.name))
        flat = np.ravel_multi_index(places, shape)
        if len(np.unique(flat)) != len(flat):
            raise LeaderboardError(_NOT_ONCE.format(chart.name))
        order.append(rows[np.argsort(flat)])
    return np.concatenate(order)
