"""Class shares by region group and season, counted from the released training scenes.

The table beside this module (``climatology.csv``) holds, for each group of chart regions and each
season, the number of released training scenes, the share of open water among charted pixels, the
charted share of a scene, and the shares of classes among ice pixels (percent; 255 is ambiguous).
Source: pixel counts of the 512 training scenes, doi:10.11583/DTU.c.6244065.v2.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final

SEASONS: Final = ("winter", "spring", "summer", "autumn")


@dataclass(frozen=True)
class Region:
    """A chart region: its name in file names, service, climatology group and typical centre."""

    name: str
    ice_service: str
    group: str
    latitude: float
    longitude: float


REGIONS: Final = (
    Region("SGRDIEA", "cis", "cis-south", 71.5, -72.0),
    Region("SGRDIFOXE", "cis", "cis-south", 67.0, -79.0),
    Region("SGRDINFLD", "cis", "cis-south", 55.0, -57.0),
    Region("SGRDIMID", "cis", "cis-south", 64.5, -62.0),
    Region("SGRDIHA", "cis", "cis-north", 77.0, -75.0),
    Region("SGRDIWA", "cis", "cis-north", 74.0, -122.0),
    Region("North", "dmi", "dmi-north", 80.6, -8.0),
    Region("NorthEast", "dmi", "dmi-north", 78.0, -10.0),
    Region("CentralEast", "dmi", "dmi-north", 72.5, -18.0),
    Region("SouthEast", "dmi", "dmi-south", 65.5, -36.0),
    Region("CapeFarewell", "dmi", "dmi-south", 60.0, -44.0),
    Region("SouthWest", "dmi", "dmi-west", 65.0, -54.0),
    Region("CentralWest", "dmi", "dmi-west", 69.5, -56.0),
    Region("NorthWest", "dmi", "dmi-west", 73.0, -60.0),
    Region("Qaanaaq", "dmi", "dmi-west", 77.0, -71.0),
)
"""Where the two services chart; centres are typical scene centres, to about two degrees."""


@dataclass(frozen=True)
class Climatology:
    """Shares of one region group in one season; every share is a fraction.

    Attributes:
        group, season: the key.
        scenes: released training scenes behind the row.
        open_water: share of SIC 0 among charted pixels.
        charted: share of charted pixels in a scene.
        sic: shares of SIC classes 1-10 among ice.
        sod: shares of SOD classes 1-5, then of ambiguous stage, among ice.
        floe: shares of FLOE classes 1-6, then of ambiguous form, among ice.
    """

    group: str
    season: str
    scenes: int
    open_water: float
    charted: float
    sic: tuple[float, ...]
    sod: tuple[float, ...]
    floe: tuple[float, ...]


def season_of(month: int) -> str:
    """Meteorological season of a month (December to February is winter)."""
    return SEASONS[month % 12 // 3]


def regions_of(group: str) -> tuple[Region, ...]:
    """The chart regions of a climatology group."""
    return tuple(region for region in REGIONS if region.group == group)


@cache
def read_climatology() -> tuple[Climatology, ...]:
    """Every row of the table."""
    text = resources.files(__package__).joinpath("climatology.csv").read_text(encoding="utf-8")
    return tuple(_row(fields) for fields in csv.DictReader(text.splitlines()))


def _row(fields: dict[str, str]) -> Climatology:
    return Climatology(
        group=fields["group"],
        season=fields["season"],
        scenes=int(fields["scenes"]),
        open_water=float(fields["SIC_0"]) / 100,
        charted=float(fields["valid"]) / 100,
        sic=_shares(fields, "SIC", range(1, 11)),
        sod=_shares(fields, "SOD", [*range(1, 6), 255]),
        floe=_shares(fields, "FLOE", [*range(1, 7), 255]),
    )


def _shares(fields: dict[str, str], chart: str, classes: list[int] | range) -> tuple[float, ...]:
    values = [float(fields[f"{chart}_{index}"]) for index in classes]
    return tuple(value / sum(values) for value in values)
