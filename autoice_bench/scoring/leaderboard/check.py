"""Checking a leaderboard's submissions: what a pull request's automatic check runs.

Everything in a submission that follows from something else in it is derived again: digests,
fingerprints and every score from the histograms. The rest is as its writer states it
(``AS_STATED``): ``rescoring`` compares it with the predictions. The truth sums of the histograms
must agree among all submissions to a board.
"""

from __future__ import annotations

import multiprocessing
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from autoice_bench import __version__
from autoice_bench.callbacks import Progress
from autoice_bench.charts import CHART_NAMES, CHARTS
from autoice_bench.errors import LeaderboardError
from autoice_bench.formats.decoding import reason_of
from autoice_bench.official import OFFICIAL_TEST, STUDY_VALIDATION
from autoice_bench.scene_id import parse_scene_id
from autoice_bench.scoring.leaderboard.boards import submission_folders
from autoice_bench.scoring.leaderboard.submission import (
    Submission,
    SubmissionRecord,
    read_submission,
)
from autoice_bench.scoring.leaderboard.submission_tables import KEY_COLUMNS, SCORES_FILE, as_array
from autoice_bench.scoring.metrics import definitions, formulas
from autoice_bench.scoring.metrics.definitions import is_newer, parse_version
from autoice_bench.scoring.scores import NO_CLASS, build_score_columns
from autoice_bench.wording import format_count, format_listing, make_visible

TOLERANCE: Final = 1e-9
"""Largest difference between a recorded and a recomputed score, percent."""

INTERVAL_TOLERANCE: Final = 0.25
"""Largest such difference of an interval's bound, in widths: numpy may change its streams."""

AS_STATED: Final = (
    "predictions_sha256",
    "scorer_version",
    "missing",
    "simulated",
    "regions and shapes of scenes",
    "the description",
)
"""What does not follow from a submission's own files."""

_MANY: Final = 100
"""Submissions from which several processes are worth their start, half a second."""
_CHUNK: Final = 8
"""Submissions that a process gets at a time."""
_THREADS: Final = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")

_RELEASED: Final = frozenset({*OFFICIAL_TEST, *STUDY_VALIDATION})

_Key = tuple[Any, ...]
_Columns = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class _Seen:
    """What the checks between submissions need of one.

    Attributes:
        record: what ``submission.json`` says.
        truth: chart name to (n_scenes, C) pixels of each class in the truth.
    """

    record: SubmissionRecord
    truth: Mapping[str, NDArray[np.int64]]


def check_leaderboard(
    root: Path,
    *,
    workers: int | None = 1,
    progress: Progress | None = None,
) -> list[str]:
    """Check every submission of a leaderboard.

    Args:
        root: the leaderboard.
        workers: processes; None for one per core where there are many submissions.
        progress: called with the submissions done and all of them, after each.

    Returns:
        One line per problem, beginning with the submission's folder; empty if all is well.

    Raises:
        LeaderboardError: ``root`` is not a folder, or a process cannot be started or died.
    """
    problems: list[str] = []
    seen: list[_Seen] = []
    folders = submission_folders(root)
    if workers is None:
        workers = len(os.sched_getaffinity(0)) if len(folders) >= _MANY else 1
    results = _map_pool(folders, workers) if workers > 1 else map(_check_folder, folders)
    for number, (found, each) in enumerate(results, start=1):
        problems += found
        seen += [each] if each is not None else []
        if progress is not None:
            progress(number, len(folders))
    records = [each.record for each in seen]
    problems += _find_duplicates(records)
    problems += _find_clashing_names(records)
    problems += _find_other_truths(seen)
    return [make_visible(problem) for problem in problems]


def _map_pool(folders: Sequence[Path], workers: int) -> Iterator[tuple[list[str], _Seen | None]]:
    """``_check_folder`` of each folder, in their order, in processes of one thread each."""
    context = multiprocessing.get_context("spawn")
    try:
        with ProcessPoolExecutor(min(workers, len(folders)), mp_context=context) as pool:
            with _environment(dict.fromkeys(_THREADS, "1")):
                # The processes start with the first tasks; more threads would but wait for cores.
                results = pool.map(_check_folder, folders, chunksize=_CHUNK)
            yield from results
    except (OSError, BrokenProcessPool) as error:
        raise LeaderboardError(
            f"a process of the check could not be started or died ({reason_of(error)}); "
            "--workers 1 needs none"
        ) from error


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Variables for the processes that are started meanwhile; those that are set stay."""
    new = {name: value for name, value in values.items() if name not in os.environ}
    os.environ.update(new)
    try:
        yield
    finally:
        for name in new:
            del os.environ[name]


def _check_folder(folder: Path) -> tuple[list[str], _Seen | None]:
    """The problems of one submission, and what is compared with others; None if unreadable."""
    try:
        submission = read_submission(folder)
    except LeaderboardError as error:
        return [str(error)], None
    histograms = submission.evaluation.histograms
    truth = {name: formulas.support(counts) for name, counts in histograms.items()}
    problems = [f"{folder}: {problem}" for problem in _check_submission(submission)]
    return problems, _Seen(submission.record, truth)


def _check_submission(submission: Submission) -> Iterator[str]:
    metadata, evaluation = submission.metadata, submission.evaluation
    if metadata["truth_fingerprint"] != evaluation.truth_fingerprint:
        yield "truth_fingerprint does not follow from the scenes listed"
    for name in ("rankable", "verified"):
        if metadata[name] != evaluation.rankable:
            lacks = "nothing is missing" if evaluation.rankable else "something is missing"
            yield f"{name} is {metadata[name]}; {lacks}, so it is {evaluation.rankable}"
    if metadata["mask_class_pixels"] != evaluation.mask_class_pixels:
        yield "mask_class_pixels does not follow from the histograms"
    yield from _check_version(submission)
    yield from _check_missing(submission)
    yield from _check_simulated(submission.record)
    yield from _check_counts(submission)
    yield from _check_scores(submission)


def _check_version(submission: Submission) -> Iterator[str]:
    """A version is no older than the metrics it knew, and no newer than the one that checks."""
    stated = submission.metadata["scorer_version"]
    if parse_version(stated) > parse_version(__version__):
        yield (
            f"scorer_version is {stated}; this is autoice-bench {__version__}, which cannot check "
            "what a newer one wrote: update it"
        )
    elif parse_version(stated) < parse_version(definitions.FIRST_VERSION):
        yield f"scorer_version is {stated}; the first was {definitions.FIRST_VERSION}"
    recorded = set(
        zip(*(as_array(submission.score_table, name) for name in ("chart", "metric")), strict=True)
    )
    later = [f"{chart} {metric}" for chart, metric in recorded if is_newer(chart, metric, stated)]
    if later:
        yield f"scorer_version is {stated}, which did not know {format_listing(sorted(later))}"


def _check_missing(submission: Submission) -> Iterator[str]:
    """What is said to be missing was not counted."""
    evaluation = submission.evaluation
    said = set(evaluation.missing)
    for index, scene in enumerate(evaluation.scenes):
        if f"scene {scene.scene_id} is missing" in said:
            yield f"scene {scene.scene_id} is listed among the scenes and as missing"
        for name in CHART_NAMES:
            lacks = f"scene {scene.scene_id} lacks {name}" in said
            if lacks and evaluation.histograms[name][index].any():
                yield f"scene {scene.scene_id} is said to lack {name}, but its pixels are counted"


def _check_simulated(record: SubmissionRecord) -> Iterator[str]:
    """Simulated scenes are dated in the future; those of the challenge are real."""
    now = datetime.now(UTC)
    for scene in record.scenes:
        is_future = parse_scene_id(scene.scene_id).acquisition_time > now
        if is_future and not record.simulated:
            yield f"simulated is False, but scene {scene.scene_id} lies in the future"
            return
        if scene.scene_id in _RELEASED and record.simulated:
            yield f"simulated is True, but scene {scene.scene_id} is one of the challenge's"
            return


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
    recomputed = build_score_columns(
        submission.evaluation,
        submission.name,
        resamples=bootstrap["resamples"],
        seed=bootstrap["seed"],
    )
    recorded = {
        name: as_array(submission.score_table, name) for name in submission.score_table.column_names
    }
    classes = recorded["class_index"]
    recorded["class_index"] = np.where(np.isnan(classes), NO_CLASS, classes)
    if _have_same_rows(recorded, recomputed):
        yield from _check_values(recorded, recomputed)
        return
    ours, theirs = _rows_by_key(recomputed), _rows_by_key(recorded)
    if len(theirs) < len(recorded["value"]):
        yield f"{SCORES_FILE} holds {_name_row(_find_double(recorded))} more than once"
        return
    yield from _check_rows(theirs, ours, submission.metadata["scorer_version"])
    common = [key for key in ours if key in theirs]
    theirs_at, ours_at = ([rows[key] for key in common] for rows in (theirs, ours))
    yield from _check_values(
        {name: column[theirs_at] for name, column in recorded.items()},
        {name: column[ours_at] for name, column in recomputed.items()},
    )


def _have_same_rows(a: _Columns, b: _Columns) -> bool:
    """Whether two tables are about the same, row by row."""
    return all(np.array_equal(a[name], b[name]) for name in (*KEY_COLUMNS, "class_index"))


def _keys(columns: _Columns) -> list[_Key]:
    """What each row is about."""
    names = (*KEY_COLUMNS, "class_index")
    return list(zip(*(columns[name].tolist() for name in names), strict=True))


def _rows_by_key(columns: _Columns) -> dict[_Key, int]:
    return {key: row for row, key in enumerate(_keys(columns))}


def _find_double(columns: _Columns) -> _Key:
    return next(key for key, times in Counter(_keys(columns)).items() if times > 1)


def _check_rows(
    recorded: Mapping[_Key, int], recomputed: Mapping[_Key, int], version: str
) -> Iterator[str]:
    """Say which rows are missing, or are more than the histograms give."""
    lacking = [
        key for key in recomputed if key not in recorded and not is_newer(key[0], key[1], version)
    ]
    foreign = [key for key in recorded if key not in recomputed]
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


def _check_values(recorded: _Columns, recomputed: _Columns) -> Iterator[str]:
    """Compare two tables of the same rows."""
    width = np.nan_to_num(recomputed["ci_high"] - recomputed["ci_low"])
    allowed = TOLERANCE + INTERVAL_TOLERANCE * width
    differs = {
        "value": _differs(recorded["value"], recomputed["value"], np.asarray(TOLERANCE)),
        **{
            bound: _differs(recorded[bound], recomputed[bound], allowed)
            for bound in ("ci_low", "ci_high")
        },
        **{
            name: recorded[name] != recomputed[name]
            for name in (
                "n_pixels",
                "n_scenes",
                "unit",
                "split",
                "submission",
                "truth_fingerprint",
            )
        },
    }
    wrong = np.logical_or.reduce(list(differs.values()))
    if not wrong.any():
        return
    row = int(np.flatnonzero(wrong)[0])
    column = next(name for name, where in differs.items() if where[row])
    shown = [_show_cell(columns[column][row]) for columns in (recorded, recomputed)]
    n_wrong = int(wrong.sum())
    rows = f"{format_count(n_wrong, 'row')} of {SCORES_FILE}"
    yield (
        f"{rows} {'differs' if n_wrong == 1 else 'differ'} from the histograms: "
        f"{_name_row(_keys(recorded)[row])}: {column} is {shown[0]}; recomputed {shown[1]}"
    )


def _show_cell(value: object) -> str:
    return f"{value:.6f}" if isinstance(value, float) else str(value)


def _name_row(key: Sequence[Any]) -> str:
    chart, metric, group_kind, group_name, class_index = key
    of_class = "" if class_index < 0 else f" class {int(class_index)}"
    return f"{chart} {metric}{of_class} of {group_kind} {group_name}"


def _differs(
    a: NDArray[np.float64], b: NDArray[np.float64], allowed: NDArray[np.float64]
) -> NDArray[np.bool_]:
    close = np.abs(a - b) <= allowed
    return ~(close | (np.isnan(a) & np.isnan(b)))


def _find_duplicates(records: Iterable[SubmissionRecord]) -> Iterator[str]:
    same: dict[tuple[str, str], list[SubmissionRecord]] = defaultdict(list)
    for record in records:
        same[record.board, record.metadata["predictions_sha256"]].append(record)
    for members in same.values():
        for later in members[1:]:
            yield f"{later.folder}: has the same predictions as {members[0].name}"


def _find_clashing_names(records: Iterable[SubmissionRecord]) -> Iterator[str]:
    """Names that are one name on a file system that ignores case."""
    first: dict[tuple[str, str], str] = {}
    for record in records:
        name = first.setdefault((record.board, record.name.lower()), record.name)
        if name != record.name:
            yield f"{record.folder}: differs from {name} in upper and lower case only"


def _find_other_truths(seen: Iterable[_Seen]) -> Iterator[str]:
    """Submissions whose truth differs from that of the first with the same truth fingerprint."""
    first: dict[tuple[str, str], tuple[str, NDArray[np.int64]]] = {}
    simulated: dict[str, SubmissionRecord] = {}
    for each in seen:
        record, fingerprint = each.record, each.record.truth_fingerprint
        other = simulated.setdefault(fingerprint, record)
        if other.simulated != record.simulated:
            yield (
                f"{record.folder}: simulated is {record.simulated}; {other.name} says otherwise "
                "of the same truth fingerprint"
            )
        if not record.rankable:  # lacks charts, and with them their truth
            continue
        for name, counts in each.truth.items():
            known, expected = first.setdefault((fingerprint, name), (record.name, counts))
            if not np.array_equal(counts, expected):
                yield (
                    f"{record.folder}: counts other {name} truth pixels than {known}, which has "
                    "the same truth fingerprint"
                )
