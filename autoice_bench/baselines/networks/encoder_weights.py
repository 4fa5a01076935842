"""Where an encoder's weights come from: torchvision's for ImageNet, a file, or chance if asked for.

The ImageNet weights are torchvision's ``IMAGENET1K_V1``. They lie in torch's cache, where
torchvision looks for them too: ``$TORCH_HOME/hub/checkpoints``, by default in ``~/.cache/torch``.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final

import torch
import torchvision
from safetensors.torch import load_file
from torch import Tensor

from autoice_bench.baselines.networks.aspp.constants import ENCODERS
from autoice_bench.baselines.networks.aspp.network import ResNetEncoder
from autoice_bench.baselines.networks.tensor_files import load_tensors
from autoice_bench.errors import BaselineError
from autoice_bench.formats.decoding import decoding
from autoice_bench.formats.plain_files import NotAFileError, hash_file, require_file
from autoice_bench.formats.whole_files import whole_file
from autoice_bench.wording import format_listing

IMAGENET: Final = "imagenet"
NONE: Final = "none"
FETCH_COMMAND: Final = "autoice-bench baseline fetch-weights"

_FRESH: Final = "conv1.weight"
"""Always drawn anew: it depends on the input channels."""

_UNUSED: Final = ("layer4.", "fc.")
_PATIENCE_S: Final = 30.0
"""A network that drops packets would otherwise be waited for for minutes."""


def initialise_encoder(encoder: ResNetEncoder, weights: str) -> str:
    """Give a new encoder its weights, in place; ``conv1`` keeps its random start.

    Args:
        encoder: as constructed.
        weights: ``imagenet``, ``none``, or the path of a state dict of torchvision's ResNet of the
            same name (``.safetensors``, or a file of ``torch.save``).

    Returns:
        What the encoder starts from, for the run's record: ``none``, or file name and SHA-256.

    Raises:
        BaselineError: the weights cannot be had, read, or do not fit the encoder.
    """
    path = find_weights(encoder.name, weights)
    if path is None:
        return NONE
    state = read_weights(path)
    _validate(state, encoder, path)
    names = encoder.state_dict().keys() - {_FRESH}
    encoder.load_state_dict({name: state[name] for name in names & state.keys()}, strict=False)
    return f"{path.name} sha256:{hash_file(path)}"


def find_weights(encoder: str, weights: str) -> Path | None:
    """The file of an encoder's weights, downloaded if need be; None for a random start.

    Args:
        encoder: one of ``ENCODERS``.
        weights: as in ``initialise_encoder``.

    Raises:
        BaselineError: there is no such file, or it cannot be downloaded.
    """
    if weights == NONE:
        return None
    if weights == IMAGENET:
        return fetch_weights(encoder)
    return _require_file(Path(weights).expanduser())


def fetch_weights(encoder: str) -> Path:
    """ImageNet weights of an encoder, downloaded if torch's cache lacks them.

    Args:
        encoder: one of ``ENCODERS``.

    Returns:
        The file in the cache; its SHA-256 begins as its name says.

    Raises:
        BaselineError: the name is unknown, the download fails, or the file is damaged.
    """
    if encoder not in ENCODERS:
        raise BaselineError(
            f"encoder {encoder!r} is unknown; expected one of {', '.join(ENCODERS)}"
        )
    url, path = weights_url(encoder), cache_path(encoder)
    if not path.is_file():
        _download(encoder, url, path)
    expected = path.stem.rpartition("-")[2]
    found = hash_file(path)
    if not found.startswith(expected):
        raise BaselineError(
            f"{path}: damaged, its SHA-256 begins {found[:8]} instead of {expected}; remove it and "
            f"run `{FETCH_COMMAND}`, or copy it again"
        )
    return path


def weights_url(encoder: str) -> str:
    """Where torchvision publishes an encoder's ``IMAGENET1K_V1``."""
    return str(torchvision.models.get_model_weights(encoder).IMAGENET1K_V1.url)


def cache_path(encoder: str) -> Path:
    """Where torch's cache keeps an encoder's ImageNet weights."""
    name = weights_url(encoder).rpartition("/")[2]
    return Path(torch.hub.get_dir()) / "checkpoints" / name


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a state dict; no code in the file is run.

    Args:
        path: ``.safetensors``, or a file of ``torch.save`` with tensors only.

    Raises:
        BaselineError: the file is missing, unreadable or holds something else.
    """
    _require_file(path)
    with decoding(BaselineError, f"weights {path}", "copy or download it again"):
        state: Any = load_file(path) if path.suffix == ".safetensors" else load_tensors(path)
    if not isinstance(state, Mapping) or not all(isinstance(v, Tensor) for v in state.values()):
        raise BaselineError(
            f"weights {path}: holds something else than a state dict; expected one tensor per name"
        )
    return dict(state)


def _require_file(path: Path) -> Path:
    try:
        require_file(path)
    except NotAFileError as error:
        raise BaselineError(f"weights {error}") from None
    except OSError:
        raise BaselineError(
            f"weights {path}: no such file; expected {IMAGENET}, {NONE} or a file with the state "
            "dict of a torchvision ResNet"
        ) from None
    return path


def _validate(state: Mapping[str, Tensor], encoder: ResNetEncoder, path: Path) -> None:
    """Every weight but ``conv1``'s is there and has its shape, and none is of a deeper network."""
    expected = {name: value.shape for name, value in encoder.state_dict().items()}
    del expected[_FRESH]
    # Files of torch before 0.4.1 lack the counters, which evaluation and training do without.
    needed = {name for name in expected if not name.endswith("num_batches_tracked")}
    absent = sorted(needed - state.keys())
    excess = sorted(
        name for name in state.keys() - expected.keys() - {_FRESH} if not name.startswith(_UNUSED)
    )
    wrong = [name for name in sorted(needed & state.keys()) if state[name].shape != expected[name]]
    problems = {"lacks": absent, "has unknown": excess, "has other shapes of": wrong}
    found = [f"{what} {format_listing(names, 2)}" for what, names in problems.items() if names]
    if found:
        raise BaselineError(
            f"weights {path}: not of a {encoder.name} ({'; '.join(found)}); expected the state "
            f"dict of torchvision's {encoder.name}"
        )


def _download(encoder: str, url: str, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as partial, _socket_timeout(_PATIENCE_S):
            torch.hub.download_url_to_file(
                url,
                str(partial),
                hash_prefix=path.stem.rpartition("-")[2],
                progress=sys.stderr.isatty(),
            )
    # RuntimeError: the hash of what came is another.
    except (OSError, HTTPException, RuntimeError) as error:
        raise BaselineError(
            f"ImageNet weights of {encoder} are not in {path} and cannot be downloaded from {url} "
            f"({error}); run `{FETCH_COMMAND}` on a machine with network and the same cache, or "
            "copy the file there, or give --weights FILE, or --weights none for a random start"
        ) from error


@contextmanager
def _socket_timeout(seconds: float) -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
