"""Find the ready-to-train scenes in a folder, whatever its layout, and pair tests with references.

Layouts in use: every training file in the root with the test files in ``test_data/``; ``train/``
and ``test/`` beside a ``metadata.csv``; anything nested. A scene belongs to the official test set
if its id is one of the 20, or if it lies in a folder named ``test`` or ``test_data``.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from autoice_bench.errors import SceneError
from autoice_bench.formats.decoding import decoding
from autoice_bench.formats.plain_files import is_there, read_text
from autoice_bench.formats.whole_files import PARTIAL_SUFFIX
from autoice_bench.official import OFFICIAL_TEST, WITHDRAWN
from autoice_bench.scene_id import is_original_name, is_scene_name
from autoice_bench.wording import make_visible

OfficialSubset = Literal["train", "test"]
SourceKind = Literal["rtt", "raw"]
"""Ready-to-train (80 m, labels) or raw (40 m, ice-chart polygons)."""

SCENE_SUFFIX: Final = "_prep.nc"
REFERENCE_SUFFIX: Final = "_prep_reference.nc"
METADATA_CSV: Final = "metadata.csv"
_NETCDF_SUFFIX: Final = ".nc"
# What browsers, other systems and people make of the name of a scene's file.
_LIKE_NETCDF: Final = re.compile(
    r"\.(?:nc|nc4|cdf|netcdf)(?:\.\d+|\.(?:part|partial|crdownload|download|tmp|gz|bz2|xz|zip))?\s*$",
    re.IGNORECASE,
)
_LIKE_SCENE: Final = re.compile(r"prep|icechart|\d{7,9}T?\d{5,7}", re.IGNORECASE)
_SCENE_IN_NAME: Final = re.compile(r"\d{8}T\d{6}_(?:cis|dmi)", re.IGNORECASE)
_MOST_NOTES: Final = 10
"""Files passed over that are mentioned one by one."""
_TEST_FOLDERS: Final = frozenset({"test", "test_data"})


@dataclass(frozen=True)
class SceneFile:
    """One scene of a source folder.

    Attributes:
        scene_id: such as ``20180607T184326_dmi``.
        path: its file.
        reference: the file that holds its charts, where that is another one.
        subset: whether the scene belongs to the official training or test set.
        region: chart region from ``metadata.csv``, None where that does not tell.
        kind: ready-to-train or raw.
    """

    scene_id: str
    path: Path
    reference: Path | None
    subset: OfficialSubset
    region: str | None
    kind: SourceKind = "rtt"

    @property
    def charts_path(self) -> Path:
        """The file that holds the scene's charts, if any does."""
        return self.path if self.reference is None else self.reference

    @property
    def n_bytes(self) -> int:
        """Size of the file and its reference on disk; what is not there counts 0.

        A dangling link or a file that has just gone is reported when the scene is read.
        """
        paths = (self.path,) if self.reference is None else (self.path, self.reference)
        return sum(path.stat().st_size for path in paths if path.exists())


@dataclass(frozen=True)
class SourceListing:
    """What a source folder holds: its scenes, sorted by id, and remarks for the user."""

    scenes: tuple[SceneFile, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _FoundFiles:
    """Files by what their names say; several of one scene id are a mistake that is told later."""

    scenes: dict[str, list[Path]]
    references: dict[str, list[Path]]

    @property
    def paths(self) -> frozenset[Path]:
        """Every file that is a scene or a reference by its name."""
        both = (*self.scenes.values(), *self.references.values())
        return frozenset(path for paths in both for path in paths)


def has_rtt_names(source: Path) -> bool:
    """Whether a folder holds files named as ready-to-train scenes are, or is such a file."""
    paths = walk_netcdf_files(source) if source.is_dir() else (source,)
    return any(path.name.endswith(SCENE_SUFFIX) for path in paths)


def find_scenes(source: Path) -> SourceListing:
    """List the RTT scenes under ``source``, a folder or one file; links to folders are followed.

    Raises:
        SceneError: the folder is missing or holds no scene, or holds one scene twice.
    """
    found = _find_files(source)
    if not found.scenes:
        raise SceneError(
            f"source {source}: no file named YYYYMMDDThhmmss_cis{SCENE_SUFFIX} or "
            f"_dmi{SCENE_SUFFIX} in it or below it{describe_passed_over(source, found.paths)}"
        )
    scenes = _pair(source, found, found.scenes.keys())
    return SourceListing(scenes, (*find_passed_over(source, found.paths), *_notes(found)))


def find_charts(source: Path) -> tuple[SceneFile, ...]:
    """List what may hold charts under ``source``: the scenes, and references that lie alone.

    A reference without its scene cannot be prepared, but can be scored against. It is listed as a
    test scene whose file is the reference.

    Raises:
        SceneError: the folder is missing, or holds one scene twice.
    """
    found = _find_files(source)
    return _pair(source, found, found.scenes.keys() | found.references.keys())


def walk_netcdf_files(source: Path) -> Iterator[Path]:
    """Every ``.nc`` file, each folder once: links to folders are followed, circles are not.

    Raises:
        SceneError: a folder cannot be listed.
    """
    return (path for path in _walk_files(source) if path.name.endswith(_NETCDF_SUFFIX))


def find_passed_over(source: Path, used: Collection[Path]) -> tuple[str, ...]:
    """Remarks on the NetCDF files of a folder that are not used, and what to do with each.

    A second download, an extension in capitals or a slip of a finger would otherwise make a scene
    go missing without a word. Raw scenes are no slips: who lists the others speaks of them.
    """
    if not source.is_dir():
        return ()
    notes = [
        _describe_passed_over(path)
        for path in _walk_files(source)
        if path not in used
        and not is_original_name(path.name)
        and _LIKE_NETCDF.search(path.name)
        and _LIKE_SCENE.search(path.name)
    ]
    more = len(notes) - _MOST_NOTES
    return (
        *notes[:_MOST_NOTES],
        *([f"{more} more files like these; left out"] if more > 0 else []),
    )


def describe_passed_over(source: Path, used: Collection[Path]) -> str:
    """The first of the remarks of ``find_passed_over`` as the end of an error, or nothing."""
    notes = find_passed_over(source, used)
    return f"; found {notes[0]}" if notes else ""


def _walk_files(source: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        raise SceneError(f"source {source}: {error.filename} cannot be listed: {error.strerror}")

    seen: set[tuple[int, int]] = set()
    for folder, subfolders, names in os.walk(source, followlinks=True, onerror=refuse):
        status = Path(folder).stat()
        if (status.st_dev, status.st_ino) in seen:
            subfolders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        # Leftovers of a killed command are no scenes.
        subfolders[:] = sorted(
            name for name in subfolders if not name.endswith((".zarr", PARTIAL_SUFFIX))
        )
        yield from (Path(folder, name) for name in sorted(names))


def _describe_passed_over(path: Path) -> str:
    name = path.name
    what = f"file {make_visible(name)}: its name is not that of a scene; left out"
    if path.exists() and path.stat().st_size == 0:
        return f"{what}: it is empty (0 bytes); download it again or remove it"
    if name.lower().endswith((".part", ".partial", ".crdownload", ".download", ".tmp")):
        return f"{what}: an unfinished download; finish it or remove it"
    if name.lower().endswith((".gz", ".bz2", ".xz", ".zip")):
        return f"{what}: unpack it"
    scene = _SCENE_IN_NAME.search(name)
    if scene is None or not is_scene_name(_canonical(scene[0])):
        return (
            f"{what}: expected YYYYMMDDThhmmss_cis{SCENE_SUFFIX} or _dmi{SCENE_SUFFIX}; rename it "
            "if it is a scene"
        )
    suffix = REFERENCE_SUFFIX if "_ref" in name.lower() else SCENE_SUFFIX
    target = path.with_name(_canonical(scene[0]) + suffix)
    if is_there(target):
        return f"{what}: {target.name} is there; remove one of them"
    return f"{what}: rename it to {target.name} if it is that"


def _canonical(scene: str) -> str:
    """A scene id as it is written: a capital T, the service in small letters."""
    return scene[:16].upper() + scene[16:].lower()


def official_subset(scene_id: str, path: Path, source: Path) -> OfficialSubset:
    """Whether a scene trains or tests officially, by its id and the folders it lies in.

    Args:
        scene_id: its id.
        path: its file.
        source: the folder that was searched, whose own name counts too, or the file itself.
    """
    root = source.absolute()
    folders = {root.parent.name if path == source else root.name}
    folders.update(path.relative_to(source).parent.parts)
    in_test_folder = not _TEST_FOLDERS.isdisjoint(folders)
    return "test" if in_test_folder or scene_id in OFFICIAL_TEST else "train"


def _find_files(source: Path) -> _FoundFiles:
    if source.is_dir():
        paths = walk_netcdf_files(source)
    elif source.is_file() and _name_of_scene(source) is not None:
        beside = source.with_name(f"{_name_of_scene(source)}{REFERENCE_SUFFIX}")
        paths = iter(dict.fromkeys((source, *([beside] if is_there(beside) else []))))
    else:
        what = "a file" if source.exists() else "nothing"
        raise SceneError(
            f"source {source}: found {what}; expected a folder of *{SCENE_SUFFIX} files"
        )
    found = _FoundFiles(defaultdict(list), defaultdict(list))
    for path in paths:
        name = _name_of_scene(path)
        if name is not None:
            is_scene = path.name.endswith(SCENE_SUFFIX)
            (found.scenes if is_scene else found.references)[name].append(path)
    return found


def _name_of_scene(path: Path) -> str | None:
    """The scene that a scene file or a reference is of, by its name."""
    for suffix in (SCENE_SUFFIX, REFERENCE_SUFFIX):
        name = path.name.removesuffix(suffix)
        if name != path.name and is_scene_name(name):
            return name
    return None


def _pair(source: Path, found: _FoundFiles, scene_ids: Iterable[str]) -> tuple[SceneFile, ...]:
    """One ``SceneFile`` per scene id, sorted, those of withdrawn scenes left out."""
    regions = _read_regions(source)
    scenes = []
    for scene_id in sorted(set(scene_ids).difference(WITHDRAWN)):
        path = _only(scene_id, found.scenes)
        reference = _only(scene_id, found.references)
        region = regions.get(scene_id)
        if path is not None:
            subset = official_subset(scene_id, path, source)
            scenes.append(SceneFile(scene_id, path, reference, subset, region))
        elif reference is not None:
            scenes.append(SceneFile(scene_id, reference, None, "test", region))
    return tuple(scenes)


def _only(scene_id: str, found: Mapping[str, list[Path]]) -> Path | None:
    paths = found.get(scene_id, [])
    if len(paths) > 1:
        raise SceneError(
            f"scene {scene_id}: found {len(paths)} files ({', '.join(map(str, paths))}); "
            "expected one: move the others away"
        )
    return paths[0] if paths else None


def _notes(found: _FoundFiles) -> Iterator[str]:
    for scene_id in sorted(found.scenes.keys() & set(WITHDRAWN)):
        yield f"scene {scene_id}: withdrawn by its authors (the chart lost its ice); left out"
    for scene_id in sorted(found.references.keys() - found.scenes.keys()):
        name = found.references[scene_id][0].name
        yield f"reference {name}: there is no {scene_id}{SCENE_SUFFIX} beside it; left out"


def _read_regions(source: Path) -> dict[str, str]:
    """Region per scene id from every ``metadata.csv`` at the root or one folder below it."""
    regions: dict[str, str] = {}
    root = source if source.is_dir() else source.parent
    below = sorted(path for path in root.iterdir() if path.is_dir()) if root == source else []
    folders = (root, *below)
    for path in filter(is_there, (folder / METADATA_CSV for folder in folders)):
        with decoding(SceneError, str(path), "expected CSV in UTF-8"):
            rows = _read_csv(path)
        for row in rows:
            name = re.split(r"[/\\]", row.get("input_path") or "")[-1].removesuffix(SCENE_SUFFIX)
            region = (row.get("region_id") or "").strip()
            if region and is_scene_name(name):
                regions[name] = region
    return regions


def _read_csv(path: Path) -> list[dict[str, str]]:
    """Rows of a table in UTF-8, with or without a mark of it; only columns that have a name."""
    text = read_text(path, "utf-8-sig")
    rows = csv.DictReader(io.StringIO(text, newline=""))
    return [{key: value for key, value in row.items() if isinstance(value, str)} for row in rows]
