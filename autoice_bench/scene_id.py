"""Scene identity: file names to ``SceneId``, and what the original Sentinel-1 name tells.

Two names matter. Ready-to-train files are called ``20180607T184326_dmi_prep.nc``: acquisition start
time (UTC) and ice service. Their global attribute ``original_id`` is the raw file's full name,
``S1B_EW_GRDM_1SDH_<start>_<stop>_<orbit>_<data-take>_<crc>_icechart_<service>_<chart name>.nc``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from autoice_bench.errors import SceneError

ICE_SERVICES: Final = ("cis", "dmi")
"""Canadian Ice Service (Canada) and Danish Meteorological Institute (Greenland)."""

TIME_FORMAT: Final = "%Y%m%dT%H%M%S"

_SCENE_NAME = re.compile(
    r"(?P<time>\d{8}T\d{6})_(?P<service>[a-z]{3})(?:_prep(?:_reference)?)?(?:\.nc)?"
)
_ORIGINAL_NAME = re.compile(
    r"(?P<platform>S1[A-Z])_(?P<mode>[A-Z0-9]{2})_(?P<product>[A-Z]{4})_(?P<level>[A-Z0-9]{4})"
    r"_(?P<start>\d{8}T\d{6})_(?P<stop>\d{8}T\d{6})"
    r"_(?P<orbit>\d{6})_(?P<data_take>[0-9A-F]{6})_(?P<crc>[0-9A-F]{4})"
    r"_icechart_(?P<service>[a-z]{3})_(?P<chart_name>.+?)(?:\.nc)?"
)
# The chart name holds the region beside a time and format marks:
# 'SGRDIMID_20190814T1258Z_pl_a' (CIS), '202103232110_SouthWest_RIC' (DMI).
_REGION = re.compile(r"(?:^|_)(?P<region>SGRDI[A-Z]+|(?!RIC(?:_|$))[A-Z][A-Za-z]+)(?:_|$)")


@dataclass(frozen=True, order=True)
class SceneId:
    """One scene: acquisition start (UTC, to the second) and ice service.

    ``str(scene_id)`` is the scene's name everywhere: ``20180607T184326_dmi``.
    """

    acquisition_time: datetime
    ice_service: str

    def __str__(self) -> str:
        return f"{self.acquisition_time.strftime(TIME_FORMAT)}_{self.ice_service}"


@dataclass(frozen=True)
class OriginalId:
    """What the raw file's name says about the Sentinel-1 image and its chart.

    Attributes:
        platform: ``S1A`` or ``S1B``.
        start_time, stop_time: acquisition interval, UTC.
        absolute_orbit: orbit number.
        data_take: hexadecimal data-take identifier; frames of one pass share it.
        ice_service: ``cis`` or ``dmi``.
        region: chart region such as ``SGRDIMID`` or ``CentralEast``; None when the name has none.
    """

    platform: str
    start_time: datetime
    stop_time: datetime
    absolute_orbit: int
    data_take: str
    ice_service: str
    region: str | None


def _parse_time(text: str, name: str) -> datetime:
    try:
        return datetime.strptime(text, TIME_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        raise SceneError(f"name {name!r}: {text} is not a time YYYYMMDDThhmmss") from None


def _require_service(service: str, name: str) -> str:
    if service not in ICE_SERVICES:
        raise SceneError(
            f"name {name!r}: ice service {service!r}; expected {' or '.join(ICE_SERVICES)}"
        )
    return service


@lru_cache(maxsize=1 << 14)
def parse_scene_id(name: str) -> SceneId:
    """Read a scene id from a scene name or an RTT file name.

    Args:
        name: ``20180607T184326_dmi``, with or without ``_prep``, ``_prep_reference`` and ``.nc``
            (no folder).

    Raises:
        SceneError: ``name`` does not have that form.
    """
    match = _SCENE_NAME.fullmatch(name)
    if match is None:
        raise SceneError(
            f"name {name!r} is not a scene name; "
            "expected YYYYMMDDThhmmss_cis or YYYYMMDDThhmmss_dmi, optionally then _prep.nc"
        )
    return SceneId(_parse_time(match["time"], name), _require_service(match["service"], name))


def is_scene_name(name: str) -> bool:
    """Whether ``parse_scene_id(name)`` would succeed."""
    try:
        parse_scene_id(name)
    except SceneError:
        return False
    return True


def is_scene_id(text: str) -> bool:
    """Whether a text is a scene id exactly, nothing before or after it.

    What passes is safe as the name of a file or folder.
    """
    try:
        return str(parse_scene_id(text)) == text
    except SceneError:
        return False


def parse_original_id(name: str) -> OriginalId:
    """Read platform, orbit, data-take and region from a raw file name.

    Raises:
        SceneError: ``name`` is not a raw AI4Arctic file name.
    """
    match = _ORIGINAL_NAME.fullmatch(name)
    if match is None:
        raise SceneError(
            f"name {name!r} is not a raw scene name; expected "
            "S1x_EW_GRDM_1SDH_<start>_<stop>_<orbit>_<data-take>_<crc>_icechart_<service>_..."
        )
    region = _REGION.search(match["chart_name"])
    return OriginalId(
        platform=match["platform"],
        start_time=_parse_time(match["start"], name),
        stop_time=_parse_time(match["stop"], name),
        absolute_orbit=int(match["orbit"]),
        data_take=match["data_take"],
        ice_service=_require_service(match["service"], name),
        region=region["region"] if region else None,
    )


def is_original_name(name: str) -> bool:
    """Whether ``parse_original_id(name)`` would succeed."""
    try:
        parse_original_id(name)
    except SceneError:
        return False
    return True


def scene_id_of_original(name: str) -> SceneId:
    """The scene id that a raw file name stands for: its start time and ice service.

    Raises:
        SceneError: ``name`` is not a raw AI4Arctic file name.
    """
    original = parse_original_id(name)
    return SceneId(original.start_time, original.ice_service)
