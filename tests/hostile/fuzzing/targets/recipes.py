"""Recipes in TOML and JSON."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any, Final

from autoice_bench.baselines.recipes.loading import load_recipe
from tests.hostile.fuzzing.byte_damage import damage_bytes, damage_file
from tests.hostile.fuzzing.cases import Action, Damage, Rng, Target, refused
from tests.hostile.fuzzing.document_damage import (
    Edit,
    damage_json_text,
    dump_document,
    dump_toml,
    edit_document,
)
from tests.hostile.fuzzing.sandbox import OUT, Sandbox
from tests.hostile.fuzzing.targets.answers import (
    no_answer,
)

_STRICT_NUMBERS: Final = ("epochs", "downscale", "patch_size", "patches_per_scene", "lr")


def _damage_recipe(rng: Rng, sandbox: Sandbox) -> Damage:
    name = str(rng.choice(["recipes/own.toml", "recipes/own.toml", "recipes/own.json"]))
    damage = _damage_file_of_recipe(rng, sandbox, name)
    # A plan is made of the TOML.
    if damage.refused_by and name.endswith(".json"):
        return refused(damage.words, "load")
    return damage


def _damage_file_of_recipe(rng: Rng, sandbox: Sandbox, name: str) -> Damage:
    is_toml = name.endswith(".toml")
    content = sandbox.pristine(name)
    kind = rng.random()
    if kind < 0.08:
        return Damage(damage_file(rng, sandbox, name))
    if kind < 0.2:
        changed, words = damage_bytes(rng, content)
        sandbox.write(name, changed)
        return Damage(f"{name}: {words}")
    document = tomllib.loads(content.decode()) if is_toml else json.loads(content)
    if kind < 0.3:
        document["extends"] = str(rng.choice([Path(name).name, "above.toml", "../outside/x.toml"]))
        sandbox.write(name, dump_toml(document) if is_toml else dump_document(document))
        own = document["extends"] == "above.toml" and name != "recipes/own.toml"
        words = f"{name} extends {document['extends']}"
        return Damage(words) if own else refused(words)
    if kind < 0.35 and not is_toml:
        changed, words = damage_json_text(rng, content)
        sandbox.write(name, changed)
        return Damage(f"{name}: {words}")
    edit = edit_document(rng, document)
    sandbox.write(name, dump_toml(edit.document) if is_toml else dump_document(edit.document))
    return _judge_recipe(name, edit)


def _judge_recipe(name: str, edit: Edit) -> Damage:
    words = f"{name}: {edit.words}"
    key = edit.path[-1] if edit.path else None
    unknown = edit.kind == "add" and isinstance(_at(edit.document, edit.path), dict)
    if unknown or (edit.kind == "rename" and key not in ("description", "extends")):
        return refused(words)
    if edit.kind == "replace" and key in _STRICT_NUMBERS:
        new = edit.new
        is_number = isinstance(new, int | float) and not isinstance(new, bool)
        is_usable = is_number and 0 < new < float("inf")
        # A text may be read as the number in it.
        return Damage(words) if is_usable or isinstance(new, str) else refused(words)
    return Damage(words)


def _at(document: Any, path: tuple[str | int, ...]) -> Any:
    for key in path:
        document = document[key]
    return document


def _load_chosen(sandbox: Sandbox) -> object:
    return [
        load_recipe(f"recipes/{name}").to_dict() for name in ("own.toml", "own.json", "above.toml")
    ]


_PLAN: Final = (
    *("baseline", "recipes/own.toml", "--dry-run", "--json", "--store", "store", "--device", "cpu"),
    *("--val", "random:1", "--runs", f"{OUT}/runs", "--preds", f"{OUT}/preds"),
)
RECIPES = Target(
    "recipes",
    {"recipes": "recipes", "store": "store"},
    _damage_recipe,
    (Action("load", call=_load_chosen), Action("plan", _PLAN, weight=0.1, answer=no_answer)),
    share=3,
)
