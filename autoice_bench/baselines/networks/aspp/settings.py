"""Settings of the multi-task DeepLab."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

from autoice_bench.baselines.networks.aspp.constants import STRIDE, EncoderName
from autoice_bench.baselines.networks.contract import NetworkSettings
from autoice_bench.baselines.settings.values import require
from autoice_bench.charts import CHART_NAMES
from autoice_bench.errors import BaselineError

if TYPE_CHECKING:
    from torch import nn

_RATES: Final = "positive whole numbers such as 6,12,18"


@dataclass(frozen=True)
class AsppSettings(NetworkSettings):
    """Settings of ``aspp``; the defaults are those of the published study.

    Attributes:
        encoder: torchvision ResNet under the decoders.
        weights: the encoder's start: ``imagenet``, ``none``, or the path of a file.
        rates: atrous rates of every decoder.
        rates_sic, rates_sod, rates_floe: rates of one decoder; empty for ``rates``.
        aspp_width: channels of each ASPP branch.
        dropout: dropout probability after the ASPP projection.

    Raises:
        BaselineError: a value is out of range.
    """

    name: ClassVar[str] = "aspp"  # type: ignore[misc]

    encoder: EncoderName = "resnet101"
    weights: str = "imagenet"
    rates: tuple[int, ...] = (6, 12, 18)
    rates_sic: tuple[int, ...] = ()
    rates_sod: tuple[int, ...] = ()
    rates_floe: tuple[int, ...] = ()
    aspp_width: int = 32
    dropout: float = 0.5

    def __post_init__(self) -> None:
        require("weights", self.weights, bool(self.weights), "'imagenet', 'none' or a file")
        require("rates", self.rates, bool(self.rates) and min(self.rates) > 0, _RATES)
        for name, rates in self._own_rates().items():
            require(f"rates_{name.lower()}", rates, min(rates, default=1) > 0, _RATES)
        require("aspp_width", self.aspp_width, self.aspp_width > 0, "more than 0")
        require("dropout", self.dropout, 0 <= self.dropout < 1, "0 or more and less than 1")

    def _own_rates(self) -> dict[str, tuple[int, ...]]:
        own = (self.rates_sic, self.rates_sod, self.rates_floe)
        return dict(zip(CHART_NAMES, own, strict=True))

    def output_rates(self, names: tuple[str, ...] = CHART_NAMES) -> tuple[tuple[int, ...], ...]:
        """Atrous rates of the decoder of each output.

        Raises:
            BaselineError: rates are set for a chart that is not predicted.
        """
        own = self._own_rates()
        for name, rates in own.items():
            if rates and name not in names:
                raise BaselineError(
                    f"rates_{name.lower()} is set, but {name} is not predicted; expected rates"
                )
        return tuple(own.get(name) or self.rates for name in names)

    def smallest_map(self, patch_size: int) -> int:
        """Side of the map in the pooling branch, which halves the features."""
        return max(1, -(-patch_size // STRIDE) // 2)

    def build(self, n_channels: int, outputs: Mapping[str, int]) -> nn.Module:
        from autoice_bench.baselines.networks.aspp.network import Aspp

        return Aspp(
            n_channels,
            encoder=self.encoder,
            rates=self.output_rates(tuple(outputs)),
            width=self.aspp_width,
            dropout=self.dropout,
            n_outputs=tuple(outputs.values()),
        )

    def find_start_weights(self) -> None:
        from autoice_bench.baselines.networks.encoder_weights import find_weights

        find_weights(self.encoder, self.weights)

    def initialise(self, network: nn.Module) -> str:
        from autoice_bench.baselines.networks.aspp.network import Aspp
        from autoice_bench.baselines.networks.encoder_weights import initialise_encoder

        assert isinstance(network, Aspp)
        return initialise_encoder(network.encoder, self.weights)


SETTINGS: Final = AsppSettings
