"""What `prepare` and `score --labels` make of the same chart files: the same, or nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import netCDF4
import numpy as np
import pytest

from autoice_bench.charts import CHART_NAMES
from autoice_bench.datasets.sources.scenes import list_source, read_source_scene
from autoice_bench.errors import AutoIceError
from autoice_bench.scoring.truth.rtt_truth import RttTruth
from tests.datasets.repacking import repack
from tests.datasets.rtt_file_writer import (
    SCENE_ID,
    SHAPE,
    RttVariable,
    make_content,
    write_scene_file,
)


def prepared(folder: Path) -> dict[str, Any]:
    (scene,) = list_source(folder).scenes
    arrays = read_source_scene(scene, "float16")
    assert arrays.charts is not None
    return dict(zip(CHART_NAMES, arrays.charts, strict=True))


def scored(folder: Path) -> dict[str, Any]:
    truth = RttTruth(folder)
    truth.select("official", "train")
    return truth.read(SCENE_ID)


def offset(path: Path) -> None:
    repack(path, "SIC", lambda sic: sic.astype("i2") - 1, add_offset=1, _FillValue=np.int16(254))


def tenths(path: Path) -> None:
    repack(path, "SOD", lambda sod: sod.astype("i2") * 10, scale_factor=0.1)


def signed(path: Path) -> None:
    repack(path, "FLOE", lambda floe: floe.view("i1"), _Unsigned="true")


def big_endian_with_gaps(path: Path) -> None:
    repack(path, "SIC", lambda sic: np.where(sic == 255, -1, sic).astype(">i8"), missing_value=-1)


def floats_nearby(path: Path) -> None:
    repack(path, "SIC", lambda sic: sic.astype("f4") * np.float32(0.9999999))


ACCEPTED = (offset, tenths, signed, big_endian_with_gaps, floats_nearby)


def water_is_missing(path: Path) -> None:
    repack(path, "SIC", lambda sic: sic, _FillValue=np.uint8(0))


def scale_in_words(path: Path) -> None:
    repack(path, "SIC", lambda sic: sic, scale_factor="0.1")


def two_offsets(path: Path) -> None:
    repack(path, "SIC", lambda sic: sic, add_offset=[1.0, 2.0])


def complex_numbers(path: Path) -> None:
    with netCDF4.Dataset(path, "a") as file:
        file.renameVariable("SIC", "former_SIC")
    with h5py.File(path, "a") as file:
        file["SIC"] = np.zeros(SHAPE, "c8")
        for axis, name in enumerate(("sar_lines", "sar_samples")):
            file["SIC"].dims[axis].attach_scale(file[name])


def elsewhere(path: Path) -> None:
    with h5py.File(path, "a") as file:
        file["more"] = h5py.ExternalLink("other.nc", "/")


def emptied(path: Path) -> None:
    path.write_bytes(b"")


REFUSED = (*(water_is_missing, scale_in_words, two_offsets, complex_numbers, elsewhere, emptied),)


@pytest.mark.parametrize("change", ACCEPTED)
def test_both_read_the_same_classes(tmp_path: Path, change: Callable[[Path], None]) -> None:
    scene = write_scene_file(tmp_path, make_content())
    expected = prepared(tmp_path)
    change(scene.path)
    for found in (prepared(tmp_path), scored(tmp_path)):
        for name in CHART_NAMES:
            np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


@pytest.mark.parametrize("change", REFUSED)
def test_both_refuse_in_one_line(tmp_path: Path, change: Callable[[Path], None]) -> None:
    scene = write_scene_file(tmp_path, make_content())
    change(scene.path)
    for read in (prepared, scored):
        with pytest.raises(AutoIceError) as raised:
            read(tmp_path)
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize("shape", [(52,), (1, 52, 76), (0, 76), (76, 52), ()])
def test_both_refuse_charts_that_are_no_maps(tmp_path: Path, shape: tuple[int, ...]) -> None:
    content = make_content()
    dims = tuple(f"d{axis}" for axis in range(len(shape)))
    for name in CHART_NAMES:
        content.variables[name] = RttVariable(dims, np.zeros(shape, np.uint8), storage={})
    write_scene_file(tmp_path, content)
    if shape == (76, 52):  # alone, a map like any other: it is the SAR that it does not fit
        with pytest.raises(AutoIceError, match=r"SIC is \(76, 52\); expected \(52, 76\)"):
            prepared(tmp_path)
        return
    for read in (prepared, scored):
        with pytest.raises(AutoIceError) as raised:
            read(tmp_path)
        assert "\n" not in str(raised.value)


def test_one_file_is_read_as_its_folder(tmp_path: Path) -> None:
    path = write_scene_file(tmp_path, make_content()).path
    for read in (prepared, scored):
        for name, values in read(tmp_path).items():
            np.testing.assert_array_equal(read(path)[name], values)
