"""Stored values become what CF attributes say they mean; what cannot be understood is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoice_bench.formats.cf import CfEncoding, parse_encoding

NAN = float("nan")


def decode(values: list[Any], dtype: str, **attributes: Any) -> np.ndarray[Any, Any]:
    stored = np.array(values, dtype)
    return parse_encoding(stored.dtype, attributes).decode(stored)


def assert_values(found: np.ndarray[Any, Any], expected: list[float]) -> None:
    np.testing.assert_allclose(found.astype(np.float64), expected, rtol=1e-12)


@pytest.mark.parametrize("dtype", ["u1", "i8", "f4", ">i2", ">f8"])
def test_plain_values_stay_as_they_are(dtype: str) -> None:
    stored = np.array([1, 2, 3], dtype)
    encoding = parse_encoding(stored.dtype, {"units": "K", "_FillValue": NAN})
    assert encoding.is_plain
    decoded = encoding.decode(stored)
    assert decoded.dtype == stored.dtype.newbyteorder("=")
    assert decoded.tolist() == [1, 2, 3]
    assert not stored.dtype.isnative or decoded is stored  # no copy


def test_unsigned_comes_first() -> None:
    # Bytes 200 and 255 kept as -56 and -1; _FillValue -1 is in the stored type, so it is 255.
    assert decode([-56, 5], "i1", _Unsigned="true").tolist() == [200, 5]
    assert_values(decode([-56, -1], "i1", _Unsigned="true", _FillValue=np.int8(-1)), [200, NAN])
    # 200 * 0.5 + 10 = 110; a missing value that is no int8 is meant as read.
    packed = {"_Unsigned": "TRUE", "missing_value": 255, "scale_factor": 0.5, "add_offset": 10.0}
    assert_values(decode([-56, -1, 4], "i1", **packed), [110, NAN, 12])
    # The other way round: 254 kept as unsigned is -2.
    assert decode([254, 3], "u1", _Unsigned="false").tolist() == [-2, 3]
    assert decode([1.5], "f4", _Unsigned="true").tolist() == [1.5]  # floats have no signs to lose


def test_every_missing_value_counts() -> None:
    attributes = {"_FillValue": np.int16(-1), "missing_value": np.array([7, 9], np.int16)}
    assert_values(decode([-1, 7, 8, 9], "i2", **attributes), [NAN, NAN, 8, NAN])
    # _FillValue NaN beside missing_value -9999: both.
    both = {"_FillValue": np.float32(NAN), "missing_value": np.float32(-9999)}
    assert_values(decode([NAN, -9999, 3], "f4", **both), [NAN, NAN, 3])


def test_missing_values_are_compared_as_stored() -> None:
    # -9999.9 written as a double; the variable holds its nearest float32.
    assert_values(decode([-9999.9, 1], "f4", missing_value=-9999.9), [NAN, 1])
    # 2**63 - 1 and 2**63 - 2 are one float64, and two integers.
    big = 2**63 - 1
    assert_values(decode([big, big - 1], "i8", _FillValue=np.int64(big)), [NAN, float(big - 1)])
    # Packed values are compared before they are unpacked: stored 5 means 50.
    packed = {"missing_value": np.int16(5), "scale_factor": 10.0}
    assert_values(decode([5, 50], "i2", **packed), [NAN, 500])


@pytest.mark.parametrize(
    ("dtype", "missing"), [("u1", -9999), ("i2", 0.5), ("u1", NAN), ("i2", 1e300), ("f4", 1e300)]
)
def test_missing_values_that_the_type_cannot_hold_match_nothing(dtype: str, missing: float) -> None:
    assert parse_encoding(np.dtype(dtype), {"missing_value": missing}).is_plain


def test_infinity_may_be_the_fill_value() -> None:
    assert_values(decode([np.inf, 1], "f4", _FillValue=np.float32(np.inf)), [NAN, 1])


def test_scale_and_offset() -> None:
    # 8000 * 0.01 - 20 = 60 degrees.
    found = decode([8000, -100], "i2", scale_factor=0.01, add_offset=np.float64(-20))
    assert found.dtype == np.float64
    assert_values(found, [60, -21])
    assert_values(decode([3], ">i2", add_offset=-1), [2])
    assert decode([3], "i2", scale_factor=1, add_offset=0.0).dtype == np.int16  # nothing to do
    assert_values(decode([2], "u1", scale_factor=[0.5]), [1])  # a list of one


@pytest.mark.parametrize(
    ("dtype", "decoded"),
    [("u1", "f4"), ("i2", "f4"), ("f4", "f4"), ("i4", "f8"), ("u8", "f8"), ("f8", "f8")],
)
def test_type_of_values_with_gaps(dtype: str, decoded: str) -> None:
    # Known before the first value is read, and exact for every value of small integers.
    encoding = parse_encoding(np.dtype(dtype), {"_FillValue": 1})
    assert encoding.decoded_dtype == decoded
    assert encoding.decode(np.zeros(2, dtype)).dtype == decoded


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"scale_factor": "0.1"}, "scale_factor is '0.1'; expected numbers"),
        ({"scale_factor": [0.1, 0.2]}, r"scale_factor is \[0.1, 0.2\]; expected one finite number"),
        ({"scale_factor": 0}, "scale_factor is 0; expected a number that tells values apart"),
        ({"scale_factor": np.inf}, "scale_factor is inf; expected one finite number"),
        ({"scale_factor": []}, "expected"),
        ({"scale_factor": np.array([0.5, 2])}, r"scale_factor is \[0.5, 2.0\]; expected one"),
        ({"add_offset": np.float64("nan")}, "add_offset is nan; expected one finite number"),
        ({"add_offset": 1j}, "add_offset is 1j; expected numbers"),
        ({"add_offset": True}, "add_offset is True; expected numbers"),
        ({"add_offset": {"a": 1}}, "add_offset is .*; expected numbers"),
        ({"missing_value": "none"}, "missing_value is 'none'; expected numbers"),
        ({"missing_value": [1, [2]]}, r"missing_value is \[1, \[2\]\]; expected numbers"),
        ({"_Unsigned": "maybe"}, "_Unsigned is 'maybe'; expected 'true' or 'false'"),
        ({"scale_factor": "\x1b[2J"}, r"scale_factor is .*x1b\[2J.*; expected numbers"),
    ],
)
def test_what_cannot_be_understood_is_refused(attributes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as raised:
        parse_encoding(np.dtype("i2"), attributes)
    assert "\x1b" not in str(raised.value)


@pytest.mark.parametrize("dtype", ["S1", "U4", "c8", "O", [("re", "f4"), ("im", "f4")]])
def test_what_holds_no_numbers_is_refused(dtype: Any) -> None:
    with pytest.raises(ValueError, match="expected real numbers"):
        parse_encoding(np.dtype(dtype), {})


def test_meanings_of_missing_values() -> None:
    assert CfEncoding(np.dtype("u1"), (2, 255), 0.5, 1.0).missing_meanings == (2.0, 128.5)


@settings(max_examples=100, deadline=None)
@given(
    stored=st.lists(st.integers(0, 255), min_size=1, max_size=30),
    signed=st.booleans(),
    fill=st.none() | st.integers(0, 255),
    missing=st.lists(st.integers(0, 255), max_size=3),
    scale=st.sampled_from([1, 0.5, -2.0, 0.01]),
    offset=st.sampled_from([0, 10.0, -0.25]),
    order=st.sampled_from("<>"),
)
def test_decoding_agrees_with_a_loop(
    stored: list[int],
    signed: bool,
    fill: int | None,
    missing: list[int],
    scale: float,
    offset: float,
    order: str,
) -> None:
    # As a file without unsigned types keeps them: 16-bit, so that the byte order matters.
    kind = f"{order}i2" if signed else f"{order}u2"
    values = np.array([v * 257 for v in stored], "u2")
    attributes: dict[str, Any] = {"scale_factor": scale, "add_offset": offset}
    as_kept = np.array([m * 257 for m in missing], "u2").astype(kind)
    if signed:
        attributes["_Unsigned"] = "true"
    if fill is not None:
        attributes["_FillValue"] = np.array(fill * 257, "u2").astype(kind)[()]
    if missing:
        attributes["missing_value"] = as_kept if len(missing) > 1 else as_kept[0]
    decoded = parse_encoding(np.dtype(kind), attributes).decode(values.astype(kind))
    gone = {m * 257 for m in (*missing, *([] if fill is None else [fill]))}
    expected = [NAN if v in gone else v * scale + offset for v in values.tolist()]
    np.testing.assert_allclose(decoded.astype(float), expected, rtol=1e-12)
