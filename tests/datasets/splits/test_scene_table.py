from __future__ import annotations

import pytest

from autoice_bench.datasets.splits.scene_table import (
    select_official_test,
    select_training,
    validate_split_index,
)
from autoice_bench.errors import SplitError
from autoice_bench.official import WITHDRAWN
from tests.datasets.split_tables import make_table

TABLE = make_table(
    ["20300103T120000_dmi", "20300101T120000_cis", "20300105T120000_dmi", "20300107T120000_dmi"],
    subset=["train", "train", "test", "train"],
    has_charts=[True, True, False, False],
)


def test_index_is_sorted_and_lacks_the_withdrawn_scene() -> None:
    table = make_table(["20300103T120000_dmi", *WITHDRAWN, "20300101T120000_cis"])
    assert list(validate_split_index(table)["scene_id"]) == [
        "20300101T120000_cis",
        "20300103T120000_dmi",
    ]


def test_training_needs_charts_and_the_official_test_does_not() -> None:
    index = validate_split_index(TABLE)
    assert list(select_training(index)["scene_id"]) == [
        "20300101T120000_cis",
        "20300103T120000_dmi",
    ]
    assert list(select_training(index, "dmi")["scene_id"]) == ["20300103T120000_dmi"]
    assert select_official_test(index) == ("20300105T120000_dmi",)


def test_missing_column_and_repeated_scene_are_named() -> None:
    with pytest.raises(SplitError, match="column SOD_3, FLOE_6 missing"):
        validate_split_index(TABLE.drop(columns=["FLOE_6", "SOD_3"]))
    twice = make_table(["20300101T120000_cis", "20300101T120000_cis"])
    with pytest.raises(SplitError, match="scene 20300101T120000_cis occurs twice"):
        validate_split_index(twice)
