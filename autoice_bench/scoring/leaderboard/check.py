"""Checking a leaderboard's submissions: what a pull request's automatic check runs.

Everything in a submission that can be derived is derived again: file hashes, fingerprints and every
score from the histograms. What cannot be checked without the predictions is the histograms' own
truthfulness; their truth sums must agree among all submissions to a board.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from autoice_bench import __version__
from autoice_bench.charts import CHARTS
from autoice_bench.errors import LeaderboardError
from autoice_bench.scoring.leaderboard.boards import submission_folders
from autoice_bench.scoring.leaderboard.submission import (
    DESCRIPTION_FIELDS,
    Submission,
    parse_description,
    read_submission,
)
from autoice_bench.scoring.leaderboard.submission_tables import (
    HISTOGRAMS_FILE,
    KEY_COLUMNS,
    SCORES_FILE,
    hash_file,
)
from autoice_bench.scoring.metrics import formulas
from autoice_bench.scoring.metrics.definitions import is_newer
from autoice_bench.scoring.scores import build_scores
from autoice_bench.wording import format_count, format_listing, make_visible

TOLERANCE: Final = 1e-9
"""Largest difference between a recorded and a recomputed score, percent."""

INTERVAL_TOLERANCE: Final = 0.25
"""Largest such difference of an interval's bound, in widths: numpy may change its streams."""


def check_leaderboard(root: Path) -> list[str]:
    """Check every submission of a leaderboard.

    Returns:
        One line per problem, beginning with the submission's folder; empty if all is well.

    Raises:
        LeaderboardError: ``root`` is not a folder.
    """
    problems: list[str] = []
    submissions: list[Submission] = []
    for folder in submission_folders(root):
        try:
            submission = read_submission(folder)
        except LeaderboardError as error:
            problems.append(str(error))
            continue
        submissions.append(submission)
        problems += [f"{folder}: {problem}" for problem in _check_submission(submission)]
    problems += _find_duplicates(submissions)
    problems += _find_clashing_names(submissions)
    problems += _find_other_truths(submissions)
    return [make_visible(problem) for problem in problems]


def _check_submission(submission: Submission) -> Iterator[str]:
    folder, metadata, evaluation = submission.folder, submission.metadata, submission.evaluation
    try:
        described = {key: metadata.get(key) for key in DESCRIPTION_FIELDS}
        parse_description(described, "submission.json")
    except LeaderboardError as error:
        yield str(error)
    for name in (SCORES_FILE, HISTOGRAMS_FILE):
        if metadata["files"].get(name) != hash_file(folder / name):
            yield f"{name} does not have the SHA-256 that submission.json records"
    if metadata["truth_fingerprint"] != evaluation.truth_fingerprint:
        yield "truth_fingerprint does not follow from the scenes listed"
    if metadata["verified"] and not evaluation.rankable:
        yield "is marked verified although it is partial"
    if metadata["rankable"] != evaluation.rankable:
        yield f"rankable is {metadata['rankable']}; the scenes and charts it lacks say otherwise"
    if metadata["mask_class_pixels"] != evaluation.mask_class_pixels:
        yield "mask_class_pixels does not follow from the histograms"
    yield from _check_counts(submission)
    yield from _check_scores(submission)


def _check_counts(submission: Submission) -> Iterator[str]:
    for index, scene in enumerate(submission.evaluation.scenes):
        for chart in CHARTS:
            n_pixels = int(submission.evaluation.histograms[chart.name][index].sum())
            size = scene.shape[0] * scene.shape[1]
            if n_pixels > size:
                yield (
                    f"scene {scene.scene_id}: {chart.name} counts {n_pixels} pixels; "
                    f"the scene has {size}"
                )


def _check_scores(submission: Submission) -> Iterator[str]:
    """Compare the recorded scores with those that the histograms give, row by row.

    A submission lacks the metrics that came in after the version that scored it: it stays valid.
    """
    bootstrap = submission.metadata["bootstrap"]
    recomputed = _by_key(
        build_scores(
            submission.evaluation,
            submission.name,
            resamples=bootstrap["resamples"],
            seed=bootstrap["seed"],
        )
    )
    recorded = _by_key(submission.scores)
    if recorded.index.has_duplicates:
        double = recorded.index[recorded.index.duplicated()][0]
        yield f"{SCORES_FILE} holds {_name_row(double)} more than once"
        return
    yield from _check_rows(recorded.index, recomputed.index, submission.metadata["scorer_version"])
    common = recomputed.index.intersection(recorded.index, sort=False)
    yield from _check_values(recorded.loc[common], recomputed.loc[common])


def _by_key(scores: pd.DataFrame) -> pd.DataFrame:
    """The table indexed by what a row is about; -1 stands for no class."""
    keys = scores[list(KEY_COLUMNS)].assign(class_index=scores["class_index"].fillna(-1))
    return scores.set_index(pd.MultiIndex.from_frame(keys))


def _check_rows(recorded: pd.Index[Any], recomputed: pd.Index[Any], version: str) -> Iterator[str]:
    """Say which rows are missing, or are more than the histograms give."""
    try:
        lacking = [
            key
            for key in recomputed.difference(recorded, sort=False)
            if not is_newer(key[0], key[1], version)
        ]
    except ValueError as error:
        yield f"scorer_version: {error}"
        return
    foreign = list(recorded.difference(recomputed, sort=False))
    known = {key[:2] for key in recomputed}
    unknown = dict.fromkeys(f"{key[0]} {key[1]}" for key in foreign if key[:2] not in known)
    if unknown:
        yield (
            f"{SCORES_FILE} holds metrics that autoice-bench {__version__} does not know: "
            f"{format_listing(unknown)} (scored by {version}; that version can check them)"
        )
    extra = [key for key in foreign if key[:2] in known]
    for verb, keys in (("lacks", lacking), ("holds beside them", extra)):
        if keys:
            of_each_metric = {key[:2]: key for key in reversed(keys)}
            rows = format_listing(map(_name_row, reversed(of_each_metric.values())))
            yield (
                f"{SCORES_FILE} does not hold the rows that the histograms give: {verb} "
                f"{format_count(len(keys), 'row')}, such as {rows}"
            )


def _check_values(recorded: pd.DataFrame, recomputed: pd.DataFrame) -> Iterator[str]:
    """Compare two tables of the same rows."""
    wrong = _differs(recorded["value"], recomputed["value"], pd.Series(TOLERANCE, recorded.index))
    width = (recomputed["ci_high"] - recomputed["ci_low"]).fillna(0.0)
    allowed = TOLERANCE + INTERVAL_TOLERANCE * width
    for bound in ("ci_low", "ci_high"):
        wrong |= _differs(recorded[bound], recomputed[bound], allowed)
    for column in ("n_pixels", "n_scenes", "unit", "split", "submission", "truth_fingerprint"):
        wrong |= recorded[column] != recomputed[column]
    if wrong.any():
        index = int(np.flatnonzero(wrong)[0])
        yield (
            f"{int(wrong.sum())} rows differ from the histograms: "
            f"{_name_row(recorded.index[index])} is {recorded['value'].iloc[index]:.6f}; "
            f"recomputed {recomputed['value'].iloc[index]:.6f}"
        )


def _name_row(key: Sequence[Any]) -> str:
    chart, metric, group_kind, group_name, class_index = key
    of_class = "" if class_index < 0 else f" class {class_index}"
    return f"{chart} {metric}{of_class} of {group_kind} {group_name}"


def _differs(
    a: pd.Series[float], b: pd.Series[float], allowed: pd.Series[float]
) -> pd.Series[bool]:
    close = (a - b).abs() <= allowed
    return ~(close | (a.isna() & b.isna()))


def _find_duplicates(submissions: Iterable[Submission]) -> Iterator[str]:
    same: dict[tuple[str, str], list[Submission]] = defaultdict(list)
    for submission in submissions:
        evaluation = submission.evaluation
        same[evaluation.board, evaluation.predictions_sha256].append(submission)
    for members in same.values():
        for later in members[1:]:
            yield f"{later.folder}: has the same predictions as {members[0].name}"


def _find_clashing_names(submissions: Iterable[Submission]) -> Iterator[str]:
    """Names that are one name on a file system that ignores case."""
    first: dict[tuple[str, str], str] = {}
    for submission in submissions:
        key = (submission.evaluation.board, submission.name.lower())
        name = first.setdefault(key, submission.name)
        if name != submission.name:
            yield f"{submission.folder}: differs from {name} in upper and lower case only"


def _find_other_truths(submissions: Iterable[Submission]) -> Iterator[str]:
    """Submissions whose truth differs from that of the first with the same truth fingerprint."""
    first: dict[tuple[str, str], tuple[str, np.ndarray]] = {}
    simulated: dict[str, Submission] = {}
    for submission in submissions:
        evaluation = submission.evaluation
        other = simulated.setdefault(evaluation.truth_fingerprint, submission)
        if other.evaluation.simulated != evaluation.simulated:
            yield (
                f"{submission.folder}: simulated is {evaluation.simulated}; {other.name} says "
                "otherwise of the same truth fingerprint"
            )
        if not evaluation.rankable:  # lacks charts, and with them their truth
            continue
        for chart in CHARTS:
            counts = formulas.support(evaluation.histograms[chart.name])
            name, expected = first.setdefault(
                (evaluation.truth_fingerprint, chart.name), (submission.name, counts)
            )
            if not np.array_equal(counts, expected):
                yield (
                    f"{submission.folder}: counts other {chart.name} truth pixels than {name}, "
                    "which has the same truth fingerprint"
                )
