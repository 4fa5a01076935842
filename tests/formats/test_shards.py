from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import pytest
import xarray as xr
import zarr
from zarr.codecs import BloscCodec, Crc32cCodec, ShardingCodec, ZstdCodec

from autoice_bench.charts import CHART_NAMES
from autoice_bench.errors import StoreError
from autoice_bench.formats.shards import parse_layout, read_shard
from autoice_bench.scoring.truth.store_truth import StoreTruth

VALUES = np.random.default_rng(0).integers(0, 256, (3, 21, 34)).astype(np.uint8)


def write_array(folder: Path, **options: Any) -> dict[str, Any]:
    """The values as zarr-python writes them: by default one shard of blosc chunks with crc32c."""
    settings: dict[str, Any] = {
        "shape": VALUES.shape,
        "dtype": "uint8",
        "chunks": (3, 8, 8),
        "shards": (3, 24, 40),
        "fill_value": 255,
        "compressors": [BloscCodec(cname="lz4", typesize=1), Crc32cCodec()],
    } | options
    zarr.create_array(str(folder), **settings)[...] = VALUES.astype(settings["dtype"])
    metadata: dict[str, Any] = json.loads((folder / "zarr.json").read_text())
    return metadata


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int64", "float16", "float32", "float64"])
def test_reads_what_zarr_writes(tmp_path: Path, dtype: str) -> None:
    metadata = write_array(tmp_path / "a", dtype=dtype)
    found = read_shard(tmp_path / "a", metadata)
    assert found is not None
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, VALUES)


def test_chunks_that_zarr_left_out_are_fill(tmp_path: Path) -> None:
    array = zarr.create_array(
        str(tmp_path / "a"),
        shape=(16, 16),
        dtype="uint8",
        chunks=(8, 8),
        shards=(16, 16),
        fill_value=255,
        compressors=[BloscCodec(cname="lz4", typesize=1), Crc32cCodec()],
    )
    array[:8, :8] = 7
    metadata = json.loads((tmp_path / "a/zarr.json").read_text())
    expected = np.full((16, 16), 255, np.uint8)
    expected[:8, :8] = 7
    np.testing.assert_array_equal(read_shard(tmp_path / "a", metadata), expected)


@pytest.mark.parametrize(
    "options",
    [
        {"dtype": "float32", "fill_value": float("nan")},
        {"shards": None},
        {"shards": (3, 16, 40)},
        {"shards": (3, 32, 40)},
        {"compressors": [BloscCodec(cname="lz4", typesize=1)]},
        {"compressors": [ZstdCodec(), Crc32cCodec()]},
        {"chunk_key_encoding": {"name": "default", "separator": "."}},
        {"chunk_key_encoding": {"name": "v2", "separator": "/"}},
    ],
)
def test_other_layouts_are_left_to_zarr(tmp_path: Path, options: dict[str, Any]) -> None:
    assert read_shard(tmp_path / "a", write_array(tmp_path / "a", **options)) is None


def test_index_at_the_start_is_left_to_zarr(tmp_path: Path) -> None:
    codec = ShardingCodec(
        chunk_shape=(3, 8, 8),
        codecs=[zarr.codecs.BytesCodec(), BloscCodec(cname="lz4", typesize=1), Crc32cCodec()],
        index_location="start",
    )
    options = {"chunks": (3, 24, 40), "shards": None, "serializer": codec, "compressors": None}
    assert read_shard(tmp_path / "a", write_array(tmp_path / "a", **options)) is None


def test_any_flipped_byte_is_found(tmp_path: Path) -> None:
    metadata = write_array(tmp_path / "a")
    shard = tmp_path / "a/c/0/0/0"
    content = shard.read_bytes()
    for position in np.linspace(0, len(content) - 1, 40).astype(int):
        damaged = bytearray(content)
        damaged[position] ^= 0x10
        shard.write_bytes(damaged)
        with pytest.raises(ValueError, match="damaged: its checksum differs"):
            read_shard(tmp_path / "a", metadata)


@pytest.mark.parametrize(
    "entry", [(-2, 10), (0, -5), (10**17, 10), (0, 10**17), (2**63 - 1, 2**63 - 1), (-1, 10**17)]
)
def test_index_of_bytes_outside_the_shard_is_refused(
    tmp_path: Path, entry: tuple[int, int]
) -> None:
    """With the right checksum, as a stranger may write it."""
    metadata = write_array(tmp_path / "a")
    shard = tmp_path / "a/c/0/0/0"
    content = shard.read_bytes()
    index = np.frombuffer(content[-15 * 16 - 4 : -4], "<i8").copy()
    index[:2] = entry
    body = index.tobytes()
    shard.write_bytes(
        content[: -len(body) - 4] + body + google_crc32c.value(body).to_bytes(4, "little")
    )
    if entry[0] == -1:  # a chunk that was not written
        found = read_shard(tmp_path / "a", metadata)
        assert found is not None
        assert (found[:, :8, :8] == 255).all()
        return
    with pytest.raises(ValueError, match="the index of the shard names bytes outside of it"):
        read_shard(tmp_path / "a", metadata)


def test_a_shape_that_the_file_cannot_hold_asks_for_no_memory(tmp_path: Path) -> None:
    metadata = write_array(tmp_path / "a")
    sharding = metadata["codecs"][0]["configuration"]
    metadata["shape"] = [3, 10**9, 10**9]
    sharding["chunk_shape"] = [3, 10**9, 10**9 // 8]
    metadata["chunk_grid"]["configuration"]["chunk_shape"] = [3, 10**9, 10**9]
    with pytest.raises(ValueError, match="the index of the shard is damaged"):
        read_shard(tmp_path / "a", metadata)


@pytest.mark.parametrize("wrong", [None, [], {}, "x", -1, 0, 1e300, True, [0, 0, 0], [3, 8]])
def test_wrong_types_are_no_layout_of_ours(tmp_path: Path, wrong: object) -> None:
    metadata = write_array(tmp_path / "a")
    sharding = metadata["codecs"][0]["configuration"]
    spots: list[tuple[dict[str, Any], str]] = [
        *((metadata, name) for name in ("shape", "data_type", "fill_value", "chunk_grid")),
        *((metadata, name) for name in ("chunk_key_encoding", "codecs")),
        (metadata["chunk_grid"]["configuration"], "chunk_shape"),
        (metadata["chunk_key_encoding"], "configuration"),
        *((sharding, name) for name in ("chunk_shape", "codecs", "index_codecs")),
        (sharding["codecs"][0], "configuration"),
    ]
    for node, name in spots:
        before = node.get(name)
        node[name] = wrong
        if name not in ("fill_value", "configuration"):
            assert parse_layout(metadata) is None
        else:
            parse_layout(metadata)
        node[name] = before


@pytest.mark.parametrize("n_bytes", [0, 3, 50, 500])
def test_truncated_shard_is_found(tmp_path: Path, n_bytes: int) -> None:
    metadata = write_array(tmp_path / "a")
    shard = tmp_path / "a/c/0/0/0"
    shard.write_bytes(shard.read_bytes()[:n_bytes])
    with pytest.raises(ValueError, match="shard"):
        read_shard(tmp_path / "a", metadata)


def test_reads_prepared_scenes_as_xarray_does(prepared_store: Path) -> None:
    truth = StoreTruth(prepared_store)
    for scene in truth.select("official", "train"):
        folder = prepared_store / "scenes" / scene.scene_id
        metadata = json.loads((folder / "charts/zarr.json").read_text())
        assert read_shard(folder / "charts", metadata) is not None
        charts = truth.read(scene.scene_id)
        with xr.open_zarr(folder) as stored:
            for name in CHART_NAMES:
                expected = stored["charts"].sel(chart=name).values
                np.testing.assert_array_equal(charts[name], expected)


def test_damage_to_a_prepared_scene_is_told(prepared_store: Path, tmp_path: Path) -> None:
    store = Path(shutil.copytree(prepared_store, tmp_path / "copy.zarr"))
    scene = StoreTruth(store).select("official", "test")[0]
    shard = next(path for path in (store / "scenes" / scene.scene_id / "charts/c").rglob("0"))
    shard = next(path for path in shard.parent.rglob("*") if path.is_file())
    content = bytearray(shard.read_bytes())
    content[100] ^= 1
    shard.write_bytes(content)
    with pytest.raises(StoreError, match=f"{scene.scene_id}.*the charts cannot be read.*damaged"):
        StoreTruth(store).read(scene.scene_id)
