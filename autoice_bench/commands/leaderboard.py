"""``leaderboard``: show, compare and check submissions."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from autoice_bench.commands.base import LEADERBOARD_OPTION, ShowingGroup, echo_json, fail


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
    found = read_leaderboard(leaderboard) if leaderboard.exists() else Leaderboard()
    invalid = [each for each in found.invalid if split in (None, each.board)]
    boards = build_boards(found.submissions, view, only=split)
    if not boards:
        boards = published_boards(view, only=split)
    if split is not None and not boards and not invalid:
        known = sorted({submission.evaluation.board for submission in found.submissions})
        raise LeaderboardError(
            f"{leaderboard}: no submissions to split {split!r}; found {', '.join(known) or 'none'}"
        )
    records = [*board_records(boards), *invalid_records(invalid)]
    if as_json:
        echo_json(records)
    elif as_csv:
        click.echo(format_csv(records))
    else:
        click.echo("\n\n".join(format_board(board) for board in boards) or "no submissions")
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
        click.echo(format_comparison(differences, first.name, second.name))


@leaderboard.command("check")
@LEADERBOARD_OPTION
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def leaderboard_check(leaderboard: Path, as_json: bool) -> None:
    """Validate every submission.

    Checks schema, hashes and names, recomputes every score from the histograms and finds
    duplicates. The exit status is 1 when there are problems; a pull request's check can run this.
    """
    from autoice_bench.scoring.leaderboard.boards import submission_folders
    from autoice_bench.scoring.leaderboard.check import check_leaderboard
    from autoice_bench.wording import format_count

    problems = check_leaderboard(leaderboard)
    n_submissions = len(submission_folders(leaderboard))
    if as_json:
        echo_json({"submissions": n_submissions, "problems": problems})
    else:
        for problem in problems:
            click.echo(problem)
        found = format_count(len(problems), "problem") if problems else "no problems"
        click.echo(f"{leaderboard}: {format_count(n_submissions, 'submission')}, {found}")
    if problems:
        sys.exit(1)
