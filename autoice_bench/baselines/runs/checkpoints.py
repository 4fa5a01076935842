"""Checkpoints: what a run must keep to go on, and the networks worth testing.

A checkpoint is one file of named tensors and one JSON text, nothing else: it is read with
``torch.load(weights_only=True)``, which runs no code. A new one replaces the old one in a single
step, so that a crash while writing loses nothing. Names of tensors begin with the part they belong
to: ``network.``, ``optimiser.`` or ``training.``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, get_args

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from autoice_bench.baselines.networks.tensor_files import load_tensors
from autoice_bench.errors import BaselineError
from autoice_bench.formats.decoding import decoding
from autoice_bench.formats.own_folders import make_own_folder
from autoice_bench.formats.plain_files import NotAFileError, parse_json, require_file
from autoice_bench.formats.whole_files import whole_file
from autoice_bench.wording import first_line

CheckpointName = Literal["last", "best-loss", "best-combined"]
"""``last`` holds everything to go on; the others the network with the lowest validation loss, and
the one with the highest combined score on the validation scenes."""

CHECKPOINT_NAMES: Final[tuple[CheckpointName, ...]] = get_args(CheckpointName)
CHECKPOINT_FORMAT: Final = 1
EXPORTED_NETWORK: Final = "network.safetensors"
"""In a run's folder: the network to test, for others to use."""
NETWORK: Final = "network."
OPTIMISER: Final = "optimiser."
TRAINING: Final = "training."
_SAFETENSORS: Final = ".safetensors"
_METADATA_KEY: Final = "autoice_bench"
_DIGEST_KEY: Final = "tensors_sha256"


@dataclass(frozen=True)
class Checkpoint:
    """Named tensors on the CPU, and a JSON document that says what they are.

    Attributes:
        tensors: by name; see the module's text for their first part.
        metadata: values that JSON can hold.
    """

    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def part(self, prefix: str) -> dict[str, Tensor]:
        """The tensors whose names begin with ``prefix``, without it."""
        return {
            name.removeprefix(prefix): tensor
            for name, tensor in self.tensors.items()
            if name.startswith(prefix)
        }


def checkpoint_path(folder: Path, name: CheckpointName) -> Path:
    """Where a folder of checkpoints keeps one of them."""
    return folder / f"{name}.pt"


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint; until that has succeeded the former one stays.

    Raises:
        BaselineError: the file cannot be written (a full disk, say).
    """
    content = {
        "format": CHECKPOINT_FORMAT,
        "metadata": json.dumps(checkpoint.metadata, allow_nan=False),
        "tensors": dict(checkpoint.tensors),
    }
    try:
        make_own_folder(path.parent)
        # An open file: given a name, torch hides what the system said of a full disk.
        with whole_file(path) as partial, partial.open("wb") as file:
            torch.save(content, file)
    except (OSError, RuntimeError) as error:  # torch reports a failed write as RuntimeError
        raise BaselineError(
            f"checkpoint {path}: cannot be written ({_find_reason(error)}); the former one is kept"
        ) from error


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint, or the network that ``export_safetensors`` wrote.

    Args:
        path: a file of this module, or one named ``*.safetensors``.

    Raises:
        BaselineError: it is missing, damaged or of another format.
    """
    try:
        require_file(path)
    except NotAFileError as error:
        raise BaselineError(f"checkpoint {error}") from None
    except OSError:
        raise BaselineError(
            f"checkpoint {path}: not there; is the run's training still to begin?"
        ) from None
    if path.suffix == _SAFETENSORS:
        return _read_safetensors(path)
    with decoding(BaselineError, f"checkpoint {path}", "expected one that autoice-bench wrote"):
        content = load_tensors(path)
        version = content["format"]
        if version == CHECKPOINT_FORMAT:
            return Checkpoint(
                _require_tensors(content["tensors"]), _require_object(content["metadata"])
            )
    raise BaselineError(
        f"checkpoint {path}: format {version}; expected {CHECKPOINT_FORMAT}: use the release "
        "of autoice-bench that wrote it"
    )


def _require_tensors(tensors: object) -> dict[str, Tensor]:
    if not isinstance(tensors, dict):
        raise ValueError("holds no named tensors")
    for name, tensor in tensors.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise ValueError(f"holds something else than tensors under {name!r}")
        if tensor.layout != torch.strided or tensor.is_quantized:
            raise ValueError(f"{name} is no plain tensor")
    return tensors


def _require_object(text: str) -> dict[str, Any]:
    metadata = parse_json(text)
    if not isinstance(metadata, dict):
        raise ValueError(f"its metadata are a {type(metadata).__name__}; expected an object")
    return metadata


def export_safetensors(checkpoint: Path, out: Path) -> None:
    """Write a checkpoint's network as safetensors, with its metadata as JSON.

    The metadata stands under the key ``autoice_bench`` of the file's header; tensors carry the
    network's own names.

    Raises:
        BaselineError: the checkpoint cannot be read or ``out`` cannot be written.
    """
    content = read_checkpoint(checkpoint)
    tensors = {name: tensor.contiguous() for name, tensor in content.part(NETWORK).items()}
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        described = {_METADATA_KEY: json.dumps(content.metadata), _DIGEST_KEY: _digest(tensors)}
        with whole_file(out) as partial:
            save_file(tensors, partial, described)
    except (OSError, SafetensorError) as error:
        raise BaselineError(f"{out}: cannot be written ({first_line(error)})") from error


def _read_safetensors(path: Path) -> Checkpoint:
    hint = "expected a network that autoice-bench exported"
    with (
        decoding(BaselineError, f"checkpoint {path}", hint),
        safe_open(path, framework="pt", device="cpu") as file,
    ):
        described = file.metadata() or {}
        if _METADATA_KEY not in described:
            raise ValueError(f"its header has no {_METADATA_KEY}")
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if described.get(_DIGEST_KEY) not in (None, _digest(tensors)):  # older ones have none
            raise ValueError("its tensors do not match its digest")
        metadata = _require_object(described[_METADATA_KEY])
        return Checkpoint({NETWORK + name: tensor for name, tensor in tensors.items()}, metadata)


def _digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over the names, types, shapes and bytes of tensors."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def network_tensors(network: nn.Module) -> dict[str, Tensor]:
    """A network's parameters and buffers as a checkpoint names them, copied to the CPU."""
    return {NETWORK + name: _copy(tensor) for name, tensor in network.state_dict().items()}


def restore_network(network: nn.Module, checkpoint: Checkpoint) -> None:
    """Give a network the parameters and buffers of a checkpoint.

    Raises:
        BaselineError: the checkpoint is of another network.
    """
    state = checkpoint.part(NETWORK)
    own = network.state_dict()
    for name in sorted(state.keys() | own.keys()):
        found = tuple(state[name].shape) if name in state else "nothing"
        expected = tuple(own[name].shape) if name in own else "nothing"
        if found != expected:
            raise BaselineError(
                f"checkpoint is of another network: it holds {found} for {name}; expected "
                f"{expected}"
            )
    network.load_state_dict(state)


def optimiser_tensors(optimiser: Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """An optimiser's state as named tensors, and the rest of it as a JSON document."""
    state = optimiser.state_dict()
    tensors: dict[str, Tensor] = {}
    values: dict[str, dict[str, Any]] = {}
    for index, entries in state["state"].items():
        for key, value in entries.items():
            if isinstance(value, Tensor):
                tensors[f"{OPTIMISER}{index}.{key}"] = _copy(value)
            else:
                values.setdefault(str(index), {})[key] = value
    return tensors, {"values": values, "groups": state["param_groups"]}


def restore_optimiser(
    optimiser: Optimizer, checkpoint: Checkpoint, document: Mapping[str, Any]
) -> None:
    """Undo ``optimiser_tensors``: give the state back to an optimiser of the same parameters."""
    state: dict[int, dict[str, Any]] = {
        int(index): dict(values) for index, values in document["values"].items()
    }
    for name, tensor in checkpoint.part(OPTIMISER).items():
        index, _, key = name.partition(".")
        state.setdefault(int(index), {})[key] = tensor
    # JSON has no tuples, which is what Adam's betas are.
    groups = [
        {k: tuple(v) if isinstance(v, list) and k != "params" else v for k, v in group.items()}
        for group in document["groups"]
    ]
    optimiser.load_state_dict({"state": state, "param_groups": groups})


def _copy(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu", copy=True)


def _find_reason(error: BaseException) -> str:
    """What the system said: torch tells only where in its file it was."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return first_line(error)
