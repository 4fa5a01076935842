from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor

from autoice_bench.baselines.inference.predict import predict
from autoice_bench.baselines.inputs.features import FeatureAssembler, parse_features
from autoice_bench.baselines.recipes.recipe import Recipe
from autoice_bench.baselines.runs.checkpoints import (
    CHECKPOINT_NAMES,
    EXPORTED_NETWORK,
    NETWORK,
    CheckpointName,
    checkpoint_path,
    read_checkpoint,
    restore_network,
)
from autoice_bench.baselines.runs.folder import RunFolder
from autoice_bench.baselines.tasks import chart_loss
from autoice_bench.baselines.tasks.chart_loss import MultiTaskLoss
from autoice_bench.baselines.tasks.chart_outputs import Outputs
from autoice_bench.baselines.training.loop import TrainResult, train
from autoice_bench.baselines.training.scenes import PaddedScenes, ValidationScenes
from autoice_bench.baselines.training.validation import validate
from autoice_bench.datasets.patches.opening import open_windows
from autoice_bench.datasets.store.root import Store, open_store
from autoice_bench.errors import AutoIceError, BaselineError, PatchError, SplitError
from autoice_bench.formats.split_file import Split
from autoice_bench.scoring.evaluate import evaluate
from autoice_bench.scoring.scores import build_scores, summarise
from autoice_bench.scoring.truth.store_truth import StoreTruth

UNET = Recipe("tiny").with_values(
    network="unet",
    widths=(4, 8),
    sic_output="regression",
    sic_loss="mse",
    features="sar+amsr2-18-36",
    patch_size=32,
    patches_per_scene=0,
    patches_per_epoch=16,
    batch_size=4,
    flip_p=0.5,
    rotate_p=0.5,
    cutmix_p=0.5,
    optimiser="sgd",
    lr=1e-3,
    weight_decay=0.01,
    schedule="cosine-restarts",
    restart_epochs=2,
    epochs=3,
    precision="fp32",
    workers=0,
)
ASPP = UNET.with_values(
    network="aspp",
    encoder="resnet18",
    weights="none",
    rates=(1, 2),
    aspp_width=4,
    sic_output="classes",
    sic_loss="cross-entropy",
    features="sar",
    patch_size=64,
    patches_per_epoch=6,
    batch_size=2,
    optimiser="adam",
    schedule="plateau",
    plateau_patience=0,
    epochs=2,
    workers=1,
)
TIMES = ("train_seconds", "val_seconds", "patches_per_second", "tflop_per_second")
UNLIKE = (*TIMES, "data_wait_share", "peak_memory_bytes")


@pytest.fixture(scope="module")
def store(prepared_store: Path) -> Store:
    return open_store(prepared_store)


def split_of(store: Store) -> Split:
    ids = store.scene_ids()
    return Split("tiny", "three and one", None, ids[:3], ids[3:4], ())


def open_run(path: Path, recipe: Recipe, store: Store) -> RunFolder:
    return RunFolder.create(path, recipe, seed=0, split=split_of(store), store=store)


def run_training(path: Path, recipe: Recipe, store: Store, **options: Any) -> TrainResult:
    split = split_of(store)
    options = {"train_ids": split.train, "val_ids": split.val, "seed": 0, **options}
    run = open_run(path, recipe, store)
    return train(recipe, store, run=run, device="cpu", **options)


def read_tensors(path: Path, name: CheckpointName = "last") -> dict[str, Tensor]:
    return dict(read_checkpoint(checkpoint_path(path / "checkpoints", name)).tensors)


def assert_same_run(one: Path, other: Path) -> None:
    """Weights, optimiser and metrics are equal to the last bit."""
    for name in CHECKPOINT_NAMES:
        expected, found = read_tensors(one, name), read_tensors(other, name)
        assert found.keys() == expected.keys()
        assert [key for key in expected if not torch.equal(found[key], expected[key])] == []
    rows = [RunFolder(path).read_metrics().drop(columns=list(UNLIKE)) for path in (one, other)]
    assert rows[0].equals(rows[1])


def stop_at(step: int, number: int) -> Callable[[int, int], None]:
    def progress(done: int, _: int) -> None:
        if done == step:
            os.kill(os.getpid(), number)

    return progress


@pytest.fixture(scope="module")
def uninterrupted(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Folder of a run that went through without interruption, by recipe."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    made: dict[str, Path] = {}

    def make(recipe: Recipe) -> Path:
        name = recipe.network.name
        if name not in made:
            path = made[name] = folder / name
            assert run_training(path, recipe, store).outcome == "finished"
        return made[name]

    return make


@pytest.mark.parametrize("recipe", [UNET, ASPP], ids=lambda recipe: recipe.network.name)
def test_metrics_checkpoints_and_record(uninterrupted: Callable[..., Path], recipe: Recipe) -> None:
    path = uninterrupted(recipe)
    run = RunFolder.open(path)
    metrics = run.read_metrics()
    assert list(metrics["epoch"]) == list(range(1, recipe.epochs + 1))
    assert set(metrics["steps"]) == {recipe.patches_per_epoch // recipe.batch_size}
    assert (metrics[list(TIMES)] > 0).all(axis=None)
    parts = metrics[["train_loss_SIC", "train_loss_SOD", "train_loss_FLOE"]]
    assert list(parts.sum(axis=1)) == pytest.approx(list(metrics["train_loss"]), rel=1e-6)
    record = run.read()
    assert record["state"] == "finished"
    assert record["best_loss"] == metrics["val_loss"].min()
    assert record["best_combined"] == metrics["val_combined"].max()
    assert record["tested"] == "best-combined"
    best: tuple[tuple[CheckpointName, str], ...] = (
        ("best-loss", "val_loss"),
        ("best-combined", "val_combined"),
    )
    for name, column in best:
        metadata = read_checkpoint(checkpoint_path(run.checkpoints, name)).metadata
        row = metrics.set_index("epoch").loc[metadata["epoch"]]
        assert metadata["metrics"][column] == row[column]
        assert metadata["epoch"] == record[f"{name.replace('-', '_')}_epoch"]
        assert Recipe.from_dict(metadata["recipe"]) == recipe
        assert len(metadata["channels"]) == {"unet": 7, "aspp": 3}[recipe.network.name]
        assert all(key.startswith(NETWORK) for key in read_tensors(path, name))


def test_learning_rate_follows_the_schedule(uninterrupted: Callable[..., Path]) -> None:
    # Four steps an epoch, restart after two epochs: the third begins at lr again.
    rates = RunFolder(uninterrupted(UNET)).read_metrics()["lr"]
    assert rates[0] == pytest.approx(1e-8 + (1e-3 - 1e-8) * 0.5 * (1 + 0.38268343), rel=1e-6)
    assert rates[2] == rates[0]
    assert rates[1] < rates[0]


def test_network_to_test_is_exported_with_its_recipe(uninterrupted: Callable[..., Path]) -> None:
    path = uninterrupted(UNET)
    found = read_checkpoint(path / EXPORTED_NETWORK)
    assert found.metadata["checkpoint"] == "best-combined"
    assert found.metadata["recipe"]["network"]["widths"] == [4, 8]
    assert found.metadata["store_fingerprint"]
    for name, tensor in read_tensors(path, "best-combined").items():
        assert torch.equal(found.tensors[name], tensor)


@pytest.mark.parametrize("recipe", [UNET, ASPP], ids=lambda recipe: recipe.network.name)
def test_validation_is_what_predicting_and_scoring_find(
    store: Store, uninterrupted: Callable[..., Path], tmp_path: Path, recipe: Recipe
) -> None:
    path = uninterrupted(recipe)
    split = tmp_path / "tiny.json"
    split.write_text(json.dumps(split_of(store).to_dict()))
    predict([path], store.path, split=str(split), subset="val", out=tmp_path / "preds")
    evaluation = evaluate(
        tmp_path / "preds", StoreTruth(store.path), split=str(split), subset="val"
    )
    summary = summarise(evaluation, build_scores(evaluation, "tiny"), "tiny", None)
    metadata = read_checkpoint(checkpoint_path(path / "checkpoints", "best-combined")).metadata
    for row in summary["scores"]:
        assert row["official"] == metadata["metrics"][f"val_{row['chart']}"]


@pytest.mark.parametrize(
    ("recipe", "number"),
    [(UNET, signal.SIGTERM), (ASPP, signal.SIGINT)],
    ids=lambda value: value.name,
)
def test_signal_saves_in_the_middle_of_an_epoch(
    store: Store,
    tmp_path: Path,
    uninterrupted: Callable[..., Path],
    recipe: Recipe,
    number: signal.Signals,
) -> None:
    n_steps = recipe.patches_per_epoch // recipe.batch_size
    lines: list[str] = []
    stopped = run_training(
        tmp_path, recipe, store, progress=stop_at(n_steps + 1, number), say=lines.append
    )
    assert (stopped.outcome, stopped.epochs) == ("interrupted", 1)
    assert RunFolder.open(tmp_path).read()["state"] == "interrupted"
    assert f"{number.name}: stopped and saved after epoch 1, step 1 of {n_steps}" in lines[-1]
    assert "the same command goes on" in lines[-1]
    assert run_training(tmp_path, recipe, store).outcome == "finished"
    assert_same_run(uninterrupted(recipe), tmp_path)


@pytest.mark.parametrize("step", [4, 8])
def test_signal_at_the_end_of_an_epoch(
    store: Store, tmp_path: Path, uninterrupted: Callable[..., Path], step: int
) -> None:
    """All steps are done, validation is not."""
    progress = stop_at(step, signal.SIGTERM)
    stopped = run_training(tmp_path, UNET, store, progress=progress)
    assert (stopped.outcome, stopped.epochs) == ("interrupted", step // 4 - 1)
    run_training(tmp_path, UNET, store)
    assert_same_run(uninterrupted(UNET), tmp_path)


def test_signal_to_the_whole_job(store: Store, tmp_path: Path) -> None:
    """Clusters send SIGTERM to the reading processes too."""

    def progress(done: int, _: int) -> None:
        if done == 2:
            for process in (*psutil.Process().children(), psutil.Process()):
                process.terminate()

    recipe = UNET.with_values(workers=2)
    stopped = run_training(tmp_path, recipe, store, progress=progress)
    assert stopped.outcome == "interrupted"


def test_signal_during_validation(
    store: Store,
    tmp_path: Path,
    uninterrupted: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sums = MultiTaskLoss.chart_sums

    def interrupt(loss: MultiTaskLoss, outputs: Outputs, charts: Tensor) -> tuple[Tensor, Tensor]:
        os.kill(os.getpid(), signal.SIGTERM)
        return sums(loss, outputs, charts)

    with monkeypatch.context() as patch:
        patch.setattr(MultiTaskLoss, "chart_sums", interrupt)
        stopped = run_training(tmp_path, UNET, store)
    assert (stopped.outcome, stopped.epochs) == ("interrupted", 0)
    run_training(tmp_path, UNET, store)
    assert_same_run(uninterrupted(UNET), tmp_path)


KILLED = """
import json, os, signal, sys
from pathlib import Path
from autoice_bench.baselines.inference.predict import predict
from autoice_bench.baselines.recipes.recipe import Recipe
from autoice_bench.baselines.runs.folder import RunFolder
from autoice_bench.baselines.training.loop import train
from autoice_bench.datasets.store.root import open_store
path, store, step = Path(sys.argv[1]), open_store(sys.argv[2]), int(sys.argv[3])
run, ids = RunFolder.open(path), store.scene_ids()
def progress(done, total):
    if done == step:
        os.kill(os.getpid(), signal.SIGKILL)
train(run.recipe, store, ids[:3], ids[3:4], run, seed=0, device="cpu", progress=progress)
"""


def test_kill_in_the_middle_of_an_epoch(
    store: Store, tmp_path: Path, uninterrupted: Callable[..., Path]
) -> None:
    open_run(tmp_path, UNET, store)
    arguments = [str(tmp_path), str(store.path), "7"]
    done = subprocess.run([sys.executable, "-c", KILLED, *arguments], check=False)
    assert done.returncode == -signal.SIGKILL
    last = read_checkpoint(checkpoint_path(tmp_path / "checkpoints", "last"))
    assert (last.metadata["state"]["epoch"], last.metadata["state"]["step"]) == (1, 0)
    assert run_training(tmp_path, UNET, store).outcome == "finished"
    assert_same_run(uninterrupted(UNET), tmp_path)


def test_metrics_lost_between_checkpoint_and_table_come_back(
    store: Store, tmp_path: Path, uninterrupted: Callable[..., Path]
) -> None:
    run_training(tmp_path, UNET, store, progress=stop_at(9, signal.SIGTERM))
    (tmp_path / "metrics.parquet").unlink()
    run_training(tmp_path, UNET, store)
    assert list(RunFolder(tmp_path).read_metrics()["epoch"]) == [2, 3]


def test_metrics_lost_after_the_last_epoch_come_back(
    store: Store, tmp_path: Path, uninterrupted: Callable[..., Path]
) -> None:
    """As after a kill between the last checkpoint and its row: nothing is left to train."""
    folder = Path(shutil.copytree(uninterrupted(UNET), tmp_path / "run"))
    run = RunFolder(folder)
    complete = run.read_metrics()
    assert complete["epoch"].tolist() == [1, 2, 3]
    run.forget_files()
    (folder / "metrics.parquet").unlink()
    for row in complete.to_dict("records")[:2]:
        run.append_metrics({str(name): value for name, value in row.items()})
    run.update(state="running", outcome="interrupted", epochs=2)
    (folder / EXPORTED_NETWORK).unlink()

    assert run_training(folder, UNET, store).outcome == "finished"
    assert run.read_metrics().equals(complete)
    assert run.read()["epochs"] == 3
    assert (folder / EXPORTED_NETWORK).is_file()


def test_a_finished_run_knows_its_networks(
    store: Store, tmp_path: Path, uninterrupted: Callable[..., Path]
) -> None:
    folder = Path(shutil.copytree(uninterrupted(UNET), tmp_path / "run"))
    run = RunFolder(folder)
    names = [f"checkpoints/{name}.pt" for name in CHECKPOINT_NAMES]
    assert sorted(run.read()["files"]) == sorted([*names, EXPORTED_NETWORK])
    # Sound, but of another epoch: only the record can tell.
    shutil.copy(folder / "checkpoints/best-loss.pt", folder / "checkpoints/last.pt")
    with pytest.raises(BaselineError, match=r"last\.pt: does not match its SHA-256 in run\.json"):
        run_training(folder, UNET, store)


def test_finished_run_is_left_as_it_is(store: Store, uninterrupted: Callable[..., Path]) -> None:
    path = uninterrupted(UNET)
    before = checkpoint_path(path / "checkpoints", "last").read_bytes()
    calls: list[int] = []
    result = run_training(path, UNET, store, progress=lambda done, _: calls.append(done))
    assert (result.outcome, result.epochs, calls) == ("finished", 3, [])
    assert checkpoint_path(path / "checkpoints", "last").read_bytes() == before


def test_another_seed_is_another_run(
    store: Store, tmp_path: Path, uninterrupted: Callable[..., Path]
) -> None:
    path = uninterrupted(UNET)
    with pytest.raises(BaselineError, match="is of a run with another seed"):
        run_training(path, UNET, store, seed=1)
    recipe = UNET.with_values(epochs=1)
    run_training(tmp_path, recipe, store, seed=1)
    differing = [
        not torch.equal(tensor, read_tensors(tmp_path)[name])
        for name, tensor in read_tensors(path).items()
        if name.endswith("weight")
    ]
    assert all(differing)


def test_checkpoint_of_other_scenes_is_refused(
    store: Store, uninterrupted: Callable[..., Path]
) -> None:
    with pytest.raises(BaselineError, match="another val_scenes"):
        run_training(uninterrupted(UNET), UNET, store, val_ids=store.scene_ids()[4:5])


def test_machine_settings_may_change_when_a_run_goes_on(store: Store, tmp_path: Path) -> None:
    recipe = UNET.with_values(epochs=2)
    run_training(tmp_path, recipe, store, progress=stop_at(5, signal.SIGTERM))
    result = run_training(tmp_path, recipe.with_values(workers=1, channels_last=False), store)
    assert result.outcome == "finished"


def spoil(monkeypatch: pytest.MonkeyPatch, call: int) -> None:
    """Make the training loss NaN at a call, counted from 1."""
    calls = iter(range(1, 1000))

    class Spoilt(MultiTaskLoss):
        def __call__(
            self, outputs: Sequence[Tensor], charts: Tensor
        ) -> tuple[Tensor, dict[str, Tensor]]:
            total, parts = super().__call__(outputs, charts)
            return (total * torch.nan if next(calls) == call else total), parts

    monkeypatch.setattr(chart_loss, "MultiTaskLoss", Spoilt)


def test_nan_names_the_scenes_and_keeps_the_last_checkpoint(
    store: Store,
    tmp_path: Path,
    uninterrupted: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        spoil(patch, 6)
        with pytest.raises(BaselineError, match=r"loss is nan at epoch 2, step 2, scenes 20"):
            run_training(tmp_path, UNET, store)
    assert read_checkpoint(checkpoint_path(tmp_path / "checkpoints", "last")).metadata["epoch"] == 1
    run_training(tmp_path, UNET, store)
    assert_same_run(uninterrupted(UNET), tmp_path)


def test_diverging_training_stops(store: Store, tmp_path: Path) -> None:
    with pytest.raises(BaselineError, match=r"the loss is (nan|inf) at epoch"):
        run_training(tmp_path, UNET.with_values(lr=1e18, flip_p=0.0, cutmix_p=0.0), store)


def test_early_stopping(store: Store, tmp_path: Path) -> None:
    # Nothing is learnt at this rate, and batch normalisation keeps its start: the loss stays.
    recipe = UNET.with_values(lr=1e-30, weight_decay=0.0, min_lr=0.0, epochs=9, early_stopping=2)
    lines: list[str] = []
    result = run_training(tmp_path, recipe, store, say=lines.append)
    assert result.outcome == "stopped-early"
    assert result.best_loss_epoch is not None
    assert result.epochs == result.best_loss_epoch + 2
    assert "stopped early" in lines[-1]
    again = run_training(tmp_path, recipe, store)
    assert again == result


def test_plateau_lowers_the_rate(store: Store, tmp_path: Path) -> None:
    recipe = UNET.with_values(schedule="plateau", plateau_factor=0.1, plateau_patience=0, epochs=5)
    run_training(tmp_path, recipe, store)
    metrics = RunFolder(tmp_path).read_metrics()
    best, expected = float("inf"), [recipe.optimiser.lr]
    for loss in metrics["val_loss"][:-1]:
        expected.append(expected[-1] * (1 if loss < best * (1 - 1e-4) else 0.1))
        best = min(best, loss)
    assert list(metrics["lr"]) == pytest.approx(expected)


def test_chart_without_a_valid_pixel_leaves_the_loss_finite(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class WithoutFloes(MultiTaskLoss):
        def __call__(
            self, outputs: Sequence[Tensor], charts: Tensor
        ) -> tuple[Tensor, dict[str, Tensor]]:
            charts = charts.clone()
            charts[:, 2] = 255
            return super().__call__(outputs, charts)

    monkeypatch.setattr(chart_loss, "MultiTaskLoss", WithoutFloes)
    run_training(tmp_path, UNET.with_values(epochs=1), store)
    metrics = RunFolder(tmp_path).read_metrics()
    assert metrics["train_loss_FLOE"][0] == 0
    assert metrics["train_loss"][0] > 0


@pytest.mark.parametrize("side", ["training", "validation"])
def test_split_without_scenes(store: Store, tmp_path: Path, side: str) -> None:
    ids = {"training": "train_ids", "validation": "val_ids"}[side]
    with pytest.raises(SplitError, match=f"the split has no {side} scenes"):
        run_training(tmp_path, UNET, store, **{ids: ()})


def test_no_eligible_patch_anywhere(store: Store, tmp_path: Path) -> None:
    with pytest.raises(PatchError, match="none of 3 scenes has a window"):
        run_training(tmp_path, UNET.with_values(patch_size=320, max_masked=0.0), store)


def test_batch_of_uneven_shares(store: Store, tmp_path: Path) -> None:
    class TwoProcesses(Fabric):
        @property
        def world_size(self) -> int:
            return 2

    with pytest.raises(BaselineError, match="batch_size 5 cannot be shared by 2 processes"):
        run_training(
            tmp_path,
            UNET.with_values(batch_size=5),
            store,
            fabric=TwoProcesses(accelerator="cpu", devices=1),
        )


def test_memory_error_names_batch_patch_and_tiles(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Greedy(MultiTaskLoss):
        def __call__(
            self, outputs: Sequence[Tensor], charts: Tensor
        ) -> tuple[Tensor, dict[str, Tensor]]:
            raise MemoryError

    monkeypatch.setattr(chart_loss, "MultiTaskLoss", Greedy)
    with pytest.raises(AutoIceError, match=r"4 patches of 32 .*batch_size=2.*patch_size.*--tile"):
        run_training(tmp_path, UNET, store)


def test_bf16_on_the_cpu(store: Store, tmp_path: Path) -> None:
    run_training(tmp_path, UNET.with_values(epochs=1, precision="bf16"), store)
    tensors = read_tensors(tmp_path)
    assert all(t.dtype != torch.bfloat16 for t in tensors.values())


@pytest.mark.slow
def test_compiled(store: Store, tmp_path: Path, uninterrupted: Callable[..., Path]) -> None:
    run_training(tmp_path, UNET.with_values(epochs=1, compile=True), store)
    assert read_tensors(tmp_path).keys() == read_tensors(uninterrupted(UNET)).keys()


TWO_PROCESSES = """
import sys
from pathlib import Path
from autoice_bench.baselines.machine.devices import open_fabric
from autoice_bench.baselines.runs.folder import RunFolder
from autoice_bench.baselines.training.loop import train
from autoice_bench.datasets.store.root import open_store
path, store = Path(sys.argv[1]), open_store(sys.argv[2])
run, ids = RunFolder.open(path), store.scene_ids()
fabric = open_fabric("cpu", precision="fp32", devices=2)
result = train(run.recipe, store, ids[:3], ids[3:6], run, seed=0, fabric=fabric)
assert result.outcome == "finished", result
"""


@pytest.mark.slow
def test_two_processes_share_batches_and_scenes(store: Store, tmp_path: Path) -> None:
    recipe = UNET.with_values(epochs=2)
    open_run(tmp_path, recipe, store)
    script = tmp_path / "two.py"
    script.write_text(TWO_PROCESSES)
    arguments = [sys.executable, str(script), str(tmp_path), str(store.path)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    run = RunFolder(tmp_path)
    metrics = run.read_metrics()
    assert list(metrics["steps"]) == [4, 4]
    assert run.read()["state"] == "finished"
    # One process alone finds the same scores for the network that both arrived at.
    network = recipe.build_network(7)
    restore_network(network, read_checkpoint(checkpoint_path(run.checkpoints, "last")))
    features = parse_features(recipe.features)
    windows = open_windows(store, (), arrays=features.arrays | {"charts"})
    scenes = PaddedScenes(windows, store.scene_ids()[3:6])
    alone = validate(
        network.to(memory_format=torch.channels_last),
        ValidationScenes(scenes),
        FeatureAssembler(features, windows.geometry),
        recipe.task,
        torch.device("cpu"),
        memory_format=torch.channels_last,
    )
    assert alone is not None
    assert metrics["val_loss"][1] == pytest.approx(alone.loss, rel=1e-9)
    assert metrics["val_combined"][1] == alone.combined


@pytest.mark.gpu
def test_on_a_gpu(store: Store, tmp_path: Path) -> None:
    split = split_of(store)
    run = open_run(tmp_path, UNET, store)
    recipe = UNET.with_values(precision="auto")
    result = train(recipe, store, split.train, split.val, run, seed=0, device="cuda")
    assert result.outcome == "finished"
