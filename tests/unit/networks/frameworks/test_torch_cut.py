"""The cut: one pass, truncated, frozen."""

from __future__ import annotations

import gc
import threading
import weakref

import numpy as np
import pytest
import torch
from torch import nn

import cutpoint as cp
from cutpoint.base.errors import ShapeError
from cutpoint.base.spec import PreprocessSpec, TapSpec
from cutpoint.networks.frameworks.torch import TorchCut, list_layers
from cutpoint.networks.frameworks.torch.torchvision_shim import import_with_shim

SPEC = PreprocessSpec(64, 64, "bilinear", (120.0, 110.0, 100.0), (60.0, 61.0, 62.0))
BATCH = np.random.default_rng(0).integers(0, 256, (6, 64, 64, 3)).astype(np.uint8)


def taps(*names: str) -> list[TapSpec]:
    return [TapSpec.from_name(name) for name in names]


def torch_cut(network: nn.Module, chosen: list[TapSpec]) -> TorchCut:
    return TorchCut(network, SPEC, chosen, list_layers(network, SPEC))


def resnet(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    network = import_with_shim("torchvision").models.resnet18(weights=None)
    for module in network.modules():  # statistics that are not the defaults
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.5, 0.5)
            module.running_var.uniform_(0.5, 2)
    return network


def normalised(batch: np.ndarray) -> torch.Tensor:
    mean, std = np.array(SPEC.mean), np.array(SPEC.std)
    return torch.from_numpy(np.moveaxis((batch - mean) / std, 3, 1).astype(np.float32))


def test_features_equal_torchvisions_feature_extractor() -> None:
    """Reference: torchvision 0.28 `create_feature_extractor`; tolerance 1e-5 relative."""
    network = resnet()
    cut = torch_cut(network, taps("layer2/none", "layer4.0/gap", "layer1/gmp", "layer3/gem"))
    found = cut(BATCH)
    names = ["layer1", "layer2", "layer3", "layer4.0"]
    from torchvision.models.feature_extraction import create_feature_extractor

    with torch.inference_mode():
        maps = create_feature_extractor(network.eval(), names)(normalised(BATCH))
    expected = {
        "layer2/none": maps["layer2"],
        "layer4.0/gap": maps["layer4.0"].mean((2, 3)),
        "layer1/gmp": maps["layer1"].amax((2, 3)),
        "layer3/gem": (maps["layer3"].clamp(min=1e-6) ** 3).mean((2, 3)) ** (1 / 3),
    }
    assert list(found) == ["layer2/none", "layer4.0/gap", "layer1/gmp", "layer3/gem"]
    for name, truth in expected.items():
        scale = float(truth.abs().max())
        assert np.abs(found[name] - truth.numpy()).max() <= 1e-5 * scale, name
        assert found[name].dtype == np.float32


def test_training_mode_changes_neither_features_nor_network() -> None:
    network = resnet()
    expected = torch_cut(network.eval(), taps("layer3/gap"))(BATCH)
    network.train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    cut = torch_cut(network, taps("layer3/gap"))
    state = cut.state_sha256()
    for _ in range(2):
        np.testing.assert_array_equal(cut(BATCH)["layer3/gap"], expected["layer3/gap"])
    assert cut.state_sha256() == state
    assert network.training
    assert all(torch.equal(before[name], t) for name, t in network.state_dict().items())


def test_an_item_does_not_depend_on_its_batch_mates() -> None:
    cut = torch_cut(resnet(), taps("layer4/gap", "layer1/gmp"))
    together = cut(BATCH)
    for row in range(len(BATCH)):
        alone = cut(BATCH[row : row + 1])
        mixed = cut(BATCH[[(row + 3) % 6, row, (row + 1) % 6]])
        for name in together:
            assert np.abs(alone[name][0] - together[name][row]).max() <= 1e-5
            assert np.abs(mixed[name][1] - together[name][row]).max() <= 1e-5


class Explodes(nn.Module):
    is_armed = False

    def __init__(self) -> None:
        super().__init__()
        self.big = nn.Parameter(torch.zeros(1000, 1000))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert not self.is_armed, "computed after the deepest tap"
        return x


class Counts(nn.Conv2d):
    n_calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        type(self).n_calls += 1
        return super().forward(x)


def test_nothing_after_the_deepest_tap_is_computed_or_held(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), Explodes())
    later = weakref.ref(network[2].big)
    cut = torch_cut(network, taps("1/gap"))
    monkeypatch.setattr(Explodes, "is_armed", True)
    assert cut(BATCH)["1/gap"].shape == (6, 4)
    assert sum(p.numel() for p in cut.module.parameters()) == 4 * 27 + 4
    del network
    gc.collect()
    assert later() is None


class Block(nn.Module):
    def __init__(self, act: nn.Module) -> None:
        super().__init__()
        self.conv, self.act = nn.Conv2d(3, 3, 3, padding=1), act

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(self.conv(x))


class Listed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.ModuleList([nn.Conv2d(3, 3, 3) for _ in range(3)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for part in self.parts:
            x = part(x)
        return x


class Attends(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.TransformerEncoderLayer(3, 1, 8, batch_first=True)
        self.last = nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.mix(x.flatten(2)[..., :50].transpose(1, 2)))


def shared_activation() -> nn.Module:
    act = nn.ReLU()
    return nn.Sequential(Block(act), Block(act), nn.Conv2d(3, 3, 3), act)


@pytest.mark.parametrize(
    ("make", "tap", "n_dropped"),
    [(shared_activation, "1", 84), (Listed, "parts.1", 84), (Attends, "mix", 8)],
)
def test_truncation_changes_no_number_whatever_the_network_is_made_of(
    make: type[nn.Module], tap: str, n_dropped: int
) -> None:
    """A module with two parents, a list of modules, weights a parent reads by itself."""
    torch.manual_seed(0)
    network = make().eval()
    seen: list[torch.Tensor] = []
    network.get_submodule(tap).register_forward_hook(lambda m, i, output: seen.append(output))
    with torch.inference_mode():
        network(normalised(BATCH))
    cut = torch_cut(network, taps(f"{tap}/none"))
    found = cut(BATCH)[f"{tap}/none"]
    np.testing.assert_allclose(found, seen[0].numpy(), rtol=1e-5, atol=1e-5)
    n_all = sum(p.numel() for p in network.parameters())
    assert n_all - sum(p.numel() for p in cut.module.parameters()) == n_dropped


def test_all_taps_come_from_one_pass() -> None:
    network = nn.Sequential(Counts(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3))
    cut = torch_cut(network, taps("0/gap", "0/gmp", "1/gap", "2/gap"))
    Counts.n_calls = 0
    cut(BATCH)
    assert Counts.n_calls == 1


@pytest.mark.parametrize("pool", ["none", "gap", "gmp"])
def test_an_in_place_operation_after_a_tap_does_not_reach_it(pool: str) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 4, 3)
    network = nn.Sequential(conv, nn.ReLU(inplace=True), nn.Conv2d(4, 4, 3))
    alone = torch_cut(nn.Sequential(conv), taps(f"0/{pool}"))(BATCH)[f"0/{pool}"]
    found = torch_cut(network, taps(f"0/{pool}", "2/gap"))(BATCH)[f"0/{pool}"]
    assert pool != "none" or alone.min() < 0  # there is something to clip
    np.testing.assert_array_equal(found, alone)


def test_two_cuts_of_one_network_do_not_disturb_each_other() -> None:
    network = resnet()
    deep = torch_cut(network, taps("layer4/gap"))
    before = deep(BATCH)["layer4/gap"]
    torch_cut(network, taps("layer1/gap"))(BATCH)
    np.testing.assert_array_equal(deep(BATCH)["layer4/gap"], before)
    assert network(normalised(BATCH)).shape == (6, 1000)


def test_threads_can_share_a_cut() -> None:
    cut = torch_cut(resnet(), taps("layer1/gap", "layer3/gap"))
    expected = [cut(BATCH[row : row + 1]) for row in range(6)]
    wrong: list[int] = []

    def work(row: int) -> None:
        for _ in range(10):
            found = cut(BATCH[row : row + 1])
            if any(np.abs(found[n] - expected[row][n]).max() > 1e-5 for n in found):
                wrong.append(row)

    threads = [threading.Thread(target=work, args=(row,)) for row in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_vector_has_no_space_to_pool_over() -> None:
    with pytest.raises(ShapeError, match='with "none"'):
        cp.load(resnet(), SPEC).cut("fc", pool="gap")
    assert torch_cut(resnet(), taps("fc/none"))(BATCH)["fc/none"].shape == (6, 1000)
