"""Seeds: every random choice of a run follows from its seed and from where in the run it is made.

No generator carries a state from one step to the next, so a run that goes on from the middle draws
what an uninterrupted one would have drawn.
"""

from __future__ import annotations

import zlib

import numpy as np
import torch

from autoice_bench.errors import BaselineError


def derive_seed(seed: int, purpose: str, *position: int) -> int:
    """A seed for one purpose at one position of a run, independent of all others.

    Args:
        seed: the run's seed, 0 or more.
        purpose: what is drawn, such as ``weights``.
        position: where in the run: epoch, step, process; 0 or more each.

    Returns:
        0 to 2**63 - 1.

    Raises:
        BaselineError: the seed is negative.
    """
    if seed < 0:
        raise BaselineError(f"seed {seed}; expected 0 or more")
    sequence = np.random.SeedSequence([seed, zlib.crc32(purpose.encode()), *position])
    return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))


def seed_torch(seed: int, purpose: str, *position: int) -> None:
    """Seed torch's generators, on the CPU and on every GPU; see ``derive_seed``."""
    torch.manual_seed(derive_seed(seed, purpose, *position))
