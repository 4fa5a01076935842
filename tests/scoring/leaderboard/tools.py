"""Submissions for tests, and what forgers do to them."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from autoice_bench.formats.plain_files import hash_file
from autoice_bench.scoring.evaluate import Evaluation, evaluate
from autoice_bench.scoring.leaderboard.submission import write_submission
from autoice_bench.scoring.leaderboard.submission_metadata import compute_checksum
from autoice_bench.scoring.scores import build_scores
from autoice_bench.scoring.truth.store_truth import StoreTruth
from tests.scoring.make import write_predictions


def evaluate_noisy(store: Path, folder: Path, error: float, seed: int = 0) -> Evaluation:
    return evaluate(write_predictions(folder, error=error, seed=seed), StoreTruth(store))


def submit(evaluation: Evaluation, root: Path, name: str, *, overwrite: bool = False) -> Path:
    scores = build_scores(evaluation, name)
    return write_submission(evaluation, root, name, scores, overwrite=overwrite)


def edit_json(path: Path, **changes: object) -> None:
    """Change fields and renew the checksum, as a forger would."""
    content = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({**content, "checksum": compute_checksum(content)}))


def rewrite(folder: Path, table: str, column: str, row: int, value: object) -> None:
    """Change one cell of a table and renew the file's recorded hash, as a forger would."""
    path = folder / f"{table}.parquet"
    arrow = pq.read_table(path)
    values = arrow[column].to_pylist()
    values[row] = value
    index = arrow.schema.get_field_index(column)
    field = arrow.schema.field(column)
    pq.write_table(arrow.set_column(index, field, pa.array(values, field.type)), path)
    files = json.loads((folder / "submission.json").read_text())["files"]
    edit_json(folder / "submission.json", files=files | {path.name: hash_file(path)})


def renew_digests(folder: Path) -> None:
    """Record the digests of the tables as they are now, as a forger would."""
    path = folder / "submission.json"
    content = json.loads(path.read_text())
    edit_json(path, files={name: hash_file(folder / name) for name in content["files"]})
