import torch
from torch import Tensor, nn

from autoice_bench.baselines.networks.aspp.network import Aspp
from autoice_bench.baselines.networks.cost import estimate_peak_bytes


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


def test_a_full_size_scene_fits_with_room_to_spare() -> None:
    # 17 channels of 5000 x 5229 pixels are 1.8 GB; upsampled logits would be 2.5 GB more.
    peak = estimate_peak_bytes(Aspp(17).eval(), (1, 17, 5024, 5248), "forward_coarse")
    assert peak < 4.5e9
