"""Charts straight from ready-to-train (RTT) files: training files and test references.

Which files are scenes, which of them test, and what their values mean is decided in ``formats``, so
that ``score --labels`` and a store prepared from the same folder agree.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Final, Self

import numpy as np

from autoice_bench.charts import CHART_NAMES, CHARTS
from autoice_bench.errors import SceneError, SplitError
from autoice_bench.formats.chart_values import missing_charts, read_chart
from autoice_bench.formats.label_rule import AUTOICE_2022, LabelRule
from autoice_bench.formats.netcdf import NetcdfFile, explain, open_netcdf
from autoice_bench.formats.rtt_folder import (
    REFERENCE_SUFFIX,
    SCENE_SUFFIX,
    OfficialSubset,
    SceneFile,
    find_charts,
)
from autoice_bench.formats.split_file import is_split_path, read_split
from autoice_bench.formats.variables import describe_unlikely_size
from autoice_bench.official import OFFICIAL_TEST
from autoice_bench.scene_id import parse_original_id
from autoice_bench.scoring.truth.protocol import Charts, TruthScene

OFFICIAL: Final = "official"


@dataclass(frozen=True)
class RttTruth:
    """The charts of a folder of RTT files, searched with its subfolders.

    A test scene's charts are in ``<scene_id>_prep_reference.nc``, a training scene's in
    ``<scene_id>_prep.nc``. The official split's test subset is what ``formats.rtt_folder`` takes
    for test scenes, and references that lie alone.

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
    def simulated(self) -> bool:
        """Whether the files say that they are simulated.

        Raises:
            SceneError: there are no files, or the first cannot be read.
        """
        if not self._files:
            raise SceneError(
                f"{self.path}: no RTT files; expected <scene_id>{SCENE_SUFFIX} or "
                f"<scene_id>{REFERENCE_SUFFIX}, such as 20180607T184326_dmi{SCENE_SUFFIX}"
            )
        # References carry few attributes: a scene is asked first.
        first = min(self._files.values(), key=_is_reference_alone)
        with _open(first.path) as file:
            return bool(np.any(file.attributes().get("simulated", 0)))

    def split_name(self, split: str | Path) -> str:
        """The name that a split's file gives it; see ``Truth.split_name``."""
        return read_split(self.path, split).name if is_split_path(split) else str(split)

    def select(self, split: str | Path, subset: str) -> tuple[TruthScene, ...]:
        """The scenes of one subset of a split; see ``Truth.select``.

        Without a store the only split known by name is ``official``, with ``test`` and ``train``
        (the others); any other is read from its JSON file.
        """
        if is_split_path(split):
            wanted = read_split(self.path, split).require_scenes(subset)
        elif split == OFFICIAL and subset == "test":
            wanted = self._official_test()
        elif split == OFFICIAL and subset == "train":
            wanted = self._of_subset("train")
        else:
            raise SplitError(
                f"{self.path}: RTT files alone know the split official (train, test), not "
                f"{split} {subset}; give the split's JSON file, or score against a store"
            )
        if not wanted:
            raise SplitError(f"{self.path}: no scenes of split {split}, subset {subset}")
        return tuple(self._scene(scene_id) for scene_id in wanted)

    def read(self, scene_id: str) -> Charts:
        """Read the three charts of a scene; see ``Truth.read``.

        Raises:
            SceneError: the file is damaged, or a chart holds what is no class.
        """
        charts: Charts = {}
        with _open(self._file(scene_id).charts_path) as file:
            shape = file.shape(CHART_NAMES[0])
            for chart in CHARTS:
                charts[chart.name] = np.empty(shape, np.uint8)
                read_chart(scene_id, file, chart, charts[chart.name])
        return charts

    def in_any_folder(self) -> Self:
        """The same folder by an absolute path; see ``Truth.in_any_folder``."""
        return replace(self, path=self.path.absolute())

    def files_of(self, scene_id: str) -> tuple[Path, ...]:
        """The file of the scene's charts; see ``Truth.files_of``."""
        return (self._file(scene_id).charts_path,)

    @cached_property
    def _files(self) -> dict[str, SceneFile]:
        return {scene.scene_id: scene for scene in find_charts(self.path)}

    def _of_subset(self, subset: OfficialSubset) -> tuple[str, ...]:
        return tuple(key for key, scene in self._files.items() if scene.subset == subset)

    def _official_test(self) -> tuple[str, ...]:
        # The released test set is complete or it is an error; simulated sets have their own ids.
        found = self._of_subset("test")
        return found if set(OFFICIAL_TEST).isdisjoint(found) else OFFICIAL_TEST

    def _file(self, scene_id: str) -> SceneFile:
        if scene_id not in self._files:
            raise SplitError(
                f"{self.path}: scene {scene_id} has neither {scene_id}{REFERENCE_SUFFIX} nor "
                f"{scene_id}{SCENE_SUFFIX}"
            )
        return self._files[scene_id]

    def _scene(self, scene_id: str) -> TruthScene:
        scene = self._file(scene_id)
        with _open(scene.charts_path) as file:
            missing = missing_charts(file)
            if missing:
                raise SceneError(
                    f"{scene.charts_path}: holds no {', '.join(missing)}; a test scene's charts "
                    f"are in {scene_id}{REFERENCE_SUFFIX}"
                )
            shape = file.shape(CHART_NAMES[0])
        if len(shape) != 2:
            raise SceneError(
                f"{scene.charts_path}: {CHART_NAMES[0]} has shape {shape}; expected lines, samples"
            )
        unlikely = describe_unlikely_size(shape)
        if unlikely is not None:
            raise SceneError(f"{scene.charts_path}: {CHART_NAMES[0]} is {unlikely}")
        lines, samples = shape
        region = scene.region or _find_region(scene)
        return TruthScene(scene_id, region, (lines, samples), None)


def _is_reference_alone(scene: SceneFile) -> bool:
    return scene.path.name.endswith(REFERENCE_SUFFIX)


@contextmanager
def _open(path: Path) -> Iterator[NetcdfFile]:
    try:
        with open_netcdf(path) as file:
            yield file
    except OSError as error:
        raise SceneError(f"{path}: cannot read the charts: {explain(error)}") from error


def _find_region(scene: SceneFile) -> str | None:
    """The region in the first ``original_id`` that tells one, of the scene or its reference."""
    for path in (scene.path, scene.reference):
        if path is None:
            continue
        with _open(path) as file:
            original_id = file.attributes().get("original_id")
        if original_id is None:
            continue
        try:
            return parse_original_id(str(original_id)).region
        except SceneError:  # a name of another origin says nothing about the region
            continue
    return None
