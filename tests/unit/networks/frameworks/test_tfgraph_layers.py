"""Which nodes of a graph are listed, and what the table says of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from cutpoint.base.errors import TapNotFound, WeightsError
from cutpoint.base.spec import ArraySpec
from cutpoint.networks.layer_table import LayerTable
from cutpoint.networks.runtimes.tensorflow import operation_macs

tf = pytest.importorskip("tensorflow", reason="the extra tensorflow is not installed")

from cutpoint.networks.frameworks.tfgraph import (  # noqa: E402
    GraphNetwork,
    graph_network,
    list_layers,
    renamed,
)


def network_of(
    build: Callable[[Any], Any], item: tuple[int, ...], n_items: int | None = None
) -> GraphNetwork:
    """Return the graph that `build` makes of its placeholder."""
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, (n_items, *item), name="x")
        build(x)
    definition = graph.as_graph_def()
    taken = {text.partition(":")[0].lstrip("^") for node in definition.node for text in node.input}
    ends = [node.name for node in definition.node if node.name not in taken]
    found: GraphNetwork = graph_network(definition, "x", ends, "The test's graph")
    return found


def table_of(build: Callable[[Any], Any], item: tuple[int, ...], **options: Any) -> LayerTable:
    return list_layers(network_of(build, item, **options), ArraySpec(item), "test")


def test_plumbing_and_arithmetic_of_shapes_are_left_out() -> None:
    def build(x: Any) -> Any:
        y = tf.identity(tf.nn.relu(x, name="relu"))
        count = tf.shape(y)[1] * tf.shape(y)[2]
        return tf.reshape(y, (-1, count, 3), name="tokens")

    table = table_of(build, (4, 4, 3))
    assert [row.name for row in table] == ["relu", "tokens"]
    assert table["tokens"].shape == (None, 16, 3)
    assert table["tokens"].layout == "NTC"


def test_parameters_of_a_node_include_those_behind_arithmetic_of_constants() -> None:
    def build(x: Any) -> Any:
        gamma, variance = tf.constant([1.0, 2.0, 3.0]), tf.constant([1.0, 1.0, 4.0])
        return tf.multiply(x, gamma * tf.math.rsqrt(variance + 0.001), name="scaled")

    # gamma, variance and the one number that is added to it
    assert table_of(build, (2, 2, 3))["scaled"].params == 7


def test_macs_add_up_to_the_textbook_figures() -> None:
    def build(x: Any) -> Any:
        y = tf.nn.conv2d(x, tf.ones((3, 3, 3, 8)), 2, "SAME", name="conv")
        y = tf.nn.depthwise_conv2d(y, tf.ones((3, 3, 8, 1)), [1, 1, 1, 1], "SAME", name="depth")
        return tf.matmul(tf.reduce_mean(y, [1, 2]), tf.ones((8, 5)), name="dense")

    table = table_of(build, (8, 8, 3))
    conv = 4 * 4 * 8 * (3 * 3 * 3)
    depth = conv + 4 * 4 * 8 * (3 * 3)
    assert table["conv"].macs == conv
    assert table["depth"].macs == depth
    assert table["dense"].macs == depth + 8 * 5


def test_letters_follow_transposition_and_data_format() -> None:
    def build(x: Any) -> Any:
        y = tf.transpose(tf.nn.relu(x, name="last"), (0, 3, 1, 2), name="moved")
        return tf.nn.bias_add(tf.nn.relu(y, name="first"), tf.ones(3), "NCHW", name="biased")

    table = table_of(build, (8, 8, 3))
    layouts = {row.name: row.layout for row in table}
    assert layouts == {"last": "NHWC", "moved": "NCHW", "first": "NCHW", "biased": "NCHW"}
    assert table["biased"].stride == 1
    assert table["biased"].channels == 3


def test_what_is_no_plain_float_array_of_items_is_no_tap() -> None:
    def build(x: Any) -> None:
        tf.split(x, 3, axis=3, name="several")
        tf.reduce_mean(x, [0, 1, 2], name="over_the_batch")
        tf.argmax(x, axis=3, name="whole_numbers")
        tf.transpose(x, (1, 0, 2, 3), name="batch_second")
        tf.reduce_mean(x, [1, 2], name="fine")

    table = table_of(build, (4, 4, 3))
    assert {row.name for row in table if row.tappable} == {"fine"}


def test_a_first_axis_that_is_one_by_chance_is_no_batch() -> None:
    def build(x: Any) -> Any:
        return tf.reduce_mean(x, [0], keepdims=True, name="mean_item")

    assert not table_of(build, (4, 4, 3))["mean_item"].tappable


def read_a_file(x: Any) -> Any:
    length = tf.strings.length(tf.io.read_file("/etc/hostname"))
    return x + tf.cast(length, tf.float32)


@pytest.mark.parametrize(
    ("build", "why"),
    [
        (lambda x: tf.nn.dropout(x, 0.5), "RandomUniform reaches beyond the graph"),
        (lambda x: tf.numpy_function(np.sin, [x], tf.float32), "PyFunc reaches beyond the graph"),
        (read_a_file, "ReadFile reaches beyond the graph"),
        (
            lambda x: tf.compat.v1.nn.fused_batch_norm(x, [1.0] * 3, [0.0] * 3, is_training=True),
            "is in training mode",
        ),
    ],
)
def test_graphs_that_reach_outside_or_learn_are_refused(
    build: Callable[[Any], Any], why: str
) -> None:
    with pytest.raises(WeightsError, match=why):
        network_of(build, (4, 4, 3))


def test_an_unknown_operation_is_named_with_its_node() -> None:
    definition = network_of(lambda x: tf.nn.relu(x, name="act"), (4,)).graph_def
    next(node for node in definition.node if node.name == "act").op = "Swishy"
    with pytest.raises(WeightsError, match='"act" of kind Swishy is unknown'):
        graph_network(definition, "x", ["act"], "The test's graph")


def test_a_graph_that_does_not_fit_together_is_refused() -> None:
    definition = network_of(lambda x: tf.matmul(x, tf.ones((4, 2)), name="m"), (4,)).graph_def
    next(node for node in definition.node if node.name == "m").attr["T"].type = 3  # int32
    with pytest.raises(WeightsError, match="does not fit together"):
        graph_network(definition, "x", ["m"], "The test's graph")


def test_auto_taps_leave_out_one_hots_broadcasts_and_the_answer() -> None:
    def build(x: Any) -> Any:
        ids = tf.cast(x, tf.int32)
        one_hot = tf.one_hot(ids, 7, name="one_hot")
        mask = tf.cast(tf.not_equal(ids, 0), tf.float32, name="mask")
        row = tf.expand_dims(mask, 1, name="row")
        masks = tf.tile(row, (1, 6, 1), name="masks")
        tokens = tf.matmul(one_hot, tf.ones((1, 7, 4)), name="tokens")
        hidden = tf.tanh(tf.matmul(masks, tokens), name="hidden")
        odds = tf.nn.softmax(tf.matmul(hidden, tf.ones((1, 4, 3)), name="logits"), name="odds")
        return tf.identity_n([odds], name="both")

    table = table_of(build, (6,))
    held = {row.name: row.holds for row in table}
    assert {held[name] for name in ("one_hot", "mask", "row", "masks")} == {"input"}
    assert held["odds"] == "probabilities"
    assert held["logits"] == "features"
    assert table.auto_taps()[-1] == "logits"
    assert not {"one_hot", "row", "masks", "odds"} & set(table.auto_taps())
    with pytest.raises(TapNotFound, match="it is the network's input"):
        table.select("x")


def test_a_node_whose_name_is_in_the_number_of_an_output_is_renamed_once() -> None:
    with tf.Graph().as_default() as graph:
        tf.split(tf.compat.v1.placeholder(tf.float32, (2, 4), name="x"), 2, name="1")
        tf.nn.relu(graph.get_tensor_by_name("1:1"), name="end")
    definition = graph.as_graph_def()
    names = {node.name: node.name for node in definition.node} | {"1": "parts"}
    nodes = {node.name: list(node.input) for node in renamed(definition, names).node}
    assert nodes["end"] == ["parts:1"]


def test_an_einsum_meets_each_letter_once_and_an_open_batch_is_one_item() -> None:
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, (None, 4, 5))
        tf.raw_ops.Einsum(inputs=[x, tf.ones((5, 6))], equation="bic,cd->bid", name="product")
    assert operation_macs(graph.get_operation_by_name("product")) == 4 * 5 * 6
