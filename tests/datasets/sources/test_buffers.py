"""Memory used again from scene to scene must not let one scene show through in the next."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from autoice_bench.datasets.sources.buffers import BufferPool
from autoice_bench.datasets.sources.rtt import read_scene
from tests.datasets.rtt_file_writer import (
    SHAPE,
    RttContent,
    encode_zones,
    make_content,
    write_scene_file,
)


def test_same_purpose_gets_the_same_memory() -> None:
    pool = BufferPool()
    first = pool.empty("sar", (4, 6), np.float32)
    again = pool.empty("sar", (3, 5), np.float16)
    assert np.shares_memory(first, again)
    assert again.shape == (3, 5)
    assert again.dtype == np.float16
    assert again.flags.c_contiguous
    assert again.flags.writeable
    assert not np.shares_memory(first, pool.empty("charts", (4, 6), np.float32))


def test_larger_request_gets_larger_memory() -> None:
    pool = BufferPool()
    small = pool.empty("sar", (2, 2), np.uint8)
    large = pool.empty("sar", (20, 20), np.uint8)
    large[...] = 7
    assert large.shape == (20, 20)
    assert not np.shares_memory(small, large)


def cut(content: RttContent) -> RttContent:
    """The first 27 lines and 30 samples: one 2 km cell."""
    for name, variable in content.variables.items():
        if variable.values.shape == SHAPE:
            variable.values = variable.values[:27, :30]
        elif not name.startswith("sar_grid2d"):
            variable.values = variable.values[:1, :1]
    return content


def test_scene_read_after_another_equals_the_scene_read_alone(tmp_path: Path) -> None:
    fractional = make_content(2)
    fractional.variables["distance_map"] = replace(
        fractional.variables["distance_map"], values=encode_zones(np.full(SHAPE, 2.5))
    )
    contents = (make_content(0), cut(make_content(1)), fractional, make_content(3))
    pool = BufferPool()
    for number, content in enumerate(contents):
        scene = write_scene_file(tmp_path / str(number), content)
        pooled, alone = read_scene(scene, pool=pool), read_scene(scene)
        for name in ("sar", "charts", "distance_map", "amsr2", "class_counts"):
            found, expected = getattr(pooled, name), getattr(alone, name)
            assert found.dtype == expected.dtype
            np.testing.assert_array_equal(found, expected)
        assert pooled.rounding_error == alone.rounding_error


def test_without_a_pool_scenes_do_not_share_memory(tmp_path: Path) -> None:
    scene = write_scene_file(tmp_path, make_content())
    assert not np.shares_memory(read_scene(scene).sar, read_scene(scene).sar)
