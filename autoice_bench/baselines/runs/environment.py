"""What a run was computed with: packages, Python, GPU, driver and the source's git revision."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import torch

from autoice_bench import __version__
from autoice_bench.baselines.machine.devices import read_driver_version

_PACKAGES: Final = (
    "lightning-fabric",
    "numpy",
    "pandas",
    "pyarrow",
    "safetensors",
    "torch",
    "torchvision",
    "xarray",
    "zarr",
)


def describe_environment() -> dict[str, Any]:
    """The environment of this process, as JSON knows values; None for what is not there."""
    return {
        "autoice_bench": __version__,
        "git": read_git_revision(Path(__file__).parent),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": _read_processor(),
        "cores": len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count(),
        "packages": {name: _find_version(name) for name in _PACKAGES},
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
        "driver": read_driver_version(),
        "gpus": _list_gpus(),
    }


def read_git_revision(folder: Path) -> str | None:
    """Commit of the git working tree that ``folder`` lies in, ``+changes`` if it is not clean.

    Returns:
        40 hexadecimal digits; None outside a working tree, or where it ignores the folder (an
        installed package inside somebody's project).
    """
    revision = _run_git(folder, "rev-parse", "HEAD")
    if not revision or not _run_git(folder, "ls-files", "."):
        return None
    changes = _run_git(folder, "status", "--porcelain", "--untracked-files=no")
    return f"{revision}+changes" if changes else revision


def _run_git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _find_version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _list_gpus() -> list[str]:
    if not torch.cuda.is_available():
        return []
    return [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]


def _read_processor() -> str | None:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or None
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), None)
