"""The command line. Commands are thin; heavy imports happen inside them, so ``--help`` is instant.

Exit status: 0 done, 1 done with failures that are listed (or an expected error, said in one line),
2 wrong usage.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NoReturn

import click

from autoice_bench import __version__
from autoice_bench.errors import AutoIceError

PATH = click.Path(path_type=Path)


class AutoIceCommand(click.Command):
    """A command whose expected errors print as one line; ``--debug`` shows the traceback."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.append(
            click.Option(
                ["--debug"],
                is_flag=True,
                expose_value=False,
                help="Show the traceback of an error.",
                callback=_remember_debug,
            )
        )

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except AutoIceError as error:
            if ctx.meta.get("autoice.debug") or os.environ.get("AUTOICE_DEBUG"):
                raise
            _fail(str(error))


def _remember_debug(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    ctx.meta["autoice.debug"] = value or ctx.meta.get("autoice.debug", False)


def _fail(message: str) -> NoReturn:
    click.echo(f"error: {message}", err=True)
    sys.exit(1)


class AutoIceGroup(click.Group):
    """Commands listed in the order of the workflow, not of the alphabet."""

    command_class = AutoIceCommand

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


AutoIceGroup.group_class = AutoIceGroup


class ListingGroup(AutoIceGroup):
    """A group that lists when no command is named: ``splits --json`` is ``splits list --json``."""

    default_command = "list"

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        asks_help = bool(args) and args[0] in self.get_help_option_names(ctx)
        if not asks_help and (not args or args[0].startswith("-")):
            args = [self.default_command, *args]
        return super().parse_args(ctx, args)


class ShowingGroup(ListingGroup):
    """A group that shows when no command is named."""

    default_command = "show"


def echo_json(value: object) -> None:
    """Print ``value`` as indented JSON (the form of every ``--json`` answer)."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


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


def _parse_size(_: click.Context, __: click.Parameter, value: str) -> tuple[int, int]:
    try:
        lines, samples = (int(part) for part in value.split(","))
    except ValueError:
        raise click.BadParameter(f"{value!r} is not LINES,SAMPLES, such as 1000,1046") from None
    return lines, samples


def _parse_part(_: click.Context, __: click.Parameter, value: str | None) -> tuple[int, int] | None:
    if value is None:
        return None
    try:
        number, count = (int(part) for part in value.split("/"))
    except ValueError:
        raise click.BadParameter(f"{value!r} is not K/N, such as 3/8") from None
    if not 1 <= number <= count:
        raise click.BadParameter(f"{value!r}: K counts from 1 to N")
    return number, count


@main.command()
@click.argument("out", type=PATH, default="rtt")
@click.option("--train", "n_train", default=8, show_default=True, help="Training scenes.")
@click.option("--test", "n_test", default=2, show_default=True, help="Test scenes.")
@click.option(
    "--size",
    default="1000,1046",
    show_default=True,
    metavar="LINES,SAMPLES",
    callback=_parse_size,
    help="80 m pixels; a released scene has about 5000,5229.",
)
@click.option("--seed", default=0, show_default=True, help="Another seed, another data set.")
@click.option(
    "--cases",
    type=click.Choice(["auto", "all", "none"]),
    default="auto",
    show_default=True,
    help="Awkward scenes (odd size, short frame, all water, ...); auto: from 16 scenes on.",
)
@click.option("--raw", type=PATH, help="Also write the raw (40 m) scenes into this folder.")
@click.option(
    "--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Processes."
)
@click.option("--overwrite", is_flag=True, help="Replace simulated scenes of another run in OUT.")
def simulate(
    out: Path,
    n_train: int,
    n_test: int,
    size: tuple[int, int],
    seed: int,
    cases: Literal["auto", "all", "none"],
    raw: Path | None,
    workers: int,
    overwrite: bool,
) -> None:
    """Write simulated scenes in the official layout into OUT (default: rtt).

    OUT gets train/*_prep.nc, test/*_prep.nc without charts, test/*_prep_reference.nc and
    metadata.csv. The same options give the same bytes; repeating the command finishes an
    interrupted run. Scenes are dated from 2030 on and marked simulated = 1.
    """
    from autoice_bench.datasets.simulate import simulate as run

    with _scene_progress("simulating") as progress:
        source = run(
            out,
            n_train=n_train,
            n_test=n_test,
            size=size,
            seed=seed,
            cases=cases,
            raw=raw,
            workers=workers,
            overwrite=overwrite,
            progress=progress,
        )
    kept = f", {source.n_kept} were there already" if source.n_kept else ""
    click.echo(f"{out}: {source.n_written} scenes simulated{kept}")


@main.command()
@click.argument("source", type=PATH, default="rtt")
@click.argument("store", type=PATH, default="autoice.zarr", envvar="AUTOICE_STORE")
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="Processes on this machine. [default: all cores; 1 stays in this process]",
)
@click.option("--scheduler", metavar="ADDRESS", help="Use the workers of this dask scheduler.")
@click.option(
    "--part",
    metavar="K/N",
    callback=_parse_part,
    help="Prepare every N-th scene only, beside other parts; a last run without it completes "
    "the store.",
)
@click.option(
    "--dtype",
    type=click.Choice(["float16", "float32"]),
    default="float16",
    show_default=True,
    help="Of the SAR channels.",
)
@click.option(
    "--label-rule",
    type=click.Choice(["autoice-2022", "dominant-sum"]),
    default="autoice-2022",
    show_default=True,
    help="How polygon codes become labels; raw scenes only.",
)
@click.option(
    "--sod-threshold",
    type=click.IntRange(1, 100),
    default=65,
    show_default=True,
    help="Percent from which a stage of development is dominant; raw scenes only.",
)
@click.option(
    "--floe-threshold",
    type=click.IntRange(1, 100),
    default=65,
    show_default=True,
    help="Percent from which a floe size is dominant; raw scenes only.",
)
@click.option("--ice-types", is_flag=True, help="Also store the ten ice types; raw scenes only.")
@click.option(
    "--grid-anchor",
    type=click.Choice(["centre", "corner"]),
    help="Pixel of its cell that a 2 km value belongs to. [default: centre, or as recorded]",
)
@click.option(
    "--on-error",
    type=click.Choice(["stop", "skip"]),
    default="stop",
    show_default=True,
    help="At a bad scene: stop, or go on, list it at the end and exit with status 1.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be done, with sizes and time.")
@click.option(
    "--overwrite",
    is_flag=True,
    help="Replace scenes whose source changed, or all of them if the options differ.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
def prepare(
    *,
    source: Path,
    store: Path,
    workers: int | None,
    scheduler: str | None,
    part: tuple[int, int] | None,
    dtype: Literal["float16", "float32"],
    label_rule: Literal["autoice-2022", "dominant-sum"],
    sod_threshold: int,
    floe_threshold: int,
    ice_types: bool,
    grid_anchor: Literal["centre", "corner"] | None,
    on_error: Literal["stop", "skip"],
    dry_run: bool,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Convert the scenes under SOURCE (default: rtt) into the store STORE (autoice.zarr).

    Every layout of the data set is understood; raw scenes are told by their content, and only they
    can be labelled by another rule. Run the same command again after an interruption: it finishes
    what is missing and skips what is done. AUTOICE_STORE overrides the default store.
    """
    from autoice_bench.datasets import prepare_text
    from autoice_bench.datasets.labels import LabelRule
    from autoice_bench.datasets.prepare import prepare as run
    from autoice_bench.datasets.runs import Part
    from autoice_bench.progress import Progress

    chosen = None if part is None else Part(*part)
    rule = LabelRule(label_rule, sod_threshold=sod_threshold, floe_threshold=floe_threshold)
    if dry_run:
        estimate = prepare_text.estimate(
            source,
            store,
            dtype,
            chosen,
            workers,
            label_rule=rule,
            ice_types=ice_types,
            overwrite=overwrite,
        )
        echo_json(estimate.to_dict()) if as_json else click.echo(estimate.to_text())
        return
    with Progress("preparing") as progress:
        report = run(
            source,
            store,
            workers=workers,
            scheduler=scheduler,
            part=chosen,
            dtype=dtype,
            label_rule=rule,
            ice_types=ice_types,
            grid_anchor=grid_anchor,
            on_error=on_error,
            overwrite=overwrite,
            on_plan=lambda plan: progress.start(len(plan.to_write), plan.source_bytes),
            on_scene=lambda result: progress.advance(result.source_bytes),
        )
    if as_json:
        echo_json(prepare_text.report_to_dict(report))
    else:
        click.echo(prepare_text.report_to_text(report))
    if report.failed:
        sys.exit(1)


@main.command()
@click.argument("store", type=PATH, default="autoice.zarr", envvar="AUTOICE_STORE")
@click.option("--source", type=PATH, metavar="RTT", help="Also compare every value with RTT.")
@click.option(
    "--raw",
    type=PATH,
    metavar="RAW",
    help="Instead of a store: convert the scenes in RAW and compare them with those in --source.",
)
@click.option(
    "--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Processes."
)
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
def verify(
    *, store: Path, source: Path | None, raw: Path | None, workers: int, as_json: bool
) -> None:
    """Prove that STORE (default: autoice.zarr) is whole.

    Every file is hashed and every array decoded; counts, index, splits and fingerprint must agree.
    With --source every value is compared with the NetCDF it came from. What is wrong is listed,
    and the exit status is 1.

    With --raw and --source no store is read: each raw scene is converted and compared with the
    released one. Shown are agreement per chart, the largest difference per channel, and where in
    its cell a 2 km value lies (for `prepare --grid-anchor`).
    """
    from dataclasses import asdict

    if raw is not None:
        if source is None:
            raise click.UsageError("--raw needs --source, the released scenes to compare with")
        _compare_raw(raw, source, as_json=as_json)
        return

    from autoice_bench.datasets.verify import verify_store
    from autoice_bench.progress import Progress
    from autoice_bench.wording import format_size

    with Progress("verifying") as progress:
        report = verify_store(
            store,
            source=source,
            workers=workers,
            on_start=progress.start,
            on_scene=lambda check: progress.advance(check.n_bytes),
        )
    if as_json:
        echo_json(asdict(report))
    else:
        for line in (*report.notes, *report.problems):
            click.echo(line)
        compared = f", {report.n_compared} compared with {source}" if source is not None else ""
        verdict = f"{len(report.problems)} problems" if report.problems else "no problem"
        click.echo(
            f"{store}: {report.n_scenes} scenes, {format_size(report.n_bytes)}{compared}: {verdict}"
        )
    if report.problems:
        sys.exit(1)


def _compare_raw(raw: Path, source: Path, *, as_json: bool) -> None:
    """Compare raw scenes with their released twins and print what was found."""
    from autoice_bench.datasets.raw_comparison import compare_raw_source
    from autoice_bench.datasets.raw_comparison_text import format_comparison

    with _scene_progress("comparing") as progress:
        comparison = compare_raw_source(raw, source, on_scene=progress)
    if as_json:
        echo_json(comparison.to_dict())
    else:
        click.echo(format_comparison(comparison))
    for failure in comparison.failures.values():
        click.echo(f"failed: {failure}", err=True)
    if comparison.failures:
        sys.exit(1)


@main.command()
@click.argument("store", type=PATH, default="autoice.zarr", envvar="AUTOICE_STORE")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def info(*, store: Path, as_json: bool) -> None:
    """Show what STORE (default: autoice.zarr) holds.

    Scenes by service, region and year, class shares, sizes, splits and the fingerprint.
    """
    from dataclasses import asdict

    from autoice_bench.datasets.store import open_store
    from autoice_bench.datasets.store_report import format_report, report_store

    report = report_store(open_store(store))
    if as_json:
        echo_json(asdict(report))
    else:
        click.echo(format_report(report))


STORE_OPTION = click.option(
    "--store",
    type=PATH,
    default=Path("autoice.zarr"),
    show_default=True,
    envvar="AUTOICE_STORE",
    show_envvar=True,
    help="The store.",
)


@main.group(cls=ListingGroup)
def splits() -> None:
    """List, create and check splits of a store.

    Without a command, lists them. A split is a file STORE/splits/NAME.json.
    """


@splits.command("list")
@STORE_OPTION
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def splits_list(store: Path, as_json: bool) -> None:
    """List the splits of a store."""
    from autoice_bench.datasets.named_splits import explain_missing_splits
    from autoice_bench.datasets.split_index import read_split_index
    from autoice_bench.datasets.splits import format_splits, read_splits

    missing = explain_missing_splits(store, read_split_index(store))
    found = read_splits(store)
    if as_json:
        echo_json({"splits": [split.to_dict() for split in found], "missing": missing})
        return
    click.echo(format_splits(found))
    for name, reason in missing.items():
        click.echo(f"not here: {name} ({reason.removeprefix(f'split {name}: ')})")


@splits.command("create")
@click.argument("name")
@STORE_OPTION
@click.option(
    "--method",
    type=click.Choice(["stratified", "random", "kfold", "season"]),
    default="stratified",
    show_default=True,
    help="stratified: validation with the classes and months of training. random: drawn at "
    "random. kfold: NAME-0, NAME-1, ..., every scene validates once. season: NAME-winter, "
    "NAME-spring, ..., one season validates.",
)
@click.option(
    "--val",
    "n_val",
    type=click.IntRange(min=1),
    help="Validation scenes (stratified, random). [default: an eighth, at most 24]",
)
@click.option("--folds", type=click.IntRange(min=2), help="Number of folds (kfold). [default: 5]")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the draw.")
@click.option("--overwrite", is_flag=True, help="Replace splits of that name.")
@click.option("--json", "as_json", is_flag=True, help="Print the splits as JSON.")
def splits_create(
    *,
    name: str,
    store: Path,
    method: str,
    n_val: int | None,
    folds: int | None,
    seed: int,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Create a split NAME of the training scenes.

    The test is the official one. Satellite passes stay whole, and training scenes that share a
    pass with a test scene are left out.
    """
    from autoice_bench.datasets.created_splits import METHODS, create_splits
    from autoice_bench.datasets.named_splits import write_created_splits
    from autoice_bench.datasets.split_index import read_split_index
    from autoice_bench.datasets.splits import format_splits

    if folds is not None and method != "kfold":
        raise click.UsageError("--folds goes with --method kfold")
    if n_val is not None and method not in ("stratified", "random"):
        raise click.UsageError("--val goes with --method stratified or random")
    created = create_splits(
        name,
        read_split_index(store),
        method=METHODS[METHODS.index(method)],
        n_val=n_val,
        n_folds=5 if folds is None else folds,
        seed=seed,
    )
    write_created_splits(store, created, overwrite=overwrite)
    if as_json:
        echo_json([split.to_dict() for split in created])
    else:
        click.echo(format_splits(created))


@splits.command("check")
@click.argument("name")
@STORE_OPTION
@click.option(
    "--days",
    type=click.FloatRange(min=0),
    default=3.0,
    show_default=True,
    help="Compare footprints of scenes at most this many days apart.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def splits_check(name: str, store: Path, days: float, as_json: bool) -> None:
    """Report leaks: scenes on two sides that show the same ice.

    NAME is a split of the store or the path of a JSON file. Leaks in pass (one data-take), time
    (one satellite within ten minutes) and footprint (overlap within --days). The exit status is 1
    when there are leaks; the published splits have some and stay as published.
    """
    from autoice_bench.datasets.leaks import check_split
    from autoice_bench.datasets.split_index import read_split_index
    from autoice_bench.datasets.splits import read_split

    split = read_split(store, name)
    leaks = check_split(split, read_split_index(store), max_days=days)
    if as_json:
        echo_json({"name": split.name, "leaks": [leak.to_dict() for leak in leaks]})
    else:
        for leak in leaks:
            click.echo(str(leak))
        click.echo(f"{split.name}: {len(leaks) or 'no'} leak{'' if len(leaks) == 1 else 's'}")
    if leaks:
        sys.exit(1)


def _parse_thresholds(
    ctx: click.Context, param: click.Parameter, value: str
) -> list[tuple[int, int]]:
    from autoice_bench.datasets.labels import parse_threshold

    pairs = []
    for item in value.split(","):
        sod, _, floe = item.partition("/")
        try:
            pairs.append((parse_threshold(sod), parse_threshold(floe or sod)))
        except AutoIceError as error:
            raise click.BadParameter(str(error)) from None
    return pairs


@main.command()
@click.argument("raw", type=PATH)
@click.option(
    "--thresholds",
    default="65,50",
    show_default=True,
    metavar="LIST",
    callback=_parse_thresholds,
    help="Thresholds to compare, in percent: N, or SOD/FLOE such as 70/50.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def labels(raw: Path, thresholds: list[tuple[int, int]], as_json: bool) -> None:
    """Report what label rules and thresholds make of raw scenes.

    RAW is a raw scene (40 m, ice-chart polygons) or a folder of them. Each rule, autoice-2022 (the
    released labels) and dominant-sum (the definition as stated), is applied at each threshold.
    Counted are polygons and their pixels at 40 m: labelled, masked, or labelled with another class
    than autoice-2022 at 65 %. Nothing is written.
    """
    from autoice_bench.datasets.label_report import LabelReport, list_rules, report_source
    from autoice_bench.datasets.label_report_text import format_class_shares, format_report

    with _scene_progress("reading polygons") as progress:

        def show(report: LabelReport, number: int, n_scenes: int) -> None:
            if as_json:
                progress(number, n_scenes)
            else:
                click.echo(f"{format_report(report)}\n")

        found = report_source(raw, list_rules(thresholds), on_scene=show)
    if as_json:
        echo_json(found.to_dict())
    elif found.total is not None:
        if len(found.scenes) > 1:
            click.echo(f"{format_report(found.total)}\n")
        click.echo(format_class_shares(found.total))
    for scene_id in found.without_polygons:
        click.echo(f"scene {scene_id}: no polygons, nothing to label", err=True)
    for message in found.failures.values():
        click.echo(f"error: {message}", err=True)
    if found.failures:
        sys.exit(1)


SPLIT_OPTION = click.option(
    "--split", default="official", show_default=True, help="Name of a split, or its JSON file."
)
SUBSET_OPTION = click.option(
    "--subset",
    type=click.Choice(["train", "val", "test"]),
    default="test",
    show_default=True,
    help="Subset of the split.",
)
LEADERBOARD_OPTION = click.option(
    "--leaderboard",
    type=PATH,
    default=Path("leaderboard"),
    show_default=True,
    help="The leaderboard's folder.",
)


@contextmanager
def _scene_progress(verb: str) -> Iterator[Callable[[int, int], None]]:
    """A callback (scenes done, scenes in all) that shows progress on standard error."""
    from autoice_bench.progress import Progress

    with Progress(verb) as progress:

        def report(done: int, total: int) -> None:
            if done == 1:
                progress.start(total)
            progress.advance()

        yield report


@main.command()
@click.argument("recipe", default="majority")
@STORE_OPTION
@SPLIT_OPTION
@SUBSET_OPTION
@click.option("--out", type=PATH, help="Folder for the predictions. [default: preds/RECIPE]")
@click.option("--overwrite", is_flag=True, help="Replace the predictions in that folder.")
def baseline(
    *, recipe: str, store: Path, split: str, subset: str, out: Path | None, overwrite: bool
) -> None:
    """Predict with a baseline fitted on training scenes.

    RECIPE is fitted on the split's training scenes and predicts a subset:

    \b
    majority         the most frequent class everywhere
    amsr2-threshold  one threshold per chart on the 18.7 GHz polarisation ratio
    """
    from autoice_bench.baselines.floors import FLOORS, predict_floor

    if recipe not in FLOORS:
        raise click.UsageError(f"no recipe {recipe!r}; expected one of {', '.join(FLOORS)}")
    target = Path("preds") / recipe if out is None else out
    with _scene_progress(f"predicting {recipe}") as progress:
        fitted = predict_floor(
            recipe,
            store,
            target,
            split=split,
            subset=subset,
            overwrite=overwrite,
            progress=progress,
        )
    for key, value in fitted.items():
        click.echo(f"{key}: {value}")
    click.echo(f"predictions written to {target}")


@main.command()
@click.argument("predictions", type=PATH, default="preds")
@STORE_OPTION
@click.option("--labels", type=PATH, help="Score against RTT files in this folder, not a store.")
@SPLIT_OPTION
@SUBSET_OPTION
@click.option("--name", help="Name of the submission. [default: that of the folder]")
@LEADERBOARD_OPTION
@click.option("--no-write", is_flag=True, help="Print the score; leave the leaderboard alone.")
@click.option("--replace", is_flag=True, help="Replace a submission of the same name.")
@click.option(
    "--description",
    "description_file",
    type=PATH,
    help="JSON file with authors, description, paper, code_revision, recipe, seed, "
    "store_fingerprint, trained_on_test, hardware, training_hours. "
    "[default: PREDICTIONS/description.json, if there]",
)
@click.option("--allow-partial", is_flag=True, help="Score what is there; the row gets no rank.")
@click.option("--workers", type=click.IntRange(min=1), help="Processes. [default: by size]")
@click.option("--scheduler", metavar="ADDRESS", help="Run on this dask scheduler instead.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--expect", is_flag=True, help="Show the accepted prediction formats and exit.")
def score(
    *,
    predictions: Path,
    store: Path,
    labels: Path | None,
    split: str,
    subset: str,
    name: str | None,
    leaderboard: Path,
    no_write: bool,
    replace: bool,
    description_file: Path | None,
    allow_partial: bool,
    workers: int | None,
    scheduler: str | None,
    as_json: bool,
    expect: bool,
) -> None:
    """Score predictions and add them to a leaderboard.

    PREDICTIONS (default: preds) is a folder of SCENE_ID.nc files, the challenge's
    upload_package.nc or a Zarr group per scene (--expect shows each); or a folder of such, scored
    as one submission each.
    """
    from autoice_bench.scoring.evaluate import score as run
    from autoice_bench.scoring.prediction_files import EXPECTED
    from autoice_bench.scoring.predictions import find_submissions
    from autoice_bench.scoring.rtt_truth import RttTruth
    from autoice_bench.scoring.score_text import format_summary, summarise
    from autoice_bench.scoring.scores import build_scores
    from autoice_bench.scoring.store_truth import StoreTruth
    from autoice_bench.scoring.submission import find_description, require_free, write_submission

    if expect:
        click.echo(EXPECTED)
        return
    truth = StoreTruth(store) if labels is None else RttTruth(labels)
    found = find_submissions(predictions)
    if name is not None and len(found) > 1:
        raise click.UsageError(f"--name names one submission; {predictions} holds {len(found)}")
    summaries = []
    failures = []
    for source in found:
        title = name or source.name
        try:
            description = find_description(description_file, source.path)
            if not no_write:
                require_free(leaderboard, split, subset, title, replace=replace)
            with _scene_progress(f"scoring {title}") as progress:
                evaluation = run(
                    source,
                    truth,
                    split=split,
                    subset=subset,
                    allow_partial=allow_partial,
                    workers=workers,
                    scheduler=scheduler,
                    progress=progress,
                )
            scores = build_scores(evaluation, title)
            folder = None
            if not no_write:
                folder = write_submission(
                    evaluation, leaderboard, title, scores, description, replace=replace
                )
        except AutoIceError as error:
            if len(found) == 1:
                raise
            failures.append(f"{title}: {error}")
            continue
        summaries.append(summarise(evaluation, scores, title, folder))
        if not as_json:
            click.echo(format_summary(summaries[-1]))
    if as_json:
        echo_json(summaries)
    if failures:
        _fail("\n".join(failures))


@main.command()
@click.argument("predictions", type=PATH)
@click.argument("out", type=PATH)
@click.option(
    "--format",
    "format_name",
    type=click.Choice(["netcdf", "upload-package", "zarr"]),
    help="Format of OUT. [default: upload-package for .nc, zarr for .zarr, else netcdf]",
)
def convert(predictions: Path, out: Path, format_name: str | None) -> None:
    """Convert predictions into another format.

    OUT must not exist. netcdf is a folder of SCENE_ID.nc files, upload-package one NetCDF file as
    the challenge took it, zarr one group per scene. Tie points are kept where the format has room
    for them.
    """
    from autoice_bench.scoring.prediction_files import convert as run
    from autoice_bench.scoring.prediction_files import guess_format
    from autoice_bench.scoring.predictions import open_predictions

    source = open_predictions(predictions)
    chosen = format_name or guess_format(out)
    with _scene_progress("converting") as progress:
        run(source, out, format_name=chosen, progress=progress)
    click.echo(f"{out}: {len(source.scene_ids)} scenes, {chosen}")


@main.group(cls=ShowingGroup)
def leaderboard() -> None:
    """Show, compare and check submissions.

    Without a command, shows them.
    """


@leaderboard.command("show")
@LEADERBOARD_OPTION
@click.option("--split", help="Show this split only.")
@click.option("--metric", help="Show this metric of each chart, such as f1_macro, accuracy, iou.")
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
    """
    from autoice_bench.scoring.leaderboard import (
        View,
        build_boards,
        published_boards,
        read_leaderboard,
    )
    from autoice_bench.scoring.leaderboard_text import board_records, format_board, format_csv

    view = View(metric, group, chart, sort, published)
    submissions = read_leaderboard(leaderboard) if leaderboard.exists() else ()
    boards = build_boards(submissions, view, only=split)
    if not boards:
        boards = published_boards(view, only=split)
    if as_json:
        echo_json(board_records(boards))
    elif as_csv:
        click.echo(format_csv(board_records(boards)))
    else:
        click.echo("\n\n".join(format_board(board) for board in boards) or "no submissions")


@leaderboard.command("compare")
@click.argument("a")
@click.argument("b")
@LEADERBOARD_OPTION
@click.option("--split", help="Split of both, where several have submissions of these names.")
@click.option("--seed", default=0, show_default=True, help="Seed of the bootstrap.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def leaderboard_compare(
    *, a: str, b: str, leaderboard: Path, split: str | None, seed: int, as_json: bool
) -> None:
    """Show which differences are beyond chance.

    A and B are submissions, by name or as SPLIT/NAME. Scenes are drawn 2,000 times with
    replacement, the same for both. A difference is beyond chance if its 95 % interval excludes 0.
    """
    from autoice_bench.scoring.compare import compare
    from autoice_bench.scoring.leaderboard import find_submission
    from autoice_bench.scoring.leaderboard_text import comparison_records, format_comparison

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
    from autoice_bench.scoring.check import check_leaderboard
    from autoice_bench.scoring.leaderboard import submission_folders

    problems = check_leaderboard(leaderboard)
    n_submissions = len(submission_folders(leaderboard))
    if as_json:
        echo_json({"submissions": n_submissions, "problems": problems})
    else:
        for problem in problems:
            click.echo(problem)
        click.echo(f"{leaderboard}: {n_submissions} submissions, {len(problems) or 'no'} problems")
    if problems:
        sys.exit(1)


_DEMO_STEPS = (
    ("Ten small simulated scenes in the layout of the released ones", "simulate --size 700,732"),
    ("The store: labels, SAR, AMSR2 and ERA5 of every scene as sharded Zarr", "prepare"),
    ("Proof that the store is whole and equals its source", "verify --source rtt"),
    ("What it holds", "info"),
)


@main.command()
@click.argument("folder", metavar="[DIR]", type=PATH, default="autoice-demo")
def demo(folder: Path) -> None:
    """Run the whole workflow on simulated scenes in DIR (default: autoice-demo).

    Every step is an ordinary command, shown before it runs. Repeating the demo goes on where an
    earlier one was interrupted.
    """
    import contextlib
    import time

    os.environ.pop("AUTOICE_STORE", None)
    started = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.chdir(folder):
        for title, arguments in _DEMO_STEPS:
            click.echo(f"\n# {title}\n$ autoice-bench {arguments}")
            main.main(arguments.split(), prog_name="autoice-bench", standalone_mode=False)
        scene = next(Path("autoice.zarr", "scenes").iterdir()).name
    click.echo(
        f"\nDone in {time.monotonic() - started:.0f} s, all of it in {folder}. With the released "
        "scenes in rtt/ the same commands make the real store.\n"
        "Next, in that folder:\n"
        "  autoice-bench splits check official      # which scenes show the same ice\n"
        "  autoice-bench splits create mine --seed 1\n"
        '  python -c "import xarray; print(xarray.open_zarr('
        f"'autoice.zarr/scenes/{scene}'))\""
    )
