"""``show``: a picture of a scene; what ``autoice-bench show`` does, from Python."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from autoice_bench.datasets.patches.geometry import Window
from autoice_bench.datasets.readers.scene import open_scene_reader
from autoice_bench.datasets.store.root import open_store
from autoice_bench.errors import PictureError
from autoice_bench.pictures.channels import DEFAULT_CHANNELS, parse_channels
from autoice_bench.pictures.comparisons import compare_scene
from autoice_bench.pictures.views import view_scene

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def show(
    store: os.PathLike[str] | str,
    scene_id: str,
    *,
    channels: Sequence[str] | str = DEFAULT_CHANNELS,
    prediction: os.PathLike[str] | str | None = None,
    window: tuple[int, int, int, int] | None = None,
    out: os.PathLike[str] | str | None = None,
    overwrite: bool = False,
) -> Figure:
    """Draw a scene: SAR, other channels, the three charts, and a prediction with its errors.

    Args:
        store: a store or its path.
        scene_id: such as ``20180607T184326_dmi``.
        channels: names of channels, or one text with commas between them.
        prediction: predictions of the scene, in any accepted format.
        window: show only these pixels: first line and sample, then how many of each.
        out: also write the picture to this file, in the format that its suffix names.
        overwrite: replace a file that is there.

    Returns:
        The figure; a notebook shows it.

    Raises:
        PictureError: unknown channels, a window outside the scene, or a file that is there or
            cannot be written.
        StoreError, PredictionError: the scene or its prediction cannot be read.
    """
    target = None if out is None else Path(out)
    if target is not None and target.exists() and not overwrite:
        raise PictureError(f"{target} exists; --overwrite replaces it, --out names another")
    if window is not None and len(window) != 4:
        raise PictureError(f"window {window}: expected first line, first sample, lines and samples")
    scene = open_scene_reader(open_store(Path(store)), scene_id)
    chosen = parse_channels(channels if isinstance(channels, str) else ",".join(channels))
    view = view_scene(scene, chosen, None if window is None else Window(*window))
    compared = None if prediction is None else compare_scene(scene, view, Path(prediction))

    # Matplotlib takes a second to load: after all that can be refused.
    _load_matplotlib()
    from autoice_bench.pictures.drawing import draw_scene, save_figure

    figure = draw_scene(view, compared)
    if target is not None:
        try:
            save_figure(figure, target)
        except OSError as error:
            raise PictureError(f"picture {target} cannot be written: {error}") from error
    return figure


def _load_matplotlib() -> None:
    """Load matplotlib, which refuses to where ``MPLBACKEND`` names a backend that is not there.

    The kernel of a notebook hands its own down to every process that it starts. No backend is used
    here, so that none is missed; one that is there is kept.
    """
    if "matplotlib" in sys.modules:
        return
    backend = os.environ.pop("MPLBACKEND", None)
    try:
        import matplotlib as mpl
    finally:
        if backend is not None:
            os.environ["MPLBACKEND"] = backend
    if backend is not None:
        with suppress(ValueError):
            mpl.rcParams["backend"] = backend
