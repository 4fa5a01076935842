"""Draw the two simulated scenes of docs/simulation.md into docs/images.

Run ``python -m benchmarks.simulation_pictures``.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.patches import Patch
from numpy.typing import NDArray

from autoice_bench.charts import CHARTS, FILL_VALUE, Chart
from autoice_bench.datasets.simulate.scenario import plan_scenes
from autoice_bench.datasets.simulate.scene import SimulatedScene, simulate_scene

ROOT = Path(__file__).resolve().parents[1]
UNLABELLED = "#b4b4b4"


@dataclass(frozen=True)
class Picture:
    """Which scene of which simulated data set to draw, and where."""

    name: str
    seed: int
    index: int
    size: tuple[int, int]


PICTURES = (
    Picture("simulated_default_size", 0, 6, (1000, 1046)),
    Picture("simulated_full_size", 3, 3, (5000, 5229)),
)


def draw(scene: SimulatedScene, path: Path) -> None:
    """HH, HV, 36.5 GHz V and the three charts, masked as in the files; uncharted is white."""
    figure, axes = plt.subplots(2, 3, figsize=(10.5, 8.2))
    figure.subplots_adjust(0.01, 0.09, 0.99, 0.93, wspace=0.03, hspace=0.22)
    step = max(1, scene.hh.shape[0] // 1000)
    masked = scene.masked[::step, ::step]
    for axis, values, limits, title in (
        (axes[0, 0], scene.hh, (-26, -5), "HH, dB"),
        (axes[0, 1], scene.hv, (-33, -14), "HV, dB"),
    ):
        image = np.where(masked, np.nan, _block_mean(values, step)[: masked.shape[0]])
        shown = axis.imshow(image, cmap="gray", vmin=limits[0], vmax=limits[1])
        _finish(figure, axis, shown, title)
    shown = axes[0, 2].imshow(scene.fields_2km["btemp_36_5v"], vmin=190, vmax=265)
    _finish(figure, axes[0, 2], shown, "36.5 GHz V, K")
    for axis, chart, values in zip(axes[1], CHARTS, scene.charts(), strict=True):
        _draw_chart(axis, chart, values[::step, ::step])
    spec = scene.spec
    figure.suptitle(
        f"{spec.scene_id}, {spec.region.name}, {spec.climatology.season}, "
        f"{spec.shape[0]} x {spec.shape[1]} pixels",
        fontsize=10,
    )
    figure.savefig(path, dpi=90)
    plt.close(figure)


def _block_mean(values: NDArray[np.float32], step: int) -> NDArray[np.float32]:
    """Mean of blocks of ``step`` pixels; partial blocks at the edges are padded."""
    pad = [(0, -size % step) for size in values.shape]
    padded = np.pad(values, pad, "edge")
    lines, samples = padded.shape[0] // step, padded.shape[1] // step
    return np.asarray(padded.reshape(lines, step, samples, step).mean(axis=(1, 3)))


def _draw_chart(axis: Any, chart: Chart, values: NDArray[np.uint8]) -> None:
    shown = np.where(values == FILL_VALUE, chart.n_classes, values)
    axis.imshow(
        shown,
        cmap=ListedColormap([*chart.colours, UNLABELLED]),
        vmin=-0.5,
        vmax=chart.n_classes + 0.5,
        interpolation="nearest",
    )
    axis.set_title(chart.name, fontsize=9)
    axis.axis("off")
    present = [number for number in range(chart.n_classes) if (values == number).any()]
    handles = [
        Patch(color=chart.colours[number], label=chart.class_names[number]) for number in present
    ]
    handles.append(Patch(color=UNLABELLED, label="no label"))
    axis.legend(
        handles=handles,
        loc="upper center",
        bbox_to_anchor=(0.5, 0),
        ncols=4,
        columnspacing=0.8,
        handlelength=1.2,
        fontsize=6,
        frameon=False,
    )


def _finish(figure: Any, axis: Any, shown: Any, title: str) -> None:
    axis.set_title(title, fontsize=9)
    axis.axis("off")
    bar = axis.inset_axes((0.1, -0.05, 0.8, 0.025))
    figure.colorbar(shown, cax=bar, orientation="horizontal").ax.tick_params(labelsize=7)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "docs/images")
    out: Path = parser.parse_args(arguments).out
    out.mkdir(parents=True, exist_ok=True)
    for picture in PICTURES:
        spec = plan_scenes(8, 2, picture.size, picture.seed, "auto")[picture.index]
        draw(simulate_scene(spec), out / f"{picture.name}.png")


if __name__ == "__main__":
    main()
