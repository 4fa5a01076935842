"""Damage to checkpoints of torch: zip archives with a pickle and the storages of tensors."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any, Final, Literal

import numpy as np
import torch

from tests.hostile.fuzzing.byte_damage import damage_bytes
from tests.hostile.fuzzing.cases import Damage, Rng, refused
from tests.hostile.fuzzing.document_damage import dump_document, edit_document, odd_value
from tests.hostile.fuzzing.payloads import (
    pickled,
    pickled_checkpoint,
    pickled_npy,
    pickled_npz,
)
from tests.hostile.fuzzing.sandbox import Sandbox


def damage_checkpoint(rng: Rng, sandbox: Sandbox, name: str, *readers: str) -> Damage:
    """Change one thing of a checkpoint.

    Args:
        rng: draws what is changed.
        sandbox: holds the file.
        name: the file.
        readers: names of the actions that read it; the first knows the network as well.
    """
    content = sandbox.pristine(name)
    kind = str(rng.choice(["bytes"] * 4 + ["archive"] * 3 + ["content"] * 6 + ["code"] * 2))
    if kind == "bytes":
        changed, words = damage_bytes(rng, content)
        sandbox.write(name, changed)
        return Damage(f"{name}: {words}", same=True)
    if kind == "code":
        marker = sandbox.marker
        codes = (
            *(pickled_checkpoint(content, marker), pickled(marker), pickled(marker, 4)),
            *(pickled_npy(marker), pickled_npz(marker)),
        )
        which = int(rng.integers(len(codes)))
        sandbox.write(name, codes[which])
        return refused(f"{name} runs code when unpickled ({which})", *readers)
    if kind == "archive":
        changed, words = _damage_archive(rng, content)
        sandbox.write(name, changed)
        return Damage(f"{name}: {words}", same=words not in ("byte order", "a bomb"))
    loaded = torch.load(io.BytesIO(content), weights_only=True)
    words, by = _damage_content(rng, loaded)
    buffer = io.BytesIO()
    torch.save(loaded, buffer)
    sandbox.write(name, buffer.getvalue())
    refusing = {"none": (), "network": readers[:1], "all": readers}[by]
    return Damage(f"{name}: {words}", frozenset(refusing))


def _damage_archive(rng: Rng, content: bytes) -> tuple[bytes, str]:
    kinds = ("a file outside", "an absolute file", "no pickle", "no version", "a file twice")
    kind = str(rng.choice([*kinds, "deflated", "a bomb", "a storage is short", "byte order"]))
    buffer = io.BytesIO()
    method = zipfile.ZIP_DEFLATED if kind in ("deflated", "a bomb") else zipfile.ZIP_STORED
    with (
        zipfile.ZipFile(io.BytesIO(content)) as old,
        zipfile.ZipFile(buffer, "w", method) as new,
    ):
        names = old.namelist()
        chosen = str(rng.choice([each for each in names if "/data/" in each]))
        for each in names:
            data = old.read(each)
            if (kind == "no pickle" and each.endswith("data.pkl")) or (
                kind == "no version" and each.endswith("version")
            ):
                continue
            if kind == "byte order" and each.endswith("byteorder"):
                data = b"big"
            if kind == "a storage is short" and each == chosen:
                data = data[: len(data) // 2]
            if kind == "a bomb" and each == chosen:
                data = bytes(200_000_000)
            new.writestr(each, data)
        if kind == "a file outside":
            new.writestr("../outside/evil", b"evil")
        elif kind == "an absolute file":
            new.writestr("/tmp/evil-of-a-checkpoint", b"evil")
        elif kind == "a file twice":
            new.writestr(names[0], b"evil")
    return buffer.getvalue(), kind


Readers = Literal["none", "network", "all"]
"""Who must refuse: nobody, whoever knows the network, whoever reads the file."""


def _damage_content(rng: Rng, content: dict[str, Any]) -> tuple[str, Readers]:
    """Change what a checkpoint holds; return words, and who must refuse it."""
    part = str(rng.choice(["tensor"] * 4 + ["metadata"] * 3 + ["key"]))
    if part == "key":
        key = str(rng.choice(sorted(content)))
        if rng.random() < 0.5:
            del content[key]
            return f"no {key}", "all"
        content[key] = value = odd_value(rng)
        return f"{key} is {value!r:.60}", "all" if key == "tensors" and value != {} else "none"
    if part == "metadata":
        if rng.random() < 0.3:
            content["metadata"] = value = odd_value(rng)
            return f"metadata is {value!r:.60}", "none" if isinstance(value, str) else "all"
        edit = edit_document(rng, json.loads(content["metadata"]))
        content["metadata"] = dump_document(edit.document).decode("utf-8", "surrogatepass")
        return f"metadata: {edit.words}", "none"
    tensors = content["tensors"]
    names = [name for name in sorted(tensors) if name.startswith("network.")]
    name = names[int(rng.integers(len(names)))]
    words, changed, must = _TENSORS[int(rng.integers(len(_TENSORS)))](tensors[name])
    if changed is None:
        del tensors[name]
    else:
        tensors[name] = changed
    return f"{name} {words}", must


def _declared(size: int) -> Callable[[torch.Tensor], tuple[str, Any, Readers]]:
    def expand(tensor: torch.Tensor) -> tuple[str, Any, Readers]:
        return f"declares {size}²", torch.zeros(1, dtype=tensor.dtype).expand(size, size), "network"

    return expand


_TENSORS: Final[tuple[Callable[[torch.Tensor], tuple[str, Any, Readers]], ...]] = (
    lambda tensor: ("is missing", None, "network"),
    lambda tensor: ("has another shape", tensor[None, None], "network"),
    lambda tensor: ("is a text", "x", "all"),
    lambda tensor: ("is a list", [1, 2], "all"),
    lambda tensor: ("is of float64", tensor.double(), "none"),
    lambda tensor: ("is complex", tensor.to(torch.complex64), "none"),
    lambda tensor: ("is of truths", tensor.bool(), "none"),
    lambda tensor: ("is sparse", tensor.float().to_sparse(), "none"),
    lambda tensor: ("is NaN", torch.full_like(tensor.float(), np.nan), "none"),
    lambda tensor: ("is on no device", torch.empty(tensor.shape, device="meta"), "all"),
    lambda tensor: ("is a parameter", torch.nn.Parameter(tensor.float()), "none"),
    _declared(100_000),
    _declared(3_000_000),
)
