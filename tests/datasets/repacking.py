"""Rewrites a variable of a NetCDF file in another encoding, as other tools keep it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import netCDF4
import numpy as np


def repack(path: Path, name: str, stored: Any, **attributes: Any) -> None:
    """Replace what a variable stores, and the attributes that say what it means.

    Args:
        path: the file, changed in place.
        name: the variable; its dimensions stay.
        stored: a function of the present values that gives the stored ones, or their array.
        attributes: those of the new variable, ``_FillValue`` among them.
    """
    with netCDF4.Dataset(path, "a") as file:
        file.set_auto_maskandscale(False)
        old = file[name]
        values = np.asarray(stored(old[...]) if callable(stored) else stored)
        dims = old.dimensions
        file.renameVariable(name, f"former_{name}")
        variable = file.createVariable(
            name,
            values.dtype,
            dims,
            fill_value=attributes.pop("_FillValue", None),
            zlib=True,
            endian="big" if values.dtype.byteorder == ">" else "native",
        )
        variable.set_auto_maskandscale(False)
        variable.setncatts(attributes)
        variable[...] = values
