"""The awkward scenes of the released data, each reproduced by one simulated scene."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, Literal

from autoice_bench.datasets.simulate.scene_spec import CASES, MIN_SIZE, Case, SceneSpec

CasesOption = Literal["auto", "all", "none"]
AUTO_CASES_FROM: Final = 16
"""``auto`` adds the cases to sets of at least this many scenes."""

PATCH_SIZE: Final = 768
"""The usual training patch, for the cases that have no room for one."""
SHORT_FRAME: Final = 0.6
"""Lines of a short frame, as a share of the others'."""
SHORT_FRAME_TIE_LINES: Final = 13


def place_cases(n_scenes: int, cases: CasesOption) -> dict[int, Case]:
    """Scene index of each case: spread evenly, none on the first scene unless it must."""
    wanted = cases == "all" or (cases == "auto" and n_scenes >= AUTO_CASES_FROM)
    if not wanted:
        return {}
    return {(k + 1) * n_scenes // len(CASES) - 1: case for k, case in enumerate(CASES)}


def apply_case(spec: SceneSpec, case: Case | None) -> SceneSpec:
    """The scene with what its case changes; two swaths are drawn with the scene."""
    lines, samples = spec.shape
    if case == "odd size":
        spec = replace(spec, shape=(lines - 1 + lines % 2, samples - 1 + samples % 2))
    elif case == "short frame":
        short = max(MIN_SIZE, round(lines * SHORT_FRAME))
        spec = replace(spec, shape=(short, samples), n_tie_lines=SHORT_FRAME_TIE_LINES)
    elif case == "all water":
        spec = replace(spec, open_water=1.0)
    elif case == "ambiguous stage":
        spec = replace(spec, open_water=0.0)
    elif case == "mostly masked":
        charted = min(0.1, 0.3 * PATCH_SIZE**2 / (lines * samples))
        spec = replace(spec, charted=charted, land=0.55)
    elif case == "smaller than a patch":
        spec = replace(spec, shape=(_smaller(lines, 700), _smaller(samples, 731)))
    return replace(spec, case=case)


def _smaller(size: int, limit: int) -> int:
    return max(MIN_SIZE, min(round(0.9 * size), limit))
