"""Devices: which one computes, in what precision, and errors of theirs in one line."""

from __future__ import annotations

import os
import resource
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.lightning import LightningEnvironment

from autoice_bench.errors import BaselineError
from autoice_bench.wording import first_line

Precision = Literal["bf16", "fp32"]

_FABRIC_PRECISION: Final[dict[Precision, Literal["bf16-mixed", "32-true"]]] = {
    "bf16": "bf16-mixed",
    "fp32": "32-true",
}
_DRIVER_VERSION: Final = Path("/proc/driver/nvidia/version")
# cuBLAS computes reproducibly only with a workspace of fixed size, which it reads once.
_CUBLAS_WORKSPACE: Final = ("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


def choose_device(wanted: str = "auto") -> torch.device:
    """The device that computes: a CUDA GPU if there is one, else the CPU.

    Args:
        wanted: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        BaselineError: a GPU is wanted and none is usable, or one is there that this torch cannot
            use because of its driver (``cpu`` ignores it).
    """
    if wanted not in ("auto", "cpu", "cuda"):
        raise BaselineError(f"device {wanted!r}; expected auto, cpu or cuda")
    if wanted == "cpu":
        return torch.device("cpu")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        usable = torch.cuda.is_available()
    if usable:
        _try_cuda()
        return torch.device("cuda")
    _explain_missing_cuda([str(warning.message) for warning in caught], required=wanted == "cuda")
    return torch.device("cpu")


def _try_cuda() -> None:
    """Compute something: a GPU that is too old or new for torch's kernels fails only here."""
    try:
        torch.zeros(1, device="cuda").add_(1).item()
    except RuntimeError as error:
        raise BaselineError(
            f"{torch.cuda.get_device_name()}: torch {torch.__version__} cannot compute on it "
            f"({first_line(error)}); install a torch built for it, or choose device cpu"
        ) from error


def _explain_missing_cuda(messages: list[str], *, required: bool) -> None:
    """Raise where a GPU is wanted, or is there and only torch or its driver is in the way."""
    driver = read_driver_version()
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    built_for = torch.version.cuda
    if driver and built_for and not hidden:
        reason = f": {_shorten(messages[0])}" if messages else ""
        raise BaselineError(
            f"torch {torch.__version__} (CUDA {built_for}) cannot use the GPU with NVIDIA driver "
            f"{driver}{reason}; update the driver, install a torch built for an older CUDA, or "
            "choose device cpu"
        )
    if required:
        found = "CUDA_VISIBLE_DEVICES hides every GPU" if hidden else "no NVIDIA GPU was found"
        if not built_for:
            found = f"torch {torch.__version__} is a build without CUDA"
        raise BaselineError(f"device cuda: {found}; choose device cpu, or a machine with a GPU")


def read_driver_version() -> str | None:
    """Version of the loaded NVIDIA driver, such as ``550.54.15``; None without one."""
    try:
        line = _DRIVER_VERSION.read_text().splitlines()[0]
    except (OSError, IndexError):
        return None
    versions = [word for word in line.split() if word[0].isdigit() and "." in word]
    return versions[0] if versions else "of unknown version"


def choose_precision(wanted: str, device: torch.device) -> Precision:
    """``auto`` is bf16 where the GPU computes in it, else fp32.

    Raises:
        BaselineError: bf16 is wanted of a GPU without it.
    """
    if wanted == "auto":
        return "bf16" if device.type == "cuda" and _has_bf16() else "fp32"
    if wanted not in ("bf16", "fp32"):
        raise BaselineError(f"precision {wanted!r}; expected auto, bf16 or fp32")
    if wanted == "bf16" and device.type == "cuda" and not _has_bf16():
        raise BaselineError(
            f"{torch.cuda.get_device_name()} does not compute in bf16; set precision to fp32"
        )
    return "bf16" if wanted == "bf16" else "fp32"


def _has_bf16() -> bool:
    return bool(torch.cuda.is_bf16_supported(including_emulation=False))


def open_fabric(
    device: str = "auto",
    *,
    precision: str = "auto",
    devices: int = 1,
    num_nodes: int = 1,
    strategy: str = "auto",
) -> Fabric:
    """Start Fabric, which places the network, casts, and joins several processes.

    Several devices or nodes are started by Fabric itself, or beforehand by torchrun or SLURM.

    Args:
        device: ``auto``, ``cpu`` or ``cuda``.
        precision: ``auto``, ``bf16`` or ``fp32``.
        devices: devices per node.
        num_nodes: nodes.
        strategy: Fabric's name of how several processes work together.

    Returns:
        Fabric, launched.

    Raises:
        BaselineError: the device or its precision is not to be had, or there are fewer of them.
    """
    chosen = choose_device(device)
    there = torch.cuda.device_count() if chosen.type == "cuda" else devices
    if not 1 <= devices <= there:
        raise BaselineError(f"{devices} devices wanted; this node has {there}")
    fabric = Fabric(
        accelerator=chosen.type,
        devices=devices,
        num_nodes=num_nodes,
        strategy=strategy,
        precision=_FABRIC_PRECISION[choose_precision(precision, chosen)],
        # Within a job of SLURM that asked for cores as tasks (`--ntasks=4`, no srun) Fabric would
        # take this one process for one of four.
        plugins=LightningEnvironment() if (devices, num_nodes) == (1, 1) else None,
    )
    fabric.launch()
    return fabric


@contextmanager
def determinism(wanted: bool) -> Iterator[None]:
    """Let torch use only operations that give the same bits each time, if ``wanted``."""
    former = (
        torch.are_deterministic_algorithms_enabled(),
        torch.backends.cudnn.deterministic,
        torch.backends.cudnn.benchmark,
    )
    if wanted:
        os.environ.setdefault(*_CUBLAS_WORKSPACE)
        torch.use_deterministic_algorithms(True)
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(former[0])
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = former[1:]


@contextmanager
def searched_kernels(wanted: bool) -> Iterator[None]:
    """Let cuDNN time its kernels once per input size: for work on inputs of one size."""
    former = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = wanted
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = former


@contextmanager
def explained_memory_errors(doing: str, remedy: str) -> Iterator[None]:
    """Turn running out of memory into one line.

    Args:
        doing: what needed it, such as ``training on batches of 8 patches of 768 pixels``.
        remedy: what to change.

    Raises:
        BaselineError: the device, or the CPU's allocator, had no memory left.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        total = torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory
        raise BaselineError(
            f"out of GPU memory ({total / 2**30:.0f} GiB) while {doing}; {remedy}"
        ) from error
    except MemoryError as error:
        raise BaselineError(f"out of memory while {doing}; {remedy}") from error
    except RuntimeError as error:
        if "can't allocate memory" not in str(error):
            raise
        raise BaselineError(f"out of memory while {doing}; {remedy}") from error


def reset_peak_memory(device: torch.device) -> None:
    """Begin anew with ``peak_memory_bytes``; a process's own peak cannot be set back."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak_memory_bytes(device: torch.device) -> int:
    """Most memory used so far: by tensors on the GPU, or by the process on the CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    # Linux counts in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _shorten(text: str, limit: int = 160) -> str:
    line = " ".join(text.split())
    return line if len(line) <= limit else f"{line[: limit - 3]}..."
