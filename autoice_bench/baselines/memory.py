"""How much memory a network would take for an input, and how much there is."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_MEMINFO: Final = Path("/proc/meminfo")
_CGROUP: Final = Path("/sys/fs/cgroup")


class _LiveBytes(TorchDispatchMode):
    """Adds up the tensors that exist at the same time, without computing them."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._now = 0
        self._known: set[int] = set()
        self.peak = 0

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                self._count(tensor.untyped_storage())
        return result

    def _count(self, storage: torch.UntypedStorage) -> None:
        key: int = storage._cdata
        if key in self._known:  # a view, or changed in place
            return
        self._known.add(key)
        self._now += storage.nbytes()
        self.peak = max(self.peak, self._now)
        weakref.finalize(storage, self._discount, key, storage.nbytes())

    def _discount(self, key: int, n_bytes: int) -> None:
        self._known.discard(key)
        self._now -= n_bytes


def estimate_peak_bytes(network: nn.Module, shape: tuple[int, ...], method: str = "forward") -> int:
    """Most memory that a forward pass in float32 takes for tensors, the input included.

    The pass runs on tensors without values, in a fraction of a second for any size. What the
    kernels take for themselves is not in it.

    Args:
        network: in evaluation mode.
        shape: of the input.
        method: the method that computes.
    """
    state = {
        f"network.{name}": torch.empty_like(tensor, device="meta")
        for name, tensor in (*network.named_parameters(), *network.named_buffers())
    }
    counted = _LiveBytes()
    with torch.inference_mode(False), torch.no_grad(), counted:
        inputs = torch.empty(shape, device="meta")
        torch.func.functional_call(_Call(network, method), state, (inputs,))
    return counted.peak


class _Call(nn.Module):
    """A module whose forward pass is some method of another one."""

    def __init__(self, network: nn.Module, method: str) -> None:
        super().__init__()
        self.network = network
        self._method = method

    def forward(self, x: Tensor) -> Any:
        return getattr(self.network, self._method)(x)


def available_bytes() -> int | None:
    """Memory that this process may still take: the machine's or its control group's, if known."""
    limits = [limit for limit in (_machine_bytes(), _group_bytes()) if limit is not None]
    return min(limits, default=None)


def _machine_bytes() -> int | None:
    try:
        lines = _MEMINFO.read_text().splitlines()
    except OSError:  # not Linux
        return None
    found = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return int(found[0]) * 1024 if found else None


def _group_bytes() -> int | None:
    try:
        limit = (_CGROUP / "memory.max").read_text().strip()
        used = int((_CGROUP / "memory.current").read_text())
        statistics = dict(
            line.split() for line in (_CGROUP / "memory.stat").read_text().splitlines()
        )
    except (OSError, ValueError):  # no control group, or an older kind
        return None
    # Cached files count as used and go when memory is wanted.
    return None if limit == "max" else int(limit) - used + int(statistics.get("inactive_file", 0))
