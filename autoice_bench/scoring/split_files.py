"""Reading a split's JSON file: the scene ids of one of its subsets."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Final

from autoice_bench.errors import SplitError

SUBSETS: Final = ("train", "val", "test")


def is_split_path(split: str) -> bool:
    """Whether ``split`` is the path of a JSON file rather than a name."""
    return split.endswith(".json")


def split_name(split: str) -> str:
    """The name of a split given by name or by path."""
    return Path(split).stem if is_split_path(split) else split


def read_split_subset(path: Path, subset: str) -> tuple[str, ...]:
    """Read the scene ids of one subset, sorted.

    Raises:
        SplitError: the file is missing, is not a split, was edited without renewing its hash, or
            its subset is empty.
    """
    if subset not in SUBSETS:
        raise SplitError(f"subset {subset!r}; expected one of {', '.join(SUBSETS)}")
    try:
        content = json.loads(path.read_text())
        lists = {name: [str(scene_id) for scene_id in content[name]] for name in SUBSETS}
        recorded = content["hash"]
    except FileNotFoundError:
        raise SplitError(
            f"{path}: no such split; `autoice-bench splits list` names those of a store"
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise SplitError(f"{path}: not a split file ({type(error).__name__}: {error})") from None
    text = json.dumps(lists, separators=(",", ":"), sort_keys=True)
    if hashlib.sha256(text.encode()).hexdigest() != recorded:
        raise SplitError(f"{path}: its scene lists do not match its hash; create the split anew")
    if not lists[subset]:
        raise SplitError(f"{path}: subset {subset} holds no scenes")
    return tuple(sorted(lists[subset]))
