from pathlib import Path

import numpy as np
import pytest

from autoice_bench.datasets.patches.array_windows import open_array_windows
from autoice_bench.datasets.patches.geometry import Window
from autoice_bench.datasets.patches.opening import open_windows
from autoice_bench.datasets.sources.rtt import read_scene
from autoice_bench.datasets.store.downscaling import DownscaleMethod
from autoice_bench.datasets.store.root import open_store
from autoice_bench.errors import PatchError
from autoice_bench.formats.rtt_folder import SceneFile

ARRAYS = frozenset({"sar", "distance_map", "amsr2", "era5", "positions"})


@pytest.mark.parametrize(
    ("downscale", "method"), [(1, "nearest"), (10, "nearest"), (10, "area"), (7, "area")]
)
def test_a_file_gives_the_windows_of_a_store(
    prepared_store: Path, rtt_source: Path, downscale: int, method: DownscaleMethod
) -> None:
    path = min((rtt_source / "test").glob("*_prep.nc"))
    scene_id = path.name.removesuffix("_prep.nc")
    store = open_store(prepared_store)
    stored = open_windows(
        store, [scene_id], arrays=ARRAYS, downscale=downscale, downscale_method=method
    )
    alone = open_array_windows(
        read_scene(SceneFile(scene_id, path, None, "test", None), store.options.dtype),
        arrays=ARRAYS,
        grid_anchor=store.grid_anchor,
        downscale=downscale,
        downscale_method=method,
    )
    assert alone.geometry == stored.geometry
    lines, samples = stored.scenes.scene(scene_id).shape
    assert alone.scenes.scene(scene_id).shape == (lines, samples)
    for window in (
        Window(0, 0, lines, samples),
        Window(0, 0, lines + 9, samples + 5),
        Window(lines // 2, samples // 3, 8, 11),
        Window(lines - 3, 0, 32, 32),
    ):
        expected = stored.read_window(scene_id, window)
        found = alone.read_window(scene_id, window)
        assert found.keys() == expected.keys()
        for name, values in expected.items():
            assert found[name].dtype == values.dtype
            np.testing.assert_array_equal(found[name], values, err_msg=name)


def test_a_ratio_below_one_is_refused(rtt_source: Path) -> None:
    path = min((rtt_source / "test").glob("*_prep.nc"))
    scene_id = path.name.removesuffix("_prep.nc")
    scene = read_scene(SceneFile(scene_id, path, None, "test", None))
    with pytest.raises(PatchError, match="at least 2"):
        open_array_windows(scene, arrays=ARRAYS, downscale=0)
