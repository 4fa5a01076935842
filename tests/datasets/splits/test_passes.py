from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from autoice_bench.datasets.splits.passes import (
    PASS_GAP,
    Frame,
    close_in_time,
    group_linked,
    group_passes,
    read_frames,
    same_data_take,
)
from tests.datasets.split_tables import make_table

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


def frame(minutes: float, platform: str | None = None, data_take: str | None = None) -> Frame:
    return Frame(f"at {minutes}", NOON + timedelta(minutes=minutes), platform, data_take)


def same_pass(a: Frame, b: Frame) -> bool:
    return group_passes([a, b]) == [[0, 1]]


FRAMES = st.builds(
    frame,
    st.integers(0, 120),
    st.sampled_from(["S1A", "S1B", None]),
    st.sampled_from(["01", "02", None]),
)


def test_ten_minutes_of_one_satellite_are_one_pass() -> None:
    assert same_pass(frame(0, "S1A"), frame(10, "S1A"))
    assert not same_pass(frame(0, "S1A"), frame(10.1, "S1A"))
    assert not same_pass(frame(0, "S1A"), frame(1, "S1B"))


def test_an_unknown_satellite_may_be_the_same() -> None:
    assert same_pass(frame(0), frame(1, "S1B"))


def test_a_data_take_is_one_pass_however_long() -> None:
    assert same_pass(frame(0, "S1A", "01"), frame(25, "S1A", "01"))
    # Data-takes are numbered per satellite: equal numbers of two satellites mean nothing.
    assert not same_pass(frame(0, "S1A", "01"), frame(25, "S1B", "01"))
    assert not same_pass(frame(0, "S1A"), frame(25, "S1A"))


def test_frames_chain_into_a_pass() -> None:
    # 0 and 16 are linked through 8 only; 40 stands alone; 55 joins it by its data-take.
    frames = [frame(16), frame(40, "S1A", "01"), frame(0), frame(8), frame(55, "S1A", "01")]
    assert group_passes(frames) == [[0, 2, 3], [1, 4]]


@given(st.lists(FRAMES, max_size=15))
def test_passes_are_the_components_of_the_pairs(frames: list[Frame]) -> None:
    every_pair = [
        (i, j)
        for i in range(len(frames))
        for j in range(i)
        if same_data_take(frames[i], frames[j]) or close_in_time(frames[i], frames[j])
    ]
    assert group_passes(frames) == group_linked(len(frames), every_pair)


@given(
    st.integers(1, 12).flatmap(
        lambda n: st.tuples(
            st.just(n), st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)))
        )
    )
)
def test_groups_partition_the_items_and_hold_every_link(
    case: tuple[int, list[tuple[int, int]]],
) -> None:
    n_items, links = case
    groups = group_linked(n_items, links)
    assert sorted(item for group in groups for item in group) == list(range(n_items))
    assert all(any(a in group and b in group for group in groups) for a, b in links)
    # Each link joins at most two groups into one.
    assert len(groups) >= n_items - len(links)


def test_frames_of_a_table() -> None:
    table = make_table(
        ["20300101T120000_dmi", "20300101T120800_cis"],
        platform=["S1A", None],
        data_take=pd.array(["0A", pd.NA], dtype="string"),
    )
    assert read_frames(table) == [
        Frame("20300101T120000_dmi", NOON, "S1A", "0A"),
        Frame("20300101T120800_cis", NOON + timedelta(minutes=8)),
    ]
    assert timedelta(minutes=10) == PASS_GAP
