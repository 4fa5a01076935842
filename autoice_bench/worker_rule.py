"""How many processes a command uses where the user does not say."""

from __future__ import annotations

import os
from typing import Final

PIXELS_PER_WORKER: Final = 100_000_000
"""Starting a process costs about a second; four full-size scenes take about as long."""
SCENES_PER_WORKER: Final = 64
"""So many scenes of the smallest size take about as long as well."""


def count_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def choose_workers(workers: int | None, n_scenes: int, n_pixels: int) -> int:
    """Processes to use for work on scenes, this one included.

    Args:
        workers: as asked; None leaves it to what there is to do and to the cores.
        n_scenes: scenes; more processes have nothing to do.
        n_pixels: pixels of all scenes together.

    Returns:
        At least 1.
    """
    if workers is None:
        worth = max(n_pixels // PIXELS_PER_WORKER, n_scenes // SCENES_PER_WORKER)
        workers = min(count_cores(), worth)
    return max(1, min(workers, n_scenes))
