"""Speckle of multi-looked SAR images."""

from __future__ import annotations

from typing import Final

import numpy as np

from autoice_bench.datasets.simulate.fields import Array

SPECKLE_LOOKS: Final = 17.0
"""Equivalent looks at 80 m (a 2 x 2 mean of correlated 40 m pixels has 15 to 20)."""
_SPECKLE_TAP: Final = 0.15


class Speckle:
    """Correlated multiplicative noise of mean 1, drawn strip by strip without seams."""

    def __init__(self, rng: np.random.Generator, n_samples: int) -> None:
        self._rng = rng
        self._n_samples = n_samples
        self._carry = self._normal(2)

    def _normal(self, n_lines: int) -> Array:
        return self._rng.standard_normal((n_lines, self._n_samples + 2), dtype=np.float32)

    def rows(self, n_lines: int) -> Array:
        """The next ``n_lines`` lines; float32 (n_lines, samples), lognormal."""
        noise = np.concatenate([self._carry, self._normal(n_lines)])
        self._carry = noise[-2:].copy()
        tap = np.float32(_SPECKLE_TAP)
        noise = noise[1:-1] + tap * (noise[:-2] + noise[2:])
        noise = noise[:, 1:-1] + tap * (noise[:, :-2] + noise[:, 2:])
        deviation = float(np.sqrt(np.log1p(1 / SPECKLE_LOOKS)))
        noise *= np.float32(deviation / (1 + 2 * _SPECKLE_TAP**2))
        noise -= np.float32(deviation**2 / 2)
        return np.asarray(np.exp(noise, out=noise))
