from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from autoice_bench.charts import CHARTS
from autoice_bench.errors import LeaderboardError
from autoice_bench.scoring.evaluate import Evaluation
from autoice_bench.scoring.leaderboard import submission_tables as tables
from autoice_bench.scoring.leaderboard.boards import read_leaderboard
from autoice_bench.scoring.leaderboard.check import check_leaderboard
from autoice_bench.scoring.leaderboard.submission import read_submission
from tests.scoring.leaderboard.tools import renew_digests, rewrite


@pytest.fixture
def folder(root: Path) -> Path:
    return root / "official/good"


def reason_of(folder: Path) -> str:
    """Why a submission is refused: the same by the board and by the check, one line, the other's
    submission not touched by it."""
    found = read_leaderboard(folder.parents[1])
    (problem,) = check_leaderboard(folder.parents[1])
    assert [submission.name for submission in found.submissions] == ["poor"]
    (invalid,) = found.invalid
    assert invalid.reason == problem
    assert problem.startswith(f"{folder}: ")
    assert "\n" not in problem
    return problem


def test_rows_in_another_order_are_the_same_histograms(folder: Path, good: Evaluation) -> None:
    path = folder / "histograms.parquet"
    table = pq.read_table(path)
    order = np.random.default_rng(0).permutation(table.num_rows)
    pq.write_table(table.take(order), path, row_group_size=100, use_dictionary=False)
    renew_digests(folder)
    back = read_submission(folder).evaluation.histograms
    for chart in CHARTS:
        np.testing.assert_array_equal(back[chart.name], good.histograms[chart.name])
    assert check_leaderboard(folder.parents[1]) == []


def test_rows_of_scores_in_another_order_are_the_same_scores(folder: Path) -> None:
    path = folder / "scores.parquet"
    table = pq.read_table(path)
    before = read_leaderboard(folder.parents[1]).submissions[0].scores
    order = np.random.default_rng(0).permutation(table.num_rows)
    pq.write_table(table.take(order), path, row_group_size=100, use_dictionary=False)
    renew_digests(folder)
    assert check_leaderboard(folder.parents[1]) == []
    after = read_leaderboard(folder.parents[1]).submissions[0].scores
    assert after.keys() == before.keys()
    for key, cell in before.items():
        np.testing.assert_array_equal(after[key], cell)


@pytest.mark.parametrize("name", ["scores.parquet", "histograms.parquet"])
@pytest.mark.parametrize("place", [4, 100, -20])
def test_one_flipped_bit_is_found(folder: Path, name: str, place: int) -> None:
    content = bytearray((folder / name).read_bytes())
    content[place] ^= 1
    (folder / name).write_bytes(bytes(content))
    assert f"{name} does not have the SHA-256 that submission.json records" in reason_of(folder)


def test_one_flipped_bit_of_the_json_is_found(folder: Path) -> None:
    path = folder / "submission.json"
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 1'))
    assert "submission.json does not match its checksum" in reason_of(folder)


def test_submissions_of_before_the_checksum_stay_valid(root: Path) -> None:
    path = root / "official/good/submission.json"
    content = json.loads(path.read_text())
    del content["checksum"]
    path.write_text(json.dumps(content))
    assert check_leaderboard(root) == []


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + 50 * b"\xff" + b"PAR1", 99 * b"\0"])
@pytest.mark.parametrize("name", ["scores.parquet", "histograms.parquet"])
def test_what_no_decoder_takes_is_one_line(folder: Path, name: str, content: bytes) -> None:
    (folder / name).write_bytes(content)
    renew_digests(folder)
    (problem,) = check_leaderboard(folder.parents[1])
    assert f"{folder}: not a submission of this format: {name} cannot be read: " in problem


def test_sizes_are_looked_at_before_anything_is_decoded(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "scores.parquet"
    table = pq.read_table(path)
    # 4 scenes have at most (2 * 4 + 30) * 520 rows. These take a few kB, as billions would.
    pq.write_table(table.take(np.zeros(50_000, int)), path)
    assert path.stat().st_size < 20_000
    renew_digests(folder)

    def read(*_: object, **__: object) -> None:
        raise AssertionError("was decoded")

    monkeypatch.setattr(pq.ParquetFile, "read", read)
    record = json.loads((folder / "submission.json").read_text())
    with pytest.raises(LeaderboardError, match="says it has 50000 rows; expected at most 19760"):
        tables.read_scores(folder, record["files"]["scores.parquet"], 4)


def test_texts_that_decode_to_much_more_are_refused(folder: Path) -> None:
    path = folder / "scores.parquet"
    table = pq.read_table(path)
    index = table.schema.get_field_index("reason")
    long = pa.array(["x" * 30_000_000, *[None] * (table.num_rows - 1)], pa.string())
    pq.write_table(table.set_column(index, "reason", long), path, compression="zstd")
    renew_digests(folder)
    assert path.stat().st_size < 100_000
    assert "bytes decoded; expected at most" in reason_of(folder)


def test_large_files_are_not_read(folder: Path) -> None:
    with (folder / "histograms.parquet").open("r+b") as file:
        file.truncate(1 << 30)  # sparse
    assert "histograms.parquet has 1073741824 bytes; expected at most" in reason_of(folder)
    with (folder / "submission.json").open("r+b") as file:
        file.truncate(1 << 30)
    assert "submission.json has 1073741824 bytes; expected at most" in reason_of(folder)


@pytest.mark.parametrize("value", [float("inf"), float("-inf")])
@pytest.mark.parametrize("column", ["value", "ci_low", "ci_high"])
def test_infinite_scores_are_refused(folder: Path, column: str, value: float) -> None:
    rewrite(folder, "scores", column, 5, value)
    assert f"scores.parquet holds infinite values of {column}" in reason_of(folder)


@pytest.mark.parametrize("column", ["scene_id", "chart", "truth_class", "n_pixels"])
def test_cells_without_a_value_are_refused(folder: Path, column: str) -> None:
    rewrite(folder, "histograms", column, 5, None)
    (problem,) = check_leaderboard(folder.parents[1])
    assert f"histograms.parquet holds a row without {column}" in problem


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("scene_id", "20990101T000000_cis", "holds scene '20990101T000000_cis', which is not"),
        ("chart", "ICE", "does not hold each SIC cell once"),
        ("truth_class", 2**62, "does not hold each SIC cell once"),
        ("prediction_class", -1, "does not hold each SIC cell once"),
    ],
)
def test_cells_of_nothing_are_refused(
    folder: Path, column: str, value: object, message: str
) -> None:
    rewrite(folder, "histograms", column, 0, value)
    (problem,) = check_leaderboard(folder.parents[1])
    assert f"histograms.parquet {message}" in problem


def test_other_types_are_refused(folder: Path) -> None:
    path = folder / "scores.parquet"
    table = pq.read_table(path)
    index = table.schema.get_field_index("n_scenes")
    pq.write_table(table.set_column(index, "n_scenes", table["n_scenes"].cast(pa.int32())), path)
    renew_digests(folder)
    assert "scores.parquet has columns" in reason_of(folder)
