"""The windows of scenes that may be drawn, found once for a training run.

A scene's `valid_counts` (valid pixels per inner chunk) bound what any window can hold. They settle
many scenes without a pixel being read and narrow the others to a part; there the chart decides, so
the windows found are exactly those that the rule allows.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from autoice_bench.charts import CHARTS, FILL_VALUE
from autoice_bench.datasets.readers.pixels import SceneCollection, ScenePixels, require_charts
from autoice_bench.errors import PatchError
from autoice_bench.formats.store_layout import CHARTS_ARRAY

_BLOCK_LINES: Final = 64
"""Lines of origins whose windows are counted together: their sums stay in the cache."""
_STRIP_LINES: Final = 512
"""Lines of a chart that are read together."""


@dataclass(frozen=True, eq=False)
class EligibleWindows:
    """The origins of a scene's windows that may be drawn, as runs along its lines.

    Attributes:
        line: (runs,) int32, line of a run's origins.
        first_sample: (runs,) int32, sample of its first origin.
        end: (runs,) int64, number of origins up to and including the run.
    """

    line: NDArray[np.int32]
    first_sample: NDArray[np.int32]
    end: NDArray[np.int64]

    def __len__(self) -> int:
        return int(self.end[-1]) if self.end.size else 0

    def __getitem__(self, index: int) -> tuple[int, int]:
        """Line and sample of an origin, counted along lines.

        Raises:
            IndexError: there are not as many.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"origin {index} of {len(self)}")
        run = int(np.searchsorted(self.end, index, side="right"))
        before = int(self.end[run - 1]) if run else 0
        return int(self.line[run]), int(self.first_sample[run]) + index - before

    def shifted(self, line: int, sample: int) -> EligibleWindows:
        """The same windows, counted from a pixel before: their part began at `line`, `sample`."""
        return EligibleWindows(
            self.line + np.int32(line), self.first_sample + np.int32(sample), self.end
        )


Find = Callable[[ScenePixels, int, int], EligibleWindows]
"""From a scene, the patch size and the valid pixels that a window must have to its windows."""

NO_WINDOWS: Final = EligibleWindows(
    np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.int64)
)


def find_scene_windows(
    scenes: SceneCollection,
    scene_ids: Sequence[str],
    patch_size: int,
    min_valid_pixels: int,
    progress: Callable[[int, int], None] | None = None,
    find: Find | None = None,
) -> tuple[tuple[tuple[str, EligibleWindows], ...], tuple[str, ...]]:
    """Find the eligible windows of scenes.

    Args:
        scenes: where they are.
        scene_ids: which.
        patch_size: pixels along a side of a window.
        min_valid_pixels: valid SIC pixels that a window must have.
        progress: called with (scenes done, scenes in all).
        find: what finds the windows of one scene; ``find_windows`` by default.

    Returns:
        The scenes that have any, with their windows, and the ids of those that have none.

    Raises:
        PatchError: a scene has no labels, or none has an eligible window.
        StoreError: a scene is missing or damaged.
    """
    require_charts(scenes, scene_ids)

    find = find or find_windows

    def find_one(scene_id: str) -> EligibleWindows:
        return find(scenes.scene(scene_id), patch_size, min_valid_pixels)

    found = []
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as executor:
        for scene_id, windows in zip(scene_ids, executor.map(find_one, scene_ids), strict=True):
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


def find_eligible(valid: NDArray[Any], patch_size: int, min_valid_pixels: int) -> EligibleWindows:
    """Find every window with enough valid pixels, exactly.

    Args:
        valid: (lines, samples) bool, or uint8 of 0 and 1: pixels with a valid SIC.
        patch_size: pixels along a side of the window.
        min_valid_pixels: valid pixels that a window must have.

    Returns:
        The origins of the windows; a scene smaller than the patch has one along that axis, and its
        padding counts as masked.
    """
    n_samples = count_origins(valid.shape[1], patch_size)
    lines, firsts, lengths = [], [], []
    for first_line, sums in _window_sums(valid.view(np.uint8), patch_size):
        inside = np.zeros((len(sums), n_samples + 2), bool)
        np.greater_equal(sums, min_valid_pixels, out=inside[:, 1:-1])
        # Every line begins and ends outside, so its changes are starts and stops in turn.
        changes = np.flatnonzero(inside[:, 1:] != inside[:, :-1])
        line, start = np.divmod(changes[::2], n_samples + 1)
        lines.append((first_line + line).astype(np.int32))
        firsts.append(start.astype(np.int32))
        lengths.append(changes[1::2] - changes[::2])
    return EligibleWindows(
        np.concatenate(lines), np.concatenate(firsts), np.cumsum(np.concatenate(lengths))
    )


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


def count_origins(n_pixels: int, patch_size: int) -> int:
    """Number of places for a patch along an axis; one, padded, where the scene is smaller."""
    return max(n_pixels - patch_size, 0) + 1


def _read_valid(scene: ScenePixels, lines: slice, samples: slice) -> NDArray[np.bool_]:
    """(lines, samples) bool: pixels with a valid SIC.

    All charts of a pixel lie in one chunk and are decoded together, so SIC cannot be read alone;
    strips bound the memory that the others take.
    """
    width = samples.stop - samples.start
    valid = np.empty((lines.stop - lines.start, width), bool)
    strip = np.empty((len(CHARTS), min(_STRIP_LINES, len(valid)), width), np.uint8)
    for start in range(0, len(valid), _STRIP_LINES):
        part = valid[start : start + _STRIP_LINES]
        charts = strip[:, : len(part)]
        scene.read_pixels(CHARTS_ARRAY.name, lines.start + start, samples.start, charts)
        np.not_equal(charts[0], FILL_VALUE, out=part)
    return valid


def _window_sums(
    valid: NDArray[np.uint8], patch_size: int
) -> Iterator[tuple[int, NDArray[np.int32]]]:
    """Blocks of (lines of origins, samples of origins) int32 sums, with their first line."""
    height, width = valid.shape
    n_lines, n_samples = count_origins(height, patch_size), count_origins(width, patch_size)
    columns = valid[:patch_size].sum(axis=0, dtype=np.int32)
    along = np.zeros((_BLOCK_LINES, width + 1), np.int32)
    for first in range(0, n_lines, _BLOCK_LINES):
        size = min(_BLOCK_LINES, n_lines - first)
        # Column sums of a window one line further down: one line enters, one leaves.
        block = np.empty((size, width), np.int32)
        block[0] = columns
        np.subtract(
            valid[first + patch_size : first + patch_size + size - 1],
            valid[first : first + size - 1],
            out=block[1:],
            dtype=np.int32,
        )
        np.cumsum(block, axis=0, out=block)
        if first + size < n_lines:
            last = first + size - 1
            columns = block[-1] + valid[last + patch_size] - valid[last]
        np.cumsum(block, axis=1, out=along[:size, 1:])
        right = min(patch_size, width)
        yield first, along[:size, right : right + n_samples] - along[:size, :n_samples]


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
