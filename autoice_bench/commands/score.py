"""``score``: predictions in, scores and submissions out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from autoice_bench.commands.base import (
    LEADERBOARD_OPTION,
    PATH,
    SCHEDULER_OPTION,
    SPLIT_OPTION,
    STORE_OPTION,
    SUBSET_OPTION,
    AutoIceCommand,
    echo,
    echo_json,
    fail,
    scene_progress,
)
from autoice_bench.commands.streams import remark
from autoice_bench.errors import AutoIceError


@click.command(cls=AutoIceCommand)
@click.argument("predictions", type=PATH, default="preds")
@STORE_OPTION
@click.option("--labels", type=PATH, help="Score against RTT files in this folder, not a store.")
@SPLIT_OPTION
@SUBSET_OPTION
@click.option("--name", help="Name of the submission. [default: that of the folder]")
@LEADERBOARD_OPTION
@click.option("--no-write", is_flag=True, help="Print the score; leave the leaderboard alone.")
@click.option("--overwrite", is_flag=True, help="Replace a submission of the same name.")
@click.option("--replace", "old_overwrite", is_flag=True, hidden=True)  # its name in 0.1.0
@click.option(
    "--description",
    type=PATH,
    help="JSON file with authors, description, paper, code_revision, recipe, seed, "
    "store_fingerprint, trained_on_test, hardware, training_hours. "
    "[default: PREDICTIONS/description.json, if there]",
)
@click.option("--allow-partial", is_flag=True, help="Score what is there; the row gets no rank.")
@click.option("--workers", type=click.IntRange(min=1), help="Processes. [default: by size]")
@SCHEDULER_OPTION
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--expect", is_flag=True, help="Show the accepted prediction formats and exit.")
def score(
    *,
    predictions: Path,
    store: Path,
    labels: Path | None,
    name: str | None,
    leaderboard: Path,
    no_write: bool,
    overwrite: bool,
    old_overwrite: bool,
    as_json: bool,
    expect: bool,
    **options: Any,
) -> None:
    """Score predictions and add them to a leaderboard.

    PREDICTIONS (default: preds) is a folder of SCENE_ID.nc files, the challenge's
    upload_package.nc or a Zarr group per scene (--expect shows each); or a folder of such, scored
    as one submission each.
    """
    from autoice_bench.scoring.predictions.reading import find_submissions
    from autoice_bench.scoring.predictions.writing import EXPECTED
    from autoice_bench.scoring.score import score as run
    from autoice_bench.scoring.truth.rtt_truth import RttTruth
    from autoice_bench.scoring.truth.store_truth import StoreTruth
    from autoice_bench.text.score import format_summary

    if expect:
        echo(EXPECTED)
        return
    if old_overwrite:
        remark("note: --replace is now --overwrite; the next release drops it")
    options["overwrite"] = overwrite or old_overwrite
    truth = StoreTruth(store) if labels is None else RttTruth(labels)
    found = find_submissions(predictions)
    if name is not None and len(found) > 1:
        raise click.UsageError(f"--name names one submission; {predictions} holds {len(found)}")
    options["leaderboard"] = None if no_write else leaderboard
    summaries = []
    failures = []
    for source in found:
        title = name or source.name
        try:
            with scene_progress(f"scoring {title}") as progress:
                scored = run(source, truth, name=title, progress=progress, **options)
        except AutoIceError as error:
            if len(found) == 1:
                raise
            failures.append(f"{title}: {error}")
            continue
        summaries.append(scored.to_dict())
        if not as_json:
            echo(format_summary(summaries[-1]))
    if as_json:
        echo_json(summaries)
    if failures:
        fail("\n".join(failures))
