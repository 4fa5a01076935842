"""Parquet that may be damaged or of a stranger: its size is looked at before it is decoded."""

from __future__ import annotations

from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

_MOST_BYTES: Final = 2**32
"""Of a table in memory, by what the file says of its columns."""


def read_parquet(content: bytes, *, most_rows: int) -> pa.Table:
    """Decode a Parquet file from memory.

    A few bytes can stand for any number of equal values: the rows that the file declares are
    counted first. Checksums of its pages are compared where it has them.

    Args:
        content: the bytes of the file.
        most_rows: rows that a file of this kind may have.

    Raises:
        ValueError: it declares more rows or bytes.
        Exception: whatever pyarrow raises for a file that it cannot read.
    """
    file = pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True)
    metadata = file.metadata
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    n_rows = max(metadata.num_rows, sum(group.num_rows for group in groups))
    n_bytes = sum(group.total_byte_size for group in groups)
    if not 0 <= n_rows <= most_rows or not 0 <= n_bytes <= _MOST_BYTES:
        raise ValueError(f"it declares {n_rows:,} rows of {n_bytes:,} bytes; expected fewer")
    return file.read()
