"""Settings of the augmentation, read without torch."""

from __future__ import annotations

import math
from dataclasses import dataclass

from autoice_bench.baselines.settings.values import require


@dataclass(frozen=True)
class AugmentationSettings:
    """How training patches are changed at random; the default changes nothing.

    Attributes:
        flip_p: probability of a flip of the samples, and independently of the lines.
        rotate90_p: probability of a turn by 90, 180 or 270 degrees (180 where patches are not
            square).
        rotate_p: probability of a turn by an angle in -rotation_deg..rotation_deg.
        rotation_deg: largest angle of that turn, degrees.
        scale_p: probability of a change of scale.
        scale_range: smallest and largest magnification.
        cutmix_p: probability that a box of every sample of the batch is replaced by the same box
            of another sample.
        cutmix_alpha: the kept share of the patch is drawn from Beta(alpha, alpha).
        wind_aware: turn and flip the wind vector with the image; False as in the original.

    Raises:
        BaselineError: a field is out of its range.
    """

    flip_p: float = 0.0
    rotate90_p: float = 0.0
    rotate_p: float = 0.0
    rotation_deg: float = 90.0
    scale_p: float = 0.0
    scale_range: tuple[float, float] = (0.9, 1.1)
    cutmix_p: float = 0.0
    cutmix_alpha: float = 1.0
    wind_aware: bool = True

    def __post_init__(self) -> None:
        for name in ("flip_p", "rotate90_p", "rotate_p", "scale_p", "cutmix_p"):
            value = getattr(self, name)
            require(name, value, 0 <= value <= 1, "a number from 0 to 1")
        require("rotation_deg", self.rotation_deg, 0 <= self.rotation_deg <= 180, "0 to 180")
        low, high = self.scale_range
        valid = 0 < low <= high < math.inf
        require("scale_range", self.scale_range, valid, "two numbers, 0 < low <= high")
        valid = 0 < self.cutmix_alpha < math.inf
        require("cutmix_alpha", self.cutmix_alpha, valid, "more than 0")
