"""Files of ``torch.save``, read without running code in them and with their checksums compared."""

from __future__ import annotations

import zipfile
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Final

import torch

_IS_FOLDER: Final = 0x10
"""The bit of a zip file's attributes."""


def load_tensors(path: Path) -> Any:
    """What a file of ``torch.save`` holds, on the CPU; no code in it is run.

    torch itself does not look at the checksums in the file, and takes flipped bits for weights.

    Raises:
        ValueError: a part of the file does not have its checksum.
        Exception: whatever zip files and torch raise for what they cannot read.
    """
    if zipfile.is_zipfile(path):  # before torch 1.6 the format was another, without checksums
        with zipfile.ZipFile(path) as file:
            # What torch writes is stored as it is; what is compressed may grow without end.
            if any(part.compress_type != zipfile.ZIP_STORED for part in file.infolist()):
                raise ValueError("its parts are compressed; expected what torch.save writes")
            # torch reads nothing of what is marked as a folder, and gives memory as it finds it.
            if any(part.external_attr & _IS_FOLDER for part in file.infolist()):
                raise ValueError("it holds a folder; expected what torch.save writes")
            damaged = file.testzip()
        if damaged is not None:
            raise ValueError(f"{damaged} in it is damaged: its checksum differs")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError:  # its text tells how to have the code run
        raise ValueError("it holds something else than tensors and plain values") from None
