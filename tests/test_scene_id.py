from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoice_bench.errors import SceneError
from autoice_bench.scene_id import (
    ICE_SERVICES,
    SceneId,
    is_scene_name,
    parse_original_id,
    parse_scene_id,
    scene_id_of_original,
)

SCENE_IDS = st.builds(
    SceneId,
    st.datetimes(datetime(1000, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC)).map(
        lambda time: time.replace(microsecond=0)
    ),
    st.sampled_from(ICE_SERVICES),
)
DMI_NAME = (
    "S1B_EW_GRDM_1SDH_20180607T184326_20180607T184426_011268_014B2A_5F33"
    "_icechart_dmi_201806071845_CentralEast_RIC.nc"
)
CIS_NAME = (
    "S1A_EW_GRDM_1SDH_20190814T125811_20190814T125911_028560_033AB2_0C1D"
    "_icechart_cis_SGRDIMID_20190814T1258Z_pl_a.nc"
)


@given(SCENE_IDS, st.sampled_from(["", "_prep", "_prep_reference"]), st.sampled_from(["", ".nc"]))
def test_names_round_trip(scene_id: SceneId, suffix: str, extension: str) -> None:
    assert parse_scene_id(f"{scene_id}{suffix}{extension}") == scene_id


@given(st.lists(SCENE_IDS, min_size=2, max_size=2))
def test_scene_ids_sort_like_their_names(pair: list[SceneId]) -> None:
    # Split lists are sorted as text; sorting ids must give the same order.
    assert (pair[0] < pair[1]) == (str(pair[0]) < str(pair[1]))


def test_scene_id_reads_utc_time_and_service() -> None:
    scene_id = parse_scene_id("20180607T184326_dmi_prep.nc")
    assert scene_id.acquisition_time == datetime(2018, 6, 7, 18, 43, 26, tzinfo=UTC)
    assert scene_id.ice_service == "dmi"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("20180607T184326_dmi_prep.nc.part", "is not a scene name"),
        ("train/20180607T184326_dmi_prep.nc", "is not a scene name"),
        ("20180607_dmi", "is not a scene name"),
        ("", "is not a scene name"),
        ("20181307T184326_dmi", "20181307T184326 is not a time"),  # month 13
        ("20180607T184326_nic", "ice service 'nic'; expected cis or dmi"),
    ],
)
def test_bad_scene_names_say_what_is_wrong(name: str, message: str) -> None:
    assert not is_scene_name(name)
    with pytest.raises(SceneError, match=message):
        parse_scene_id(name)


def test_is_scene_name_accepts_what_parses() -> None:
    assert is_scene_name("20180607T184326_dmi_prep_reference.nc")


def test_original_name_of_a_greenland_scene() -> None:
    original = parse_original_id(DMI_NAME)
    assert original.platform == "S1B"
    assert original.start_time == datetime(2018, 6, 7, 18, 43, 26, tzinfo=UTC)
    assert original.stop_time == datetime(2018, 6, 7, 18, 44, 26, tzinfo=UTC)
    assert original.absolute_orbit == 11268
    assert original.data_take == "014B2A"
    # The chart's name is time, region, format mark: 201806071845, CentralEast, RIC.
    assert original.region == "CentralEast"


def test_original_name_of_a_canadian_scene() -> None:
    original = parse_original_id(CIS_NAME)
    assert (original.platform, original.ice_service) == ("S1A", "cis")
    assert original.region == "SGRDIMID"


def test_original_name_without_region() -> None:
    assert parse_original_id(DMI_NAME.replace("_CentralEast_RIC", "")).region is None


def test_format_mark_is_no_region() -> None:
    assert parse_original_id(DMI_NAME.replace("_CentralEast_RIC", "_RIC")).region is None


def test_extension_is_optional() -> None:
    assert parse_original_id(DMI_NAME) == parse_original_id(DMI_NAME.removesuffix(".nc"))


def test_scene_id_of_original_is_start_and_service() -> None:
    # RTT name = raw[17:32] + '_' + raw[77:80]: the same two pieces, by position.
    for name in (DMI_NAME, CIS_NAME):
        assert str(scene_id_of_original(name)) == f"{name[17:32]}_{name[77:80]}"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (DMI_NAME.replace("_icechart", ""), "is not a raw scene name"),
        (DMI_NAME.replace("_dmi_", "_nic_"), "ice service 'nic'"),
        (DMI_NAME.replace("20180607T184326", "20180607T250000"), "is not a time"),
    ],
)
def test_bad_original_names_say_what_is_wrong(name: str, message: str) -> None:
    with pytest.raises(SceneError, match=message):
        parse_original_id(name)
