"""Windows are what zarr-python reads, bit for bit, in any process; no damage passes unnoticed."""

from __future__ import annotations

import json
import multiprocessing
import os
import pickle
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from zarr.codecs import BloscCodec, Crc32cCodec, ZstdCodec

from autoice_bench.datasets.readers import arrays as shard_reader
from autoice_bench.datasets.readers.arrays import (
    ArrayReader,
    ShardReader,
    ZarrReader,
    open_array,
    read_array,
)
from autoice_bench.datasets.readers.open_files import OpenFiles
from autoice_bench.errors import StoreError
from autoice_bench.formats.shard_writer import ArraySpec, Codec, write_array
from tests.datasets.window_process import WINDOWS, put_windows, read_windows

SHAPE = (3, 37, 50)
LABEL = "scene 20180607T184326_dmi: array sar"


def make_values(dtype: str = "float16", shape: tuple[int, ...] = SHAPE) -> NDArray[Any]:
    values: NDArray[Any] = np.random.default_rng(0).integers(0, 200, shape).astype(dtype)
    return values


def write_values(folder: Path, values: NDArray[Any], inner: tuple[int, ...] = (3, 8, 16)) -> Path:
    """Write the array as ``prepare`` does; returns its folder."""
    dims = tuple(f"d{axis}" for axis in range(values.ndim))
    write_array(folder, values, ArraySpec("sar", dims, inner, 0, Codec(), {}))
    return folder / "sar"


def open_at(folder: Path) -> ArrayReader:
    return open_array(folder, json.loads((folder / "zarr.json").read_text()), LABEL)


def read(array: ArrayReader, line: int, sample: int, lines: int, samples: int) -> NDArray[Any]:
    out = np.full((*array.shape[:-2], lines, samples), 77, array.dtype)
    array.read(line, sample, out)
    return out


def shard_of(folder: Path) -> Path:
    (path,) = (path for path in (folder / "c").rglob("*") if path.is_file())
    return path


def bits(values: NDArray[Any]) -> bytes:
    return np.ascontiguousarray(values).tobytes()


axis = st.integers(1, 30)


@settings(max_examples=80)
@given(data=st.data())
def test_any_window_is_what_zarr_reads(data: st.DataObject) -> None:
    leading = data.draw(st.lists(st.integers(1, 3), max_size=2))
    shape = (*leading, data.draw(axis), data.draw(axis))
    inner = (*leading, data.draw(axis), data.draw(axis))
    dtype = data.draw(st.sampled_from(["uint8", "uint16", "float16", "float32", "float64"]))
    values = make_values(dtype, shape)
    values[..., : shape[-2] // 2, :] = data.draw(st.sampled_from([0, 5]))  # chunks of one value
    line, sample = data.draw(st.integers(0, shape[-2])), data.draw(st.integers(0, shape[-1]))
    lines = data.draw(st.integers(0, shape[-2] - line))
    samples = data.draw(st.integers(0, shape[-1] - sample))
    with tempfile.TemporaryDirectory() as folder:
        path = write_values(Path(folder), values, inner)
        stored: Any = zarr.open_array(path, mode="r")
        expected = stored[..., line : line + lines, sample : sample + samples]
        array = open_at(path)
        assert isinstance(array, ShardReader)
        assert array.shape == shape
        assert array.dtype == dtype
        for _ in range(2):  # the second time, chunks of one value are remembered
            assert bits(read(array, line, sample, lines, samples)) == bits(expected)


def test_window_into_part_of_a_larger_array(tmp_path: Path) -> None:
    values = make_values()
    array = open_at(write_values(tmp_path, values))
    batch = np.full((2, 3, 40, 40), 77, np.float16)
    array.read(5, 6, batch[1, :, 1:31, 2:35])
    np.testing.assert_array_equal(batch[1, :, 1:31, 2:35], values[:, 5:35, 6:39])
    batch[1, :, 1:31, 2:35] = 77
    assert (batch == 77).all()


def test_zero_of_either_sign_keeps_its_sign(tmp_path: Path) -> None:
    values = np.zeros((3, 16, 16), np.float16)
    values[1, 3, 4] = -0.0
    values[2] = -0.0
    array = open_at(write_values(tmp_path, values))
    for _ in range(2):
        assert bits(read(array, 0, 0, 16, 16)) == bits(values)


@pytest.mark.parametrize(
    ("line", "sample", "lines", "samples"),
    [(-1, 0, 5, 5), (0, -1, 5, 5), (33, 0, 5, 5), (0, 46, 5, 5), (38, 0, 0, 5), (0, 51, 5, 0)],
)
def test_window_must_be_inside(
    tmp_path: Path, line: int, sample: int, lines: int, samples: int
) -> None:
    array = open_at(write_values(tmp_path, make_values()))
    with pytest.raises(ValueError, match=r"is not inside 37x50"):
        read(array, line, sample, lines, samples)


@pytest.mark.parametrize("out", [np.empty((3, 4, 4)), np.empty((2, 4, 4), np.float16)])
def test_out_must_fit(tmp_path: Path, out: NDArray[Any]) -> None:
    array = open_at(write_values(tmp_path, make_values()))
    with pytest.raises(ValueError, match=r"expected \(3,\) \+ window float16"):
        array.read(0, 0, out)


def write_with_zarr(folder: Path, **options: Any) -> Path:
    settings: dict[str, Any] = {
        "shape": SHAPE,
        "dtype": "uint8",
        "chunks": (3, 8, 16),
        "shards": (3, 40, 64),
        "fill_value": 9,
        "compressors": [BloscCodec(cname="lz4", typesize=1), Crc32cCodec()],
    } | options
    array = zarr.create_array(str(folder), **settings)
    array[:, :8, :16] = make_values("uint8")[:, :8, :16]
    array[:, 16:24, 32:48] = make_values("uint8")[:, 16:24, 32:48]
    return folder


def test_chunks_that_were_not_written_are_fill(tmp_path: Path) -> None:
    path = write_with_zarr(tmp_path / "a")
    array = open_at(path)
    assert isinstance(array, ShardReader)
    expected = np.full(SHAPE, 9, np.uint8)
    for part in ((..., slice(8), slice(16)), (..., slice(16, 24), slice(32, 48))):
        expected[part] = make_values("uint8")[part]
    np.testing.assert_array_equal(read(array, 0, 0, *SHAPE[1:]), expected)
    np.testing.assert_array_equal(read(array, 9, 20, 3, 4), expected[:, 9:12, 20:24])


OTHER_LAYOUTS: dict[str, dict[str, Any]] = {
    "zstd": {"compressors": [ZstdCodec(), Crc32cCodec()]},
    "no checksum": {"compressors": [BloscCodec(cname="lz4", typesize=1)]},
    "no shard": {"shards": None},
    "several shards": {"shards": (3, 16, 32)},
    "channels apart": {"chunks": (1, 8, 16)},
    "version 2 names": {"chunk_key_encoding": {"name": "v2", "separator": "/"}},
}


@pytest.mark.parametrize("options", OTHER_LAYOUTS.values(), ids=list(OTHER_LAYOUTS))
def test_other_layouts_are_read_with_zarr(tmp_path: Path, options: dict[str, Any]) -> None:
    values = make_values("uint8")
    path = write_with_zarr(tmp_path / "a", **options)
    zarr.open_array(str(path))[...] = values
    array = open_at(path)
    assert isinstance(array, ZarrReader)
    np.testing.assert_array_equal(read(array, 3, 4, 30, 41), values[:, 3:33, 4:45])
    np.testing.assert_array_equal(
        read_array(path, json.loads((path / "zarr.json").read_text()), LABEL), values
    )
    again = pickle.loads(pickle.dumps(array))
    np.testing.assert_array_equal(read(again, 3, 4, 30, 41), values[:, 3:33, 4:45])


@pytest.mark.parametrize("options", [{}, OTHER_LAYOUTS["zstd"], OTHER_LAYOUTS["several shards"]])
def test_missing_file_is_an_error(tmp_path: Path, options: dict[str, Any]) -> None:
    path = write_with_zarr(tmp_path / "a", **options)
    array = open_at(path)
    next(file for file in sorted((path / "c").rglob("*")) if file.is_file()).unlink()
    with pytest.raises(StoreError, match=rf"{LABEL}: .*0/0/0 is missing"):
        read(array, 0, 0, 8, 8)
    with pytest.raises(StoreError, match=rf"{LABEL}: .*0/0/0 is missing"):
        read_array(path, json.loads((path / "zarr.json").read_text()), LABEL)


def test_missing_metadata_of_another_layout_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=f"{LABEL}: .* cannot be read: .*no zarr.json"):
        open_array(tmp_path / "nowhere", {}, LABEL)


def test_every_flipped_byte_is_an_error_that_names_the_chunk(tmp_path: Path) -> None:
    path = write_values(tmp_path, make_values(shape=(3, 12, 20)))
    shard = shard_of(path)
    content = shard.read_bytes()
    for at in range(0, len(content), 7):
        damaged = bytearray(content)
        damaged[at] ^= 0x10
        shard.write_bytes(damaged)
        with pytest.raises(StoreError, match=rf"{LABEL}: (chunk \([01], [01]\)|the index) of the"):
            read(open_at(path), 0, 0, 12, 20)


def test_damage_to_a_remembered_chunk_is_found(tmp_path: Path) -> None:
    path = write_values(tmp_path, np.full((3, 32, 64), 5, np.float16), (3, 32, 32))
    assert (read(open_at(path), 0, 0, 32, 64) == 5).all()
    shard = shard_of(path)
    content = bytearray(shard.read_bytes())
    content[30] ^= 0x10
    shard.write_bytes(content)
    with pytest.raises(StoreError, match=r"chunk \(0, 0\) of the shard is damaged"):
        read(open_at(path), 0, 0, 32, 64)


def test_other_codec_reports_damage_too(tmp_path: Path) -> None:
    path = write_with_zarr(tmp_path / "a", **OTHER_LAYOUTS["zstd"])
    shard = shard_of(path)
    content = bytearray(shard.read_bytes())
    content[3] ^= 1
    shard.write_bytes(content)
    with pytest.raises(
        StoreError, match=rf"{LABEL}: window \[0:3, 0:8, 0:8\] of .*/a cannot be read"
    ):
        read(open_at(path), 0, 0, 8, 8)


@pytest.mark.parametrize("n_bytes", [0, 3, 50, 300])
def test_truncated_shard_is_an_error(tmp_path: Path, n_bytes: int) -> None:
    path = write_values(tmp_path, make_values())
    shard = shard_of(path)
    shard.write_bytes(shard.read_bytes()[:n_bytes])
    with pytest.raises(StoreError, match=f"{LABEL}: the (shard holds|index of the shard)"):
        read(open_at(path), 0, 0, 8, 8)


def test_shard_truncated_while_it_is_read_is_an_error(tmp_path: Path) -> None:
    path = write_values(tmp_path, make_values())
    array = open_at(path)
    read(array, 0, 0, 8, 8)
    os.truncate(shard_of(path), 100)
    with pytest.raises(StoreError, match=rf"{LABEL}: chunk \(0, 0\) of the shard is damaged"):
        read(array, 0, 0, 8, 8)


def test_array_written_anew_is_not_read_from_the_old_file(tmp_path: Path) -> None:
    values = make_values()
    (tmp_path / "one").mkdir()
    path = write_values(tmp_path / "one", values)
    old = open_at(path)
    read(old, 0, 0, 8, 8)
    (tmp_path / "one").rename(tmp_path / "two")
    (tmp_path / "one").mkdir()
    write_values(tmp_path / "one", values + 1)
    np.testing.assert_array_equal(read(open_at(path), 0, 0, *SHAPE[1:]), values + 1)


def count_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_number_of_open_files_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = OpenFiles(limit=3)
    monkeypatch.setattr(shard_reader, "OPEN_FILES", files)
    arrays = []
    for index in range(8):
        folder = tmp_path / str(index)
        folder.mkdir()
        arrays.append(open_at(write_values(folder, make_values() + index)))
    before = count_descriptors()
    for _ in range(2):
        for index, array in enumerate(arrays):
            np.testing.assert_array_equal(
                read(array, 2, 3, 30, 30), make_values()[:, 2:32, 3:33] + index
            )
            assert len(files) <= 3
            assert count_descriptors() <= before + 3


def test_files_of_discarded_readers_are_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = OpenFiles()
    monkeypatch.setattr(shard_reader, "OPEN_FILES", files)
    path = write_values(tmp_path, make_values())
    for _ in range(10):
        read(open_at(path), 0, 0, 8, 8)  # nothing refers to the reader any more
    assert len(files) == 1


# Readers in other processes and threads.

READERS: dict[str, dict[str, Any]] = {"shard": {}, "zarr": OTHER_LAYOUTS["zstd"]}


@pytest.mark.parametrize("options", READERS.values(), ids=list(READERS))
@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_processes_read_the_same(tmp_path: Path, method: str, options: dict[str, Any]) -> None:
    path = write_with_zarr(tmp_path / "a", **options)
    values = make_values("uint8")
    zarr.open_array(str(path))[...] = values
    array = open_at(path)
    expected = read_windows(array)  # the parent reads first, as libraries with threads dislike
    assert expected == [bits(values[:, a : a + n, b : b + m]) for a, b, n, m in WINDOWS]
    context: Any = multiprocessing.get_context(method)
    queue = context.Queue()
    processes = [context.Process(target=put_windows, args=(array, queue)) for _ in range(2)]
    for process in processes:
        process.start()
    assert read_windows(array) == expected
    assert [queue.get(timeout=60) for _ in processes] == [expected, expected]
    for process in processes:
        process.join(60)
        assert process.exitcode == 0


@pytest.mark.parametrize("options", READERS.values(), ids=list(READERS))
def test_threads_read_the_same(
    tmp_path: Path, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    # One descriptor for four arrays and four threads: opened and closed all the time.
    monkeypatch.setattr(shard_reader, "OPEN_FILES", OpenFiles(limit=1))
    arrays = []
    for index in range(4):
        path = write_with_zarr(tmp_path / str(index), **options)
        zarr.open_array(str(path))[...] = make_values("uint8") + np.uint8(index)
        arrays.append(open_at(path))
    barrier = threading.Barrier(4)

    def read_all(start: int) -> None:
        barrier.wait(30)
        for index in (*range(start, 4), *range(start)):
            values = make_values("uint8") + np.uint8(index)
            for (a, b, n, m), found in zip(WINDOWS, read_windows(arrays[index]), strict=True):
                assert found == bits(values[:, a : a + n, b : b + m])

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(read_all, range(4)))
    finally:
        sys.setswitchinterval(interval)
