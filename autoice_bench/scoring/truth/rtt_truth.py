"""Charts straight from ready-to-train (RTT) files: training files and test references."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from autoice_bench.charts import CHART_NAMES
from autoice_bench.errors import SceneError, SplitError
from autoice_bench.formats.label_rule import AUTOICE_2022, LabelRule
from autoice_bench.formats.netcdf import NetcdfFile, open_netcdf
from autoice_bench.formats.split_file import is_split_path, read_split
from autoice_bench.official import OFFICIAL_TEST, WITHDRAWN
from autoice_bench.scene_id import is_scene_name, parse_original_id
from autoice_bench.scoring.truth.protocol import Charts, TruthScene

OFFICIAL: Final = "official"
_REFERENCE_SUFFIX: Final = "_prep_reference.nc"
_SCENE_SUFFIX: Final = "_prep.nc"
_TEST_FOLDERS: Final = ("test", "test_data")


@dataclass(frozen=True)
class RttTruth:
    """The charts of a folder of RTT files, searched with its subfolders.

    A test scene's charts are in ``<scene_id>_prep_reference.nc``, a training scene's in
    ``<scene_id>_prep.nc``. Scenes with a reference, or in a folder ``test`` or ``test_data``, are
    the official split's test subset.

    Attributes:
        path: the folder.
    """

    path: Path

    @property
    def label(self) -> str:
        return f"labels {self.path}"

    @property
    def rule(self) -> LabelRule:
        return AUTOICE_2022

    @cached_property
    def _references(self) -> dict[str, Path]:
        return self._find(_REFERENCE_SUFFIX)

    @cached_property
    def _scenes(self) -> dict[str, Path]:
        return self._find(_SCENE_SUFFIX)

    def _find(self, suffix: str) -> dict[str, Path]:
        if not self.path.is_dir():
            raise SceneError(f"{self.path}: not a folder; --labels takes a folder of RTT files")
        found = {
            path.name.removesuffix(suffix): path
            for path in sorted(self.path.rglob(f"*{suffix}"))
            if is_scene_name(path.name.removesuffix(suffix))
        }
        return {scene_id: path for scene_id, path in found.items() if scene_id not in WITHDRAWN}

    @cached_property
    def simulated(self) -> bool:
        files = [*self._scenes.values(), *self._references.values()]
        if not files:
            raise SceneError(
                f"{self.path}: no RTT files; expected <scene_id>{_SCENE_SUFFIX} or "
                f"<scene_id>{_REFERENCE_SUFFIX}, such as 20180607T184326_dmi{_SCENE_SUFFIX}"
            )
        with _open(files[0]) as file:
            return bool(int(file.attributes().get("simulated", 0)))

    def split_name(self, split: str) -> str:
        """The name that a split's file gives it; see ``Truth.split_name``."""
        return read_split(self.path, split).name if is_split_path(split) else split

    def select(self, split: str, subset: str) -> tuple[TruthScene, ...]:
        """The scenes of one subset of a split; see ``Truth.select``.

        Without a store the only split known by name is ``official``, with ``test`` (the scenes
        with a reference) and ``train`` (the others); any other is read from its JSON file.
        """
        if is_split_path(split):
            wanted = read_split(self.path, split).require_scenes(subset)
        elif split == OFFICIAL and subset == "test":
            wanted = self._official_test()
        elif split == OFFICIAL and subset == "train":
            wanted = tuple(sorted(self._scenes.keys() - self._test_ids()))
        else:
            raise SplitError(
                f"{self.path}: RTT files alone know the split official (train, test), not "
                f"{split} {subset}; give the split's JSON file, or score against a store"
            )
        if not wanted:
            raise SplitError(f"{self.path}: no scenes of split {split}, subset {subset}")
        return tuple(self._scene(scene_id) for scene_id in wanted)

    def _official_test(self) -> tuple[str, ...]:
        # The released test set is complete or it is an error; simulated sets have their own ids.
        found = self._test_ids()
        return OFFICIAL_TEST if found & set(OFFICIAL_TEST) else tuple(sorted(found))

    def _test_ids(self) -> set[str]:
        in_test_folder = {
            scene_id for scene_id, path in self._scenes.items() if path.parent.name in _TEST_FOLDERS
        }
        return in_test_folder | self._references.keys()

    def _chart_file(self, scene_id: str) -> Path:
        path = self._references.get(scene_id) or self._scenes.get(scene_id)
        if path is None:
            raise SplitError(
                f"{self.path}: scene {scene_id} has neither {scene_id}{_REFERENCE_SUFFIX} nor "
                f"{scene_id}{_SCENE_SUFFIX}"
            )
        return path

    def _scene(self, scene_id: str) -> TruthScene:
        path = self._chart_file(scene_id)
        with _open(path) as file:
            missing = [name for name in CHART_NAMES if name not in file.variable_names]
            if missing:
                raise SceneError(
                    f"{path}: holds no {', '.join(missing)}; a test scene's charts are in "
                    f"{scene_id}{_REFERENCE_SUFFIX}"
                )
            lines, samples = file.shape(CHART_NAMES[0])
        return TruthScene(scene_id, self._region(scene_id), (lines, samples), None)

    @cached_property
    def _listed_regions(self) -> dict[str, str]:
        """Regions that ``metadata.csv`` gives, by file name without ``_prep.nc``."""
        path = self.path / "metadata.csv"
        if not path.is_file():
            return {}
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        return {
            Path(row["input_path"]).name.removesuffix(_SCENE_SUFFIX): row["region_id"]
            for row in rows
            if row.get("input_path") and row.get("region_id")
        }

    def _region(self, scene_id: str) -> str | None:
        return self._listed_regions.get(scene_id) or _first_region(
            path for files in (self._scenes, self._references) if (path := files.get(scene_id))
        )

    def read(self, scene_id: str) -> Charts:
        """Read the three charts of a scene; see ``Truth.read``.

        Raises:
            SceneError: the file is damaged.
        """
        with _open(self._chart_file(scene_id)) as file:
            return {name: file.read(name) for name in CHART_NAMES}


@contextmanager
def _open(path: Path) -> Iterator[NetcdfFile]:
    try:
        with open_netcdf(path) as file:
            yield file
    except OSError as error:
        raise SceneError(f"{path}: cannot read the charts: {error}") from error


def _first_region(paths: Iterable[Path]) -> str | None:
    """The region in the first ``original_id`` that tells one."""
    for path in paths:
        with _open(path) as file:
            original_id = file.attributes().get("original_id")
        if original_id is None:
            continue
        try:
            return parse_original_id(str(original_id)).region
        except SceneError:  # a name of another origin says nothing about the region
            continue
    return None
