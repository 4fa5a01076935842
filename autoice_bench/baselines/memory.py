"""How much memory a network would take for an input."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


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
