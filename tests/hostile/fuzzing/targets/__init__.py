"""What strangers send, how it is opened, and which damage must be refused."""

from __future__ import annotations

from typing import Final

from tests.hostile.fuzzing.targets.predictions import (
    NETCDF_PREDICTIONS,
    UPLOAD_PACKAGES,
    ZARR2_PREDICTIONS,
    ZARR_PREDICTIONS,
)
from tests.hostile.fuzzing.targets.recipes import RECIPES
from tests.hostile.fuzzing.targets.runs import RUNS
from tests.hostile.fuzzing.targets.scenes import RAW_SCENES, SCENES
from tests.hostile.fuzzing.targets.splits import SPLITS
from tests.hostile.fuzzing.targets.stores import STORES
from tests.hostile.fuzzing.targets.submissions import SUBMISSIONS

TARGETS: Final = {
    target.name: target
    for target in (
        *(SUBMISSIONS, NETCDF_PREDICTIONS, UPLOAD_PACKAGES, ZARR_PREDICTIONS, ZARR2_PREDICTIONS),
        *(STORES, SCENES, RAW_SCENES, SPLITS, RECIPES, RUNS),
    )
}
"""By name: everything that is tried."""
