"""Whatever the layout of a NetCDF file, both paths read the values that were written."""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import netCDF4
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from autoice_bench.formats import netcdf as netcdf_chunks
from autoice_bench.formats.netcdf import NetcdfFile, UnfitNetcdfError, explain, open_netcdf

DTYPES = ("u1", "i2", "f4", "f8")


def write(
    path: Path, values: NDArray[Any], options: Mapping[str, Any], file_format: Any = "NETCDF4"
) -> Path:
    with netCDF4.Dataset(str(path), "w", format=file_format) as dataset:
        for axis, size in enumerate(values.shape):
            dataset.createDimension(f"d{axis}", size)
        dims = tuple(f"d{axis}" for axis in range(values.ndim))
        variable = dataset.createVariable("x", values.dtype, dims, **options)
        variable.set_auto_maskandscale(False)
        variable[...] = values
    return path


def make_values(shape: tuple[int, ...], dtype: str, seed: int = 0) -> NDArray[Any]:
    """Every byte random, so that a wrong byte order or plane shows; NaN excluded."""
    rng = np.random.default_rng(seed)
    values: NDArray[Any] = np.frombuffer(
        rng.bytes(int(np.prod(shape)) * np.dtype(dtype).itemsize), dtype
    ).reshape(shape)
    return np.nan_to_num(values) if values.dtype.kind == "f" else values


def read_both(path: Path) -> tuple[bool, NDArray[Any], NDArray[Any]]:
    """Whether the direct path was taken, its values, and those of the netCDF library."""
    with open_netcdf(path) as file:
        is_direct, ours = file.is_direct("x"), file.read("x")
    with open_netcdf(path, direct=False) as file:
        assert not file.is_direct("x")
        theirs = file.read("x")
    return is_direct, ours, theirs


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    edges=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    dtype=st.sampled_from(DTYPES),
    shuffle=st.booleans(),
    level=st.integers(1, 9),
    strip=st.sampled_from([1, 7, 64, 32768]),
)
def test_direct_path_reads_what_netcdf_reads(
    shape: tuple[int, int],
    edges: tuple[int, int],
    dtype: str,
    shuffle: bool,
    level: int,
    strip: int,
) -> None:
    values = make_values(shape, dtype)
    chunks = tuple(min(edge, size) for edge, size in zip(edges, shape, strict=True))
    options = {"zlib": True, "complevel": level, "shuffle": shuffle, "chunksizes": chunks}
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(netcdf_chunks, "STRIP_ELEMENTS", strip)
        path = write(Path(folder, "x.nc"), values, options)
        is_direct, ours, theirs = read_both(path)
        assert is_direct
        assert_same(ours, values)
        assert_same(theirs, values)
        with open_netcdf(path) as file:
            seen = np.zeros(shape, int)
            for part in file.strips("x"):
                seen[part.lines, part.samples] += 1
                assert part.values.shape == seen[part.lines, part.samples].shape
        assert (seen == 1).all()  # each value once


def assert_same(found: NDArray[Any], expected: NDArray[Any]) -> None:
    assert found.dtype == expected.dtype.newbyteorder("=")
    assert found.dtype.isnative
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("dtype", "options"),
    [
        ("f4", {}),  # contiguous
        ("f4", {"chunksizes": (8, 8)}),  # chunked, not compressed
        ("f4", {"zlib": True, "fletcher32": True, "chunksizes": (8, 8)}),
        ("f4", {"compression": "zstd", "chunksizes": (8, 8)}),
        (">f4", {"zlib": True, "endian": "big", "chunksizes": (8, 8)}),
        (">i2", {"zlib": True, "endian": "big", "chunksizes": (8, 8)}),
    ],
    ids=["contiguous", "uncompressed", "fletcher32", "zstd", "big-endian f4", "big-endian i2"],
)
def test_other_layouts_are_left_to_the_library(
    tmp_path: Path, dtype: str, options: dict[str, Any]
) -> None:
    values = make_values((21, 30), dtype)
    is_direct, ours, theirs = read_both(write(tmp_path / "x.nc", values, options))
    assert not is_direct
    assert_same(ours, values)
    assert_same(theirs, values)


@pytest.mark.parametrize("file_format", ["NETCDF3_CLASSIC", "NETCDF3_64BIT_DATA"])
def test_netcdf3(tmp_path: Path, file_format: str) -> None:
    values = make_values((21, 30), "f4")
    path = write(tmp_path / "x.nc", values, {}, file_format)
    is_direct, ours, theirs = read_both(path)
    assert not is_direct
    assert_same(ours, values)
    assert_same(theirs, values)
    with open_netcdf(path) as file:
        assert sum(strip.values.size for strip in file.strips("x")) == values.size


@pytest.mark.parametrize("shape", [(50,), (3, 4, 5)])
def test_other_numbers_of_dimensions(tmp_path: Path, shape: tuple[int, ...]) -> None:
    values = make_values(shape, "f4")
    is_direct, ours, _ = read_both(write(tmp_path / "x.nc", values, {"zlib": True}))
    assert not is_direct
    assert_same(ours, values)


def test_missing_chunks_hold_the_fill_value(tmp_path: Path) -> None:
    path = tmp_path / "x.nc"
    with netCDF4.Dataset(str(path), "w") as dataset:
        dataset.createDimension("a", 8)
        dataset.createDimension("b", 8)
        variable = dataset.createVariable(
            "x", "u1", ("a", "b"), zlib=True, chunksizes=(4, 4), fill_value=255
        )
        variable.set_auto_mask(False)
        variable[:4, :4] = 3
    is_direct, ours, theirs = read_both(path)
    expected = np.full((8, 8), 255, np.uint8)
    expected[:4, :4] = 3
    assert not is_direct
    assert_same(ours, expected)
    assert_same(theirs, expected)


def test_chunk_that_skipped_the_filter(tmp_path: Path) -> None:
    # HDF5 may store single chunks without their optional filters and marks them.
    path = tmp_path / "x.nc"
    values = make_values((4, 8), "f4")
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset("x", (4, 8), "f4", chunks=(4, 4), compression="gzip")
        dataset[:, :4] = values[:, :4]
        dataset.id.write_direct_chunk((0, 4), values[:, 4:].tobytes(), filter_mask=1)
    is_direct, ours, theirs = read_both(path)
    assert not is_direct
    assert_same(ours, values)
    assert_same(theirs, values)


def test_unlimited_dimension_longer_than_the_variable(tmp_path: Path) -> None:
    # y makes the dimension 6 long; the HDF5 data set of x stays at 4, the rest is fill.
    path = tmp_path / "x.nc"
    with netCDF4.Dataset(str(path), "w") as dataset:
        dataset.createDimension("a", None)
        dataset.createDimension("b", 3)
        x = dataset.createVariable("x", "i2", ("a", "b"), zlib=True, fill_value=-9)
        y = dataset.createVariable("y", "i2", ("a", "b"), zlib=True)
        x[:4], y[:6] = 1, 2
    _, ours, theirs = read_both(path)
    expected = np.array([[1] * 3] * 4 + [[-9] * 3] * 2, np.int16)
    assert_same(ours, expected)
    assert_same(theirs, expected)


def test_variable_named_like_a_dimension_it_does_not_have(tmp_path: Path) -> None:
    # The HDF5 name of such a variable differs from its NetCDF name.
    path = tmp_path / "x.nc"
    with netCDF4.Dataset(str(path), "w") as dataset:
        dataset.createDimension("x", 5)
        dataset.createDimension("b", 3)
        variable = dataset.createVariable("x", "i2", ("b", "b"), zlib=True)
        variable[...] = 7
    _, ours, theirs = read_both(path)
    assert_same(ours, np.full((3, 3), 7, np.int16))
    assert_same(theirs, ours)


def test_values_come_as_stored(tmp_path: Path) -> None:
    path = tmp_path / "x.nc"
    with netCDF4.Dataset(str(path), "w") as dataset:
        dataset.createDimension("a", 2)
        dataset.createDimension("b", 2)
        variable = dataset.createVariable("x", "i2", ("a", "b"), zlib=True, fill_value=7)
        variable.set_auto_maskandscale(False)
        variable.scale_factor = 0.5
        variable[...] = [[7, 1], [2, 3]]
    _, ours, theirs = read_both(path)
    assert_same(ours, np.array([[7, 1], [2, 3]], np.int16))  # neither masked nor halved
    assert_same(theirs, ours)


@pytest.mark.parametrize("options", [{"zlib": True}, {}], ids=["direct", "library"])
def test_decoded_values(tmp_path: Path, options: dict[str, Any]) -> None:
    values = np.array([[-1, 7, 100], [200, 0, 3]], np.int16)
    path = write(tmp_path / "x.nc", values, {**options, "fill_value": -1})
    with netCDF4.Dataset(path, "a") as dataset:
        dataset["x"].setncatts(
            {"missing_value": np.int16(7), "scale_factor": 0.5, "add_offset": 10.0}
        )
    expected = [[np.nan, np.nan, 60], [110, 10, 11.5]]
    with open_netcdf(path) as file:
        np.testing.assert_array_equal(file.decoded("x"), expected)
        for strip in file.decoded_strips("x"):
            np.testing.assert_array_equal(
                strip.values, np.array(expected)[strip.lines, strip.samples]
            )
        np.testing.assert_array_equal(file.read("x"), values)


@pytest.mark.parametrize(
    ("dtype", "attributes"),
    [("f4", {"_FillValue": np.float32(np.nan)}), ("u1", {}), ("f8", {"scale_factor": 1.0})],
)
def test_plain_variables_are_not_decoded(
    tmp_path: Path, dtype: str, attributes: dict[str, Any]
) -> None:
    values = make_values((8, 8), dtype)
    options = {"zlib": True, "fill_value": attributes.pop("_FillValue", None)}
    path = write(tmp_path / "x.nc", values, options)
    with netCDF4.Dataset(path, "a") as dataset:
        dataset["x"].setncatts(attributes)
    with open_netcdf(path) as file, pytest.MonkeyPatch.context() as patch:
        assert file.encoding("x").is_plain
        patch.setattr("autoice_bench.formats.cf.CfEncoding.decode", None)  # would fail
        for strip in file.decoded_strips("x"):
            np.testing.assert_array_equal(strip.values, values[strip.lines, strip.samples])


def test_attributes_that_cannot_be_understood(tmp_path: Path) -> None:
    path = write(tmp_path / "x.nc", make_values((3, 5), "i2"), {})
    with netCDF4.Dataset(path, "a") as dataset:
        dataset["x"].setncattr("scale_factor", "0.1 percent")
    message = r"x\.nc: variable x: scale_factor is '0\.1 percent'; expected numbers"
    with open_netcdf(path) as file, pytest.raises(UnfitNetcdfError, match=message) as raised:
        file.decoded("x")
    assert explain(raised.value) == str(raised.value)  # a sound file: not downloaded again


def test_filter_that_is_lacking_is_named(tmp_path: Path) -> None:
    # 32004 is LZ4, which neither library brings; the chunk's content does not matter.
    path = write(tmp_path / "x.nc", make_values((8, 8), "f4"), {})
    with h5py.File(path, "a") as file:
        del file["x"]
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_chunk((8, 8))
        properties.set_filter(32004, h5py.h5z.FLAG_OPTIONAL, ())
        space = h5py.h5s.create_simple((8, 8))
        dataset = h5py.h5d.create(file.id, b"x", h5py.h5t.IEEE_F32LE, space, properties)
        dataset.write_direct_chunk((0, 0), bytes(256))
    with (
        open_netcdf(path) as opened,
        pytest.raises(UnfitNetcdfError, match=r"filter 32004 \(LZ4\).*lacks.*hdf5plugin"),
    ):
        opened.read("x")


def foreign_link(file: h5py.File, other: Path) -> None:
    file["more"] = h5py.ExternalLink(str(other), "/x")


def nested_link(file: h5py.File, other: Path) -> None:
    file.create_group("group/inner")["more"] = h5py.ExternalLink(str(other), "/x")


def external_storage(file: h5py.File, other: Path) -> None:
    file.create_dataset("raw", (4,), "u1", external=[(str(other), 0, 4)])


def virtual_data_set(file: h5py.File, other: Path) -> None:
    layout = h5py.VirtualLayout((4, 8), "f4")
    layout[...] = h5py.VirtualSource(str(other), "x", (4, 8))
    file.create_virtual_dataset("raw", layout)


@pytest.mark.parametrize("direct", [True, False])
@pytest.mark.parametrize(
    ("leave", "found"),
    [
        (foreign_link, "more is a link to another file"),
        (nested_link, "group/inner/more is a link to another file"),
        (external_storage, "raw has its values in another file"),
        (virtual_data_set, "raw is a virtual data set"),
    ],
)
def test_parts_in_other_files_are_refused(
    tmp_path: Path, leave: Any, found: str, direct: bool
) -> None:
    path = write(tmp_path / "x.nc", make_values((4, 8), "f4"), {})
    other = write(tmp_path / "other.nc", make_values((4, 8), "f4"), {})
    with h5py.File(path, "a") as file:
        leave(file, other)
    with pytest.raises(UnfitNetcdfError, match=rf"x\.nc: {found}.*; expected one file"):
        NetcdfFile(path, direct=direct)


def hard_ring(file: h5py.File) -> None:
    file.create_group("group")["ring"] = file["/"]


def soft_ring(file: h5py.File) -> None:
    file.create_group("group")["ring"] = h5py.SoftLink("/")


def lists(file: h5py.File) -> None:
    file.create_dataset("raw", (4,), h5py.vlen_dtype(np.uint8))


def opaque(file: h5py.File) -> None:
    file.create_dataset("raw", (4,), np.dtype("V3"))


def half_floats(file: h5py.File) -> None:
    file.create_dataset("raw", (4,), "f2")


def numbers_for_dimensions(file: h5py.File) -> None:
    del file["x"].attrs["DIMENSION_LIST"]
    file["x"].attrs["DIMENSION_LIST"] = 5


def lists_for_dimensions(file: h5py.File) -> None:
    del file["x"].attrs["DIMENSION_LIST"]
    values = np.empty(2, object)
    values[:] = [np.ones(1, np.int32)] * 2
    file["x"].attrs.create("DIMENSION_LIST", values, dtype=h5py.vlen_dtype(np.int32))


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (hard_ring, "group/ring is a group that is there before"),
        (soft_ring, "group/ring is a link to a group"),
        (lists, "raw holds no numbers or texts"),
        (opaque, "raw holds no numbers or texts"),
        (half_floats, "raw holds floats of 16 bits"),
        (numbers_for_dimensions, "x has an attribute DIMENSION_LIST of another type"),
        (lists_for_dimensions, "x has an attribute DIMENSION_LIST of another type"),
    ],
)
def test_what_no_netcdf_has_is_refused(tmp_path: Path, damage: Any, found: str) -> None:
    """The netCDF library takes such values for addresses, or follows the ring for ever."""
    path = write(tmp_path / "x.nc", make_values((4, 8), "f4"), {})
    with h5py.File(path, "a") as file:
        damage(file)
    with pytest.raises(UnfitNetcdfError, match=rf"x\.nc: {found}"):
        NetcdfFile(path)


def test_links_within_the_file_are_read(tmp_path: Path) -> None:
    values = make_values((4, 8), "f4")
    path = write(tmp_path / "x.nc", values, {})
    with h5py.File(path, "a") as file:
        file["again"] = h5py.SoftLink("/x")
    with open_netcdf(path) as opened:
        assert_same(opened.read("x"), values)


@pytest.mark.parametrize("read", ["read", "decoded", "strips"])
def test_size_is_not_believed(tmp_path: Path, read: str) -> None:
    # A few kB that declare 10^10 values; chunks that are not there take no room.
    path = tmp_path / "x.nc"
    with netCDF4.Dataset(path, "w") as dataset:
        dataset.createDimension("a", 100_000)
        dataset.createDimension("b", 100_000)
        dataset.createVariable("x", "f4", ("a", "b"), zlib=True, chunksizes=(1000, 1000))
    assert path.stat().st_size < 100_000
    with (
        open_netcdf(path) as file,
        pytest.raises(UnfitNetcdfError, match="declares 100000 x 100000 values; expected at most"),
    ):
        list(getattr(file, read)("x"))


def test_empty_file(tmp_path: Path) -> None:
    (tmp_path / "x.nc").touch()
    with pytest.raises(OSError, match=r"x\.nc: is empty \(0 bytes\)") as raised:
        NetcdfFile(tmp_path / "x.nc")
    assert explain(raised.value).endswith("Download the file again or remove it")


def test_names_sizes_and_attributes(tmp_path: Path) -> None:
    path = write(tmp_path / "x.nc", make_values((3, 5), "f4"), {})
    with netCDF4.Dataset(str(path), "a") as dataset:
        dataset.title = "tést"
        dataset.variables["x"].setncattr("numbers", np.array([1.5, 2.5], np.float32))
    with open_netcdf(path) as file:
        assert file.variable_names == ("x",)
        assert file.sizes == {"d0": 3, "d1": 5}
        assert (file.dims("x"), file.shape("x")) == (("d0", "d1"), (3, 5))
        assert file.dtype("x") == np.float32
        assert file.attributes() == {"title": "tést"}
        np.testing.assert_array_equal(file.attributes("x")["numbers"], [1.5, 2.5])


def chunk_range(path: Path) -> tuple[int, int]:
    """Byte offset and size of the last chunk of ``x``."""
    with h5py.File(path) as file:
        identifier = file["x"].id
        info = identifier.get_chunk_info(identifier.get_num_chunks() - 1)
        return int(info.byte_offset), int(info.size)


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("direct", [True, False])
def test_any_flipped_byte_of_a_chunk_is_noticed(
    tmp_path: Path, direct: bool, shuffle: bool
) -> None:
    options = {"zlib": True, "shuffle": shuffle, "chunksizes": (4, 4)}
    values = make_values((8, 8), "f4")
    path = write(tmp_path / "x.nc", values, options)
    offset, size = chunk_range(path)
    content = path.read_bytes()
    # Header, deflated blocks and Adler-32 checksum: nothing in a zlib stream is unchecked.
    for at in range(offset, offset + size, 5 if direct else 19):
        damaged = bytearray(content)
        damaged[at] ^= 0xFF
        bad = tmp_path / f"bad{at}.nc"
        bad.write_bytes(damaged)
        with (
            open_netcdf(bad, direct=direct) as file,
            pytest.raises(OSError, match=rf"bad{at}\.nc: variable x: "),
        ):
            file.read("x")


def test_chunk_of_another_length_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "x.nc", make_values((4, 4), "f4"), {"zlib": True, "shuffle": False})
    with h5py.File(path, "a") as file:
        file["x"].id.write_direct_chunk((0, 0), zlib.compress(bytes(4 * 4 * 4 - 4)))
    with open_netcdf(path) as opened, pytest.raises(OSError, match="variable x: chunk"):
        opened.read("x")


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.99])
def test_truncated_file_does_not_open_or_read(tmp_path: Path, share: float) -> None:
    path = write(tmp_path / "x.nc", make_values((64, 64), "f4"), {"zlib": True})
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(OSError, match=r"x\.nc"), open_netcdf(path) as file:
        file.read("x")


def test_missing_file_and_other_format(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"absent\.nc"):
        NetcdfFile(tmp_path / "absent.nc")
    (tmp_path / "text.nc").write_text("no NetCDF")
    with pytest.raises(OSError, match=r"text\.nc"):
        NetcdfFile(tmp_path / "text.nc")


def test_file_may_be_replaced_once_closed(tmp_path: Path) -> None:
    # A handle left open would go on showing the old content of the same path.
    path = write(tmp_path / "x.nc", np.ones((4, 4), np.float32), {"zlib": True})
    with open_netcdf(path) as file:
        assert file.read("x").sum() == 16
    write(path, np.zeros((4, 4), np.float32), {"zlib": True})
    with open_netcdf(path) as file:
        assert file.read("x").sum() == 0
