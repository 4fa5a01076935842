from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor

from autoice_bench.baselines.networks import encoder_weights
from autoice_bench.baselines.networks.aspp.constants import ENCODERS
from autoice_bench.baselines.networks.aspp.network import ResNetEncoder
from autoice_bench.baselines.networks.encoder_weights import (
    cache_path,
    fetch_weights,
    initialise_encoder,
    read_weights,
    weights_url,
)
from autoice_bench.errors import BaselineError

State = dict[str, Tensor]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty torch cache."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path / "torch" / "hub" / "checkpoints"


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise URLError("Name or service not known")

    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)


@pytest.fixture(scope="module")
def resnet18() -> State:
    torch.manual_seed(1)
    state: State = torchvision.models.resnet18(weights=None).state_dict()
    return state


def save_as_published(state: State, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Save a state dict as the published file of resnet18; its URL."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(state, folder / "new.pth")
    digest = hashlib.sha256((folder / "new.pth").read_bytes()).hexdigest()
    path = (folder / "new.pth").rename(folder / f"resnet18-{digest[:8]}.pth")
    monkeypatch.setattr(encoder_weights, "weights_url", lambda _: path.as_uri())
    return path.as_uri()


def assert_loaded(encoder: ResNetEncoder, state: State) -> None:
    for name, value in encoder.state_dict().items():
        if name == "conv1.weight":
            assert not torch.equal(value, state[name][:, :2])
        else:
            torch.testing.assert_close(value, state[name], rtol=0, atol=0)


@pytest.mark.parametrize("name", ENCODERS)
def test_published_files_carry_their_hash(name: str, cache: Path) -> None:
    file = weights_url(name).rpartition("/")[2]
    assert file.startswith(f"{name}-")
    assert cache_path(name) == cache / file


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_local_file(resnet18: State, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"mine{suffix}"
    if suffix == ".pth":
        torch.save(resnet18, path)
    else:
        save_file(resnet18, path)
    encoder = ResNetEncoder(2, "resnet18")
    conv1 = encoder.conv1.weight.clone()
    identity = initialise_encoder(encoder, str(path))
    assert_loaded(encoder, resnet18)
    assert torch.equal(encoder.conv1.weight, conv1)
    assert identity == f"{path.name} sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


def test_first_convolution_is_fresh_for_three_channels_too(resnet18: State, tmp_path: Path) -> None:
    torch.save(resnet18, tmp_path / "mine.pth")
    encoder = ResNetEncoder(3, "resnet18")
    conv1 = encoder.conv1.weight.clone()
    initialise_encoder(encoder, str(tmp_path / "mine.pth"))
    assert torch.equal(encoder.conv1.weight, conv1)


def test_file_without_classifier_and_counters(resnet18: State, tmp_path: Path) -> None:
    kept = {
        name: value
        for name, value in resnet18.items()
        if not name.startswith(("fc.", "layer4.", "conv1.")) and "num_batches" not in name
    }
    torch.save(kept, tmp_path / "mine.pth")
    encoder = ResNetEncoder(2, "resnet18")
    initialise_encoder(encoder, str(tmp_path / "mine.pth"))
    assert_loaded(encoder, resnet18)


def test_random_start_only_when_asked_for() -> None:
    encoder = ResNetEncoder(2, "resnet18")
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    assert initialise_encoder(encoder, "none") == "none"
    assert all(torch.equal(before[name], value) for name, value in encoder.state_dict().items())


def test_imagenet_from_the_cache(
    resnet18: State, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_as_published(resnet18, cache, monkeypatch)
    encoder = ResNetEncoder(2, "resnet18")
    assert initialise_encoder(encoder, "imagenet").startswith("resnet18-")
    assert_loaded(encoder, resnet18)


def test_no_network_and_no_cache_names_the_ways_out(cache: Path) -> None:
    encoder = ResNetEncoder(2, "resnet18")
    before = encoder.layer1[0].conv1.weight.clone()
    with pytest.raises(BaselineError) as caught:
        initialise_encoder(encoder, "imagenet")
    message = str(caught.value)
    assert "\n" not in message
    for part in (
        str(cache / "resnet18-f37072fd.pth"),
        "https://download.pytorch.org/models/resnet18-f37072fd.pth",
        "Name or service not known",
        "`autoice-bench baseline fetch-weights` on a machine with network",
        "--weights FILE",
        "--weights none",
    ):
        assert part in message
    assert torch.equal(encoder.layer1[0].conv1.weight, before)
    assert not list(cache.glob("*"))


def test_download_is_checked_and_cached(
    resnet18: State, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()  # a file:// URL needs no network
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    url = save_as_published(resnet18, tmp_path / "mirror", monkeypatch)
    path = fetch_weights("resnet18")
    assert path.parent == cache
    assert read_weights(path).keys() == resnet18.keys()
    Path(url.removeprefix("file://")).unlink()
    assert fetch_weights("resnet18") == path


def test_download_of_something_else_is_refused(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    page = tmp_path / "resnet18-00000000.pth"
    page.write_text("<html>Please log in</html>")
    monkeypatch.setattr(encoder_weights, "weights_url", lambda _: page.as_uri())
    with pytest.raises(BaselineError, match="invalid hash value"):
        fetch_weights("resnet18")
    assert not list(cache.glob("*"))


def test_damaged_file_in_the_cache(
    resnet18: State, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_as_published(resnet18, cache, monkeypatch)
    path = cache_path("resnet18")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(BaselineError, match=r"damaged, its SHA-256 begins \w{8} instead of \w{8}"):
        fetch_weights("resnet18")


def test_unknown_encoder() -> None:
    with pytest.raises(BaselineError, match="'vgg16' is unknown; expected one of resnet18"):
        fetch_weights("vgg16")


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(BaselineError, match="no such file; expected imagenet, none or a file"):
        initialise_encoder(ResNetEncoder(2, "resnet18"), str(tmp_path / "absent.pth"))


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("keep", [0, 1000])
def test_damaged_file(resnet18: State, tmp_path: Path, suffix: str, keep: int) -> None:
    path = tmp_path / f"mine{suffix}"
    torch.save(resnet18, path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(
        BaselineError, match=r"weights .* cannot be read: .*; copy or download it again"
    ):
        read_weights(path)


class Trap:
    """Its unpickling would leave a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


def test_code_in_a_file_is_not_run(tmp_path: Path) -> None:
    torch.save({"conv1.weight": Trap(tmp_path / "sprung")}, tmp_path / "mine.pth")
    with pytest.raises(BaselineError, match="cannot be read"):
        read_weights(tmp_path / "mine.pth")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, {"state_dict": {}}])
def test_something_else_than_a_state_dict(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "mine.pth")
    with pytest.raises(BaselineError, match="something else than a state dict"):
        read_weights(tmp_path / "mine.pth")


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        # The deeper network has more blocks, the other kind of block other names and shapes.
        ("resnet34", r"not of a resnet34 \(lacks layer1.2.bn1.bias, .* more\); expected the state"),
        ("resnet50", "lacks layer1.0.bn3.bias, .* has other shapes of layer1.0.conv1.weight"),
    ],
)
def test_weights_of_another_network(
    resnet18: State, tmp_path: Path, encoder: str, message: str
) -> None:
    torch.save(resnet18, tmp_path / "mine.pth")
    with pytest.raises(BaselineError, match=message):
        initialise_encoder(ResNetEncoder(2, encoder), str(tmp_path / "mine.pth"))


def test_weights_of_a_deeper_network(tmp_path: Path) -> None:
    torch.save(torchvision.models.resnet34(weights=None).state_dict(), tmp_path / "mine.pth")
    with pytest.raises(BaselineError, match=r"not of a resnet18 \(has unknown layer1.2.bn1.bias"):
        initialise_encoder(ResNetEncoder(2, "resnet18"), str(tmp_path / "mine.pth"))
