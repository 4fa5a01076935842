"""Scenes of either kind, ready-to-train or raw, behind one listing and one reader."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

from autoice_bench.datasets.sources.buffers import BufferPool
from autoice_bench.datasets.sources.raw import find_raw_files
from autoice_bench.datasets.sources.raw_conversion import read_raw_scene
from autoice_bench.datasets.sources.rtt import read_scene
from autoice_bench.datasets.sources.scene_arrays import SarDtype, SceneArrays
from autoice_bench.errors import LabelError, NoSceneError, SceneError
from autoice_bench.formats.label_rule import AUTOICE_2022, LabelRule
from autoice_bench.formats.rtt_folder import (
    SCENE_SUFFIX,
    OfficialSubset,
    SceneFile,
    SourceKind,
    SourceListing,
    describe_passed_over,
    find_passed_over,
    find_scenes,
    has_rtt_names,
    official_subset,
    walk_netcdf_files,
)
from autoice_bench.official import WITHDRAWN
from autoice_bench.scene_id import is_original_name, is_scene_name, parse_original_id
from autoice_bench.wording import format_count

_TEST_STEM_SUFFIX: Final = "_testdata"


def list_source(source: Path) -> SourceListing:
    """List the scenes under ``source``: ready-to-train ones by name, else raw ones by content.

    A listing never mixes the two: raw scenes beside ready-to-train ones are left out with a note.

    Raises:
        SceneError: the folder is missing or holds no scene of either kind, or one scene twice.
    """
    if not source.exists():
        return find_scenes(source)
    if has_rtt_names(source):
        listing = find_scenes(source)
        paths = walk_netcdf_files(source) if source.is_dir() else ()
        n_raw = sum(is_original_name(path.name) for path in paths)
        note = (
            f"source {source}: {format_count(n_raw, 'raw scene')} beside the ready-to-train ones; "
            "left out: give their own folder to prepare them"
        )
        return replace(listing, notes=(*listing.notes, note)) if n_raw else listing
    try:
        return find_raw_scenes(source)
    except NoSceneError as error:
        passed_over = describe_passed_over(source, ())
        raise NoSceneError(f"{error}; nor is there any *{SCENE_SUFFIX} file{passed_over}") from None


def source_kind(listing: SourceListing) -> SourceKind:
    """The kind of a listing's scenes; a listing never mixes them."""
    return listing.scenes[0].kind if listing.scenes else "rtt"


def validate_label_rule(kind: SourceKind, rule: LabelRule) -> None:
    """Check that labels of ``rule`` can be had from scenes of a kind.

    Raises:
        LabelError: ready-to-train scenes carry labels made by another rule.
    """
    if kind == "rtt" and rule != AUTOICE_2022:
        raise LabelError(
            f"label rule {rule}: ready-to-train scenes carry finished labels ({AUTOICE_2022}), not "
            "the polygons another rule needs; prepare the raw scenes instead"
        )


def read_source_scene(
    scene: SceneFile,
    dtype: SarDtype,
    rule: LabelRule = AUTOICE_2022,
    *,
    ice_types: bool = False,
    pool: BufferPool | None = None,
) -> SceneArrays:
    """Read and validate one scene of either kind.

    Args:
        scene: the file.
        dtype: dtype of the SAR channels.
        rule: label rule and thresholds; for raw scenes.
        ice_types: also derive the ten ice types; for raw scenes.
        pool: see ``read_scene``; for ready-to-train scenes.

    Raises:
        SceneError: the file is damaged or breaks its format.
        LabelError: the polygon codes of a raw scene cannot be read.
    """
    try:
        if scene.kind == "rtt":
            return read_scene(scene, dtype, pool)
        arrays = read_raw_scene(scene, rule, dtype, ice_types=ice_types)
    except MemoryError as error:
        raise SceneError(
            f"scene {scene.scene_id}: {scene.path.name} asks for more memory than there is; fewer "
            "workers (--workers 1) leave more to each, or remove the file"
        ) from error
    if arrays.charts is None:
        remark = "the raw file holds no polygons: stored without charts"
        arrays = replace(arrays, warnings=(*arrays.warnings, remark))
    return arrays


def find_raw_scenes(source: Path) -> SourceListing:
    """List the raw scenes at ``source`` (a file or a folder), sorted by id.

    Raises:
        SceneError: nothing is there, it holds no raw scene, or one scene twice.
    """
    files = find_raw_files(source)
    scenes = tuple(
        SceneFile(scene_id, path, None, _subset(scene_id, path, source), _region(path), "raw")
        for scene_id, path in files.items()
        if scene_id not in WITHDRAWN
    )
    notes = tuple(
        f"scene {scene_id}: withdrawn by the data set's authors (its chart lost its ice); left out"
        for scene_id in files
        if scene_id in WITHDRAWN
    )
    used = frozenset(files.values())
    return SourceListing(scenes, (*find_passed_over(source, used), *notes))


def _subset(scene_id: str, path: Path, source: Path) -> OfficialSubset:
    is_test_file = path.stem.endswith(_TEST_STEM_SUFFIX)
    return "test" if is_test_file else official_subset(scene_id, path, source)


def _region(path: Path) -> str | None:
    return None if is_scene_name(path.name) else parse_original_id(path.name).region
