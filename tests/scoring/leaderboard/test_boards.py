from __future__ import annotations

import dataclasses
import json
import shutil
from functools import reduce
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from autoice_bench.errors import LeaderboardError
from autoice_bench.formats.label_rule import LabelRule
from autoice_bench.formats.plain_files import hash_file
from autoice_bench.scoring.evaluate import Evaluation, evaluate
from autoice_bench.scoring.leaderboard import check
from autoice_bench.scoring.leaderboard.boards import (
    View,
    build_boards,
    find_submission,
    published_boards,
    read_leaderboard,
)
from autoice_bench.scoring.leaderboard.check import check_leaderboard
from autoice_bench.scoring.leaderboard.compare import compare
from autoice_bench.scoring.leaderboard.published import read_published
from autoice_bench.scoring.leaderboard.submission import (
    SubmissionDescription,
    find_description,
    parse_description,
    read_submission,
    require_submission_name,
    write_submission,
)
from autoice_bench.scoring.metrics import definitions
from autoice_bench.scoring.metrics.definitions import Metric
from autoice_bench.scoring.metrics.formulas import accuracy
from autoice_bench.scoring.scores import build_scores, summarise
from autoice_bench.scoring.truth.store_truth import StoreTruth
from autoice_bench.text.leaderboard import (
    board_records,
    format_board,
    format_comparison,
    invalid_records,
)
from autoice_bench.text.score import format_summary
from autoice_bench.wording import is_printable
from tests.scoring.leaderboard.tools import edit_json, rewrite, submit
from tests.scoring.make import SCENES, predictions_of, write_netcdf, write_predictions, write_store


def test_submission_reads_back(good: Evaluation, tmp_path: Path) -> None:
    described = SubmissionDescription(authors="A. Author", seed=7, training_hours=1.5)
    scores = build_scores(good, "mine")
    folder = write_submission(good, tmp_path, "mine", scores, described)
    assert folder == tmp_path / "official" / "mine"
    back = read_submission(folder)
    assert back.name == "mine"
    assert back.metadata["authors"] == "A. Author"
    assert back.metadata["verified"] is True
    assert back.evaluation.scenes == good.scenes
    assert back.evaluation.truth_fingerprint == good.truth_fingerprint
    for name, counts in good.histograms.items():
        np.testing.assert_array_equal(back.evaluation.histograms[name], counts)
    np.testing.assert_array_equal(back.scores["value"], scores["value"])


def test_tables_hold_plain_types(pristine: Path) -> None:
    for name in ("scores", "histograms"):
        schema = pq.read_schema(pristine / "official/good" / f"{name}.parquet")
        assert schema.metadata is None
        assert {str(field.type) for field in schema} <= {"string", "int64", "double"}


def test_nothing_else_is_left_behind(pristine: Path) -> None:
    found = sorted(str(p.relative_to(pristine)) for p in pristine.rglob("*") if p.is_file())
    files = ("histograms.parquet", "scores.parquet", "submission.json")
    assert found == [f"official/{name}/{file}" for name in ("good", "poor") for file in files]


def test_same_name_asks_for_overwrite(good: Evaluation, poor: Evaluation, root: Path) -> None:
    with pytest.raises(LeaderboardError, match="exists; --overwrite replaces it"):
        submit(poor, root, "good")
    folder = submit(poor, root, "good", overwrite=True)
    assert read_submission(folder).evaluation.predictions_sha256 == poor.predictions_sha256
    assert sorted(path.name for path in folder.parent.iterdir()) == ["good", "poor"]


def test_of_two_scorers_at_once_one_is_told(
    good: Evaluation, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The other one finishes between our look and our write.
    monkeypatch.setattr(
        "autoice_bench.scoring.leaderboard.submission.require_free", lambda *_, **__: None
    )
    with pytest.raises(LeaderboardError, match="another scorer wrote it meanwhile"):
        submit(good, root, "poor")
    assert sorted(path.name for path in (root / "official").iterdir()) == ["good", "poor"]


def test_failed_write_leaves_nothing(
    good: Evaluation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("autoice_bench.scoring.leaderboard.submission.write_table", fail)
    with pytest.raises(LeaderboardError, match="no space"):
        submit(good, tmp_path, "mine")
    assert list((tmp_path / "official").iterdir()) == []


def test_interrupted_replacement_leaves_the_submission_that_was_there(
    poor: Evaluation, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = read_submission(root / "official/good")

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(
        "autoice_bench.scoring.leaderboard.submission.build_histogram_table", interrupt
    )
    with pytest.raises(KeyboardInterrupt):
        submit(poor, root, "good", overwrite=True)
    assert read_submission(root / "official/good").metadata == before.metadata
    assert sorted(path.name for path in (root / "official").iterdir()) == ["good", "poor"]


def test_what_killed_scorers_left_is_on_no_board_and_goes(poor: Evaluation, root: Path) -> None:
    board = root / "official"
    # Being written, and displaced by what was being written, when the power went.
    for name in ("new", "new.old"):
        shutil.copytree(board / "good", board / ".good.partial" / name)
    (board / ".good.partial/.gitignore").write_text("*\n")
    found = read_leaderboard(root)
    assert [submission.folder.name for submission in found.submissions] == ["good", "poor"]
    assert found.invalid == ()
    assert check_leaderboard(root) == []
    submit(poor, root, "good", overwrite=True)
    assert sorted(path.name for path in board.iterdir()) == ["good", "poor"]


def test_file_in_place_of_a_board_is_told(good: Evaluation, tmp_path: Path) -> None:
    (tmp_path / "official").write_text("")
    with pytest.raises(LeaderboardError, match="official/x: cannot be written: "):
        submit(good, tmp_path, "x")


def test_bad_submissions_hide_no_other(root: Path) -> None:
    def spoil(name: str) -> Path:
        return Path(shutil.copytree(root / "official/good", root / "official" / name))

    first, *others = json.loads((root / "official/good/submission.json").read_text())["scenes"]
    edit_json(spoil("twice") / "submission.json", scenes=[first, first, *others])
    (spoil("cut") / "submission.json").write_text("{")
    (spoil("empty") / "histograms.parquet").write_bytes(b"")
    rewrite(spoil("unnamed"), "scores", "group_name", 0, None)
    edit_json(root / "official/unnamed/submission.json", name="unnamed")
    edit_json(spoil("torn") / "submission.json", name="torn")
    path = root / "official/torn/scores.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    (spoil("nothing") / "submission.json").unlink()
    (root / "strict/lost").mkdir(parents=True)
    found = read_leaderboard(root)
    assert [submission.name for submission in found.submissions] == ["good", "poor"]
    reasons = {(each.board, each.folder.name): each.reason for each in found.invalid}
    assert reasons.keys() == {
        *(("official", name) for name in ("twice", "cut", "empty", "unnamed", "torn", "nothing")),
        ("strict", "lost"),
    }
    assert f"scenes lists {SCENES[0]} twice" in reasons["official", "twice"]
    assert "submission.json is missing" in reasons["official", "nothing"]
    assert "a row without group_name" in reasons["official", "unnamed"]
    for (board, name), reason in reasons.items():
        assert f"{root}/{board}/{name}: " in reason
        assert "\n" not in reason
        assert reason in check_leaderboard(root)


@pytest.mark.parametrize("name", ["a", "ASPP-6_12.18+x", "0", "x" * 100])
def test_safe_names(name: str) -> None:
    assert require_submission_name(name) == name


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".hidden", "a/b", "a b", "é", "x" * 101, "a.", "-a", "nul.txt"]
)
def test_unsafe_names_are_refused(name: str) -> None:
    with pytest.raises(LeaderboardError, match="expected 1-100 letters"):
        require_submission_name(name)


def test_descriptions_are_strict(tmp_path: Path) -> None:
    assert parse_description({"seed": 3, "training_hours": 2}, "x") == SubmissionDescription(
        seed=3, training_hours=2
    )
    with pytest.raises(LeaderboardError, match="unknown field 'auther'"):
        parse_description({"auther": "me"}, "x")
    with pytest.raises(LeaderboardError, match="seed is '3'; expected a whole number"):
        parse_description({"seed": "3"}, "x")
    with pytest.raises(LeaderboardError, match="training_hours is nan; expected a number from 0"):
        parse_description({"training_hours": float("nan")}, "x")
    with pytest.raises(LeaderboardError, match="cannot be read as JSON"):
        find_description(tmp_path / "none.json", tmp_path)
    (tmp_path / "description.json").write_text("[]")
    with pytest.raises(LeaderboardError, match="is a list of 0; expected an object"):
        find_description(None, tmp_path)
    (tmp_path / "elsewhere").mkdir()
    assert find_description(None, tmp_path / "elsewhere") == SubmissionDescription()


def test_ranks_by_combined_score(root: Path) -> None:
    (board,) = build_boards(read_leaderboard(root).submissions)
    assert [(e.rank, e.submission.name) for e in board.entries] == [(1, "good"), (2, "poor")]
    cell = board.entries[0].cells["combined"]
    assert cell.ci_low < cell.value < cell.ci_high


def test_partial_submission_is_listed_without_a_rank(good: Evaluation, root: Path) -> None:
    partial = dataclasses.replace(
        good, missing=("p: scene x is missing",), predictions_sha256="f" * 64
    )
    submit(partial, root, "partial")
    boards = build_boards(read_leaderboard(root).submissions)
    entry = next(e for board in boards for e in board.entries if e.submission.name == "partial")
    assert entry.rank is None
    assert not entry.submission.metadata["verified"]
    assert any("partial, 4 scenes: not ranked" in format_board(board) for board in boards)
    assert check_leaderboard(root) == []


def test_other_truth_split_and_simulation_get_their_own_board(good: Evaluation, root: Path) -> None:
    scenes = (dataclasses.replace(good.scenes[0], truth_sha256="0" * 64), *good.scenes[1:])
    submit(dataclasses.replace(good, scenes=scenes), root, "other-truth")
    submit(dataclasses.replace(good, simulated=False), root, "real")
    submit(dataclasses.replace(good, split="strict"), root, "strict")
    boards = build_boards(read_leaderboard(root).submissions)
    names = [{e.submission.name for e in board.entries} for board in boards]
    assert len(names) == 4
    assert {"good", "poor"} in names
    assert all(board.entries[0].rank == 1 for board in boards)
    assert {
        board.name for board in build_boards(read_leaderboard(root).submissions, only="strict")
    } == {"strict"}


def test_simulated_boards_say_that_published_results_are_another_matter(
    good: Evaluation, root: Path
) -> None:
    (board,) = build_boards(read_leaderboard(root).submissions)
    text = format_board(board)
    assert "SIMULATED" in text
    assert "(on the released scenes, comparable with none of the above)" in text
    for record in board_records([board]):
        assert record["simulated"] is not record["published"]
        assert (record["truth_fingerprint"] is None) is record["published"]
    submit(dataclasses.replace(good, simulated=False), root, "real")
    real = build_boards(read_leaderboard(root).submissions)[0]
    assert not real.simulated
    assert real.published
    text = format_board(real)
    assert "SIMULATED" not in text
    assert "published, self-reported (not ranked)" in text
    assert [entry.rank for entry in real.entries] == [1]


def test_labels_of_another_rule_say_so_and_show_nothing_published(
    good: Evaluation, tmp_path: Path
) -> None:
    rule = LabelRule("dominant-sum", 70, 50)
    other = dataclasses.replace(good, simulated=False, rule=rule)
    submit(other, tmp_path, "other")
    summary = format_summary(summarise(other, build_scores(other, "other"), "other", None))
    assert "labels dominant-sum, SOD 70 %, FLOE 50 %: not comparable" in summary
    (board,) = build_boards(read_leaderboard(tmp_path).submissions)

    assert board.published == ()
    assert ", labels dominant-sum, SOD 70 %, FLOE 50 %; " in format_board(board)
    assert board_records([board])[0]["label_rule"] == "dominant-sum, SOD 70 %, FLOE 50 %"


def test_views(root: Path) -> None:
    submissions = read_leaderboard(root).submissions
    (by_region,) = build_boards(submissions, View(group="region", chart="SOD"))
    assert by_region.columns == ("all", "CentralEast", "SGRDIMID")
    (by_mae,) = build_boards(submissions, View(metric="mae"))
    assert by_mae.columns == ("SIC",)
    assert by_mae.entries[0].submission.name == "good"  # the smallest error leads
    (by_floe,) = build_boards(submissions, View(sort="FLOE"))
    values = [entry.cells["FLOE"].value for entry in by_floe.entries]
    assert values == sorted(values, reverse=True)
    for view, message in (
        (View(metric="nosuch"), "no metric 'nosuch'; expected one of accuracy"),
        (View(group="planet"), "no group 'planet'"),
        (View(sort="nosuch"), "no column 'nosuch' to sort by"),
        (View(metric="iou"), "no metric 'iou' with one value .it is given per class."),
        (View(metric="nosuch", group="region"), "no metric 'nosuch'; expected one of accuracy"),
        (View(metric="mae", group="region"), "combined has no metric 'mae'; choose --chart SIC"),
    ):
        with pytest.raises(LeaderboardError, match=message):
            build_boards(submissions, view)


def test_published_results_have_sources_and_fit_their_combined_score() -> None:
    results = read_published()
    assert len(results) > 40
    assert all(result.source and not result.verified for result in results)
    assert {result.comparable for result in results} == {"yes", "no", "unknown"}
    for result in results:
        scores = (result.sic_r2, result.sod_f1, result.floe_f1)
        if result.combined is not None and None not in scores and result.comparable == "yes":
            sic, sod, floe = (s or 0.0 for s in scores)
            # Rounding explains 0.1; tc-18-1621-2024 gives 86.5 where its parts make 86.3.
            assert (2 * sic + 2 * sod + floe) / 5 == pytest.approx(result.combined, abs=0.21)


def test_published_boards_stand_alone() -> None:
    boards = published_boards(View())
    assert [board.name for board in boards] == ["official", "cross-region", "random-validation"]
    everything = published_boards(View(all_published=True), only="official")[0]
    assert len(everything.published) > len(boards[0].published)
    combined = [result.combined for result in boards[0].published if result.combined]
    assert combined == sorted(combined, reverse=True)


def test_comparison_by_hand(good: Evaluation, poor: Evaluation) -> None:
    differences = {
        (d.chart, d.metric, d.group_kind, d.group_name, d.class_index): d
        for d in compare(good, poor)
    }
    combined = differences["combined", "combined", "all", "all", None]
    assert combined.difference == pytest.approx(combined.a - combined.b)
    assert combined.ci_low <= combined.difference <= combined.ci_high
    assert combined.beyond_chance is True
    assert combined.share_a_wins == 1.0
    few = differences["SIC", "r2", "region", "CentralEast", None]
    assert few.n_scenes == 2
    assert few.beyond_chance is None
    assert "fewer than 3 scenes" in format_comparison(differences.values(), "good", "poor")


def test_comparison_with_itself_is_no_difference(good: Evaluation) -> None:
    for difference in compare(good, good, resamples=50):
        assert np.isnan(difference.a) or difference.difference == 0.0
        assert difference.beyond_chance is not True


def test_comparison_is_antisymmetric(good: Evaluation, poor: Evaluation) -> None:
    for d, e in zip(compare(good, poor), compare(poor, good), strict=True):
        np.testing.assert_allclose([d.difference, d.ci_low], [-e.difference, -e.ci_high])


def test_other_truths_do_not_compare(good: Evaluation) -> None:
    scenes = (dataclasses.replace(good.scenes[0], truth_sha256="0" * 64), *good.scenes[1:])
    with pytest.raises(LeaderboardError, match="scored against different truths"):
        compare(good, dataclasses.replace(good, scenes=scenes))


def test_find_submission(good: Evaluation, root: Path) -> None:
    submit(dataclasses.replace(good, split="strict"), root, "good")
    assert find_submission(root, "poor").name == "poor"
    assert find_submission(root, "strict/good").evaluation.split == "strict"
    assert find_submission(root, "good", board="official").evaluation.split == "official"
    with pytest.raises(LeaderboardError, match="several splits have submission 'good'"):
        find_submission(root, "good")
    with pytest.raises(LeaderboardError, match="there is no submission 'x'; give one of official/"):
        find_submission(root, "x")


def test_check_accepts_what_the_scorer_writes(root: Path) -> None:
    assert check_leaderboard(root) == []


def test_check_finds_changed_scores(root: Path) -> None:
    rewrite(root / "official/good", "scores", "value", 0, 99.0)
    (problem,) = check_leaderboard(root)
    assert "1 row of scores.parquet differs from the histograms" in problem
    assert "combined combined of all all: value is 99.000000; recomputed " in problem


def test_check_finds_changed_histograms(root: Path) -> None:
    folder = root / "official/good"
    rewrite(folder, "histograms", "n_pixels", 0, 1_000_000)
    problems = check_leaderboard(root)
    assert any("counts 1000" in problem and "the scene has" in problem for problem in problems)
    assert any("scores.parquet does not hold" in problem for problem in problems)
    # 'good' is read first, so the truth it changed shows at the next with the same fingerprint.
    assert any("counts other SIC truth pixels" in problem for problem in problems)


def test_check_finds_changed_bytes(root: Path) -> None:
    path = root / "official/good/scores.parquet"
    table = pq.read_table(path)
    pq.write_table(table, path, compression="gzip")
    (problem,) = check_leaderboard(root)
    assert "scores.parquet does not have the SHA-256" in problem


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "other"}, "is named 'other'; expected the folder's name"),
        ({"split": "strict"}, "belongs to strict; found under official"),
        ({"truth_fingerprint": "0"}, "truth_fingerprint is '0'; expected 64 hexadecimal"),
        ({"truth_fingerprint": 64 * "0"}, "truth_fingerprint does not follow"),
        ({"missing": ["scene x"]}, "verified is True; something is missing, so it is False"),
        ({"verified": False}, "verified is False; nothing is missing, so it is True"),
        ({"seed": "seven"}, "seed is 'seven'; expected a whole number"),
        ({"rankable": False}, "rankable is False; nothing is missing, so it is True"),
        ({"simulated": False}, "of the same truth fingerprint"),
        (
            {"mask_class_pixels": {"SIC": 7, "SOD": 0, "FLOE": 0}},
            "mask_class_pixels does not follow from the histograms",
        ),
        ({"bootstrap": {}}, "bootstrap.resamples is missing"),
        (
            {"bootstrap": {"resamples": 0, "seed": 0}},
            "bootstrap.resamples is 0; expected a whole number from 1 to",
        ),
        (
            {"bootstrap": {"resamples": 9, "seed": -1}},
            "bootstrap.seed is -1; expected a whole number of at least 0",
        ),
        ({"format": 2}, "not a submission of this format"),
        ({"scenes": []}, "scenes is a list of 0; expected a list of 1 to"),
        ({"scenes": [1]}, "scenes[0] is 1; expected an object"),
        ({"name": 5}, "name is 5; expected 1-100 letters"),
        ({"verified": "yes"}, "verified is 'yes'; expected true or false"),
        ({"format": True}, "format is true; expected a whole number"),
        ({"missing": [1]}, "missing[0] is 1; expected a text"),
        ({"files": []}, "files is a list of 0; expected an object"),
        ({"label_rule": {}}, "label_rule.name is missing"),
        (
            {"label_rule": {"name": "majority", "sod_threshold": 65, "floe_threshold": 65}},
            "label rule 'majority'; expected autoice-2022 or dominant-sum",
        ),
        (
            {"label_rule": {"name": "dominant-sum", "sod_threshold": 101, "floe_threshold": 65}},
            "label_rule.sod_threshold is 101; expected a whole number from 1 to 100",
        ),
    ],
)
def test_check_finds_changed_metadata(root: Path, changes: dict[str, object], message: str) -> None:
    edit_json(root / "official/good/submission.json", **changes)
    assert any(message in problem for problem in check_leaderboard(root))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scene_id": "foo"}, "is 'foo'; expected a scene id"),
        ({"shape": [13]}, "shape is a list of 1; expected a list of 2"),
        ({"shape": [10**18, 1]}, "shape[0] is 1000000000000000000; expected a whole number from 1"),
        ({"shape": [0, 1]}, "shape[0] is 0; expected a whole number from 1 to 32768"),
        ({"shape": ["a", 13]}, "shape[0] is 'a'; expected a whole number"),
        ({"region": 5}, "region is 5; expected a text"),
        ({"truth_sha256": None}, "truth_sha256 is null; expected 64"),
    ],
)
def test_check_finds_changed_scenes(root: Path, changes: dict[str, object], message: str) -> None:
    path = root / "official/good/submission.json"
    first, *others = json.loads(path.read_text())["scenes"]
    edit_json(path, scenes=[first | changes, *others])
    (problem,) = check_leaderboard(root)
    assert message in problem


def test_check_reads_json_that_is_no_object(root: Path) -> None:
    (root / "official/good/submission.json").write_text("[]")
    (problem,) = check_leaderboard(root)
    assert "is a list of 0; expected an object" in problem


def drop_rows(folder: Path, **values: str) -> None:
    """Delete the rows of these values and renew the file's recorded hash, as a forger would."""
    path = folder / "scores.parquet"
    table = pq.read_table(path)
    dropped = reduce(pc.and_, (pc.equal(table[column], value) for column, value in values.items()))
    pq.write_table(table.filter(pc.invert(dropped)), path)
    files = json.loads((folder / "submission.json").read_text())["files"]
    edit_json(folder / "submission.json", files=files | {path.name: hash_file(path)})


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> Metric:
    """A metric of the next version, in the table."""
    metric = Metric("made_up", accuracy, "no valid pixels", direction="lower", since="0.2.0")
    monkeypatch.setattr(definitions, "METRICS", (*definitions.METRICS, metric))
    return metric


def test_submission_of_before_a_metric_stays_valid(
    root: Path, poor: Evaluation, made_up: Metric, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert json.loads((root / "official/good/submission.json").read_text())["scorer_version"] == (
        "0.1.0"
    )
    assert check_leaderboard(root) == []
    # One that has the metric is beside them, and the board says what the others lack.
    submit(dataclasses.replace(poor, predictions_sha256="f" * 64), root, "new")
    edit_json(root / "official/new/submission.json", scorer_version="0.2.0")
    monkeypatch.setattr(check, "__version__", "0.2.0")
    assert check_leaderboard(root) == []
    (board,) = build_boards(read_leaderboard(root).submissions, View(metric=made_up.name))
    first, *others = board.entries
    assert (first.rank, first.submission.name) == (1, "new")
    assert [entry.rank for entry in others] == [None, None]


@pytest.mark.parametrize("version", ["0.1.0", "0.2.0"])
def test_deleted_rows_of_an_old_metric_are_found(
    root: Path, made_up: Metric, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "__version__", "0.2.0")
    edit_json(root / "official/poor/submission.json", scorer_version=version)
    drop_rows(root / "official/poor", metric="within_one_class", chart="SOD", group_kind="all")
    problems = check_leaderboard(root)
    assert problems[0].startswith(f"{root}/official/poor: scores.parquet does not hold the rows")
    assert "SOD within_one_class of all all" in problems[0]
    # Who claims the newer version must have its metric too.
    assert ("made_up" in problems[0]) == (version == "0.2.0")


def test_rows_that_the_histograms_do_not_give_are_named(
    root: Path, good: Evaluation, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as later:
        metric = Metric("made_up", accuracy, "no valid pixels", charts=("SIC",), since="0.2.0")
        later.setattr(definitions, "METRICS", (*definitions.METRICS, metric))
        submit(good, root, "good", overwrite=True)
    edit_json(root / "official/good/submission.json", scorer_version="0.2.0")
    newer, problem = check_leaderboard(root)
    assert "scorer_version is 0.2.0; this is autoice-bench 0.1.0" in newer
    assert "holds metrics that autoice-bench 0.1.0 does not know: SIC made_up" in problem
    assert "scored by 0.2.0" in problem
    rewrite(root / "official/poor", "scores", "group_name", 0, "nowhere")
    problems = check_leaderboard(root)[1:]
    assert any(
        "lacks 1 row, such as combined combined of all all" in problem for problem in problems
    )
    assert any(
        "holds beside them 1 row, such as combined combined of all nowhere" in p for p in problems
    )
    rewrite(root / "official/poor", "scores", "metric", 0, "official")
    rewrite(root / "official/poor", "scores", "group_name", 0, "all")
    problems = check_leaderboard(root)[1:]
    assert any("holds combined official of all all more than once" in p for p in problems)
    edit_json(root / "official/poor/submission.json", scorer_version="new")
    drop_rows(root / "official/poor", metric="official")
    assert any("scorer_version is 'new'; expected a version" in x for x in check_leaderboard(root))


def test_check_takes_no_truth_from_partial_submissions(good: Evaluation, root: Path) -> None:
    # Without FLOE in any scene the fingerprint stays, but no FLOE pixel is counted; 'first' is
    # read before the others.
    no_floe = {**good.histograms, "FLOE": np.zeros_like(good.histograms["FLOE"])}
    partial = dataclasses.replace(
        good, histograms=no_floe, missing=("p: lacks FLOE",), predictions_sha256="f" * 64
    )
    submit(partial, root, "first")
    assert check_leaderboard(root) == []


def test_submission_that_cannot_be_written_is_told(good: Evaluation, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LeaderboardError, match="official/x: cannot be written: Not a directory"):
        submit(good, tmp_path / "file", "x")


def test_check_finds_missing_files_and_duplicates(good: Evaluation, root: Path) -> None:
    submit(good, root, "twin")
    (root / "official/poor/histograms.parquet").unlink()
    problems = check_leaderboard(root)
    assert any("histograms.parquet is missing" in problem for problem in problems)
    assert any("twin: has the same predictions as good" in problem for problem in problems)


def test_check_finds_names_that_differ_in_case_only(poor: Evaluation, root: Path) -> None:
    submit(dataclasses.replace(poor, predictions_sha256="f" * 64), root, "Good")
    assert any("upper and lower case only" in problem for problem in check_leaderboard(root))


def test_check_finds_negative_and_missing_cells(root: Path) -> None:
    rewrite(root / "official/good", "histograms", "n_pixels", 0, -1)
    rewrite(root / "official/poor", "histograms", "truth_class", 0, 1)
    problems = check_leaderboard(root)
    assert any("negative counts of SIC" in problem for problem in problems)
    assert any("does not hold each SIC cell once" in problem for problem in problems)


def test_missing_leaderboard_is_told(tmp_path: Path) -> None:
    with pytest.raises(LeaderboardError, match="no leaderboard here"):
        check_leaderboard(tmp_path / "none")


def test_other_chart_pixels_make_another_truth(store: Path, tmp_path: Path) -> None:
    charts = predictions_of(SCENES[0])  # any other valid charts
    other = write_store(tmp_path / "other.zarr", charts_of={SCENES[0]: charts})
    folder = write_predictions(tmp_path / "p")
    write_netcdf(folder / f"{SCENES[0]}.nc", charts)
    first, second = (evaluate(folder, StoreTruth(path)) for path in (store, other))
    assert first.truth_fingerprint != second.truth_fingerprint
    assert first.predictions_sha256 == second.predictions_sha256


@pytest.mark.parametrize("field", ["name", "split", "subset"])
@pytest.mark.parametrize("text", ["\ud800x", "\x1b[2Jx\nFAKE", "../evil", ""])
def test_unsafe_names_in_a_submission_are_told(root: Path, field: str, text: str) -> None:
    edit_json(root / "official/good/submission.json", **{field: text})
    found = read_leaderboard(root)
    assert [submission.name for submission in found.submissions] == ["poor"]
    (invalid,) = found.invalid
    assert (
        f"official/good: not a submission of this format: {field} is {text!r}; expected 1-100"
        in (invalid.reason)
    )
    assert invalid.reason in check_leaderboard(root)


@pytest.mark.parametrize(
    "changes",
    [
        {"missing": ["a\nb"]},
        {"label_rule": {"name": "\x9b", "sod_threshold": 65, "floe_threshold": 65}},
        {"files": {"scores.parquet": "0" * 64, "histograms.parquet": "0" * 64, "\u202e": "x"}},
        {"authors": "\x1b[2J"},
        {"anything": {"a": ["\ud800"]}},
    ],
)
def test_control_characters_are_refused(root: Path, changes: dict[str, object]) -> None:
    edit_json(root / "official/good/submission.json", **changes)
    (invalid,) = read_leaderboard(root).invalid
    assert "a text without control characters" in invalid.reason
    assert is_printable(invalid.reason)


def test_control_characters_in_tables_are_refused(root: Path) -> None:
    rewrite(root / "official/good", "scores", "group_name", 0, "\x1b[2J")
    (invalid,) = read_leaderboard(root).invalid
    assert "scores.parquet: group_name is '\\x1b[2J'; expected text" in invalid.reason


def test_names_of_folders_are_made_visible(root: Path) -> None:
    name = "\x1b[2Jx\nFAKE"
    shutil.copytree(root / "official/good", root / "official" / name)
    (invalid,) = read_leaderboard(root).invalid
    assert is_printable(invalid.reason)
    (record,) = invalid_records([invalid])
    assert record["submission"] == r"\x1b[2Jx\nFAKE"
    assert all(map(is_printable, check_leaderboard(root)))
    with pytest.raises(LeaderboardError) as caught:
        find_submission(root, "none")
    assert is_printable(str(caught.value))


def test_descriptions_may_have_lines_but_no_control_characters() -> None:
    assert parse_description({"description": "one\ntwo"}, "x").description == "one\ntwo"
    for text in ("\ud800", "\x1b[2J"):
        with pytest.raises(LeaderboardError, match=r"x: authors is .* without control characters"):
            parse_description({"authors": text}, "x")


def test_submissions_count_where_they_lie_only(root: Path) -> None:
    shutil.copytree(root / "official/good", root / "official/better")
    shutil.copytree(root / "official/good", root / "strict/good")
    found = read_leaderboard(root)
    assert [submission.folder.name for submission in found.submissions] == ["good", "poor"]
    better, strict = (each.reason for each in found.invalid)
    assert better.startswith(f"{root}/official/better: ")
    assert "is named 'good'; expected the folder's name" in better
    assert strict.startswith(f"{root}/strict/good: ")
    assert "belongs to official; found under strict" in strict
    assert check_leaderboard(root) == [better, strict]
    with pytest.raises(LeaderboardError, match="belongs to official; found under strict"):
        find_submission(root, "strict/good")
