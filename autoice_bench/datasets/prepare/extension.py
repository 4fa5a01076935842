"""Give a scene of a store overviews that it was not prepared with."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path

from autoice_bench.datasets.prepare.holding import holds_token
from autoice_bench.datasets.readers.scene import open_scene_reader
from autoice_bench.datasets.store.downscaling import DOWNSCALED_ARRAYS, Downscaling
from autoice_bench.datasets.store.overviews import (
    extend_document,
    move_overviews,
    overviews_from_attributes,
    write_overviews,
)
from autoice_bench.datasets.store.root import Store
from autoice_bench.errors import StoreError
from autoice_bench.formats.scene_document import OVERVIEWS, read_scene_document
from autoice_bench.formats.shards import ZARR_METADATA
from autoice_bench.formats.whole_files import sync_folder, sync_tree


def extend_scene(
    store: Store, scene_id: str, overviews: Sequence[Downscaling], run_folder: Path
) -> None:
    """Add the overviews that a scene lacks, made from its stored arrays.

    The scene is whole at any moment: its ``zarr.json``, which mentions the overviews, is replaced
    in one step after they are in their place. It ends with the bytes that ``prepare`` would have
    given it.

    Args:
        store: an open store.
        scene_id: such as ``20180607T184326_dmi``.
        overviews: those that the scene should have.
        run_folder: of the run that holds the store.

    Raises:
        StoreError: the scene is damaged, or the run has been superseded.
    """
    scene = open_scene_reader(store, scene_id)
    path = store.scene_path(scene_id)
    document = read_scene_document(path)
    present = overviews_from_attributes(scene.attributes)
    lacking = [how for how in overviews if how not in present]
    arrays = {name: scene.read_whole(name) for name in DOWNSCALED_ARRAYS if name in scene}
    folder = run_folder / f"{scene_id}-overviews-{uuid.uuid4().hex[:8]}"
    folder.mkdir()
    try:
        written = list(write_overviews(folder, lacking, arrays, document.metadata))
        extended = extend_document(document.content, {*present, *lacking}, written)
        (folder / ZARR_METADATA).write_bytes(extended)
        sync_tree(folder)
        if not holds_token(run_folder):
            raise StoreError(
                f"store {store.path}: this run was superseded by another; scene {scene_id} has got "
                "no overviews"
            )
        # The arrays first, durable, then the document that mentions them. It is written beside the
        # scene, not with ``write_whole`` in it, where a kill would leave a file that is not of it.
        move_overviews(folder, path, [how.ratio for how in lacking])
        sync_tree(path / OVERVIEWS)
        (folder / ZARR_METADATA).replace(path / ZARR_METADATA)
        sync_folder(path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
