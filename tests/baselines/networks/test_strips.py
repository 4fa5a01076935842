import pytest
import torch
from torch import Tensor, nn

from autoice_bench.baselines.networks.aspp import network as aspp
from autoice_bench.baselines.networks.aspp.network import Aspp
from autoice_bench.baselines.networks.strips import apply_in_strips, take_rows
from autoice_bench.baselines.tasks.chart_outputs import Outputs


@pytest.mark.parametrize("height", [33, 64, 70, 128])
@pytest.mark.parametrize("n_lines", [16, 32])
def test_strips_with_a_halo_equal_the_whole(height: int, n_lines: int) -> None:
    # Two 3x3 convolutions, the first at stride 4: they look 1 + 4 lines to either side.
    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.Conv2d(2, 3, 3, stride=4, padding=1), nn.ReLU(), nn.Conv2d(3, 4, 3, padding=1)
    )
    x = torch.randn(2, 2, height, 21)
    with torch.no_grad():
        whole = layers(x)
        strips = apply_in_strips(layers, x, stride=4, halo=8, n_lines=n_lines)
        torch.testing.assert_close(strips, whole)
        if height > n_lines:
            narrow = apply_in_strips(layers, x, stride=4, halo=4, n_lines=n_lines)
            assert not torch.allclose(narrow, whole)


@pytest.mark.parametrize("encoder", ["resnet18", "resnet34", "resnet50"])
def test_a_tall_scene_has_the_same_features(encoder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    network = Aspp(2, encoder=encoder).eval()
    x = torch.randn(1, 2, 500, 64)
    whole = network(x)  # gradients on: never in strips
    monkeypatch.setattr(aspp, "_STRIP_LINES", 128)
    with torch.no_grad():
        strips = network(x)
    for expected, found in zip(whole, strips, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [(50, 41), (48, 48), (16, 33), (1, 5)])
def test_rows_of_coarse_logits_are_those_of_the_whole(size: tuple[int, int]) -> None:
    coarse = outputs(torch.Generator().manual_seed(0), -(-size[0] // 16), -(-size[1] // 16))
    whole = [
        nn.functional.interpolate(logits, size, mode="bilinear", align_corners=False)
        for logits in coarse
    ]
    for first, stop in ((0, size[0]), (size[0] // 3, size[0] // 2 + 1), (size[0] - 1, size[0])):
        for found, expected in zip(take_rows(coarse, size, first, stop), whole, strict=True):
            torch.testing.assert_close(found, expected[..., first:stop, :])


def test_rows_of_full_size_outputs_are_sliced() -> None:
    full = outputs(torch.Generator().manual_seed(0), 7, 9)
    for found, expected in zip(take_rows(full, (7, 9), 2, 5), full, strict=True):
        assert torch.equal(found, expected[..., 2:5, :])


def outputs(generator: torch.Generator, lines: int, samples: int) -> Outputs:
    def logits(classes: int) -> Tensor:
        return torch.randn(1, classes, lines, samples, generator=generator)

    return Outputs(logits(11), logits(6), logits(7))
