"""Groups of scenes that scores are reported for: each scene, service, region, month and season."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from autoice_bench.scene_id import parse_scene_id
from autoice_bench.scoring.truth.protocol import TruthScene

UNKNOWN_REGION: Final = "unknown"

_SEASONS: Final = ("DJF", "MAM", "JJA", "SON")
"""December-February, March-May, June-August, September-November."""


@dataclass(frozen=True)
class Group:
    """Some of the evaluated scenes.

    Attributes:
        kind: ``all``, ``ice_service``, ``region``, ``month``, ``season`` or ``scene``.
        name: such as ``cis``, ``CentralEast``, ``09`` or ``SON``.
        members: indices of the scenes.
    """

    kind: str
    name: str
    members: tuple[int, ...]


def _month(scene: TruthScene) -> str:
    return f"{parse_scene_id(scene.scene_id).acquisition_time.month:02d}"


def _season(scene: TruthScene) -> str:
    return _SEASONS[int(_month(scene)) % 12 // 3]


_GROUPINGS: Final[dict[str, Callable[[TruthScene], str]]] = {
    "ice_service": lambda scene: parse_scene_id(scene.scene_id).ice_service,
    "region": lambda scene: scene.region or UNKNOWN_REGION,
    "month": _month,
    "season": _season,
    "scene": lambda scene: scene.scene_id,
}
GROUP_KINDS: Final = tuple(_GROUPINGS)


def group_scenes(scenes: Sequence[TruthScene]) -> tuple[Group, ...]:
    """Every group of the scenes, the group ``all`` first, then by kind and name."""
    groups = [Group("all", "all", tuple(range(len(scenes))))]
    for kind, name_of in _GROUPINGS.items():
        members: dict[str, list[int]] = {}
        for index, scene in enumerate(scenes):
            members.setdefault(name_of(scene), []).append(index)
        groups += [Group(kind, name, tuple(members[name])) for name in sorted(members)]
    return tuple(groups)


def pool_groups(counts: NDArray[np.int64], groups: Sequence[Group]) -> NDArray[np.int64]:
    """Sum the scenes' histograms within each group.

    Args:
        counts: (n_scenes, C, C + 1).
        groups: groups of these scenes.

    Returns:
        (n_groups, C, C + 1).
    """
    members = np.concatenate([group.members for group in groups])
    sizes = [len(group.members) for group in groups]
    starts = np.cumsum([0, *sizes[:-1]])
    pooled: NDArray[np.int64] = np.add.reduceat(counts[members], starts, axis=0)
    return pooled
