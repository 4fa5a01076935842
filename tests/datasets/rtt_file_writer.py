"""Writes tiny ready-to-train scenes for tests, to be broken in every way the format allows."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest
from numpy.typing import NDArray

from autoice_bench.charts import CHARTS
from autoice_bench.datasets.sources.rtt import read_scene
from autoice_bench.errors import SceneError
from autoice_bench.formats.rtt_folder import OfficialSubset, SceneFile
from autoice_bench.formats.variables import (
    AMSR2_VARIABLES,
    DISTANCE_MAP,
    ERA5_VARIABLES,
    GRID_2KM_DIMS,
    RTT_VARIABLE_ORDER,
    SAR_DIMS,
    SAR_VARIABLES,
    TIE_POINT_DIMS,
    TIE_POINT_VARIABLES,
)

SCENE_ID = "20300607T184326_dmi"
SHAPE = (52, 76)
"""Two lines and one sample more than 2 x 3 cells of 25 pixels."""
CELLS = (2, 3)
ORIGINAL_ID = (
    "S1B_EW_GRDM_1SDH_20300607T184326_20300607T184426_011270_014B0F_3A7C"
    "_icechart_dmi_203006071845_CentralEast_RIC.nc"
)


@dataclass
class RttVariable:
    """One variable; ``storage`` are options of netCDF4's ``createVariable``."""

    dims: tuple[str, ...]
    values: NDArray[Any]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    storage: Mapping[str, Any] = field(default_factory=lambda: {"zlib": True, "complevel": 1})


@dataclass
class RttContent:
    """What goes into a file; a valid training scene until a test changes it."""

    variables: dict[str, RttVariable]
    attributes: dict[str, Any] = field(
        default_factory=lambda: {
            "scene_id": f"{SCENE_ID}_prep.nc",
            "original_id": ORIGINAL_ID,
            "ice_service": "dmi",
            "flip": np.int64(0),
            "pixel_spacing": np.int64(80),
        }
    )

    def values(self, name: str) -> NDArray[Any]:
        """Values of a variable, to be changed in place."""
        return self.variables[name].values

    def without(self, *names: str) -> RttContent:
        """The same content without some variables."""
        kept = {key: value for key, value in self.variables.items() if key not in names}
        return RttContent(kept, self.attributes)

    def only(self, *names: str) -> RttContent:
        """The same content with nothing but some variables."""
        return RttContent({name: self.variables[name] for name in names}, self.attributes)


def make_content(seed: int = 0) -> RttContent:
    """A valid training scene: ice left, water right, three masked lines at the top."""
    rng = np.random.default_rng(seed)
    variables: dict[str, RttVariable] = {}
    for chart, ice in zip(CHARTS, (7, 5, 6), strict=True):
        classes = np.zeros(SHAPE, np.uint8)
        classes[:, :40] = ice
        classes[:3] = 255
        variables[chart.name] = RttVariable(SAR_DIMS, classes)
    line, sample = np.meshgrid(np.arange(21.0), np.arange(21.0), indexing="ij")
    for name, values in zip(TIE_POINT_VARIABLES, (75 - line / 100, -30 + sample / 50), strict=True):
        variables[name] = RttVariable(TIE_POINT_DIMS, values)
    for variable in (*SAR_VARIABLES, DISTANCE_MAP):
        values = rng.normal(0, 1, SHAPE).clip(-1.5, 1.5).astype(np.float32)
        values[:3] = 0
        variables[variable.name] = RttVariable(SAR_DIMS, values)
    zones = rng.integers(0, 42, SHAPE)
    variables[DISTANCE_MAP.name].values = encode_zones(zones)
    for variable in (*AMSR2_VARIABLES, *ERA5_VARIABLES):
        # 0.1 standard deviations above the mean lies within the extrema of every variable.
        values = np.full(CELLS, 0.1, np.float32) + rng.normal(0, 0.01, CELLS).astype(np.float32)
        variables[variable.name] = RttVariable(GRID_2KM_DIMS, values)
    assert list(variables) == list(RTT_VARIABLE_ORDER)
    return RttContent(variables)


def encode_zones(zones: NDArray[Any]) -> NDArray[np.float32]:
    """Distance zones as an RTT file holds them."""
    return ((zones - DISTANCE_MAP.mean) / DISTANCE_MAP.std).astype(np.float32)


def write_rtt_file(path: Path, content: RttContent, **options: Any) -> Path:
    """Write ``content``; ``options`` go to ``netCDF4.Dataset``, such as ``format``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with netCDF4.Dataset(str(path), "w", **options) as dataset:
        for name, variable in content.variables.items():
            for dim, size in zip(variable.dims, variable.values.shape, strict=True):
                if dim not in dataset.dimensions:
                    dataset.createDimension(dim, size)
            attributes = dict(variable.attributes)
            target = dataset.createVariable(
                name,
                variable.values.dtype,
                variable.dims,
                fill_value=attributes.pop("_FillValue", None),
                **variable.storage,
            )
            target.set_auto_maskandscale(False)
            target.setncatts(attributes)
            target[...] = variable.values
        dataset.setncatts(content.attributes)
    return path


def write_scene_file(
    folder: Path,
    content: RttContent,
    *,
    reference: RttContent | None = None,
    subset: OfficialSubset = "train",
) -> SceneFile:
    """Write a scene and, if given, its reference; return what ``find_scenes`` would."""
    path = write_rtt_file(folder / subset / f"{SCENE_ID}_prep.nc", content)
    reference_path = None
    if reference is not None:
        reference_path = path.with_name(f"{SCENE_ID}_prep_reference.nc")
        write_rtt_file(reference_path, reference)
    return SceneFile(SCENE_ID, path, reference_path, subset, region=None)


def expect_error(folder: Path, content: RttContent, words: str, **options: Any) -> None:
    """Reading the scene must fail with exactly ``scene <id>: <words>``, and without warnings."""
    scene = write_scene_file(folder, content, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(SceneError) as caught:
            read_scene(scene)
    assert str(caught.value) == f"scene {SCENE_ID}: {words}"
    assert "\n" not in str(caught.value)


def warnings_of(folder: Path, content: RttContent, **options: Any) -> tuple[str, ...]:
    return read_scene(write_scene_file(folder, content, **options)).warnings
