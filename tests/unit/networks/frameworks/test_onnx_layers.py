"""What a person is told of an ONNX network."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from cutpoint.base.errors import WeightsError
from cutpoint.base.spec import ArraySpec
from cutpoint.networks.frameworks.onnx import list_layers
from cutpoint.networks.layer_table import LayerTable
from tests.conformance.networks.onnx import PREPROCESS, convnet, model_of

RANDOM = np.random.default_rng(0)


def weights(*shape: int) -> np.ndarray:
    return RANDOM.normal(0, 0.2, shape).astype(np.float32)


def table_of(
    nodes: list[onnx.NodeProto], held: dict[str, np.ndarray], item: tuple[int, ...], rank: int = 2
) -> LayerTable:
    model = model_of(nodes, held, ["n", *item], nodes[-1].output[0], rank=rank)
    return list_layers(model, ArraySpec(item))


def test_rows_are_the_tensors_of_the_file_in_order_with_costs_by_hand() -> None:
    table = list_layers(convnet(), PREPROCESS, "net")
    names = [row.name for row in table]
    assert names == ["conv1", "relu1", "conv2", "relu2", "mean", "flat", "logits"]
    assert [row.kind for row in table][:2] == ["Conv", "Relu"]
    assert [row.shape for row in table][::3] == [(None, 8, 16, 16), (None, 16, 8, 8), (None, 5)]
    assert [row.layout for row in table] == ["NCHW"] * 5 + ["NC"] * 2
    assert [row.stride for row in table] == [2, 2, 4, 4, None, None, None]
    assert [row.params for row in table] == [8 * 27 + 8, 0, 16 * 72, 0, 0, 0, 80]
    first, second = 27 * 8 * 256, 72 * 16 * 64
    assert [row.macs for row in table][::2] == [
        first,
        first + second,
        first + second,
        first + second + 80,
    ]
    assert all(row.tappable and not row.is_block for row in table)


def test_the_nhwc_side_of_a_converted_network_is_told_apart() -> None:
    table = list_layers(convnet("NHWC", "batch"), PREPROCESS)
    assert (table["relu2"].layout, table["relu2"].channels) == ("NCHW", 16)
    assert (table["back"].layout, table["back"].channels) == ("NHWC", 16)
    assert table["back"].stride == 4
    assert table["level"].layout == ""


def test_listing_leaves_the_network_as_it_is() -> None:
    model = convnet()
    before = model.SerializeToString(deterministic=True)
    list_layers(model, PREPROCESS)
    assert model.SerializeToString(deterministic=True) == before


def test_shapes_that_only_running_tells_are_found() -> None:
    """The second Reshape's sizes are computed from values, where ONNX's inference gives up."""
    nodes = [
        helper.make_node("Abs", ["sizes_float"], ["sizes_abs"]),
        helper.make_node("Cast", ["sizes_abs"], ["sizes"], to=TensorProto.INT64),
        helper.make_node("Relu", ["pixels"], ["relu"]),
        helper.make_node("Reshape", ["relu", "sizes"], ["tokens"]),
    ]
    held = {"sizes_float": np.array([0.0, -4.0, 6.0], np.float32)}  # 0: as it was
    table = table_of(nodes, held, (24,), rank=3)
    assert [row.name for row in table] == ["relu", "tokens"]  # sizes are no layers
    assert table["tokens"].shape == (None, 4, 6)
    assert table["tokens"].layout == "NTC"


def test_products_of_every_kind_are_counted() -> None:
    nodes = [
        helper.make_node("ConvTranspose", ["pixels", "up"], ["wide"], strides=[2, 2]),
        helper.make_node("Flatten", ["wide"], ["flat"]),
        helper.make_node("Gemm", ["flat", "fc"], ["gemm"], transB=1),
        helper.make_node("Einsum", ["gemm", "sum"], ["einsum"], equation="bi,ij->bj"),
    ]
    held = {"up": weights(3, 4, 2, 2), "fc": weights(7, 4 * 8 * 8), "sum": weights(7, 3)}
    table = table_of(nodes, held, (3, 4, 4))
    assert table["wide"].shape == (None, 4, 8, 8)
    up, gemm = 3 * 16 * (4 * 2 * 2), 7 * 4 * 8 * 8
    assert [row.macs for row in table] == [up, up, up + gemm, up + gemm + 21]


def test_quantised_convolutions_and_products_are_counted() -> None:
    nodes = [
        helper.make_node("QuantizeLinear", ["pixels", "scale", "zero"], ["bytes"]),
        helper.make_node("ConvInteger", ["bytes", "kernel"], ["sums"], pads=[1, 1, 1, 1]),
        helper.make_node(
            "QLinearConv",
            ["bytes", "scale", "zero", "kernel", "scale", "zero", "scale", "zero"],
            ["qconv"],
            strides=[2, 2],
        ),
        helper.make_node("Flatten", ["qconv"], ["flat"]),
        helper.make_node("MatMulInteger", ["flat", "fc"], ["out"]),
        helper.make_node("Cast", ["out"], ["float"], to=TensorProto.FLOAT),
    ]
    held = {
        "scale": np.array(0.1, np.float32),
        "zero": np.array(3, np.uint8),
        "kernel": RANDOM.integers(0, 9, (4, 3, 3, 3)).astype(np.uint8),
        "fc": RANDOM.integers(0, 9, (36, 5)).astype(np.uint8),
    }
    table = table_of(nodes, held, (3, 8, 8))
    steps = np.diff([0, *(row.macs for row in table)])
    assert list(steps) == [0, 27 * 4 * 64, 27 * 4 * 9, 0, 36 * 5, 0]
    assert table["sums"].params == 108


def test_tokens_of_a_vision_transformer_are_no_maps() -> None:
    """Patches by a convolution, flattened and turned; attention scores are square yet no map."""
    nodes = [
        helper.make_node("Conv", ["pixels", "patch"], ["patches"], strides=[4, 4]),
        helper.make_node("Reshape", ["patches", "flatten"], ["rows"]),
        helper.make_node("Transpose", ["rows"], ["tokens"], perm=[0, 2, 1]),
        helper.make_node("Reshape", ["tokens", "split"], ["heads"]),
        helper.make_node("Transpose", ["heads"], ["query"], perm=[0, 2, 1, 3]),
        helper.make_node("Transpose", ["heads"], ["key"], perm=[0, 2, 3, 1]),
        helper.make_node("MatMul", ["query", "key"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["attention"]),
        helper.make_node("Gather", ["tokens", "first"], ["cls"], axis=1),
    ]
    held = {
        "patch": weights(12, 3, 4, 4),
        "flatten": np.array([0, 12, -1]),
        "split": np.array([0, 16, 3, 4]),
        "first": np.array(0),
    }
    table = table_of(nodes, held, (3, 16, 16))
    assert table["patches"].layout == "NCHW"
    assert table["rows"].layout == "NCT"
    assert (table["tokens"].layout, table["tokens"].channels) == ("NTC", 12)
    assert table["scores"].shape == (None, 3, 16, 16)
    assert [table[name].layout for name in ("scores", "attention", "cls")] == ["", "", "NC"]
    assert [row.name for row in table if row.stride] == ["patches"]


def test_what_cannot_be_one_row_an_item_is_no_tap() -> None:
    nodes = [
        helper.make_node("Transpose", ["pixels"], ["turned"], perm=[1, 0]),
        helper.make_node("NonZero", ["pixels"], ["places"]),
        helper.make_node("Relu", ["pixels"], ["relu"]),
    ]
    table = table_of(nodes, {}, (6,))
    assert {row.name: row.tappable for row in table} == {
        "turned": False,
        "places": False,
        "relu": True,
    }


def test_a_graph_that_would_fill_the_memory_is_refused_before_it_runs() -> None:
    nodes = [
        helper.make_node("ConstantOfShape", ["sizes"], ["huge"]),
        helper.make_node("ReduceMax", ["huge"], ["most"], keepdims=0),
        helper.make_node("Add", ["pixels", "most"], ["out"]),
    ]
    with pytest.raises(WeightsError, match="4,000,000,000,000 bytes"):
        table_of(nodes, {"sizes": np.array([10**6, 10**6])}, (6,))


def test_what_onnxruntime_cannot_run_is_told_with_its_words() -> None:
    nodes = [helper.make_node("Unheard", ["pixels"], ["out"], domain="some.where")]
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["n", 4])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["n", 4])],
    )
    domains = [helper.make_opsetid("", 17), helper.make_opsetid("some.where", 1)]
    model = helper.make_model(graph, opset_imports=domains, ir_version=8)
    with pytest.raises(WeightsError, match="Unheard"):
        list_layers(model, ArraySpec((4,)), "onnx:unheard.onnx")


def test_auto_taps_leave_out_one_hots_masks_their_broadcasts_and_the_answer() -> None:
    """A little reader of tokens, as exporters write it."""
    nodes = [
        helper.make_node("OneHot", ["pixels", "depth", "off_on"], ["one_hot"], axis=-1),
        helper.make_node("Equal", ["pixels", "pad"], ["is_pad"]),
        helper.make_node("Cast", ["is_pad"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "middle"], ["row"]),
        helper.make_node("Expand", ["row", "square"], ["masks"]),
        helper.make_node("MatMul", ["one_hot", "embed"], ["tokens"]),
        helper.make_node("MatMul", ["masks", "tokens"], ["mixed"]),
        helper.make_node("Tanh", ["mixed"], ["hidden"]),
        helper.make_node("MatMul", ["hidden", "head"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["odds"], axis=-1),
        helper.make_node("Identity", ["odds"], ["out"]),
    ]
    held = {
        "depth": np.array(7),
        "off_on": np.array([0, 1], np.float32),
        "pad": np.array(0),
        "middle": np.array([1]),
        "square": np.array([1, 6, 6]),
        "embed": np.ones((7, 4), np.float32),
        "head": np.ones((4, 3), np.float32),
    }
    model = model_of(nodes, held, ["n", 6], "out", dtype=TensorProto.INT64, rank=3)
    table = list_layers(model, ArraySpec((6,), "int64"))
    held_by = {row.name: row.holds for row in table}
    assert {name for name, holds in held_by.items() if holds == "input"} == {
        "one_hot",
        "is_pad",
        "mask",
        "row",
        "masks",
    }
    assert {name for name, holds in held_by.items() if holds == "probabilities"} == {"odds", "out"}
    assert set(table.auto_taps()) <= {"tokens", "mixed", "hidden", "logits"}
    assert "logits" in table.auto_taps()


def test_a_softmax_in_pieces_is_one() -> None:
    nodes = [
        helper.make_node("MatMul", ["pixels", "fc"], ["logits"]),
        helper.make_node("Exp", ["logits"], ["exp"]),
        helper.make_node("ReduceSum", ["exp", "last"], ["sum"], keepdims=1),
        helper.make_node("Div", ["exp", "sum"], ["out"]),
    ]
    held = {"fc": np.ones((6, 3), np.float32), "last": np.array([1])}
    table = list_layers(model_of(nodes, held, ["n", 6], "out"), ArraySpec((6,)))
    assert [row.name for row in table if row.holds == "probabilities"] == ["exp", "sum", "out"]
    assert table.auto_taps() == ("logits",)
