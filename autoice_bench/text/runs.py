"""Runs in words: the plan, the list, the projection, the outcome."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from autoice_bench.formats.variables import PIXEL_SPACING_M
from autoice_bench.scoring.evaluate import board_name
from autoice_bench.text.score import format_summary
from autoice_bench.text.tables import format_table
from autoice_bench.wording import format_count, format_duration, format_path, make_visible

if TYPE_CHECKING:  # records of runs that train; a list of runs needs no torch
    from autoice_bench.baselines.experiments.plan import PlannedRun
    from autoice_bench.baselines.experiments.projection import Projection
    from autoice_bench.baselines.experiments.run import RunReport
    from autoice_bench.baselines.recipes.recipe import Recipe

_HEADER: Final = ["run", "state", "recipe", "epochs", "val combined", "test combined", "time"]


def format_runs(rows: Sequence[dict[str, Any]]) -> str:
    """The records of ``list_runs`` as an aligned table."""
    table = [
        [
            row["name"],
            row["state"],
            row["recipe"],
            f"{row['epochs']}/{row['max_epochs']}",
            _format_score(row["val_combined"]),
            _format_score(row["test_combined"]),
            "–" if row["training_seconds"] is None else format_duration(row["training_seconds"]),
        ]
        for row in rows
    ]
    return format_table([_HEADER, *table], left=(0, 1, 2))


def format_plan(planned: PlannedRun) -> str:
    """What a run is and where it goes, for people."""
    recipe, split, features = planned.recipe, planned.split, planned.features
    spacing = PIXEL_SPACING_M * recipe.downscale
    done = planned.epochs_done
    state = "finished" if planned.is_finished else "goes on"
    lines = [
        f"{planned.name}: {make_visible(recipe.description or recipe.name)}, seed {planned.seed}"
        + (f"; {format_count(done, 'epoch')} done, {state}" if done else ""),
        f"  split {split.name}: {len(split.train)} training, {len(split.val)} validation and "
        f"{len(split.test)} test scenes of {format_path(planned.store.path)}",
        f"  input: {features.name}, {format_count(features.n_channels, 'channel')}",
        f"  {planned.patches_per_epoch} patches of {recipe.patch_size} x {recipe.patch_size} "
        f"pixels of {spacing} m per epoch, {format_count(planned.steps_per_epoch, 'step')} of "
        f"{recipe.batch_size}; at most {format_count(recipe.epochs, 'epoch')}",
        f"  run {format_path(planned.folder)}, predictions {format_path(planned.predictions)}",
    ]
    if planned.note is not None:
        lines.append(f"  note: {planned.note}")
    return "\n".join(lines)


def format_projection(projection: Projection, recipe: Recipe) -> str:
    """The projected time, for people."""
    sooner = ", less if it stops early" if recipe.early_stopping else ""
    return (
        f"projected: about {format_duration(projection.seconds)} for "
        f"{format_count(projection.epochs, 'epoch')}{sooner} "
        f"({projection.patches_per_second:.3g} patches/s on {projection.device}, "
        "reading left out)"
    )


def format_run_report(report: RunReport, *, subset: str = "test") -> str:
    """The score of a run, or why there is none."""
    planned, epochs = report.planned, format_count(report.epochs, "epoch")
    if report.training == "interrupted":
        return f"{planned.name}: interrupted after {epochs}; the same command goes on"
    trained = {"finished": "trained", "stopped-early": "stopped early after"}[report.training]
    lines = [f"{planned.name}: {trained} {epochs}"]
    if report.summary is None:
        lines.append(f"  predictions of {subset} in {format_path(planned.predictions)}; no labels")
    else:
        lines.append(format_summary(report.summary))
    return "\n".join(lines)


def format_seeds(table: Mapping[str, Mapping[str, float]], n_seeds: int) -> str:
    """The table of ``summarise_seeds`` in a line; empty with fewer than two scored runs."""
    if not table:
        return ""
    cells = ", ".join(f"{name} {s['mean']:.3f} ± {s['std']:.3f}" for name, s in table.items())
    return f"mean ± standard deviation over {n_seeds} seeds: {cells}"


def suggest_next(reports: Sequence[RunReport], *, subset: str = "test") -> str:
    """What to type next."""
    scored = [report for report in reports if report.summary is not None]
    lines = ["next:"]
    for report in scored:
        planned = report.planned
        options = "" if planned.split_spec == "official" else f" --split {planned.split_spec}"
        options += "" if subset == "test" else f" --subset {subset}"
        lines.append(f"  autoice-bench score {format_path(planned.predictions)}{options}")
    if scored:
        board = board_name(scored[0].planned.split.name, subset)
        lines.append(f"  autoice-bench leaderboard show --split {board}")
    lines.append("  autoice-bench baseline list")
    return "\n".join(lines)


def _format_score(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
