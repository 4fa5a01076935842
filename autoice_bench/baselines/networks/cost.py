"""What a network costs and how far it sees, followed through one forward pass without data.

Tensors on torch's meta device have shapes and no content: a pass over a full scene takes neither
memory nor arithmetic.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from autoice_bench.errors import BaselineError

_aten: Final = torch.ops.aten
_POOLING: Final = (_aten.max_pool2d_with_indices, _aten.avg_pool2d)
_BILINEAR: Final = (_aten.upsample_bilinear2d, _aten._upsample_bilinear2d_aa)
_NEAREST: Final = (_aten.upsample_nearest2d, _aten._upsample_nearest_exact2d)


@dataclass(frozen=True)
class Reach:
    """What one pixel of a map sees of the input.

    Attributes:
        field: width of its receptive field, in input pixels.
        jump: distance between neighbouring pixels of the map, in input pixels.
    """

    field: float
    jump: float

    def window(self, kernel: int, stride: int, dilation: int) -> Reach:
        """After a convolution or pooling of this kernel."""
        return Reach(self.field + (kernel - 1) * dilation * self.jump, self.jump * stride)

    def resize(self, factor: float, neighbours: int) -> Reach:
        """After upsampling by a factor from so many neighbours."""
        return Reach(self.field + (neighbours - 1) * self.jump, self.jump / factor)


@dataclass(frozen=True)
class Trace:
    """One forward pass.

    Attributes:
        multiply_adds: of the convolutions, for one sample.
        reaches: one per output of the network.
    """

    multiply_adds: int
    reaches: tuple[Reach, ...]


def trace(network: nn.Module, n_channels: int, size: tuple[int, int]) -> Trace:
    """Follow a forward pass; parameters and buffers stay as they are.

    The reach is along samples, and exact where the size divides by every stride; elsewhere the
    factor of an upsampling is not a whole number.

    Args:
        network: on any device; its outputs are a tuple of tensors.
        n_channels: input channels.
        size: lines and samples of the input.

    Raises:
        BaselineError: the network needs values, not shapes alone.
    """
    state = {
        name: value.detach().to("meta")
        for name, value in (*network.named_parameters(), *network.named_buffers())
    }
    dtype = next(network.parameters()).dtype
    x = torch.empty(1, n_channels, *size, dtype=dtype, device="meta")
    try:
        # With gradients networks compute as in training: whole, not strip by strip.
        with torch.enable_grad(), _evaluating(network), _Tracer(x) as tracer:
            outputs = functional_call(network, state, (x,))
    except (NotImplementedError, RuntimeError) as error:  # what the meta device says of values
        raise BaselineError(
            f"{type(network).__name__} cannot be followed without data: {error}"
        ) from error
    return Trace(tracer.multiply_adds, tuple(tracer.reach_of(output) for output in outputs))


def count_multiply_adds(network: nn.Module, n_channels: int, size: tuple[int, int]) -> int | None:
    """Multiply-adds of one forward pass, see ``trace``; None where they cannot be told."""
    try:
        return trace(network, n_channels, size).multiply_adds
    except BaselineError:  # no reason not to train
        return None


@contextmanager
def _evaluating(network: nn.Module) -> Iterator[None]:
    """Evaluation mode, in which batch normalisation takes any size; each part's mode comes back."""
    modes = {module: module.training for module in network.modules()}
    network.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training


class _Tracer(TorchDispatchMode):
    """Sees every operation on tensors; notes the reach of each result."""

    def __init__(self, x: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.multiply_adds = 0
        # Tensors are kept, or their ids would be given to others.
        self._noted: dict[int, tuple[Tensor, Reach]] = {id(x): (x, Reach(1, 1))}

    def reach_of(self, x: Tensor) -> Reach:
        return self._noted[id(x)][1]

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        inputs = [self.reach_of(x) for x in _tensors(args) if id(x) in self._noted]
        if inputs:
            widest = max(inputs, key=lambda reach: reach.field)
            first, *_ = outputs = list(_tensors((result,)))
            after = _follow(func.overloadpacket, args, widest, first)
            self._noted.update({id(x): (x, after) for x in outputs})
            if func.overloadpacket is _aten.convolution:
                self.multiply_adds += _count_convolution(args, first)
        return result


def _count_convolution(args: tuple[Any, ...], result: Tensor) -> int:
    """Multiply-adds of a convolution; a transposed one spreads each input over its kernel."""
    x, weight, transposed = args[0], args[1], args[6]
    per_pixel = int(weight[0].numel())
    return int(x.numel() if transposed else result.numel()) * per_pixel


def _follow(operation: Any, args: tuple[Any, ...], reach: Reach, result: Tensor) -> Reach:
    """Reach of a result; operations not named here keep it."""
    if operation is _aten.convolution:
        _, weight, _, stride, _, dilation, transposed, *_ = args
        if transposed:
            # An output pixel meets every stride-th tap only, of pixels that far apart.
            neighbours = -(-weight.shape[-1] // stride[-1])
            return reach.resize(stride[-1], neighbours)
        return reach.window(weight.shape[-1], stride[-1], dilation[-1])
    if operation in _POOLING:
        kernel = args[1]
        stride = args[2] if len(args) > 2 and args[2] else kernel
        return reach.window(kernel[-1], stride[-1], 1)
    if operation in (*_BILINEAR, *_NEAREST):
        factor = result.shape[-1] / args[0].shape[-1]
        return reach.resize(factor, neighbours=2 if operation in _BILINEAR else 1)
    return reach


def _tensors(values: Sequence[Any]) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from _tensors(value)


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
        # Storages, not tensors: views share theirs. Its address is given to another one once it is
        # freed, so it is forgotten just then.
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

    Raises:
        BaselineError: the network needs values, not shapes alone.
    """
    state = {
        f"network.{name}": torch.empty_like(tensor, device="meta")
        for name, tensor in (*network.named_parameters(), *network.named_buffers())
    }
    counted = _LiveBytes()
    try:
        # Tensors of inference mode cannot take part in a functional call.
        with torch.inference_mode(False), torch.no_grad(), counted:
            inputs = torch.empty(shape, device="meta")
            torch.func.functional_call(_Call(network, method), state, (inputs,))
    except (NotImplementedError, RuntimeError) as error:
        raise BaselineError(
            f"{type(network).__name__} cannot be followed without data: {error}"
        ) from error
    return counted.peak


class _Call(nn.Module):
    """A module whose forward pass is some method of another one."""

    def __init__(self, network: nn.Module, method: str) -> None:
        super().__init__()
        self.network = network
        self._method = method

    def forward(self, x: Tensor) -> Any:
        return getattr(self.network, self._method)(x)
