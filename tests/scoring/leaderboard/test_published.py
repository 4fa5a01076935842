from __future__ import annotations

import csv
from importlib.resources import files

from tests.oracles import PUBLISHED_SCORES, read_rows

KEY = ("system", "variant", "rates", "split")
# Remarks are free: the oracle says of one row why a score is missing.
NOT_COMPARED = {"note"}


def keyed(rows: list[dict[str, str]]) -> dict[tuple[str, ...], dict[str, str]]:
    found = {tuple(row[name] for name in KEY): row for row in rows}
    assert len(found) == len(rows), "a result occurs twice"
    return found


def test_published_results_agree_with_their_sources() -> None:
    text = files("autoice_bench.scoring.leaderboard").joinpath("published.csv").read_text("utf-8")
    ours = keyed(list(csv.DictReader(text.splitlines())))
    oracle = keyed(read_rows(PUBLISHED_SCORES))
    assert len(ours) == 50
    assert len(oracle) == 56
    # Every result that is shown has its source; the oracle knows some that are not shown.
    assert not ours.keys() - oracle.keys()
    for key, row in ours.items():
        fields = row.keys() - NOT_COMPARED
        assert {name: row[name] for name in fields} == {name: oracle[key][name] for name in fields}
