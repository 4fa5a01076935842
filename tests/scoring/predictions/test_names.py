"""Names of predictions as people write them."""

from __future__ import annotations

import pytest

from autoice_bench.scoring.predictions.names import by_scene, scene_of

SCENE = "20180607T184326_dmi"


@pytest.mark.parametrize(
    "ending",
    [
        "",
        ".nc",
        "_prep",
        "_prep.nc",
        "_prep_reference.nc",
        "_pred",
        "_pred.nc",
        "_prep_pred.nc",
        "_prep.nc_pred",
        "_prediction.nc",
        ".zarr",
        "_pred.zarr",
    ],
)
def test_names_of_a_scene(ending: str) -> None:
    assert scene_of(SCENE + ending) == SCENE


@pytest.mark.parametrize(
    "name",
    [
        f"{SCENE}_probabilities.nc",
        f"my_{SCENE}.nc",
        f"{SCENE}_v2.nc",
        "20181340T000000_dmi.nc",
        "20180607T184326_xyz.nc",
        f"{SCENE}.nc.nc.nc",
        "",
        "../" + SCENE,
        f"{SCENE}\n",
    ],
)
def test_other_names(name: str) -> None:
    assert scene_of(name) is None


def test_by_scene() -> None:
    other = "20180124T194759_dmi"
    names, twice = by_scene([f"{SCENE}_prep", "readme", other])
    assert (names, twice) == ({other: other, SCENE: f"{SCENE}_prep"}, None)
    assert by_scene([SCENE, f"{SCENE}_pred"])[1] == (SCENE, f"{SCENE}_pred")
