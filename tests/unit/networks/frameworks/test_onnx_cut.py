"""The cut of an ONNX graph: one pass, truncated, frozen."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from cutpoint.base.errors import ShapeError, UsageError
from cutpoint.base.ops import NUMPY
from cutpoint.base.spec import ArraySpec, Preprocess, PreprocessSpec, TapSpec
from cutpoint.networks.engines import checked_engine
from cutpoint.networks.frameworks.onnx import OnnxCut, list_layers, symbolic
from cutpoint.networks.pooling import apply_pool
from tests.conformance.networks.onnx import (
    PREPROCESS,
    convnet,
    model_of,
    normalised,
    own_output,
)
from tests.conftest import fed, shape_of

RANDOM = np.random.default_rng(0)
BATCH = RANDOM.integers(0, 256, (5, *shape_of(PREPROCESS))).astype(np.uint8)


def cut_of(model: onnx.ModelProto, *names: str, preprocess: Preprocess = PREPROCESS) -> OnnxCut:
    taps = [TapSpec.from_name(name) for name in names]
    return OnnxCut(model, preprocess, taps, list_layers(model, preprocess))


def floats(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).normal(0, 1, shape).astype(np.float32)


# From 11 on Clip takes inputs, from 18 on reductions do; 7 is what SqueezeNet is written in.
@pytest.mark.parametrize("opset", [7, 11, 13, 18, 21])
def test_pools_equal_numpys_on_onnxruntimes_own_output(opset: int) -> None:
    """Tolerance 1e-5 of the largest value."""
    model = convnet("NCHW", "n", opset)
    pools = ["gap", "gmp", "gem", "gem(4)", "gram", "none"]
    found = cut_of(model, *(f"relu2/{pool}" for pool in pools))(BATCH)
    maps = own_output(model, "relu2", normalised(BATCH).astype(np.float32))
    assert list(found) == [f"relu2/{pool}" for pool in pools]
    for pool in pools:
        truth = apply_pool(pool, maps, "NCHW", NUMPY)
        assert found[f"relu2/{pool}"].shape == truth.shape
        assert found[f"relu2/{pool}"].dtype == np.float32
        assert np.abs(found[f"relu2/{pool}"] - truth).max() <= 1e-5 * np.abs(truth).max(), pool


def test_pools_of_nhwc_maps_and_tokens_run_over_their_own_axes() -> None:
    model = convnet("NHWC", "n")
    found = cut_of(model, "back/gap", "back/gram", "relu2/gap", "relu2/gram")(BATCH)
    np.testing.assert_allclose(found["back/gap"], found["relu2/gap"], atol=1e-6)
    np.testing.assert_allclose(found["back/gram"], found["relu2/gram"], rtol=1e-5)
    tokens = model_of(
        [helper.make_node("Tanh", ["pixels"], ["tokens"])], {}, ["n", 4, 6], "tokens", rank=3
    )
    batch = floats(3, 4, 6)
    pooled = cut_of(tokens, "tokens/cls", "tokens/gmp", preprocess=ArraySpec((4, 6)))(batch)
    np.testing.assert_allclose(pooled["tokens/cls"], np.tanh(batch)[:, 0], atol=1e-6)
    np.testing.assert_allclose(pooled["tokens/gmp"], np.tanh(batch).max(1), atol=1e-6)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_bgr_networks_are_given_bgr(layout: str) -> None:
    """Reference: onnxruntime on pixels turned and normalised by NumPy; 1e-5."""
    mean, std = (10.0, 20.0, 30.0), (1.0, 2.0, 3.0)
    recipe = PreprocessSpec(32, 32, "bilinear", mean, std, channels="BGR")
    model = convnet(layout)
    pixels = (BATCH[..., ::-1] - np.array(mean)) / np.array(std)
    pixels = np.moveaxis(pixels, 3, 1) if layout == "NCHW" else pixels
    truth = own_output(model, "relu2", np.ascontiguousarray(pixels, np.float32))
    found = cut_of(model, "relu2/none", preprocess=recipe)(BATCH)["relu2/none"]
    assert np.abs(found - truth).max() <= 1e-5 * truth.max()


def test_nothing_after_the_deepest_tap_is_kept() -> None:
    whole, early = cut_of(convnet(), "logits/none"), cut_of(convnet(), "relu1/gap")
    names = {tensor.name for tensor in early.model.graph.initializer}
    assert {"conv1_w", "conv1_b"} <= names
    assert names.isdisjoint({"conv2_w", "fc_w"})
    kinds = [node.op_type for node in early.model.graph.node]
    assert kinds.count("Conv") == 1
    assert "conv2_w" in {tensor.name for tensor in whole.model.graph.initializer}
    assert early.state_sha256() != whole.state_sha256()


def test_the_network_is_left_as_it_is_and_weights_are_part_of_the_digest() -> None:
    model = convnet()
    before = model.SerializeToString(deterministic=True)
    cut = cut_of(model, "relu2/gap")
    state = cut.state_sha256()
    cut(BATCH)
    assert cut.state_sha256() == state == cut_of(model, "relu2/gap").state_sha256()
    assert model.SerializeToString(deterministic=True) == before
    model.graph.initializer[0].raw_data = bytes(len(model.graph.initializer[0].raw_data))
    assert cut_of(model, "relu2/gap").state_sha256() != state


def test_a_fixed_batch_of_one_is_freed() -> None:
    cut = cut_of(convnet(batch=1), "relu2/gap", "logits/none")
    assert not cut.is_one_by_one
    together = cut(BATCH)
    for row in range(len(BATCH)):
        for name, rows in cut(BATCH[row : row + 1]).items():
            np.testing.assert_allclose(together[name][row], rows[0], atol=1e-5)


@pytest.mark.parametrize("sizes", [[1, 16], [1, -1]])
def test_a_batch_that_is_built_in_is_run_item_by_item_and_told(sizes: list[int]) -> None:
    nodes = [
        helper.make_node("Relu", ["pixels"], ["relu"]),
        helper.make_node("Reshape", ["relu", "sizes"], ["flat"]),
        helper.make_node("MatMul", ["flat", "fc"], ["out"]),
    ]
    held = {"sizes": np.array(sizes), "fc": floats(16, 3)}
    model = model_of(nodes, held, [1, 4, 4], "out")
    cut = cut_of(model, "out/none", preprocess=ArraySpec((4, 4)))
    assert cut.is_one_by_one
    assert "run one by one" in cut.why_native
    assert cut.converts_to == ()
    batch = floats(3, 4, 4)
    truth = np.maximum(batch, 0).reshape(3, 16) @ held["fc"]
    np.testing.assert_allclose(cut(batch)["out/none"], truth, atol=1e-5)
    # Before the batch is built in, nothing is lost.
    assert not cut_of(model, "relu/none", preprocess=ArraySpec((4, 4))).is_one_by_one


def test_items_that_would_depend_on_their_batch_mates_are_run_alone() -> None:
    """The largest value of the whole batch decides what is cut off, as decibel scales do."""
    nodes = [
        helper.make_node("ReduceMax", ["pixels"], ["most"], keepdims=1),
        helper.make_node("Div", ["pixels", "most"], ["out"]),
    ]
    model = model_of(nodes, {}, ["n", 6], "out")
    cut = cut_of(model, "out/none", preprocess=ArraySpec((6,)))
    batch = floats(4, 6)
    assert "depends on its batch mates" in cut.why_native
    truth = batch / batch.max(1, keepdims=True)
    np.testing.assert_allclose(cut(batch)["out/none"], truth, rtol=1e-6)


def test_rounding_keeps_batches() -> None:
    """What changes a little with the size of a batch, as sums in another order do, but never with
    what else is in it. Here by 0.2 %, far more than the 1e-4 that need no second look."""
    nodes = [
        helper.make_node("Shape", ["pixels"], ["sizes"]),
        helper.make_node("Gather", ["sizes", "first"], ["count"]),
        helper.make_node("Cast", ["count"], ["n"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["n", "little"], ["drift"]),
        helper.make_node("Exp", ["drift"], ["factor"]),
        helper.make_node("Mul", ["pixels", "factor"], ["out"]),
    ]
    held = {"first": np.array(0), "little": np.array(1e-3, np.float32)}
    cut = cut_of(model_of(nodes, held, ["n", 6], "out"), "out/none", preprocess=ArraySpec((6,)))
    assert not cut.is_one_by_one
    assert cut.converts_to
    batch = floats(3, 6)
    np.testing.assert_allclose(cut(batch)["out/none"], batch * np.exp(3e-3), rtol=1e-6)


def test_a_network_saved_in_training_mode_is_run_in_inference_mode() -> None:
    nodes = [
        helper.make_node(
            "BatchNormalization",
            ["pixels", "scale", "shift", "mean", "variance"],
            ["normal", "new_mean", "new_variance"],
            training_mode=1,
        ),
        helper.make_node("Dropout", ["normal", "ratio", "active"], ["dropped", "mask"]),
    ]
    names = ("scale", "shift", "mean", "variance")
    held = {name: np.abs(floats(4)) + place for place, name in enumerate(names)}
    extra = {"ratio": np.array(0.5, np.float32), "active": np.array(True)}
    model = model_of(nodes, {**held, **extra}, ["n", 4], "dropped")
    table = list_layers(model, ArraySpec((4,)))
    assert [row.name for row in table] == ["normal", "dropped"]
    cut = cut_of(model, "dropped/none", preprocess=ArraySpec((4,)))
    batch = floats(3, 4)
    scale, shift, mean, variance = held.values()
    truth = (batch - mean) / np.sqrt(variance + 1e-5) * scale + shift
    assert not cut.is_one_by_one
    for _ in range(2):
        np.testing.assert_allclose(cut(batch)["dropped/none"], truth, atol=1e-5)


def test_float16_networks_are_given_float16_and_pooled_in_float32() -> None:
    """Tolerance 2e-3, two last digits of float16; the sum of gram would overflow float16."""
    half, whole = convnet(dtype="float16"), convnet()
    found = cut_of(half, "relu2/gap", "relu2/gem", "relu2/gram")(BATCH)
    truth = cut_of(whole, "relu2/gap", "relu2/gem", "relu2/gram")(BATCH)
    for name, rows in found.items():
        assert rows.dtype == np.float32
        assert np.abs(rows - truth[name]).max() <= 2e-3 * np.abs(truth[name]).max(), name


def test_what_overflows_float16_is_right_or_infinite_never_another_number() -> None:
    """300 · 300 is above 65504. Where the processor has no float16, onnxruntime keeps float32
    between nodes and is right; elsewhere the row is infinite, and whoever called quarantines it."""
    nodes = [
        helper.make_node("Mul", ["pixels", "pixels"], ["square"]),
        helper.make_node("Mul", ["square", "square"], ["fourth"]),
    ]
    model = model_of(nodes, {}, ["n", 2], "fourth", dtype=TensorProto.FLOAT16)
    cut = cut_of(model, "square/none", "fourth/none", preprocess=ArraySpec((2,)))
    found = cut(np.array([[300.0, 2.0]], np.float32))
    assert found["square/none"][0, 0] in (9e4, np.inf)
    assert found["fourth/none"][0, 0] in (np.float32(8.1e9), np.inf)
    assert found["fourth/none"][0, 1] == 16.0


def test_inner_graphs_keep_what_they_take_from_outside() -> None:
    def branch(kind: str) -> onnx.GraphProto:
        result = helper.make_empty_tensor_value_info(f"{kind}_out")
        result.type.tensor_type.elem_type = TensorProto.FLOAT
        node = helper.make_node(kind, ["relu", "outer"], [f"{kind}_out"])
        return helper.make_graph([node], kind, [], [result])

    nodes = [
        helper.make_node("Relu", ["pixels"], ["relu"]),
        helper.make_node(
            "If", ["yes"], ["chosen"], then_branch=branch("Add"), else_branch=branch("Sub")
        ),
    ]
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["n", 4])],
        [helper.make_tensor_value_info("chosen", TensorProto.FLOAT, ["n", 4])],
        [
            onnx.numpy_helper.from_array(np.array(True), "yes"),
            onnx.numpy_helper.from_array(np.full(4, 2, np.float32), "outer"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    batch = floats(3, 4)
    found = cut_of(model, "chosen/none", preprocess=ArraySpec((4,)))(batch)
    np.testing.assert_allclose(found["chosen/none"], np.maximum(batch, 0) + 2, atol=1e-6)


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_engines_pass_the_parity_gate(layout: str, engine: str) -> None:
    cut = cut_of(convnet(layout), "relu1/gmp", "relu2/gem", "relu2/gram", "logits/none")
    checked = checked_engine(cut, engine, 1, fed(BATCH))
    assert (checked.engine.name, checked.refused) == (engine, "")
    assert checked.parity.passes


def test_names_of_the_network_do_not_clash_with_those_of_the_cut() -> None:
    nodes = [helper.make_node("Relu", ["pixels"], ["cutpoint_behind/tap_0"])]
    model = model_of(nodes, {}, ["n", 4], "cutpoint_behind/tap_0")
    cut = cut_of(model, "cutpoint_behind/tap_0/none", preprocess=ArraySpec((4,)))
    assert cut(np.ones((2, 4), np.float32))["cutpoint_behind/tap_0/none"].shape == (2, 4)


def test_a_batch_of_another_shape_or_type_is_refused_with_both_shapes() -> None:
    cut = cut_of(convnet(), "relu1/gap")
    with pytest.raises(ShapeError, match=r"\(2, 16, 16, 3\)[\s\S]*32×32×3"):
        cut(np.zeros((2, 16, 16, 3), np.uint8))
    with pytest.raises(ShapeError, match="float32"):
        cut(np.zeros((2, 32, 32, 3), np.float32))


def test_no_head_can_be_connected_to_a_graph() -> None:
    table = list_layers(convnet(), PREPROCESS)
    with pytest.raises(UsageError, match="ONNX graph"):
        symbolic(convnet(), table["relu2"], PREPROCESS, trainable=False)
