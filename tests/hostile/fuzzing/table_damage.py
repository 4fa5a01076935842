"""Damage to Parquet tables that knows their structure."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.hostile.fuzzing.cases import Rng
from tests.hostile.fuzzing.document_damage import ESCAPE, FORGED

_TYPES: Final[tuple[Any, ...]] = (
    *(pa.string(), pa.large_string(), pa.binary(), pa.int8(), pa.int32(), pa.uint64(), pa.bool_()),
    *(pa.float32(), pa.float64(), pa.timestamp("ns"), pa.date32(), pa.null(), pa.decimal128(38, 2)),
)
_NUMBERS: Final = (0, -1, 1, 2**31, 2**53, 2**63 - 1, -(2**63))
_TEXTS: Final = ("", ESCAPE, f"a\n{FORGED}", "../x", "=1+1", "\x00", "SIC", "y" * 100_000)

KEPT: Final = ("shuffle rows", "other compression", "reverse columns")
"""Kinds of damage that leave every value as it is."""


def damage_table(rng: Rng, content: bytes) -> tuple[bytes, str]:
    """A Parquet file that differs from one in structure or values, and the kind of damage."""
    table = pq.read_table(pa.BufferReader(content))
    kind = _KINDS[int(rng.integers(len(_KINDS)))]
    if kind == "not parquet":
        return (b"a,b\n1,2\n" if rng.random() < 0.5 else b"PAR1" + bytes(64) + b"PAR1"), kind
    column = int(rng.integers(table.num_columns))
    name = table.column_names[column]
    options: dict[str, Any] = {}
    if kind == "other compression":
        options["compression"] = str(rng.choice(["none", "gzip", "zstd", "lz4", "brotli"]))
    changed = _CHANGES[kind](rng, table, column) if kind in _CHANGES else table
    return _to_bytes(changed, options), f"{kind} ({name})"


def _to_bytes(table: pa.Table, options: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, **options)
    return buffer.getvalue()


def _rename(rng: Rng, table: pa.Table, column: int) -> pa.Table:
    names = [*table.column_names]
    names[column] = str(rng.choice([names[column].upper(), "", ESCAPE, names[column] + " "]))
    return table.rename_columns(names)


def _null_somewhere(rng: Rng, table: pa.Table, column: int) -> pa.Table:
    mask = np.zeros(table.num_rows, bool)
    mask[int(rng.integers(table.num_rows))] = True
    return _put(table, column, _set_where(table.column(column), mask, None))


def _drop_a_row(_: Rng, table: pa.Table, __: int) -> pa.Table:
    size = table.num_rows
    return pa.concat_tables([table.slice(0, size - 2), table.slice(size - 1)])


def _pandas_metadata(rng: Rng, table: pa.Table, _: int) -> pa.Table:
    texts = (b"[[[", b"{}", b'{"index_columns": ["x"], "columns": 3}', b"\xff", b"null")
    return table.replace_schema_metadata({b"pandas": texts[int(rng.integers(len(texts)))]})


def _nest(rng: Rng, table: pa.Table, column: int) -> pa.Table:
    kinds = (pa.list_(pa.int64()), pa.struct([("x", pa.int64())]), pa.map_("string", "int8"))
    empty = pa.nulls(table.num_rows, kinds[int(rng.integers(len(kinds)))])
    return _put(table, column, empty)


def _put(table: pa.Table, column: int, values: Any) -> pa.Table:
    return table.set_column(column, table.column_names[column], values)


def _find_texts(rng: Rng, table: pa.Table) -> int:
    found = [i for i, field in enumerate(table.schema) if pa.types.is_string(field.type)]
    return int(rng.choice(found or [0]))


def _set_value(rng: Rng, table: pa.Table, column: int) -> pa.Table:
    values = table.column(column)
    mask = np.zeros(table.num_rows, bool)
    mask[int(rng.integers(table.num_rows))] = True
    if pa.types.is_integer(values.type):
        new: Any = _NUMBERS[int(rng.integers(len(_NUMBERS)))]
    elif pa.types.is_floating(values.type):
        new = float(rng.choice([np.nan, np.inf, -np.inf, 1e308, 99.9, -1.0]))
    elif pa.types.is_string(values.type):
        new = _TEXTS[int(rng.integers(len(_TEXTS)))]
    else:
        new = None
    return _put(table, column, _set_where(values, mask, new))


def _set_where(values: pa.ChunkedArray, mask: np.ndarray, new: Any) -> pa.Array:
    listed = [
        new if chosen else value for value, chosen in zip(values.to_pylist(), mask, strict=True)
    ]
    return pa.array(listed, values.type)


def _retype(rng: Rng, table: pa.Table, column: int) -> pa.Table:
    return _put(table, column, _cast(rng, table.column(column)))


def _cast(rng: Rng, values: pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    if rng.random() < 0.2:
        return values.dictionary_encode()
    kind = _TYPES[int(rng.integers(len(_TYPES)))]
    try:
        return values.cast(kind)
    except (pa.ArrowException, NotImplementedError):
        return pa.nulls(len(values), kind)


_CHANGES: Final[dict[str, Callable[[Rng, pa.Table, int], pa.Table]]] = {
    "change a value": _set_value,
    "drop a column": lambda rng, table, column: table.remove_column(column),
    "rename a column": _rename,
    "repeat a column": lambda rng, table, column: table.append_column(
        table.column_names[column], table.column(column)
    ),
    "add a column": lambda rng, table, column: table.append_column(
        "added", pa.array([ESCAPE] * table.num_rows)
    ),
    "reverse columns": lambda rng, table, column: table.select(table.column_names[::-1]),
    "another type": _retype,
    "nulls": lambda rng, table, column: _put(
        table, column, pa.nulls(table.num_rows, table.column(column).type)
    ),
    "a null": _null_somewhere,
    "no rows": lambda rng, table, column: table.slice(0, 0),
    "rows twice": lambda rng, table, column: pa.concat_tables([table, table]),
    "many rows": lambda rng, table, column: pa.concat_tables([table] * int(rng.choice([50, 2000]))),
    "shuffle rows": lambda rng, table, column: table.take(
        pa.array(rng.permutation(table.num_rows))
    ),
    "drop a row": _drop_a_row,
    "pandas metadata": _pandas_metadata,
    "arrow metadata": lambda rng, table, column: table.replace_schema_metadata(
        {b"ARROW:schema": rng.bytes(50), b"\xff": b"\xff"}
    ),
    "nested columns": _nest,
    "odd text": lambda rng, table, column: _set_value(rng, table, _find_texts(rng, table)),
}
_KINDS: Final = (
    *_CHANGES,
    *("change a value", "another type") * 3,
    *("other compression", "not parquet"),
)
