"""Decide what a ``prepare`` run has to do: compare the source folder with the store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from autoice_bench.datasets.prepare.holding import Part, read_journals
from autoice_bench.datasets.prepare.job import read_digests_of, read_times_of
from autoice_bench.datasets.prepare.replacement import open_replacement, replacement_path
from autoice_bench.datasets.sources.rtt import read_attributes
from autoice_bench.datasets.sources.scene_arrays import SarDtype
from autoice_bench.datasets.sources.scenes import list_source, source_kind, validate_label_rule
from autoice_bench.datasets.store.downscaling import Downscaling
from autoice_bench.datasets.store.index import SourceTimes, read_scene_attributes, read_times
from autoice_bench.datasets.store.overviews import overviews_from_attributes
from autoice_bench.datasets.store.root import Store, StoreOptions, open_store
from autoice_bench.datasets.store.scene_writer import FileDigest
from autoice_bench.errors import LabelError, SceneError, StoreError
from autoice_bench.formats.label_rule import AUTOICE_2022, LabelRule
from autoice_bench.formats.rtt_folder import SceneFile, SourceListing
from autoice_bench.formats.shards import ZARR_METADATA

_STORED_PER_SOURCE_BYTE: Final = 0.8
"""Size of a float16 store beside its zlib-compressed source; an estimate until scenes are done."""


@dataclass(frozen=True)
class PrepareRequest:
    """What a run is asked to make; ``prepare.prepare`` explains the fields.

    Attributes:
        source, store: folders.
        part: this run's share of the scenes; None for all.
        dtype, label_rule, ice_types, overviews: options of the store.
        overwrite: whether scenes, or the store, may be replaced.
    """

    source: Path
    store: Path
    part: Part | None = None
    dtype: SarDtype = "float16"
    label_rule: LabelRule = AUTOICE_2022
    ice_types: bool = False
    overviews: tuple[Downscaling, ...] = ()
    overwrite: bool = False


@dataclass(frozen=True)
class Plan:
    """What a run will do.

    Attributes:
        store_path: the store's folder.
        options: the store's options.
        to_write: scenes to prepare, sorted by id.
        done: ids of scenes that are in the store with the same source.
        to_extend: ids of scenes in the store that lack an overview; with `part`, among `done`.
        replaced: ids among ``to_write`` that take the place of a scene in ``target_path``.
        replaces_store: whether a new store takes the place of the whole, since the options differ.
        times_of_done: modification times of the sources of ``done``.
        stored_per_source_byte: for estimates.
        notes: remarks for the user.
    """

    store_path: Path
    options: StoreOptions
    to_write: tuple[SceneFile, ...]
    done: tuple[str, ...]
    to_extend: tuple[str, ...]
    replaced: tuple[str, ...]
    replaces_store: bool
    times_of_done: Mapping[str, SourceTimes]
    stored_per_source_byte: float
    notes: tuple[str, ...]

    @property
    def target_path(self) -> Path:
        """Folder of the store that scenes are written to."""
        return replacement_path(self.store_path) if self.replaces_store else self.store_path

    @property
    def source_bytes(self) -> int:
        """Bytes of source files to read."""
        return sum(scene.n_bytes for scene in self.to_write)

    def estimate_stored_bytes(self, scenes: Iterable[SceneFile]) -> float:
        """Bytes that ``scenes`` will take in the store, about."""
        return self.stored_per_source_byte * sum(scene.n_bytes for scene in scenes)


def make_plan(request: PrepareRequest) -> Plan:
    """Compare the source with the store and decide scene by scene. Writes nothing.

    Raises:
        SceneError: the source folder is missing or holds no scenes.
        LabelError: labels or ice types that only raw scenes can give.
        StoreError: the store has other options, or a scene's source has changed, and ``overwrite``
            is not given.
    """
    store_path, part, overwrite = request.store.resolve(), request.part, request.overwrite
    listing = list_source(request.source.resolve())
    options = _options_of(request, listing)
    scenes = listing.scenes if part is None else listing.scenes[part.number - 1 :: part.count]
    store = open_store(store_path) if (store_path / ZARR_METADATA).is_file() else None
    extended = None if store is None else _extend_options(store.options, options)
    options = extended or options
    reason = None if store is None else _why_replace(store, options)
    replaces_store = reason is not None
    if replaces_store and not overwrite:
        raise StoreError(
            f"store {store_path}: {reason}; they never share a store: use another one, or "
            "--overwrite to replace all of it"
        )
    done: dict[str, SourceTimes] = {}
    changed: dict[str, str] = {}
    target = open_replacement(store_path, options) if replaces_store else store
    if target is not None:
        present = set(target.scene_ids())
        recorded = read_times(target) | read_journals(store_path)
        candidates = [scene for scene in scenes if scene.scene_id in present]
        done, changed = _compare(target, candidates, recorded)
    if changed and not overwrite:
        first = next(iter(changed.values()))
        more = f" ({len(changed) - 1} more)" if len(changed) > 1 else ""
        raise StoreError(
            f"store {store_path}: {first}{more}; use another store, or --overwrite to replace "
            "these scenes"
        )
    to_extend: tuple[str, ...] = ()
    if store is not None and not replaces_store:
        whole = done if part is not None else set(store.scene_ids()).difference(changed)
        to_extend = lacking_overviews(store, whole, options.overviews)
    return Plan(
        store_path=store_path,
        options=options,
        to_write=tuple(scene for scene in scenes if scene.scene_id not in done),
        done=tuple(done),
        to_extend=to_extend,
        replaced=tuple(changed),
        replaces_store=replaces_store,
        times_of_done=done,
        stored_per_source_byte=_stored_per_source_byte(target, list(done)),
        notes=(*listing.notes, *_store_notes(store, listing.scenes, replaces_store)),
    )


def _options_of(request: PrepareRequest, listing: SourceListing) -> StoreOptions:
    """The options of a store of these scenes; refuses what they cannot give."""
    kind = source_kind(listing)
    validate_label_rule(kind, request.label_rule)
    if request.ice_types and kind == "rtt":
        raise LabelError(
            "ice types need the polygons of raw scenes; ready-to-train scenes carry finished labels"
        )
    return StoreOptions(
        simulated=_is_simulated(listing.scenes),
        dtype=request.dtype,
        label_rule=request.label_rule,
        source_kind=kind,
        ice_types=request.ice_types,
        overviews=tuple(sorted(request.overviews)),
    )


def _is_simulated(scenes: Sequence[SceneFile]) -> bool:
    """Whether the first readable scene is simulated; every scene is checked again when read."""
    error: SceneError | None = None
    for scene in scenes:
        try:
            return bool(read_attributes(scene.path).get("simulated", 0))
        except SceneError as unreadable:
            error = error or unreadable
    raise error or SceneError("the source folder holds withdrawn scenes only")


def _extend_options(present: StoreOptions, asked: StoreOptions) -> StoreOptions | None:
    """The store's options with the overviews asked for; None where they cannot be the same."""
    if present.without_overviews != asked.without_overviews or _conflicts(present.overviews, asked):
        return None
    return replace(present, overviews=tuple(sorted({*present.overviews, *asked.overviews})))


def _conflicts(
    present: Iterable[Downscaling], asked: StoreOptions
) -> list[tuple[Downscaling, Downscaling]]:
    """Overviews of the same ratio by another method."""
    return [
        (ours, theirs)
        for ours in asked.overviews
        for theirs in present
        if ours.ratio == theirs.ratio and ours != theirs
    ]


def _why_replace(store: Store, options: StoreOptions) -> str | None:
    """Why nothing of a store can stay where these options are asked for; None where it can."""
    differences = _other_options(store.options.to_attributes(), options)
    if differences or store.state == "complete":
        return "; ".join(differences) or None
    # A run that was killed while it put a replacement in place: the root is the new one already.
    for scene_id in store.scene_ids():
        attributes, _ = read_scene_attributes(store, scene_id)
        if differences := _other_options(attributes, options):
            return f"scene {scene_id}: {'; '.join(differences)}"
    if not store.scenes_path.is_dir() and open_replacement(store.path, options) is not None:
        return "its scenes are still under .partial"
    return None


def _other_options(there: Mapping[str, Any], asked: StoreOptions) -> list[str]:
    """Where the options of a store or scene, as attributes, cannot go with those asked for."""
    differences = [
        f"{name} {there.get(name)} there, {value} asked for"
        for name, value in asked.without_overviews.to_attributes().items()
        if there.get(name) != value
    ]
    return differences + [
        f"overviews {present} there, {asked_for} asked for"
        for asked_for, present in _conflicts(overviews_from_attributes(there), asked)
    ]


def lacking_overviews(
    store: Store, scene_ids: Iterable[str], overviews: tuple[Downscaling, ...]
) -> tuple[str, ...]:
    """Ids of the scenes that lack one of the overviews."""
    if not overviews:
        return ()
    return tuple(
        scene_id
        for scene_id in sorted(scene_ids)
        if not {*overviews}.issubset(
            overviews_from_attributes(read_scene_attributes(store, scene_id)[0])
        )
    )


def _compare(
    store: Store, scenes: Iterable[SceneFile], recorded_times: Mapping[str, SourceTimes]
) -> tuple[dict[str, SourceTimes], dict[str, str]]:
    """Split scenes that exist into unchanged ones and changed ones with the reason."""
    done: dict[str, SourceTimes] = {}
    changed: dict[str, str] = {}
    for scene in scenes:
        attributes, _ = read_scene_attributes(store, scene.scene_id)
        times = read_times_of(scene)
        same_times = times == recorded_times.get(scene.scene_id)
        others = _other_options(attributes, store.options)
        reason = "; ".join(others) or _difference(scene, attributes, same_times)
        if reason is None:
            done[scene.scene_id] = times
        else:
            changed[scene.scene_id] = f"scene {scene.scene_id}: {reason}"
    return done, changed


def _difference(scene: SceneFile, attributes: dict[str, Any], same_times: bool) -> str | None:
    """Why a scene must be prepared again; None where its source is unchanged."""
    if (scene.reference is None) != (attributes["reference"] is None):
        now = "no reference" if scene.reference is None else "a reference"
        return f"its source has {now} now, unlike when it was prepared"
    if scene.subset != attributes["subset"]:
        return f"it is a {scene.subset} scene in the source, a {attributes['subset']} scene here"
    recorded = [attributes["source"]]
    paths = [scene.path]
    if scene.reference is not None:
        recorded.append(attributes["reference"])
        paths.append(scene.reference)
    sizes = [path.stat().st_size for path in paths]
    if sizes != [digest["bytes"] for digest in recorded]:
        return f"{scene.path.name} has changed since it was prepared (another size)"
    if same_times:
        return None
    digests = [digest.sha256 for digest in read_digests_of(scene) if isinstance(digest, FileDigest)]
    if digests != [digest["sha256"] for digest in recorded]:
        return f"{scene.path.name} has changed since it was prepared (another SHA-256)"
    return None


def _stored_per_source_byte(store: Store | None, done: Sequence[str]) -> float:
    stored = source = 0
    for scene_id in done[:20]:
        assert store is not None
        attributes, content = read_scene_attributes(store, scene_id)
        stored += sum(file["bytes"] for file in attributes["files"].values()) + len(content)
        source += attributes["source"]["bytes"] + (attributes["reference"] or {"bytes": 0})["bytes"]
    return stored / source if source else _STORED_PER_SOURCE_BYTE


def _store_notes(
    store: Store | None, scenes: Iterable[SceneFile], replaces_store: bool
) -> Iterable[str]:
    if store is None:
        return
    others = set(store.scene_ids()).difference(scene.scene_id for scene in scenes)
    if others:
        fate = "they go when it is replaced" if replaces_store else "kept"
        yield f"{len(others)} scenes of the store are not in this source folder; {fate}"
