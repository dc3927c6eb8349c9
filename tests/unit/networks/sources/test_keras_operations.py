"""Keras 2's functions as layers: files written by Keras 2 itself, and the numbers it gave.

``keras2_operations.json`` holds two networks' topologies, weights, inputs and outputs, written by
tf_keras 2.21.0 with TensorFlow; recorded once, so that no test needs Keras 2.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import cutpoint as cp
from cutpoint.base.errors import WeightsError
from cutpoint.networks.runtimes.keras import import_keras
from cutpoint.networks.sources.keras_files import check_config
from cutpoint.networks.sources.keras_operations import OPERATIONS, refuse_in_archive
from cutpoint.networks.sources.keras_topology import network_from_topology

RECORDED = json.loads(Path(__file__).with_name("keras2_operations.json").read_text())


def built(topology: dict[str, Any]) -> Any:
    keras = import_keras()
    check_config(keras, topology, "it", trusted=False)
    return network_from_topology(keras, topology, "it", is_old=True)


def functions(topology: dict[str, Any]) -> set[str]:
    layers = topology["config"]["layers"]
    return {each["config"]["function"] for each in layers if "function" in each["config"]}


@pytest.mark.parametrize("name", ["image", "tokens"])
def test_networks_of_keras_2_give_what_keras_2_gave(name: str) -> None:
    """Reference: tf_keras 2.21.0 on TensorFlow; 1e-6."""
    recorded = RECORDED[name]
    network = built(recorded["topology"])
    network.set_weights([np.array(each, np.float32) for each in recorded["weights"]])
    fed = np.array(recorded["x"], "int32" if name == "tokens" else "float32")
    found = np.asarray(network(fed, training=False))
    np.testing.assert_allclose(found, recorded["y"], atol=1e-6)


def test_the_recorded_networks_call_most_functions() -> None:
    called = functions(RECORDED["image"]["topology"]) | functions(RECORDED["tokens"]["topology"])
    wanted = {"cast", "one_hot", "expand_dims", "reshape", "math.truediv", "math.reduce_mean"}
    assert wanted <= called <= OPERATIONS.keys() | {"__operators__.getitem"}


def test_layers_that_only_change_the_input_are_no_auto_taps(tmp_path: Path) -> None:
    """A cast, a mask and a one-hot of token ids say nothing that the ids do not."""
    path = tmp_path / "tokens.h5"
    keras, recorded = import_keras(), RECORDED["tokens"]
    network = built(recorded["topology"])
    network.save_weights(tmp_path / "w.weights.h5")
    with h5py.File(path, "w") as file:
        keras.src.legacy.saving.legacy_h5_format.save_weights_to_hdf5_group(
            file.create_group("model_weights"), network
        )
        file.attrs["model_config"] = json.dumps(recorded["topology"])
        file.attrs["keras_version"] = "2.15.0"
    table = cp.load(str(path), "none").layers()
    assert table["tf.one_hot"].holds == "input"
    assert table.auto_taps() == ("dense_1",)
    assert table["dense_2"].holds == "probabilities"


def changed(**config: Any) -> dict[str, Any]:
    topology = copy.deepcopy(RECORDED["tokens"]["topology"])
    layer = next(each for each in topology["config"]["layers"] if each["name"] == "tf.one_hot")
    layer["config"].update(config)
    return topology


def test_a_function_that_is_not_known_says_what_to_do() -> None:
    with pytest.raises(WeightsError, match=r"function io\.read_file as a layer") as caught:
        built(changed(function="io.read_file"))
    assert "savedmodel:FOLDER" in caught.value.type_next


def test_a_function_with_an_argument_that_is_not_known_is_refused() -> None:
    topology = changed()
    layer = next(each for each in topology["config"]["layers"] if each["name"] == "tf.one_hot")
    layer["inbound_nodes"][0][3]["dept"] = 3
    with pytest.raises(WeightsError, match="one_hot with dept"):
        built(topology)


@pytest.mark.parametrize("name", ["__class__", "keras.ops.one_hot", "os.system", "math.__init__"])
def test_no_name_is_looked_up_outside_the_list(name: str) -> None:
    with pytest.raises(WeightsError, match="does not know"):
        built(changed(function=name))


def test_a_leaky_relu_without_a_slope_has_tensorflows() -> None:
    """`tf.nn.leaky_relu` has alpha=0.2 where none is said."""
    keras = import_keras()
    found = np.asarray(OPERATIONS["nn.leaky_relu"](keras.ops, np.array([-2.0, 3.0], np.float32)))
    np.testing.assert_allclose(found, [-0.4, 3.0], rtol=1e-6)


def test_an_archive_may_hold_no_operation_however_deep_and_says_what_to_type() -> None:
    """Keras itself reads a ``.keras`` file, and knows them no more."""
    whole = RECORDED["tokens"]["topology"]
    with pytest.raises(WeightsError, match="It is a TFOpLambda of Keras 2") as caught:
        refuse_in_archive({"config": {"layers": [whole]}}, "it")
    assert ".h5" in caught.value.type_next
    plain = [each for each in whole["config"]["layers"] if "function" not in each["config"]]
    refuse_in_archive({**whole, "config": {**whole["config"], "layers": plain}}, "it")
