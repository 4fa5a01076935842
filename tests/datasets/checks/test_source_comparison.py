"""Comparing a scene with its source finds a planted difference in every variable."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from numpy.typing import NDArray

from autoice_bench.charts import CHART_NAMES
from autoice_bench.datasets.checks.source_comparison import compare_with_source
from autoice_bench.datasets.sources.rtt import read_scene
from autoice_bench.datasets.sources.scene_arrays import SarDtype
from autoice_bench.datasets.store.root import StoreOptions
from autoice_bench.datasets.store.scene_writer import FileDigest, write_scene
from autoice_bench.formats.rtt_folder import SceneFile
from autoice_bench.formats.variables import (
    AMSR2_VARIABLES,
    ERA5_VARIABLES,
    RTT_VARIABLE_ORDER,
    SAR_VARIABLES,
    TIE_POINT_VARIABLES,
)
from tests.datasets.rtt_file_writer import (
    SHAPE,
    RttContent,
    encode_zones,
    make_content,
    write_scene_file,
)

Stored = tuple[dict[str, Any], dict[str, NDArray[Any]]]


def store_scene(folder: Path, scene: SceneFile, dtype: SarDtype = "float16") -> Stored:
    """Attributes and decoded arrays of the scene as a store holds it."""
    folder.mkdir()
    options = StoreOptions(simulated=False, dtype=dtype)
    digest = FileDigest(scene.path.name, 1, "0" * 64)
    write_scene(folder, scene, read_scene(scene, dtype), options, digest, None)
    attributes = json.loads((folder / "zarr.json").read_bytes())["attributes"]
    arrays = {
        path.name: np.asarray(zarr.open_array(path, mode="r")[...])
        for path in folder.iterdir()
        if path.is_dir()
    }
    return attributes, arrays


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Stored:
    """The scene of ``make_content()``. Read only."""
    folder = tmp_path_factory.mktemp("stored")
    return store_scene(folder / "scene", write_scene_file(folder, make_content()))


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_sound_scene_has_no_difference(tmp_path: Path, dtype: SarDtype) -> None:
    content = make_content()
    content.values("nersc_sar_primary")[20, 20] = 1e-20  # rounds to 0, and must not become nodata
    scene = write_scene_file(tmp_path, content)
    assert compare_with_source(scene, *store_scene(tmp_path / "scene", scene, dtype)) == []


def test_reference_is_compared(tmp_path: Path) -> None:
    content = make_content()
    scene = write_scene_file(
        tmp_path,
        content.without(*CHART_NAMES),
        reference=content.only(*CHART_NAMES),
        subset="test",
    )
    attributes, arrays = store_scene(tmp_path / "scene", scene)
    assert compare_with_source(scene, attributes, arrays) == []
    arrays["charts"][1, 7, 7] ^= 1
    assert compare_with_source(scene, attributes, arrays) == [
        "SOD differs from the source in 1 pixels"
    ]


@pytest.mark.parametrize("name", RTT_VARIABLE_ORDER)
def test_planted_difference_is_found_in_every_variable(
    tmp_path: Path, stored: Stored, name: str
) -> None:
    content = make_content()
    values = content.values(name)
    values[-1, -1] = values[-1, -1] + (1 if values.dtype.kind == "u" else 0.05)
    problems = compare_with_source(write_scene_file(tmp_path, content), *stored)
    assert len(problems) == 1
    assert problems[0].startswith(f"{name} differs from the source")


@pytest.mark.parametrize("name", [v.name for v in (*AMSR2_VARIABLES, *ERA5_VARIABLES)])
def test_last_bit_counts_where_nothing_is_rounded(
    tmp_path: Path, stored: Stored, name: str
) -> None:
    content = make_content()
    values = content.values(name)
    values[0, 0] = np.nextafter(values[0, 0], np.float32(np.inf))
    problems = compare_with_source(write_scene_file(tmp_path, content), *stored)
    assert problems == [f"{name} differs from the source"]


def test_difference_within_rounding_but_of_nodata(tmp_path: Path, stored: Stored) -> None:
    content = make_content()
    content.values("sar_incidenceangle")[1, 1] = 1e-6
    problems = compare_with_source(write_scene_file(tmp_path, content), *stored)
    assert problems == ["sar_incidenceangle: 1 pixels are nodata in only one of store and source"]


@pytest.mark.parametrize("name", [*(v.name for v in SAR_VARIABLES), "distance_map"])
@pytest.mark.parametrize("line", [4, -1])
def test_nan_in_the_source_is_a_difference(
    tmp_path: Path, stored: Stored, name: str, line: int
) -> None:
    content = make_content()
    content.values(name)[line, 5] = np.nan
    content.variables[name].storage = {"zlib": True, "chunksizes": (10, 10)}
    problems = compare_with_source(write_scene_file(tmp_path, content), *stored)
    assert any(problem.startswith(f"{name} differs from the source by nan") for problem in problems)


def test_zones_that_are_not_whole(tmp_path: Path) -> None:
    content = make_content()
    content.variables["distance_map"].values = encode_zones(
        np.random.default_rng(0).uniform(0, 41, SHAPE)
    )
    scene = write_scene_file(tmp_path, content)
    attributes, arrays = store_scene(tmp_path / "scene", scene)
    assert compare_with_source(scene, attributes, arrays) == []
    arrays["distance_map"][3, 3] += 0.01
    assert len(compare_with_source(scene, attributes, arrays)) == 1


def cut(content: RttContent) -> RttContent:
    """A scene of one 2 km line less."""
    for name, variable in content.variables.items():
        if variable.values.shape == SHAPE:
            variable.values = variable.values[:27]
        elif name not in TIE_POINT_VARIABLES:
            variable.values = variable.values[:1]
    return content


def test_source_of_another_size(tmp_path: Path, stored: Stored) -> None:
    scene = write_scene_file(tmp_path, cut(make_content()))
    assert compare_with_source(scene, *stored) == [
        "sar is (52, 76); the source has (27, 76)",
        "amsr2 is (2, 3); the source has (1, 3)",
        *(f"{name} is (52, 76); the source has (27, 76)" for name in CHART_NAMES),
    ]


def test_reference_that_appeared_later(tmp_path: Path) -> None:
    content = make_content()
    bare = write_scene_file(tmp_path, content.without(*CHART_NAMES), subset="test")
    attributes, arrays = store_scene(tmp_path / "scene", bare)
    assert compare_with_source(bare, attributes, arrays) == []
    scene = write_scene_file(
        tmp_path,
        content.without(*CHART_NAMES),
        reference=content.only(*CHART_NAMES),
        subset="test",
    )
    assert compare_with_source(scene, attributes, arrays) == [
        "charts are in the source, but not in the store"
    ]


def test_source_that_cannot_be_read(tmp_path: Path, stored: Stored) -> None:
    scene = write_scene_file(tmp_path, make_content().without("skt"))
    (problem,) = compare_with_source(scene, *stored)
    assert problem.startswith(f"source {scene.path} cannot be read: ")
    absent = replace(scene, path=tmp_path / "absent.nc")
    (problem,) = compare_with_source(absent, *stored)
    assert problem.startswith(f"source {absent.path} cannot be read: ")
