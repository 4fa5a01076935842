"""Charts from a prepared store (Zarr v3, format version 1); any v3 layout of them is read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Self

import numpy as np

from autoice_bench.charts import CHART_NAMES
from autoice_bench.errors import LabelError, SplitError, StoreError
from autoice_bench.formats.label_rule import LabelRule
from autoice_bench.formats.plain_files import read_json
from autoice_bench.formats.shards import ZARR_METADATA, read_shard
from autoice_bench.formats.split_file import Split, read_split
from autoice_bench.formats.store_layout import CHARTS_ARRAY, FORMAT_VERSION, SCENES
from autoice_bench.formats.zarr_safety import require_safe_group
from autoice_bench.scene_id import is_scene_id
from autoice_bench.scoring.truth.protocol import Charts, TruthScene

_ROOT_ATTRIBUTES: Final[dict[str, type]] = {
    "label_rule": str,
    "sod_threshold": int,
    "floe_threshold": int,
    "simulated": bool,
}


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
        metadata = _read_json(folder / CHARTS_ARRAY.name / ZARR_METADATA)
        try:
            if metadata is not None:
                # The layout that `prepare` writes is decoded directly, several times as fast.
                values = read_shard(folder / CHARTS_ARRAY.name, metadata)
                names = metadata.get("attributes", {}).get("channels")
                if values is not None and names is not None:
                    return {name: values[names.index(name)] for name in CHART_NAMES}
            return _read_with_xarray(folder)
        except (ValueError, KeyError, OSError, RuntimeError) as error:  # codecs raise the last
            raise StoreError(f"{folder}: cannot read the charts: {error}") from error

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
        metadata = _read_json(folder / CHARTS_ARRAY.name / ZARR_METADATA)
        if metadata is None:
            raise SplitError(f"{self.path}: scene {scene_id} has no charts to score against")
        try:
            lines, samples = metadata["shape"][-2:]
        except (KeyError, TypeError, ValueError):
            raise StoreError(
                f"{folder / CHARTS_ARRAY.name / ZARR_METADATA}: damaged: shape is "
                f"{metadata.get('shape')!r}; expected chart, lines, samples"
            ) from None
        return TruthScene(
            scene_id, attributes.get("region"), (lines, samples), attributes.get("truth_sha256")
        )


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
    metadata = _read_json(folder / ZARR_METADATA)
    return None if metadata is None else dict(metadata.get("attributes", {}))
