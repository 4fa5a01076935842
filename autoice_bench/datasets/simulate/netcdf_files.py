"""Create NetCDF files whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import netCDF4
from numpy.typing import NDArray

from autoice_bench.errors import SceneError
from autoice_bench.formats.whole_files import whole_file

COMPRESSION_LEVEL: Final = 1

Attributes = Mapping[str, Any]


def write_netcdf(
    path: Path, attributes: Attributes, fill: Callable[[netCDF4.Dataset], None]
) -> None:
    """Create a NetCDF-4 file, whole or not at all.

    Args:
        path: the file.
        attributes: global attributes.
        fill: adds dimensions and variables.

    Raises:
        SceneError: the file cannot be written; nothing is left of it.
    """
    try:
        with (
            whole_file(path) as partial,
            netCDF4.Dataset(partial, "w", format="NETCDF4") as dataset,
        ):
            fill(dataset)
            dataset.setncatts(dict(attributes))
    # The netCDF library reports a full disk as a RuntimeError ("NetCDF: HDF error").
    except (OSError, RuntimeError) as error:
        raise SceneError(
            f"{path} could not be written ({error}); check the folder and its free space, then "
            "repeat the command: whole scenes are kept"
        ) from error


def add_variable(
    dataset: netCDF4.Dataset,
    name: str,
    dims: tuple[str, ...],
    values: NDArray[Any],
    attributes: Attributes,
) -> None:
    """Add a whole variable: zlib with shuffle, the library's chunks, no fill value."""
    variable = dataset.createVariable(
        name, values.dtype, dims, zlib=True, complevel=COMPRESSION_LEVEL, shuffle=True
    )
    variable.setncatts(dict(attributes))
    variable[:] = values
