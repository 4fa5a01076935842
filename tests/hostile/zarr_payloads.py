"""Zarr arrays that run code when an unguarded reader decodes them."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any, Final

PICKLE: Final = {"id": "pickle", "protocol": 5}

ATTACKS: Final[dict[str, dict[str, Any]]] = {
    "filter": {"dtype": "|O", "filters": [PICKLE], "compressor": None},
    "filter behind vlen-utf8": {
        "dtype": "|O",
        "filters": [{"id": "vlen-utf8"}, PICKLE],
        "compressor": None,
    },
    "compressor": {"dtype": "|u1", "filters": None, "compressor": PICKLE},
    "compressor behind vlen-utf8": {
        "dtype": "|O",
        "filters": [{"id": "vlen-utf8"}],
        "compressor": PICKLE,
    },
}
"""What differs in ``.zarray`` between the ways to have a chunk unpickled."""


class _Touch:
    """Unpickling it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def write_attack(array: Path, attack: str, marker: Path, shape: tuple[int, int] = (4, 4)) -> None:
    """Write a Zarr v2 array whose only chunk makes ``marker`` when it is unpickled."""
    array.mkdir(parents=True)
    document = {
        "zarr_format": 2,
        "shape": list(shape),
        "chunks": list(shape),
        "fill_value": None,
        "order": "C",
        **ATTACKS[attack],
    }
    (array / ".zarray").write_text(json.dumps(document))
    (array / "0.0").write_bytes(pickle.dumps(_Touch(marker)))


def write_attacking_predictions(
    folder: Path, scene_ids: tuple[str, ...], attack: str, marker: Path
) -> Path:
    """A folder of Zarr predictions as ``score`` takes them, each chart an attack."""
    for scene_id in scene_ids:
        for name in ("SIC", "SOD", "FLOE"):
            write_attack(folder / scene_id / name, attack, marker)
        (folder / scene_id / ".zgroup").write_text('{"zarr_format": 2}')
    return folder
