"""Predictions in every accepted format."""

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
from tests.hostile.fuzzing.netcdf_damage import damage_netcdf
from tests.hostile.fuzzing.payloads import pickled_npy, pickled_npz
from tests.hostile.fuzzing.sandbox import OUT, OUTSIDE, Sandbox
from tests.hostile.fuzzing.targets.answers import (
    CHARTS,
    SCORE,
    digest_out,
    scores,
)
from tests.hostile.fuzzing.zarr_damage import damage_zarr

_ABSENT: Final = ("no ", " is called ", " is a group", "a dangling link")
_CONVERT: Final = ("convert", "preds", f"{OUT}/preds")


def _show_prediction(sandbox: Sandbox) -> object:
    import autoice_bench

    autoice_bench.show(
        sandbox.root / "store",
        _predicted(sandbox),
        channels="HH",
        prediction=sandbox.root / "preds",
        window=(0, 0, 60, 60),
        out=sandbox.root / OUT / "x.png",
    )
    return None


def _predicted(sandbox: Sandbox) -> str:
    """The scene that is predicted: the only one of the test."""
    return str(json.loads((sandbox.root / "store/splits/official.json").read_bytes())["test"][0])


def _damage_netcdf_folder(rng: Rng, sandbox: Sandbox) -> Damage:
    name = sandbox.files("preds/", ".nc")[0]
    kind = rng.random()
    if kind < 0.1:
        return _damage_description(rng, sandbox)
    return _damage_netcdf_prediction(rng, sandbox, name, CHARTS)


def _damage_package(rng: Rng, sandbox: Sandbox) -> Damage:
    name = sandbox.files("preds/", ".nc")[0]
    scene_id = _predicted(sandbox)
    charts = tuple(f"{scene_id}_{chart}" for chart in CHARTS)
    return _damage_netcdf_prediction(rng, sandbox, name, charts)


def _damage_netcdf_prediction(
    rng: Rng, sandbox: Sandbox, name: str, charts: tuple[str, ...]
) -> Damage:
    kind = rng.random()
    content = sandbox.pristine(name)
    if kind < 0.1:
        words = damage_file(rng, sandbox, name)
        return refused(words) if name not in words or " is " in words else Damage(words)
    if kind < 0.15:
        code = pickled_npy if rng.random() < 0.5 else pickled_npz
        sandbox.write(name, code(sandbox.marker))
        return refused(f"{name} is a pickle of numpy")
    if kind < 0.4:
        changed, words = damage_bytes(rng, content)
        sandbox.write(name, changed)
        return Damage(f"{name}: {words}")
    sandbox.write(name, content)
    damage = damage_netcdf(
        rng, sandbox.root / name, charts, sandbox.root / OUTSIDE, dtype_counts=False
    )
    # Charts that are not there may be converted as they are; a score wants all of them.
    if damage.refused_by and any(words in damage.words for words in _ABSENT):
        return refused(damage.words, "score", same=False)
    return damage


def _damage_description(rng: Rng, sandbox: Sandbox) -> Damage:
    name = "preds/description.json"
    content = sandbox.pristine(name)
    if rng.random() < 0.3:
        changed, words = damage_json_text(rng, content)
        sandbox.write(name, changed)
        return Damage(f"{name}: {words}")
    edit = edit_document(rng, json.loads(content))
    sandbox.write(name, dump_document(edit.document))
    words = f"{name}: {edit.words}"
    if not edit.path and edit.new == {}:
        return Damage(words)
    if edit.kind in ("rename", "add") or not edit.path:
        return refused(words, "score")
    wrong = edit.kind == "replace" and not isinstance(edit.new, str | None)
    return refused(words, "score") if wrong else Damage(words)


def _damage_zarr_predictions(rng: Rng, sandbox: Sandbox) -> Damage:
    damage = damage_zarr(rng, sandbox, "preds/", CHARTS)
    # Format 2 has no checksums.
    return (
        Damage(damage.words, damage.refused_by) if ".z" in str(sandbox.files("preds/")) else damage
    )


_PREDICTION_ACTIONS: Final = (
    Action("score", SCORE, weight=3, answer=scores),
    Action("convert", _CONVERT, answer=digest_out),
    Action("show", call=_show_prediction, weight=0.06),
)
NETCDF_PREDICTIONS = Target(
    "netcdf-predictions",
    {"preds": "netcdf", "store": "store"},
    _damage_netcdf_folder,
    _PREDICTION_ACTIONS,
    share=2,
)
UPLOAD_PACKAGES = Target(
    "upload-packages",
    {"preds": "package", "store": "store"},
    _damage_package,
    _PREDICTION_ACTIONS,
)
ZARR_PREDICTIONS = Target(
    "zarr-predictions",
    {"preds": "zarr3", "store": "store"},
    _damage_zarr_predictions,
    _PREDICTION_ACTIONS,
    share=2,
)
ZARR2_PREDICTIONS = Target(
    "zarr2-predictions",
    {"preds": "zarr2", "store": "store"},
    _damage_zarr_predictions,
    _PREDICTION_ACTIONS,
)
