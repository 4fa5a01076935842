"""``leaderboard``: show, compare and check submissions."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from autoice_bench.commands.base import (
    LEADERBOARD_OPTION,
    PATH,
    SPLIT_OPTION,
    STORE_OPTION,
    SUBSET_OPTION,
    ShowingGroup,
    echo,
    echo_json,
    fail,
    scene_progress,
)


@click.group(cls=ShowingGroup)
def leaderboard() -> None:
    """Show, compare and check submissions.

    Without a command, shows them.
    """


@leaderboard.command("show")
@LEADERBOARD_OPTION
@click.option("--split", help="Show this split only.")
@click.option("--metric", help="Show this metric of each chart, such as f1_macro, accuracy, mae.")
@click.option(
    "--group",
    type=click.Choice(["ice_service", "region", "month", "season", "scene"]),
    help="One column per group of this kind.",
)
@click.option(
    "--chart",
    type=click.Choice(["combined", "SIC", "SOD", "FLOE"]),
    default="combined",
    show_default=True,
    help="The score shown with --group.",
)
@click.option("--sort", help="Column to sort by. [default: the first]")
@click.option("--published", is_flag=True, help="Every published result, not each system's best.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
def leaderboard_show(
    *,
    leaderboard: Path,
    split: str | None,
    metric: str | None,
    group: str | None,
    chart: str,
    sort: str | None,
    published: bool,
    as_json: bool,
    as_csv: bool,
) -> None:
    """Show the ranked tables.

    There is one for each split and truth, with published results below, which are not ranked.
    A submission that cannot be read is named and left out; the exit status is then 1.
    """
    from autoice_bench.errors import LeaderboardError
    from autoice_bench.scoring.leaderboard.boards import (
        Leaderboard,
        View,
        build_boards,
        published_boards,
        read_leaderboard,
    )
    from autoice_bench.text.leaderboard import (
        board_records,
        format_board,
        format_invalid,
        invalid_records,
    )
    from autoice_bench.text.tables import format_csv

    if as_json and as_csv:
        raise click.UsageError("--json and --csv exclude each other")
    view = View(metric, group, chart, sort, published)
    found = read_leaderboard(leaderboard, view) if leaderboard.exists() else Leaderboard()
    invalid = [each for each in found.invalid if split in (None, each.board)]
    boards = build_boards(found.submissions, view, only=split)
    if not boards:
        boards = published_boards(view, only=split)
    if split is not None and not boards and not invalid:
        known = sorted({submission.record.board for submission in found.submissions})
        raise LeaderboardError(
            f"{leaderboard}: no submissions to split {split!r}; found {', '.join(known) or 'none'}"
        )
    records = [*board_records(boards), *invalid_records(invalid)]
    if as_json:
        echo_json(records)
    elif as_csv:
        echo(format_csv(records))
    else:
        echo("\n\n".join(format_board(board) for board in boards) or "no submissions")
    if invalid:
        fail(format_invalid(invalid))


@leaderboard.command("compare")
@click.argument("a")
@click.argument("b")
@LEADERBOARD_OPTION
@click.option("--split", help="Split of both, where several have submissions of these names.")
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Seed of the bootstrap.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def leaderboard_compare(
    *, a: str, b: str, leaderboard: Path, split: str | None, seed: int, as_json: bool
) -> None:
    """Show which differences are beyond chance.

    A and B are submissions, by name or as SPLIT/NAME. Scenes are drawn 2,000 times with
    replacement, the same for both. A difference is beyond chance if its 95 % interval excludes 0.
    """
    from autoice_bench.scoring.leaderboard.boards import find_submission
    from autoice_bench.scoring.leaderboard.compare import compare
    from autoice_bench.text.leaderboard import comparison_records, format_comparison

    first, second = (find_submission(leaderboard, name, board=split) for name in (a, b))
    differences = compare(first.evaluation, second.evaluation, seed=seed)
    if as_json:
        echo_json(comparison_records(differences))
    else:
        echo(format_comparison(differences, first.name, second.name))


@leaderboard.command("check")
@LEADERBOARD_OPTION
@click.option(
    "--predictions",
    type=PATH,
    help="Score these again, as `score` takes them, and compare them with their submissions.",
)
@STORE_OPTION
@click.option("--labels", type=PATH, help="Score against RTT files in this folder, not a store.")
@SPLIT_OPTION
@SUBSET_OPTION
@click.option("--name", help="Name of the one submission. [default: that of the folder]")
@click.option("--workers", type=click.IntRange(min=1), help="Processes. [default: by size]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def leaderboard_check(
    *,
    leaderboard: Path,
    predictions: Path | None,
    store: Path,
    labels: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Validate every submission.

    Checks schema, digests and names, derives again every score from the histograms and finds
    duplicates. What does not follow from the files is said to be as stated; --predictions scores
    the predictions again and checks that too, with the other options as `score` takes them. The
    exit status is 1 when there are problems; a pull request's check can run this.
    """
    from autoice_bench.commands.progress import Progress
    from autoice_bench.scoring.leaderboard.boards import submission_folders
    from autoice_bench.scoring.leaderboard.check import AS_STATED, check_leaderboard
    from autoice_bench.text.leaderboard import format_check

    n_submissions = len(submission_folders(leaderboard))
    with Progress("checking", "submissions") as progress:
        problems = check_leaderboard(
            leaderboard, workers=options["workers"], progress=progress.reach
        )
    rescored: list[str] = []
    if predictions is not None:
        rescored, found = _check_predictions(leaderboard, predictions, store, labels, options)
        problems = list(dict.fromkeys([*problems, *found]))
    if as_json:
        answer = {"submissions": n_submissions, "problems": problems, "rescored": rescored}
        echo_json({**answer, "as_stated": AS_STATED})
    else:
        echo(format_check(leaderboard, n_submissions, problems, rescored))
    if problems:
        sys.exit(1)


def _check_predictions(
    leaderboard: Path, predictions: Path, store: Path, labels: Path | None, options: dict[str, Any]
) -> tuple[list[str], list[str]]:
    """Names of the submissions that were scored again, and the problems found."""
    from autoice_bench.scoring.leaderboard.rescoring import check_predictions
    from autoice_bench.scoring.predictions.reading import find_submissions
    from autoice_bench.scoring.truth.rtt_truth import RttTruth
    from autoice_bench.scoring.truth.store_truth import StoreTruth

    found = find_submissions(predictions)
    name = options["name"]
    if name is not None and len(found) > 1:
        raise click.UsageError(f"--name names one submission; {predictions} holds {len(found)}")
    truth = StoreTruth(store) if labels is None else RttTruth(labels)
    problems: list[str] = []
    titles = [name or source.name for source in found]
    for source, title in zip(found, titles, strict=True):
        with scene_progress(f"scoring {title}") as progress:
            problems += check_predictions(
                leaderboard, source, truth, progress=progress, **{**options, "name": title}
            )
    return titles, problems
