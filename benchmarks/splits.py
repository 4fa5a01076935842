"""How close a chosen validation set comes to training: against random draws and the ASPP study's.

    python benchmarks/splits.py scenes.csv --out docs/splits.md

reads the class counts of the released scenes (columns scene_id, split, SIC_0 .. FLOE_255) and
replaces the table between the two marks in the file given by ``--out``.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autoice_bench import __version__
from autoice_bench.datasets.splits.created import create_splits
from autoice_bench.datasets.splits.passes import group_passes, read_frames
from autoice_bench.datasets.splits.scene_table import select_training, validate_split_index
from autoice_bench.datasets.splits.stratification import (
    BLOCK_SLICES,
    BLOCKS,
    compute_objective,
    compute_shares,
    count_features,
    draw_groups,
)
from autoice_bench.official import STUDY_VALIDATION
from autoice_bench.scene_id import parse_scene_id

BEGIN: Final = "<!-- benchmarks/splits.py: begin -->"
END: Final = "<!-- benchmarks/splits.py: end -->"


def read_scene_counts(path: Path) -> pd.DataFrame:
    """A split index from a CSV of released scenes; platform and data-take are unknown there."""
    table = pd.read_csv(path).rename(columns={"split": "subset"})
    times = [parse_scene_id(name).acquisition_time for name in table["scene_id"]]
    table["acquisition_time"] = pd.to_datetime(times, utc=True)
    table["has_charts"] = table["SIC_0"].notna()
    return validate_split_index(table)


def compute_total_variation(a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.float64]:
    """Half the summed absolute difference of shares, per distribution.

    Args:
        a, b: int64 (..., 36), features summed over one set of scenes each.

    Returns:
        float64 (..., 4), within 0 .. 1, in the order of ``BLOCKS``; NaN where a side has nothing.
    """
    differences = [
        np.abs(compute_shares(a[..., block]) - compute_shares(b[..., block]))
        for block in BLOCK_SLICES
    ]
    return np.stack([0.5 * difference.sum(axis=-1) for difference in differences], axis=-1)


def measure(pool: pd.DataFrame, validation: set[str]) -> NDArray[np.float64]:
    """J and the four total variations (percent) of one validation set; float64 (5,)."""
    inside = pool["scene_id"].isin(validation).to_numpy()
    features = count_features(pool)
    val, train = features[inside].sum(axis=0), features[~inside].sum(axis=0)
    return np.hstack([compute_objective(val, train), 100 * compute_total_variation(val, train)])


def draw_random(pool: pd.DataFrame, n_val: int, n_draws: int) -> NDArray[np.float64]:
    """Measures of random draws of whole passes; float64 (n_draws, 5)."""
    ids = list(pool["scene_id"])
    groups = [[ids[row] for row in group] for group in group_passes(read_frames(pool))]
    return np.array(
        [
            measure(pool, {s for g in draw_groups(groups, n_val, f"random/{k}") for s in groups[g]})
            for k in range(n_draws)
        ]
    )


def format_table(
    chosen: NDArray[np.float64], study: NDArray[np.float64] | None, draws: NDArray[np.float64]
) -> str:
    """The table in markdown: one row per measure."""
    names = ("J × 1000", *(f"{block}, % of shares that differ" for block in BLOCKS))
    scales = (1000.0, 1.0, 1.0, 1.0, 1.0)
    lines = [
        f"| | chosen | ASPP study's | {len(draws)} random draws: median (5 % … 95 %) | best draw |",
        "|---|---|---|---|---|",
    ]
    for k, (name, scale) in enumerate(zip(names, scales, strict=True)):
        low, median, high = scale * np.quantile(draws[:, k], [0.05, 0.5, 0.95])
        lines.append(
            f"| {name} | {scale * chosen[k]:.2f} | "
            f"{'–' if study is None else format(scale * study[k], '.2f')} | "
            f"{median:.2f} ({low:.2f} … {high:.2f}) | {scale * draws[:, k].min():.2f} |"
        )
    return "\n".join(lines)


def summarise(
    chosen: NDArray[np.float64], study: NDArray[np.float64] | None, draws: NDArray[np.float64]
) -> str:
    """What the table says of J, in a sentence or two."""
    median = float(np.median(draws[:, 0]))
    text = f"The chosen set's J is {median / chosen[0]:.0f} times below the median random draw's"
    if study is None:
        return f"{text}."
    share = 100 * float((draws[:, 0] < study[0]).mean())
    return (
        f"{text} and {study[0] / chosen[0]:.0f} times below the study's; "
        f"{share:.0f} % of the random draws are closer to training than the study's set is."
    )


def insert_table(path: Path, text: str) -> None:
    """Replace what stands between the marks of a markdown file."""
    before, mark, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (mark and end):
        sys.exit(f"{path}: no marks {BEGIN} ... {END}")
    path.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("csv", type=Path, help="class counts of the released scenes")
    parser.add_argument("--val", type=int, default=len(STUDY_VALIDATION))
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--out", type=Path, help="markdown file to put the table into")
    args = parser.parse_args()

    index = read_scene_counts(args.csv)
    pool = select_training(index)
    start = time.perf_counter()
    (split,) = create_splits("chosen", index, n_val=args.val)
    print(f"search: {time.perf_counter() - start:.2f} s", file=sys.stderr)
    chosen = measure(pool, set(split.val))
    published = set(STUDY_VALIDATION)
    study = measure(pool, published) if published <= set(pool["scene_id"]) else None
    draws = draw_random(pool, args.val, args.draws)
    origin = (
        f"autoice-bench {__version__}, numpy {np.__version__}, Python "
        f"{platform.python_version()} on {platform.machine()}, {datetime.now(UTC):%Y-%m-%d}; "
        f"{len(split.val)} of {len(pool)} scenes, seed {split.seed}, hash {split.hash[:8]}."
    )
    text = "\n\n".join(
        [format_table(chosen, study, draws), summarise(chosen, study, draws), origin]
    )
    print(text)
    if args.out:
        insert_table(args.out, text)


if __name__ == "__main__":
    main()
