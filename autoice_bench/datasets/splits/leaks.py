"""Leaks of a split: scenes in two subsets that show the same ice.

Three kinds, the strongest one reported per pair of scenes:

- ``pass``: both are of one data-take of one satellite (or one image charted by both services).
- ``time``: frames of one satellite at most ten minutes apart.
- ``footprint``: at most ``MAX_DAYS`` days apart, and the footprints share at least ``MIN_OVERLAP``
  of the smaller one. Drift and melt change ice over days, its class and texture much less.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from functools import cache
from itertools import combinations
from typing import Any, Final, Literal

import pandas as pd

from autoice_bench.datasets.splits.footprints import Footprint, compute_overlap, parse_footprint
from autoice_bench.datasets.splits.passes import Frame, close_in_time, read_frames, same_data_take
from autoice_bench.datasets.splits.scene_table import validate_split_index
from autoice_bench.errors import SplitError
from autoice_bench.formats.split_file import SUBSETS, Split, Subset
from autoice_bench.official import WITHDRAWN

LeakKind = Literal["pass", "time", "footprint"]

KINDS: Final[tuple[LeakKind, ...]] = ("pass", "time", "footprint")
MAX_DAYS: Final = 3.0
MIN_OVERLAP: Final = 0.05


@dataclass(frozen=True)
class Link:
    """Two scenes that show the same ice.

    Attributes:
        kind: why; see the module.
        first, second: the scenes, the earlier one first.
        minutes: time between them.
        overlap: common area as a share of the smaller footprint; None when one is unknown.
    """

    kind: LeakKind
    first: str
    second: str
    minutes: float
    overlap: float | None


@dataclass(frozen=True)
class Leak:
    """A link between two subsets of a split."""

    link: Link
    first_subset: Subset
    second_subset: Subset

    def to_dict(self) -> dict[str, Any]:
        """Flat fields for JSON."""
        return {
            **asdict(self.link),
            "first_subset": self.first_subset,
            "second_subset": self.second_subset,
        }

    def __str__(self) -> str:
        link = self.link
        apart = "the same second" if link.minutes == 0 else _duration(link.minutes)
        shared = "" if link.overlap is None else f", {100 * link.overlap:.0f} % in common"
        return (
            f"{link.kind}: {link.first} ({self.first_subset}) and "
            f"{link.second} ({self.second_subset}), {apart}{shared}"
        )


def _duration(minutes: float) -> str:
    if minutes < 60:
        return f"{minutes:.0f} min apart"
    return (
        f"{minutes / 60:.0f} h apart" if minutes < 48 * 60 else f"{minutes / 1440:.1f} days apart"
    )


@cache
def _footprint(wkt: str) -> Footprint:
    return parse_footprint(wkt)


def find_link(
    a: Frame, b: Frame, *, max_days: float = MAX_DAYS, min_overlap: float = MIN_OVERLAP
) -> Link | None:
    """The strongest link between two scenes, or None."""
    first, second = sorted((a, b), key=lambda frame: (frame.time, frame.scene_id))
    apart = second.time - first.time
    kind: LeakKind | None = None
    if same_data_take(a, b):
        kind = "pass"
    elif close_in_time(a, b):
        # One image that both services charted starts at the very same second.
        kind = "pass" if apart == timedelta(0) else "time"
    elif apart > timedelta(days=max_days):
        return None
    overlap = None
    if a.footprint is not None and b.footprint is not None:
        overlap = compute_overlap(_footprint(a.footprint), _footprint(b.footprint))
        if kind is None and overlap >= min_overlap:
            kind = "footprint"
    if kind is None:
        return None
    return Link(kind, first.scene_id, second.scene_id, apart.total_seconds() / 60, overlap)


def find_links(
    a: Sequence[Frame],
    b: Sequence[Frame],
    *,
    max_days: float = MAX_DAYS,
    min_overlap: float = MIN_OVERLAP,
) -> list[Link]:
    """Links between the scenes of ``a`` and those of ``b``, by time.

    A data-take lasts minutes, so nothing further apart than ``max_days`` (at least one day) is
    compared. A scene is never linked to itself.
    """
    window = timedelta(days=max(1.0, max_days))
    ordered = sorted(b, key=lambda frame: frame.time)
    times = [frame.time for frame in ordered]
    links = set()
    for frame in a:
        low = bisect_left(times, frame.time - window)
        high = bisect_right(times, frame.time + window)
        for other in ordered[low:high]:
            if other.scene_id != frame.scene_id:
                link = find_link(frame, other, max_days=max_days, min_overlap=min_overlap)
                if link is not None:
                    links.add(link)
    return sorted(links, key=lambda link: (link.first, link.second))


def validate_split_scenes(split: Split, index: pd.DataFrame) -> None:
    """Check that a split can be used with a scene table.

    Raises:
        SplitError: the split names a scene that the table lacks or that was withdrawn, or trains
            or validates on a scene without charts.
    """
    withdrawn = sorted(set(split.subset_of()) & set(WITHDRAWN))
    if withdrawn:
        raise SplitError(
            f"split {split.name}: scene {withdrawn[0]} was withdrawn by the data set's authors; "
            "take it out"
        )
    missing = sorted(set(split.subset_of()) - set(index["scene_id"]))
    if missing:
        raise SplitError(
            f"split {split.name}: {len(missing)} of {len(split.subset_of())} scenes are not in the "
            f"store, the first {missing[0]}; prepare them, or use a split made for this store"
        )
    bare = set(index.loc[~index["has_charts"].astype(bool), "scene_id"])
    for scene in (*split.train, *split.val):
        if scene in bare:
            raise SplitError(
                f"split {split.name}: scene {scene} has no charts; only test scenes may lack them"
            )


def check_split(
    split: Split,
    index: pd.DataFrame,
    *,
    max_days: float = MAX_DAYS,
    min_overlap: float = MIN_OVERLAP,
) -> list[Leak]:
    """Find the leaks of a split.

    Args:
        split: the split.
        index: scene table that holds all its scenes; ``platform``, ``data_take`` and ``footprint``
            are used where known. Without footprints, only passes and times are checked.
        max_days: longest time between two scenes whose footprints are compared.
        min_overlap: least common area, as a share (0 .. 1) of the smaller footprint.

    Returns:
        The leaks: pass, then time, then footprint; by time within each.

    Raises:
        SplitError: the split does not fit the table; see ``validate_split_scenes``.
    """
    validate_split_scenes(split, index)
    subsets = split.subset_of()
    frames = read_frames(validate_split_index(index))
    by_subset = {
        subset: [f for f in frames if subsets.get(f.scene_id) == subset] for subset in SUBSETS
    }
    leaks = [
        Leak(link, subsets[link.first], subsets[link.second])
        for subset, other in combinations(SUBSETS, 2)
        for link in find_links(
            by_subset[subset], by_subset[other], max_days=max_days, min_overlap=min_overlap
        )
    ]
    return sorted(leaks, key=lambda leak: (KINDS.index(leak.link.kind), leak.link.first))
