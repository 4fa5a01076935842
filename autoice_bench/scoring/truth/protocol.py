"""The charts that predictions are scored against: from a store, or straight from RTT files.

Both sources give the same pixels and the same truth fingerprint, which alone decides what is ranked
together: SHA-256 over the label rule, its thresholds and each scene's SHA-256 of its decoded SIC,
SOD and FLOE bytes (uint8, C order, in this order).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from autoice_bench.formats.label_rule import LabelRule

Charts = dict[str, NDArray[np.uint8]]
"""Chart name to (lines, samples) uint8 classes, 255 where there is no label."""


@dataclass(frozen=True)
class TruthScene:
    """One scene to be scored.

    Attributes:
        scene_id: such as ``20180607T184326_dmi``.
        region: chart region such as ``CentralEast``; None where unknown.
        shape: (lines, samples) of its charts.
        truth_sha256: digest of the decoded charts; None when the source does not record it.
    """

    scene_id: str
    region: str | None
    shape: tuple[int, int]
    truth_sha256: str | None


class Truth(Protocol):
    """A source of charts. Implementations are small and picklable: processes get a copy."""

    @property
    def rule(self) -> LabelRule: ...

    @property
    def simulated(self) -> bool: ...

    @property
    def label(self) -> str:
        """The source in words, for messages."""
        ...

    def split_name(self, split: str | Path) -> str:
        """The name that a split goes by, whether given by name or by its file.

        Raises:
            SplitError: the split is unknown or its file is damaged.
        """
        ...

    def select(self, split: str | Path, subset: str) -> tuple[TruthScene, ...]:
        """The scenes of one subset of a split, sorted by id.

        Args:
            split: a split's name, or the path of a split's JSON file.
            subset: ``train``, ``val`` or ``test``.

        Raises:
            SplitError: the split is unknown or its scenes are not all there.
        """
        ...

    def read(self, scene_id: str) -> Charts:
        """Read the three charts of a scene."""
        ...

    def in_any_folder(self) -> Self:
        """The same source by an absolute path, for processes that run in another folder."""
        ...

    def files_of(self, scene_id: str) -> tuple[Path, ...]:
        """Files and folders that are read for a scene."""
        ...


def compute_truth_fingerprint(rule: LabelRule, scenes: Mapping[str, str]) -> str:
    """The fingerprint of an evaluated subset.

    Args:
        rule: the label rule.
        scenes: scene id to truth SHA-256.

    Returns:
        64 hexadecimal digits.
    """
    content: dict[str, Any] = {
        "label_rule": rule.name,
        "sod_threshold": rule.sod_threshold,
        "floe_threshold": rule.floe_threshold,
        "scenes": [[scene_id, scenes[scene_id]] for scene_id in sorted(scenes)],
    }
    text = json.dumps(content, separators=(",", ":"), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
