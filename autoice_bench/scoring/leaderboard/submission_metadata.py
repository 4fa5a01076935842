"""What ``submission.json`` must hold: checked on reading, since anyone may have written it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from autoice_bench.charts import CHART_NAMES
from autoice_bench.errors import LeaderboardError
from autoice_bench.formats.names import require_safe_name
from autoice_bench.scene_id import is_scene_id
from autoice_bench.wording import is_printable

_STRINGS: Final = (
    "name",
    "split",
    "subset",
    "truth_fingerprint",
    "scorer_version",
    "predictions_sha256",
)
_NAMES: Final = ("name", "split", "subset")
"""Become part of a path, and are printed."""
_BREAKS: Final = dict.fromkeys(map(ord, "\t\n\r"))
_TYPES: Final[Mapping[str, type]] = {
    **dict.fromkeys(_STRINGS, str),
    "format": int,
    "simulated": bool,
    "verified": bool,
    "rankable": bool,
    "label_rule": dict,
    "mask_class_pixels": dict,
    "files": dict,
    "bootstrap": dict,
    "missing": list,
    "scenes": list,
}
_JSON_NAMES: Final = {
    str: "a string",
    int: "a whole number",
    bool: "true or false",
    dict: "an object",
    list: "a list",
}
_LABEL_RULE: Final[Mapping[str, type]] = {"name": str, "sod_threshold": int, "floe_threshold": int}
_MOST_RESAMPLES: Final = 100_000
"""A check must end, whatever a submission asks for."""


def validate_metadata(metadata: object) -> None:
    """Check that parsed ``submission.json`` has every field a submission is read by.

    Raises:
        ValueError: a field is missing or has the wrong type, or a text holds control characters.
        LeaderboardError: a name is unsafe.
    """
    if not isinstance(metadata, dict):
        raise ValueError(f"holds a {type(metadata).__name__}; expected an object")
    for name, expected in _TYPES.items():
        _require(metadata, name, expected)
    for name in _NAMES:
        require_safe_name(metadata[name], LeaderboardError, what=name)
    for name, value in metadata.items():
        # What is not read may come with a later version; descriptions may have several lines.
        require_printable(value, name, breaks=name not in _TYPES)
    for name, expected in _LABEL_RULE.items():
        _require(metadata["label_rule"], name, expected, "label_rule.")
    for name in CHART_NAMES:
        _require(metadata["mask_class_pixels"], name, int, "mask_class_pixels.")
    for name, lowest, highest in (("resamples", 1, _MOST_RESAMPLES), ("seed", 0, 2**63)):
        number = _require(metadata["bootstrap"], name, int, "bootstrap.")
        if not lowest <= number <= highest:
            raise ValueError(f"bootstrap.{name} is {number}; expected {lowest} to {highest}")
    if not all(isinstance(line, str) for line in metadata["missing"]):
        raise ValueError("missing holds something else than strings")
    if not metadata["scenes"]:
        raise ValueError("scenes is empty; expected the scenes scored")
    listed: set[str] = set()
    for scene in metadata["scenes"]:
        scene_id = _validate_scene(scene)
        if scene_id in listed:
            raise ValueError(f"scenes lists {scene_id} twice; expected each scene once")
        listed.add(scene_id)


def require_printable(value: object, where: str, *, breaks: bool = False) -> None:
    """Check that the texts in parsed JSON may be printed; see ``is_printable``.

    Args:
        value: what was parsed; of objects, the keys are looked at too.
        where: its name, for the message.
        breaks: whether lines may end and tabs stand in it.

    Raises:
        ValueError: one of them may not.
    """
    if isinstance(value, str):
        if not is_printable(value.translate(_BREAKS) if breaks else value):
            raise ValueError(
                f"{where} is {value!r}; expected text without control characters or surrogates"
            )
    elif isinstance(value, dict):
        for item in (*value, *value.values()):
            require_printable(item, where, breaks=breaks)
    elif isinstance(value, list):
        for item in value:
            require_printable(item, where, breaks=breaks)


def _require(content: Mapping[str, Any], name: str, expected: type, prefix: str = "") -> Any:
    if name not in content:
        raise ValueError(f"{prefix}{name} is missing")
    value = content[name]
    # True is a whole number to Python, not to JSON.
    if not isinstance(value, expected) or (isinstance(value, bool) and expected is int):
        raise ValueError(f"{prefix}{name} is {value!r}; expected {_JSON_NAMES[expected]}")
    return value


def _validate_scene(scene: object) -> str:
    if not isinstance(scene, dict):
        raise ValueError(f"scenes holds {scene!r}; expected objects")
    scene_id: str = _require(scene, "scene_id", str, "scenes: ")
    if not is_scene_id(scene_id):
        raise ValueError(f"scenes: {scene_id!r} is no scene id")
    where = f"scene {scene_id}: "
    _require(scene, "truth_sha256", str, where)
    if scene.get("region") is not None:
        _require(scene, "region", str, where)
    shape = _require(scene, "shape", list, where)
    if len(shape) != 2 or not all(type(size) is int and size > 0 for size in shape):
        raise ValueError(f"{where}shape is {shape!r}; expected lines and samples")
    return scene_id
