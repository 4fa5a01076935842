"""The command line: the group of commands, in the order of the workflow.

Exit status: 0 done, 1 done with failures that are listed (or an expected error, said in one line),
2 wrong usage.
"""

from __future__ import annotations

import click

from autoice_bench import __version__
from autoice_bench.commands.base import AutoIceGroup
from autoice_bench.commands.baseline.fetch_weights import fetch_weights
from autoice_bench.commands.baseline.group import baseline
from autoice_bench.commands.baseline.list import list_runs_command
from autoice_bench.commands.baseline.run import run
from autoice_bench.commands.baseline.study import study
from autoice_bench.commands.baseline.unet_study import unet_study
from autoice_bench.commands.convert import convert
from autoice_bench.commands.demo import demo
from autoice_bench.commands.info import info
from autoice_bench.commands.labels import labels
from autoice_bench.commands.leaderboard import leaderboard
from autoice_bench.commands.predict import predict
from autoice_bench.commands.prepare import prepare
from autoice_bench.commands.score import score
from autoice_bench.commands.show import show
from autoice_bench.commands.simulate import simulate
from autoice_bench.commands.splits import splits
from autoice_bench.commands.verify import verify


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

for _command in (run, list_runs_command, study, unet_study, fetch_weights):
    baseline.add_command(_command)
