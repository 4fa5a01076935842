from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from autoice_bench.baselines.machine import devices
from autoice_bench.baselines.machine.devices import (
    choose_device,
    choose_precision,
    determinism,
    explained_memory_errors,
    open_fabric,
    peak_memory_bytes,
)
from autoice_bench.errors import BaselineError

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.fixture
def without_cuda(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(devices, "read_driver_version", lambda: None)
    monkeypatch.setattr(torch.version, "cuda", "13.2")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return monkeypatch


def test_auto_is_the_cpu_without_a_gpu(without_cuda: pytest.MonkeyPatch) -> None:
    assert choose_device() == CPU
    assert choose_device("cpu") == CPU


@pytest.mark.parametrize("wanted", ["auto", "cuda"])
def test_torch_that_does_not_fit_the_driver(without_cuda: pytest.MonkeyPatch, wanted: str) -> None:
    without_cuda.setattr(devices, "read_driver_version", lambda: "470.82.01")
    with pytest.raises(BaselineError, match=r"CUDA 13\.2.* driver 470\.82\.01") as caught:
        choose_device(wanted)
    assert "\n" not in str(caught.value)
    assert choose_device("cpu") == CPU


def test_build_without_cuda_leaves_a_gpu_alone(without_cuda: pytest.MonkeyPatch) -> None:
    without_cuda.setattr(devices, "read_driver_version", lambda: "550.54.15")
    without_cuda.setattr(torch.version, "cuda", None)
    assert choose_device() == CPU
    with pytest.raises(BaselineError, match="a build without CUDA"):
        choose_device("cuda")


def test_hidden_gpu_is_not_there(without_cuda: pytest.MonkeyPatch) -> None:
    without_cuda.setattr(devices, "read_driver_version", lambda: "550.54.15")
    without_cuda.setenv("CUDA_VISIBLE_DEVICES", "")
    assert choose_device() == CPU
    with pytest.raises(BaselineError, match="hides every GPU"):
        choose_device("cuda")


def test_missing_gpu(without_cuda: pytest.MonkeyPatch) -> None:
    with pytest.raises(BaselineError, match="no NVIDIA GPU was found"):
        choose_device("cuda")


def test_gpu_that_torch_has_no_kernels_for(without_cuda: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("CUDA error: no kernel image is available\nmore\nlines")

    without_cuda.setattr(torch.cuda, "is_available", lambda: True)
    without_cuda.setattr(torch.cuda, "get_device_name", lambda: "Old GPU")
    without_cuda.setattr(torch, "zeros", fail)
    with pytest.raises(BaselineError, match=r"Old GPU: .* no kernel image") as caught:
        choose_device()
    assert "\n" not in str(caught.value)


def test_unknown_device() -> None:
    with pytest.raises(BaselineError, match="device 'tpu'; expected auto, cpu or cuda"):
        choose_device("tpu")


def test_driver_version_is_read_from_its_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "version"
    monkeypatch.setattr(devices, "_DRIVER_VERSION", path)
    assert devices.read_driver_version() is None
    path.write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5\nGCC\n")
    assert devices.read_driver_version() == "550.54.15"


@pytest.mark.parametrize(
    ("wanted", "device", "has_bf16", "expected"),
    [
        ("auto", CPU, False, "fp32"),
        ("bf16", CPU, False, "bf16"),
        ("auto", CUDA, True, "bf16"),
        ("auto", CUDA, False, "fp32"),
        ("fp32", CUDA, True, "fp32"),
    ],
)
def test_precision(
    monkeypatch: pytest.MonkeyPatch,
    wanted: str,
    device: torch.device,
    has_bf16: bool,
    expected: str,
) -> None:
    monkeypatch.setattr(devices, "_has_bf16", lambda: has_bf16)
    assert choose_precision(wanted, device) == expected


def test_bf16_that_the_gpu_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_has_bf16", lambda: False)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Old GPU")
    with pytest.raises(BaselineError, match="Old GPU does not compute in bf16"):
        choose_precision("bf16", CUDA)
    with pytest.raises(BaselineError, match="expected auto, bf16 or fp32"):
        choose_precision("fp16", CPU)


def test_fabric_on_the_cpu() -> None:
    fabric = open_fabric("cpu", precision="bf16")
    assert fabric.device == CPU
    assert fabric.world_size == 1
    with fabric.autocast():
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert product.dtype == torch.bfloat16


def test_cores_of_slurm_that_are_tasks_are_no_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    # What a batch script of `#SBATCH --ntasks=4` finds set, without srun.
    for name, value in {"NTASKS": "4", "JOB_ID": "77", "JOB_NAME": "train", "NNODES": "1"}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    fabric = open_fabric("cpu")
    assert (fabric.world_size, fabric.global_rank, fabric.is_global_zero) == (1, 0, True)


def test_fabric_without_devices() -> None:
    with pytest.raises(BaselineError, match="0 devices wanted"):
        open_fabric("cpu", devices=0)


def test_determinism_is_put_back() -> None:
    assert not torch.are_deterministic_algorithms_enabled()
    with determinism(True):
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.backends.cudnn.deterministic
    with determinism(False):
        assert not torch.are_deterministic_algorithms_enabled()
    assert not torch.are_deterministic_algorithms_enabled()
    assert not torch.backends.cudnn.deterministic


def test_gpu_memory_error_names_the_ways_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda _: SimpleNamespace(total_memory=24 * 2**30)
    )
    expected = r"out of GPU memory \(24 GiB\) while training; set a smaller batch_size"
    with (
        pytest.raises(BaselineError, match=expected),
        explained_memory_errors("training", "set a smaller batch_size"),
    ):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB")


def test_cpu_memory_error_is_one_line() -> None:
    with (
        pytest.raises(BaselineError, match="out of memory while training; use less") as caught,
        explained_memory_errors("training", "use less"),
    ):
        torch.empty(2**54, dtype=torch.uint8)
    assert "\n" not in str(caught.value)


def test_other_errors_pass() -> None:
    with (
        pytest.raises(RuntimeError, match="mat1 and mat2"),
        explained_memory_errors("training", "use less"),
    ):
        torch.ones(2, 3) @ torch.ones(2, 3)


def test_peak_memory_is_that_of_the_process() -> None:
    assert 10e6 < peak_memory_bytes(CPU) < 1e13
