"""How many valid pixels a patch must have: the published rules, and a plain number."""

from __future__ import annotations

from fractions import Fraction
from typing import Final

from autoice_bench.errors import PatchError

STUDY_MAX_MASKED: Final = 0.3
"""Largest share of masked pixels in the ASPP study's patches."""


def choose_required(
    patch_size: int, max_masked: float | None, min_valid: float | None, pixels: int | None
) -> int:
    """Valid pixels that a patch must have; the ASPP study's rule where none is given.

    Args:
        patch_size: pixels along a side.
        max_masked, min_valid: as for `count_required`.
        pixels: the number itself.

    Raises:
        PatchError: more than one rule, or a value out of its range.
    """
    rules = [max_masked, min_valid, pixels]
    if sum(rule is not None for rule in rules) > 1:
        raise PatchError("max_masked, min_valid and min_valid_pixels: expected one of them")
    if pixels is not None:
        if not 1 <= pixels <= patch_size**2:
            raise PatchError(f"min_valid_pixels {pixels}: expected 1..{patch_size**2}")
        return pixels
    if max_masked is None and min_valid is None:
        max_masked = STUDY_MAX_MASKED
    return count_required(patch_size, max_masked=max_masked, min_valid=min_valid)


def count_required(patch_size: int, *, max_masked: float | None = None,
                   min_valid: float | None = None) -> int:  # fmt: skip
    """Valid pixels that a patch must have, from one of the two published rules.

    Args:
        patch_size: pixels along a side.
        max_masked: largest share of masked pixels (the ASPP study's rule, 0.3).
        min_valid: share that the valid pixels must exceed (its sibling's rule, 0.3).

    Raises:
        PatchError: not exactly one share, or a share outside 0..1.
    """
    if (max_masked is None) == (min_valid is None):
        raise PatchError("a patch rule is either max_masked or min_valid; expected one of them")
    share = max_masked if max_masked is not None else min_valid
    assert share is not None
    if not 0 <= share <= 1:
        name = "min_valid" if max_masked is None else "max_masked"
        raise PatchError(f"{name} {share}: expected a share in 0..1")
    n_pixels = patch_size**2
    exact = Fraction(str(share)) * n_pixels
    if max_masked is not None:
        return n_pixels - int(exact)
    return int(exact) + 1
