"""A whole store that takes the place of another, whose options differ.

It grows under ``.partial/replacement``, a store of its own, while the old one stays as it is:
complete, readable. Once every scene is there, the root is written with the new options and the
state ``preparing``, and the two folders ``scenes`` are exchanged in one step. A kill before that
leaves the old store, or the old scenes under a root that nobody takes for complete; the next run
sees by the scenes' own options on which side of the exchange it is (``plan``).
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Final

from autoice_bench.datasets.store.root import Store, StoreOptions, open_store, write_root
from autoice_bench.errors import StoreError
from autoice_bench.formats.own_folders import require_own
from autoice_bench.formats.shards import ZARR_METADATA
from autoice_bench.formats.store_layout import PARTIAL, SCENES
from autoice_bench.formats.variables import GridAnchor
from autoice_bench.formats.whole_files import exchange_folders, sync_folder

REPLACEMENT: Final = "replacement"


def replacement_path(store_path: Path) -> Path:
    """Where the replacement of a store grows."""
    return store_path / PARTIAL / REPLACEMENT


def open_replacement(store_path: Path, options: StoreOptions) -> Store | None:
    """What an earlier run prepared of a replacement with these options; None without."""
    path = replacement_path(store_path)
    if path.is_symlink() or not (path / ZARR_METADATA).is_file():
        return None
    try:
        found = open_store(path)
    except StoreError:  # damaged, or of another version: it is made anew
        return None
    return found if found.options == options else None


def begin_replacement(
    store_path: Path,
    options: StoreOptions,
    grid_anchor: GridAnchor,
    run_folder: Path,
    keep: Collection[str] | None,
) -> Store:
    """Create the replacement, or go on with what an earlier run has of it.

    Args:
        store_path: of the store to be replaced.
        options, grid_anchor: of the new one.
        run_folder: of the run that holds the store.
        keep: ids of the scenes that may stay of an earlier run; None for a part, which shares the
            replacement with other parts and takes nothing away.

    Raises:
        StoreError: a part finds one with other options.
        LinkError: a link stands in its place.
    """
    path = replacement_path(store_path)
    require_own(path, path / SCENES)
    found = open_replacement(store_path, options)
    if found is None and (path / ZARR_METADATA).exists() and keep is None:
        raise StoreError(
            f"store {store_path}: {PARTIAL}/{REPLACEMENT} has other options than this part asks "
            "for; remove it, or run `prepare --overwrite` without --part"
        )
    if found is None and keep is not None:
        discard_replacement(store_path, run_folder)
    begun = Store(path, options, grid_anchor=grid_anchor)
    begun.scenes_path.mkdir(parents=True, exist_ok=True)
    if begun != found:
        write_root(begun)
    if keep is not None:
        for scene_id in set(begun.scene_ids()).difference(keep):
            _discard(begun.scene_path(scene_id), run_folder)
    return begun


def put_in_place(replacement: Store, store_path: Path, run_folder: Path) -> Store:
    """Exchange a store's scenes for those of its replacement, and remove the old ones.

    Returns:
        The store, ``preparing``.
    """
    store = replace(replacement, path=store_path)
    # First of all: from here on nobody takes the store for complete, whatever it holds.
    write_root(store)
    store.index_path.unlink(missing_ok=True)
    if store.scenes_path.is_dir():
        exchange_folders(replacement.scenes_path, store.scenes_path)
    else:  # a kill between the two renames of a file system that cannot exchange
        replacement.scenes_path.rename(store.scenes_path)
    sync_folder(store_path)
    sync_folder(replacement.path)
    discard_replacement(store_path, run_folder)
    return store


def discard_replacement(store_path: Path, run_folder: Path) -> None:
    """Remove a replacement, or the old scenes that are left of an exchange."""
    if replacement_path(store_path).exists():
        _discard(replacement_path(store_path), run_folder)


def _discard(folder: Path, run_folder: Path) -> None:
    # In one step out of sight: a scene half removed would still pass for one after a kill.
    dropped = run_folder / f"dropped-{uuid.uuid4().hex[:8]}"
    folder.rename(dropped)
    shutil.rmtree(dropped)
