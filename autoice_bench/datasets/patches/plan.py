"""Which patches an epoch holds: decided by (seed, epoch, index), whoever reads them."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autoice_bench.datasets.patches.eligible import EligibleWindows


@dataclass(frozen=True)
class PlannedPatch:
    """One patch.

    Attributes:
        scene_id: its scene.
        line, sample: its first pixel.
    """

    scene_id: str
    line: int
    sample: int


@dataclass(frozen=True, eq=False)
class PatchPlan:
    """Draws windows uniformly among a scene's eligible ones; nothing is drawn to be discarded.

    Attributes:
        seed: decides, with epoch and index, every patch.
        scenes: scenes with at least one eligible window, and these windows.
        patches_per_scene: patches of each scene in an epoch, in random order; or
        patches_per_epoch: patches in an epoch, each from a scene drawn uniformly.
    """

    seed: int
    scenes: tuple[tuple[str, EligibleWindows], ...]
    patches_per_scene: int = 0
    patches_per_epoch: int = 0

    def __len__(self) -> int:
        return self.patches_per_epoch or self.patches_per_scene * len(self.scenes)

    def draw(self, epoch: int, index: int) -> PlannedPatch:
        """The patch at `index` of `epoch`, both from 0.

        Raises:
            IndexError: the epoch has fewer patches.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"patch {index} of {len(self)}")
        generator = np.random.default_rng((self.seed, epoch, index))
        if self.patches_per_epoch:
            scene = int(generator.integers(len(self.scenes)))
        else:
            scene = int(self._order(epoch)[index])
        scene_id, windows = self.scenes[scene]
        line, sample = windows[int(generator.integers(len(windows)))]
        return PlannedPatch(scene_id, line, sample)

    def _order(self, epoch: int) -> NDArray[np.int32]:
        return _shuffled_scenes(self.seed, epoch, len(self.scenes), self.patches_per_scene)


@functools.lru_cache(maxsize=4)
def _shuffled_scenes(seed: int, epoch: int, n_scenes: int, n_each: int) -> NDArray[np.int32]:
    scenes = np.repeat(np.arange(n_scenes, dtype=np.int32), n_each)
    return np.random.default_rng((seed, epoch)).permutation(scenes)
