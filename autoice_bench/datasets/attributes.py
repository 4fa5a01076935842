"""Attributes of a NetCDF file as strict JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

Json = Any


def to_json_attributes(attributes: Mapping[str, Any]) -> dict[str, Json]:
    """Attributes sorted by name, their values as JSON.

    JSON has no NaN and no infinity, yet NaN is the usual ``_FillValue`` of a float variable: the
    words of the Zarr v3 specification, ``NaN``, ``Infinity`` and ``-Infinity``, stand for them.
    """
    return {name: _json_value(value) for name, value in sorted(attributes.items())}


def _json_value(value: Any) -> Json:
    if isinstance(value, np.ndarray | np.generic):
        return _json_value(value.tolist())
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, list):
        return [_json_value(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, "NaN")
    return value
