"""The windows of stored scenes that may be drawn, found once for a training run.

A scene's `valid_counts` (valid pixels per inner chunk) bound what any window can hold. They settle
many scenes without a pixel being read and narrow the others to a part; there the chart decides, so
the windows found are exactly those that the rule allows.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np
from numpy.typing import NDArray

from autoice_bench.charts import CHARTS, FILL_VALUE
from autoice_bench.datasets.patch_reader import SceneCollection, ScenePixels, require_charts
from autoice_bench.datasets.patches import (
    NO_WINDOWS,
    EligibleWindows,
    count_origins,
    find_eligible,
)
from autoice_bench.errors import PatchError

_STRIP_LINES: Final = 512


def find_scene_windows(
    scenes: SceneCollection,
    scene_ids: Sequence[str],
    patch_size: int,
    min_valid_pixels: int,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[tuple[tuple[str, EligibleWindows], ...], tuple[str, ...]]:
    """Find the eligible windows of scenes.

    Args:
        scenes: where they are.
        scene_ids: which.
        patch_size: pixels along a side of a window.
        min_valid_pixels: valid SIC pixels that a window must have.
        progress: called with (scenes done, scenes in all).

    Returns:
        The scenes that have any, with their windows, and the ids of those that have none.

    Raises:
        PatchError: a scene has no labels, or none has an eligible window.
        StoreError: a scene is missing or damaged.
    """
    require_charts(scenes, scene_ids)

    def find(scene_id: str) -> EligibleWindows:
        return find_windows(scenes.scene(scene_id), patch_size, min_valid_pixels)

    found = []
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as executor:
        for scene_id, windows in zip(scene_ids, executor.map(find, scene_ids), strict=True):
            found.append((scene_id, windows))
            if progress is not None:
                progress(len(found), len(scene_ids))
    eligible = tuple((scene_id, windows) for scene_id, windows in found if len(windows))
    if not eligible:
        raise PatchError(
            f"none of {len(scene_ids)} scenes has a window of {patch_size} x {patch_size} pixels "
            f"with {min_valid_pixels} valid ones; lower the patch size or relax the rule"
        )
    return eligible, tuple(scene_id for scene_id, windows in found if not len(windows))


def find_windows(scene: ScenePixels, patch_size: int, min_valid_pixels: int) -> EligibleWindows:
    """Find the eligible windows of one scene.

    Raises:
        StoreError: its chart is damaged.
    """
    lines, samples = slice(0, scene.shape[0]), slice(0, scene.shape[1])
    known = scene.valid_counts()
    if known is not None:
        counts, chunk = known
        box = narrow(counts, chunk, scene.shape, patch_size, min_valid_pixels)
        if box is None:
            return NO_WINDOWS
        lines, samples = box
    windows = find_eligible(_read_valid(scene, lines, samples), patch_size, min_valid_pixels)
    return windows.shifted(lines.start, samples.start)


def narrow(
    counts: NDArray[np.integer],
    chunk: int,
    shape: tuple[int, int],
    patch_size: int,
    min_valid_pixels: int,
) -> tuple[slice, slice] | None:
    """The part of a scene that all its eligible windows lie in, from valid pixels per chunk.

    Args:
        counts: (chunk lines, chunk samples) valid pixels per chunk.
        chunk: pixels along a side of a chunk.
        shape: lines and samples of the scene.
        patch_size: pixels along a side of a window.
        min_valid_pixels: valid pixels that a window must have.

    Returns:
        Lines and samples; None where no window can be eligible.
    """
    sums = np.zeros((counts.shape[0] + 1, counts.shape[1] + 1), np.int64)
    sums[1:, 1:] = counts.cumsum(axis=0, dtype=np.int64).cumsum(axis=1)
    (top, bottom), (left, right) = (
        _touched(size, chunk, patch_size, n) for size, n in zip(shape, counts.shape, strict=True)
    )
    # The most that a window can hold whose origin lies in each chunk: all chunks it may touch.
    most = (
        sums[bottom[:, None], right]
        - sums[top[:, None], right]
        - sums[bottom[:, None], left]
        + sums[top[:, None], left]
    )
    possible = most >= min_valid_pixels
    if not possible.any():
        return None
    lines, samples = (
        _span(np.flatnonzero(possible.any(axis=axis)), size, chunk, patch_size)
        for axis, size in ((1, shape[0]), (0, shape[1]))
    )
    return lines, samples


def _touched(
    size: int, chunk: int, patch_size: int, n_chunks: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First and one past the last chunk that windows with their origin in each chunk may touch."""
    first = np.arange(-(-count_origins(size, patch_size) // chunk))
    last = ((first + 1) * chunk + patch_size - 2) // chunk
    return first, np.minimum(last + 1, n_chunks)


def _span(chunks: NDArray[np.int64], size: int, chunk: int, patch_size: int) -> slice:
    """Pixels of the windows whose origins lie in a range of chunks."""
    last_origin = min((int(chunks[-1]) + 1) * chunk, count_origins(size, patch_size)) - 1
    return slice(int(chunks[0]) * chunk, min(last_origin + patch_size, size))


def _read_valid(scene: ScenePixels, lines: slice, samples: slice) -> NDArray[np.bool_]:
    """(lines, samples) bool: pixels with a valid SIC; read in strips, the charts lie together."""
    width = samples.stop - samples.start
    valid = np.empty((lines.stop - lines.start, width), bool)
    strip = np.empty((len(CHARTS), min(_STRIP_LINES, len(valid)), width), np.uint8)
    for start in range(0, len(valid), _STRIP_LINES):
        part = valid[start : start + _STRIP_LINES]
        scene.read_pixels("charts", lines.start + start, samples.start, strip[:, : len(part)])
        np.not_equal(strip[0, : len(part)], FILL_VALUE, out=part)
    return valid
