"""Stores, their scenes and indexes."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from autoice_bench.datasets.patches.window_dataset import read_window
from autoice_bench.datasets.store.root import open_store
from autoice_bench.datasets.store.scene_dataset import open_scene
from autoice_bench.errors import StoreError
from tests.hostile.fuzzing.byte_damage import damage_bytes, damage_file
from tests.hostile.fuzzing.cases import Action, Damage, Rng, Target, refused
from tests.hostile.fuzzing.document_damage import (
    damage_json_text,
    dump_document,
    edit_document,
)
from tests.hostile.fuzzing.sandbox import OUT, OUTSIDE, Sandbox
from tests.hostile.fuzzing.table_damage import damage_table
from tests.hostile.fuzzing.targets.answers import (
    FLOOR,
    SCORE,
    SPLITS_CHECK,
    digest,
    digest_out,
    scores,
)


def _damage_store(rng: Rng, sandbox: Sandbox) -> Damage:
    kind = rng.random()
    if kind < 0.1:
        return _damage_root(rng, sandbox)
    if kind < 0.2:
        return _damage_index(rng, sandbox)
    if kind < 0.25:
        return _link_folder(rng, sandbox)
    names = [name for name in sandbox.files("store/") if not name.endswith("lock")]
    # Metadata and chunks alike, though a scene has many small arrays.
    suffix = "zarr.json" if rng.random() < 0.5 else ""
    name = str(rng.choice([each for each in names if each.endswith(suffix)]))
    content = sandbox.pristine(name)
    if kind < 0.35:
        words = damage_file(rng, sandbox, name)
        return refused(words, "verify") if " is " in words else Damage(words)
    if name.endswith(".json") and rng.random() < 0.7:
        edit = edit_document(rng, json.loads(content))
        changed = dump_document(edit.document)
        words = edit.words
    elif name.endswith(".json") and rng.random() < 0.4:
        changed, words = damage_json_text(rng, content)
    else:
        changed, words = damage_bytes(rng, content)
    sandbox.write(name, changed)
    # Readers need not hash: what a chunk holds is checked as it is read, metadata by verify.
    is_data = not name.endswith(".json")
    return Damage(f"{name}: {words}", frozenset({"verify"}), same=is_data)


def _damage_root(rng: Rng, sandbox: Sandbox) -> Damage:
    """Change the root's attributes and make its digest fit, as a forger would."""
    document = json.loads(sandbox.pristine("store/zarr.json"))
    edit = edit_document(rng, document["attributes"])
    _write_root(sandbox, edit.document)
    return Damage(f"root with its digest: {edit.words}")


def _write_root(sandbox: Sandbox, attributes: Any) -> None:
    document = json.loads(sandbox.pristine("store/zarr.json"))
    if isinstance(attributes, dict):
        attributes = {key: item for key, item in attributes.items() if key != "attributes_sha256"}
        text = json.dumps(attributes, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
        attributes = dict(sorted({**attributes, "attributes_sha256": digest}.items()))
    document["attributes"] = attributes
    sandbox.write("store/zarr.json", dump_document(document))


def _damage_index(rng: Rng, sandbox: Sandbox) -> Damage:
    """Change scenes.parquet; half of the time the root's digests are made to fit."""
    changed, words = damage_table(rng, sandbox.pristine("store/scenes.parquet"))
    sandbox.write("store/scenes.parquet", changed)
    if rng.random() < 0.5:
        return Damage(f"scenes.parquet: {words}", same=True)
    attributes = json.loads(sandbox.pristine("store/zarr.json"))["attributes"]
    attributes["index_sha256"] = hashlib.sha256(changed).hexdigest()
    _write_root(sandbox, attributes)
    return Damage(f"scenes.parquet with its digests: {words}")


def _link_folder(rng: Rng, sandbox: Sandbox) -> Damage:
    name = str(rng.choice(["store/scenes", "store/splits", "store/.partial"]))
    to = str(rng.choice([str(sandbox.root / OUTSIDE), "..", ".", "nowhere"]))
    sandbox.remove(name).symlink_to(to)
    return Damage(f"{name} is a link to {to if not to.startswith('/') else OUTSIDE}")


def _open_scene(sandbox: Sandbox) -> object:
    store = open_store(sandbox.root / "store")
    scenes = [open_scene(store, scene_id) for scene_id in store]
    try:
        return [
            (name, digest(variable.values))
            for scene in scenes
            for name, variable in scene.variables.items()
        ]
    except (ValueError, RuntimeError, OSError) as error:
        # The values of a lazy dataset are read by zarr, later, in the user's own code: an error of
        # zarr's is loud enough there.
        raise StoreError(f"read by zarr: {type(error).__name__}") from error


def _read_window(sandbox: Sandbox) -> object:
    store = open_store(sandbox.root / "store")
    return [
        (str(name), digest(variable.values))
        for scene_id in store
        for name, variable in read_window(store, scene_id, 25, 50, 100, 75).variables.items()
    ]


def _show_scene(sandbox: Sandbox) -> object:
    import autoice_bench

    store = open_store(sandbox.root / "store")
    out = sandbox.root / OUT / "x.png"
    autoice_bench.show(store, max(store), channels="HH", window=(0, 0, 60, 60), out=out)
    return None


STORES = Target(
    "stores",
    {"store": "store", "preds": "netcdf"},
    _damage_store,
    (
        Action("verify", ("verify", "store"), lists=True, weight=3),
        Action("info", ("info", "store"), weight=2),
        Action("info --json", ("info", "store", "--json"), weight=1),
        Action("splits", ("splits", "list", "--store", "store"), weight=1),
        Action("check", (*SPLITS_CHECK, "official", "--store", "store"), lists=True, done=1),
        Action("score", SCORE, weight=1.5, answer=scores),
        Action("majority", FLOOR, weight=0.7, answer=digest_out),
        Action("open_scene", call=_open_scene, weight=1),
        Action("read_window", call=_read_window, weight=2),
        Action("show", call=_show_scene, weight=0.06),
    ),
    share=3,
)
