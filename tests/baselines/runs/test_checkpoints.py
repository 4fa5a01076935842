from __future__ import annotations

import json
import signal
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer

from autoice_bench.baselines.runs.checkpoints import (
    CHECKPOINT_NAMES,
    NETWORK,
    Checkpoint,
    checkpoint_path,
    export_safetensors,
    network_tensors,
    optimiser_tensors,
    read_checkpoint,
    restore_network,
    restore_optimiser,
    write_checkpoint,
)
from autoice_bench.errors import BaselineError
from autoice_bench.formats.whole_files import remove_leftovers

CHECKPOINT = Checkpoint(
    {f"{NETWORK}weight": torch.arange(6.0).reshape(2, 3), "training.sums": torch.ones(2)},
    {"epoch": 3, "lr": 0.1, "none": None, "scenes": ["a", "b"]},
)


def make_network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))


def take_steps(network: nn.Module, optimiser: Optimizer, n: int) -> None:
    for step in range(n):
        inputs = torch.full((2, 3, 8, 8), 0.1 * (step + 1))
        inputs[0, 0] = 1.0
        optimiser.zero_grad()
        network(inputs).square().mean().backward()
        optimiser.step()


def test_round_trip_keeps_tensors_and_metadata(tmp_path: Path) -> None:
    path = checkpoint_path(tmp_path / "new" / "folder", "best-loss")
    write_checkpoint(path, CHECKPOINT)
    found = read_checkpoint(path)
    assert found.metadata == CHECKPOINT.metadata
    assert found.tensors.keys() == CHECKPOINT.tensors.keys()
    for name, tensor in CHECKPOINT.tensors.items():
        assert torch.equal(found.tensors[name], tensor)
    assert [file.name for file in path.parent.iterdir()] == ["best-loss.pt"]


def test_names_of_checkpoints() -> None:
    assert CHECKPOINT_NAMES == ("last", "best-loss", "best-combined")


def test_part_strips_the_prefix() -> None:
    assert list(CHECKPOINT.part(NETWORK)) == ["weight"]


def test_holds_tensors_and_json_text_only(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    write_checkpoint(path, CHECKPOINT)
    content: dict[str, Any] = torch.load(path, weights_only=True)
    assert content.keys() == {"format", "metadata", "tensors"}
    assert json.loads(content["metadata"]) == CHECKPOINT.metadata
    assert all(isinstance(tensor, Tensor) for tensor in content["tensors"].values())


def test_metadata_that_is_no_json_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_checkpoint(tmp_path / "last.pt", Checkpoint({}, {"loss": float("nan")}))
    with pytest.raises(TypeError, match="not JSON serializable"):
        write_checkpoint(tmp_path / "last.pt", Checkpoint({}, {"path": tmp_path}))


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04 cut off"])
def test_damaged_file_is_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "last.pt"
    path.write_bytes(content)
    with pytest.raises(BaselineError, match=r"last\.pt cannot be read: ") as caught:
        read_checkpoint(path)
    assert "\n" not in str(caught.value)


def test_truncated_file_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    write_checkpoint(path, CHECKPOINT)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(BaselineError, match="cannot be read"):
        read_checkpoint(path)


def test_every_flipped_bit_is_found_or_changes_nothing(tmp_path: Path) -> None:
    """torch takes a flipped bit for another weight; the checksums in the file know."""
    path = tmp_path / "best-combined.pt"
    network = make_network()
    write_checkpoint(path, Checkpoint(network_tensors(network), {"epoch": 3}))
    content = path.read_bytes()
    n_found = 0
    for at in range(0, len(content), 7):
        damaged = bytearray(content)
        damaged[at] ^= 1 << at % 8
        path.write_bytes(damaged)
        try:
            found = read_checkpoint(path)
        except BaselineError:
            n_found += 1
            continue
        assert found.metadata == {"epoch": 3}
        assert_equal_tensors(found.tensors, network_tensors(network))
    assert n_found > len(content) // 7 // 3


def test_every_flipped_bit_of_an_export_is_found(tmp_path: Path) -> None:
    source, out = tmp_path / "last.pt", tmp_path / "network.safetensors"
    tensors = network_tensors(make_network())
    write_checkpoint(source, Checkpoint(tensors, {"epoch": 3}))
    export_safetensors(source, out)
    assert_equal_tensors(read_checkpoint(out).tensors, tensors)
    content = out.read_bytes()
    header = 8 + int.from_bytes(content[:8], "little")
    for at in range(header, len(content), 5):
        damaged = bytearray(content)
        damaged[at] ^= 1
        out.write_bytes(damaged)
        with pytest.raises(BaselineError, match="its tensors do not match its digest"):
            read_checkpoint(out)


def test_an_export_without_digest_is_read(tmp_path: Path) -> None:
    """As older versions wrote it."""
    out = tmp_path / "network.safetensors"
    save_file({"weight": torch.ones(3)}, out, {"autoice_bench": "{}"})
    assert torch.equal(read_checkpoint(out).tensors["network.weight"], torch.ones(3))


def assert_equal_tensors(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    assert [name for name in expected if not torch.equal(found[name], expected[name])] == []


@pytest.mark.parametrize(
    "content",
    [
        {"format": 1, "metadata": "[]", "tensors": {}},
        {"format": 1, "metadata": 3, "tensors": {}},
        {"format": 1, "metadata": "{}", "tensors": []},
        {"format": 1, "metadata": "{}", "tensors": {"a": 3}},
        {"format": 1, "metadata": "{}", "tensors": {3: torch.ones(1)}},
        {"format": 1, "metadata": "{}", "tensors": {"a": torch.ones(2, 2).to_sparse()}},
        {"format": 1},
        [1, 2],
        "x",
    ],
)
def test_wrong_types_in_a_checkpoint_are_one_line(tmp_path: Path, content: object) -> None:
    path = tmp_path / "last.pt"
    torch.save(content, path)
    with pytest.raises(BaselineError, match=r"last\.pt cannot be read: ") as caught:
        read_checkpoint(path)
    assert "\n" not in str(caught.value)


def test_a_compressed_file_is_refused(tmp_path: Path) -> None:
    path, bomb = tmp_path / "last.pt", tmp_path / "bomb.pt"
    write_checkpoint(path, CHECKPOINT)
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as out:
        for name in source.namelist():
            out.writestr(name, source.read(name))
    with pytest.raises(BaselineError, match="its parts are compressed"):
        read_checkpoint(bomb)


def test_code_in_a_checkpoint_does_not_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "ran",))

    path = tmp_path / "last.pt"
    torch.save({"format": 1, "metadata": "{}", "tensors": {"a": Evil()}}, path)
    with pytest.raises(BaselineError, match="it holds something else than tensors") as caught:
        read_checkpoint(path)
    assert "weights_only" not in str(caught.value)  # nobody is told how to run it
    assert not (tmp_path / "ran").exists()


def test_other_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    torch.save({"format": 2, "metadata": "{}", "tensors": {}}, path)
    with pytest.raises(BaselineError, match="format 2; expected 1"):
        read_checkpoint(path)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(BaselineError, match="not there"):
        read_checkpoint(tmp_path / "last.pt")


def test_failed_write_keeps_the_former_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "last.pt"
    write_checkpoint(path, CHECKPOINT)

    def fill_disk(content: object, file: Any) -> None:
        file.write(b"half")
        try:
            raise OSError(28, "No space left on device")
        except OSError:  # torch lets it pass, then finds that its file is too short
            raise RuntimeError("unexpected pos 64 vs 0")  # noqa: B904

    monkeypatch.setattr(torch, "save", fill_disk)
    with pytest.raises(BaselineError, match="No space left on device"):
        write_checkpoint(path, Checkpoint({}, {"epoch": 4}))
    assert read_checkpoint(path).metadata["epoch"] == 3
    assert len(list(tmp_path.iterdir())) == 1


KILLED_WHILE_WRITING = """
import os, signal, sys, torch
from pathlib import Path
from autoice_bench.baselines.runs.checkpoints import Checkpoint, write_checkpoint
save = torch.save
def die_half_way(content, file):
    save(content, file)
    file.flush()
    file.truncate(file.tell() // 2)
    os.kill(os.getpid(), signal.SIGKILL)
torch.save = die_half_way
write_checkpoint(Path(sys.argv[1]), Checkpoint({}, {"epoch": 4}))
"""


def test_kill_while_writing_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    write_checkpoint(path, CHECKPOINT)
    done = subprocess.run([sys.executable, "-c", KILLED_WHILE_WRITING, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert read_checkpoint(path).metadata["epoch"] == 3
    assert len(list(tmp_path.iterdir())) == 2
    remove_leftovers(tmp_path)
    assert list(tmp_path.iterdir()) == [path]


def test_export_as_safetensors(tmp_path: Path) -> None:
    network = make_network().to(memory_format=torch.channels_last)
    source, out = tmp_path / "best-combined.pt", tmp_path / "share" / "network.safetensors"
    tensors = {**network_tensors(network), "optimiser.0.step": torch.ones(())}
    write_checkpoint(source, Checkpoint(tensors, {"recipe": {"name": "tiny"}}))
    export_safetensors(source, out)
    with safe_open(out, framework="pt") as file:
        assert set(file.keys()) == set(network.state_dict())
        assert json.loads(file.metadata()["autoice_bench"]) == {"recipe": {"name": "tiny"}}
    other = make_network()
    restore_network(other, read_checkpoint(out))
    for name, tensor in network.state_dict().items():
        assert torch.equal(other.state_dict()[name], tensor)


def test_foreign_safetensors_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "network.safetensors"
    path.write_bytes(b"\x02\x00\x00\x00\x00\x00\x00\x00{}")
    with pytest.raises(BaselineError, match="expected a network that autoice-bench exported"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("other", "found"),
    [
        (nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5)), r"\(4,\) for 0.bias"),
        (nn.Sequential(nn.Conv2d(3, 4, 3)), r"\(4,\) for 1.bias; expected nothing"),
    ],
)
def test_checkpoint_of_another_network_is_refused(other: nn.Module, found: str) -> None:
    with pytest.raises(BaselineError, match=f"another network: it holds {found}"):
        restore_network(other, Checkpoint(network_tensors(make_network())))


@pytest.mark.parametrize("kind", ["adam", "sgd"])
def test_optimiser_goes_on_as_if_uninterrupted(tmp_path: Path, kind: str) -> None:
    def make() -> tuple[nn.Module, Optimizer]:
        torch.manual_seed(0)
        network = make_network()
        if kind == "adam":
            return network, Adam(network.parameters(), lr=0.01, fused=True)
        parameters = network.parameters()
        return network, SGD(parameters, lr=0.01, momentum=0.9, weight_decay=0.1, fused=True)

    network, optimiser = make()
    take_steps(network, optimiser, 3)
    tensors, document = optimiser_tensors(optimiser)
    path = tmp_path / "last.pt"
    write_checkpoint(path, Checkpoint({**tensors, **network_tensors(network)}, document))
    take_steps(network, optimiser, 3)

    resumed, fresh = make()
    last = read_checkpoint(path)
    restore_network(resumed, last)
    restore_optimiser(fresh, last, last.metadata)
    take_steps(resumed, fresh, 3)
    for name, tensor in network.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], tensor)
