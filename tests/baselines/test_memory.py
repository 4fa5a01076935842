from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from autoice_bench.baselines import memory
from autoice_bench.baselines.memory import available_bytes, estimate_peak_bytes


class Chain(nn.Module):
    """Input and the map made of it exist together; in-place steps and views take nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, 8, 1)
        self.second = nn.Conv2d(8, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x).relu_().flatten(2).unflatten(2, x.shape[-2:])
        return torch.as_tensor(self.second(x))

    def short(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.first(x))


def test_peak_is_what_exists_together() -> None:
    # float32 of 10 x 10 pixels: input of 2 channels (held by the caller), then 8, then 4.
    network = Chain().eval()
    assert estimate_peak_bytes(network, (1, 2, 10, 10)) == 400 * (2 + 8 + 4)
    assert estimate_peak_bytes(network, (1, 2, 10, 10), "short") == 400 * (2 + 8)
    assert next(network.parameters()).device.type == "cpu"


def test_large_inputs_cost_nothing_to_estimate() -> None:
    assert estimate_peak_bytes(Chain().eval(), (1, 2, 10**6, 10**6)) == 4 * 10**12 * 14
    assert torch.is_grad_enabled()


def test_the_smaller_of_machine_and_group_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "meminfo").write_text("MemTotal: 9000 kB\nMemAvailable:  2000 kB\n")
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    assert available_bytes() == 2000 * 1024
    (tmp_path / "memory.max").write_text("1000000\n")
    (tmp_path / "memory.current").write_text("700000\n")
    (tmp_path / "memory.stat").write_text("anon 500000\ninactive_file 200000\n")
    assert available_bytes() == 500_000
    (tmp_path / "memory.max").write_text("max\n")
    assert available_bytes() == 2000 * 1024
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "nothing")
    assert available_bytes() is None
