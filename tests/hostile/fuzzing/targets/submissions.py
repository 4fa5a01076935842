"""Submissions of a leaderboard."""

from __future__ import annotations

import hashlib
import json
from typing import Final

from tests.hostile.fuzzing.byte_damage import damage_bytes, damage_file
from tests.hostile.fuzzing.cases import Action, Damage, Rng, Target, refused
from tests.hostile.fuzzing.document_damage import (
    Edit,
    damage_json_text,
    dump_document,
    edit_document,
    same_value,
)
from tests.hostile.fuzzing.sandbox import Sandbox
from tests.hostile.fuzzing.table_damage import KEPT, damage_table
from tests.hostile.fuzzing.targets.answers import (
    CHARTS,
)


def _board_scores(_: Sandbox, text: str) -> object:
    return [
        {key: record.get(key) for key in ("submission", "combined", *CHARTS)}
        for record in json.loads(text)
        if not record.get("published")
    ]


_BOARD = ("--leaderboard", "board")
_SUBMISSION: Final = "board/official/netcdf"
_DESCRIBED: Final = (
    *("authors", "description", "paper", "code_revision", "recipe", "seed", "trained_on_test"),
    *("hardware", "training_hours", "store_fingerprint", "label_rule", "bootstrap"),
    *("simulated", "scorer_version", "predictions_sha256"),
)
"""Fields of submission.json whose value nothing else in the submission tells."""


def _damage_submission(rng: Rng, sandbox: Sandbox) -> Damage:
    name = str(rng.choice(sandbox.files(_SUBMISSION)))
    content = sandbox.pristine(name)
    kind = rng.random()
    if kind < 0.1:
        return Damage(damage_file(rng, sandbox, name), same=True)
    is_table = name.endswith(".parquet")
    if kind < 0.35:
        changed, words = damage_bytes(rng, content)
        sandbox.write(name, changed)
        return refused(f"{name}: {words}", "check") if is_table else Damage(f"{name}: {words}")
    if is_table:
        return _damage_table_of_submission(rng, sandbox, name)
    if kind < 0.45:
        changed, words = damage_json_text(rng, content)
        sandbox.write(name, changed)
        return Damage(f"{name}: {words}")
    edit = edit_document(rng, json.loads(content))
    sandbox.write(name, dump_document(edit.document))
    return _judge_submission(name, edit)


def _damage_table_of_submission(rng: Rng, sandbox: Sandbox, name: str) -> Damage:
    """Change a table; half of the time its hash is made to fit, as a forger would."""
    changed, words = damage_table(rng, sandbox.pristine(name))
    sandbox.write(name, changed)
    if rng.random() < 0.5:
        same = changed == sandbox.pristine(name)
        return Damage(words) if same else refused(f"{name}: {words}", "check")
    document = json.loads(sandbox.pristine(f"{_SUBMISSION}/submission.json"))
    document["files"][name.rpartition("/")[2]] = hashlib.sha256(changed).hexdigest()
    sandbox.write(f"{_SUBMISSION}/submission.json", dump_document(document))
    words = f"{name}, with its hash: {words}"
    if any(kind in words for kind in ("drop a column", "nested columns", "add a column")):
        return refused(words)
    if any(kind in words for kind in ("no rows", "rows twice", "many rows", "drop a row")):
        return refused(words, "check", same=False)
    return Damage(words, same=any(kind in words for kind in KEPT))


def _judge_submission(name: str, edit: Edit) -> Damage:
    words = f"{name}: {edit.words}"
    field = edit.path[0] if edit.path else ""
    if field == "added" or edit.kind == "add":
        return Damage(words, same=True)
    if edit.kind == "replace" and same_value(edit.old, edit.new):
        return Damage(words, same=True)
    if "shape" in edit.path and type(edit.new) is int and 0 < edit.new < 10**6:
        return Damage(words)  # unlabelled pixels are counted nowhere
    if field not in _DESCRIBED and "region" not in edit.path:
        return refused(words, "check")
    if edit.kind == "replace" and type(edit.new) is not type(edit.old) and edit.old is not None:
        is_number = isinstance(edit.old, float) and isinstance(edit.new, int)
        return Damage(words) if is_number or edit.new is None else refused(words, "check")
    return Damage(words)


SUBMISSIONS = Target(
    "submissions",
    {"board": "board"},
    _damage_submission,
    (
        Action("check", ("leaderboard", "check", *_BOARD), lists=True, weight=3),
        Action("show", ("leaderboard", "show", *_BOARD, "--json"), weight=2, answer=_board_scores),
        Action("show as text", ("leaderboard", "show", *_BOARD)),
        Action("show as CSV", ("leaderboard", "show", *_BOARD, "--csv"), weight=0.5),
        Action("groups", ("leaderboard", "show", *_BOARD, "--group", "region"), weight=0.5),
        Action("compare", ("leaderboard", "compare", "netcdf", "majority", *_BOARD)),
    ),
    share=3,
)
