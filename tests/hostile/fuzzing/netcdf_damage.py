"""Damage to NetCDF-4 files that knows their structure. h5py does it, which writes all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import h5py
import netCDF4
import numpy as np
from numpy.typing import NDArray

from tests.hostile.fuzzing.cases import Damage, Rng, refused
from tests.hostile.fuzzing.document_damage import ESCAPE, FORGED

_ATTRIBUTES: Final = (
    *("scale_factor", "add_offset", "_FillValue", "missing_value", "_Unsigned", "valid_range"),
    *("units", "flag_values", "DIMENSION_LIST", "_Netcdf4Dimid", "CLASS", "NAME", "dtype"),
)
_PACKING: Final = ("scale_factor", "add_offset")
_GLOBALS: Final = (
    *("title", "scene_id", "ice_service", "original_id", "_NCProperties", "_nc3_strict", "runs"),
    *("recipe", "seed", "flip", "aoi_upperleft_sample", "Conventions"),
)


def damage_netcdf(
    rng: Rng, path: Path, variables: Sequence[str], outside: Path, *, dtype_counts: bool
) -> Damage:
    """Change one thing of a NetCDF-4 file.

    Args:
        rng: draws what is changed.
        path: the file, changed in place.
        variables: those that a reader needs.
        outside: a folder that links lead to.
        dtype_counts: whether readers may refuse values of another numeric type or layout.
    """
    name = str(rng.choice(variables))
    if rng.random() < 0.05:
        return _as_classic(path, harmless=not dtype_counts)
    change = _CHANGES[int(rng.integers(len(_CHANGES)))]
    with h5py.File(path, "r+", locking=False) as file:
        damage = change(rng, file, name, outside)
    if damage.harmless and dtype_counts:
        return Damage(damage.words)
    return damage


def _as_classic(path: Path, *, harmless: bool) -> Damage:
    """The same variables in a file of NetCDF-3."""
    with netCDF4.Dataset(path) as source:
        source.set_auto_maskandscale(False)
        found = {
            name: (variable.dimensions, variable[...])
            for name, variable in source.variables.items()
        }
        sizes = {name: dim.size for name, dim in source.dimensions.items()}
    with netCDF4.Dataset(path, "w", format="NETCDF3_64BIT_DATA") as target:
        for name, size in sizes.items():
            target.createDimension(name, size)
        for name, (dims, values) in found.items():
            if values.dtype == object:  # NetCDF-3 has characters only
                chars = netCDF4.stringtochar(np.char.encode(values.astype(str), "utf-8"))
                target.createDimension(f"{name}_length", chars.shape[-1])
                target.createVariable(name, "S1", (*dims, f"{name}_length"))[...] = chars
            else:
                target.createVariable(name, values.dtype, dims)[...] = values
    return Damage("NetCDF-3", harmless=harmless)


def _replace(file: h5py.File, name: str, values: Any, **options: Any) -> h5py.Dataset:
    del file[name]
    return file.create_dataset(name, data=values, **options)


def _remove_variable(rng: Rng, file: h5py.File, name: str, _: Path) -> Damage:
    if rng.random() < 0.5:
        del file[name]
        return refused(f"no {name}")
    new = str(rng.choice([name + "x", name.lower() + "_", ESCAPE, f"a\n{FORGED}"]))
    file.move(name, new)
    return refused(f"{name} is called {new!r}")


def _other_shape(rng: Rng, file: h5py.File, name: str, _: Path) -> Damage:
    values = file[name][...]
    kind = str(rng.choice(["scalar", "1-D", "3-D", "transposed", "cut", "grown", "empty"]))
    changed: NDArray[Any] = {
        "scalar": values.ravel()[0],
        "1-D": values.ravel(),
        "3-D": values[None],
        "transposed": np.ascontiguousarray(values.T),
        "cut": values[:-1],
        "grown": np.concatenate([values, values[-1:]]),
        "empty": values[:0],
    }[kind]
    _replace(file, name, changed)
    if kind == "transposed" and (values.ndim != 2 or values.shape[0] == values.shape[1]):
        return Damage(f"{name} {kind}")
    # Tie points have no shape of their own.
    known = {"scalar", "1-D", "3-D", "empty"} if values.size < 2000 else {kind}
    return refused(f"{name} {kind}") if kind in known else Damage(f"{name} {kind}")


def _huge(rng: Rng, file: h5py.File, name: str, _: Path) -> Damage:
    old = file[name]
    dtype = old.dtype
    del file[name]
    size = int(rng.choice([50_000, 100_000, 2**31, 2**40]))
    shape = (size, size) if rng.random() < 0.7 else (size, 225)
    file.create_dataset(name, shape, dtype, chunks=(100, 100), compression="gzip")
    return refused(f"{name} declares {shape[0]} x {shape[1]}")


def _other_numbers(rng: Rng, file: h5py.File, name: str, _: Path) -> Damage:
    values = file[name][...]
    kind = str(rng.choice(["<i2", ">i2", "<i4", ">i8", "<u4", "<f4", ">f8", "<f2", "<u8"]))
    if values.dtype.kind == "f":
        kind = str(rng.choice(["<f8", ">f4", "<f2", "<i4"]))
    _replace(file, name, values.astype(kind))
    return Damage(f"{name} is {kind}", harmless=values.dtype.kind != "f" and kind != "<f2")


def _other_layout(rng: Rng, file: h5py.File, name: str, _: Path) -> Damage:
    values = file[name][...]
    kind = str(rng.choice(["contiguous", "one row", "shuffle", "fletcher32", "unlimited", "gzip9"]))
    whole: dict[str, dict[str, Any]] = {
        "contiguous": {},
        "one row": {"chunks": (1, *values.shape[1:])},
        "shuffle": {"shuffle": True, "compression": "gzip"},
        "fletcher32": {"fletcher32": True, "chunks": True},
        "unlimited": {"maxshape": (None,) * values.ndim, "chunks": True},
        "gzip9": {"compression": "gzip", "compression_opts": 9},
    }
    _replace(file, name, values, **whole[kind])
    return Damage(f"{name} stored {kind}", harmless=True)


def _other_filter(rng: Rng, file: h5py.File, name: str, _: Path) -> Damage:
    values = file[name][...]
    if rng.random() < 0.5:
        _replace(file, name, values, compression="lzf")
        return Damage(f"{name} compressed by LZF")
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_chunk(tuple(max(1, size // 2) for size in values.shape))
    # An unknown filter that must be there, or whose absence is said to be no matter.
    flag = h5py.h5z.FLAG_OPTIONAL
    properties.set_filter(int(rng.choice([32004, 32015, 307, 400])), flag, (0, 0))
    space = h5py.h5s.create_simple(values.shape)
    kind = h5py.h5t.py_create(values.dtype)
    del file[name]
    h5py.h5d.create(file.id, name.encode(), kind, space, properties)
    return Damage(f"{name} with a filter that nobody has")


def _no_numbers(rng: Rng, file: h5py.File, name: str, _: Path) -> Damage:
    shape = file[name].shape
    kind = str(rng.choice(["text", "chars", "compound", "opaque", "reference", "vlen", "complex"]))
    dtypes: dict[str, Any] = {
        "text": h5py.string_dtype(),
        "chars": "S4",
        "compound": np.dtype([("a", "<i4"), ("b", "<f8")]),
        "opaque": np.dtype("V8"),
        "reference": h5py.ref_dtype,
        "vlen": h5py.vlen_dtype(np.int32),
        "complex": np.complex64,
    }
    del file[name]
    file.create_dataset(name, shape, dtypes[kind])
    return refused(f"{name} holds {kind}")


def _enumeration(rng: Rng, file: h5py.File, name: str, _: Path) -> Damage:
    values = file[name][...].astype(np.uint8)
    del file[name]
    dtype = h5py.enum_dtype({"WATER": 0, "ICE": 1}, np.uint8)
    if rng.random() < 0.5:
        file.create_dataset(name, data=values.astype(bool))
    else:
        file.create_dataset(name, data=values, dtype=dtype)
    return Damage(f"{name} is an enumeration")


def _other_values(rng: Rng, file: h5py.File, name: str, _: Path) -> Damage:
    values = file[name][...]
    new = float(rng.choice([np.nan, np.inf, -np.inf, 1e30, -1, 1.5, 200, 254, -9999, 3.4e38]))
    changed = values.astype(np.float64 if values.dtype.kind != "f" else values.dtype)
    everywhere = rng.random() < 0.5
    with np.errstate(over="ignore"):
        if everywhere:
            changed[...] = new
        else:
            changed.reshape(-1)[int(rng.integers(changed.size))] = new
    _replace(file, name, changed)
    words = f"{name} is {new} {'everywhere' if everywhere else 'at one pixel'}"
    # At one pixel it may stand where nothing is scored.
    if not everywhere or abs(new) < 1e10:
        return Damage(words)
    # NaN in a chart is no prediction, or no label.
    return Damage(words) if np.isnan(new) and values.dtype.kind != "f" else refused(words)


def _attribute(rng: Rng, file: h5py.File, name: str, _: Path) -> Damage:
    key = str(rng.choice(_ATTRIBUTES))
    words, value = _odd_attribute(rng)
    attributes = file[name].attrs
    if key in attributes:
        del attributes[key]
    attributes[key] = value
    unusable = words in ("text", "escape", "list of texts", "nothing")
    if key in _PACKING and unusable:
        return refused(f"{name}:{key} is {words}")
    return Damage(f"{name}:{key} is {words}")


def _global_attribute(rng: Rng, file: h5py.File, _: str, __: Path) -> Damage:
    key = str(rng.choice(_GLOBALS))
    words, value = _odd_attribute(rng)
    if key in file.attrs:
        del file.attrs[key]
    file.attrs[key] = value
    return Damage(f"attribute {key} is {words}")


def _odd_attribute(rng: Rng) -> tuple[str, Any]:
    values: list[tuple[str, Any]] = [
        ("text", "x"),
        ("escape", f"{ESCAPE}\n{FORGED}"),
        ("list of texts", ["a", "b"]),
        ("nothing", h5py.Empty("S1")),
        ("no number", h5py.Empty("f8")),
        ("bytes", np.bytes_(b"\xff\xfe\x00x")),
        ("long text", "y" * 60_000),
        ("0", 0),
        ("1", 1),
        ("NaN", np.nan),
        ("inf", np.inf),
        ("-1", np.int8(-1)),
        ("1e300", 1e300),
        ("two numbers", [1.0, 2.0]),
        ("no numbers", np.zeros(0)),
        ("2-D", np.ones((2, 2))),
        ("compound", np.zeros(1, [("a", "<i4")])),
        ("a truth", np.bool_(True)),
        ("opaque", np.void(b"abcd")),
    ]
    return values[int(rng.integers(len(values)))]


def _link(rng: Rng, file: h5py.File, name: str, outside: Path) -> Damage:
    kind = str(rng.choice(["external", "external", "soft", "dangling", "loop", "group"]))
    values = file[name][...]
    if kind in ("external", "soft"):
        other = outside / "other.nc"
        if kind == "external":
            with h5py.File(other, "w", locking=False) as target:
                target.create_dataset(name, data=values)
            del file[name]
            file[name] = h5py.ExternalLink(str(other), name)
            return refused(f"{name} is a link into another file")
        file.move(name, "_hidden")
        file[name] = h5py.SoftLink("/_hidden")
        return Damage(f"{name} is a link to another variable")
    if kind == "loop":
        file["loop"] = file["/"]
        return Damage("a group that holds itself")
    del file[name]
    if kind == "dangling":
        file[name] = h5py.SoftLink("/nowhere")
    else:
        file.create_group(name)
    return refused(f"{name} is {'a group' if kind == 'group' else 'a dangling link'}")


def _external_storage(_: Rng, file: h5py.File, name: str, outside: Path) -> Damage:
    values = file[name][...]
    raw = outside / "raw"
    raw.write_bytes(values.tobytes())
    del file[name]
    size = h5py.h5f.UNLIMITED
    file.create_dataset(name, values.shape, values.dtype, external=[(str(raw), 0, size)])
    return refused(f"{name} keeps its values in another file")


def _more(rng: Rng, file: h5py.File, _: str, __: Path) -> Damage:
    kind = str(rng.choice(["a variable", "a group", "a deep group", "many variables", "a type"]))
    if kind == "a variable":
        file.create_dataset(str(rng.choice(["extra", "é", "x y"])), data=np.arange(4))
    elif kind == "a group":
        file.create_group("extra").create_dataset("SIC", data=np.zeros((3, 3)))
    elif kind == "a deep group":
        file.create_group("/".join("a" * 100))
    elif kind == "many variables":
        for number in range(200):
            file.create_dataset(f"v{number}", data=number)
    else:
        file["own_type"] = np.dtype([("a", "<i4")])
    return Damage(f"more: {kind}", harmless=kind != "a type")


def _chunk(rng: Rng, file: h5py.File, name: str, _: Path) -> Damage:
    values = file[name][...]
    dataset = _replace(file, name, values, chunks=values.shape, compression="gzip")
    start = (0,) * values.ndim
    if rng.random() < 0.5:
        dataset.id.write_direct_chunk(start, rng.bytes(int(rng.integers(0, 200))))
        return refused(f"a chunk of {name} is noise")
    dataset.id.write_direct_chunk(start, values.tobytes()[: int(rng.integers(1, 90))], 1)
    return refused(f"a chunk of {name} is short and said to be unfiltered")


_CHANGES: Final[tuple[Callable[[Rng, h5py.File, str, Path], Damage], ...]] = (
    *(_remove_variable, _other_shape, _other_shape, _huge, _other_numbers, _other_layout),
    *(_other_filter, _no_numbers, _enumeration, _other_values, _other_values, _attribute),
    *(_attribute, _attribute, _global_attribute, _link, _external_storage, _more, _chunk),
)
