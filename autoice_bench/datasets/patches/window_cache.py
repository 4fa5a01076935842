"""Eligible windows that were found before, kept on disk: a training run need not look again.

They are kept in ``.cache/windows/`` of the store, or, where that cannot be written, in the user's
folder for caches (``$XDG_CACHE_HOME/autoice-bench``, by default ``~/.cache/autoice-bench``). One
file holds the windows of one scene by one rule. It begins with a digest over itself and over what
it was found for: the store's fingerprint, the bytes of the scene's ``zarr.json``, which hold the
digests of its charts, and the rule. A file that is damaged, or of anything else, is not believed;
the folder may be removed at any time.
"""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from autoice_bench.datasets.patches.eligible import (
    NO_WINDOWS,
    EligibleWindows,
    count_origins,
    find_windows,
)
from autoice_bench.datasets.readers.pixels import ScenePixels
from autoice_bench.datasets.readers.scene import SceneReader
from autoice_bench.datasets.store.root import Store
from autoice_bench.formats.own_folders import make_own_folder
from autoice_bench.formats.plain_files import read_bytes
from autoice_bench.formats.store_layout import CACHE
from autoice_bench.formats.whole_files import write_whole

_FORMAT: Final = 1
_FOLDER: Final = "windows"
_DIGEST_BYTES: Final = 32
_DTYPE: Final = np.dtype("<i4")
_COLUMNS: Final = 3
"""Of a run of origins: its line, its first sample, its length."""
_LEVEL: Final = 1


@dataclass(frozen=True)
class WindowCache:
    """Finds eligible windows as ``eligible.find_windows`` does, from disk where they are there.

    Attributes:
        fingerprint: of the store.
        folders: where files may lie, the first one first; none switches it off.
    """

    fingerprint: str
    folders: tuple[Path, ...]

    def find(self, scene: ScenePixels, patch_size: int, min_valid_pixels: int) -> EligibleWindows:
        """The eligible windows of a scene; a new result is kept if a folder takes it.

        Scenes in memory, which are downscaled, are looked at: that takes no time worth saving.

        Raises:
            StoreError: its chart is damaged.
        """
        if not isinstance(scene, SceneReader) or not self.folders:
            return find_windows(scene, patch_size, min_valid_pixels)
        key = self._key(scene, patch_size, min_valid_pixels)
        name = Path(f"{patch_size}-{min_valid_pixels}", f"{scene.scene_id}-{_hash(key)[:16]}")
        for folder in self.folders:
            found = _read(folder / name, key, scene.shape, patch_size)
            if found is not None:
                return found
        windows = find_windows(scene, patch_size, min_valid_pixels)
        content = _encode(windows, key)
        any(_write(folder, name, content) for folder in self.folders)
        return windows

    def _key(self, scene: SceneReader, patch_size: int, min_valid_pixels: int) -> bytes:
        return json.dumps(
            {
                "format": _FORMAT,
                "store_fingerprint": self.fingerprint,
                "scene_id": scene.scene_id,
                "scene_sha256": scene.sha256,
                "patch_size": patch_size,
                "min_valid_pixels": min_valid_pixels,
            },
            sort_keys=True,
        ).encode()


def open_window_cache(store: Store) -> WindowCache:
    """The cache of a store's windows; of one without a fingerprint nothing is kept."""
    if store.fingerprint is None:
        return WindowCache("", ())
    return WindowCache(store.fingerprint, tuple(_folders(store)))


def _folders(store: Store) -> Iterator[Path]:
    yield store.path / CACHE / _FOLDER
    root = os.environ.get("XDG_CACHE_HOME")
    try:
        users = Path(root) if root else Path.home() / ".cache"
    except RuntimeError:  # no home
        return
    if users.is_absolute():
        yield users / "autoice-bench" / _FOLDER


def _encode(windows: EligibleWindows, key: bytes) -> bytes:
    runs = np.empty((_COLUMNS, windows.end.size), _DTYPE)
    runs[0], runs[1] = windows.line, windows.first_sample
    runs[2] = np.diff(windows.end, prepend=0)
    # Neighbouring lines begin and end nearly alike: differences are small, and take few bytes.
    body = zlib.compress(_differences(runs).tobytes(), _LEVEL)
    return hashlib.sha256(key + body).digest() + body


def _read(
    path: Path, key: bytes, shape: tuple[int, int], patch_size: int
) -> EligibleWindows | None:
    """The windows in a file; None where there is none, or it is damaged or for something else."""
    try:
        content = read_bytes(path)
    except OSError:
        return None
    digest, body = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
    if hashlib.sha256(key + body).digest() != digest:
        return None
    n_lines, n_samples = (count_origins(size, patch_size) for size in shape)
    # Runs of a line are apart from each other, so there are at most half as many as samples.
    most = n_lines * (n_samples // 2 + 1) * _COLUMNS * _DTYPE.itemsize
    try:
        decoder = zlib.decompressobj()
        decoded = decoder.decompress(body, most + 1)
    except zlib.error:
        return None
    if not decoder.eof or len(decoded) % (_COLUMNS * _DTYPE.itemsize):
        return None
    if not decoded:
        return NO_WINDOWS
    runs = np.frombuffer(decoded, _DTYPE).reshape(_COLUMNS, -1).cumsum(axis=1, dtype=np.int64)
    return _check(runs, n_lines, n_samples)


def _check(runs: NDArray[np.int64], n_lines: int, n_samples: int) -> EligibleWindows | None:
    """Windows from runs that lie inside a scene, one after another; None for any others.

    A digest can be made for anything, and a store may come from a stranger.
    """
    line, first, length = runs
    inside = (line >= 0) & (line < n_lines) & (first >= 0) & (length > 0)
    if not (inside & (first + length <= n_samples)).all():
        return None
    start = line * (n_samples + 1) + first
    if not (start[1:] > start[:-1] + length[:-1]).all():
        return None
    return EligibleWindows(line.astype(np.int32), first.astype(np.int32), length.cumsum())


def _differences(runs: NDArray[np.int32]) -> NDArray[np.int32]:
    return np.diff(runs, axis=1, prepend=np.zeros((_COLUMNS, 1), runs.dtype)).astype(_DTYPE)


def _write(folder: Path, name: Path, content: bytes) -> bool:
    """Keep a result; False where the folder does not take it, which is no fault."""
    path = folder / name
    try:
        for own in (folder.parent, folder, path.parent):
            make_own_folder(own)
        write_whole(path, content)
    except OSError:
        return False
    return True


def _hash(key: bytes) -> str:
    return hashlib.sha256(key).hexdigest()
