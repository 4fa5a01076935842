"""What ``submission.json`` and a description must hold: one table of types, lengths and ranges.

Anyone may have written them. Fields that this version does not know may come with a later one:
their texts must be printable, and nothing else is asked of them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from autoice_bench.charts import CHART_NAMES
from autoice_bench.errors import LeaderboardError
from autoice_bench.formats.json_schema import (
    Check,
    Optional,
    anything,
    flag,
    number,
    record,
    sequence,
    show,
    text,
    whole,
)
from autoice_bench.formats.names import require_safe_name
from autoice_bench.scene_id import is_scene_id
from autoice_bench.scoring.leaderboard.submission_tables import HISTOGRAMS_FILE, SCORES_FILE

SCHEMA_VERSION: Final = 1

MOST_BYTES: Final = 1 << 24
"""Largest ``submission.json`` that is read."""
MOST_SCENES: Final = 20_000
LARGEST_SIDE: Final = 100_000
"""Most lines, and most samples, of a scene."""
_MOST_DRAWS: Final = 50_000_000
"""Most scenes drawn in all resamples together: a check must end, whatever a submission asks."""
_MOST_RESAMPLES: Final = 10_000
_LONGEST_LINE: Final = 1_000
_LONGEST_TEXT: Final = 10_000

_sha256: Final = text(64, pattern="[0-9a-f]{64}", words="a SHA-256: 64 hexadecimal digits")
_line: Final = text(_LONGEST_LINE)
_lines: Final = text(_LONGEST_TEXT, breaks=True)
_pixels: Final = whole(0, MOST_SCENES * LARGEST_SIDE**2)


def _name(value: Any, where: str) -> None:
    """Becomes part of a path, and is printed."""
    if not isinstance(value, str):
        raise ValueError(f"{where} is {show(value)}; expected a string")
    require_safe_name(value, LeaderboardError, what=where)


def _scene_id(value: Any, where: str) -> None:
    if not isinstance(value, str) or not is_scene_id(value):
        raise ValueError(f"{where}: {show(value)} is no scene id")


DESCRIPTION: Final[Mapping[str, Check]] = {
    "authors": Optional(_lines),
    "description": Optional(_lines),
    "paper": Optional(_lines),
    "code_revision": Optional(_lines),
    "recipe": Optional(_lines),
    "seed": Optional(whole(-(2**63), 2**64 - 1)),
    "store_fingerprint": Optional(_lines),
    "trained_on_test": Optional(_lines),
    "hardware": Optional(_lines),
    "training_hours": Optional(number(0, 10_000_000)),
}
"""What only the submitter knows; every field may be left out."""

_SCENE: Final = record(
    {
        "scene_id": _scene_id,
        "region": Optional(_line),
        "shape": sequence(whole(1, LARGEST_SIDE), 2, 2),
        "truth_sha256": _sha256,
    },
    others=anything,
)
_SUBMISSION: Final = record(
    {
        "format": whole(SCHEMA_VERSION, SCHEMA_VERSION),
        "name": _name,
        "split": _name,
        "subset": _name,
        **DESCRIPTION,
        "truth_fingerprint": _sha256,
        "label_rule": record(
            {"name": _line, "sod_threshold": whole(1, 100), "floe_threshold": whole(1, 100)}
        ),
        "simulated": flag,
        "scorer_version": text(
            100, pattern=r"\d{1,9}\.\d{1,9}\.\d{1,9}([^\d].*)?", words="a version"
        ),
        "predictions_sha256": _sha256,
        "verified": flag,
        "rankable": flag,
        "missing": sequence(_line, 0, MOST_SCENES * len(CHART_NAMES)),
        "mask_class_pixels": record(dict.fromkeys(CHART_NAMES, _pixels)),
        "bootstrap": record({"resamples": whole(1, _MOST_RESAMPLES), "seed": whole(0, 2**63)}),
        "scenes": sequence(_SCENE, 1, MOST_SCENES),
        "files": record({SCORES_FILE: _sha256, HISTOGRAMS_FILE: _sha256}, others=_sha256),
        "checksum": Optional(_sha256),
    },
    others=anything,
)


def validate_metadata(metadata: Any) -> None:
    """Check parsed ``submission.json``: what a submission is read by, and its checksum.

    Raises:
        ValueError: a field is missing, or has another type, length or range than it may have.
        LeaderboardError: a name is unsafe.
    """
    _SUBMISSION(metadata, "")
    listed: set[str] = set()
    for scene in metadata["scenes"]:
        if scene["scene_id"] in listed:
            raise ValueError(f"scenes lists {scene['scene_id']} twice; expected each scene once")
        listed.add(scene["scene_id"])
    draws = metadata["bootstrap"]["resamples"] * len(listed)
    if draws > _MOST_DRAWS:
        raise ValueError(f"bootstrap asks for {draws} scenes to be drawn; expected {_MOST_DRAWS}")
    # The first submissions have none.
    if metadata.get("checksum") not in (None, compute_checksum(metadata)):
        raise ValueError(
            "submission.json does not match its checksum: it was damaged or edited; score it "
            "again, or remove the field checksum if the change is yours"
        )


def validate_description(content: Any, where: str) -> None:
    """Check a parsed description.

    Raises:
        LeaderboardError: a field is unknown, or has another type, length or range.
    """
    if not isinstance(content, dict):
        raise LeaderboardError(f"{where}: holds a {type(content).__name__}; expected an object")
    try:
        record(DESCRIPTION)(content, "")
    except ValueError as error:
        raise LeaderboardError(f"{where}: {error}") from None


def compute_checksum(metadata: Mapping[str, Any]) -> str:
    """SHA-256 over every field but ``checksum`` itself, as hexadecimal."""
    fields = {name: value for name, value in metadata.items() if name != "checksum"}
    canonical = json.dumps(fields, separators=(",", ":"), sort_keys=True)
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()
