"""What the subcommands of ``baseline`` do alike: look for torch, show work, run a study."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from autoice_bench.commands.base import echo_json, fail
from autoice_bench.commands.streams import remark
from autoice_bench.errors import BaselineError
from autoice_bench.wording import format_duration

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    from autoice_bench.baselines.experiments.study import (
        RunOutcome,
        SecondScore,
        StudyResult,
        StudyRun,
    )
    from autoice_bench.baselines.experiments.study_plan import Study

_LONG_RUN_S: Final = 86400.0


def require_torch(recipe: str) -> None:
    """Say in one line what is missing where networks cannot run."""
    for name in ("lightning_fabric", "torch", "torchvision"):
        # Looked for, not imported: that takes seconds, which wrong options need not wait for.
        if find_spec(name) is None:
            raise BaselineError(
                f"recipe {recipe} needs {name}, which is not installed; install "
                "'autoice-bench[train]', or run a floor: autoice-bench baseline majority"
            )


@contextlib.contextmanager
def report_work(
    verb: str, noun: str
) -> Iterator[tuple[Callable[[int, int], None], Callable[[str], None]]]:
    """Progress and lines of a piece of work, on standard error."""
    from autoice_bench.commands.progress import Progress

    with Progress(verb, noun) as progress:
        yield progress.reach, progress.say


def confirm_long_run(seconds: float, device: str, yes: bool) -> None:
    """Ask before a run that would keep a CPU busy beyond a day; refuse where nobody can be asked.

    Raises:
        BaselineError: nobody can be asked.
        click.Abort: the answer is no.
    """
    if yes or device != "cpu" or seconds <= _LONG_RUN_S:
        return
    if sys.stdin.isatty():
        click.confirm("That is more than a day on this CPU. Begin?", abort=True, err=True)
        return
    raise BaselineError(
        f"about {format_duration(seconds)} on this CPU, more than a day; run it where there is a "
        "GPU, train the small network for CPUs (autoice-bench baseline demo), set fewer --epochs, "
        "or begin all the same with --yes"
    )


def do_study(
    study: Study,
    second: SecondScore | None,
    *,
    store: Path,
    split: str,
    seeds: tuple[int, ...],
    runs: Path,
    preds: Path,
    device: str,
    devices: int,
    nodes: int,
    yes: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Run what is not done of a study, and print its tables."""
    from autoice_bench.baselines.experiments.study import (
        StudyResult,
        plan_study_runs,
        read_outcome,
        run_study,
    )
    from autoice_bench.baselines.experiments.study_plan import explain_incomparable

    planned = plan_study_runs(study, store=store, split=split, seeds=seeds, runs=runs, preds=preds)
    incomparable = explain_incomparable(planned[0].planned.store, planned[0].planned.split)
    outcomes = tuple(read_outcome(run, second) for run in planned)
    if not dry_run:
        from autoice_bench.baselines.machine.devices import open_fabric

        precision = planned[0].planned.recipe.precision
        fabric = open_fabric(device, precision=precision, devices=devices, num_nodes=nodes)
        if fabric.is_global_zero:
            _announce_study(outcomes, fabric, yes)
        outcomes = run_study(planned, fabric, report_work, second, begin=_announce_run)
        if not fabric.is_global_zero:
            return
    _show_study(StudyResult(study, outcomes, second, incomparable), dry_run, as_json)


def _announce_study(outcomes: Sequence[RunOutcome], fabric: Fabric, yes: bool) -> None:
    from autoice_bench.baselines.experiments.study import project_study
    from autoice_bench.text.studies import describe_runs

    remark(describe_runs(outcomes))
    pending = [each.run for each in outcomes if each.state != "finished"]
    if pending:
        seconds = project_study(pending, fabric.device.type, fabric.world_size)
        text = f"projected: about {format_duration(seconds)} of training at most"
        remark(f"{text}, reading left out")
        confirm_long_run(seconds, fabric.device.type, yes)


def _announce_run(run: StudyRun) -> None:
    from autoice_bench.text.runs import format_plan

    remark(format_plan(run.planned))


def _show_study(result: StudyResult, dry_run: bool, as_json: bool) -> None:
    from autoice_bench.baselines.experiments.study_table import to_record
    from autoice_bench.text.studies import describe_failures, describe_runs, format_result

    if as_json:
        echo_json(to_record(result))
    elif dry_run:
        click.echo(describe_runs(result.outcomes))
    else:
        click.echo(format_result(result))
    if dry_run:
        return
    reasons = [f"failed:\n{describe_failures(result.outcomes)}"] if result.failed else []
    if result.is_interrupted:
        reasons.append("interrupted; the same command goes on")
    if reasons:
        fail("\n".join(reasons))
