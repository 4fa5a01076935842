from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from autoice_bench.cli import main
from autoice_bench.wording import is_printable
from tests.scoring.make import SCENES, predictions_of, write_netcdf, write_predictions, write_split


def run(*args: object) -> Result:
    return CliRunner().invoke(main, [str(arg) for arg in args])


def ok(*args: object) -> str:
    result = run(*args)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def board(store: Path, tmp_path: Path) -> Path:
    """A leaderboard with the submissions a and b."""
    write_predictions(tmp_path / "preds/a", error=0.1)
    write_predictions(tmp_path / "preds/b", error=0.6, seed=1)
    leaderboard = tmp_path / "leaderboard"
    ok("score", tmp_path / "preds", "--store", store, "--leaderboard", leaderboard)
    return leaderboard


def test_score_prints_and_writes(store: Path, predictions: Path, tmp_path: Path) -> None:
    text = ok("score", predictions, "--store", store, "--leaderboard", tmp_path)
    assert "noisy: 4 simulated scenes, split official" in text
    assert "weighted F1" in text
    assert (tmp_path / "official/noisy/submission.json").is_file()


def test_score_as_json(store: Path, predictions: Path, tmp_path: Path) -> None:
    (record,) = json.loads(
        ok("score", predictions, "--store", store, "--leaderboard", tmp_path, "--json")
    )
    assert record["n_scenes"] == 4
    assert [score["chart"] for score in record["scores"]] == ["combined", "SIC", "SOD", "FLOE"]
    assert all(round(score["official"], 3) == score["official"] for score in record["scores"])


def test_no_write_leaves_the_leaderboard_alone(
    store: Path, predictions: Path, tmp_path: Path
) -> None:
    ok("score", predictions, "--store", store, "--leaderboard", tmp_path / "x", "--no-write")
    assert not (tmp_path / "x").exists()


def test_labels_and_store_agree(store: Path, rtt: Path, predictions: Path) -> None:
    a = ok("score", predictions, "--store", store, "--no-write", "--json")
    b = ok("score", predictions, "--labels", rtt, "--no-write", "--json")
    assert json.loads(a) == json.loads(b)


def test_description_beside_the_predictions_is_taken(
    store: Path, predictions: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "mine"
    shutil.copytree(predictions, folder)
    (folder / "description.json").write_text('{"authors": "B. Author", "trained_on_test": "no"}')
    board = tmp_path / "board"
    ok("score", folder, "--store", store, "--leaderboard", board)
    metadata = json.loads((board / "official/mine/submission.json").read_text())
    assert metadata["authors"] == "B. Author"
    explicit = tmp_path / "other.json"
    explicit.write_text('{"authors": "C. Author"}')
    args = ("--store", store, "--leaderboard", board, "--name", "two", "--description", explicit)
    ok("score", folder, *args)
    metadata = json.loads((board / "official/two/submission.json").read_text())
    assert metadata["authors"] == "C. Author"


def test_same_name_needs_overwrite(store: Path, predictions: Path, tmp_path: Path) -> None:
    args = ("score", predictions, "--store", store, "--leaderboard", tmp_path)
    ok(*args)
    result = run(*args)
    assert result.exit_code == 1
    assert "--overwrite replaces it" in result.stderr
    ok(*args, "--overwrite")
    ok(*args, "--name", "another")
    # The option's first name works for one more release.
    result = run(*args, "--replace")
    assert result.exit_code == 0
    assert result.stderr == "note: --replace is now --overwrite; the next release drops it\n"
    assert "--replace" not in ok("score", "--help")


def test_errors_are_one_line_without_a_traceback(store: Path, tmp_path: Path) -> None:
    result = run("score", tmp_path / "none", "--store", store)
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    result = run("score", tmp_path, "--store", tmp_path / "none.zarr", "--no-write")
    assert "no predictions found" in result.stderr


def test_debug_shows_the_traceback(store: Path, tmp_path: Path) -> None:
    result = run("score", tmp_path / "none", "--store", store, "--debug")
    assert result.exit_code == 1
    assert type(result.exception).__name__ == "PredictionError"


def test_partial_scores_are_marked(store: Path, predictions: Path, tmp_path: Path) -> None:
    folder = tmp_path / "some"
    shutil.copytree(predictions, folder)
    (folder / f"{SCENES[0]}.nc").unlink()
    args = ("score", folder, "--store", store, "--leaderboard", tmp_path / "board")
    result = run(*args)
    assert result.exit_code == 1
    assert f"scene {SCENES[0]} is missing" in result.stderr
    assert "--allow-partial scores what is there" in result.stderr
    assert "partial: 1 missing; not ranked" in ok(*args, "--allow-partial")
    assert "partial, 3 scenes: not ranked" in ok("leaderboard", "--leaderboard", tmp_path / "board")


def test_mask_class_and_undefined_scores_are_told(
    store: Path, predictions: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "masked"
    shutil.copytree(predictions, folder)
    charts = predictions_of(SCENES[0])
    write_netcdf(folder / f"{SCENES[0]}.nc", charts | {"SIC": charts["SIC"] * 0 + 11})
    board = tmp_path / "board"
    text = ok("score", folder, "--store", store, "--leaderboard", board)
    assert "mask class predicted in valid pixels, counted as wrong: SIC " in text
    assert "predicts the mask class" in ok("leaderboard", "--leaderboard", board)
    for scene_id in SCENES:
        sic = {"SIC": predictions_of(scene_id)["SIC"]}
        write_netcdf(tmp_path / f"sic/{scene_id}.nc", sic)
    args = ("--store", store, "--leaderboard", board, "--allow-partial")
    text = ok("score", tmp_path / "sic", *args)
    assert "undefined  (undefined for SOD, FLOE)" in text
    assert "partial: 8 missing; not ranked" in text


def test_of_many_submissions_the_sound_ones_are_scored(
    store: Path, predictions: Path, tmp_path: Path
) -> None:
    shutil.copytree(predictions, tmp_path / "preds/sound")
    write_netcdf(tmp_path / f"preds/broken/{SCENES[0]}.nc", predictions_of(SCENES[0]))
    args = ("score", tmp_path / "preds", "--store", store, "--leaderboard", tmp_path / "board")
    result = run(*args)
    assert result.exit_code == 1
    assert "sound: 4 simulated scenes" in result.stdout
    assert "error: broken: " in result.stderr
    assert [p.name for p in (tmp_path / "board/official").iterdir()] == ["sound"]
    named = run(*args, "--name", "x")
    assert named.exit_code == 2
    assert "--name names one submission" in named.stderr


def test_submissions_of_one_name_are_refused(
    store: Path, predictions: Path, tmp_path: Path
) -> None:
    # Otherwise --overwrite would put the second in place of the first.
    ok("convert", predictions, tmp_path / "preds/m.zarr")
    ok("convert", predictions, tmp_path / "preds/m.nc")
    result = run(
        "score",
        tmp_path / "preds",
        "--store",
        store,
        "--leaderboard",
        tmp_path / "b",
        "--overwrite",
    )
    assert result.exit_code == 1
    assert "m.nc and m.zarr would both be submission 'm'" in result.stderr
    assert not (tmp_path / "b").exists()


def test_convert_tells_where_it_cannot_write(predictions: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for name in ("x.nc", "x.zarr", "x"):
        result = run("convert", predictions, tmp_path / "file" / name)
        assert result.exit_code == 1
        assert f"file/{name}: cannot be written: " in result.stderr


def test_expect_shows_every_format() -> None:
    text = ok("score", "--expect")
    for part in ("<scene_id>_<chart>", "upload_package.nc", "Zarr", "uint8", "convert"):
        assert part in text


def test_convert(predictions: Path, tmp_path: Path, store: Path) -> None:
    out = tmp_path / "all.zarr"
    assert "4 scenes, zarr" in ok("convert", predictions, out)
    a = json.loads(ok("score", out, "--store", store, "--no-write", "--json", "--name", "n"))
    b = json.loads(
        ok("score", predictions, "--store", store, "--no-write", "--json", "--name", "n")
    )
    assert a == b
    assert run("convert", predictions, out).exit_code == 1


def test_leaderboard_shows(board: Path) -> None:
    text = ok("leaderboard", "--leaderboard", board)
    lines = text.splitlines()
    assert "split official: 4 SIMULATED scenes" in lines[0]
    assert lines[2].startswith("1  a")
    assert lines[3].startswith("2  b")
    records = json.loads(ok("leaderboard", "show", "--leaderboard", board, "--json"))
    submitted = [r for r in records if not r["published"]]
    assert [(r["rank"], r["submission"]) for r in submitted] == [(1, "a"), (2, "b")]
    rows = list(csv.DictReader(io.StringIO(ok("leaderboard", "--leaderboard", board, "--csv"))))
    assert [row["submission"] for row in rows] == [r["submission"] for r in records]
    assert float(rows[0]["combined"]) == records[0]["combined"]
    by_region = ok("leaderboard", "--leaderboard", board, "--group", "region", "--chart", "SIC")
    assert "CentralEast" in by_region
    assert "f1_macro" in ok("leaderboard", "--leaderboard", board, "--metric", "f1_macro")
    assert run("leaderboard", "--leaderboard", board, "--metric", "x").exit_code == 1


def test_leaderboard_refuses_what_it_cannot_show(board: Path) -> None:
    result = run("leaderboard", "--leaderboard", board, "--split", "nosuch")
    assert result.exit_code == 1
    assert "no submissions to split 'nosuch'; found official" in result.stderr
    assert run("leaderboard", "--leaderboard", board, "--json", "--csv").exit_code == 2
    compared = run("leaderboard", "compare", "a", "b", "--leaderboard", board, "--seed", "-1")
    assert compared.exit_code == 2


def test_empty_leaderboard_shows_published_results(tmp_path: Path) -> None:
    text = ok("leaderboard", "--leaderboard", tmp_path / "none")
    assert "MMSeaIce U-Net" in text
    assert "no submissions yet" in text
    records = json.loads(
        ok("leaderboard", "--leaderboard", tmp_path / "none", "--published", "--json")
    )
    assert all(record["published"] and record["rank"] is None for record in records)
    assert len(records) > 40


def test_leaderboard_compares(board: Path) -> None:
    text = ok("leaderboard", "compare", "a", "b", "--leaderboard", board)
    assert "A = a, B = b" in text
    assert "beyond chance" in text
    records = json.loads(ok("leaderboard", "compare", "a", "b", "--leaderboard", board, "--json"))
    assert records[0]["chart"] == "combined"
    assert records[0]["beyond_chance"] is True
    assert run("leaderboard", "compare", "a", "nosuch", "--leaderboard", board).exit_code == 1


def test_bad_submission_is_named_and_the_others_are_shown(board: Path) -> None:
    shutil.copytree(board / "official/a", board / "official/bad")
    path = board / "official/bad/submission.json"
    metadata = json.loads(path.read_text())
    path.write_text(json.dumps(metadata | {"scenes": metadata["scenes"][:1] * 2}))
    good = ok("leaderboard", "compare", "a", "b", "--leaderboard", board)
    assert "A = a, B = b" in good

    shown = run("leaderboard", "show", "--leaderboard", board)
    assert shown.exit_code == 1
    assert shown.stdout.splitlines()[2].startswith("1  a")
    assert shown.stdout.splitlines()[3].startswith("2  b")
    (line,) = shown.stderr.splitlines()
    assert line.startswith(f"error: {board}/official/bad: ")
    assert f"scenes lists {SCENES[0]} twice" in line
    assert line.endswith("(invalid, left out)")

    answer = run("leaderboard", "show", "--leaderboard", board, "--json")
    assert answer.exit_code == 1
    records = json.loads(answer.stdout)
    ranked = [record["submission"] for record in records if record["rank"]]
    assert ranked == ["a", "b"]
    (bad,) = [record for record in records if "invalid" in record]
    assert (bad["submission"], bad["rank"], bad["verified"]) == ("bad", None, False)
    assert "twice" in bad["invalid"]
    assert "twice" in run("leaderboard", "--leaderboard", board, "--csv").stdout

    compared = run("leaderboard", "compare", "a", "bad", "--leaderboard", board)
    assert compared.exit_code == 1
    assert compared.stderr.startswith(f"error: {board}/official/bad: ")
    # A split of its own shows without it; alone it is not mistaken for an unknown split.
    ok("leaderboard", "show", "--leaderboard", board, "--split", "cross-region")
    (board / "official/bad").rename(board / "official-bad")
    (board / "strict").mkdir()
    (board / "official-bad").rename(board / "strict/bad")
    alone = run("leaderboard", "show", "--leaderboard", board, "--split", "strict")
    assert (alone.exit_code, alone.stdout) == (1, "no submissions\n")
    assert "strict/bad: " in alone.stderr


def test_split_file_that_repeats_a_scene_is_refused_before_anything_is_written(
    store: Path, predictions: Path, tmp_path: Path
) -> None:
    split = write_split(tmp_path / "mine.json", test=(SCENES[0], *SCENES))
    board = tmp_path / "board"
    result = run("score", predictions, "--store", store, "--leaderboard", board, "--split", split)
    assert result.exit_code == 1
    assert f"mine.json: split mine: test lists scene {SCENES[0]} twice" in result.stderr
    assert not board.exists()


def test_leaderboard_check(board: Path) -> None:
    assert "2 submissions, no problems" in ok("leaderboard", "check", "--leaderboard", board)
    (board / "official/a/scores.parquet").unlink()
    result = run("leaderboard", "check", "--leaderboard", board)
    assert result.exit_code == 1
    assert "scores.parquet is missing" in result.stdout
    assert "2 submissions, 1 problem\n" in result.stdout
    answer = json.loads(run("leaderboard", "check", "--leaderboard", board, "--json").stdout)
    assert len(answer["problems"]) == 1


def test_leaderboard_check_scores_predictions_again(
    store: Path, rtt: Path, board: Path, tmp_path: Path
) -> None:
    check = ("leaderboard", "check", "--leaderboard", board)
    text = ok(*check)
    assert "as stated, for --predictions to check: predictions_sha256, scorer_version" in text
    text = ok(*check, "--predictions", tmp_path / "preds", "--store", store)
    assert "2 submissions, no problems" in text
    assert "scored again: a, b" in text
    ok(*check, "--predictions", tmp_path / "preds/a", "--labels", rtt)
    # Predictions of another model under this name.
    wrong = (*check, "--predictions", tmp_path / "preds/b", "--store", store, "--name", "a")
    result = run(*wrong)
    assert result.exit_code == 1
    assert f"{board}/official/a: predictions_sha256 is " in result.stdout
    assert f"scene {SCENES[0]}: the histograms of SIC, SOD, FLOE are not" in result.stdout
    answer = json.loads(run(*wrong, "--json").stdout)
    assert answer["rescored"] == ["a"]
    assert len(answer["problems"]) == 1 + len(SCENES)
    assert "simulated" in answer["as_stated"]
    result = run(*check, "--predictions", tmp_path / "preds", "--store", store, "--name", "a")
    assert result.exit_code == 2
    assert "--name names one submission" in result.stderr
    result = run(*check, "--predictions", tmp_path / "none", "--store", store)
    assert result.exit_code == 1
    assert "none: " in result.stderr


def test_names_of_others_do_not_steer_a_terminal(board: Path) -> None:
    shutil.copytree(board / "official/a", board / "official" / "\x1b[2J\u202ex\nerror: FAKE")
    for command in (("show",), ("show", "--json"), ("show", "--csv"), ("check",)):
        result = run("leaderboard", *command, "--leaderboard", board)
        assert result.exit_code == 1
        assert all(map(is_printable, result.output.split("\n"))), command
        assert not any(line.startswith("error: FAKE") for line in result.output.splitlines())


def test_importing_the_scorer_is_light() -> None:
    code = (
        "import sys, pkgutil, importlib, autoice_bench.scoring as package\n"
        "for module in pkgutil.iter_modules(package.__path__):\n"
        "    importlib.import_module(f'autoice_bench.scoring.{module.name}')\n"
        "heavy = ('torch', 'dask', 'distributed', 'sklearn', 'scipy', 'matplotlib')\n"
        "own = ('autoice_bench.datasets', 'autoice_bench.baselines')\n"
        "print([name for name in (*heavy, *own) if name in sys.modules])\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
