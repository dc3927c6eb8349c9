"""Taps inside blocks, found in real architectures with random weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import cutpoint as cp
from cutpoint.base.errors import TapNotFound
from cutpoint.base.spec import ArraySpec
from cutpoint.cli.options import tap_list
from cutpoint.items.kinds.image import recipe_named
from cutpoint.networks.backbone import Backbone
from cutpoint.networks.frameworks.torch.torchvision_shim import import_with_shim
from cutpoint.networks.layer_table import Layer, LayerTable
from cutpoint.networks.runtimes.keras import import_keras
from cutpoint.testing import FakeBackbone
from tests.conftest import shape_of

timm = import_with_shim("timm")
torchvision = import_with_shim("torchvision")
transformers = import_with_shim("transformers")
keras = import_keras()


def vit() -> Backbone:
    torch.manual_seed(0)
    network = timm.models.VisionTransformer(
        img_size=32, patch_size=8, embed_dim=16, depth=3, num_heads=2, num_classes=4
    )
    return cp.load(network, preprocess=recipe_named("tf", 32))


def bert() -> Backbone:
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=50,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=48,
    )
    return cp.load(transformers.BertModel(config), preprocess=ArraySpec((6,), "int64"))


def found(network: Any, at_most: int = 99, side_px: int = 32) -> tuple[str, ...]:
    backbone = cp.load(
        network, preprocess=None if isinstance(network, Backbone) else recipe_named("tf", side_px)
    )
    return backbone.layers().inner_taps(at_most)


def test_of_a_timm_transformer_they_are_attention_and_the_mlps_activation() -> None:
    expected = [f"blocks.{n}.{part}" for n in range(3) for part in ("attn", "mlp.act")]
    assert list(found(vit())) == expected


def test_of_bert_they_are_attention_and_the_intermediate_activation() -> None:
    parts = ("attention", "intermediate.intermediate_act_fn")
    assert list(found(bert())) == [f"encoder.layer.{n}.{part}" for n in range(2) for part in parts]


def test_of_a_torchvision_transformer_they_are_attention_and_the_mlps_activation() -> None:
    network = torchvision.models.VisionTransformer(32, 16, 2, 2, 16, 32)
    parts = ("self_attention", "mlp.1")
    names = [f"encoder.layers.encoder_layer_{n}.{part}" for n in range(2) for part in parts]
    assert list(found(network)) == names


DTYPES = {"image": "uint8", "array": "int64"}


@pytest.mark.parametrize("make", [vit, bert])
def test_the_features_are_what_the_layers_give(make: Any) -> None:
    """Reference: torch's own forward hooks on the whole network."""
    backbone = make()
    network, names = backbone.network.eval(), found(backbone)
    shape = shape_of(backbone.spec.preprocess)
    batch = np.random.default_rng(0).integers(0, 50, (2, *shape)).astype(DTYPES[backbone.kind])
    given: dict[str, torch.Tensor] = {}

    def note(name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            given[name] = output[0] if isinstance(output, tuple) else output

        return hook

    handles = [network.get_submodule(name).register_forward_hook(note(name)) for name in names]
    fed = torch.from_numpy(batch)
    with torch.no_grad():
        network(fed if make is bert else fed.permute(0, 3, 1, 2).float() / 127.5 - 1)
    for handle in handles:
        handle.remove()
    features = backbone.cut("inner", pool="none")(batch)
    assert list(features) == [f"{name}/none" for name in names]
    for name in names:
        np.testing.assert_allclose(features[f"{name}/none"], given[name], rtol=1e-4, atol=1e-5)


def test_of_inverted_residuals_they_are_expansion_and_depthwise_activations() -> None:
    names = found(cp.load("packaged:efficientnet_lite0"))
    assert "blocks.3.1.bn1.act" in names  # the expansion
    assert "blocks.3.1.bn2.act" in names  # the depthwise convolution
    assert all(name.endswith((".bn1.act", ".bn2.act")) for name in names)
    assert len(names) == 2 * 16 - 1  # 16 blocks, the first without expansion
    assert len(found(cp.load("packaged:efficientnet_lite0"), 12)) == 12


def test_of_residual_blocks_they_are_all_activations_but_the_blocks_own() -> None:
    names = found(timm.create_model("resnet26t"))
    assert names[:3] == ("layer1.0.act1", "layer1.0.act2", "layer1.1.act1")
    assert not [name for name in names if name.endswith("act3") or name.startswith("conv1")]
    operations = found(torchvision.models.resnet18())
    assert operations[:2] == ("layer1.0.relu", "layer1.1.relu")


def test_of_a_keras_mobilenet_they_are_expand_and_depthwise_activations() -> None:
    network = keras.applications.MobileNetV2(
        (64, 64, 3), alpha=0.35, include_top=False, weights=None
    )
    names = found(network, side_px=64)
    parts = ("expand_relu", "depthwise_relu")
    assert list(names[1:]) == [f"block_{n}_{part}" for n in range(1, 17) for part in parts]
    assert names[0] == "expanded_conv_depthwise_relu"


def test_of_a_keras_resnet_they_leave_the_ends_of_blocks_out() -> None:
    network = keras.applications.ResNet50(input_shape=(64, 64, 3), include_top=False, weights=None)
    names = found(network, side_px=64)
    assert names[:3] == ("conv2_block1_1_relu", "conv2_block1_2_relu", "conv2_block2_1_relu")
    assert not [name for name in names if name.endswith("_out") or name == "conv1_relu"]


def test_a_plain_chain_has_none_and_says_so() -> None:
    """As VGG: convolutions and activations in one module, then a head."""
    layers = [(nn.Conv2d(3 if n == 0 else 8, 8, 3), nn.ReLU()) for n in range(4)]
    features = nn.Sequential(*(each for pair in layers for each in pair))
    network = nn.Sequential(features, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2))
    with pytest.raises(TapNotFound, match="It has no blocks") as caught:
        found(network)
    assert len(str(caught.value).splitlines()) == 4


def test_names_of_sets_stand_beside_names_of_layers() -> None:
    backbone = vit()
    inner, auto = found(backbone), backbone.layers().auto_taps()
    both = {tap.layer for tap in backbone.tap_specs(["auto", "inner", -1], ["auto"])}
    assert both == {*inner, *auto, "head"}
    spec = backbone.feature_spec("inner", ["gap"])
    assert [tap.name for tap in spec.taps] == [f"{name}/gap" for name in inner]
    with pytest.raises(TapNotFound, match='"inner"'):
        FakeBackbone().cut("inner")


def test_a_layer_of_that_name_goes_first() -> None:
    rows = (Layer(0, "inner", "Conv", (None, 8, 4, 4), 2, 1, 1),)
    assert [row.name for row in LayerTable("odd", rows).select("inner")] == ["inner"]


def test_what_is_typed_reaches_the_api() -> None:
    assert tap_list(["auto"]) == tap_list(None) == "auto"
    assert tap_list(["auto", "inner"]) == ["auto", "inner"]
