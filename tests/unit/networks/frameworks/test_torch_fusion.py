"""Norms folded into convolutions: the same features, and only where nothing else looks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import fusion, parametrizations

from cutpoint.base.spec import ArraySpec, TapSpec
from cutpoint.networks.engines import compare
from cutpoint.networks.frameworks.torch import TorchCut, list_layers
from cutpoint.networks.frameworks.torch.fusion import pairs
from cutpoint.networks.frameworks.torch.torchvision_shim import import_with_shim
from tests.unit.networks.frameworks.test_torch_cut import BATCH, resnet, taps, torch_cut

PIXELS = torch.from_numpy(BATCH[:1])


def drawn(network: nn.Module) -> nn.Module:
    """Give all norms statistics and weights that are not the defaults."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for each in network.modules():
            if isinstance(each, nn.modules.batchnorm._BatchNorm) and each.track_running_stats:
                each.running_mean.uniform_(-0.5, 0.5, generator=generator)
                each.running_var.uniform_(0.5, 2, generator=generator)
                if each.affine:
                    each.weight.uniform_(0.5, 1.5, generator=generator)
                    each.bias.uniform_(-0.5, 0.5, generator=generator)
    return network


def test_a_resnet_with_all_norms_folded_agrees_with_the_framework() -> None:
    """Asked for: 1e-4 relative, ten times below the gate; float32 rounds at 6e-8 an operation."""
    cut = torch_cut(resnet(), taps("layer1/gmp", "layer2/none", "layer4.1.bn2/gap", "layer4/gem"))
    assert len(pairs(cut.module, [PIXELS])) == 20  # all that ResNet-18 has
    found = cut.convert("torch")
    assert pairs(found.module, [PIXELS]) == []
    for size in (1, 2, 6):
        assert compare(found(BATCH[:size]), cut(BATCH[:size])).relative_error <= 1e-4


def test_a_tapped_convolution_keeps_its_own_values() -> None:
    names = [f"layer1.0.{name}/none" for name in ("conv1", "bn1", "relu_1", "conv2", "bn2", "add")]
    cut = torch_cut(resnet(), taps(*names))
    assert len(pairs(cut.module, [PIXELS])) == 1  # of conv1, layer1.0.conv1 and layer1.0.conv2
    parity = compare(cut.convert("torch")(BATCH), cut(BATCH))
    assert parity.relative_error <= 1e-4
    assert parity.cosine > 0.999999


def test_timms_norms_keep_their_activation() -> None:
    """Its BatchNormAct2d; depthwise convolutions, and paddings of their own, are there as well."""
    timm = import_with_shim("timm")
    torch.manual_seed(0)
    network = drawn(timm.create_model("tf_efficientnet_lite0", pretrained=False))
    cut = torch_cut(network, taps("blocks.1.0.conv_pw/gap", "blocks.1.0.bn1/none", "blocks.6/gmp"))
    n_norms = sum(type(each).__name__ == "BatchNormAct2d" for each in cut.module.modules())
    assert len(pairs(cut.module, [PIXELS])) == n_norms - 1 == 47
    assert compare(cut.convert("torch")(BATCH), cut(BATCH)).relative_error <= 1e-4


class Base(nn.Module):
    """Convolution, norm and a last convolution, connected by those who inherit."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6)
        self.last = nn.Conv2d(6, 6, 1, bias=False)
        self.end = nn.Identity()


class Plain(Base):
    def forward(self, x):
        return self.last(self.norm(self.conv(x)).relu_())


class ConvolutionIsReadTwice(Base):
    def forward(self, x):
        x = self.conv(x)
        return self.last(self.norm(x) + x)


class ConvolutionIsReadThroughAView(Base):
    def forward(self, x):
        x = self.conv(x)
        turned = x.transpose(2, 3)
        return self.last(self.norm(x) + turned)


class ConvolutionIsChangedOnTheWay(Base):
    def forward(self, x):
        x = self.conv(x)
        x.relu_()
        return self.last(self.norm(x))


class ConvolutionRunsTwice(Base):
    def forward(self, x):
        return self.last(self.norm(self.conv(x)) + self.conv(-x))


class NormRunsTwice(Base):
    def forward(self, x):
        x = self.norm(self.conv(x))
        return self.last(self.norm(x))


class WeightIsShared(Base):
    def forward(self, x):
        return self.last(self.norm(self.conv(x)) + torch.conv2d(x, self.conv.weight, padding=1))


class NormOfAnotherKind(Base):
    def __init__(self) -> None:
        super().__init__()

        class Doubles(nn.BatchNorm2d):
            def forward(self, x):
                return 2 * super().forward(x)

        self.norm = Doubles(6)

    forward = Plain.forward


class WeightIsComputed(Base):
    def __init__(self) -> None:
        super().__init__()
        parametrizations.weight_norm(self.conv)

    forward = Plain.forward


class NormByTheItemsThemselves(Base):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(6, track_running_stats=False)

    def forward(self, x):
        return self.last(self.norm(self.conv(x)) * 0 + self.conv(x))


class Transposed(Base):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(3, 6, 2)

    forward = Plain.forward


class Bare(Base):
    """No bias, no weights of the norm, a stride, a dilation and groups."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, 2, dilation=2, groups=3, bias=False)
        self.norm = nn.BatchNorm2d(6, affine=False)

    forward = Plain.forward


class ReachedThroughAList(Base):
    def __init__(self) -> None:
        super().__init__()
        self.__dict__["steps"] = [self.conv, self.norm]  # no ModuleList, as some networks have it

    def forward(self, x):
        for step in self.steps:
            x = step(x)
        return self.last(x)


@pytest.mark.parametrize(
    ("kind", "n_pairs"),
    [
        (Plain, 1),
        (ConvolutionIsReadTwice, 0),
        (ConvolutionIsReadThroughAView, 0),
        (ConvolutionIsChangedOnTheWay, 0),
        (ConvolutionRunsTwice, 0),
        (NormRunsTwice, 0),
        (WeightIsShared, 0),
        (NormOfAnotherKind, 0),
        (WeightIsComputed, 0),
        (NormByTheItemsThemselves, 0),
        (Transposed, 0),
        (Bare, 1),
        (ReachedThroughAList, 1),
    ],
)
def test_a_norm_is_folded_only_where_it_alone_reads_the_convolution(
    kind: type[nn.Module], n_pairs: int
) -> None:
    torch.manual_seed(0)
    cut = torch_cut(drawn(nn.Sequential(kind())), taps("0.last/none"))
    assert len(pairs(cut.module, [PIXELS])) == n_pairs
    assert compare(cut.convert("torch")(BATCH), cut(BATCH)).relative_error <= 1e-5


def test_one_dimension_is_folded_too() -> None:
    torch.manual_seed(0)
    network = drawn(nn.Sequential(nn.Conv1d(4, 8, 5), nn.BatchNorm1d(8), nn.ReLU()))
    spec = ArraySpec((4, 50), "float32")
    cut = TorchCut(network, spec, [TapSpec("2", "gap")], list_layers(network, spec))
    batch = np.random.default_rng(0).normal(size=(3, 4, 50)).astype(np.float32)
    assert len(pairs(cut.module, [torch.from_numpy(batch[:1])])) == 1
    assert compare(cut.convert("torch")(batch), cut(batch)).relative_error <= 1e-5


def test_the_folded_weights_are_torchs_own() -> None:
    """Reference: torch 2.13 `fuse_conv_bn_eval`, equal to the bit."""
    network = drawn(nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.ReLU())).eval()
    expected = fusion.fuse_conv_bn_eval(network[0], network[1])
    found = torch_cut(network, taps("2/gap")).convert("torch").module.reader.network[0]
    assert torch.equal(found.weight, expected.weight)
    assert torch.equal(found.bias, expected.bias)


def test_neither_the_network_nor_the_cut_is_touched() -> None:
    network = resnet()
    cut = torch_cut(network, taps("layer1.0.conv1/gap", "layer2/gap"))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    strides = {name: tensor.stride() for name, tensor in network.state_dict().items()}
    digest, features = cut.state_sha256(), cut(BATCH)
    cut.convert("torch")(BATCH)
    assert cut.state_sha256() == digest
    assert network.training
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[name])
        assert tensor.stride() == strides[name]
    for name, rows in cut(BATCH).items():
        np.testing.assert_array_equal(rows, features[name])
