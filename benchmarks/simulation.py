"""How close simulated scenes come to the released ones; writes benchmarks/results/simulation.md.

    python -m benchmarks.simulation                 # 64 scenes of 1000 x 1046, one of 5000 x 5229
    python -m benchmarks.simulation --scenes 8 --size 300,327 --full-size 600,627

The table is also put into docs/simulation.md, between its two marker lines.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.metrics import r2_score

from autoice_bench.charts import CHARTS
from autoice_bench.datasets.simulate.run import Target, write_simulated_scene
from autoice_bench.datasets.simulate.scenario import plan_scenes
from autoice_bench.datasets.simulate.scene import SimulatedScene, simulate_scene
from autoice_bench.datasets.simulate.scene_spec import SceneSpec
from autoice_bench.formats.variables import AMSR2_VARIABLES, ERA5_VARIABLES, PIXELS_PER_CELL
from benchmarks.measure import describe_machine, measure_alone

ROOT = Path(__file__).resolve().parents[1]
MARKERS = ("<!-- table: begin -->", "<!-- table: end -->")
PIXELS_PER_SCENE = 2500

REAL_SHARES = {
    "SIC": (56.87, 0.43, 2.17, 1.68, 1.18, 1.90, 1.19, 2.23, 3.33, 6.57, 22.44),
    "SOD": (66.42, 1.78, 2.53, 2.13, 14.87, 12.26),
    "FLOE": (66.64, 0.37, 2.37, 4.03, 6.01, 20.43, 0.15),
}
"""Class shares of the 512 released training scenes, percent of the chart's valid pixels."""
REAL_VALID_SHARES = (0.30, 0.58, 0.93)
"""5 %, 50 % and 95 % quantile of the charted share of a released training scene."""


@dataclass(frozen=True)
class Summary:
    """What one scene adds to the pooled statistics.

    Attributes:
        moments: float64 (2, 3): pixels, sum, sum of squares of HH and HV, land included.
        counts: pixels per class of each chart.
        valid_share: charted share.
        fields: float64 (20, 3): the same moments of the AMSR2 and ERA5 variables.
        sar: float32 (pixels, 3): HH, HV, incidence angle of sampled charted pixels.
        amsr2: float32 (pixels, 14): brightness temperatures of their cells.
        sic: uint8 (pixels,): their SIC class.
    """

    moments: NDArray[np.float64]
    counts: dict[str, NDArray[np.int64]]
    valid_share: float
    fields: NDArray[np.float64]
    sar: NDArray[np.float32]
    amsr2: NDArray[np.float32]
    sic: NDArray[np.uint8]


@dataclass(frozen=True)
class Check:
    """One line of the table."""

    quantity: str
    released: str
    tolerance: str
    simulated: str
    passed: bool


def summarise(spec: SceneSpec) -> Summary:
    scene = simulate_scene(spec)
    charts = scene.charts()
    counts = {
        chart.name: np.bincount(values.ravel(), minlength=256)[: chart.n_classes]
        for chart, values in zip(CHARTS, charts, strict=True)
    }
    fields = [scene.fields_2km[v.name] for v in (*AMSR2_VARIABLES, *ERA5_VARIABLES)]
    lines, samples = _sample_pixels(scene, charts[0])
    cell_lines, cell_samples = scene.spec.grid_2km
    cells = (
        np.minimum(lines // PIXELS_PER_CELL, cell_lines - 1),
        np.minimum(samples // PIXELS_PER_CELL, cell_samples - 1),
    )
    angle = scene.incidence[0][lines] + scene.incidence[1][samples]
    return Summary(
        moments=np.array([_moments(scene.hh), _moments(scene.hv)]),
        counts=counts,
        valid_share=float(1 - scene.masked.mean()),
        fields=np.array([_moments(field) for field in fields]),
        sar=np.stack([scene.hh[lines, samples], scene.hv[lines, samples], angle], 1).astype("f4"),
        amsr2=np.stack([scene.fields_2km[v.name][cells] for v in AMSR2_VARIABLES], axis=1),
        sic=charts[0][lines, samples],
    )


def _moments(values: NDArray[np.float32]) -> tuple[float, float, float]:
    wide = values.astype(np.float64)
    return float(wide.size), float(wide.sum()), float((wide * wide).sum())


def _sample_pixels(
    scene: SimulatedScene, sic: NDArray[np.uint8]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    rng = np.random.default_rng(scene.spec.index)
    charted = np.flatnonzero(sic.ravel() != 255)
    picked = rng.choice(charted, min(PIXELS_PER_SCENE, charted.size), replace=False)
    lines, samples = np.unravel_index(np.sort(picked), sic.shape)
    return lines, samples


def concentration_scores(summaries: list[Summary]) -> dict[str, float]:
    """SIC R2 of a per-pixel gradient-boosted model by inputs: two folds of scenes, pooled."""
    folds = summaries[::2], summaries[1::2]
    truth = [np.concatenate([s.sic for s in fold]).astype(np.float32) for fold in folds]
    scores = {}
    for name, groups in {"SAR": ("sar",), "AMSR2": ("amsr2",), "both": ("sar", "amsr2")}.items():
        inputs = [
            np.concatenate([np.hstack([getattr(s, group) for group in groups]) for s in fold])
            for fold in folds
        ]
        predicted = [
            _make_model().fit(inputs[fit], truth[fit]).predict(inputs[1 - fit]) for fit in (1, 0)
        ]
        scores[name] = float(r2_score(np.concatenate(truth), np.concatenate(predicted)))
    return scores


def _make_model() -> HistGradientBoostingRegressor:
    return HistGradientBoostingRegressor(
        max_iter=150, learning_rate=0.05, max_leaf_nodes=16, min_samples_leaf=300, random_state=0
    )


def make_checks(summaries: list[Summary]) -> list[Check]:
    checks = []
    for name, at, real, limits in (
        ("HH", 0, (-14.51, 5.66), (1.5, 1.0)),
        ("HV", 1, (-24.70, 4.75), (1.5, 1.0)),
    ):
        found = _mean_sd(np.sum([s.moments[at] for s in summaries], axis=0))
        for label, want, limit, value in zip(("mean", "sd"), real, limits, found, strict=True):
            checks.append(_within(f"{name} {label}, dB (land included)", want, limit, value))
    for at, variable in enumerate((*AMSR2_VARIABLES, *ERA5_VARIABLES)):
        mean, sd = _mean_sd(np.sum([s.fields[at] for s in summaries], axis=0))
        tolerance = 10.0 if at < len(AMSR2_VARIABLES) else None
        check = _within(f"{variable.name} mean, {variable.units}", variable.mean, tolerance, mean)
        checks.append(check)
        checks.append(_within(f"{variable.name} sd", variable.std, None, sd))
    for chart in CHARTS:
        counts = np.sum([s.counts[chart.name] for s in summaries], axis=0)
        shares = 100 * counts / counts.sum()
        for label, real_share, share in zip(
            chart.class_names, REAL_SHARES[chart.name], shares, strict=True
        ):
            checks.append(
                Check(
                    f"{chart.name} {label}, %",
                    f"{real_share:.2f}",
                    "x 0.5 to 2, ± 5",
                    f"{share:.2f}",
                    0.5 <= share / real_share <= 2 and abs(share - real_share) <= 5,
                )
            )
    valid = np.quantile([s.valid_share for s in summaries], (0.05, 0.5, 0.95))
    for label, real_share, share in zip(
        ("5 %", "median", "95 %"), REAL_VALID_SHARES, valid, strict=True
    ):
        tolerance = 0.08 if label == "median" else None
        checks.append(_within(f"charted share of a scene, {label}", real_share, tolerance, share))
    scores = concentration_scores(summaries)
    ordered = scores["SAR"] < scores["AMSR2"] < scores["both"] < 0.95
    text = ", ".join(f"{name} {score:.3f}" for name, score in scores.items())
    checks.append(
        Check("SIC R² on held-out scenes", "", "SAR < AMSR2 < both < 0.95", text, ordered)
    )
    return checks


def _mean_sd(moments: NDArray[np.float64]) -> tuple[float, float]:
    count, total, squares = moments
    mean = total / count
    return float(mean), float(np.sqrt(squares / count - mean**2))


def _within(quantity: str, real: float, tolerance: float | None, value: float) -> Check:
    if tolerance is None:
        return Check(quantity, f"{real:.2f}", "", f"{value:.2f}", True)
    return Check(
        quantity, f"{real:.2f}", f"± {tolerance:g}", f"{value:.2f}", abs(value - real) <= tolerance
    )


def measure_full_size(size: tuple[int, int]) -> str:
    """Time and peak memory of one scene, simulated and written by a fresh process on one core."""
    with tempfile.TemporaryDirectory() as folder:
        measured = measure_alone(_write_one_scene, Path(folder), size, cores=[0])
    return (
        f"One scene of {size[0]} x {size[1]}, simulated and written on one core: "
        f"{measured.seconds:.1f} s, peak {measured.peak_bytes / 1e9:.2f} GB."
    )


def _write_one_scene(folder: Path, size: tuple[int, int]) -> None:
    (folder / "train").mkdir()
    write_simulated_scene(Target(folder), plan_scenes(1, 0, size, 0, "none")[0])


def render(checks: list[Check], heading: str, timing: str) -> str:
    rows = [
        f"| {c.quantity} | {c.released} | {c.tolerance} | {c.simulated} | {_verdict(c)} |"
        for c in checks
    ]
    head = ["| quantity | released | tolerance | simulated | |", "|---|---|---|---|---|"]
    return "\n".join([heading, "", *head, *rows, "", timing, ""])


def _verdict(check: Check) -> str:
    if not check.tolerance:
        return ""
    return "within" if check.passed else "**outside**"


def insert_table(page: Path, table: str) -> None:
    """Replace what stands between the markers of a page."""
    before, _, rest = page.read_text(encoding="utf-8").partition(MARKERS[0])
    after = rest.partition(MARKERS[1])[2]
    page.write_text(f"{before}{MARKERS[0]}\n{table}{MARKERS[1]}{after}", encoding="utf-8")


def _size(text: str) -> tuple[int, int]:
    lines, samples = text.split(",")
    return int(lines), int(samples)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--scenes", type=int, default=64)
    parser.add_argument("--size", type=_size, default=(1000, 1046))
    parser.add_argument("--full-size", type=_size, default=(5000, 5229))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/simulation.md")
    parser.add_argument("--page", type=Path, default=ROOT / "docs/simulation.md")
    options = parser.parse_args(arguments)
    specs = plan_scenes(options.scenes, 0, options.size, options.seed, "none")
    checks = make_checks([summarise(spec) for spec in specs])
    heading = (
        f"{len(specs)} scenes of {options.size[0]} x {options.size[1]}, seed {options.seed}; "
        f"{describe_machine()}."
    )
    table = render(checks, heading, measure_full_size(options.full_size))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text("# Simulated against released scenes\n\n" + table, encoding="utf-8")
    if options.page.exists():
        insert_table(options.page, table)
    print(table)
    failed = [check.quantity for check in checks if not check.passed]
    print("outside tolerance:", ", ".join(failed) or "nothing")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
