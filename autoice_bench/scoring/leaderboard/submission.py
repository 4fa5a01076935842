"""One submission on disk: ``scores.parquet``, ``histograms.parquet`` and ``submission.json``.

The folder appears whole or not at all, and every submission has its own, so that concurrent scorers
never conflict and git merges cleanly. The tables have plain Parquet types. Whatever is read again
is looked at first: sizes, the schema of ``submission.json``, the digest of each file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from autoice_bench import __version__
from autoice_bench.errors import LabelError, LeaderboardError
from autoice_bench.formats.decoding import reason_of
from autoice_bench.formats.label_rule import LabelRule
from autoice_bench.formats.names import require_safe_name
from autoice_bench.formats.own_folders import require_own
from autoice_bench.formats.plain_files import hash_file, is_there, read_json, require_file
from autoice_bench.formats.whole_files import read_settled, whole_folder
from autoice_bench.scoring.evaluate import Evaluation, board_name
from autoice_bench.scoring.leaderboard.submission_metadata import (
    MOST_BYTES,
    SCHEMA_VERSION,
    compute_checksum,
    validate_description,
    validate_metadata,
)
from autoice_bench.scoring.leaderboard.submission_tables import (
    HISTOGRAMS_FILE,
    SCORES_FILE,
    SCORES_SCHEMA,
    build_histogram_table,
    build_scores_table,
    read_histograms,
    read_scores,
    require_histograms,
    write_table,
)
from autoice_bench.scoring.metrics.uncertainty import RESAMPLES, SEED
from autoice_bench.scoring.truth.protocol import TruthScene, compute_truth_fingerprint

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

SUBMISSION_FILE: Final = "submission.json"
_PATIENCE_S: Final = 60.0
"""How long a scorer waits for another of the same name, whose writing takes far less."""


@dataclass(frozen=True)
class SubmissionDescription:
    """What only the submitter knows; every field may be left out.

    Attributes:
        authors: names.
        description: one or two sentences on the method.
        paper: reference or URL.
        code_revision: repository and commit.
        recipe: name of the training recipe.
        seed: seed of the training run.
        store_fingerprint: fingerprint of the store the model was trained on.
        trained_on_test: statement on the use of test scenes, such as ``no``.
        hardware: what it was trained on.
        training_hours: hours of training.
    """

    authors: str | None = None
    description: str | None = None
    paper: str | None = None
    code_revision: str | None = None
    recipe: str | None = None
    seed: int | None = None
    store_fingerprint: str | None = None
    trained_on_test: str | None = None
    hardware: str | None = None
    training_hours: float | None = None


DESCRIPTION_FIELDS: Final = tuple(field.name for field in fields(SubmissionDescription))


@dataclass(frozen=True)
class SubmissionRecord:
    """What ``submission.json`` says, its form checked; the rest is as its writer states it.

    Attributes:
        folder: where the submission lies; its name and its parent's are those in the file.
        metadata: the content.
        rule: label rule of the truth.
        scenes: the scenes scored.
    """

    folder: Path
    metadata: dict[str, Any]
    rule: LabelRule
    scenes: tuple[TruthScene, ...]

    @property
    def name(self) -> str:
        return str(self.metadata["name"])

    @property
    def board(self) -> str:
        """Leaderboard it belongs to; see ``board_name``."""
        return board_name(self.metadata["split"], self.metadata["subset"])

    @property
    def simulated(self) -> bool:
        """Whether the truth is simulated."""
        return bool(self.metadata["simulated"])

    @property
    def rankable(self) -> bool:
        """Whether every scene and chart of the subset was scored."""
        return not self.metadata["missing"]

    @property
    def truth_fingerprint(self) -> str:
        """Follows from the scenes listed; see ``compute_truth_fingerprint``."""
        digests = {scene.scene_id: str(scene.truth_sha256) for scene in self.scenes}
        return compute_truth_fingerprint(self.rule, digests)


@dataclass(frozen=True)
class RecordedSubmission:
    """A submission of which more than its record may have been read.

    Attributes:
        record: what ``submission.json`` says.
    """

    record: SubmissionRecord

    @property
    def name(self) -> str:
        return self.record.name

    @property
    def folder(self) -> Path:
        return self.record.folder

    @property
    def metadata(self) -> dict[str, Any]:
        """Content of ``submission.json``."""
        return self.record.metadata


@dataclass(frozen=True)
class Submission(RecordedSubmission):
    """A submission read back whole.

    Attributes:
        score_table: the scores, texts as dictionaries.
        evaluation: its joint histograms, as they were scored.
    """

    score_table: pa.Table
    evaluation: Evaluation

    @property
    def scores(self) -> pd.DataFrame:
        """The table of scores, as ``build_scores`` makes it."""
        frame: pd.DataFrame = self.score_table.cast(SCORES_SCHEMA).to_pandas()
        return frame.astype({"class_index": "Int64"})


def require_submission_name(name: str) -> str:
    """Return ``name`` if a submission or a board can be called so; see ``require_safe_name``.

    Raises:
        LeaderboardError: it cannot be a folder's name everywhere.
    """
    return require_safe_name(name, LeaderboardError, advice="choose with --name")


def parse_description(content: Any, where: str) -> SubmissionDescription:
    """Read a description from parsed JSON.

    Raises:
        LeaderboardError: a field is unknown, or has another type, length or range.
    """
    validate_description(content, where)
    return SubmissionDescription(**content)


def find_description(file: Path | None, predictions: Path) -> SubmissionDescription:
    """The submitter's description: from ``file``, else beside the predictions, else empty.

    Raises:
        LeaderboardError: the file is missing or not a JSON object of known fields.
    """
    from autoice_bench.scoring.predictions.writing import DESCRIPTION_FILE

    beside = (predictions if predictions.is_dir() else predictions.parent) / DESCRIPTION_FILE
    path = file or beside
    if file is None and not is_there(path):
        return SubmissionDescription()
    try:
        content = read_json(path)
    except (OSError, ValueError) as error:
        raise LeaderboardError(f"{path}: cannot be read as JSON: {error}") from error
    return parse_description(content, str(path))


def require_free(leaderboard: Path, board: str, name: str, *, overwrite: bool) -> None:
    """Check, before any counting, that a submission of this name can be written.

    Args:
        leaderboard: root of the leaderboard.
        board: see ``board_name``.
        name: the submission's name.
        overwrite: whether it may take the place of one that is there.

    Raises:
        LeaderboardError: the name is unsafe, or taken and ``overwrite`` is not set.
    """
    folder = leaderboard / require_submission_name(board) / require_submission_name(name)
    if folder.exists() and not overwrite:
        raise LeaderboardError(
            f"{folder}: a submission of this name exists; --overwrite replaces it, --name renames"
        )


def write_submission(
    evaluation: Evaluation,
    leaderboard: Path,
    name: str,
    scores: pd.DataFrame,
    description: SubmissionDescription | None = None,
    *,
    overwrite: bool = False,
) -> Path:
    """Write ``<leaderboard>/<board>/<name>/``.

    Args:
        evaluation: what was counted.
        leaderboard: root of the leaderboard, created if absent.
        name: the submission's name; a safe folder name.
        scores: ``build_scores(evaluation, name)``, with its default bootstrap.
        description: what the submitter says about it.
        overwrite: replace a submission of this name.

    Returns:
        The submission's folder.

    Raises:
        LeaderboardError: the name is unsafe, or taken and ``overwrite`` is not set, or the folder
            cannot be written.
    """
    require_free(leaderboard, evaluation.board, name, overwrite=overwrite)
    folder = leaderboard / evaluation.board / name
    metadata = _metadata(evaluation, name, description or SubmissionDescription())
    try:
        require_own(folder.parent)
        with whole_folder(folder, replace=overwrite, patience_s=_PATIENCE_S) as partial:
            _write_files(partial, evaluation, scores, metadata)
    except OSError as error:
        # Somebody may have taken the name since the look above: of two scorers one is told.
        if isinstance(error, FileExistsError) and folder.is_dir():
            raise LeaderboardError(
                f"{folder}: another scorer wrote it meanwhile; --overwrite replaces it"
            ) from error
        raise LeaderboardError(f"{folder}: cannot be written: {error.strerror or error}") from error
    return folder


def read_record(folder: Path) -> SubmissionRecord:
    """Read ``submission.json`` alone.

    Raises:
        LeaderboardError: it is missing, damaged or of another form, or the submission lies
            elsewhere than its and its board's names say.
    """
    with _reading(folder):
        path = folder / SUBMISSION_FILE
        size = require_file(path).stat().st_size
        if size > MOST_BYTES:
            raise ValueError(f"{path.name} has {size} bytes; expected at most {MOST_BYTES}")
        metadata = read_json(path)
        validate_metadata(metadata)
        scenes = tuple(
            TruthScene(
                scene_id=each["scene_id"],
                region=each.get("region"),
                shape=tuple(each["shape"]),
                truth_sha256=each["truth_sha256"],
            )
            for each in metadata["scenes"]
        )
        record = SubmissionRecord(folder, metadata, LabelRule(**metadata["label_rule"]), scenes)
        _require_place(folder, record)
    return record


def read_submission(folder: Path) -> Submission:
    """Read a submission whole.

    Raises:
        LeaderboardError: as ``read_record``, or a table is missing, damaged or of another form.
    """
    return read_settled(folder, lambda: _read_whole(folder))


def _read_whole(folder: Path) -> Submission:
    record = read_record(folder)
    with _reading(folder):
        digests, scenes = record.metadata["files"], record.scenes
        table = read_scores(folder, digests[SCORES_FILE], len(scenes))
        scene_ids = [scene.scene_id for scene in scenes]
        histograms = read_histograms(folder, digests[HISTOGRAMS_FILE], scene_ids)
    evaluation = Evaluation(
        split=record.metadata["split"],
        subset=record.metadata["subset"],
        rule=record.rule,
        simulated=record.simulated,
        scenes=scenes,
        histograms=histograms,
        predictions_sha256=record.metadata["predictions_sha256"],
        missing=tuple(record.metadata["missing"]),
    )
    return Submission(record, table, evaluation)


def read_score_columns(record: SubmissionRecord, columns: tuple[str, ...]) -> pa.Table:
    """Read some columns of a submission's scores; see ``read_scores``.

    Raises:
        LeaderboardError: the table is missing, damaged or of another form, or the histograms do
            not have their digest.
    """
    with _reading(record.folder):
        digests, n_scenes = record.metadata["files"], len(record.scenes)
        require_histograms(record.folder, digests[HISTOGRAMS_FILE], n_scenes)
        return read_scores(record.folder, digests[SCORES_FILE], n_scenes, columns)


@contextmanager
def _reading(folder: Path) -> Iterator[None]:
    """Whatever is wrong with a submission, as one line that begins with its folder."""
    try:
        yield
    except FileNotFoundError as error:
        raise LeaderboardError(
            f"{folder}: {Path(error.filename).name} is missing; `autoice-bench score` writes it"
        ) from None
    except OSError as error:
        raise LeaderboardError(f"{folder}: cannot be read: {error}") from error
    except (ValueError, LabelError, LeaderboardError) as error:
        raise LeaderboardError(f"{folder}: not a submission of this format: {error}") from error
    except MemoryError as error:
        raise LeaderboardError(f"{folder}: cannot be read: {reason_of(error)}") from error


def _require_place(folder: Path, record: SubmissionRecord) -> None:
    """Check that a submission lies where its names say: no copy counts for another board."""
    place = folder.absolute()
    if record.name != place.name:
        raise ValueError(f"is named {record.name!r}; expected the folder's name")
    if record.board != place.parent.name:
        raise ValueError(f"belongs to {record.board}; found under {place.parent.name}")


def _write_files(
    folder: Path, evaluation: Evaluation, scores: pd.DataFrame, metadata: Mapping[str, Any]
) -> None:
    write_table(build_scores_table(scores), folder / SCORES_FILE)
    scene_ids = [scene.scene_id for scene in evaluation.scenes]
    write_table(build_histogram_table(evaluation.histograms, scene_ids), folder / HISTOGRAMS_FILE)
    hashes = {file: hash_file(folder / file) for file in (SCORES_FILE, HISTOGRAMS_FILE)}
    content = {**metadata, "files": hashes}
    content["checksum"] = compute_checksum(content)
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    (folder / SUBMISSION_FILE).write_text(text, encoding="utf-8")


def _metadata(
    evaluation: Evaluation, name: str, description: SubmissionDescription
) -> dict[str, Any]:
    described = asdict(description)
    store_fingerprint = described.pop("store_fingerprint")
    return {
        "format": SCHEMA_VERSION,
        "name": name,
        "split": evaluation.split,
        "subset": evaluation.subset,
        **described,
        "truth_fingerprint": evaluation.truth_fingerprint,
        "store_fingerprint": store_fingerprint,
        "label_rule": asdict(evaluation.rule),
        "simulated": evaluation.simulated,
        "scorer_version": __version__,
        "predictions_sha256": evaluation.predictions_sha256,
        "verified": evaluation.rankable,
        "rankable": evaluation.rankable,
        "missing": [line.partition(": ")[2] for line in evaluation.missing],
        "mask_class_pixels": evaluation.mask_class_pixels,
        "bootstrap": {"resamples": RESAMPLES, "seed": SEED},
        "scenes": [{**asdict(scene), "shape": list(scene.shape)} for scene in evaluation.scenes],
    }
