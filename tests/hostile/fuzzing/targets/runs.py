"""Runs and their checkpoints."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import torch

from autoice_bench.baselines.runs.checkpoints import read_checkpoint
from tests.hostile.fuzzing.byte_damage import damage_bytes, damage_file
from tests.hostile.fuzzing.cases import Action, Damage, Rng, Target, refused
from tests.hostile.fuzzing.checkpoint_damage import damage_checkpoint
from tests.hostile.fuzzing.document_damage import (
    damage_json_text,
    dump_document,
    edit_document,
)
from tests.hostile.fuzzing.material import RUN
from tests.hostile.fuzzing.payloads import pickled
from tests.hostile.fuzzing.sandbox import OUT, Sandbox
from tests.hostile.fuzzing.table_damage import damage_table
from tests.hostile.fuzzing.targets.answers import (
    digest,
    digest_out,
)

_RUN: Final = f"runs/{RUN}"
_TESTED: Final = f"{_RUN}/checkpoints/best-loss.pt"


_EXPORTED: Final = f"{_RUN}/network.safetensors"


def _damage_run(rng: Rng, sandbox: Sandbox) -> Damage:
    kind = rng.random()
    if kind < 0.1:
        return _damage_export(rng, sandbox)
    if kind < 0.55:
        return damage_checkpoint(rng, sandbox, _TESTED, "predict", "read a checkpoint")
    names = [f"{_RUN}/{name}" for name in ("run.json", "config.json", "metrics.parquet")]
    name = str(rng.choice([*names, f"{_RUN}/environment.json", _TESTED]))
    content = sandbox.pristine(name)
    if kind < 0.65:
        return Damage(damage_file(rng, sandbox, name), same=name == _TESTED)
    if name.endswith(".parquet"):
        changed, words = damage_table(rng, content)
    elif kind < 0.75 or not name.endswith(".json"):
        changed, words = damage_bytes(rng, content)
    elif kind < 0.8:
        changed, words = damage_json_text(rng, content)
    else:
        edit = edit_document(rng, json.loads(content))
        changed, words = dump_document(edit.document), edit.words
    sandbox.write(name, changed)
    return Damage(f"{name}: {words}", same=name == _TESTED)


def _damage_export(rng: Rng, sandbox: Sandbox) -> Damage:
    """Change a network in safetensors: the size of its header, the header, the values."""
    content = sandbox.pristine(_EXPORTED)
    if rng.random() < 0.2:
        sandbox.write(_EXPORTED, pickled(sandbox.marker))
        return refused(f"{_EXPORTED} is a pickle", "read the export")
    size = int.from_bytes(content[:8], "little")
    header, values = content[8 : 8 + size], content[8 + size :]
    kind = rng.random()
    if kind < 0.4:
        changed = dump_document(edit_document(rng, json.loads(header)).document, None)
        sandbox.write(_EXPORTED, len(changed).to_bytes(8, "little") + changed + values)
        return Damage(f"{_EXPORTED}: another header")
    if kind < 0.5:
        declared = int(rng.choice([0, 1, size + 1, 2**31, 2**40, 2**62]))
        sandbox.write(_EXPORTED, declared.to_bytes(8, "little") + header + values)
        return refused(f"{_EXPORTED}: declares a header of {declared} bytes", "read the export")
    changed, words = damage_bytes(rng, content)
    sandbox.write(_EXPORTED, changed)
    return Damage(f"{_EXPORTED}: {words}")


def _read_export(sandbox: Sandbox) -> object:
    return _digest_tensors(read_checkpoint(sandbox.root / _EXPORTED).tensors)


def _read_checkpoint(sandbox: Sandbox) -> object:
    return _digest_tensors(read_checkpoint(sandbox.root / _TESTED).tensors)


def _digest_tensors(tensors: Any) -> object:
    """What a checkpoint holds, whatever it is; of tensors that declare to be huge, the shape."""
    if not isinstance(tensors, Mapping):
        return f"{tensors!r:.80}"
    return [
        (name, _digest_tensor(tensor) if isinstance(tensor, torch.Tensor) else f"{tensor!r:.80}")
        for name, tensor in tensors.items()
    ]


def _digest_tensor(tensor: torch.Tensor) -> str:
    is_plain = tensor.layout is torch.strided and tensor.device.type == "cpu"
    if not is_plain or tensor.numel() > 1_000_000:
        return f"{tensor.shape}"
    return digest(tensor.detach().float().numpy())


_PREDICT: Final = ("predict", _RUN, "--store", "store", "--out", f"{OUT}/preds", "--device", "cpu")
RUNS = Target(
    "runs",
    {"runs": "runs", "store": "store"},
    _damage_run,
    (
        Action("list", ("baseline", "list"), weight=2),
        Action("list --json", ("baseline", "list", "--json"), weight=1),
        Action("predict", _PREDICT, weight=3, answer=digest_out),
        Action("read a checkpoint", call=_read_checkpoint, weight=3),
        Action("read the export", call=_read_export),
    ),
    share=2,
)
