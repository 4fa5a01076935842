"""``scenes.parquet``: one row per scene of a store. Derived; can be rebuilt from the scenes.

Only the modification times of the source files are not in the scenes, whose bytes must not depend
on them; they come from the previous index or the journal of a run, and are null where both are
lost.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from autoice_bench.charts import CHARTS
from autoice_bench.datasets.store.root import Store, compute_store_fingerprint
from autoice_bench.errors import StoreError
from autoice_bench.formats.decoding import decoding
from autoice_bench.formats.parquet_files import read_parquet
from autoice_bench.formats.plain_files import read_bytes
from autoice_bench.formats.scene_document import SceneDocument, read_scene_document
from autoice_bench.formats.store_layout import INDEX_NAME
from autoice_bench.formats.whole_files import write_whole

COUNT_COLUMNS: Final = tuple(f"{chart.name}_{value}" for chart in CHARTS for value in chart.values)

SCHEMA: Final = pa.schema(
    [
        ("scene_id", pa.string()),
        ("subset", pa.string()),
        ("ice_service", pa.string()),
        ("region", pa.string()),
        ("platform", pa.string()),
        ("orbit", pa.int64()),
        ("data_take", pa.string()),
        ("acquisition_time", pa.timestamp("us", tz="UTC")),
        ("sar_lines", pa.int64()),
        ("sar_samples", pa.int64()),
        ("footprint", pa.string()),
        ("has_charts", pa.bool_()),
        *((name, pa.int64()) for name in COUNT_COLUMNS),
        ("distance_zones_whole", pa.bool_()),
        ("rounding_error", pa.float64()),
        ("truth_sha256", pa.string()),
        *(
            (f"{which}_{field}", kind)
            for which in ("source", "reference")
            for field, kind in (
                ("name", pa.string()),
                ("bytes", pa.int64()),
                ("mtime_ns", pa.int64()),
                ("sha256", pa.string()),
            )
        ),
        ("stored_bytes", pa.int64()),
        ("zarr_json_sha256", pa.string()),
    ]
)


_COPIED: Final = (
    *("subset", "ice_service", "region", "platform", "orbit", "data_take", "footprint"),
    *("sar_lines", "sar_samples", "distance_zones_whole", "rounding_error", "truth_sha256"),
)
"""Columns that are attributes of the scene."""
_NEVER_NULL: Final = ("scene_id", "subset", "acquisition_time", "has_charts")
_MOST_SCENES: Final = 10_000_000


@dataclass(frozen=True)
class SourceTimes:
    """Modification times, in ns, of the files a scene was made from; None where not known."""

    source_mtime_ns: int | None = None
    reference_mtime_ns: int | None = None


def read_scene_attributes(store: Store, scene_id: str) -> tuple[dict[str, Any], bytes]:
    """Attributes of a scene's group, and the bytes of its ``zarr.json``.

    Raises:
        FileNotFoundError: there is no such scene.
        StoreError: the file is damaged.
    """
    document = read_scene_document(store.scene_path(scene_id))
    return document.attributes, document.content


def build_index(store: Store, times: Mapping[str, SourceTimes]) -> pa.Table:
    """Rebuild the index from the scenes.

    Args:
        store: an open store.
        times: modification times of the sources, as far as known.

    Returns:
        Table of ``SCHEMA``, one row per scene, sorted by scene id.

    Raises:
        StoreError: a scene's metadata is damaged.
    """
    rows = []
    for scene_id in store.scene_ids():
        document = read_scene_document(store.scene_path(scene_id))
        row = _row(document, times.get(scene_id, SourceTimes()))
        rows.append({**row, "scene_id": scene_id})
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def fingerprint_scenes(store: Store, table: pa.Table) -> str:
    """The store fingerprint that follows from the scenes of an index."""
    columns = ("scene_id", "source_sha256", "reference_sha256")
    rows = zip(*(table.column(name).to_pylist() for name in columns), strict=True)
    return compute_store_fingerprint(store.options, rows)


def write_index(store: Store, table: pa.Table) -> str:
    """Write ``scenes.parquet`` in one atomic step and return its SHA-256."""
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="snappy")
    content = buffer.getvalue()
    write_whole(store.index_path, content)
    return hashlib.sha256(content).hexdigest()


def read_index(store: Store) -> pd.DataFrame:
    """The store's index as a DataFrame, for everyone who needs it.

    It is rebuilt in memory where the file is missing, damaged or may lag behind the scenes.

    Raises:
        StoreError: a scene's metadata is damaged.
    """
    table = read_index_table(store)
    ids = list(store.scene_ids())
    if table is None or store.state != "complete" or table.column("scene_id").to_pylist() != ids:
        table = build_index(store, _times(table))
    frame: pd.DataFrame = table.to_pandas(
        types_mapper={pa.int64(): pd.Int64Dtype(), pa.string(): pd.StringDtype()}.get
    )
    return frame


def read_times(store: Store) -> dict[str, SourceTimes]:
    """Modification times that the index on disk records; empty where there is none."""
    return _times(read_index_table(store))


def read_index_table(store: Store) -> pa.Table | None:
    """``scenes.parquet`` as it is on disk; None where it is missing, damaged or of another form."""
    try:
        content = read_bytes(store.index_path)
        # A flipped byte of the values decodes to other values without an error.
        if store.index_sha256 not in (None, hashlib.sha256(content).hexdigest()):
            return None
        return _parse_index(content)
    except (OSError, StoreError):
        return None


def _parse_index(content: bytes) -> pa.Table | None:
    """The table that the bytes of an index hold; None where it is none that this module wrote.

    Raises:
        StoreError: they cannot be decoded.
    """
    with decoding(StoreError, INDEX_NAME):
        table = read_parquet(content, most_rows=_MOST_SCENES)
    if not table.schema.equals(SCHEMA):
        return None
    if any(table.column(name).null_count for name in _NEVER_NULL):
        return None
    # What pandas may have left there about itself is of no use, and may be anything.
    return table.replace_schema_metadata(None)


def _times(table: pa.Table | None) -> dict[str, SourceTimes]:
    if table is None:
        return {}
    columns = ["scene_id", "source_mtime_ns", "reference_mtime_ns"]
    return {row.pop("scene_id"): SourceTimes(**row) for row in table.select(columns).to_pylist()}


def _row(document: SceneDocument, times: SourceTimes) -> dict[str, Any]:
    attributes, content = document.attributes, document.content
    counts = attributes["class_counts"]
    row = dict.fromkeys(SCHEMA.names) | {name: attributes.get(name) for name in _COPIED}
    row |= {
        "acquisition_time": datetime.fromisoformat(attributes["acquisition_time"]),
        "has_charts": counts is not None,
        "stored_bytes": sum(file["bytes"] for file in attributes["files"].values()) + len(content),
        "zarr_json_sha256": hashlib.sha256(content).hexdigest(),
        "source_mtime_ns": times.source_mtime_ns,
        "reference_mtime_ns": times.reference_mtime_ns,
    }
    for which in ("source", "reference"):
        digest = attributes[which]
        if digest is not None:
            row |= {f"{which}_{field}": digest[field] for field in ("name", "bytes", "sha256")}
    if counts is not None:
        row |= {
            f"{chart.name}_{value}": counts[chart.name][str(value)]
            for chart in CHARTS
            for value in chart.values
        }
    return row
