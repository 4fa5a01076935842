"""The command line: the group of commands, in the order of the workflow.

Exit status: 0 done, 1 done with failures that are listed (or an expected error, said in one line),
2 wrong usage.
"""

from __future__ import annotations

import click

from autoice_bench import __version__
from autoice_bench.commands.base import AutoIceGroup
from autoice_bench.commands.baselines import baseline
from autoice_bench.commands.demonstration import demo
from autoice_bench.commands.inspection import info, verify
from autoice_bench.commands.labelling import labels
from autoice_bench.commands.leaderboards import leaderboard
from autoice_bench.commands.predicting import predict
from autoice_bench.commands.preparation import prepare
from autoice_bench.commands.scoring import convert, score
from autoice_bench.commands.showing import show
from autoice_bench.commands.simulation import simulate
from autoice_bench.commands.splitting import splits
from autoice_bench.commands.studies import study, unet_study


@click.group(cls=AutoIceGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="autoice-bench")
def main() -> None:
    """Sea-ice mapping benchmark on the AutoICE / AI4Arctic scenes.

    Scenes go in, a store comes out; models read the store and write predictions; the scorer reads
    predictions and writes a leaderboard. With the defaults the plain commands follow each other in
    one folder:

    \b
      autoice-bench simulate     # or put the released scenes into rtt/
      autoice-bench prepare
      autoice-bench verify --source rtt
      autoice-bench score preds/
    """


for _command in (
    simulate,
    prepare,
    verify,
    info,
    splits,
    labels,
    show,
    baseline,
    predict,
    score,
    convert,
    leaderboard,
    demo,
):
    main.add_command(_command)

for _command in (study, unet_study):
    baseline.add_command(_command)
