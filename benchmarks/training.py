"""Training and inference of both baselines on full-size scenes, data included.

Run ``python -m benchmarks.training``; writes benchmarks/results/training.md. Every row is a run of
``train`` itself in a process of its own: two epochs on patches of full-size simulated scenes, of
which the second counts (the first compiles, searches kernels and warms the page cache). Validation
is on one small scene and is not counted. The loader's own limit is the same batches without a
network.

On a GPU the figures are absolute. On a CPU only ratios mean anything, and a small encoder and few
patches keep it short; the GPU's rows stay open.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from autoice_bench.datasets.prepare.prepare import prepare
from autoice_bench.datasets.simulate.run import simulate
from autoice_bench.datasets.store.downscaling import Downscaling
from autoice_bench.datasets.store.index import read_index
from autoice_bench.datasets.store.root import Store, open_store
from autoice_bench.formats.split_file import Split
from benchmarks.measure import format_table, measure_alone, write_result

Settings = Mapping[str, str]
Row = dict[str, Any]

SMALL: Final = (480, 502)
"""Lines and samples of the validation scene."""

TILE_OVERLAP: Final = 128

ASPP_AIM: Final = 200
ASPP_PUBLISHED: Final = 10.5
"""Patches/s of the study on an RTX A6000, validation included (Vahedi et al. 2025)."""
UNET_PUBLISHED_IT: Final = 12.0
"""Iterations/s that follow from 3.5 h for 300 epochs of 500 on an A100 (Chen et al. 2024)."""
UNET_PUBLISHED_SCENE_S: Final = 2.0
UNET_STEPS: Final = 500
UNET_EPOCHS: Final = 300

OPEN_ROW: Final = (
    "GPU row open: no GPU at hand. Ratios are those of this CPU and say little about a GPU; bf16 "
    "is measured where the CPU computes in it."
)


@dataclass(frozen=True)
class Bench:
    """What is measured with.

    Attributes:
        store: holds full-size scenes, and one small scene that validates.
        work: where runs go.
        device: what computes.
        sizes: settings that make the runs as long as they are, by recipe.
    """

    store: Path
    work: Path
    device: Literal["cuda", "cpu"]
    sizes: Mapping[str, Settings]

    @property
    def on_gpu(self) -> bool:
        return self.device == "cuda"

    def settings(self, recipe: str) -> dict[str, str]:
        common = {"epochs": "2", "early_stopping": "0", "val": "split", "test_checkpoint": "last"}
        return {**common, **self.sizes[recipe]}


def make_store(work: Path, n_scenes: int, n_test: int, size: tuple[int, int]) -> Path:
    """Full-size scenes to train on and to predict, and a small one that validates."""
    source, store = work / "rtt", work / "autoice.zarr"
    workers = os.cpu_count() or 1
    simulate(
        source / "large", n_train=n_scenes, n_test=n_test, size=size, cases="none", workers=workers
    )
    simulate(source / "small", n_train=1, n_test=1, size=SMALL, seed=1, cases="none")
    prepare(source, store, overviews=[Downscaling(10)], workers=workers)
    return store


def split_scenes(store: Store) -> Split:
    """Large scenes with labels train, the small one validates, large test scenes are predicted."""
    index = read_index(store).set_index("scene_id")
    is_test = index["subset"] == "test"
    is_small = (index["sar_lines"] == SMALL[0]) & (index["sar_samples"] == SMALL[1])

    def ids(rows: Any) -> tuple[str, ...]:
        return tuple(sorted(map(str, index.index[rows])))

    train, val = ids(~is_test & ~is_small), ids(~is_test & is_small)
    return Split("benchmark", "by size", None, train, val, ids(is_test & ~is_small))


def train_run(bench: Bench, recipe_name: str, settings: Settings, name: str) -> Row:
    """Train a run; the metrics of its last epoch."""
    from autoice_bench.baselines.recipes.loading import load_recipe
    from autoice_bench.baselines.runs.folder import RunFolder
    from autoice_bench.baselines.training.loop import train

    recipe = load_recipe(recipe_name, {**bench.settings(recipe_name), **settings})
    store = open_store(bench.store, require_complete=True)
    split = split_scenes(store)
    run = RunFolder.create(bench.work / "runs" / name, recipe, seed=0, split=split, store=store)
    train(recipe, store, split.train, split.val, run, seed=0, device=bench.device)
    run.update(state="finished")
    return {str(key): value for key, value in run.read_metrics().iloc[-1].items()}


def load_batches(bench: Bench, recipe_name: str) -> float:
    """Patches per second of the loader alone, copies to the device included."""
    import torch

    from autoice_bench.baselines.machine.devices import open_fabric
    from autoice_bench.baselines.recipes.loading import load_recipe
    from autoice_bench.baselines.training.job import open_loader, open_training_patches

    recipe = load_recipe(recipe_name, bench.settings(recipe_name))
    store = open_store(bench.store, require_complete=True)
    fabric = open_fabric(bench.device, precision="fp32")
    patches = open_training_patches(recipe, store, split_scenes(store).train, 0)
    with open_loader(recipe, patches, fabric) as loader:
        for epoch in range(2):
            started = time.perf_counter()
            for _ in loader.epoch(epoch):
                pass
            if bench.on_gpu:
                torch.cuda.synchronize()
        return len(loader) * recipe.batch_size / (time.perf_counter() - started)


def predict_scenes(bench: Bench, name: str, tile: int | None) -> tuple[float, float]:
    """Seconds from a scene in the store to its classes, and to its file; best of the scenes."""
    import torch

    from autoice_bench.baselines.inference.predict import predict
    from autoice_bench.baselines.inference.scene import SceneView, predict_scene
    from autoice_bench.baselines.inference.tiles import Tiling
    from autoice_bench.baselines.inference.trained_runs import open_trained_runs
    from autoice_bench.datasets.patches.opening import open_windows
    from autoice_bench.datasets.readers.scene import open_scene_reader
    from autoice_bench.formats.split_file import write_split

    store = open_store(bench.store, require_complete=True)
    split = split_scenes(store)
    (run,) = open_trained_runs(
        [bench.work / "runs" / name],
        grid_anchor=store.grid_anchor,
        checkpoint="last",
        device=torch.device(bench.device),
    )
    windows = open_windows(
        store,
        split.test,
        arrays=run.member.assemble.features.arrays | {"sar"},
        downscale=run.recipe.downscale,
        downscale_method=run.recipe.downscale_method,
    )
    tiling = None if tile is None else Tiling(tile, TILE_OVERLAP)
    seconds = []
    # On a GPU once more at the beginning: the first pass loads kernels.
    for scene_id in (*split.test[:1], *split.test) if bench.on_gpu else split.test[:1]:
        shape = open_scene_reader(store, scene_id).shape
        started = time.perf_counter()
        view = SceneView(run.member, windows, scene_id)
        predict_scene((view,), shape, tiling)
        seconds.append(time.perf_counter() - started)

    if not (store.path / "splits" / f"{split.name}.json").is_file():
        write_split(store.path, split)
    if not bench.on_gpu:
        return min(seconds), 0.0
    ends: list[float] = []
    predict(
        [bench.work / "runs" / name],
        store.path,
        split=split.name,
        out=bench.work / "preds" / f"{name}-{tile}",
        tile=tile,
        overlap=TILE_OVERLAP,
        checkpoint="last",
        device=bench.device,
        progress=lambda done, total: ends.append(time.perf_counter()),
    )
    return min(seconds), ends[-1] - ends[-2]


def has_bf16() -> bool:
    """Whether the CPU computes in bf16; torch emulates it elsewhere, many times slower."""
    return "_bf16" in Path("/proc/cpuinfo").read_text(encoding="utf-8")


def variants(bench: Bench) -> Iterator[tuple[str, Settings]]:
    """What makes a step fast, one after the other; on a CPU bf16 stands apart, where it has it."""
    best = "bf16" if bench.on_gpu else "fp32"
    off = {"channels_last": "false", "compile": "false"}
    yield "fp32, eager", {"precision": "fp32", **off}
    if bench.on_gpu or has_bf16():
        yield "bf16", {"precision": "bf16", **off}
    yield f"{best}, channels-last", {"precision": best, **off, "channels_last": "true"}
    yield (
        f"{best}, channels-last, compiled",
        {"precision": best, "channels_last": "true", "compile": "true"},
    )


def measure_variants(bench: Bench, recipe: str) -> dict[str, Row | None]:
    """Metrics by variant; None for one that does not run here."""
    measured: dict[str, Row | None] = {}
    for number, (name, settings) in enumerate(variants(bench)):
        try:
            run = measure_alone(train_run, bench, recipe, settings, f"{recipe}-{number}")
        except RuntimeError:  # its own process has said why
            measured[name] = None
            continue
        measured[name] = run.value
    return measured


def fastest(measured: Mapping[str, Row | None]) -> Row:
    found = [row for row in measured.values() if row is not None]
    return max(found, key=lambda row: float(row["patches_per_second"]))


def variants_table(
    bench: Bench, measured: Mapping[str, Row | None], loader: float, batch_size: int
) -> str:
    """Every variant: absolute on a GPU, beside the first on a CPU."""
    first = next(iter(measured.values()))
    absolute = ["patches/s", "iterations/s", "TFLOP/s", "peak GB"]
    columns = [
        "training step",
        "times fp32, eager",
        "waits for data",
        "loader alone, times the step",
    ]
    if bench.on_gpu:
        columns += absolute
    rows = []
    for name, row in measured.items():
        if row is None:
            rows.append([name, "does not run here", *["" for _ in columns[2:]]])
            continue
        rate = float(row["patches_per_second"])
        base = float(first["patches_per_second"]) if first else float("nan")
        cells = [
            name,
            f"{rate / base:.2f}",
            f"{row['data_wait_share']:.0%}",
            f"{loader / rate:.3g}",
        ]
        if bench.on_gpu:
            cells += [
                f"{rate:.1f}",
                f"{rate / batch_size:.1f}",
                f"{row['tflop_per_second']:.1f}",
                f"{row['peak_memory_bytes'] / 1e9:.1f}",
            ]
        rows.append(cells)
    return format_table(columns, rows)


def aspp_part(bench: Bench) -> list[str]:
    """Training and prediction of the ASPP network, as paragraphs."""
    from autoice_bench.baselines.recipes.loading import load_recipe

    recipe = load_recipe("aspp", bench.settings("aspp"))
    encoder = recipe.values()["encoder"]
    loader = float(measure_alone(load_batches, bench, "aspp").value)
    measured = measure_variants(bench, "aspp")
    best = fastest(measured)
    run = f"aspp-{list(measured.values()).index(best)}"
    whole, whole_file = measure_alone(predict_scenes, bench, run, None).value
    tiled, tiled_file = measure_alone(predict_scenes, bench, run, 768).value
    paragraphs = [
        f"## ASPP\n\n{encoder}, 17 channels, batches of {recipe.batch_size} patches of "
        f"{recipe.patch_size} pixels, {recipe.workers} loader workers.",
        variants_table(bench, measured, loader, recipe.batch_size),
    ]
    if not bench.on_gpu:
        return [
            *paragraphs,
            f"A full scene in tiles of 768 takes {tiled / whole:.2f} times what it takes whole.",
            OPEN_ROW,
        ]
    rate = float(best["patches_per_second"])
    return [
        *paragraphs,
        f"The loader alone delivers {loader:.0f} patches/s.",
        format_table(
            ["ASPP, fastest", "aim", "published", "measured"],
            [
                ["training, patches/s", f">= {ASPP_AIM}", f"{ASPP_PUBLISHED}", f"{rate:.0f}"],
                ["scene whole, to classes, s", "< 1", "", f"{whole:.2f}"],
                ["scene whole, to its file, s", "", "", f"{whole_file:.2f}"],
                ["scene in tiles of 768, to classes, s", "", "", f"{tiled:.2f}"],
                ["scene in tiles of 768, to its file, s", "", "", f"{tiled_file:.2f}"],
            ],
        ),
        "Published: one RTX A6000, validation included.",
    ]


def unet_part(bench: Bench) -> list[str]:
    """Training and prediction of the U-Net, as paragraphs."""
    from autoice_bench.baselines.recipes.loading import load_recipe

    recipe = load_recipe("unet", bench.settings("unet"))
    loader = float(measure_alone(load_batches, bench, "unet").value)
    measured = measure_variants(bench, "unet")
    best = fastest(measured)
    run = f"unet-{list(measured.values()).index(best)}"
    scene, scene_file = measure_alone(predict_scenes, bench, run, None).value
    paragraphs = [
        f"## U-Net\n\nConfiguration 1, 14 channels, batches of {recipe.batch_size} patches of "
        f"{recipe.patch_size} pixels of 800 m with augmentation, scenes in memory, "
        f"{recipe.workers} loader threads.",
        variants_table(bench, measured, loader, recipe.batch_size),
    ]
    if not bench.on_gpu:
        return [*paragraphs, OPEN_ROW]
    per_second = float(best["patches_per_second"]) / recipe.batch_size
    epoch = UNET_STEPS / per_second
    published = UNET_STEPS / UNET_PUBLISHED_IT
    return [
        *paragraphs,
        f"The loader alone delivers {loader / recipe.batch_size:.0f} batches/s.",
        format_table(
            ["U-Net, fastest", "aim", "published", "measured"],
            [
                ["iterations/s", "", f"{UNET_PUBLISHED_IT:g}", f"{per_second:.1f}"],
                [f"epoch of {UNET_STEPS} iterations, s", "", f"{published:.0f}", f"{epoch:.1f}"],
                [
                    f"{UNET_EPOCHS} epochs without validation, min",
                    "< 30",
                    f"{UNET_EPOCHS * published / 60:.0f}",
                    f"{UNET_EPOCHS * epoch / 60:.1f}",
                ],
                ["scene, to classes, s", "< 0.1", f"{UNET_PUBLISHED_SCENE_S:g}", f"{scene:.3f}"],
                ["scene, to its file, s", "", "", f"{scene_file:.2f}"],
            ],
        ),
        "Published: one A100, 3.5 h for 300 epochs. Scenes are read from stored overviews.",
    ]


def choose_sizes(on_gpu: bool, workers: int, few: bool) -> dict[str, Settings]:
    """How long the runs are: minutes on a GPU, and on a CPU with a network that is small."""
    aspp = {"weights": "none", "workers": str(workers), "patches_per_epoch": "1600"}
    unet = {"workers": str(workers), "patches_per_epoch": str(UNET_STEPS * 16)}
    if not on_gpu:
        aspp |= {"encoder": "resnet18", "batch_size": "2", "patches_per_epoch": "4"}
        unet |= {"batch_size": "4", "patches_per_epoch": "8"}
    if few:
        aspp |= {"encoder": "resnet18", "patch_size": "192", "patches_per_epoch": "8"}
        unet |= {"patch_size": "64", "patches_per_epoch": "16"}
    return {"aspp": aspp, "unet": unet}


def describe_torch(on_gpu: bool) -> str:
    import torch

    where = torch.cuda.get_device_name() if on_gpu else f"CPU, {torch.get_num_threads()} threads"
    tf32 = "; fp32 convolutions compute in TF32, as torch has it" if on_gpu else ""
    return f"torch {torch.__version__}, {where}{tf32}."


def main(arguments: Sequence[str] | None = None) -> None:
    import torch

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, help="training scenes [4, on a CPU 2]")
    parser.add_argument("--size", default="5000,5229", help="lines,samples")
    parser.add_argument("--part", choices=["both", "aspp", "unet"], default="both")
    parser.add_argument("--workers", type=int, default=max(1, min(8, (os.cpu_count() or 2) // 2)))
    parser.add_argument("--few", action="store_true", help="a few steps, to try the script")
    parser.add_argument("--print-only", action="store_true", help="write no result")
    parser.add_argument("--work", type=Path, help="folder to keep the scenes in between runs")
    options = parser.parse_args(arguments)
    lines, samples = (int(part) for part in options.size.split(","))
    on_gpu = torch.cuda.is_available()
    n_scenes = options.scenes or (4 if on_gpu else 2)
    size = (lines, samples)
    parts: dict[str, Callable[[Bench], list[str]]] = {"aspp": aspp_part, "unet": unet_part}
    with tempfile.TemporaryDirectory(prefix="autoice-training-") as temporary:
        work = Path(temporary)
        bench = Bench(
            make_store(options.work or work, n_scenes, 2 if on_gpu else 1, size),
            work,
            "cuda" if on_gpu else "cpu",
            choose_sizes(on_gpu, options.workers, options.few),
        )
        paragraphs = [
            paragraph
            for name, part in parts.items()
            if options.part in ("both", name)
            for paragraph in part(bench)
        ]
    text = (
        "# Training and inference",
        f"{n_scenes} simulated scenes of {lines}x{samples} pixels; the second of two epochs; "
        f"data included. {describe_torch(on_gpu)}",
        *paragraphs,
    )
    if options.print_only:
        print("\n\n".join(text))
    else:
        print(write_result("training", *text).read_text())


if __name__ == "__main__":
    main()
