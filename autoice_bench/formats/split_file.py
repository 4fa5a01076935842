"""Splits: which scenes train, validate and test; their JSON files and their hash.

A split is one file ``splits/<name>.json`` in a store::

    {"format": 1, "name": "official", "rule": "...", "seed": null,
     "train": [...], "val": [...], "test": [...], "hash": "..."}

The lists are sorted. ``hash`` is the SHA-256 of the three lists alone, so two splits with equal
hashes train, validate and test on the same scenes whatever they are called.

A split is given by name, where there is a store, or as the path of such a file anywhere. Either way
it goes by the name that the file holds, whatever the file is called.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any, Final, Literal

from autoice_bench.errors import SplitError
from autoice_bench.formats.document_schema import Fields, Nullable, Seed, Text, find_fault
from autoice_bench.formats.names import require_safe_name
from autoice_bench.formats.own_folders import make_own_folder
from autoice_bench.formats.plain_files import (
    NotAFileError,
    is_there,
    read_bytes,
    read_json,
    require_file,
)
from autoice_bench.formats.store_layout import SPLITS
from autoice_bench.formats.whole_files import whole_file
from autoice_bench.scene_id import is_scene_id

Subset = Literal["train", "val", "test"]

SUBSETS: Final[tuple[Subset, ...]] = ("train", "val", "test")
SPLIT_FORMAT: Final = 1

_FIELDS: Final = Fields({"name": Text(), "rule": Text(), "seed": Nullable(Seed())})
"""Those beside the lists."""


@dataclass(frozen=True)
class Split:
    """Scene ids of training, validation and test, with the rule that chose them.

    Attributes:
        name: the file's name; see ``require_safe_name``.
        rule: how the scenes were chosen, for a reader.
        seed: seed of the choice; None where nothing was drawn.
        train, val, test: scene ids, sorted, in at most one of the three.

    Raises:
        SplitError: the name is malformed, a list is unsorted or a scene occurs twice.
    """

    name: str
    rule: str
    seed: int | None
    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]

    def __post_init__(self) -> None:
        require_safe_name(self.name, SplitError, what="split name")
        if is_split_path(self.name):
            raise SplitError(f"split name {self.name!r}; expected one that does not end in .json")
        for subset in SUBSETS:
            for before, scene in pairwise(self.scenes(subset)):
                if scene == before:
                    raise SplitError(
                        f"split {self.name}: {subset} lists scene {scene} twice; "
                        "expected each scene once"
                    )
                if scene < before:
                    raise SplitError(
                        f"split {self.name}: {subset} is not sorted: scene {scene} comes after "
                        f"{before}; sort it"
                    )
        for subset, other in combinations(SUBSETS, 2):
            shared = set(self.scenes(subset)) & set(self.scenes(other))
            if shared:
                raise SplitError(
                    f"split {self.name}: scene {min(shared)} is in both {subset} and {other}"
                )

    def scenes(self, subset: Subset) -> tuple[str, ...]:
        """Scene ids of one subset."""
        return {"train": self.train, "val": self.val, "test": self.test}[subset]

    def require_scenes(self, subset: str) -> tuple[str, ...]:
        """Scene ids of a subset that must hold some.

        Raises:
            SplitError: there is no such subset, or it is empty.
        """
        if subset not in SUBSETS:
            raise SplitError(f"subset {subset!r}; expected one of {', '.join(SUBSETS)}")
        found = self.scenes(subset)
        if not found:
            raise SplitError(f"split {self.name}: subset {subset} holds no scenes; choose another")
        return found

    def subset_of(self) -> dict[str, Subset]:
        """The subset of every scene of the split."""
        return {scene: subset for subset in SUBSETS for scene in self.scenes(subset)}

    @property
    def hash(self) -> str:
        """SHA-256 (hex) of the three lists as compact JSON with sorted keys."""
        return _sha256({subset: list(self.scenes(subset)) for subset in SUBSETS})

    def to_dict(self) -> dict[str, Any]:
        """The split as it stands in its file."""
        fields: dict[str, Any] = {
            "format": SPLIT_FORMAT,
            "name": self.name,
            "rule": self.rule,
            "seed": self.seed,
            **{subset: list(self.scenes(subset)) for subset in SUBSETS},
            "hash": self.hash,
        }
        return {**fields, "checksum": _sha256(fields)}


def is_split_path(split: str | Path) -> bool:
    """Whether a split is given as the path of its JSON file rather than by name."""
    return isinstance(split, Path) or split.endswith(".json")


def split_path(store: Path, name: str) -> Path:
    """Where a store keeps the split ``name``."""
    return store / SPLITS / f"{name}.json"


def split_names(store: Path) -> list[str]:
    """Names of the splits of a store, sorted."""
    return sorted(path.stem for path in (store / SPLITS).glob("[!.]*.json"))


def find_split(store: Path, split: str | Path) -> Path:
    """The file of a split.

    Args:
        store: folder of the store; not looked at when ``split`` is a path.
        split: name of a split of the store, or the path of a file that ends in ``.json``.

    Raises:
        SplitError: there is no such file, or the name is none.
    """
    is_path = is_split_path(split)
    if not is_path:
        require_safe_name(str(split), SplitError, what="split", advice="a path ends in .json")
    path = Path(split) if is_path else split_path(store, str(split))
    try:
        require_file(path)
    except NotAFileError as error:
        raise SplitError(f"split {split}: {error}") from None
    except OSError:
        hint = "" if is_path else f"; {store} has {', '.join(split_names(store)) or 'none'}"
        raise SplitError(f"split {split}: no file {path}{hint}") from None
    return path


def read_split(store: Path, split: str | Path) -> Split:
    """Read a split by its name in a store, or from any JSON file; arguments as ``find_split``.

    Raises:
        SplitError: there is no such split, or its file is damaged or was edited.
    """
    return read_split_file(find_split(store, split))


def read_split_file(path: Path) -> Split:
    """Read the split that a file holds.

    Raises:
        SplitError: the file cannot be read, is damaged or was edited.
    """
    try:
        fields = read_json(path)
    except OSError as error:
        raise SplitError(f"split {path}: cannot be read: {error.strerror or error}") from None
    except ValueError as error:  # also of bytes that are no text
        raise SplitError(f"split {path}: not JSON ({error})") from None
    return _split_from_dict(fields, path)


def read_splits(store: Path) -> list[Split]:
    """Every split of a store, by name.

    Raises:
        SplitError: one of them is damaged.
    """
    return [read_split(store, name) for name in split_names(store)]


def validate_split_file(store: Path, name: str) -> None:
    """Check that a split of a store is, to the byte, as it was written.

    Raises:
        SplitError: the file is damaged or was edited.
    """
    split = read_split(store, name)
    if split.name != name or split_path(store, name).read_bytes() != _to_text(split).encode():
        raise SplitError(f"split {split_path(store, name)}: it was damaged or edited")


def require_free_name(store: Path, split: Split) -> None:
    """Check that writing ``split`` would not replace a different one.

    Raises:
        SplitError: the store has another split of that name, or no file.
    """
    path = split_path(store, split.name)
    try:
        is_free = not is_there(path) or read_bytes(path) == _to_text(split).encode()
    except OSError as error:
        raise SplitError(f"split {path}: cannot be read: {error.strerror or error}") from None
    if not is_free:
        raise SplitError(
            f"split {split.name} exists in {store} and differs; "
            "choose another name, or --overwrite to replace it"
        )


def write_split(store: Path, split: Split, *, overwrite: bool = False) -> Path:
    """Write a split into a store; see ``write_splits``."""
    return write_splits(store, [split], overwrite=overwrite)[0]


def write_splits(store: Path, splits: Sequence[Split], *, overwrite: bool = False) -> list[Path]:
    """Write splits into a store, all of them or none; the same split gives the same bytes.

    Args:
        store: folder of the store.
        splits: what to write.
        overwrite: replace splits of these names that hold other scenes.

    Returns:
        Their files.

    Raises:
        SplitError: another split of a name exists and ``overwrite`` is False, or a file cannot be
            written.
    """
    if not overwrite:
        for split in splits:
            require_free_name(store, split)
    paths = [split_path(store, split.name) for split in splits]
    try:
        make_own_folder(store / SPLITS)
        # They take their places one right after the other, when all are written.
        with ExitStack() as stack:
            for path, split in zip(paths, splits, strict=True):
                stack.enter_context(whole_file(path)).write_bytes(_to_text(split).encode())
    except OSError as error:
        names = ", ".join(split.name for split in splits)
        raise SplitError(f"split {store / SPLITS}: {names} cannot be written: {error}") from error
    return paths


def _split_from_dict(fields: Any, path: Path) -> Split:
    expected = {"format", "name", "rule", "seed", "hash", *SUBSETS}
    if not isinstance(fields, dict) or not expected <= fields.keys():
        missing = expected - (fields.keys() if isinstance(fields, dict) else set())
        raise SplitError(f"split {path}: field {', '.join(sorted(missing))} missing")
    if fields["format"] != SPLIT_FORMAT:
        raise SplitError(
            f"split {path}: format {fields['format']!r}; this version reads {SPLIT_FORMAT}"
        )
    for subset in SUBSETS:
        ids = fields[subset]
        if not isinstance(ids, list) or not all(isinstance(scene, str) for scene in ids):
            raise SplitError(f"split {path}: {subset} is not a list of scene ids")
        # Predictions are written under these names: one that is a path would lead out of a folder.
        wrong = [scene for scene in ids if not is_scene_id(scene)]
        if wrong:
            raise SplitError(
                f"split {path}: {subset} holds {wrong[0]!r}; expected scene ids such as "
                "20180607T184326_dmi"
            )
    fault = find_fault(fields, _FIELDS)
    if fault is not None:
        raise SplitError(f"split {path}: {fault}")
    try:
        split = Split(
            name=fields["name"],
            rule=fields["rule"],
            seed=fields["seed"],
            train=tuple(fields["train"]),
            val=tuple(fields["val"]),
            test=tuple(fields["test"]),
        )
    except SplitError as error:  # knows the name in the file only, and files may be called anything
        raise SplitError(f"{path}: {error}") from None
    if split.hash != fields["hash"]:
        raise SplitError(
            f"split {path}: hash is {split.hash[:12]}, the file says {str(fields['hash'])[:12]}; "
            "its lists were edited: create it again, or correct its hash"
        )
    # Hand-made splits need no checksum; where there is one, it covers name, rule and seed too.
    if fields.get("checksum", split.to_dict()["checksum"]) != split.to_dict()["checksum"]:
        raise SplitError(f"split {path}: does not match its checksum: it was damaged or edited")
    return split


def _to_text(split: Split) -> str:
    return json.dumps(split.to_dict(), indent=1, ensure_ascii=False) + "\n"


def _sha256(document: object) -> str:
    text = json.dumps(document, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
