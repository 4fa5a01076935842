"""Find the ready-to-train scenes in a folder, whatever its layout, and pair tests with references.

Layouts in use: every training file in the root with the test files in ``test_data/``; ``train/``
and ``test/`` beside a ``metadata.csv``; anything nested. A scene belongs to the official test set
if its id is one of the 20, or if it lies in a folder named ``test`` or ``test_data``.
"""

from __future__ import annotations

import csv
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from autoice_bench.errors import SceneError
from autoice_bench.formats.plain_files import is_there, read_text
from autoice_bench.formats.whole_files import PARTIAL_SUFFIX
from autoice_bench.official import OFFICIAL_TEST, WITHDRAWN
from autoice_bench.scene_id import is_scene_name

OfficialSubset = Literal["train", "test"]
SourceKind = Literal["rtt", "raw"]
"""Ready-to-train (80 m, labels) or raw (40 m, ice-chart polygons)."""

SCENE_SUFFIX: Final = "_prep.nc"
REFERENCE_SUFFIX: Final = "_prep_reference.nc"
METADATA_CSV: Final = "metadata.csv"
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
    misnamed: list[Path]


def has_rtt_names(source: Path) -> bool:
    """Whether a folder holds files named as ready-to-train scenes are."""
    return source.is_dir() and any(
        path.name.endswith(SCENE_SUFFIX) for path in walk_netcdf_files(source)
    )


def find_scenes(source: Path) -> SourceListing:
    """List the RTT scenes under ``source``, links to folders followed.

    Raises:
        SceneError: the folder is missing or holds no scene, or holds one scene twice.
    """
    found = _find_files(source)
    if not found.scenes:
        raise SceneError(
            f"source {source}: no file named YYYYMMDDThhmmss_cis{SCENE_SUFFIX} or "
            f"_dmi{SCENE_SUFFIX} in it or below it"
        )
    scenes = _pair(source, found, found.scenes.keys())
    return SourceListing(scenes, tuple(_notes(found)))


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
        yield from (Path(folder, name) for name in sorted(names) if name.endswith(".nc"))


def official_subset(scene_id: str, path: Path, source: Path) -> OfficialSubset:
    """Whether a scene trains or tests officially, by its id and the folders it lies in.

    Args:
        scene_id: its id.
        path: its file.
        source: the folder that was searched, whose own name counts too, or the file itself.
    """
    folders = {source.name, *path.relative_to(source).parent.parts}
    in_test_folder = not _TEST_FOLDERS.isdisjoint(folders)
    return "test" if in_test_folder or scene_id in OFFICIAL_TEST else "train"


def _find_files(source: Path) -> _FoundFiles:
    if not source.is_dir():
        what = "a file" if source.exists() else "nothing"
        raise SceneError(
            f"source {source}: found {what}; expected a folder of *{SCENE_SUFFIX} files"
        )
    found = _FoundFiles(defaultdict(list), defaultdict(list), [])
    kinds = ((SCENE_SUFFIX, found.scenes), (REFERENCE_SUFFIX, found.references))
    for path in walk_netcdf_files(source):
        for suffix, paths in kinds:
            name = path.name.removesuffix(suffix)
            if name == path.name:
                continue
            if is_scene_name(name):
                paths[name].append(path)
            else:
                found.misnamed.append(path)
    return found


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
    for path in found.misnamed:
        yield f"file {path.name}: its name is not that of a scene; left out"
    for scene_id in sorted(found.scenes.keys() & set(WITHDRAWN)):
        yield f"scene {scene_id}: withdrawn by its authors (the chart lost its ice); left out"
    for scene_id in sorted(found.references.keys() - found.scenes.keys()):
        name = found.references[scene_id][0].name
        yield f"reference {name}: there is no {scene_id}{SCENE_SUFFIX} beside it; left out"


def _read_regions(source: Path) -> dict[str, str]:
    """Region per scene id from every ``metadata.csv`` at the root or one folder below it."""
    regions: dict[str, str] = {}
    folders = (source, *sorted(path for path in source.iterdir() if path.is_dir()))
    for path in filter(is_there, (folder / METADATA_CSV for folder in folders)):
        try:
            text = read_text(path, "utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise SceneError(f"{path} cannot be read: {error}; expected CSV in UTF-8") from error
        for row in csv.DictReader(text.splitlines()):
            name = Path(row.get("input_path") or "").name.removesuffix(SCENE_SUFFIX)
            region = (row.get("region_id") or "").strip()
            if region and is_scene_name(name):
                regions[name] = region
    return regions
