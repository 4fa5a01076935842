"""The group ``baseline``: a recipe runs when no subcommand is named."""

from __future__ import annotations

import click

from autoice_bench.commands.base import ListingGroup


class BaselineGroup(ListingGroup):
    """A group that runs a recipe when no command is named: ``baseline unet``."""

    default_command = "run"

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        asks_help = bool(args) and args[0] in self.get_help_option_names(ctx)
        if not asks_help and (not args or args[0] not in self.commands):
            args = [self.default_command, *args]
        return click.Group.parse_args(self, ctx, args)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return ["[RECIPE]", "[OPTIONS]", "|", "COMMAND [ARGS]..."]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The options of the command that needs no name, then the commands."""
        default = self.commands[self.default_command]
        default.format_options(click.Context(default, parent=ctx), formatter)
        self.format_commands(ctx, formatter)


@click.group(cls=BaselineGroup)
def baseline() -> None:
    """Train a baseline and predict with it.

    RECIPE (default: aspp) is trained on the split's training scenes, or goes on where an earlier
    start was interrupted; the test scenes are predicted into preds/RUN and scored where labels are
    there.

    \b
    majority         a floor: the most frequent class everywhere
    amsr2-threshold  a floor: one threshold per chart on 18.7 GHz polarisation
    aspp             multi-task DeepLab with ASPP (Vahedi et al. 2025)
    aspp-geo         its variant with place, distance to land and weather
    unet             MMSeaIce U-Net (Chen et al. 2024); --config 2 to 9 ablate it
    unet-16          its variant with incidence angle and distance to land
    demo, unet-demo  small ones that learn on simulated scenes on a CPU

    A recipe of your own is a TOML file: the fields that differ, and extends = "aspp".
    """
