"""Split files."""

from __future__ import annotations

import json
from typing import Final

from tests.hostile.fuzzing.byte_damage import damage_bytes, damage_file
from tests.hostile.fuzzing.cases import Action, Damage, Rng, Target, refused
from tests.hostile.fuzzing.document_damage import (
    damage_json_text,
    dump_document,
    edit_document,
)
from tests.hostile.fuzzing.sandbox import Sandbox
from tests.hostile.fuzzing.targets.answers import (
    FLOOR,
    SCORE,
    SPLITS_CHECK,
    digest_out,
    scores,
)

_SPLIT: Final = "splits/mine.json"


def _damage_split(rng: Rng, sandbox: Sandbox) -> Damage:
    content = sandbox.pristine(_SPLIT)
    kind = rng.random()
    if kind < 0.1:
        words = damage_file(rng, sandbox, _SPLIT)
        return Damage(words)
    if kind < 0.3:
        changed, words = damage_bytes(rng, content)
        sandbox.write(_SPLIT, changed)
        return Damage(words, same=True)
    if kind < 0.4:
        changed, words = damage_json_text(rng, content)
        sandbox.write(_SPLIT, changed)
        return Damage(words)
    edit = edit_document(rng, json.loads(content))
    sandbox.write(_SPLIT, dump_document(edit.document))
    added = edit.kind == "add" and len(edit.path) == 0
    unchecked = edit.path == ("checksum",) and edit.kind in ("remove", "rename")
    same = edit.kind == "replace" and edit.old == edit.new
    return Damage(edit.words) if added or unchecked or same else refused(edit.words)


SPLITS = Target(
    "splits",
    {"splits": "splits", "store": "store", "preds": "netcdf"},
    _damage_split,
    (
        Action("check", (*SPLITS_CHECK, _SPLIT, "--store", "store"), lists=True, done=1, weight=3),
        Action("score", (*SCORE, "--split", _SPLIT), answer=scores),
        Action("majority", (*FLOOR, "--split", _SPLIT), weight=0.3, answer=digest_out),
    ),
    share=3,
)
