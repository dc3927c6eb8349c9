"""Tiny Keras networks: functional, sequential, nested, subclassed, channels first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import cutpoint as cp
from cutpoint.networks.backbone import Backbone
from cutpoint.networks.runtimes.keras import import_keras
from tests.conformance.networks import SIDE, Case, Made


def plain(values: Any) -> np.ndarray:
    return np.array(import_keras().ops.convert_to_numpy(values))


def drawn(network: Any) -> Any:
    """Draw all weights and statistics, none of them at their defaults."""
    random = np.random.default_rng(0)
    for weight in network.weights:
        if "seed_generator" not in weight.path:
            weight.assign(random.uniform(0.05, 0.35, weight.shape).astype(np.float32))
    return network


def blocks(keras: Any, x: Any) -> Any:
    layers = keras.layers
    x = layers.Conv2D(8, 3, strides=2, padding="same", name="conv1")(x)
    x = layers.BatchNormalization(name="bn1")(x)
    x = layers.ReLU(name="relu1")(x)
    x = layers.Dropout(0.5, name="drop")(x)
    y = layers.DepthwiseConv2D(3, strides=2, padding="same", name="dw2")(x)
    y = layers.ReLU(name="relu2")(y)
    z = layers.Conv2D(8, 1, strides=2, name="skip")(x)
    return layers.Add(name="add")([y, z])


def functional() -> Any:
    keras = import_keras()
    x = keras.Input((SIDE, SIDE, 3))
    y = keras.layers.GlobalAveragePooling2D(name="pool")(blocks(keras, x))
    return drawn(keras.Model(x, keras.layers.Dense(5, name="fc")(y)))


def sequential() -> Any:
    keras = import_keras()
    layers = keras.layers
    return drawn(
        keras.Sequential(
            [
                keras.Input((SIDE, SIDE, 3)),
                layers.Conv2D(6, 3, strides=2, padding="same", activation="relu", name="conv1"),
                layers.Conv2D(9, 3, strides=2, padding="same", activation="gelu", name="conv2"),
                layers.Flatten(name="flatten"),
                layers.Dense(4, name="fc"),
            ]
        )
    )


def nested() -> Any:
    keras = import_keras()
    inner_input = keras.Input((SIDE, SIDE, 3))
    inner = keras.Model(inner_input, blocks(keras, inner_input), name="inner")
    x = keras.Input((SIDE, SIDE, 3))
    y = keras.layers.Conv2D(4, 3, padding="same", name="last")(inner(x))
    return drawn(keras.Model(x, y))


def subclassed() -> Any:
    keras = import_keras()

    class Net(keras.Model):  # type: ignore[misc, name-defined]  # Keras publishes no types
        def __init__(self) -> None:
            super().__init__()
            self.late = keras.layers.Conv2D(7, 3, strides=2, padding="same", name="late")
            self.early = keras.layers.Conv2D(5, 3, strides=2, padding="same", name="early")
            self.drop = keras.layers.Dropout(0.5, name="drop")

        def call(self, x: Any, training: bool = False) -> Any:
            return self.late(self.drop(keras.ops.relu(self.early(x)), training=training))

    network = Net()
    network(np.zeros((1, SIDE, SIDE, 3), np.float32))
    return drawn(network)


def scaled(batch: np.ndarray) -> np.ndarray:
    return (batch.astype(np.float32) - 127.5) / 127.5


def by_model(network: Any) -> Callable[[str, np.ndarray], np.ndarray]:
    """Reference: Keras' own `Model(inputs, get_layer(n).output)`."""

    def reference(name: str, batch: np.ndarray) -> np.ndarray:
        keras = import_keras()
        x = scaled(batch)
        outer, _, inner = name.partition("/")
        layer = network.get_layer(outer)
        if inner:  # the nested model is the first layer here
            network_ = keras.Model(layer.inputs[0], layer.get_layer(inner).output)
        elif isinstance(layer, keras.Model):
            network_ = layer
        else:
            network_ = keras.Model(network.inputs[0], layer.output)
        return plain(network_(x, training=False))

    return reference


def by_hand(network: Any) -> Callable[[str, np.ndarray], np.ndarray]:
    """Reference: the subclassed network's own arithmetic, written out."""

    def reference(name: str, batch: np.ndarray) -> np.ndarray:
        keras = import_keras()
        early = network.early(scaled(batch))
        if name in ("early", "drop"):
            return plain(early if name == "early" else keras.ops.relu(early))
        return plain(network.late(keras.ops.relu(early)))

    return reference


def made(build: Callable[[], Any], reference: Any = by_model) -> Callable[[Path], Made]:
    def make(folder: Path) -> Made:
        network = build()
        network.trainable = True
        weights = lambda: {w.path: plain(w) for w in network.weights}  # noqa: E731
        return Made(small(network), reference(network), weights)

    return make


def small(network: Any) -> Backbone:
    from cutpoint.items.kinds.image import recipe_named

    return cp.load(network, recipe_named("tf", SIDE))


def made_from_file(folder: Path) -> Made:
    network = functional()
    network.save(folder / "net.keras")
    loaded = cp.load(str(folder / "net.keras"), "tf")
    weights = lambda: {w.path: plain(w) for w in loaded.network.weights}  # noqa: E731
    return Made(loaded, by_model(network), weights)


CASES = [
    Case("keras-functional", made(functional), unstated=lambda folder: cp.load(functional())),
    Case("keras-sequential", made(sequential)),
    Case("keras-nested", made(nested)),
    Case("keras-subclassed", made(subclassed, by_hand)),
    Case("keras-file", made_from_file),
]
