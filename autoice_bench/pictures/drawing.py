"""Drawing a scene: the figure and its panels. No global state of matplotlib is used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from autoice_bench.charts import CHARTS, Chart
from autoice_bench.formats.store_layout import SAR_ARRAY
from autoice_bench.formats.variables import PIXEL_SPACING_M
from autoice_bench.formats.whole_files import write_whole
from autoice_bench.pictures.captions import (
    choose_scale,
    describe_errors,
    describe_score,
    list_facts,
    list_remarks,
    wrap_facts,
)
from autoice_bench.pictures.comparisons import Comparison
from autoice_bench.pictures.kinds import (
    LAND_COLOUR,
    Kind,
    build_error_table,
    chart_kinds,
    colour_pixels,
    error_kinds,
    find_errors,
    mark_land,
    shares,
)
from autoice_bench.pictures.layout import (
    FOOTER_LINE,
    HEADING_LINE,
    KEY_NUMBER,
    Box,
    Layout,
    arrange,
)
from autoice_bench.pictures.rasters import stretch_limits
from autoice_bench.pictures.views import ScenePicture, hide_unseen
from autoice_bench.scoring.metrics import formulas
from autoice_bench.wording import make_visible

DOTS_PER_INCH: Final = 150

_TITLE: Final = 17.0
_HEADING: Final = 11.0
_FOOTER: Final = 8.5
_PANEL_TITLE: Final = 10.5
_SMALL: Final = 8.5
_GREY: Final = "#666666"
_FRAME: Final = "#444444"
_HATCH: Final = "#cfcfcf"
_WARNING: Final = "#c2410c"
_COAST: Final = "#202020"
_OUTLINE: Final = [withStroke(linewidth=2.5, foreground="white")]

_KEY_PITCH: Final = 0.2
_SWATCH: Final = (0.2, 0.13)

_MARGIN: Final = 0.3

Panels = dict[Box, Axes]


@dataclass(frozen=True)
class Canvas:
    """A figure with its layout: axes and texts are placed in inches from the upper left."""

    figure: Figure
    layout: Layout

    def add_axes(self, box: Box) -> Axes:
        width, height = self.layout.width, self.layout.height
        bottom = height - box.top - box.height
        return self.figure.add_axes(
            (box.left / width, bottom / height, box.width / width, box.height / height)
        )

    def write(self, left: float, top: float, text: str, **style: Any) -> None:
        x, y = left / self.layout.width, 1 - top / self.layout.height
        self.figure.text(x, y, make_visible(text), **style)


def draw_scene(view: ScenePicture, comparison: Comparison | None = None) -> Figure:
    """Draw a scene's channels and charts, and a prediction with its errors.

    Args:
        view: what to show.
        comparison: a prediction of the same scene and window.

    Returns:
        A figure; `save_figure` writes it.
    """
    arguments: dict[str, Any] = {
        "lines": view.window.lines,
        "samples": view.window.samples,
        "n_channels": len(view.layers),
        "charts": bool(view.charts),
        "predictions": comparison is not None,
    }
    width = arrange(**arguments).width
    heading = [
        line
        for facts in list_facts(view, comparison)
        for line in wrap_facts(facts, width, _HEADING)
    ]
    footer = wrap_facts(list_remarks(view, comparison), width, _FOOTER)
    layout = arrange(**arguments, heading_lines=len(heading), footer_lines=len(footer))
    with mpl.rc_context():
        _reset_defaults()
        figure = Figure(figsize=(layout.width, layout.height), dpi=DOTS_PER_INCH, facecolor="white")
        canvas = Canvas(figure, layout)
        _write_texts(canvas, view, heading, footer)
        panels = _draw_channels(canvas, view)
        panels |= _draw_charts(canvas, view, comparison)
        _label_pixels(panels)
        _draw_orientation(*next(iter(panels.items())), view)
    return figure


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure in the format that the path's suffix names, whole or not at all.

    The folder is made if it does not exist.

    Raises:
        OSError: it cannot be written.
    """
    kind = path.suffix.removeprefix(".").lower()
    # Less effort than by default: half the time, a tenth more bytes.
    extra: dict[str, Any] = {"pil_kwargs": {"compress_level": 3}} if kind == "png" else {}
    content = BytesIO()
    with mpl.rc_context():
        _reset_defaults()
        figure.savefig(content, format=kind, **extra)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, content.getvalue())


def _reset_defaults() -> None:
    """Make the picture the same whatever the user's matplotlibrc says."""
    mpl.rcdefaults()
    mpl.rcParams["hatch.linewidth"] = 0.6
    mpl.rcParams["text.parse_math"] = False  # names of others may hold what reads as a formula


def _write_texts(
    canvas: Canvas, view: ScenePicture, heading: Sequence[str], footer: Sequence[str]
) -> None:
    canvas.write(_MARGIN, 0.4, view.scene_id, fontsize=_TITLE, weight="bold")
    if view.attributes["simulated"]:
        canvas.write(
            canvas.layout.width - 0.3,
            0.36,
            "SIMULATED",
            ha="right",
            va="center",
            fontsize=11,
            weight="bold",
            color="white",
            bbox={"boxstyle": "round,pad=0.35", "facecolor": _WARNING, "edgecolor": "none"},
        )
    for at, line in enumerate(heading):
        canvas.write(_MARGIN, 0.64 + at * HEADING_LINE, line, fontsize=_HEADING)
    for at, line in enumerate(reversed(footer)):
        top = canvas.layout.height - 0.12 - at * FOOTER_LINE
        canvas.write(_MARGIN, top, line, fontsize=_FOOTER, color=_GREY)


def _draw_channels(canvas: Canvas, view: ScenePicture) -> Panels:
    panels: Panels = {}
    for layer, box in zip(view.layers, canvas.layout.channels, strict=True):
        channel = layer.channel
        axis = _add_panel(canvas, box, channel.title, channel.name)
        low, high = stretch_limits(layer.values)
        image = axis.imshow(
            layer.values, cmap=channel.colormap, vmin=low, vmax=high, extent=layer.extent
        )
        if channel.array == SAR_ARRAY.name:
            _draw_land(axis, view)
        else:
            _draw_coast(axis, view)
        bar = canvas.add_axes(Box(box.left + box.width + 0.07, box.top, 0.1, box.height))
        colorbar = canvas.figure.colorbar(image, cax=bar, extend="both")
        colorbar.ax.yaxis.set_major_locator(MaxNLocator(6))
        colorbar.ax.tick_params(labelsize=_SMALL, length=2, pad=1.5)
        colorbar.outline.set_linewidth(0.5)
        canvas.write(box.left + box.width + 0.26, box.top - 0.06, channel.units, fontsize=_SMALL)
        _set_window(axis, view)
        panels[box] = axis
    return panels


def _draw_charts(canvas: Canvas, view: ScenePicture, comparison: Comparison | None) -> Panels:
    panels: Panels = {}
    layout = canvas.layout
    for row, chart in enumerate(CHARTS):
        truth = view.charts.get(chart.name)
        predicted = None if comparison is None else comparison.classes.get(chart.name)
        kinds = chart_kinds(chart)
        columns: list[tuple[tuple[Box, ...], NDArray[np.uint8] | None, str, str]] = []
        columns.append((layout.charts, truth, f"{chart.name}  {chart.long_name}", ""))
        if predicted is not None and comparison is not None:
            shown = hide_unseen(predicted, view, truth)
            scored = chart.name in comparison.histograms
            score = describe_score(comparison, chart) if scored else ""
            columns.append((layout.predictions, shown, f"{chart.name} prediction", score))
        else:
            columns.append((layout.predictions, None, f"{chart.name} not predicted", ""))
        for boxes, classes, title, note in columns:
            if boxes:
                panels[boxes[row]] = _draw_kinds(
                    canvas, boxes[row], view, classes, kinds, title, note
                )
        if layout.keys:
            _draw_chart_key(canvas, layout.keys[row], view, comparison, chart)
        if layout.errors and comparison is not None:
            title, note, errors = f"{chart.name} error", "", None
            if predicted is not None and truth is not None:
                errors = find_errors(truth, predicted, chart)
                note = describe_errors(comparison, chart)
                _draw_error_key(canvas, layout.error_keys[row], comparison, chart)
            panels[layout.errors[row]] = _draw_kinds(
                canvas, layout.errors[row], view, errors, error_kinds(chart), title, note
            )
    return panels


def _draw_kinds(
    canvas: Canvas,
    box: Box,
    view: ScenePicture,
    values: NDArray[np.uint8] | None,
    kinds: Sequence[Kind],
    title: str,
    note: str,
) -> Axes:
    axis = _add_panel(canvas, box, title, note, colour="black")
    if values is not None:
        pixels = colour_pixels(mark_land(values, view.land), kinds)
        axis.imshow(pixels, extent=view.extent, interpolation="nearest")
    _set_window(axis, view)
    return axis


def _add_panel(canvas: Canvas, box: Box, title: str, note: str, colour: str = _GREY) -> Axes:
    axis = canvas.add_axes(box)
    # Pixels without a value are transparent: the hatched ground shows.
    axis.patch.set(facecolor="white", edgecolor=_HATCH, hatch="////", linewidth=0)
    # Not titles of the axes, which shrink where the window is longer than any panel.
    top, right = box.top - 0.06, box.left + box.width
    canvas.write(box.left, top, title, fontsize=_PANEL_TITLE, weight="bold")
    canvas.write(right, top, note, fontsize=_SMALL, color=colour, ha="right")
    for spine in axis.spines.values():
        spine.set(linewidth=0.6, color=_FRAME)
    return axis


def _set_window(axis: Axes, view: ScenePicture) -> None:
    """Show exactly the window, flipped as the source says."""
    window = view.window
    lines = (window.line + window.lines - 0.5, window.line - 0.5)
    samples = (window.sample - 0.5, window.sample + window.samples - 0.5)
    axis.set_aspect("equal", anchor="NW")
    axis.set_ylim(lines[::-1] if view.flipped[0] else lines)
    axis.set_xlim(samples[::-1] if view.flipped[1] else samples)


def _draw_land(axis: Axes, view: ScenePicture) -> None:
    land = np.where(view.land & ~view.valid, np.uint8(0), np.uint8(255))
    pixels = colour_pixels(land, (Kind("land", LAND_COLOUR),))
    axis.imshow(pixels, extent=view.extent, interpolation="nearest")


def _draw_coast(axis: Axes, view: ScenePicture) -> None:
    if view.land.any() and not view.land.all() and min(view.land.shape) > 1:
        lines, samples = (
            first + (np.arange(n) + 0.5) * view.step - 0.5
            for first, n in zip(
                (view.window.line, view.window.sample), view.land.shape, strict=True
            )
        )
        axis.contour(samples, lines, view.land, levels=[0.5], colors=_COAST, linewidths=0.5)


def _label_pixels(panels: Mapping[Box, Axes]) -> None:
    """Pixel numbers at the lowest panel of each column and the leftmost of each row."""
    for box, axis in panels.items():
        lowest = not any(other.left == box.left and other.top > box.top for other in panels)
        leftmost = not any(other.top == box.top and other.left < box.left for other in panels)
        axis.tick_params(
            labelsize=_SMALL,
            length=2.5,
            width=0.6,
            color=_FRAME,
            labelbottom=lowest,
            labelleft=leftmost,
        )
        for ticks in (axis.xaxis, axis.yaxis):
            ticks.set_major_locator(MaxNLocator(5, integer=True, steps=[1, 2, 5, 10]))
        if lowest:
            axis.set_xlabel("sample", fontsize=_SMALL, labelpad=1)
        if leftmost:
            axis.set_ylabel("line", fontsize=_SMALL, labelpad=1)


def _draw_orientation(box: Box, axis: Axes, view: ScenePicture) -> None:
    """A scale bar and, where tie points tell, an arrow to the north."""
    length, label = choose_scale(view.window.samples)
    fraction = 1000 * length / PIXEL_SPACING_M / view.window.samples
    style: dict[str, Any] = {
        "transform": axis.transAxes,
        "path_effects": _OUTLINE,
        "color": "black",
    }
    axis.plot((0.05, 0.05 + fraction), (0.06, 0.06), linewidth=2.5, **style)
    axis.text(0.05 + fraction / 2, 0.08, label, ha="center", fontsize=_SMALL, **style)
    if view.north is None:
        return
    along_lines, along_samples = view.north
    across = -along_samples if view.flipped[1] else along_samples
    up = along_lines if view.flipped[0] else -along_lines
    # Inches of the panel that the window fills.
    scale = min(box.width / view.window.samples, box.height / view.window.lines)
    width, height = scale * view.window.samples, scale * view.window.lines
    middle = (1 - 0.32 / width, 1 - 0.32 / height)

    def place(distance: float) -> tuple[float, float]:
        """The point so many inches north of the middle, as a fraction of the axes."""
        return middle[0] + distance * across / width, middle[1] + distance * up / height

    axis.plot(*middle, "o", transform=axis.transAxes, markersize=38, color="white", alpha=0.8)
    arrow = {"arrowstyle": "-|>", "color": "black", "linewidth": 1.2, "shrinkA": 0, "shrinkB": 0}
    axis.annotate("", place(0.08), place(-0.2), "axes fraction", "axes fraction", arrow)
    axis.text(
        *place(0.16), "N", transform=axis.transAxes, ha="center", va="center", fontsize=_SMALL
    )


def _draw_chart_key(
    canvas: Canvas, box: Box, view: ScenePicture, comparison: Comparison | None, chart: Chart
) -> None:
    histogram = None if comparison is None else comparison.histograms.get(chart.name)
    numbers: dict[str, list[float]] = {}
    if histogram is not None:
        numbers["chart"] = shares([*formulas.support(histogram), 0])
        numbers["pred."] = shares(histogram.sum(axis=0))
    elif view.charts:
        counts = view.attributes["class_counts"][chart.name]
        numbers["chart"] = shares([*(counts[str(k)] for k in range(chart.n_classes)), 0])
    kinds = list(chart_kinds(chart))
    if not any(column[-1] for column in numbers.values()):
        kinds.pop()  # the mask class, which hardly anyone predicts
    _draw_key(canvas, box, kinds, numbers)


def _draw_error_key(canvas: Canvas, box: Box, comparison: Comparison, chart: Chart) -> None:
    kinds = list(error_kinds(chart))
    weights = comparison.histograms[chart.name].ravel()
    counts = np.bincount(build_error_table(chart).ravel(), weights=weights, minlength=len(kinds))
    numbers = shares(counts)
    if not numbers[-1]:
        kinds.pop()
    _draw_key(canvas, box, kinds, {"": numbers})


def _draw_key(
    canvas: Canvas, box: Box, kinds: Sequence[Kind], numbers: Mapping[str, Sequence[float]]
) -> None:
    """Colours with their names and shares; names of what does not occur are grey."""
    axis = canvas.add_axes(box)
    axis.set(xlim=(0, box.width), ylim=(box.height, 0))
    axis.axis("off")
    ends = [box.width - 0.1 - KEY_NUMBER * at for at in range(len(numbers))][::-1]
    for name, end in zip(numbers, ends, strict=True):
        axis.text(end, 0.0, f"{name} %", ha="right", va="center", fontsize=_SMALL, color=_GREY)
    top = 0.2
    pitch = min(_KEY_PITCH, (box.height - 0.35) / (len(kinds) + 2))
    for index, kind in enumerate(kinds):
        columns = [column[index] for column in numbers.values()]
        occurs = any(columns) or not numbers
        _draw_swatch(axis, top, kind.label, facecolor=kind.colour, faint=not occurs)
        for share, end in zip(columns, ends, strict=True):
            if share:
                text = f"{share:.1f}" if share >= 0.05 else "< 0.1"
                axis.text(end, top, text, ha="right", va="center", fontsize=_SMALL)
        top += pitch
    top += 0.06
    _draw_swatch(axis, top, "land", facecolor=LAND_COLOUR)
    _draw_swatch(axis, top + pitch, "no label", facecolor="white", hatch="//////")


def _draw_swatch(
    axis: Axes, top: float, label: str, *, facecolor: str, hatch: str = "", faint: bool = False
) -> None:
    width, height = _SWATCH
    edge = _HATCH if hatch else "#999999"
    swatch = Rectangle((0, top - height / 2), width, height, facecolor=facecolor, hatch=hatch)
    swatch.set(edgecolor=edge, linewidth=0.5)
    axis.add_patch(swatch)
    colour = "#a8a8a8" if faint else "black"
    axis.text(width + 0.08, top, label, va="center", fontsize=_SMALL, color=colour)
