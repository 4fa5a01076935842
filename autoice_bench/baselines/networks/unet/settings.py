"""Settings of the U-Net."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

from autoice_bench.baselines.networks.contract import NetworkSettings
from autoice_bench.baselines.settings.values import require

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class UNetSettings(NetworkSettings):
    """Settings of ``unet``; the defaults are those of configuration 1.

    Attributes:
        widths: channels of the contracting levels, finest first; the bridge has the last.
        separate_decoders: one expanding path per chart instead of a shared one.

    Raises:
        BaselineError: a value is out of range.
    """

    name: ClassVar[str] = "unet"  # type: ignore[misc]

    widths: tuple[int, ...] = (32, 32, 64, 64)
    separate_decoders: bool = False

    def __post_init__(self) -> None:
        valid = bool(self.widths) and min(self.widths) > 0
        require("widths", self.widths, valid, "positive whole numbers such as 32,32,64,64")

    def smallest_map(self, patch_size: int) -> int:
        """Side of the bridge's map: every level halves it."""
        return max(1, patch_size >> len(self.widths))

    def build(self, n_channels: int, outputs: Mapping[str, int]) -> nn.Module:
        from autoice_bench.baselines.networks.unet.network import UNet

        return UNet(
            n_channels,
            separate_decoders=self.separate_decoders,
            n_outputs=tuple(outputs.values()),
            widths=self.widths,
        )


SETTINGS: Final = UNetSettings
