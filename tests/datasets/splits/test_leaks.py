from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from autoice_bench.datasets.splits.leaks import Link, check_split, find_link, find_links
from autoice_bench.datasets.splits.passes import Frame
from autoice_bench.errors import SplitError
from autoice_bench.formats.split_file import Split
from autoice_bench.official import WITHDRAWN
from tests.datasets.split_tables import make_table, square

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
HERE, HALF_AWAY, FAR = square(-50, 72), square(-50, 73), square(-50, 80)


def frame(
    name: str,
    minutes: float = 0,
    platform: str | None = "S1A",
    data_take: str | None = None,
    footprint: str | None = None,
) -> Frame:
    return Frame(name, NOON + timedelta(minutes=minutes), platform, data_take, footprint)


def test_one_data_take_is_a_pass() -> None:
    link = find_link(frame("a", 0, "S1A", "0F"), frame("b", 3, "S1A", "0F"))
    assert link == Link("pass", "a", "b", 3.0, None)


def test_one_image_of_two_services_is_a_pass() -> None:
    link = find_link(frame("x_dmi", footprint=HERE), frame("x_cis", footprint=HERE))
    assert link is not None
    assert (link.kind, link.first, link.second, link.minutes) == ("pass", "x_cis", "x_dmi", 0)
    assert link.overlap == pytest.approx(1.0)


def test_ten_minutes_of_one_satellite_leak_in_time() -> None:
    assert find_link(frame("a"), frame("b", 10)) == Link("time", "a", "b", 10.0, None)
    assert find_link(frame("a"), frame("b", 11)) is None
    assert find_link(frame("a"), frame("b", 9, platform="S1B")) is None


def test_overlap_within_three_days_leaks_in_footprint() -> None:
    later = 3 * 1440
    link = find_link(frame("b", later, footprint=HERE), frame("a", footprint=HALF_AWAY))
    assert link is not None
    assert (link.kind, link.first, link.second) == ("footprint", "a", "b")
    assert link.overlap == pytest.approx(0.5, abs=0.02)
    assert find_link(frame("a", footprint=HERE), frame("b", later + 1, footprint=HERE)) is None
    assert find_link(frame("a", footprint=HERE), frame("b", 60, footprint=FAR)) is None
    assert find_link(frame("a", footprint=HERE), frame("b", 60, footprint=None)) is None


def test_limits_of_a_footprint_leak_can_be_chosen() -> None:
    a, b = frame("a", footprint=HERE), frame("b", 1440, footprint=HALF_AWAY)
    assert find_link(a, b, max_days=0.5) is None
    assert find_link(a, b, min_overlap=0.6) is None
    assert find_link(a, b, min_overlap=0.4) is not None


def test_links_are_each_found_once_and_never_to_the_scene_itself() -> None:
    frames = [frame("a"), frame("b", 5), frame("c", 12), frame("d", 4 * 1440)]
    links = find_links(frames, frames)
    assert [(link.first, link.second) for link in links] == [("a", "b"), ("b", "c")]


IDS = ["20300101T120000_dmi", "20300101T120500_dmi", "20300103T120000_cis", "20300201T120000_cis"]
TABLE = make_table(
    IDS,
    platform=["S1A", "S1A", "S1B", "S1B"],
    data_take=["01", "01", "02", "03"],
    footprint=[HERE, FAR, HALF_AWAY, HERE],
)


def test_leaks_of_a_split_name_scenes_sides_and_kind() -> None:
    split = Split("x", "", None, (IDS[0], IDS[3]), (IDS[1],), (IDS[2],))
    leaks = check_split(split, TABLE)
    assert [str(leak) for leak in leaks] == [
        f"pass: {IDS[0]} (train) and {IDS[1]} (val), 5 min apart, 0 % in common",
        f"footprint: {IDS[0]} (train) and {IDS[2]} (test), 2.0 days apart, 49 % in common",
    ]  # Half the height, a little less of the area: the northern half is narrower.
    assert leaks[0].to_dict() == {
        "kind": "pass",
        "first": IDS[0],
        "second": IDS[1],
        "minutes": 5.0,
        "overlap": 0.0,
        "first_subset": "train",
        "second_subset": "val",
    }


def test_scenes_on_one_side_or_outside_do_not_leak() -> None:
    assert check_split(Split("x", "", None, tuple(IDS[:3]), (), (IDS[3],)), TABLE) == []
    assert check_split(Split("x", "", None, (IDS[0],), (), (IDS[3],)), TABLE) == []


def test_a_table_without_satellites_and_footprints_is_checked_by_time() -> None:
    bare = TABLE.drop(columns=["platform", "data_take", "footprint"])
    split = Split("x", "", None, (IDS[0],), (IDS[1],), (IDS[2],))
    assert [leak.link.kind for leak in check_split(split, bare)] == ["time"]


@pytest.mark.parametrize(
    ("minutes", "text"), [(0, "the same second"), (4, "4 min"), (90, "2 h"), (2880, "2.0 days")]
)
def test_times_apart_read_naturally(minutes: float, text: str) -> None:
    first, second = "20300101T120000_dmi", "20300101T120000_cis"
    table = make_table([first, second], footprint=HERE, platform=["S1A", "S1B"])
    table["acquisition_time"] += [timedelta(0), timedelta(minutes=minutes)]
    (leak,) = check_split(Split("x", "", None, (first,), (), (second,)), table)
    assert text in str(leak)


def test_split_of_another_store_is_refused() -> None:
    split = Split("x", "", None, (IDS[0], "20400101T000000_dmi"), (), ("20500101T000000_dmi",))
    with pytest.raises(SplitError, match="2 of 3 scenes are not in the store, the first 2040"):
        check_split(split, TABLE)


def test_withdrawn_scene_is_refused() -> None:
    with pytest.raises(SplitError, match=f"{WITHDRAWN[0]} was withdrawn"):
        check_split(Split("x", "", None, WITHDRAWN, (), ()), make_table(WITHDRAWN))


def test_training_on_a_scene_without_charts_is_refused() -> None:
    table = TABLE.assign(has_charts=[True, True, True, False])
    with pytest.raises(SplitError, match=f"{IDS[3]} has no charts"):
        check_split(Split("x", "", None, (IDS[3],), (), ()), table)
    assert check_split(Split("x", "", None, (IDS[0],), (), (IDS[3],)), table) == []
