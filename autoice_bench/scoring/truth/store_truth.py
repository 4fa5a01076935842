"""Charts from a prepared store (Zarr v3, format version 1); any v3 layout of them is read."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Self

import numpy as np

from autoice_bench.charts import CHART_NAMES
from autoice_bench.errors import LabelError, SplitError, StoreError
from autoice_bench.formats.decoding import decoding
from autoice_bench.formats.document_schema import (
    SHA256,
    Fields,
    Items,
    Nullable,
    Text,
    Whole,
    digest_json,
    require_document,
)
from autoice_bench.formats.label_rule import LabelRule
from autoice_bench.formats.plain_files import read_json
from autoice_bench.formats.scene_document import DIGEST, has_its_digest
from autoice_bench.formats.shards import ZARR_METADATA, read_shard
from autoice_bench.formats.split_file import Split, read_split
from autoice_bench.formats.store_layout import (
    CHARTS_ARRAY,
    FORMAT_VERSION,
    SCENES,
)
from autoice_bench.formats.variables import MOST_PIXELS
from autoice_bench.formats.zarr_safety import require_safe_group
from autoice_bench.scene_id import is_scene_id
from autoice_bench.scoring.truth.protocol import Charts, TruthScene

_ROOT_ATTRIBUTES: Final[dict[str, type]] = {
    "label_rule": str,
    "sod_threshold": int,
    "floe_threshold": int,
    "simulated": bool,
}
_ROOT_DIGEST: Final = "attributes_sha256"
_SCENE_ATTRIBUTES: Final = Fields(
    {}, {"region": Nullable(Text()), "truth_sha256": Nullable(SHA256)}
)
_GROUP: Final = Fields(
    {"attributes": Fields({})},
    {"consolidated_metadata": Nullable(Fields({}, {"metadata": Fields({})}))},
)
_SIZE: Final = Whole(1, MOST_PIXELS)
_CHARTS: Final = Fields(
    {"shape": Items(_SIZE, length=3)},
    {"attributes": Fields({}, {"channels": Items(Text(), length=len(CHART_NAMES))})},
)


@dataclass(frozen=True)
class StoreTruth:
    """The charts of a store.

    Attributes:
        path: the store's root folder.
    """

    path: Path

    @property
    def label(self) -> str:
        return f"store {self.path}"

    @property
    def rule(self) -> LabelRule:
        """The rule that made the store's labels.

        Raises:
            StoreError: there is no store, or this version does not know its rule.
        """
        attributes = self._attributes
        try:
            return LabelRule(
                attributes["label_rule"], attributes["sod_threshold"], attributes["floe_threshold"]
            )
        except LabelError as error:
            raise StoreError(f"{self.path}: {error}") from None

    @property
    def simulated(self) -> bool:
        simulated: bool = self._attributes["simulated"]
        return simulated

    def split_name(self, split: str | Path) -> str:
        """The name that a split's file gives it; see ``Truth.split_name``."""
        return self._read_split(split).name

    def select(self, split: str | Path, subset: str) -> tuple[TruthScene, ...]:
        """The scenes of one subset of a split; see ``Truth.select``."""
        scene_ids = self._read_split(split).require_scenes(subset)
        return tuple(self._scene(scene_id) for scene_id in scene_ids)

    def read(self, scene_id: str) -> Charts:
        """Read the three charts of a scene; see ``Truth.read``.

        Raises:
            StoreError: the charts are damaged.
        """
        folder = self._folder(scene_id)
        metadata = _read_charts_metadata(folder)
        what = f"{folder}: the charts"
        try:
            with decoding(StoreError, what):
                if metadata is not None:
                    # The layout that `prepare` writes is decoded directly, several times as fast.
                    values = read_shard(folder / CHARTS_ARRAY.name, metadata)
                    names = metadata.get("attributes", {}).get("channels")
                    if values is not None and names is not None:
                        return {name: values[names.index(name)] for name in CHART_NAMES}
                return _read_with_xarray(folder)
        except FileNotFoundError as error:
            raise StoreError(f"{what} cannot be read: {error.filename} is missing") from error

    def in_any_folder(self) -> Self:
        """The same store by an absolute path; see ``Truth.in_any_folder``."""
        return replace(self, path=self.path.absolute())

    def files_of(self, scene_id: str) -> tuple[Path, ...]:
        """The scene's charts; see ``Truth.files_of``."""
        return (self._folder(scene_id) / CHARTS_ARRAY.name,)

    @cached_property
    def _attributes(self) -> dict[str, Any]:
        attributes = _read_group_attributes(self.path)
        if attributes is None:
            raise StoreError(
                f"{self.path}: no store here; `autoice-bench prepare` makes one, or score against "
                "RTT files with --labels DIR"
            )
        version = attributes.get("format_version")
        if version != FORMAT_VERSION:
            raise StoreError(
                f"{self.path}: format_version is {version!r}; expected {FORMAT_VERSION}"
            )
        for name, expected in _ROOT_ATTRIBUTES.items():
            if type(attributes.get(name)) is not expected:
                raise StoreError(
                    f"{self.path}: attribute {name} is {attributes.get(name)!r}; expected "
                    f"{expected.__name__}; prepare the store again"
                )
        recorded = attributes.pop(_ROOT_DIGEST, None)
        if recorded is not None and recorded != digest_json(attributes):
            raise StoreError(
                f"{self.path}: {ZARR_METADATA} does not match its own digest: it was damaged or "
                "edited"
            )
        return attributes

    def _read_split(self, split: str | Path) -> Split:
        self._attributes  # noqa: B018  a missing store is a clearer error than a missing split
        return read_split(self.path, split)

    def _folder(self, scene_id: str) -> Path:
        if not is_scene_id(scene_id):
            raise StoreError(f"{self.path}: no scene {scene_id!r}; expected a scene id")
        return self.path / SCENES / scene_id

    def _scene(self, scene_id: str) -> TruthScene:
        folder = self._folder(scene_id)
        attributes = _read_group_attributes(folder)
        if attributes is None:
            raise SplitError(f"{self.path}: scene {scene_id} of the split is not in the store")
        require_document(attributes, _SCENE_ATTRIBUTES, StoreError, f"{folder / ZARR_METADATA}")
        metadata = _read_charts_metadata(folder)
        if metadata is None:
            raise SplitError(f"{self.path}: scene {scene_id} has no charts to score against")
        lines, samples = metadata["shape"][-2:]
        return TruthScene(
            scene_id, attributes.get("region"), (lines, samples), attributes.get("truth_sha256")
        )


def _read_charts_metadata(folder: Path) -> dict[str, Any] | None:
    """Metadata of a scene's charts, of a size that a scene may have; None without charts.

    The digest in the scene's own document, where it has one, covers them too.
    """
    path = folder / CHARTS_ARRAY.name / ZARR_METADATA
    metadata = _read_json(path)
    if metadata is None:
        return None
    require_document(metadata, _CHARTS, StoreError, str(path))
    group = _read_group(folder)
    if group is not None and DIGEST in group["attributes"]:
        consolidated = group.get("consolidated_metadata") or {}
        if consolidated.get("metadata", {}).get(CHARTS_ARRAY.name) != metadata:
            raise StoreError(f"{path} differs from what the scene's {ZARR_METADATA} says of it")
    if math.prod(metadata["shape"]) > len(CHART_NAMES) * MOST_PIXELS:
        raise StoreError(
            f"{path}: damaged: shape is {metadata['shape']}, more than the {MOST_PIXELS:,} pixels "
            "that a scene may have"
        )
    return metadata


def _read_with_xarray(folder: Path) -> Charts:
    import xarray as xr  # half a second in every process, and seldom needed

    require_safe_group(folder)
    with xr.open_zarr(folder, chunks=None, mask_and_scale=False, zarr_format=3) as scene:
        names = [str(name) for name in scene["chart"].values]
        values = np.asarray(scene[CHARTS_ARRAY.name].values)
    return {name: values[names.index(name)] for name in CHART_NAMES}


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        content = read_json(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise StoreError(f"{path}: damaged: {error}") from None
    if not isinstance(content, dict):
        raise StoreError(f"{path}: damaged: holds a {type(content).__name__}; expected an object")
    return content


def _read_group_attributes(folder: Path) -> dict[str, Any] | None:
    group = _read_group(folder)
    return None if group is None else dict(group["attributes"])


def _read_group(folder: Path) -> dict[str, Any] | None:
    path = folder / ZARR_METADATA
    metadata = _read_json(path)
    if metadata is None:
        return None
    require_document(metadata, _GROUP, StoreError, str(path))
    if not has_its_digest(metadata):
        raise StoreError(f"{path} does not match its own digest: it was damaged or edited")
    return metadata
