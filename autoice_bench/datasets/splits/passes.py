"""Satellite passes: which scenes are frames of one overflight and so see the same ice.

Two scenes belong to one pass when they share platform and data-take, or are frames of one satellite
at most ten minutes apart. Sentinel-1A and 1B fly half an orbit (49 minutes) apart, so a scene
whose platform is unknown is taken to be of the same satellite as its neighbours in time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import pandas as pd

PASS_GAP: Final = timedelta(minutes=10)
"""Frames of one satellite at most this far apart belong to one pass."""


@dataclass(frozen=True)
class Frame:
    """What a scene table says about where and when one scene was taken.

    Attributes:
        scene_id: the scene.
        time: start of acquisition, UTC.
        platform: ``S1A`` or ``S1B``; None when unknown.
        data_take: hexadecimal data-take; None when unknown.
        footprint: border as WKT ``POLYGON ((lon lat, ...))``; None when unknown.
    """

    scene_id: str
    time: datetime
    platform: str | None = None
    data_take: str | None = None
    footprint: str | None = None


def read_frames(index: pd.DataFrame) -> list[Frame]:
    """The frames of a scene table, in its order."""
    optional = {
        column: _text_column(index, column) for column in ("platform", "data_take", "footprint")
    }
    times = pd.to_datetime(index["acquisition_time"], utc=True)
    return [
        Frame(
            scene_id=str(scene_id),
            time=time.to_pydatetime(),
            platform=optional["platform"][row],
            data_take=optional["data_take"][row],
            footprint=optional["footprint"][row],
        )
        for row, (scene_id, time) in enumerate(zip(index["scene_id"], times, strict=True))
    ]


def _text_column(index: pd.DataFrame, column: str) -> list[str | None]:
    if column not in index.columns:
        return [None] * len(index)
    return [str(value) if isinstance(value, str) and value else None for value in index[column]]


def same_data_take(a: Frame, b: Frame) -> bool:
    """Whether both scenes are known to be of one data-take of one satellite."""
    return None not in (a.platform, a.data_take) and (
        (a.platform, a.data_take) == (b.platform, b.data_take)
    )


def close_in_time(a: Frame, b: Frame) -> bool:
    """Whether both are frames of one satellite (or of unknown ones) at most ten minutes apart."""
    same_satellite = a.platform is None or b.platform is None or a.platform == b.platform
    return same_satellite and abs(a.time - b.time) <= PASS_GAP


def group_linked(n_items: int, links: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Connected components of items 0 .. ``n_items`` - 1.

    Args:
        n_items: number of items.
        links: pairs of items that belong together.

    Returns:
        The groups, each ascending, ordered by their first item.
    """
    parent = list(range(n_items))

    def root(item: int) -> int:
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    for a, b in links:
        low, high = sorted((root(a), root(b)))
        parent[high] = low
    groups: dict[int, list[int]] = {}
    for item in range(n_items):
        groups.setdefault(root(item), []).append(item)
    return list(groups.values())


def group_passes(frames: Sequence[Frame]) -> list[list[int]]:
    """Positions of the scenes of each pass; see ``group_linked`` for the order."""
    order = sorted(range(len(frames)), key=lambda i: (frames[i].time, frames[i].scene_id))
    links: list[tuple[int, int]] = []
    for rank, first in enumerate(order):
        for second in order[rank + 1 :]:
            if frames[second].time - frames[first].time > PASS_GAP:
                break
            if close_in_time(frames[first], frames[second]):
                links.append((first, second))
    first_of_take: dict[tuple[str, str], int] = {}
    for position, frame in enumerate(frames):
        if frame.platform is not None and frame.data_take is not None:
            key = (frame.platform, frame.data_take)
            links.append((first_of_take.setdefault(key, position), position))
    return group_linked(len(frames), links)
