"""Two at once: writers of one target, and readers of what is being replaced."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from autoice_bench.baselines.floors.predict import predict_floor
from autoice_bench.cli import main
from autoice_bench.errors import PredictionError, SplitError
from autoice_bench.formats.split_file import Split, write_splits
from autoice_bench.formats.whole_files import whole_file
from autoice_bench.scoring.evaluate import evaluate
from autoice_bench.scoring.leaderboard import submission, submission_tables
from autoice_bench.scoring.leaderboard.boards import read_leaderboard
from autoice_bench.scoring.leaderboard.submission import read_submission, write_submission
from autoice_bench.scoring.predictions.reading import open_predictions
from autoice_bench.scoring.predictions.writing import convert, require_replaceable
from autoice_bench.scoring.scores import build_scores
from autoice_bench.scoring.truth.store_truth import StoreTruth
from tests.kills.harness import find_leftovers, take_snapshot

BUSY = r": cannot be written: another process \(process \d+ on .*\) is writing it; wait for it or s"


@pytest.fixture(scope="module")
def preds(prepared_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("writers")
    for name in ("majority", "amsr2-threshold"):
        predict_floor(name, prepared_store, folder / name)
    return folder


def test_a_second_floor_is_refused_and_harms_nothing(
    prepared_store: Path, preds: Path, tmp_path: Path
) -> None:
    def call_again(_: int, __: int) -> None:
        for overwrite in (False, True):
            with pytest.raises(PredictionError, match=BUSY):
                predict_floor("majority", prepared_store, tmp_path / "p", overwrite=overwrite)

    predict_floor("amsr2-threshold", prepared_store, tmp_path / "p", progress=call_again)
    assert take_snapshot(tmp_path / "p") == take_snapshot(preds / "amsr2-threshold")
    assert find_leftovers(tmp_path) == []


@pytest.mark.parametrize("name", ["folder", "package.nc", "groups.zarr"])
def test_a_second_conversion_is_refused(preds: Path, tmp_path: Path, name: str) -> None:
    out = tmp_path / name

    def call_again(_: int, __: int) -> None:
        result = CliRunner().invoke(main, ["convert", str(preds / "majority"), str(out)])
        assert result.exit_code == 1
        assert "is writing it; wait for it or stop it" in result.output.splitlines()[-1]

    formats = {"folder": "netcdf", "package.nc": "upload-package", "groups.zarr": "zarr"}
    predictions = open_predictions(preds / "majority")
    convert(predictions, out, format_name=formats[name], progress=call_again)
    assert open_predictions(out).scene_ids == predictions.scene_ids
    assert find_leftovers(tmp_path) == []


def test_predictions_written_meanwhile_are_not_replaced(preds: Path, tmp_path: Path) -> None:
    with pytest.raises(PredictionError, match="exists"):
        convert(open_predictions(preds / "majority"), preds / "majority", format_name="netcdf")
    (tmp_path / "p").mkdir()
    with whole_file(tmp_path / "p" / "a.nc") as partial:
        partial.write_bytes(b"")
        with pytest.raises(PredictionError, match=r"holds \.a\.nc\..*nothing was removed"):
            require_replaceable(tmp_path / "p", overwrite=True)


def test_a_submission_that_is_replaced_is_never_missed_nor_mixed(
    prepared_store: Path, preds: Path, tmp_path: Path
) -> None:
    truth = StoreTruth(prepared_store)
    found = {
        name: evaluate(open_predictions(preds / name), truth)
        for name in ("majority", "amsr2-threshold")
    }
    tables = {name: build_scores(each, "one") for name, each in found.items()}
    of_table = {
        tuple(tables[name]["value"].dropna().head(20)): each.predictions_sha256
        for name, each in found.items()
    }

    def write(name: str) -> Path:
        return write_submission(found[name], tmp_path, "one", tables[name], overwrite=True)

    folder = write("majority")

    def write_often(name: str) -> None:
        for _ in range(15):
            write(name)

    n_read = 0
    with ThreadPoolExecutor() as pool:
        writers = [pool.submit(write_often, name) for name in found]
        while not all(writer.done() for writer in writers):
            read = read_submission(folder)
            values = tuple(read.scores["value"].dropna().head(20))
            assert read.evaluation.predictions_sha256 == of_table[values]
            board = read_leaderboard(tmp_path)
            assert [each.name for each in board.submissions] == ["one"]
            assert board.invalid == ()
            n_read += 1
        for writer in writers:
            writer.result()
    assert n_read > 3
    assert find_leftovers(tmp_path) == []


def test_splits_of_one_call_are_all_written_or_none(tmp_path: Path) -> None:
    first, second = (
        Split(name, "by hand", None, ("20320101T000000_cis",), (), ()) for name in ("a", "b")
    )
    write_splits(tmp_path, [first])
    before = take_snapshot(tmp_path)
    (tmp_path / "splits" / "b.json").mkdir()  # in the way of the last one
    with pytest.raises(SplitError, match=r"a, b cannot be written"):
        write_splits(tmp_path, [Split("a", "new", None, (), (), ()), second], overwrite=True)
    assert take_snapshot(tmp_path) == before
    assert find_leftovers(tmp_path) == []


def test_a_submission_replaced_between_two_of_its_files_is_read_again(
    prepared_store: Path, preds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth = StoreTruth(prepared_store)
    old, new = (
        evaluate(open_predictions(preds / name), truth) for name in ("majority", "amsr2-threshold")
    )
    folder = write_submission(old, tmp_path, "one", build_scores(old, "one"))
    scores = build_scores(new, "one")
    read_scores = submission_tables.read_scores
    replaced: list[bool] = []

    def replace_first(*arguments: Any) -> Any:
        if not replaced:
            replaced.append(True)
            write_submission(new, tmp_path, "one", scores, overwrite=True)
        return read_scores(*arguments)

    monkeypatch.setattr(submission, "read_scores", replace_first)
    found = read_submission(folder)
    assert found.evaluation.predictions_sha256 == new.predictions_sha256
    assert list(found.scores["value"].dropna()) == list(scores["value"].dropna())
