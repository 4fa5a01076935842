"""The module around a user's network: its maps in the task's order, and of the shape promised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from autoice_bench.errors import BaselineError


class ForeignNetwork(nn.Module):
    """Calls a user's module and checks what it returns.

    Args:
        module: the network.
        name: for messages.
        outputs: channels of each map by name, in the task's order.
    """

    def __init__(self, module: nn.Module, name: str, outputs: Mapping[str, int]) -> None:
        super().__init__()
        self.module = module
        self.label = name
        self._outputs = dict(outputs)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """The maps of ``x``, (B, channels, lines, samples) each.

        Raises:
            BaselineError: a map is missing or has another shape.
        """
        found = self.module(x)
        if isinstance(found, Mapping):
            missing = self._outputs.keys() - found.keys()
            if missing:
                raise BaselineError(f"network {self.label}: returned no map {min(missing)}")
            found = [found[name] for name in self._outputs]
        if not isinstance(found, Sequence) or len(found) != len(self._outputs):
            raise BaselineError(
                f"network {self.label}: returned {_describe(found)}; expected a mapping with "
                f"{', '.join(self._outputs)}, or as many maps in this order"
            )
        for (name, n_channels), maps in zip(self._outputs.items(), found, strict=True):
            expected = (x.shape[0], n_channels, *x.shape[-2:])
            if not isinstance(maps, Tensor) or tuple(maps.shape) != expected:
                raise BaselineError(
                    f"network {self.label}: {name} is {_describe(maps)}; expected a map of shape "
                    f"{expected}"
                )
        return tuple(found)


def _describe(value: object) -> str:
    if isinstance(value, Tensor):
        return f"a map of shape {tuple(value.shape)}"
    n = f" of {len(value)}" if isinstance(value, Sequence) else ""
    return f"a {type(value).__name__}{n}"
