"""The channels a picture can show: names, titles, units and colour maps."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Final

from autoice_bench.errors import PictureError
from autoice_bench.formats.store_layout import (
    AMSR2_ARRAY,
    DISTANCE_ARRAY,
    ERA5_ARRAY,
    SAR_ARRAY,
)
from autoice_bench.formats.variables import (
    AMSR2_VARIABLES,
    DISTANCE_MAP,
    ERA5_VARIABLES,
    SAR_VARIABLES,
    Variable,
)


@dataclass(frozen=True)
class Channel:
    """One channel of a picture.

    Attributes:
        name: variable name in the store, or `wind_speed`.
        array: array of the store that holds it.
        title: its name for people.
        units: of the values shown.
        colormap: of matplotlib.
    """

    name: str
    array: str
    title: str
    units: str
    colormap: str


_UNITS: Final = {"m s-1": "m/s", "kg m-2": "kg/m²", "degree": "°"}
_SAR_TITLES: Final = ("HH backscatter", "HV backscatter", "incidence angle")


def _sar(variable: Variable, title: str) -> Channel:
    return Channel(
        variable.name, SAR_ARRAY.name, title, _UNITS.get(variable.units, variable.units), "gray"
    )


def _amsr2(variable: Variable) -> Channel:
    band = variable.name.removeprefix("btemp_")
    title = f"{band[:-1].replace('_', '.')} GHz {band[-1].upper()}"
    return Channel(variable.name, AMSR2_ARRAY.name, title, variable.units, "viridis")


def _era5(variable: Variable) -> Channel:
    title = variable.long_name.replace("10 m wind, component along the image's", "wind along")
    units = _UNITS.get(variable.units, variable.units)
    return Channel(variable.name, ERA5_ARRAY.name, title, units, "cividis")


WIND: Final = ("u10m_rotated", "v10m_rotated")
"""The variables whose length is the wind speed."""

WIND_SPEED: Final = Channel("wind_speed", ERA5_ARRAY.name, "10 m wind speed", "m/s", "cividis")

CHANNELS: Final = {
    channel.name: channel
    for channel in (
        *map(_sar, SAR_VARIABLES, _SAR_TITLES),
        Channel(DISTANCE_MAP.name, DISTANCE_ARRAY.name, "distance to land", "zone", "cividis"),
        *map(_amsr2, AMSR2_VARIABLES),
        *map(_era5, ERA5_VARIABLES),
        WIND_SPEED,
    )
}
"""Every channel there is, by name."""

DEFAULT_CHANNELS: Final = (
    "nersc_sar_primary",
    "nersc_sar_secondary",
    "btemp_18_7h",
    "btemp_36_5v",
    "wind_speed",
    "t2m",
)

_SHORT_NAMES: Final = {"HH": "nersc_sar_primary", "HV": "nersc_sar_secondary"}


def parse_channels(text: str) -> tuple[Channel, ...]:
    """Resolve names of channels, separated by commas; `HH` and `HV` are understood.

    Raises:
        PictureError: a name is unknown, or none is given.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise PictureError(f"no channel is named; there are {', '.join(CHANNELS)}")
    return tuple(_find(_SHORT_NAMES.get(name.upper(), name)) for name in names)


def _find(name: str) -> Channel:
    if name in CHANNELS:
        return CHANNELS[name]
    close = difflib.get_close_matches(name, CHANNELS, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    raise PictureError(f"no channel {name!r}; {hint}there are {', '.join(CHANNELS)}")
