"""Which scene a name in a set of predictions stands for.

People keep endings of the source's names and add their own, in every format: the file
``<scene_id>_prep.nc``, the variable ``<scene_id>_prep.nc_SIC`` of an upload package, the Zarr group
``<scene_id>_pred``.
"""

from __future__ import annotations

import re
from typing import Final

from autoice_bench.scene_id import is_scene_id

_NAME: Final = re.compile(
    r"(?P<scene>\d{8}T\d{6}_[a-z]{3})(?:_prep(?:_reference)?)?(?:\.nc)?"
    r"(?:_pred(?:s|iction|ictions|icted)?)?(?:\.nc|\.zarr)?"
)


def scene_of(name: str) -> str | None:
    """The scene id that a name begins with, None where more follows than is known."""
    match = _NAME.fullmatch(name)
    return match["scene"] if match is not None and is_scene_id(match["scene"]) else None


def by_scene(names: list[str]) -> tuple[dict[str, str], tuple[str, str] | None]:
    """Scene id to name, sorted by id, of the names that stand for scenes.

    Returns:
        The names, and the first two that stand for one scene, None where there are none.
    """
    found: dict[str, str] = {}
    for name in sorted(names):
        scene_id = scene_of(name)
        if scene_id is None:
            continue
        if found.setdefault(scene_id, name) != name:
            return {}, (found[scene_id], name)
    return dict(sorted(found.items())), None
