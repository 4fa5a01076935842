"""One submission on disk: ``scores.parquet``, ``histograms.parquet`` and ``submission.json``.

The folder appears whole or not at all, and every submission has its own, so that concurrent scorers
never conflict and git merges cleanly. The tables have plain Parquet types.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

import pandas as pd
import pyarrow as pa

from autoice_bench import __version__
from autoice_bench.errors import LabelError, LeaderboardError
from autoice_bench.formats.label_rule import LabelRule
from autoice_bench.formats.names import require_safe_name
from autoice_bench.formats.own_folders import require_own
from autoice_bench.formats.plain_files import is_there, read_json
from autoice_bench.formats.whole_files import read_settled, whole_folder
from autoice_bench.scoring.evaluate import Evaluation
from autoice_bench.scoring.leaderboard.submission_metadata import (
    require_printable,
    validate_metadata,
)
from autoice_bench.scoring.leaderboard.submission_tables import (
    HISTOGRAMS_FILE,
    HISTOGRAMS_SCHEMA,
    SCORES_FILE,
    SCORES_SCHEMA,
    build_histogram_table,
    hash_file,
    parse_histogram_table,
    read_table,
    write_table,
)
from autoice_bench.scoring.metrics.uncertainty import RESAMPLES, SEED
from autoice_bench.scoring.predictions.writing import DESCRIPTION_FILE
from autoice_bench.scoring.truth.protocol import TruthScene

SCHEMA_VERSION: Final = 1
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
class Submission:
    """A submission read back.

    Attributes:
        folder: where it lies.
        metadata: content of ``submission.json``.
        scores: the table of scores.
        evaluation: its joint histograms, as they were scored.
    """

    folder: Path
    metadata: dict[str, Any]
    scores: pd.DataFrame
    evaluation: Evaluation

    @property
    def name(self) -> str:
        return str(self.metadata["name"])


def require_submission_name(name: str) -> str:
    """Return ``name`` if a submission or a board can be called so; see ``require_safe_name``.

    Raises:
        LeaderboardError: it cannot be a folder's name everywhere.
    """
    return require_safe_name(name, LeaderboardError, advice="choose with --name")


def parse_description(content: Mapping[str, Any], where: str) -> SubmissionDescription:
    """Read a description from parsed JSON.

    Raises:
        LeaderboardError: a field is unknown, has the wrong type or holds control characters.
    """
    known = set(DESCRIPTION_FIELDS)
    unknown = sorted(set(content) - known)
    if unknown:
        raise LeaderboardError(
            f"{where}: unknown field {unknown[0]!r}; expected {', '.join(sorted(known))}"
        )
    types: dict[str, tuple[type, ...]] = {"seed": (int,), "training_hours": (int, float)}
    for name, value in content.items():
        expected = types.get(name, (str,))
        if value is not None and (not isinstance(value, expected) or isinstance(value, bool)):
            raise LeaderboardError(
                f"{where}: {name} is {value!r}; expected {expected[-1].__name__}"
            )
        if isinstance(value, float) and not math.isfinite(value):  # no JSON number
            raise LeaderboardError(f"{where}: {name} is {value}; expected a finite number")
        try:
            require_printable(value, name, breaks=True)
        except ValueError as error:
            raise LeaderboardError(f"{where}: {error}") from None
    return SubmissionDescription(**content)


def find_description(file: Path | None, predictions: Path) -> SubmissionDescription:
    """The submitter's description: from ``file``, else beside the predictions, else empty.

    Raises:
        LeaderboardError: the file is missing or not a JSON object of known fields.
    """
    beside = (predictions if predictions.is_dir() else predictions.parent) / DESCRIPTION_FILE
    path = file or beside
    if file is None and not is_there(path):
        return SubmissionDescription()
    try:
        content = read_json(path)
    except (OSError, ValueError) as error:
        raise LeaderboardError(f"{path}: cannot be read as JSON: {error}") from error
    if not isinstance(content, dict):
        raise LeaderboardError(f"{path}: holds a {type(content).__name__}; expected an object")
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


def read_submission(folder: Path) -> Submission:
    """Read a submission's folder.

    Raises:
        LeaderboardError: a file is missing or is not what it should be, or the submission is
            another one than its folder's names say.
    """
    return read_settled(folder, lambda: _read_files(folder))


def _read_files(folder: Path) -> Submission:
    try:
        metadata = read_json(folder / SUBMISSION_FILE)
        validate_metadata(metadata)
        scores = read_table(folder / SCORES_FILE, SCORES_SCHEMA)
        histograms = read_table(folder / HISTOGRAMS_FILE, HISTOGRAMS_SCHEMA)
        evaluation = _read_evaluation(metadata, histograms)
        _require_place(folder, metadata["name"], evaluation.board)
    except FileNotFoundError as error:
        raise LeaderboardError(
            f"{folder}: {Path(error.filename).name} is missing; `autoice-bench score` writes it"
        ) from None
    except OSError as error:
        raise LeaderboardError(f"{folder}: cannot be read: {error}") from error
    except (
        KeyError,
        TypeError,
        ValueError,
        LabelError,
        LeaderboardError,
        pa.ArrowException,
    ) as error:
        raise LeaderboardError(f"{folder}: not a submission of this format: {error}") from error
    return Submission(folder, metadata, scores, evaluation)


def _require_place(folder: Path, name: str, board: str) -> None:
    """Check that a submission lies where its names say: no copy counts for another board."""
    place = folder.absolute()
    if name != place.name:
        raise ValueError(f"is named {name!r}; expected the folder's name")
    if board != place.parent.name:
        raise ValueError(f"belongs to {board}; found under {place.parent.name}")


def _write_files(
    folder: Path, evaluation: Evaluation, scores: pd.DataFrame, metadata: Mapping[str, Any]
) -> None:
    write_table(scores, SCORES_SCHEMA, folder / SCORES_FILE)
    scene_ids = [scene.scene_id for scene in evaluation.scenes]
    histograms = build_histogram_table(evaluation.histograms, scene_ids)
    write_table(histograms, HISTOGRAMS_SCHEMA, folder / HISTOGRAMS_FILE)
    hashes = {file: hash_file(folder / file) for file in (SCORES_FILE, HISTOGRAMS_FILE)}
    text = json.dumps({**metadata, "files": hashes}, indent=2, ensure_ascii=False) + "\n"
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


def _read_evaluation(metadata: dict[str, Any], table: pd.DataFrame) -> Evaluation:
    scenes = tuple(
        TruthScene(scene["scene_id"], scene["region"], tuple(scene["shape"]), scene["truth_sha256"])
        for scene in metadata["scenes"]
    )
    if metadata["format"] != SCHEMA_VERSION:
        raise ValueError(f"format {metadata['format']}; expected {SCHEMA_VERSION}")
    return Evaluation(
        split=metadata["split"],
        subset=metadata["subset"],
        rule=LabelRule(**metadata["label_rule"]),
        simulated=metadata["simulated"],
        scenes=scenes,
        histograms=parse_histogram_table(table, [scene.scene_id for scene in scenes]),
        predictions_sha256=metadata["predictions_sha256"],
        missing=tuple(metadata["missing"]),
    )
