from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from autoice_bench.formats.parquet_files import read_parquet


def encode(table: pa.Table, **options: object) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, **options)
    return buffer.getvalue()


def test_round_trip() -> None:
    table = pa.table({"a": [1, 2, None], "b": ["x", "y", "z"]})
    assert read_parquet(encode(table), most_rows=3).equals(table)


def test_rows_are_counted_before_they_are_decoded() -> None:
    content = encode(pa.table({"a": np.zeros(3_000_000, np.int64)}))
    assert len(content) < 20_000  # a run of zeros takes next to nothing
    with pytest.raises(ValueError, match=r"it declares 3,000,000 rows of .* bytes; expected fewer"):
        read_parquet(content, most_rows=1_000_000)


def test_pages_with_checksums_are_compared() -> None:
    content = bytearray(
        encode(pa.table({"a": list(range(1000))}), compression="none", use_dictionary=False,
               write_page_checksum=True)
    )  # fmt: skip
    content[3000] ^= 1
    with pytest.raises(OSError, match="CRC"):
        read_parquet(bytes(content), most_rows=1000)
