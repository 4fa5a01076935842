"""``baseline fetch-weights``: ImageNet weights, for machines without network."""

from __future__ import annotations

import click

from autoice_bench.commands.base import AutoIceCommand
from autoice_bench.commands.baseline.work import require_torch


@click.command("fetch-weights", cls=AutoIceCommand)
@click.option("--encoder", default="resnet101", show_default=True, help="resnet18 to resnet152.")
def fetch_weights(encoder: str) -> None:
    """Download ImageNet weights of an encoder, for machines without network.

    They lie in torch's cache (TORCH_HOME, by default ~/.cache/torch), where training finds them.
    """
    require_torch("aspp")
    from autoice_bench.baselines.networks.encoder_weights import fetch_weights

    click.echo(f"weights of {encoder}: {fetch_weights(encoder)}")
