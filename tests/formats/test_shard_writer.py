"""Shards are plain Zarr v3: other readers get the values back, and no damage passes unnoticed."""

from __future__ import annotations

import hashlib
import json
import struct
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import pytest
import tensorstore
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from autoice_bench.formats.shard_writer import (
    ArraySpec,
    Codec,
    Shuffle,
    WrittenArray,
    dump_json,
    group_metadata,
    write_array,
    write_strings,
)
from autoice_bench.formats.shards import ZARR_METADATA

DTYPES = ("uint8", "uint32", "int64", "float16", "float32", "float64")
SHUFFLES: tuple[Shuffle, ...] = ("noshuffle", "shuffle", "bitshuffle")


def make_spec(ndim: int, inner: tuple[int, ...], **changes: Any) -> ArraySpec:
    dims = tuple(f"d{axis}" for axis in range(ndim))
    fields = {"fill_value": 0, "codec": Codec(), "attributes": {"units": "1"}, **changes}
    return ArraySpec("x", dims, inner, **fields)


def make_values(shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
    values: NDArray[Any] = np.random.default_rng(0).integers(0, 200, shape).astype(dtype)
    return values


def read_tensorstore(path: Path) -> NDArray[Any]:
    spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": f"{path}/"}}
    values: NDArray[Any] = tensorstore.open(spec, read=True).result().read().result()
    return values


def shard_of(group: Path, written: WrittenArray) -> Path:
    return group / written.files[1].path


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_any_shape_and_chunk_is_read_back_by_zarr_and_tensorstore(data: st.DataObject) -> None:
    ndim = data.draw(st.integers(1, 4))
    axis = st.integers(1, 12)
    shape = data.draw(st.tuples(*[axis] * ndim))
    inner = data.draw(st.tuples(*[axis] * ndim))
    values = make_values(shape, data.draw(st.sampled_from(DTYPES)))
    codec = Codec(
        cname=data.draw(st.sampled_from(["lz4", "zstd"])),
        clevel=data.draw(st.integers(0, 9)),
        shuffle=data.draw(st.sampled_from(SHUFFLES)),
    )
    with tempfile.TemporaryDirectory() as folder:
        write_array(Path(folder), values, make_spec(ndim, inner, codec=codec))
        array = zarr.open_array(Path(folder, "x"), mode="r")
        for found in (np.asarray(array[...]), read_tensorstore(Path(folder, "x"))):
            assert found.dtype == values.dtype
            np.testing.assert_array_equal(found, values)
    assert array.chunks == tuple(min(edge, size) for edge, size in zip(inner, shape, strict=True))
    assert array.metadata.dimension_names == tuple(f"d{axis}" for axis in range(ndim))  # type: ignore[union-attr]
    assert dict(array.attrs) == {"units": "1"}


def test_zarrs_reads_it_too(tmp_path: Path) -> None:
    expected = {}
    for dtype in DTYPES:
        values = make_values((3, 37, 41), dtype)
        spec = make_spec(3, (3, 16, 16), codec=Codec(shuffle="shuffle"))
        write_array(tmp_path, values, ArraySpec(**{**vars(spec), "name": dtype}))
        expected[dtype] = hashlib.sha256(values.tobytes()).hexdigest()
    # The codec pipeline is a setting of the whole process.
    script = (
        "import hashlib, sys, zarr, zarrs, numpy as np\n"
        "zarr.config.set({'codec_pipeline.path': 'zarrs.ZarrsCodecPipeline'})\n"
        "for name in sys.argv[2:]:\n"
        "    values = np.asarray(zarr.open_array(f'{sys.argv[1]}/{name}', mode='r')[...])\n"
        "    print(name, values.dtype, hashlib.sha256(values.tobytes()).hexdigest())\n"
    )
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, str(tmp_path), *DTYPES],
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.splitlines() == [f"{name} {name} {expected[name]}" for name in DTYPES]


def test_values_need_not_be_contiguous(tmp_path: Path) -> None:
    values = make_values((20, 30, 3), "float32").transpose(2, 1, 0)[:, ::2]
    write_array(tmp_path, values, make_spec(3, (3, 8, 8)))
    np.testing.assert_array_equal(np.asarray(zarr.open_array(tmp_path / "x")[...]), values)


def test_special_floats_keep_their_bits(tmp_path: Path) -> None:
    bits = np.array([0x0000, 0x8000, 0x0001, 0x8001, 0x7BFF, 0x7C00, 0xFC00, 0x7E01], np.uint16)
    write_array(tmp_path, bits.view(np.float16), make_spec(1, (3,), fill_value=0.0))
    found = np.asarray(zarr.open_array(tmp_path / "x", mode="r")[...])
    np.testing.assert_array_equal(found.view(np.uint16), bits)


def parse_index(content: bytes, grid: tuple[int, ...]) -> NDArray[np.uint64]:
    """The shard's index, after checking its crc32c: (offset, length) per inner chunk."""
    n_bytes = 16 * int(np.prod(grid))
    index, checksum = content[-n_bytes - 4 : -4], struct.unpack("<I", content[-4:])[0]
    assert google_crc32c.value(index) == checksum
    return np.frombuffer(index, "<u8").reshape(*grid, 2)


def test_layout_of_the_shard(tmp_path: Path) -> None:
    values = make_values((20, 30), "uint8")
    written = write_array(tmp_path, values, make_spec(2, (8, 16)))
    content = shard_of(tmp_path, written).read_bytes()
    index = parse_index(content, (3, 2))
    # Chunks follow each other in C order without gaps, then the index: 6 pairs of 8 + 8 bytes.
    offsets, lengths = index[..., 0].ravel(), index[..., 1].ravel()
    assert offsets.tolist() == [0, *np.cumsum(lengths)[:-1].tolist()]
    assert len(content) == int(lengths.sum()) + 6 * 16 + 4
    for offset, length in zip(offsets.tolist(), lengths.tolist(), strict=True):
        chunk = content[offset : offset + length]
        assert google_crc32c.value(chunk[:-4]) == struct.unpack("<I", chunk[-4:])[0]


def test_edge_chunks_are_padded_with_the_fill_value(tmp_path: Path) -> None:
    values = np.zeros((10, 10), np.uint8)
    written = write_array(tmp_path, values, make_spec(2, (8, 8), fill_value=255))
    content = shard_of(tmp_path, written).read_bytes()
    offset, length = parse_index(content, (2, 2))[1, 1].tolist()
    from numcodecs import blosc

    chunk = np.frombuffer(blosc.decompress(content[offset : offset + length - 4]), np.uint8)
    expected = np.full((8, 8), 255)
    expected[:2, :2] = 0
    np.testing.assert_array_equal(chunk.reshape(8, 8), expected)


def test_empty_chunks_are_written(tmp_path: Path) -> None:
    # A reader must be able to tell "all fill" from "lost".
    values = np.zeros((16, 16), np.uint8)
    written = write_array(tmp_path, values, make_spec(2, (8, 8), fill_value=0))
    index = parse_index(shard_of(tmp_path, written).read_bytes(), (2, 2))
    assert (index != 2**64 - 1).all()
    assert (index[..., 1] > 4).all()


def test_crc32c_catches_every_flipped_byte(tmp_path: Path) -> None:
    values = make_values((12, 12), "float16")
    written = write_array(tmp_path, values, make_spec(2, (8, 8)))
    path = shard_of(tmp_path, written)
    content = path.read_bytes()
    for at in range(len(content)):
        damaged = bytearray(content)
        damaged[at] ^= 0x10
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"(?i)checksum|crc"):
            zarr.open_array(tmp_path / "x", mode="r")[...]


def test_same_values_give_the_same_bytes(tmp_path: Path) -> None:
    values = make_values((3, 70, 50), "float16")
    digests = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        written = write_array(tmp_path / name, values, make_spec(3, (3, 16, 16)))
        for file in written.files:
            content = (tmp_path / name / file.path).read_bytes()
            assert file.n_bytes == len(content)
            assert file.sha256 == hashlib.sha256(content).hexdigest()
        digests.append([file.sha256 for file in written.files])
    assert digests[0] == digests[1]


def test_existing_shard_is_not_overwritten(tmp_path: Path) -> None:
    values = make_values((4, 4), "uint8")
    write_array(tmp_path, values, make_spec(2, (4, 4)))
    with pytest.raises(FileExistsError):
        write_array(tmp_path, values, make_spec(2, (4, 4)))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.text(max_size=8), min_size=1, max_size=5))
def test_strings_are_read_back(values: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        written = write_strings(Path(folder), "names", "channel", values, {"long_name": "x"})
        array = zarr.open_array(Path(folder, "names"), mode="r")
        assert np.asarray(array[...]).tolist() == values
        assert dict(array.attrs) == {"long_name": "x"}
        for file in written.files:
            content = Path(folder, file.path).read_bytes()
            assert (file.n_bytes, file.sha256) == (
                len(content),
                hashlib.sha256(content).hexdigest(),
            )


def test_flipped_byte_in_strings_is_noticed(tmp_path: Path) -> None:
    written = write_strings(tmp_path, "names", "channel", ["SIC", "SOD"], {})
    path = shard_of(tmp_path, written)
    content = path.read_bytes()
    for at in range(len(content)):
        damaged = bytearray(content)
        damaged[at] ^= 0x01
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"(?i)checksum|crc"):
            zarr.open_array(tmp_path / "names", mode="r")[...]


def test_only_core_codecs_with_crc32c_last(tmp_path: Path) -> None:
    written = write_array(tmp_path, make_values((4, 4), "float16"), make_spec(2, (2, 2)))
    (sharding,) = written.metadata["codecs"]
    inner = sharding["configuration"]["codecs"]
    assert [codec["name"] for codec in inner] == ["bytes", "blosc", "crc32c"]
    assert json.loads((tmp_path / "x" / ZARR_METADATA).read_bytes()) == written.metadata


def test_group_carries_its_arrays_metadata(tmp_path: Path) -> None:
    written = write_array(tmp_path, make_values((4, 4), "uint8"), make_spec(2, (4, 4)))
    document = group_metadata({"a": 1}, [written])
    (tmp_path / ZARR_METADATA).write_bytes(dump_json(document))
    group = zarr.open_group(tmp_path, mode="r", use_consolidated=True)
    assert dict(group.attrs) == {"a": 1}
    assert list(group.array_keys()) == ["x"]
    assert "consolidated_metadata" not in group_metadata({})


def test_json_is_strict_and_stable() -> None:
    assert dump_json({"b": 1, "a": "Longépé"}) == dump_json({"a": "Longépé", "b": 1})
    assert "Longépé".encode() in dump_json({"a": "Longépé"})
    with pytest.raises(ValueError, match="JSON compliant"):
        dump_json({"a": float("nan")})
