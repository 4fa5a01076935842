"""What the stored values of a variable mean, by the attributes of the CF conventions.

In this order: ``_Unsigned`` says how the bits are read, ``_FillValue`` and every ``missing_value``
which of the values mean that there is none, ``scale_factor`` and ``add_offset`` what the others
stand for. Every reader, of NetCDF and of Zarr, decodes here. ``valid_range`` and its kin say what
is plausible, not what is stored, and are not looked at.

Source: CF conventions 1.11, sections 2.5.1 and 8.1; ``_Unsigned`` after the NetCDF user's guide.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from autoice_bench.wording import make_visible

Array = NDArray[Any]

ENCODING_ATTRIBUTES: Final = frozenset(
    {"_Unsigned", "_FillValue", "missing_value", "scale_factor", "add_offset"}
)
"""Attributes that describe stored values, not decoded ones."""

_NUMBERS: Final = "iufb"
_SHOWN: Final = 40
"""Characters of an attribute that a message shows."""


@dataclass(frozen=True)
class CfEncoding:
    """How the values of one variable are stored.

    Attributes:
        dtype: of the values as they are meant to be read, native byte order.
        missing: values that stand for "no value", in ``dtype``; NaN is not among them, as it always
            does.
        scale, offset: a stored value ``v`` means ``v * scale + offset``.
    """

    dtype: np.dtype[Any]
    missing: tuple[int | float, ...] = ()
    scale: float = 1.0
    offset: float = 0.0

    @property
    def is_packed(self) -> bool:
        """Whether values stand for others."""
        return (self.scale, self.offset) != (1.0, 0.0)

    @property
    def is_plain(self) -> bool:
        """Whether values, in ``dtype``, are what they mean."""
        return not self.missing and not self.is_packed

    @property
    def decoded_dtype(self) -> np.dtype[Any]:
        """Of decoded values: ``dtype`` where it is plain, else a float that holds each exactly."""
        if self.is_plain:
            return self.dtype
        is_small = self.dtype.itemsize <= (4 if self.dtype.kind == "f" else 2)
        return np.dtype(np.float32 if is_small and not self.is_packed else np.float64)

    @property
    def missing_meanings(self) -> tuple[float, ...]:
        """What the missing values would mean if they were values."""
        return tuple(value * self.scale + self.offset for value in self.missing)

    def reinterpret(self, stored: Array) -> Array:
        """Stored values in ``dtype``; the same memory where the byte order is native."""
        if not stored.dtype.isnative:
            stored = stored.astype(stored.dtype.newbyteorder("="))
        return stored if stored.dtype == self.dtype else stored.view(self.dtype)

    def decode(self, stored: Array) -> Array:
        """What stored values mean.

        Args:
            stored: as in the file, any shape.

        Returns:
            Same shape, ``decoded_dtype``, NaN where there is no value. Plain values are not copied.
        """
        values = self.reinterpret(stored)
        if self.is_plain:
            return values
        decoded = values.astype(self.decoded_dtype)
        if self.is_packed:
            decoded *= self.scale
            decoded += self.offset
        # Compared as stored: 64-bit integers are more than a float can tell apart.
        for value in self.missing:
            decoded[values == value] = np.nan
        return decoded


def parse_encoding(dtype: np.dtype[Any], attributes: Mapping[str, Any]) -> CfEncoding:
    """Read how a variable is stored.

    Args:
        dtype: of the stored values.
        attributes: the variable's; numbers, texts, lists or arrays.

    Raises:
        ValueError: the values are no real numbers, or an attribute cannot be understood.
    """
    if dtype.kind not in _NUMBERS or dtype.itemsize > 8:
        raise ValueError(f"holds values of type {_shown(dtype)}; expected real numbers")
    stored = dtype.newbyteorder("=")
    read_as = _reinterpreted(stored, attributes.get("_Unsigned"))
    missing = [
        value
        for name in ("_FillValue", "missing_value")
        for number in _numbers(name, attributes.get(name))
        if (value := _as_stored(number, stored, read_as)) is not None
    ]
    scale = _factor("scale_factor", attributes, 1.0)
    if scale == 0:
        raise ValueError("scale_factor is 0; expected a number that tells values apart")
    offset = _factor("add_offset", attributes, 0.0)
    return CfEncoding(read_as, tuple(dict.fromkeys(missing)), scale, offset)


def _reinterpreted(stored: np.dtype[Any], unsigned: Any) -> np.dtype[Any]:
    """The type that ``_Unsigned`` asks for; formats without unsigned bytes keep them as signed."""
    if unsigned is None or stored.kind not in "iu":
        return stored
    text = unsigned.decode("ascii", "replace") if isinstance(unsigned, bytes) else str(unsigned)
    kinds = {"true": "u", "1": "u", "false": "i", "0": "i"}
    kind = kinds.get(text.strip().lower())
    if kind is None:
        raise ValueError(f"_Unsigned is {_shown(unsigned)}; expected 'true' or 'false'")
    return np.dtype(f"{kind}{stored.itemsize}")


def _numbers(name: str, value: Any) -> list[int | float]:
    """The numbers of an attribute: none, one or several."""
    if value is None or (isinstance(value, str) and value.strip().lower() == "nan"):
        return []
    try:
        array = np.asarray(value)
    except ValueError:  # a list of lists of several lengths
        array = np.empty(0, object)
    if array.dtype.kind not in "iuf":
        raise ValueError(f"{name} is {_shown(value)}; expected numbers")
    numbers: list[int | float] = array.ravel().tolist()
    return numbers


def _factor(name: str, attributes: Mapping[str, Any], default: float) -> float:
    value = attributes.get(name)
    if value is None:
        return default
    numbers = _numbers(name, value)
    if len(numbers) != 1 or not math.isfinite(numbers[0]):
        raise ValueError(f"{name} is {_shown(value)}; expected one finite number")
    return float(numbers[0])


def _as_stored(
    number: int | float, stored: np.dtype[Any], read_as: np.dtype[Any]
) -> int | float | None:
    """A missing value as it compares with values in ``read_as``; None where none can equal it."""
    if not math.isfinite(number) and (math.isnan(number) or stored.kind != "f"):
        return None  # NaN needs no comparison, and integers hold neither
    if stored.kind == "f":
        # 1e20 written as a double is another number than its nearest float32.
        with np.errstate(over="ignore"):
            nearest = float(stored.type(number))
        return nearest if math.isfinite(nearest) or not math.isfinite(number) else None
    if number != int(number):
        return None
    whole = int(number)
    if stored != read_as and _fits(whole, stored):
        return int(np.array(whole, stored).view(read_as))
    return whole if _fits(whole, read_as) else None


def _fits(number: int, dtype: np.dtype[Any]) -> bool:
    if dtype.kind == "b":
        return number in (0, 1)
    limits = np.iinfo(dtype)
    return int(limits.min) <= number <= int(limits.max)


def _shown(value: Any) -> str:
    """A value or type of a stranger, short and on one line."""
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    text = str(value) if isinstance(value, np.dtype) else repr(value)
    line = make_visible(" ".join(text.split()))
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}..."
