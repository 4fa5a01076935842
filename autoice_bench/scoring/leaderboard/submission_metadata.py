"""What ``submission.json`` and a description must hold: one table of types, lengths and ranges.

Anyone may have written them. Fields that this version does not know may come with a later one:
their texts must be printable, and nothing else is asked of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from autoice_bench.charts import CHART_NAMES
from autoice_bench.errors import LeaderboardError
from autoice_bench.formats.document_schema import (
    CHECKSUM,
    SHA256,
    Anything,
    Entries,
    Fields,
    Flag,
    Items,
    Kind,
    Line,
    Name,
    Nullable,
    Number,
    SceneId,
    Seed,
    Text,
    Whole,
    digest_json,
    find_fault,
)
from autoice_bench.formats.variables import LARGEST_SIDE
from autoice_bench.scoring.leaderboard.submission_tables import HISTOGRAMS_FILE, SCORES_FILE

SCHEMA_VERSION: Final = 1

MOST_BYTES: Final = 1 << 24
"""Largest ``submission.json`` that is read."""
MOST_SCENES: Final = 20_000
_MOST_DRAWS: Final = 50_000_000
"""Most scenes drawn in all resamples together: a check must end, whatever a submission asks."""
_MOST_RESAMPLES: Final = 10_000
_LONGEST_LINE: Final = 1_000
_LONGEST_TEXT: Final = 10_000

_LINE: Final = Line(_LONGEST_LINE)
_LINES: Final = Nullable(Line(_LONGEST_TEXT, breaks=True))
_PIXELS: Final = Whole(0, MOST_SCENES * LARGEST_SIDE**2)
_LATER: Final = Entries(Anything(), keys=Line(100))
"""Fields of later versions."""

DESCRIPTION: Final[Mapping[str, Kind]] = {
    "authors": _LINES,
    "description": _LINES,
    "paper": _LINES,
    "code_revision": _LINES,
    "recipe": _LINES,
    "seed": Nullable(Seed()),
    "store_fingerprint": _LINES,
    "trained_on_test": _LINES,
    "hardware": _LINES,
    "training_hours": Nullable(Number(0, 10_000_000)),
}
"""What only the submitter knows; every field may be left out."""

_DESCRIPTION: Final = Fields({}, DESCRIPTION, others=None)
_SCENE: Final = Fields(
    {
        "scene_id": SceneId(),
        "shape": Items(Whole(1, LARGEST_SIDE), length=2),
        "truth_sha256": SHA256,
    },
    {"region": Nullable(_LINE)},
    others=_LATER,
)
_PERCENT: Final = Whole(1, 100)
_SUBMISSION: Final = Fields(
    {
        "format": Whole(SCHEMA_VERSION, SCHEMA_VERSION),
        "name": Name(),
        "split": Name(),
        "subset": Name(),
        "truth_fingerprint": SHA256,
        "label_rule": Fields(
            {"name": _LINE, "sod_threshold": _PERCENT, "floe_threshold": _PERCENT}, others=None
        ),
        "simulated": Flag(),
        "scorer_version": Text(r"[0-9]{1,9}(\.[0-9]{1,9}){2}([!-/:-~][ -~]{0,60})?", "a version"),
        "predictions_sha256": SHA256,
        "verified": Flag(),
        "rankable": Flag(),
        "missing": Items(_LINE, most=MOST_SCENES * len(CHART_NAMES)),
        "mask_class_pixels": Fields(dict.fromkeys(CHART_NAMES, _PIXELS), others=None),
        "bootstrap": Fields(
            {"resamples": Whole(1, _MOST_RESAMPLES), "seed": Whole(0)}, others=None
        ),
        "scenes": Items(_SCENE, fewest=1, most=MOST_SCENES),
        "files": Fields(
            {SCORES_FILE: SHA256, HISTOGRAMS_FILE: SHA256}, others=Entries(SHA256, keys=Line(100))
        ),
    },
    {**DESCRIPTION, CHECKSUM: Nullable(SHA256)},
    others=_LATER,
)


def validate_metadata(metadata: Any) -> None:
    """Check parsed ``submission.json``: what a submission is read by, and its checksum.

    Raises:
        ValueError: a field is missing, or has another type, length or range than it may have.
    """
    fault = find_fault(metadata, _SUBMISSION)
    if fault is not None:
        raise ValueError(fault)
    listed: set[str] = set()
    for scene in metadata["scenes"]:
        if scene["scene_id"] in listed:
            raise ValueError(f"scenes lists {scene['scene_id']} twice; expected each scene once")
        listed.add(scene["scene_id"])
    draws = metadata["bootstrap"]["resamples"] * len(listed)
    if draws > _MOST_DRAWS:
        raise ValueError(f"bootstrap asks for {draws} scenes to be drawn; expected {_MOST_DRAWS}")
    # The first submissions have none.
    if metadata.get(CHECKSUM) not in (None, compute_checksum(metadata)):
        raise ValueError(
            "submission.json does not match its checksum: it was damaged or edited; score it "
            "again, or remove the field checksum if the change is yours"
        )


def validate_description(content: Any, where: str) -> None:
    """Check a parsed description.

    Raises:
        LeaderboardError: a field is unknown, or has another type, length or range.
    """
    fault = find_fault(content, _DESCRIPTION)
    if fault is not None:
        raise LeaderboardError(f"{where}: {fault}")


def compute_checksum(metadata: Mapping[str, Any]) -> str:
    """SHA-256 over every field but ``checksum`` itself, as hexadecimal."""
    return digest_json({name: value for name, value in metadata.items() if name != CHECKSUM})
