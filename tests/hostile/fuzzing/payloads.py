"""Bytes that make a marker when they are unpickled."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np


class _Touch:
    """Unpickling it makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def pickled(marker: Path, protocol: int = 2) -> bytes:
    return pickle.dumps(_Touch(marker), protocol)


def pickled_npy(marker: Path) -> bytes:
    """An array of objects as ``np.save`` writes it."""
    buffer = io.BytesIO()
    values = np.empty(1, object)
    values[0] = _Touch(marker)
    np.save(buffer, values, allow_pickle=True)
    return buffer.getvalue()


def pickled_npz(marker: Path) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in ("SIC.npy", "SOD.npy", "FLOE.npy"):
            archive.writestr(name, pickled_npy(marker))
    return buffer.getvalue()


def pickled_checkpoint(checkpoint: bytes, marker: Path) -> bytes:
    """A checkpoint of torch whose pickle is another."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(checkpoint)) as old, zipfile.ZipFile(buffer, "w") as new:
        for name in old.namelist():
            is_pickle = name.endswith("data.pkl")
            new.writestr(name, pickled(marker) if is_pickle else old.read(name))
    return buffer.getvalue()
