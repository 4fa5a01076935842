"""A comparison of raw and released scenes as text."""

from __future__ import annotations

from autoice_bench.datasets.checks.grid_anchor import AnchorEstimate
from autoice_bench.datasets.checks.raw_comparison import RawComparison, SceneComparison
from autoice_bench.formats.variables import SAR_VARIABLES
from autoice_bench.wording import format_count, format_listing


def format_raw_comparison(comparison: RawComparison) -> str:
    """One line per scene, then the extremes over all scenes, what has no twin and the anchor."""
    lines = [_format_scene(scene) for scene in comparison.scenes]
    largest: dict[tuple[str, str], float] = {}
    for scene in comparison.scenes:
        for channel in scene.channels:
            key = channel.name, channel.units
            largest[key] = max(largest.get(key, 0.0), channel.largest)
    lines += [f"  {name}: at most {value:.3g} {units}" for (name, units), value in largest.items()]
    for scene_ids, place in (
        (comparison.only_raw, "among the raw scenes"),
        (comparison.only_released, "among the released scenes"),
    ):
        if scene_ids:
            number = format_count(len(scene_ids), "scene")
            lines.append(f"not compared: {number} only {place}: {format_listing(scene_ids)}")
    return "\n".join([*lines, _format_anchor(comparison.anchor)])


def _format_scene(scene: SceneComparison) -> str:
    charts = [
        f"{chart.chart} {100 * chart.equal / chart.pixels:.4f} %" for chart in scene.charts
    ] or ["no charts"]
    sar = [
        f"{channel.name} {channel.largest:.2g} {channel.units}"
        for channel in scene.channels[: len(SAR_VARIABLES)]
    ]
    nodata = max(channel.nodata_differs for channel in scene.channels)
    remarks = [f"{nodata} nodata pixels differ"] if nodata else []
    if scene.other_distance:
        remarks.append(f"{scene.other_distance} distance zones differ")
    return f"{scene.scene_id}: equal {', '.join(charts)}; largest difference " + ", ".join(
        [*sar, *remarks]
    )


def _format_anchor(anchor: AnchorEstimate) -> str:
    if anchor.lines is None or anchor.samples is None:
        return "2 km grid: no scene allows an estimate of its offset"
    error = "" if anchor.standard_error is None else f" +- {anchor.standard_error:.1f}"
    return (
        f"2 km grid: values lie {anchor.lines:.1f} lines and {anchor.samples:.1f} samples{error} "
        f"from their cell's corner pixel (corner 0, centre 12; {anchor.n_scenes} scenes): "
        f"{anchor.anchor}"
    )
