"""What a network is to the rest of the package: its settings, and the module they build.

A network of this package is a folder beside this file: ``settings.py`` holds a frozen dataclass
derived from ``NetworkSettings`` under the name ``SETTINGS``, ``network.py`` the module. The
registry finds it by its folder's name; nothing else has to be told. docs/networks.md shows one.

The module takes (B, n_channels, lines, samples), floating point, of any size from a patch to a
whole scene, and returns a tuple with one map per output of the task, in the task's order: logits
(B, classes, lines, samples), or one channel in class units where the task asks for a regression.
Networks from outside may also return a mapping by name; ``foreign_module`` puts it in order.
Settings are read without torch, so that runs can be listed where it is not installed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final, Protocol, runtime_checkable

if TYPE_CHECKING:
    from torch import Tensor, nn

    from autoice_bench.baselines.tasks.contract import Maps

NO_WEIGHTS: Final = "none"
"""What a run's record says of a network that starts from chance."""


class NetworkSettings(ABC):
    """The settings of one kind of network: a frozen dataclass that checks itself.

    Attributes:
        name: what a recipe calls the network.
    """

    name: str

    def values(self) -> dict[str, Any]:
        """The settings by field, as JSON and TOML know values (tuples as lists)."""
        return {
            field.name: list(value) if isinstance(value, tuple) else value
            for field in fields(self)  # type: ignore[arg-type]
            for value in [getattr(self, field.name)]
        }

    @abstractmethod
    def smallest_map(self, patch_size: int) -> int:
        """Side of the coarsest feature map of a patch; batch normalisation needs more than one."""

    @abstractmethod
    def build(self, n_channels: int, outputs: Mapping[str, int]) -> nn.Module:
        """Make the network with a random start, drawn from torch's generator.

        Args:
            n_channels: input channels.
            outputs: channels of each map, by the name of the task's output, in order.

        Raises:
            BaselineError: the settings do not go with these outputs.
        """

    def find_start_weights(self) -> None:  # noqa: B027 - most networks start from chance
        """Have at hand what the network starts from, downloaded if need be.

        Raises:
            BaselineError: it cannot be had.
        """

    def initialise(self, network: nn.Module) -> str:
        """Give a new network its start weights, in place.

        Returns:
            What they are, for the run's record: ``none``, or file name and SHA-256.

        Raises:
            BaselineError: the weights cannot be had, read, or do not fit.
        """
        return NO_WEIGHTS


@runtime_checkable
class CoarseNetwork(Protocol):
    """A network whose maps can be had before they are upsampled bilinearly.

    Whole scenes are predicted through it: a scene's logits at full size take most of its memory.
    """

    def forward_coarse(self, x: Tensor) -> Maps:
        """The maps at a fraction of the input's size."""


@runtime_checkable
class AtrousNetwork(Protocol):
    """A network with atrous convolutions, which ``insight`` looks at.

    Attributes:
        rates: dilations, one tuple per output.
        stride: input pixels per pixel of the map that they work on.
    """

    rates: tuple[tuple[int, ...], ...]
    stride: int
