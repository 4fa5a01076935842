"""The store: its root, what it promises, and how to open it and its scenes.

A store is a folder of Zarr v3 groups, one per scene, that plain xarray opens (docs/store.md). This
module knows the root: format version, options, state, fingerprint. ``scene_writer`` writes a scene,
``index`` keeps ``scenes.parquet``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal

from autoice_bench import __version__
from autoice_bench.datasets.sources.scene_arrays import SarDtype
from autoice_bench.datasets.store.downscaling import Downscaling
from autoice_bench.datasets.store.overviews import (
    overviews_from_attributes,
    overviews_to_attribute,
)
from autoice_bench.errors import AutoIceError, StoreError
from autoice_bench.formats.document_schema import (
    SHA256,
    Fields,
    Flag,
    Nullable,
    OneOf,
    Text,
    Whole,
    digest_json,
    require_document,
)
from autoice_bench.formats.label_rule import AUTOICE_2022, LabelRule
from autoice_bench.formats.plain_files import is_there, parse_json, read_bytes
from autoice_bench.formats.rtt_folder import SourceKind
from autoice_bench.formats.scene_document import OVERVIEWS, OVERVIEWS_ATTRIBUTE
from autoice_bench.formats.shard_writer import dump_json, group_metadata
from autoice_bench.formats.shards import ZARR_METADATA
from autoice_bench.formats.store_layout import (
    CACHE,
    FORMAT_NAME,
    FORMAT_VERSION,
    INDEX_NAME,
    PARTIAL,
    SCENES,
    SPLITS,
)
from autoice_bench.formats.variables import (
    PIXEL_SPACING_M,
    STANDARDISED_VARIABLES,
    GridAnchor,
)
from autoice_bench.formats.whole_files import is_partial, write_whole
from autoice_bench.scene_id import is_scene_id
from autoice_bench.wording import format_count, make_visible

LICENCE: Final = "CC-BY-4.0"
CITATION: Final = (
    "Buus-Hinkler, J., Wulf, T., Stokholm, A. R., Korosov, A., Saldo, R., Pedersen, L. T., "
    "Arthurs, D., Solberg, R., Longépé, N., Kreiner, M. B. (2022): AI4Arctic Sea Ice Challenge "
    "Dataset. Technical University of Denmark. https://doi.org/10.11583/DTU.c.6244065.v2"
)
SIMULATED_CITATION: Final = (
    "Simulated scenes in the layout of the AI4Arctic Sea Ice Challenge Dataset; no observation."
)

StoreState = Literal["preparing", "complete"]

_ATTRIBUTES: Final = Fields(
    {
        "simulated": Flag(),
        "dtype": OneOf(("float16", "float32")),
        "label_rule": Text(),
        "sod_threshold": Whole(1, 100),
        "floe_threshold": Whole(1, 100),
        "source_kind": OneOf(("rtt", "raw")),
        "ice_types": Flag(),
        "state": OneOf(("preparing", "complete")),
        "store_fingerprint": Nullable(SHA256),
        "index_sha256": Nullable(SHA256),
        "grid_anchor": OneOf(("centre", "corner")),
    },
    {OVERVIEWS: OVERVIEWS_ATTRIBUTE},
)
"""What is read of the root's attributes; the others tell people about the data."""


@dataclass(frozen=True)
class StoreOptions:
    """What must be the same for every scene of a store.

    Attributes:
        simulated: whether the scenes are simulated; they never share a store with real ones.
        dtype: dtype of the SAR channels.
        label_rule: rule and thresholds that made the labels.
        source_kind: whether the scenes come from ready-to-train or from raw files.
        ice_types: whether the ten ice types are stored beside the charts.
        overviews: how the scenes are also stored downscaled, by rising ratio.
    """

    simulated: bool
    dtype: SarDtype = "float16"
    label_rule: LabelRule = AUTOICE_2022
    source_kind: SourceKind = "rtt"
    ice_types: bool = False
    overviews: tuple[Downscaling, ...] = ()

    def to_attributes(self) -> dict[str, Any]:
        attributes: dict[str, Any] = {
            "simulated": self.simulated,
            "dtype": self.dtype,
            "label_rule": self.label_rule.name,
            "sod_threshold": self.label_rule.sod_threshold,
            "floe_threshold": self.label_rule.floe_threshold,
            "source_kind": self.source_kind,
            "ice_types": self.ice_types,
        }
        if self.overviews:
            attributes[OVERVIEWS] = overviews_to_attribute(self.overviews)
        return attributes

    @classmethod
    def from_attributes(cls, attributes: Mapping[str, Any]) -> StoreOptions:
        return cls(
            simulated=attributes["simulated"],
            dtype=attributes["dtype"],
            label_rule=LabelRule(
                attributes["label_rule"],
                sod_threshold=attributes["sod_threshold"],
                floe_threshold=attributes["floe_threshold"],
            ),
            source_kind=attributes["source_kind"],
            ice_types=attributes["ice_types"],
            overviews=overviews_from_attributes(attributes),
        )

    @property
    def without_overviews(self) -> StoreOptions:
        """The options that decide what the scenes hold; overviews follow from them."""
        return replace(self, overviews=())


@dataclass(frozen=True, repr=False)
class Store:
    """An open store: a path wherever one is asked for, and a collection of scene ids.

    Attributes:
        path: its folder.
        options: what every scene in it was made with.
        state: ``complete`` once a ``prepare`` run has finished.
        fingerprint: SHA-256 over sources and options; None until complete.
        index_sha256: SHA-256 of ``scenes.parquet`` as ``prepare`` left it; None until complete.
        grid_anchor: which pixel of its cell a 2 km value belongs to; readers interpolate by it.
    """

    path: Path
    options: StoreOptions
    state: StoreState = "preparing"
    fingerprint: str | None = None
    index_sha256: str | None = field(default=None, compare=False)
    grid_anchor: GridAnchor = "centre"

    def __fspath__(self) -> str:
        return str(self.path)

    def __len__(self) -> int:
        """Number of scenes."""
        return len(self.scene_ids())

    def __iter__(self) -> Iterator[str]:
        """Ids of the scenes, sorted."""
        return iter(self.scene_ids())

    def __contains__(self, scene_id: object) -> bool:
        return isinstance(scene_id, str) and scene_id in self.scene_ids()

    def __repr__(self) -> str:
        options = self.options
        kind = "simulated " if options.simulated else ""
        fingerprint = "" if self.fingerprint is None else f", fingerprint {self.fingerprint[:12]}"
        return (
            f"<Store {self.path}: {format_count(len(self), f'{kind}scene')}, {self.state}, "
            f"{options.dtype}, labels {options.label_rule}{fingerprint}>"
        )

    @property
    def scenes_path(self) -> Path:
        return self.path / SCENES

    @property
    def index_path(self) -> Path:
        return self.path / INDEX_NAME

    def scene_path(self, scene_id: str) -> Path:
        """Folder of a scene, whether it is there or not.

        Raises:
            StoreError: ``scene_id`` is none, and may be a path that leads out of the store.
        """
        if not is_scene_id(scene_id):
            raise StoreError(
                f"store {self.path}: no scene {scene_id!r}; expected a scene id such as "
                "20180607T184326_dmi"
            )
        return self.scenes_path / scene_id

    def scene_ids(self) -> tuple[str, ...]:
        """Ids of the scenes that exist, sorted: folders named so whose ``zarr.json`` is there."""
        if not self.scenes_path.is_dir():
            return ()
        with os.scandir(self.scenes_path) as entries:
            names = sorted(entry.name for entry in entries)
        return tuple(
            name
            for name in names
            # What is there and no file makes a damaged scene, not one less.
            if is_scene_id(name) and is_there(self.scenes_path / name / ZARR_METADATA)
        )


def open_store(path: Store | Path | str, *, require_complete: bool = False) -> Store:
    """Open a store.

    Args:
        path: the store's folder; an open store is opened again, as it is now.
        require_complete: refuse a store whose ``prepare`` has not finished.

    Raises:
        StoreError: nothing is there, it is not a store, it is damaged, of another format version,
            or unfinished when it must not be.
    """
    path = Path(path)
    attributes = _read_root(path)
    try:
        options = StoreOptions.from_attributes(attributes)
    except AutoIceError as error:
        raise StoreError(f"store {path}: {ZARR_METADATA} is damaged: {error}") from None
    store = Store(
        path=path,
        options=options,
        state=attributes["state"],
        fingerprint=attributes["store_fingerprint"],
        index_sha256=attributes["index_sha256"],
        grid_anchor=attributes["grid_anchor"],
    )
    if require_complete and store.state != "complete":
        raise StoreError(
            f"store {path}: state is {store.state!r} ({len(store.scene_ids())} scenes so far); "
            "run the same `autoice-bench prepare` again to finish it"
        )
    return store


def create_store(path: Path, options: StoreOptions, grid_anchor: GridAnchor = "centre") -> Store:
    """Create an empty store, its folder included.

    Raises:
        StoreError: the folder exists and holds something else.
    """
    if path.exists() and not (path.is_dir() and all(map(_may_stay, path.iterdir()))):
        raise StoreError(f"store {path}: something else is there; choose another path or remove it")
    store = Store(path, options, grid_anchor=grid_anchor)
    store.scenes_path.mkdir(parents=True, exist_ok=True)
    write_root(store)
    return store


def _may_stay(path: Path) -> bool:
    """Whether a name in a new store's folder is what interrupted runs leave, splits or a cache."""
    if path.name == SCENES:
        return path.is_dir() and not any(path.iterdir())
    return is_partial(path) or path.name in (PARTIAL, SPLITS, CACHE)


def write_root(store: Store) -> None:
    """Write the root's attributes in one atomic step."""
    attributes: dict[str, Any] = {
        "format": FORMAT_NAME,
        "format_version": FORMAT_VERSION,
        "state": store.state,
        **store.options.to_attributes(),
        "pixel_spacing_m": PIXEL_SPACING_M,
        "grid_anchor": store.grid_anchor,
        "standardisation": {
            variable.name: {"mean": variable.mean, "std": variable.std, "units": variable.units}
            for variable in STANDARDISED_VARIABLES
        },
        "licence": LICENCE,
        "citation": SIMULATED_CITATION if store.options.simulated else CITATION,
        "store_fingerprint": store.fingerprint,
        "index_sha256": store.index_sha256,
    }
    attributes["attributes_sha256"] = digest_json(attributes)
    write_whole(store.path / ZARR_METADATA, dump_json(group_metadata(attributes)))


def mark_complete(store: Store, fingerprint: str, index_sha256: str) -> Store:
    """Record that every scene is there; return the completed store."""
    complete = replace(store, state="complete", fingerprint=fingerprint, index_sha256=index_sha256)
    write_root(complete)
    return complete


def compute_store_fingerprint(
    options: StoreOptions, sources: Iterable[tuple[str, str, str | None]]
) -> str:
    """SHA-256 over what a model trained on the store has seen.

    Args:
        options: the store's options; overviews hold nothing that the scenes do not.
        sources: per scene its id, its source's SHA-256 and its reference's (None without one).

    Returns:
        64 hexadecimal digits.
    """
    return digest_json(
        {
            "format_version": FORMAT_VERSION,
            "options": options.without_overviews.to_attributes(),
            "scenes": sorted(list(source) for source in sources),
        }
    )


def _has_its_digest(attributes: dict[str, Any], content: bytes) -> bool:
    recorded = attributes.get("attributes_sha256")
    others = {key: value for key, value in attributes.items() if key != "attributes_sha256"}
    try:
        return recorded == digest_json(others) and content == dump_json(group_metadata(attributes))
    except ValueError:  # of NaN, which Python reads, and no JSON of ours holds
        return False


def _read_root(path: Path) -> dict[str, Any]:
    try:
        content = read_bytes(path / ZARR_METADATA)
    except (FileNotFoundError, NotADirectoryError):
        found = "a folder that is no store" if path.is_dir() else "nothing"
        raise StoreError(
            f"store {path}: found {found}; make one with `autoice-bench prepare SOURCE {path}`"
        ) from None
    except OSError as error:
        raise StoreError(
            f"store {path}: {ZARR_METADATA} cannot be read: {error.strerror}"
        ) from error
    try:
        attributes: dict[str, Any] = parse_json(content)["attributes"]
        version = attributes["format_version"]
    except (ValueError, KeyError, TypeError):
        raise StoreError(
            f"store {path}: {ZARR_METADATA} is no store's; expected format 1"
        ) from None
    if type(version) is not int or version != FORMAT_VERSION:
        raise StoreError(
            f"store {path}: format version {make_visible(str(version))}; autoice-bench "
            f"{__version__} reads version {FORMAT_VERSION}: install the release that wrote it, or "
            "prepare it again"
        )
    if not _has_its_digest(attributes, content):
        raise StoreError(
            f"store {path}: {ZARR_METADATA} does not match its own digest: it was damaged or edited"
        )
    # A digest can be made for anything: a store may come from a stranger.
    require_document(attributes, _ATTRIBUTES, StoreError, f"store {path}: {ZARR_METADATA}")
    return attributes
