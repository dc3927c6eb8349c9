"""Operations that are no modules, and modules called more than once, as layers and taps."""

from __future__ import annotations

import gc
import threading
import warnings
import weakref
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812  # torch's own habit
from torch import nn

from cutpoint.base.errors import TapNotFound
from cutpoint.base.spec import ArraySpec, PreprocessSpec, TapSpec
from cutpoint.networks.engines import checked_engine
from cutpoint.networks.frameworks.torch import TorchCut, list_layers
from cutpoint.networks.frameworks.torch.graph import capture
from cutpoint.networks.frameworks.torch.torchvision_shim import import_with_shim
from cutpoint.networks.layer_table import LayerTable
from tests.conftest import fed

torchvision = import_with_shim("torchvision")
SPEC = PreprocessSpec(64, 64, "bilinear", (120.0, 110.0, 100.0), (60.0, 61.0, 62.0))
BATCH = np.random.default_rng(0).integers(0, 256, (5, 64, 64, 3)).astype(np.uint8)


def built(name: str) -> nn.Module:
    """Return a network of torchvision with statistics that are not the defaults."""
    torch.manual_seed(0)
    network = torchvision.models.get_model(name, weights=None)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.5, 0.5)
            module.running_var.uniform_(0.5, 2)
    return network


def normalised(batch: np.ndarray) -> torch.Tensor:
    mean, std = np.array(SPEC.mean), np.array(SPEC.std)
    return torch.from_numpy(np.moveaxis((batch - mean) / std, 3, 1).astype(np.float32))


def cut_at(network: nn.Module, *taps: str) -> TorchCut:
    specs = [TapSpec.from_name(tap) for tap in taps]
    return TorchCut(network, SPEC, specs, list_layers(network, SPEC, "net"))


def torchvisions_names(network: nn.Module) -> list[str]:
    from torchvision.models.feature_extraction import get_graph_node_names

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # remarks on nodes of training mode
        return get_graph_node_names(network, suppress_diff_warning=True)[1]


def torchvisions_features(network: nn.Module, names: list[str]) -> dict[str, torch.Tensor]:
    from torchvision.models.feature_extraction import create_feature_extractor

    extractor = create_feature_extractor(network, names, suppress_diff_warning=True).eval()
    with torch.inference_mode():
        found: dict[str, torch.Tensor] = extractor(normalised(BATCH))
    return found


@pytest.mark.parametrize("name", ["resnet18", "squeezenet1_1", "densenet121", "convnext_tiny"])
def test_names_are_those_torchvision_lists(name: str) -> None:
    """All but inputs, parameters and what does nothing in inference mode."""
    network = built(name)
    inactive = ("x", "dropout", "stochastic_depth", "layer_scale", "_weight", "_bias")
    expected = [
        each
        for each in torchvisions_names(network)
        if not each.endswith(inactive)
        and not isinstance(dict(network.named_modules()).get(each), nn.Dropout)
    ]
    listed = [row.name for row in list_layers(network, SPEC, name)]
    assert [each for each in listed if each in set(expected)] == expected
    assert len(listed) == len(set(listed))


def test_features_at_nodes_equal_torchvisions_in_training_mode_too() -> None:
    """Reference: torchvision 0.28 `create_feature_extractor`; tolerance 1e-5 relative.

    Its network has no in-place activations, as they overwrite what torchvision's extractor returns
    (``layer3.0.add`` comes out clipped); ours, which has them, must not be touched by them.
    """
    network = built("resnet18").train()
    names = ["layer1.0.relu_1", "layer2.1.relu", "layer3.0.add", "layer4.1.relu_1", "flatten"]
    found = cut_at(network, *(f"{name}/none" for name in names))(BATCH)
    assert network.training
    assert all(module.training for module in network.modules())
    assert found["layer3.0.add/none"].min() < 0
    reference = built("resnet18")
    for module in reference.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
    for name, truth in torchvisions_features(reference, names).items():
        scale = float(truth.abs().max())
        assert scale > 0.1
        assert np.abs(found[f"{name}/none"] - truth.numpy()).max() <= 1e-5 * scale, name


def test_a_node_and_the_block_it_ends_are_one_tensor() -> None:
    found = cut_at(built("resnet18"), "layer2.1/none", "layer2.1.relu_1/none", "conv1/gap")(BATCH)
    np.testing.assert_array_equal(found["layer2.1/none"], found["layer2.1.relu_1/none"])
    assert found["conv1/gap"].shape == (5, 64)


def test_nothing_after_the_deepest_node_is_held() -> None:
    network = built("resnet18")
    later = weakref.ref(network.layer4[1].conv2.weight)
    cut = cut_at(network, "layer3.0.add/gap")
    held = {name for name, _ in cut.module.named_parameters()}
    assert any("layer3.0.conv2" in name for name in held)
    assert not any("layer3.1" in name or "layer4" in name or "fc" in name for name in held)
    del network
    gc.collect()
    assert later() is None
    assert cut(BATCH)["layer3.0.add/gap"].shape == (5, 256)


class InPlace(nn.Module):
    """An addition whose result an in-place activation overwrites."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.one(x) + self.two(x)
        F.relu_(y)  # its result is dropped: only the effect counts
        y += 1
        return y * 2


def test_in_place_operations_neither_reach_a_tap_before_nor_get_lost_after() -> None:
    torch.manual_seed(0)
    network = InPlace()
    with torch.inference_mode():
        x = normalised(BATCH)
        added = network.one(x) + network.two(x)
        result = network(x)
    found = cut_at(network, "add/none", "mul/none")(BATCH)
    assert added.min() < 0
    np.testing.assert_allclose(found["add/none"], added, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found["mul/none"], result, rtol=1e-5, atol=1e-5)


class EndsInPlace(nn.Module):
    """Its output is of a convolution, and clipped after that."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv(x)
        F.relu_(y)
        return y


class AroundInPlace(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.block = EndsInPlace()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.block(x) + 1


def test_a_block_that_ends_in_place_is_one_tensor_with_and_without_the_graph() -> None:
    torch.manual_seed(0)
    network = AroundInPlace()
    alone = cut_at(network, "block/none")(BATCH)["block/none"]
    found = cut_at(network, "block.conv/none", "block/none", "add/none")(BATCH)
    assert alone.min() == 0
    assert found["block.conv/none"].min() < 0
    np.testing.assert_array_equal(found["block/none"], alone)
    np.testing.assert_array_equal(found["add/none"], alone + 1)
    at_the_end = cut_at(network, "block/none", "block.relu_/none")(BATCH)
    np.testing.assert_array_equal(at_the_end["block/none"], alone)


class Branches(nn.Module):
    """A module called twice, in a network whose Python decides what it computes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.act, self.last = nn.Conv2d(3, 3, 3), nn.ReLU(), nn.Conv2d(3, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if float(x.sum()) == 12345.0:
            return x
        return self.act(self.last(self.act(self.conv(x))))


def test_without_a_graph_a_module_called_twice_is_no_tap() -> None:
    table = list_layers(Branches(), SPEC, "branches")
    assert [(row.name, row.tappable) for row in table] == [
        ("conv", True),
        ("act", False),
        ("last", True),
        ("act", False),
    ]
    with pytest.raises(TapNotFound, match="called 2 times"):
        table.select("act")


class WrongBranch(nn.Module):
    """Traces without a word, but another branch than is run."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x).relu() if isinstance(x, torch.Tensor) else self.conv(x).abs()


def test_a_graph_that_computes_something_else_is_not_used() -> None:
    assert [row.name for row in list_layers(WrongBranch(), SPEC, "wrong")] == ["conv"]


class Attends(nn.Module):
    """A module of torch that the graph does not look into, and an operation beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(4, 1, 8, batch_first=True, norm_first=True),
            2,
            enable_nested_tensor=False,
        )
        self.patches = nn.Conv2d(3, 4, 16, 16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.mix(self.patches(x).flatten(2).transpose(1, 2)))


def test_layers_inside_of_torchs_own_modules_are_taps_beside_operations() -> None:
    torch.manual_seed(0)
    network = Attends().eval()
    seen: dict[str, Any] = {}
    network.mix.layers[0].register_forward_hook(lambda m, i, output: seen.update(inner=output))
    with torch.inference_mode():
        result = network(normalised(BATCH))
    found = cut_at(network, "mix.layers.0/none", "tanh/none")(BATCH)
    np.testing.assert_allclose(found["mix.layers.0/none"], seen["inner"], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found["tanh/none"], result, rtol=1e-5, atol=1e-5)


def test_a_network_that_is_one_of_torchs_own_modules_is_looked_into() -> None:
    network = Attends().mix
    names = [row.name for row in list_layers(network, ArraySpec((7, 4)), "mix") if row.is_block]
    assert {"layers.0", "layers.1", "layers.1.self_attn"} <= set(names)


def test_what_has_no_row_for_each_item_is_no_tap() -> None:
    table = list_layers(built("swin_t"), SPEC, "swin")
    biases = table.find("*_get_relative_position_bias")
    assert len(biases) == 12  # two, two, six and two blocks
    assert not any(row.tappable for row in biases)


def test_macs_of_operations_rise_with_those_of_modules() -> None:
    table: LayerTable = list_layers(built("resnet18"), SPEC, "resnet18")
    macs = [row.macs for row in table]
    assert macs == sorted(macs)
    assert table["layer4.1.add"].macs == table["layer4.1.conv2"].macs
    assert table["layer4.1.add"].params == 0
    # 3·64·7² weights at 32² places: the first convolution at 64×64 pixels.
    assert table["conv1"].macs == 3 * 64 * 49 * 32 * 32


def test_openvino_runs_a_cut_at_nodes() -> None:
    cut = cut_at(built("resnet18"), "layer2.0.add/gap", "layer3.1.relu_1/gmp")
    checked = checked_engine(cut, "openvino", 1, fed(BATCH))
    assert checked.engine.name == "openvino", checked.refused
    assert checked.parity.passes


def test_a_network_can_run_in_another_thread_while_it_is_captured() -> None:
    network = built("resnet18").eval()
    x = normalised(BATCH)[:1]
    with torch.inference_mode():
        expected = network(x)
    wrong: list[object] = []
    is_done = threading.Event()

    def run() -> None:
        while not is_done.is_set():
            try:
                with torch.inference_mode():
                    found = network(x)
                if not torch.allclose(found, expected, 1e-4, 1e-5):
                    wrong.append(found)
            except Exception as error:
                wrong.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    captured = [capture(network) for _ in range(20)]
    is_done.set()
    thread.join()
    assert not wrong
    assert all(each is not None and len(each.steps) == 84 for each in captured)
